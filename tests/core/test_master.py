"""The master by example: the offer cycle, filters, rescinding, failover, losses, and what is turned down."""

import pytest

from mesonb.core.books import Settings
from mesonb.core.calls import (
    Accept,
    AgentJoined,
    AgentLost,
    Decline,
    KillTask,
    Pause,
    Resume,
    Revive,
    SetWeight,
    Subscribe,
    Suppress,
    TaskInfo,
    TaskUpdate,
    Tick,
    Unregister,
)  # fmt: skip
from mesonb.core.events import AgentGone, Kill, Launch, OfferMade, Rejected, Rescinded, Subscribed, Updated
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked
from tests.helpers import kinds

S = 1_000_000
MACHINE = Resources(cpus=4, mem="4GB")
SMALL = Resources(cpus=1, mem="1GB")


def offers(out) -> list[OfferMade]:
    return kinds(out, OfferMade)


@pytest.fixture
def core() -> Checked:
    """One agent, offered to f1."""
    core = Checked()
    core.tell(AgentJoined("agent-1", MACHINE), Subscribe("f1"))
    return core


def launch(core, *needs, offer=None, refuse_us=0) -> list:
    """Let whoever holds the oldest offer launch tasks on it."""
    offer = core.offers[offer] if offer else next(iter(core.offers.values()))
    tasks = tuple(TaskInfo(f"{offer.framework}/{offer.id}-{i}", n) for i, n in enumerate(needs, start=1))
    return core.tell(Accept(offer.framework, (offer.id,), tasks, refuse_us))


# -- the offer cycle ----------------------------------------------------------------------------------------------


def test_the_example_of_the_architecture_page() -> None:
    """4 cpus and 4 GB are offered to F1, which takes <2, 1 GB> and <1, 2 GB>; F2 is offered what is left."""
    core = Checked()
    out = core.tell(AgentJoined("agent-1", MACHINE), Subscribe("F1"), Subscribe("F2"))
    (first,) = offers(out)
    assert (first.framework, first.agent, first.resources) == ("F1", "agent-1", MACHINE)
    tasks = TaskInfo("F1/t1", Resources(cpus=2, mem="1GB")), TaskInfo("F1/t2", Resources(cpus=1, mem="2GB"))
    out = core.tell(Accept("F1", (first.offer,), tasks))
    assert [(e.task, e.agent) for e in kinds(out, Launch)] == [("F1/t1", "agent-1"), ("F1/t2", "agent-1")]
    (second,) = offers(out)
    assert (second.framework, second.resources) == ("F2", SMALL)


def test_what_a_task_held_is_offered_when_it_ends(core) -> None:
    launch(core, SMALL)
    task = next(iter(core.tasks))
    assert kinds(core.tell(TaskUpdate("agent-1", task, TaskState.RUNNING)), Updated)[0].state is TaskState.RUNNING
    core.tell(at_us=1)
    out = core.tell(TaskUpdate("agent-1", task, TaskState.FINISHED), at_us=2)
    assert kinds(out, Updated)[0].state is TaskState.FINISHED
    assert offers(out)[0].resources == SMALL


def test_offered_counts_as_allocated() -> None:
    core = Checked()
    core.tell(Subscribe("f1"), Subscribe("f2"), AgentJoined("agent-1", MACHINE), AgentJoined("agent-2", MACHINE))
    assert {o.framework for o in core.offers.values()} == {"f1", "f2"}


def test_an_agent_is_offered_once_a_framework_an_instant(core) -> None:
    offer = next(iter(core.offers))
    assert not offers(core.tell(Decline("f1", (offer,), 0)))
    assert core.next_deadline() == core.now_us + 1
    assert offers(core.tell(at_us=core.now_us + 1))


def test_an_offer_holds_at_most_offer_size() -> None:
    core = Checked(Settings(offer_size=Resources(cpus=1, mem="1GB")))
    out = core.tell(AgentJoined("agent-1", MACHINE), Subscribe("a"), Subscribe("b"))
    assert [(o.framework, o.resources) for o in offers(out)] == [("a", SMALL), ("b", SMALL)]


def test_roles_come_before_frameworks() -> None:
    """Alone in its role, f3 has as much of a claim as f1 and f2 together."""
    core = Checked()
    core.tell(Subscribe("f1", "lab"), Subscribe("f2", "lab"), Subscribe("f3", "office"))
    for number in range(4):
        core.tell(AgentJoined(f"agent-{number}", MACHINE))
    held = [o.framework for o in core.offers.values()]
    assert sorted(held) == ["f1", "f2", "f3", "f3"]


def test_a_role_of_weight_two_gets_twice_as_much() -> None:
    core = Checked()
    core.tell(SetWeight("lab", 2000), Subscribe("f1", "lab"), Subscribe("f2", "office"))
    core.tell(*(AgentJoined(f"agent-{number}", MACHINE) for number in range(9)))
    held = [o.framework for o in core.offers.values()]
    assert (held.count("f1"), held.count("f2")) == (6, 3)


