"""At-least-once updates: said until acknowledged, said to the next scheduler, kept by agents for the next master."""

import pytest

from mesonb.core import acknowledging
from mesonb.core.books import Settings
from mesonb.core.calls import (
    Accept,
    Acknowledge,
    AgentJoined,
    AgentLost,
    Disconnect,
    RunningTask,
    Subscribe,
    TaskInfo,
    TaskUpdate,
    Unregister,
)
from mesonb.core.events import Acknowledged, Subscribed, Updated
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.sim.faults import Faults
from mesonb.sim.storm import StormFailed, storm
from mesonb.testing import Checked
from tests.helpers import kinds

S = 1_000_000
CPU = Resources(cpus=1)
DONE = TaskUpdate("agent-1", "t", TaskState.FINISHED)


def ends(out) -> list:
    return [(event.task, event.state) for event in kinds(out, Updated) if event.state.terminal]


@pytest.fixture
def core() -> Checked:
    """A task runs on agent-1; how it ends is said every 5 s."""
    core = Checked(Settings(update_retry_us=5 * S))
    out = core.tell(Subscribe("f"), AgentJoined("agent-1", CPU * 2))
    assert kinds(out, Subscribed)[0].acknowledge
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU),), 0), TaskUpdate("agent-1", "t", TaskState.RUNNING))
    return core


def test_it_is_said_until_it_is_acknowledged(core) -> None:
    assert ends(core.tell(DONE)) == [("t", TaskState.FINISHED)]
    assert not ends(core.tell(at_us=5 * S - 1))
    for again in (1, 2, 3):
        assert ends(core.tell(at_us=5 * again * S)) == [("t", TaskState.FINISHED)]
    assert kinds(core.tell(Acknowledge("f", ("t",))), Acknowledged) == [Acknowledged("agent-1", "t")]
    assert not ends(core.tell(at_us=60 * S))


def test_who_repeats_it_is_told_whether_to_forget_it(core) -> None:
    core.tell(DONE)
    assert core.tell(DONE) == []
    core.tell(Acknowledge("f", ("t", "t", "never")))
    assert kinds(core.tell(DONE), Acknowledged) == [Acknowledged("agent-1", "t")]
    assert core.tell(Acknowledge("f", ("t",))) == []


def test_nobody_acknowledges_for_another(core) -> None:
    core.tell(Subscribe("g"), DONE)
    assert not kinds(core.tell(Acknowledge("g", ("t",))), Acknowledged)
    assert ends(core.tell(at_us=5 * S)) == [("t", TaskState.FINISHED)]


def test_the_next_scheduler_is_told_and_meanwhile_nobody(core) -> None:
    core.tell(DONE, Disconnect("f"))
    assert not ends(core.tell(at_us=20 * S))
    out = core.tell(Subscribe("f"), at_us=21 * S)
    assert isinstance(out[0], Subscribed) and ends(out) == [("t", TaskState.FINISHED)]


def test_a_loss_is_said_again_too_though_its_agent_is_gone(core) -> None:
    core.tell(AgentLost("agent-1"))
    assert ends(core.tell(at_us=5 * S)) == [("t", TaskState.LOST)]
    assert not kinds(core.tell(Acknowledge("f", ("t",))), Acknowledged)
    assert not ends(core.tell(at_us=60 * S))


def test_a_new_master_takes_over_what_nobody_acknowledged() -> None:
    core = Checked(Settings(epoch=2, update_retry_us=5 * S))
    done = RunningTask("f.1/t", "f", CPU, state=TaskState.FINISHED, epoch=1)
    assert not ends(core.tell(AgentJoined("agent-1", CPU, tasks=(done,))))
    assert ends(core.tell(Subscribe("f"), at_us=S)) == [("f.1/t", TaskState.FINISHED)]
    late = RunningTask("f.1/u", "f", CPU, state=TaskState.FAILED, epoch=1)
    assert ends(core.tell(AgentJoined("agent-2", CPU, tasks=(late,)), at_us=2 * S)) == [("f.1/u", TaskState.FAILED)]
    assert ends(core.tell(at_us=5 * S)) == [("f.1/t", TaskState.FINISHED)]
    out = core.tell(Acknowledge("f", ("f.1/t", "f.1/u")))
    assert [event.agent for event in kinds(out, Acknowledged)] == ["agent-1", "agent-2"]
    core.tell(AgentLost("agent-1"))
    assert kinds(core.tell(AgentJoined("agent-1", CPU, tasks=(done,))), Acknowledged)  # it did not hear it


def test_what_nobody_will_ask_for_is_forgotten(core) -> None:
    core.tell(DONE, Unregister("f"))
    assert kinds(core.tell(at_us=5 * S), Acknowledged) and core.next_deadline() is None


def test_so_many_are_kept_and_no_more(core, monkeypatch) -> None:
    monkeypatch.setattr(acknowledging, "KEPT", 1)
    core.tell(at_us=1)
    core.tell(Accept("f", (next(iter(core.offers)),), (TaskInfo("u", CPU),), 0))
    core.tell(DONE, TaskUpdate("agent-1", "u", TaskState.FAILED))
    assert list(core.unacknowledged) == ["u"]


def test_without_the_setting_it_is_said_once() -> None:
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU),)))
    core.tell(DONE)
    assert not ends(core.tell(at_us=600 * S)) and not core.unacknowledged


LOSSY = {"agents": 4, "frameworks": 3, "faults": Faults.only("lost", 0.2)}


def lossy_seed(passes) -> int:
    """Return the first seed whose storm says updates until they are acknowledged."""
    return next(seed for seed in range(1, 20) if passes(seed))


def test_links_that_lose_updates_lose_no_work() -> None:
    seed = lossy_seed(lambda seed: storm(seed, until="1m", **LOSSY).figures["repeated"] > 5)
    figures = storm(seed, until="1m", **LOSSY).figures
    assert figures["chores"] == figures["finished"]  # nothing had to run twice: the result came with the repeat


def test_without_the_repeats_the_same_links_lose_work(monkeypatch) -> None:
    seed = lossy_seed(lambda seed: storm(seed, until="1m", **LOSSY).figures["repeated"] > 5)
    monkeypatch.setattr(acknowledging.Acknowledging, "_set_retry", lambda self: None)
    monkeypatch.setattr("mesonb.sim.checkers.check", lambda core: None)  # the alarm is not set, as it should be
    with pytest.raises(StormFailed, match="not over|believes"):
        storm(seed, until="1m", **LOSSY)
