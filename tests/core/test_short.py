"""Parts of agents that are kept for short tasks: who may take them, for how long, and that they come back."""

import pytest

from mesonb.core.books import Settings
from mesonb.core.calls import Accept, AgentJoined, Decline, Drain, RunningTask, Subscribe, TaskInfo, TaskUpdate, Undrain
from mesonb.core.events import Kill, Launch, OfferMade, Rejected, Updated
from mesonb.core.records import TaskState
from mesonb.core.resources import NOTHING, Resources
from mesonb.errors import OfferError
from mesonb.frameworks.base import Framework, OfferHandle
from mesonb.testing import Checked
from tests.helpers import kinds

S = 1_000_000
WHOLE = Resources(cpus=4, ports="31000-31003")
KEPT = Resources(cpus=1, ports=[31003])
JOIN = AgentJoined("agent-1", WHOLE, max_task_us=5 * S, short=Resources(cpus=1, ports=[31003]))


def begun(*calls, **settings) -> Checked:
    core = Checked(Settings(**settings))
    core.tell(JOIN, Subscribe("f"), *calls)
    return core


def test_an_offer_says_which_part_of_it_is_for_short_tasks() -> None:
    core = Checked()
    (made,) = kinds(core.tell(JOIN, Subscribe("f")), OfferMade)
    assert (made.resources, made.short, made.max_task_us) == (WHOLE, KEPT, 5 * S)
    core.tell(Decline("f", (made.offer,)), at_us=1)
    assert core.agents["agent-1"].short_free == KEPT


def test_short_tasks_take_it_first_and_are_killed_there() -> None:
    core = begun()
    launches = TaskInfo("brief", Resources(cpus=2, ports=1), short=True), TaskInfo("long", Resources(cpus=2, ports=1))
    needs = [event.needs for event in kinds(core.tell(Accept("f", ("offer-1",), launches, 0)), Launch)]
    assert needs == [Resources(cpus=2, ports=[31001]), Resources(cpus=2, ports=[31000])]
    assert core.tasks["brief"].short == Resources(cpus=1) and not core.tasks["long"].short
    assert kinds(core.tell(at_us=5 * S), Kill) == [Kill("agent-1", "brief")]
    core.tell(TaskUpdate("agent-1", "brief", TaskState.KILLED))
    assert kinds(core.tell(at_us=60 * S), Kill) == []


def test_a_short_task_that_finds_nothing_kept_has_all_the_time() -> None:
    core = begun()
    core.tell(
        Accept("f", ("offer-1",), (TaskInfo("t1", KEPT, short=True), TaskInfo("t2", Resources(cpus=1), short=True)), 0)
    )
    assert core.tasks["t1"].short == KEPT and core.tasks["t2"].short is None
    assert kinds(core.tell(at_us=60 * S), Kill) == [Kill("agent-1", "t1")]


@pytest.mark.parametrize("concurrency", ["pessimistic", "optimistic"])
@pytest.mark.parametrize(
    ("needs", "says"), [(Resources(cpus=4), "kept for short tasks"), (Resources(ports=[31003]), "kept for short tasks"),
                        (Resources(cpus=5), "kept for short tasks; long needs 5 cpus: 2 cpus too much")]
)  # fmt: skip
def test_other_tasks_get_none_of_it(concurrency, needs, says) -> None:
    core = begun(concurrency=concurrency)
    (said,) = kinds(core.tell(Accept("f", ("offer-1",), (TaskInfo("long", needs),))), Rejected)
    assert says in said.because


def test_two_short_tasks_do_not_fit_twice() -> None:
    core = begun()
    twice = tuple(TaskInfo(f"t{n}", Resources(cpus=3), short=True) for n in range(2))
    assert "cannot all have" in core.tell(Accept("f", ("offer-1",), twice))[0].because


