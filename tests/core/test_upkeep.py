"""Draining, reconciliation, gangs."""

import pytest

from mesonb.core.calls import (
    Accept,
    AcceptAll,
    AgentBack,
    AgentJoined,
    AgentUnreachable,
    Drain,
    Reconcile,
    Revoke,
    RunningTask,
    Subscribe,
    TaskInfo,
    TaskUpdate,
    Undrain,
)  # fmt: skip
from mesonb.core.events import Kill, Launch, OfferMade, Rejected, Rescinded, Revoked, Updated
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked
from tests.helpers import kinds

S = 1_000_000
CPU = Resources(cpus=1)


def test_a_draining_agent_sees_its_tasks_out(core) -> None:
    out = core.tell(Drain("agent-1", 5 * S))
    assert kinds(out, Rescinded) and not kinds(out, OfferMade)
    assert [(event.task, event.kill_us) for event in kinds(out, Revoked)] == [("t", 5 * S + 1)]
    assert core.next_deadline() == 5 * S + 1
    assert [event.task for event in kinds(core.tell(at_us=5 * S + 1), Kill)] == ["t"]
    assert not kinds(core.tell(TaskUpdate("agent-1", "t", TaskState.KILLED)), OfferMade)
    assert kinds(core.tell(Undrain("agent-1"), at_us=6 * S), OfferMade)[0].resources == CPU * 2


def test_what_was_to_be_killed_runs_on_when_draining_ends_early(core) -> None:
    core.tell(Drain("agent-1", 5 * S))
    core.tell(Undrain("agent-1"))
    assert not kinds(core.tell(at_us=9 * S), Kill)


def test_a_draining_agent_that_was_out_of_sight_is_still_draining(core) -> None:
    core.tell(Drain("agent-1", 5 * S), AgentUnreachable("agent-1"))
    running = RunningTask("t", "f", CPU)
    assert not kinds(core.tell(AgentBack("agent-1", (running,)), at_us=2 * S), OfferMade)
    assert [event.task for event in kinds(core.tell(at_us=5 * S + 1), Kill)] == ["t"]


def test_tasks_on_an_agent_for_short_ones_still_have_their_time_after_draining() -> None:
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("brief", CPU, max_task_us=10 * S))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU),)), Drain("brief", 5 * S), at_us=S)
    core.tell(Undrain("brief"), at_us=3 * S)
    assert not kinds(core.tell(at_us=10 * S), Kill)
    assert [event.task for event in kinds(core.tell(at_us=11 * S), Kill)] == ["t"]


def test_nobody_is_told_of_another_frameworks_task(core) -> None:
    core.tell(Subscribe("g"))
    (told,) = core.step(Reconcile("g", ("t",)), core.now_us)
    assert (told.framework, told.state, told.because) == ("g", TaskState.LOST, "no such task of yours is known here")


def test_draining_can_end_while_the_agent_is_out_of_sight(core) -> None:
    core.tell(Drain("agent-1", 5 * S), AgentUnreachable("agent-1"))
    assert not kinds(core.tell(Undrain("agent-1"), at_us=S), OfferMade)
    assert kinds(core.tell(AgentBack("agent-1", (RunningTask("t", "f", CPU),)), at_us=2 * S), OfferMade)


@pytest.mark.parametrize("call", [Drain("agent-9"), Undrain("agent-1"), Undrain("agent-9")])
def test_draining_that_cannot_be(core, call) -> None:
    assert isinstance(core.tell(call)[0], Rejected)


def test_reconciling_names_every_task_and_what_became_of_it(core) -> None:
    assert [(e.task, e.state) for e in core.step(Reconcile("f"), 1)] == [("t", TaskState.STAGING)]
    core.tell(TaskUpdate("agent-1", "t", TaskState.FINISHED))
    asked = core.step(Reconcile("f", ("t", "never")), 1)
    assert [(e.task, e.state) for e in asked] == [("t", TaskState.FINISHED), ("never", TaskState.LOST)]
    assert core.step(Reconcile("f"), 1) == []


def gang(core, *needs) -> AcceptAll:
    offers = [offer for offer in core.offers.values() if offer.framework == "f"]
    parts = [
        Accept("f", (o.id,), (TaskInfo(f"rank-{i}", n),)) for i, (o, n) in enumerate(zip(offers, needs, strict=True))
    ]
    return AcceptAll("f", tuple(parts))


def test_a_gang_is_launched_on_all_its_agents(core) -> None:
    core.tell(AgentJoined("agent-2", CPU))
    out = core.tell(gang(core, CPU, CPU))
    assert {event.agent for event in kinds(out, Launch)} == {"agent-1", "agent-2"}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda good: AcceptAll("f", ()),
        lambda good: AcceptAll("f", (good.parts[0], good.parts[0])),
        lambda good: AcceptAll("f", (good.parts[0], Accept("f", good.parts[1].offers, good.parts[0].launches))),
        lambda good: AcceptAll("f", (good.parts[0], Accept("f", good.parts[1].offers, (TaskInfo("big", CPU * 9),)))),
        lambda good: AcceptAll("f", (good.parts[0], Accept("g", good.parts[1].offers, ()))),
    ],
)
def test_a_gang_of_which_a_part_cannot_be_is_launched_nowhere(core, wrong) -> None:
    core.tell(AgentJoined("agent-2", CPU))
    out = core.step(wrong(gang(core, CPU, CPU)), core.now_us)
    assert isinstance(out[0], Rejected) and not kinds(out, Launch)
    assert all(event.state is TaskState.LOST for event in kinds(out, Updated))


def test_a_revoked_task_has_its_grace_and_no_more(core) -> None:
    assert [(event.task, event.kill_us) for event in core.tell(Revoke("t", 5 * S))] == [("t", 5 * S + 1)]
    assert not kinds(core.tell(at_us=5 * S), Kill)
    assert [event.task for event in kinds(core.tell(at_us=5 * S + 1), Kill)] == ["t"]
    assert isinstance(core.tell(Revoke("t"))[0], Rejected), "it is being killed already"
    assert isinstance(core.tell(Revoke("nobody's"))[0], Rejected)
