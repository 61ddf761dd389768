"""Revocation: who is asked to end, how long it has, and who never is; agents that are kept for short tasks."""

import pytest

from mesonb.core.books import Settings
from mesonb.core.calls import Accept, AgentJoined, KillTask, SetGuarantee, Subscribe, Suppress, TaskInfo, TaskUpdate
from mesonb.core.events import Kill, OfferMade, Revoked
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked
from tests.helpers import kinds

S = 1_000_000
CPU = Resources(cpus=1)


@pytest.fixture
def core() -> Checked:
    """The greedy role runs four tasks on an agent of four cpus; lab is guaranteed two of them."""
    core = Checked(Settings(grace_us=10 * S))
    core.tell(Subscribe("greedy", "many"), AgentJoined("agent-1", CPU * 4))
    core.tell(Accept("greedy", ("offer-1",), tuple(TaskInfo(f"t{n}", CPU) for n in range(4))))
    core.tell(SetGuarantee("lab", CPU * 2))
    return core


def test_nothing_is_taken_back_while_nobody_wants_it(core) -> None:
    assert not core.revoking
    assert kinds(core.tell(Subscribe("late", "lab"), Suppress("late")), Revoked) == []


def test_the_most_recent_tasks_are_asked_and_killed_after_the_grace_period(core) -> None:
    asked = kinds(core.tell(Subscribe("late", "lab")), Revoked)
    assert [(event.task, event.kill_us) for event in asked] == [("t3", 10 * S), ("t2", 10 * S)]
    assert core.next_deadline() == 10 * S
    assert kinds(core.tell(at_us=10 * S - 1), Kill) == []
    assert {event.task for event in kinds(core.tell(at_us=10 * S), Kill)} == {"t3", "t2"}
    out = core.tell(*(TaskUpdate("agent-1", task, TaskState.KILLED) for task in ("t3", "t2")))
    assert kinds(out, OfferMade)[0].framework == "late"
    assert core.frameworks["late"].allocated == CPU * 2


def test_who_ends_by_itself_in_time_is_not_killed(core) -> None:
    core.tell(Subscribe("late", "lab"))
    core.tell(TaskUpdate("agent-1", "t3", TaskState.FINISHED), TaskUpdate("agent-1", "t0", TaskState.FINISHED), at_us=S)
    assert core.frameworks["late"].allocated == CPU * 2
    assert kinds(core.tell(at_us=10 * S), Kill) == []
    assert core.next_deadline() is None or core.next_deadline() > 10 * S


def test_what_is_being_killed_already_is_not_asked_for_again(core) -> None:
    core.tell(KillTask("greedy", "t0"), KillTask("greedy", "t1"))
    assert kinds(core.tell(Subscribe("late", "lab")), Revoked) == []


def test_what_was_killed_and_has_not_ended_yet_is_not_replaced(core) -> None:
    core.tell(Subscribe("late", "lab"))
    assert len(kinds(core.tell(at_us=10 * S), Kill)) == 2
    assert kinds(core.tell(at_us=11 * S), Revoked) == []


def test_a_role_keeps_its_own_guarantee() -> None:
    core = Checked(Settings(grace_us=S))
    core.tell(Subscribe("a", "ra"), AgentJoined("agent-1", CPU * 4))
    core.tell(Accept("a", ("offer-1",), tuple(TaskInfo(f"t{n}", CPU) for n in range(4))))
    core.tell(SetGuarantee("ra", CPU * 3), SetGuarantee("lab", CPU))
    assert [event.task for event in kinds(core.tell(Subscribe("late", "lab")), Revoked)] == ["t3"]


def test_a_task_that_would_cut_into_the_guarantee_is_passed_over_for_an_older_one_that_does_not() -> None:
    core = Checked(Settings(grace_us=S))
    core.tell(Subscribe("a", "ra"), AgentJoined("agent-1", CPU * 4))
    core.tell(Accept("a", ("offer-1",), (TaskInfo("small", CPU), TaskInfo("large", CPU * 3))))
    core.tell(SetGuarantee("ra", CPU * 2), SetGuarantee("lab", CPU))
    assert [event.task for event in kinds(core.tell(Subscribe("late", "lab")), Revoked)] == ["small"]


def test_without_a_grace_period_nothing_is_ever_taken_back() -> None:
    core = Checked()
    core.tell(Subscribe("greedy", "many"), AgentJoined("agent-1", CPU))
    core.tell(Accept("greedy", ("offer-1",), (TaskInfo("t", CPU),)))
    assert kinds(core.tell(SetGuarantee("lab", CPU), Subscribe("late", "lab")), Revoked) == []


def test_an_agent_for_short_tasks_kills_long_ones() -> None:
    core = Checked()
    out = core.tell(Subscribe("f"), AgentJoined("agent-1", CPU * 2, max_task_us=5 * S))
    assert kinds(out, OfferMade)[0].max_task_us == 5 * S
    core.tell(Accept("f", ("offer-1",), (TaskInfo("quick", CPU), TaskInfo("slow", CPU))))
    core.tell(TaskUpdate("agent-1", "quick", TaskState.FINISHED), at_us=S)
    assert [event.task for event in kinds(core.tell(at_us=5 * S), Kill)] == ["slow"]


@pytest.mark.parametrize(("needs", "asked"), [(CPU, ["t3"]), (Resources(mem="1GB"), [])], ids=["cpus", "memory"])
def test_nothing_is_taken_back_that_would_not_help(needs, asked) -> None:
    """What is taken back holds some of what is missing; if all of it is not enough, what there is has to do."""
    core = Checked(Settings(grace_us=10 * S))
    core.tell(Subscribe("greedy", "many"), AgentJoined("agent-1", CPU * 4 + Resources(mem="4GB")))
    core.tell(Accept("greedy", ("offer-1",), (TaskInfo("t3", needs), TaskInfo("rest", Resources(mem="3GB")))))
    core.tell(SetGuarantee("lab", CPU * 4))
    assert [event.task for event in kinds(core.tell(Subscribe("late", "lab")), Revoked)] == asked


def test_who_lacks_something_does_not_give_it_up(core) -> None:
    """Lab's own task is the most recent of all; what it lacks is taken from others."""
    core.tell(TaskUpdate("agent-1", "t3", TaskState.FINISHED), Subscribe("late", "lab"))
    core.tell(Accept("late", tuple(core.frameworks["late"].offers), (TaskInfo("own", CPU),)))
    assert list(core.tasks)[-1] == "own"
    assert list(core.revoking) == ["t2"]