def test_optimistic_offers_are_settled_part_by_part() -> None:
    core = begun(Subscribe("g"), concurrency="optimistic")
    mine = {offer.framework: offer for offer in core.offers.values()}
    assert mine["g"].short == KEPT and core.agents["agent-1"].short_free == KEPT
    core.tell(Accept("f", (mine["f"].id,), (TaskInfo("f/1", Resources(cpus=2)),)))
    late = (
        TaskInfo("g/1", Resources(cpus=2)),
        TaskInfo("g/2", Resources(cpus=1), short=True),
        TaskInfo("g/3", Resources(cpus=1)),
    )
    out = core.tell(Accept("g", (mine["g"].id,), late))
    assert [event.task for event in kinds(out, Launch)] == ["g/2", "g/3"]
    assert [event.task for event in kinds(out, Updated)] == ["g/1"]
    assert core.tasks["g/2"].short == Resources(cpus=1) and core.tasks["g/3"].short is None


def test_smaller_offers_hold_of_it_what_the_rest_cannot_give() -> None:
    core = begun(Subscribe("g"), Subscribe("h"), offer_size=Resources(cpus=2))
    assert [offer.short for offer in core.offers.values()] == [Resources(ports=[31003]), Resources(cpus=1)]


def test_a_part_needs_a_time_and_must_be_there() -> None:
    core = Checked()
    assert "max_task_us" in core.step(AgentJoined("a", WHOLE, short=KEPT), 0)[0].because
    assert "cannot be kept" in core.step(AgentJoined("a", WHOLE, max_task_us=1, short=WHOLE * 2), 0)[0].because
    core.tell(AgentJoined("a", WHOLE, max_task_us=1, short=Resources(ports=1)))
    assert core.agents["a"].short == Resources(ports=[31000])
    core.tell(AgentJoined("b", WHOLE, max_task_us=1, short=NOTHING))
    assert core.agents["b"].short is None


def test_what_is_adopted_takes_the_rest_first_and_has_its_time_anew() -> None:
    core = Checked(Settings(epoch=2))
    running = tuple(RunningTask(f"f/{n}", "f", Resources(cpus=2)) for n in range(2))
    core.tell(AgentJoined("agent-1", WHOLE, max_task_us=5 * S, short=KEPT, tasks=running), at_us=S)
    assert [task.short for task in core.tasks.values()] == [None, Resources(cpus=1)]
    core.tell(
        AgentJoined("brief", Resources(cpus=1), max_task_us=5 * S, tasks=(RunningTask("f/9", "f", Resources(cpus=1)),))
    )
    assert kinds(core.tell(at_us=6 * S), Kill) == [Kill("agent-1", "f/1"), Kill("brief", "f/9")]


def test_an_agent_that_is_drained_no_more_still_ends_them() -> None:
    core = begun()
    core.tell(Accept("f", ("offer-1",), (TaskInfo("long", Resources(cpus=1)), TaskInfo("brief", KEPT, short=True)), 0))
    core.tell(Drain("agent-1", 90 * S), Undrain("agent-1"), at_us=S)
    assert kinds(core.tell(at_us=99 * S), Kill) == [Kill("agent-1", "brief")]


# -- as a framework sees it -------------------------------------------------------------------------------------------


def offered() -> OfferHandle:
    return OfferHandle("offer-1", "agent-1", WHOLE, max_task_us=5 * S, short=KEPT)


def test_an_offer_has_room_for_short_tasks_and_for_others() -> None:
    offer = offered()
    assert (
        offer.fits(Resources(cpus=3))
        and not offer.fits(Resources(cpus=4))
        and offer.fits(Resources(cpus=4), short=True)
    )
    with pytest.raises(OfferError, match=r"3 cpus.* not short=True, 1 cpu"):
        offer.launch(print, needs=Resources(cpus=4))
    assert offer.launch(print, needs=Resources(cpus=1, ports=1), short=True).short
    assert offer.short == Resources(ports=[31003])
    assert offer.fits(Resources(cpus=3)) and offer.left == Resources(cpus=3, ports="31001-31003")


def test_a_framework_may_say_that_all_its_tasks_are_short() -> None:
    class Brief(Framework):
        short_tasks = True

    class Registered:
        framework = Brief()

    offer = offered()
    offer.driver = Registered()
    assert offer.fits(Resources(cpus=4))
    assert not offer.fits(Resources(cpus=4), short=False)