def test_a_changed_weight_rescinds_what_is_offered(core) -> None:
    out = core.tell(SetWeight("*", 3000), at_us=1)
    assert "weight" in kinds(out, Rescinded)[0].because
    assert offers(out)


# -- filters, suppression, time -----------------------------------------------------------------------------------


def test_a_filter_lasts_exactly_as_long_as_it_says(core) -> None:
    core.tell(Decline("f1", tuple(core.offers)))
    assert core.next_deadline() == 5 * S
    assert not offers(core.tell(at_us=5 * S - 1))
    assert offers(core.tell(at_us=5 * S))


@pytest.mark.parametrize(("refuse_us", "lasts_us"), [(S, S), (-1, 5 * S), (10**18, 365 * 86_400 * S), (0, 1)])
def test_how_long_a_refusal_lasts(core, refuse_us, lasts_us) -> None:
    core.tell(Decline("f1", tuple(core.offers), refuse_us))
    assert core.next_deadline() == lasts_us


def test_a_filter_lets_more_than_was_refused_pass(core) -> None:
    launch(core, SMALL, SMALL, refuse_us=60 * S)
    task = next(iter(core.tasks))
    assert offers(core.tell(TaskUpdate("agent-1", task, TaskState.FINISHED), at_us=1))[0].resources == Resources(
        cpus=3, mem="3GB"
    )


def test_a_filter_is_for_one_framework_on_one_agent(core) -> None:
    core.tell(Decline("f1", tuple(core.offers)))
    assert offers(core.tell(Subscribe("f2")))[0].framework == "f2"
    assert offers(core.tell(AgentJoined("agent-2", MACHINE)))[0].framework == "f1"


def test_revive_forgets_filters(core) -> None:
    core.tell(Decline("f1", tuple(core.offers)))
    assert offers(core.tell(Revive("f1"), at_us=1))


def test_no_offers_while_suppressed(core) -> None:
    core.tell(Decline("f1", tuple(core.offers), 0), Suppress("f1"))
    assert not offers(core.tell(at_us=S))
    assert offers(core.tell(Revive("f1"), at_us=2 * S))


def test_an_unanswered_offer_is_rescinded_in_time(core) -> None:
    assert core.next_deadline() == 30 * S
    out = core.tell(at_us=30 * S)
    assert "30 s" in kinds(out, Rescinded)[0].because
    assert offers(out)


def test_no_offers_while_paused(core) -> None:
    core.tell(Pause(), Decline("f1", tuple(core.offers), 0))
    assert not offers(core.tell(at_us=S))
    assert offers(core.tell(Resume()))


def test_nothing_is_pending_without_offers_and_filters() -> None:
    assert Checked().next_deadline() is None


# -- frameworks and agents come and go ------------------------------------------------------------------------------


def test_failover_keeps_tasks_and_rescinds_offers(core) -> None:
    launch(core, SMALL)
    (rest,) = offers(core.tell(at_us=1))
    out = core.tell(Subscribe("f1"), at_us=2)
    (back,) = kinds(out, Subscribed)
    assert (back.incarnation, back.tasks) == (2, tuple(core.tasks))
    assert [e.offer for e in kinds(out, Rescinded)] == [rest.offer]
    assert offers(out)[0].resources == rest.resources


def test_failover_forgets_filters_and_may_change_the_role(core) -> None:
    core.tell(Decline("f1", tuple(core.offers)))
    out = core.tell(Subscribe("f1", "lab"), at_us=1)
    assert offers(out)
    assert core.roles["lab"].allocated == MACHINE


def test_a_framework_that_leaves_has_its_tasks_killed(core) -> None:
    launch(core, SMALL)
    out = core.tell(Unregister("f1"))
    (kill,) = kinds(out, Kill)
    assert "f1" in core.frameworks
    core.tell(TaskUpdate("agent-1", kill.task, TaskState.KILLED))
    assert not core.frameworks


def test_a_lost_agent_takes_its_tasks_and_offers_with_it(core) -> None:
    launch(core, SMALL)
    core.tell(at_us=1)
    out = core.tell(AgentLost("agent-1", "power"))
    assert kinds(out, Updated)[0].state is TaskState.LOST
    assert kinds(out, Rescinded)
    assert kinds(out, AgentGone) == [AgentGone("f1", "agent-1", "power")]
    assert not core.total
    assert offers(core.tell(AgentJoined("agent-1", SMALL)))


def test_a_task_is_killed_when_its_agent_says_so(core) -> None:
    launch(core, SMALL)
    task = next(iter(core.tasks))
    assert kinds(core.tell(KillTask("f1", task)), Kill)
    assert task in core.tasks
    core.tell(TaskUpdate("agent-1", task, TaskState.KILLED))
    assert core.ended[task] is TaskState.KILLED


