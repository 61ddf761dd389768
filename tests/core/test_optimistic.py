"""Optimistic concurrency: the same is offered to several, and who comes late is told of the conflict."""

import pytest

from mesonb.core.books import Settings
from mesonb.core.calls import Accept, AcceptAll, AgentJoined, Decline, Subscribe, TaskInfo, TaskUpdate
from mesonb.core.events import Kill, Launch, OfferMade, Updated
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked
from tests.core.test_machine import fuzz

CPU = Resources(cpus=1)


def optimistic(**settings) -> Checked:
    core = Checked(Settings(concurrency="optimistic", **settings))
    core.tell(Subscribe("a"), Subscribe("b"), AgentJoined("agent-1", CPU * 4))
    return core


def launch(core, framework, count, needs=CPU) -> tuple[int, int]:
    """Accept the framework's offer with so many tasks; return how many were launched, and how many met a conflict."""
    (offer,) = core.frameworks[framework].offers
    tasks = tuple(TaskInfo(f"{framework}/{offer}/{n}", needs) for n in range(count))
    out = core.tell(Accept(framework, (offer,), tasks))
    lost = [event for event in out if isinstance(event, Updated) and event.state is TaskState.LOST]
    assert all(event.because.startswith("conflict") for event in lost)
    return sum(isinstance(event, Launch) for event in out), len(lost)


def test_all_are_offered_all() -> None:
    core = optimistic()
    assert {(o.framework, o.resources) for o in core.offers.values()} == {("a", CPU * 4), ("b", CPU * 4)}
    assert core.free == CPU * 4


def test_what_still_fits_is_launched_and_the_rest_is_a_conflict() -> None:
    core = optimistic()
    assert launch(core, "a", 3) == (3, 0)
    assert launch(core, "b", 3) == (1, 2)


def test_all_or_nothing() -> None:
    core = optimistic(settle="all")
    assert launch(core, "a", 3) == (3, 0)
    assert launch(core, "b", 3) == (0, 3)


def test_coarse_conflicts_go_by_the_sequence_number() -> None:
    core = optimistic(conflict="sequence")
    assert launch(core, "a", 1) == (1, 0)
    assert launch(core, "b", 1) == (0, 1)
    core.tell(at_us=1)
    assert launch(core, "b", 1) == (1, 0)


def test_who_lost_is_offered_what_is_left() -> None:
    core = optimistic()
    launch(core, "a", 3)
    launch(core, "b", 4)
    core.tell(at_us=1)
    assert {o.resources for o in core.frameworks["b"].offers.values()} <= {CPU, CPU * 4}
    core.tell(TaskUpdate("agent-1", next(iter(core.frameworks["a"].tasks)), TaskState.FINISHED), at_us=2)
    assert core.free <= CPU * 2


def test_a_decline_filters_for_its_framework_alone() -> None:
    core = optimistic()
    assert not [
        e for e in core.tell(Decline("a", tuple(core.frameworks["a"].offers)), at_us=1) if isinstance(e, OfferMade)
    ]
    assert len(core.frameworks["b"].offers) == 1


@pytest.mark.parametrize("conflict", ["fit", "sequence"])
def test_a_gang_of_which_a_part_meets_a_conflict_is_launched_nowhere(conflict) -> None:
    core = optimistic(conflict=conflict)
    core.tell(AgentJoined("agent-2", CPU * 4))
    mine = {offer.agent: offer.id for offer in core.frameworks["b"].offers.values()}
    assert launch_on(core, "a", "agent-2", 4) == 4
    parts = [Accept("b", (mine[agent],), (TaskInfo(f"b/{agent}", CPU * 2),)) for agent in ("agent-1", "agent-2")]
    out = core.tell(AcceptAll("b", tuple(parts)))
    assert not [event for event in out if isinstance(event, Launch)]
    lost = {event.task for event in out if isinstance(event, Updated) and event.state is TaskState.LOST}
    assert lost == {"b/agent-1", "b/agent-2"}
    assert core.agents["agent-1"].free == CPU * 4 and not core.frameworks["b"].tasks


def launch_on(core, framework, agent, count) -> int:
    offer = next(o.id for o in core.frameworks[framework].offers.values() if o.agent == agent)
    tasks = tuple(TaskInfo(f"{framework}/{agent}/{n}", CPU) for n in range(count))
    return sum(isinstance(event, Launch) for event in core.tell(Accept(framework, (offer,), tasks)))


def test_an_agent_for_short_tasks_is_so_for_late_comers_too() -> None:
    core = optimistic()
    core.tell(AgentJoined("brief", CPU, max_task_us=5))
    assert launch_on(core, "a", "brief", 1) == 1
    assert [event.task for event in core.tell(at_us=10) if isinstance(event, Kill)] == ["a/brief/0"]


@pytest.mark.parametrize("conflict", ["fit", "sequence"])
@pytest.mark.parametrize("settle", ["incremental", "all"])
def test_arbitrary_calls_never_break_the_books(conflict, settle) -> None:
    fuzz(Checked(Settings(concurrency="optimistic", conflict=conflict, settle=settle)), 5, 800)
