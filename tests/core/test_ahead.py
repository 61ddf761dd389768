"""Tasks that are launched ahead: what holds what at each moment, who comes first, and what becomes of them when things go wrong."""

import pytest

from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.calls import Accept, AgentJoined, LaunchNext, Subscribe, TaskInfo, TaskUpdate
from mesonb.core.explain import explain
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked

CPU = Resources(cpus=1)
RUNNING, FINISHED, KILLED, LOST = TaskState.RUNNING, TaskState.FINISHED, TaskState.KILLED, TaskState.LOST


def begun(tasks=("t",), settings=None, **agent) -> Checked:
    """A framework f, alone, with a cpu for each of some tasks."""
    core = Checked(settings)
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU * len(tasks), **agent))
    core.tell(Accept("f", ("offer-1",), tuple(TaskInfo(task, CPU) for task in tasks), 0))
    return core


@pytest.fixture
def core() -> Checked:
    """A task t, and n that comes after it."""
    core = begun()
    assert core.tell(LaunchNext("f", "t", "n")) == [events.Launch("agent-1", "f", "n", CPU, after="t")]
    return core


def ends(core, task, state=FINISHED) -> list[events.Event]:
    return core.tell(TaskUpdate("agent-1", task, state), at_us=core.now_us + 1)


def never(out) -> list[str]:
    """Of tasks that were handed back: why."""
    return [e.because for e in out if isinstance(e, events.Updated) and e.state is LOST and "never began" in e.because]


# -- in the books -----------------------------------------------------------------------------------------------------


def test_it_holds_nothing_until_the_first_ends_and_then_just_what_that_held(core) -> None:
    assert list(core.tasks) == ["t"] and core.frameworks["f"].allocated == CPU
    told = ends(core, "t")
    assert told == [events.Updated("f", "t", FINISHED)], "nothing is offered in between, and its start is implied"
    assert list(core.tasks) == ["n"] and core.tasks["n"].needs == CPU and not core.agents["agent-1"].free
    assert core.frameworks["f"].counts["launched"] == 2
    assert [type(event) for event in ends(core, "n")] == [events.Updated, events.OfferMade]


@pytest.mark.parametrize("state", [FINISHED, TaskState.FAILED, KILLED, LOST])
def test_however_the_first_ends_the_next_begins(core, state) -> None:
    ends(core, "t", state)
    assert core.tasks["n"].state is TaskState.STAGING
    assert core.tell(TaskUpdate("agent-1", "n", RUNNING)) == [events.Updated("f", "n", RUNNING)]


def test_a_chain_never_gives_its_place_away_while_nobody_else_wants_it() -> None:
    core = begun()
    for number in range(5):
        before = f"{number - 1}" if number else "t"
        core.tell(LaunchNext("f", before, str(number)))
        assert not any(isinstance(event, events.OfferMade) for event in ends(core, before))
    held_us = core.frameworks["f"].held_us(core.now_us + 7)
    assert held_us == {"cpus": 12_000}, "the area under its allocation has no gap and no overlap"


@pytest.mark.parametrize(
    ("call", "because"),
    [
        (LaunchNext("f", "t", "m"), "n comes after t already"),
        (LaunchNext("f", "t", "t"), "'t' was launched before"),
        (LaunchNext("f", "t", "n"), "'n' was launched before"),
        (LaunchNext("f", "t", ""), "needs an id"),
        (LaunchNext("nobody", "t", "m"), "no framework"),
        (TaskUpdate("agent-2", "n", RUNNING), "ahead on agent-1, not on agent-2"),
    ],
)
def test_what_makes_no_sense_is_refused_and_its_task_is_lost(core, call, because) -> None:
    refused, *rest = core.step(call, 0)
    assert isinstance(refused, events.Rejected) and because in refused.because
    assert [event.task for event in rest if event.task] == (["m"] if call == LaunchNext("f", "t", "m") else [])


