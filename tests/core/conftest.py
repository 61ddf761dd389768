"""What tests of what befalls an agent begin with."""

import pytest

from mesonb.core.calls import Accept, AgentJoined, Subscribe, TaskInfo
from mesonb.core.resources import Resources
from mesonb.testing import Checked

CPU = Resources(cpus=1)


@pytest.fixture
def core() -> Checked:
    """A task and an offer on agent-1."""
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU * 2))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU),), 0))
    core.tell(at_us=1)
    return core