def test_states_move_forward_and_repeats_change_nothing(core) -> None:
    launch(core, SMALL)
    task = next(iter(core.tasks))
    core.tell(TaskUpdate("agent-1", task, TaskState.RUNNING))
    assert not kinds(core.tell(TaskUpdate("agent-1", task, TaskState.STAGING)), Updated)
    assert not kinds(core.tell(TaskUpdate("agent-1", task, TaskState.RUNNING)), Updated)
    core.tell(TaskUpdate("agent-1", task, TaskState.FINISHED))
    assert core.step(TaskUpdate("agent-1", task, TaskState.FINISHED), core.now_us) == []


# -- what is turned down: Checked asserts that nothing changed ---------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (Subscribe(""), "name"),
        (Subscribe("f1", ""), "name"),
        (Unregister("nobody"), "no framework is called 'nobody'; there are: f1"),
        (Suppress("nobody"), "nobody"),
        (Revive("nobody"), "nobody"),
        (KillTask("f1", "f1/none"), "ended already"),
        (AgentJoined("agent-1", MACHINE), "here already"),
        (AgentJoined("agent-2", Resources()), "some resources"),
        (AgentLost("agent-9"), "no agent is called"),
        (TaskUpdate("agent-1", "f1/none", TaskState.RUNNING), "no task"),
        (SetWeight("*", 0), "more than zero"),
        (SetWeight("", 1), "name"),
        (Decline("f1", ("offer-9",)), "not held by f1"),
        (Decline("f1", ()), "at least one"),
        (Decline("f1", ("offer-1", "offer-1")), "once"),
        (Accept("f1", ("offer-9",), (TaskInfo("f1/t", SMALL),)), "not held"),
        (Accept("f1", ("offer-1",), (TaskInfo("f1/t", Resources(cpus=9)),)), "5 cpus too much"),
        (Accept("f1", ("offer-1",), (TaskInfo("f1/t", MACHINE), TaskInfo("f1/u", SMALL))), "too much"),
        (Accept("f1", ("offer-1",), (TaskInfo("f1/t", SMALL), TaskInfo("f1/t", SMALL))), "never used again"),
        (Accept("f1", ("offer-1",), (TaskInfo("f1/t", Resources()),)), "needs nothing"),
        (Accept("f1", ("offer-1",), (TaskInfo("", SMALL),)), "needs an id"),
    ],
)
def test_a_call_that_makes_no_sense_says_why(core, call, says) -> None:
    out = core.step(call, core.now_us)
    assert isinstance(out[0], Rejected)
    assert out[0].call == call
    assert says in out[0].because


def test_every_task_of_a_rejected_accept_is_lost(core) -> None:
    out = core.step(Accept("f1", ("offer-9",), (TaskInfo("f1/t", SMALL), TaskInfo("f1/u", SMALL))), core.now_us)
    assert [(e.task, e.state) for e in kinds(out, Updated)] == [("f1/t", TaskState.LOST), ("f1/u", TaskState.LOST)]


def test_an_id_is_never_used_again(core) -> None:
    launch(core, SMALL)
    core.tell(at_us=1)
    task = next(iter(core.tasks))
    core.tell(TaskUpdate("agent-1", task, TaskState.FINISHED), at_us=2)
    (offer,) = [o.id for o in core.offers.values() if o.resources == SMALL]
    (rejected,) = core.step(Accept("f1", (offer,), (TaskInfo(task, SMALL),)), core.now_us)
    assert "never used again" in rejected.because


def test_an_accept_takes_offers_of_one_agent(core) -> None:
    core.tell(AgentJoined("agent-2", MACHINE))
    rejected = core.step(Accept("f1", tuple(core.offers), ()), core.now_us)[0]
    assert "one agent" in rejected.because


def test_a_framework_cannot_use_anothers_offer(core) -> None:
    core.tell(Subscribe("f2"))
    assert isinstance(core.step(Decline("f2", ("offer-1",)), core.now_us)[0], Rejected)


def test_a_task_speaks_only_through_its_own_agent(core) -> None:
    core.tell(AgentJoined("agent-2", MACHINE))
    launch(core, SMALL, offer="offer-1")
    rejected = core.step(TaskUpdate("agent-2", next(iter(core.tasks)), TaskState.FINISHED), core.now_us)[0]
    assert "runs on agent-1" in rejected.because


def test_time_never_runs_backwards(core) -> None:
    core.step(Tick(), 10)
    core.step(Tick(), 5)
    assert core.now_us == 10


def test_a_core_has_slots_alone():
    """With a dict of so many attributes, CPython looks up each of its methods anew at each call: give the class __slots__."""
    unslotted = [kind.__name__ for kind in MasterCore.__mro__[:-1] if "__slots__" not in vars(kind)]
    assert not unslotted, f"give {', '.join(unslotted)} __slots__, with the names of what it adds"