def test_an_id_that_waits_is_used() -> None:
    core = begun(("t", "u"))
    core.tell(LaunchNext("f", "t", "n"))
    ends(core, "u")
    for tasks in (("n",), ("n", "m")):
        offer = next(iter(core.offers))
        out = core.step(Accept("f", (offer,), tuple(TaskInfo(task, CPU * 0.5) for task in tasks)), 0)
        assert isinstance(out[0], events.Rejected) and "'n' was launched before" in out[0].because


def test_after_what_has_ended_nothing_waits(core) -> None:
    ends(core, "t")
    assert never(core.tell(LaunchNext("f", "t", "late"))) == ["it never began: t is no live task"]
    assert core.frameworks["f"].counts["handed_back"] == 1


def test_the_next_keeps_which_ports_and_whose_reservation() -> None:
    core = Checked()
    ports = Resources(ports=[31000, 31001])
    core.tell(Subscribe("f", "ads"), AgentJoined("agent-1", CPU + ports, reserved=(("ads", CPU),)))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU + Resources(ports=1)),), 0), LaunchNext("f", "t", "n"))
    held = core.tasks["t"].needs, core.tasks["t"].reserved
    core.tell(TaskUpdate("agent-1", "t", FINISHED))
    assert (core.tasks["n"].needs, core.tasks["n"].reserved) == held
    core.tell(Subscribe("g", "eng"))
    core.tell(LaunchNext("f", "n", "m"))
    assert "m" in core.ahead, "what is reserved for its role nobody else is offered"


# -- nobody is passed over ----------------------------------------------------------------------------------------------


def test_whoever_has_less_comes_first_and_what_waits_is_withdrawn() -> None:
    core = begun(("t1", "t2"))
    core.tell(LaunchNext("f", "t1", "n1"), LaunchNext("f", "t2", "n2"))
    out = core.tell(Subscribe("g"))
    assert {event.task for event in out if isinstance(event, events.Withdraw)} == {"n1", "n2"}
    assert core.tell() == [], "it is asked once"
    assert never(ends(core, "n1", LOST)) == ["it never began: g comes first on agent-1"]
    assert [event.framework for event in ends(core, "t1") if isinstance(event, events.OfferMade)] == ["g"]
    ends(core, "t2")
    assert "n2" in core.tasks, "its agent had begun it before it heard"
    assert core.frameworks["f"].counts["handed_back"] == 1


def test_who_has_as_much_as_others_goes_on() -> None:
    core = begun(("t1", "t2"))
    core.tell(Subscribe("g"))
    ends(core, "t1")
    offer = next(iter(core.offers.values()))
    core.tell(Accept("g", (offer.id,), (TaskInfo("u", CPU),), 0))
    assert [type(e) for e in core.tell(LaunchNext("f", "t2", "n"), LaunchNext("g", "u", "m"))] == [events.Launch] * 2
    ends(core, "t2")
    assert list(core.tasks) == ["u", "n"] and list(core.ahead) == ["m"]


def test_it_is_handed_back_at_once_where_others_come_first_and_they_wait_no_longer_than_one_task() -> None:
    core = begun()
    core.tell(Subscribe("g"))
    assert never(core.tell(LaunchNext("f", "t", "n"))) == ["it never began: g comes first on agent-1"]
    assert [event.framework for event in ends(core, "t") if isinstance(event, events.OfferMade)] == ["g"]


def test_who_refused_the_agent_or_wants_nothing_is_not_waited_for() -> None:
    core = begun()
    core.tell(Subscribe("g"), Subscribe("idle"), calls.Suppress("idle"))
    ends(core, "t")
    offer = next(iter(core.offers.values()))
    assert offer.framework == "g"
    core.tell(calls.Decline("g", (offer.id,)))
    core.tell(at_us=2)
    offer = next(iter(core.offers.values()))
    out = core.tell(Accept("f", (offer.id,), (TaskInfo("u", CPU),), 0), LaunchNext("f", "u", "n"))
    assert "n" in core.ahead, out
    assert core.tell(at_us=calls.REFUSE_US + 1) == [events.Withdraw("agent-1", "n")], "the refusal is over"


