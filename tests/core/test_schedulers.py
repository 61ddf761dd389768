"""Several schedulers of one framework: one speaks for it, others stand by; tasks stay whoever it is."""

import pytest

import mesonb as mb
from mesonb.core.books import Settings
from mesonb.core.calls import Accept, AgentJoined, By, Disconnect, KillTask, Subscribe, TaskInfo, Unregister
from mesonb.core.events import Kill, Launch, OfferMade, Rejected, Rescinded, StandsBy, Subscribed, Superseded, Updated
from mesonb.core.resources import Resources
from mesonb.errors import BadValue
from mesonb.testing import Checked
from tests.helpers import kinds

S = 1_000_000
CPU = Resources(cpus=1)


@pytest.fixture
def core() -> Checked:
    """Scheduler a of f runs a task and holds an offer; b and c stand by."""
    core = Checked(Settings(failover_timeout_us=60 * S))
    core.tell(Subscribe("f", scheduler="a"), AgentJoined("agent-1", CPU * 2))
    core.tell(By("a", Accept("f", ("offer-1",), (TaskInfo("t", CPU),), 0)))
    for name in "bc":
        (waits,) = kinds(core.tell(Subscribe("f", scheduler=name, standby=True)), StandsBy)
        assert (waits.scheduler, waits.because) == (name, "a is active")
    core.tell(at_us=1)
    return core


def test_who_stands_by_changes_nothing(core) -> None:
    assert core.incarnations["f"] == 1
    assert "a is active" in kinds(core.tell(By("b", KillTask("f", "t"))), Rejected)[0].because
    assert kinds(core.tell(By("a", KillTask("f", "t"))), Kill)


def test_the_first_that_stands_by_goes_on_and_tasks_stay(core) -> None:
    out = core.tell(Disconnect("f", "a"))
    (now,) = kinds(out, Subscribed)
    assert (now.scheduler, now.incarnation, now.tasks) == ("b", 2, ("t",))
    assert kinds(out, Rescinded) and not kinds(out, Superseded | Kill)
    assert kinds(core.tell(at_us=2), OfferMade)
    assert kinds(core.tell(By("a", KillTask("f", "t"))), Rejected)
    assert kinds(core.tell(Disconnect("f", "b")), Subscribed)[0].scheduler == "c"
    assert not core.away


def test_who_registers_takes_over_and_the_one_before_is_told(core) -> None:
    out = core.tell(Subscribe("f", scheduler="d"))
    assert out[0] == Superseded("f", "a", "d took over")
    assert kinds(out, Subscribed)[0].tasks == ("t",)
    (refused,) = kinds(core.tell(By("a", Accept("f", ("offer-3",), (TaskInfo("u", CPU),)))), Rejected)
    assert "a does not speak for f; d is active; register again to take over" in refused.because
    assert not kinds(core.tell(Subscribe("f", scheduler="d")), Superseded)  # the same one again


def test_a_refused_scheduler_loses_nothing_of_the_active_one(core) -> None:
    """What a stale scheduler wanted launched is nobody's task: the active one is not told that it is lost."""
    (offer,) = core.offers
    out = core.tell(By("b", Accept("f", (offer,), (TaskInfo("u", CPU),))))
    assert kinds(out, Rejected) and not kinds(out, Updated | Launch)
    assert offer in core.offers


def test_only_when_nobody_stands_by_it_waits_and_in_the_end_is_killed(core) -> None:
    for name in "abc":
        core.tell(Disconnect("f", name))
    assert "f" in core.away and not core.offers
    assert [event.task for event in kinds(core.tell(at_us=60 * S + 1), Kill)] == ["t"]
    assert not core.lines


def test_one_that_comes_while_nobody_is_active_is_active_at_once(core) -> None:
    for name in "abc":
        core.tell(Disconnect("f", name))
    out = core.tell(Subscribe("f", scheduler="e", standby=True))
    assert kinds(out, Subscribed)[0].scheduler == "e" and not kinds(out, Superseded)


def test_one_that_stood_by_may_be_lost_too(core) -> None:
    assert core.tell(Disconnect("f", "b")) == []
    assert kinds(core.tell(Disconnect("f", "a")), Subscribed)[0].scheduler == "c"
    assert "b is no scheduler of f; c is active" in kinds(core.tell(Disconnect("f", "b")), Rejected)[0].because


def test_a_framework_that_leaves_needs_nobody_to_stand_by(core) -> None:
    out = core.tell(By("a", Unregister("f")))
    assert {event.scheduler for event in kinds(out, Superseded)} == {"b", "c"}


def test_a_framework_may_begin_with_one_that_has_no_name() -> None:
    core = Checked()
    core.tell(Subscribe("f"))
    assert kinds(core.tell(Subscribe("f", scheduler="b", standby=True)), StandsBy)[0].because == "another is active"
    assert kinds(core.tell(Subscribe("f", scheduler="b")), Superseded)[0].scheduler == ""
    assert kinds(core.tell(Subscribe("f")), Superseded)[0].scheduler == "b"


@pytest.mark.parametrize("call", [Subscribe("f", standby=True), By("a", KillTask("nobody", "t"))])
def test_what_cannot_be(core, call) -> None:
    assert kinds(core.tell(call), Rejected)


# -- the same with frameworks in virtual time -------------------------------------------------------------------------


class Keeper(mb.Framework):
    """Keeps four tasks running; says what it was told of itself."""

    needs = CPU

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_registered(self, tasks) -> None:
        self.heard.append(f"registered with {len(tasks)}")

    def on_offers(self, offers) -> None:
        wanted = 4 - len(self.tasks)
        for offer in offers:
            while wanted and offer.fits(self.needs):
                offer.launch(abs, 1)
                wanted -= 1

    def on_unregistered(self, because) -> None:
        self.heard.append(because)


def begun() -> tuple[mb.Simulation, Keeper, Keeper]:
    sim = mb.Simulation(agents=2)
    sim.runs_for(abs, "10min", execute=False)
    first = sim.register(Keeper(), name="f", scheduler="a")
    second = sim.register(Keeper(), name="f", scheduler="b", standby=True)
    sim.run("1s")
    return sim, first, second


def test_a_scheduler_that_stands_by_goes_on_with_what_runs() -> None:
    sim, first, second = begun()
    assert (first.heard, second.heard) == (["registered with 0"], [])
    assert len(first.tasks) == 4 and not second.tasks and sim.framework("f") is first
    sim.disconnect("f")
    sim.run("1s")
    assert sim.framework("f") is second and len(second.tasks) == 4
    assert second.heard == ["registered with 4"]
    assert first.heard == ["registered with 0", "b goes on with 'f'"]
    second.kill(next(iter(second.tasks)))
    sim.run("10s")
    assert len(second.tasks) == 4 and sim.core.frameworks["f"].counts["killed"] == 1


def test_the_calls_of_one_that_was_taken_over_are_refused_and_it_hears_of_it() -> None:
    sim, first, _ = begun()
    third = sim.register(Keeper(), name="f", scheduler="c")
    sim.run("1s")
    assert first.heard[-1] == "another framework was registered as 'f'"
    first.kill(next(iter(third.tasks)))
    sim.run("1s")
    assert sim.core.frameworks["f"].counts.get("killed", 0) == 0
    refused = [
        complaint for complaint in sim.schedulers["f", "a"].complaints if "does not speak for f" in complaint.error
    ]
    assert [complaint.callback for complaint in refused] == ["killtask"]


def test_one_that_stands_by_needs_a_name() -> None:
    with pytest.raises(BadValue, match="needs a name"):
        mb.Simulation().register(Keeper(), name="f", standby=True)