def test_one_more_is_looked_at_whenever_one_begins() -> None:
    """On an agent that g refuses f's next is safe, on the other it is not; sooner or later that is noticed."""
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU), AgentJoined("agent-2", CPU))
    core.tell(*(Accept("f", (offer.id,), (TaskInfo(offer.agent, CPU),), 0) for offer in core.offers.values()))
    core.tell(LaunchNext("f", "agent-1", "n1"), LaunchNext("f", "agent-2", "n2"))
    core.tell(Subscribe("g", constraints=(("rack", "is", "a"),)))
    assert set(core.ahead) == {"n1", "n2"} and not any(n.withdrawn for n in core.ahead.values())
    first = next(iter(core.frameworks["f"].ahead))
    core.tell(LaunchNext("f", core.ahead[first].after, "again"))
    core.tell()
    assert next(iter(core.frameworks["f"].ahead)) == first, "each is looked at in turn"


@pytest.mark.parametrize("allocator", ["Lottery", "FIFO"])
def test_other_allocators_are_not_asked_so_all_others_come_first(allocator) -> None:
    core = begun()
    core.tell(calls.SetAllocator(allocator), LaunchNext("f", "t", "n"))
    assert "n" in core.ahead, "nobody else wants anything"
    core.tell(Subscribe("g"))
    assert core.ahead["n"].withdrawn == "g comes first on agent-1"
    core.tell(Subscribe("h", agents=("agent-2",)), calls.Suppress("g"), TaskUpdate("agent-1", "n", LOST))
    core.tell(LaunchNext("f", "t", "m"))
    assert "m" in core.ahead, "h wants something, but not this"


def test_a_guarantee_comes_first_and_a_limit_ends_it() -> None:
    core = begun()
    core.tell(LaunchNext("f", "t", "n"), Subscribe("g", "lab"), calls.SetGuarantee("lab", CPU))
    assert core.ahead["n"].withdrawn == "g comes first on agent-1"
    core = begun()
    core.tell(LaunchNext("f", "t", "n"), calls.SetLimit("*", CPU * 0.5, force=True))
    assert core.ahead["n"].withdrawn == "nobody comes first on agent-1"


def test_a_limit_that_it_keeps_is_no_reason() -> None:
    core = begun()
    core.tell(calls.SetLimit("*", CPU), LaunchNext("f", "t", "n"))
    assert "n" in core.ahead and not core.ahead["n"].withdrawn


def test_nothing_begins_while_the_master_is_paused(core) -> None:
    assert core.tell(calls.Pause()) == [events.Withdraw("agent-1", "n")]
    assert never(ends(core, "n", LOST)) == ["it never began: the master is paused"]
    assert never(core.tell(LaunchNext("f", "t", "m"))) == ["it never began: the master is paused"]


def test_to_ask_changes_nothing_of_the_books() -> None:
    core = begun(settings=Settings(min_allocatable=(CPU,)))
    core.tell(Subscribe("g"), calls.Suppress("g"))
    before = [(name, record.allocated, record.client.key[:3]) for name, record in core.frameworks.items()]
    with core._as_if_ended(core.tasks["t"], core.agents["agent-1"], core.frameworks["f"]):
        assert core.frameworks["f"].allocated != CPU
    core.order.settle()
    assert before == [(name, record.allocated, record.client.key[:3]) for name, record in core.frameworks.items()]


# -- taken back ---------------------------------------------------------------------------------------------------------


def test_what_is_taken_back_has_no_next() -> None:
    core = begun(("t1", "t2"))
    core.tell(LaunchNext("f", "t1", "n1"))
    assert events.Withdraw("agent-1", "n1") in core.tell(calls.Revoke("t1", 5))
    assert never(core.tell(calls.Revoke("t2", 5), LaunchNext("f", "t2", "n2"))) == [
        "it never began: what t2 holds is taken back"
    ]


def test_what_began_before_it_could_be_withdrawn_is_taken_back_in_its_place(core) -> None:
    core.tell(calls.Revoke("t", 5_000_000))
    told = ends(core, "t")
    assert events.Revoked("f", "n", 5_000_000, "an operator takes it back") in told
    assert core.tell(at_us=5_000_000) == [events.Kill("agent-1", "n")]


def test_what_began_after_the_grace_is_killed_at_once(core) -> None:
    core.tell(calls.Drain("agent-1"))
    assert core.tasks["t"].killing
    assert events.Kill("agent-1", "n") in ends(core, "t", KILLED)
    ends(core, "n", KILLED)
    assert not core.tasks and core.agents["agent-1"].closed


def test_what_is_killed_and_taken_back_is_killed_once(core) -> None:
    core.tell(calls.Drain("agent-1"), calls.KillTask("f", "n"))
    assert core.tasks["t"].killing
    assert not [event for event in ends(core, "t", KILLED) if isinstance(event, events.Kill)]


def test_a_drained_agent_takes_nothing_ahead_and_one_that_is_used_again_does(core) -> None:
    core.tell(calls.Drain("agent-1", 60_000_000), TaskUpdate("agent-1", "n", LOST))
    assert never(core.tell(LaunchNext("f", "t", "m"))) == ["it never began: agent-1 takes no tasks: it is draining"]
    core.tell(calls.Undrain("agent-1"), LaunchNext("f", "t", "o"))
    assert "o" in core.ahead


def test_a_revocation_that_was_not_needed_leaves_the_task_as_it_was() -> None:
    core = Checked(Settings(grace_us=1_000_000))
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU),), 0), LaunchNext("f", "t", "n"))
    out = core.tell(Subscribe("g", "lab"), calls.SetGuarantee("lab", CPU))
    out += core.tell()
    assert core.tasks["t"].asked and events.Withdraw("agent-1", "n") in out
    core.tell(calls.SetGuarantee("lab", Resources()), calls.Unregister("g"), at_us=500_000)
    core.tell(at_us=1_000_000)
    assert not core.tasks["t"].asked


def test_the_next_inherits_a_revocation_for_a_guarantee() -> None:
    core = Checked(Settings(grace_us=1_000_000))
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU),), 0), LaunchNext("f", "t", "n"))
    core.tell(Subscribe("g", "lab"), calls.SetGuarantee("lab", CPU))
    core.tell()
    ends(core, "t")
    assert core.revoking == {"n": "lab"}
    assert events.Kill("agent-1", "n") in core.tell(at_us=1_000_000)


def test_agents_for_short_tasks_take_nothing_ahead() -> None:
    core = begun(max_task_us=1_000_000)
    assert never(core.tell(LaunchNext("f", "t", "n"))) == ["it never began: agent-1 is for short tasks"]


def test_the_next_is_killed_before_its_turn_or_right_after(core) -> None:
    assert core.tell(calls.KillTask("f", "n")) == [events.Kill("agent-1", "n")]
    assert ends(core, "n", KILLED) == [events.Updated("f", "n", KILLED)]
    core.tell(LaunchNext("f", "t", "m"), calls.KillTask("f", "m"))
    ends(core, "t")
    assert core.tasks["m"].killing
    ends(core, "m", KILLED)
    assert not core.tasks and not core.dying


# -- seen ---------------------------------------------------------------------------------------------------------------


def test_it_is_explained_and_not_drawn_as_running(core) -> None:
    assert str(explain(core, "n")) == "n begins on agent-1 when t ends, with what that holds"
    assert "1 task, 1 more ahead and 0 offers" in str(explain(core, "f"))
