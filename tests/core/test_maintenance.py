"""Maintenance: announced, asked about, begun, over; agents that come and go meanwhile; plans that cannot be."""

import pytest

import mesonb as mb
from mesonb.core.calls import (
    Accept,
    AcceptInverse,
    AgentBack,
    AgentJoined,
    AgentLost,
    AgentUnreachable,
    Decline,
    DeclineInverse,
    Drain,
    EndMaintenance,
    PlanMaintenance,
    RunningTask,
    Subscribe,
    TaskInfo,
    TaskUpdate,
    Undrain,
)
from mesonb.core.events import InverseOfferMade, InverseRescinded, Kill, OfferMade, Rejected, Rescinded, Revoked
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.errors import BadValue, NotThere
from tests.helpers import kinds

S = 1_000_000
CPU = Resources(cpus=1)
PLAN = PlanMaintenance("agent-1", 10 * S, 60 * S, 5 * S, "a new disk")


def test_whoever_is_there_is_asked_and_offers_say_when_it_closes(core) -> None:
    out = core.tell(PLAN, at_us=S)
    (asked,) = kinds(out, InverseOfferMade)
    assert (asked.framework, asked.start_us, asked.lasts_us, asked.because) == ("f", 11 * S, 60 * S, "a new disk")
    assert kinds(out, Rescinded)
    assert [offer.closes_us for offer in kinds(out, OfferMade)] == [11 * S]


def test_it_begins_and_ends(core) -> None:
    core.tell(PLAN, at_us=S)
    out = core.tell(at_us=11 * S)
    assert [(event.task, event.kill_us) for event in kinds(out, Revoked)] == [("t", 16 * S)]
    assert kinds(out, Rescinded) and kinds(out, InverseRescinded) and not kinds(out, OfferMade)
    assert [event.task for event in kinds(core.tell(at_us=16 * S), Kill)] == ["t"]
    assert not kinds(core.tell(TaskUpdate("agent-1", "t", TaskState.KILLED), at_us=17 * S), OfferMade)
    assert core.next_deadline() == 71 * S
    (offer,) = kinds(core.tell(at_us=71 * S), OfferMade)
    assert (offer.resources, offer.closes_us) == (CPU * 2, 0)


def test_who_declines_may_be_asked_again_and_who_accepts_is_not(core) -> None:
    core.tell(PLAN, DeclineInverse("f", ("inverse-1",), 3 * S), at_us=S)
    assert [event.inverse for event in kinds(core.tell(at_us=4 * S), InverseOfferMade)] == ["inverse-2"]
    core.tell(AcceptInverse("f", ("inverse-2",)))
    assert core.windows["agent-1"].inverses["f"].answer == "accepted"
    assert not kinds(core.tell(at_us=9 * S), InverseOfferMade)


def test_who_declined_and_has_left_is_not_asked_again(core) -> None:
    core.tell(PLAN, DeclineInverse("f", ("inverse-1",), 3 * S), TaskUpdate("agent-1", "t", TaskState.FINISHED), at_us=S)
    assert not kinds(core.tell(at_us=4 * S), InverseOfferMade)
    assert core.next_deadline() > 4 * S


def test_who_registers_again_is_asked_again(core) -> None:
    core.tell(PLAN)
    assert [event.inverse for event in kinds(core.tell(Subscribe("f")), InverseOfferMade)] == ["inverse-2"]


def test_a_plan_is_replaced_or_called_off(core) -> None:
    core.tell(PLAN)
    out = core.tell(PlanMaintenance("agent-1", 20 * S))
    assert kinds(out, InverseRescinded) and kinds(out, InverseOfferMade)[0].start_us == 20 * S + 1
    assert kinds(core.tell(EndMaintenance("agent-1"), at_us=2), InverseRescinded)
    assert not kinds(core.tell(at_us=25 * S), Revoked)
    assert list(core.tasks) == ["t"]


def test_without_an_end_it_lasts_until_somebody_says_so(core) -> None:
    core.tell(PlanMaintenance("agent-1"))
    assert core.agents["agent-1"].closed and not core.offers
    core.tell(TaskUpdate("agent-1", "t", TaskState.KILLED))
    assert core.next_deadline() is None
    assert kinds(core.tell(EndMaintenance("agent-1"), at_us=3), OfferMade)


def test_a_window_belongs_to_the_name(core) -> None:
    core.tell(PLAN)
    core.tell(AgentLost("agent-1"), at_us=2)
    assert not kinds(core.tell(AgentJoined("agent-1", CPU), at_us=20 * S), OfferMade)
    assert kinds(core.tell(at_us=71 * S), OfferMade)
    core.tell(PlanMaintenance("agent-1", 10 * S), AgentLost("agent-1"))
    before = RunningTask("old", "f", CPU)
    assert kinds(core.tell(AgentJoined("agent-1", CPU, tasks=(before,))), InverseOfferMade)
    assert core.agents["agent-1"].closes_us == 81 * S


def test_a_plan_for_an_agent_that_is_gone_begins_and_ends_all_the_same(core) -> None:
    core.tell(PLAN, AgentLost("agent-1"), at_us=S)
    core.tell(at_us=11 * S)
    assert core.windows["agent-1"].begun
    core.tell(at_us=71 * S)
    assert not core.windows and core.next_deadline() is None


def test_who_is_elsewhere_is_not_asked(core) -> None:
    core.tell(PLAN)
    assert not kinds(core.tell(Subscribe("g"), Subscribe("g")), InverseOfferMade)


def test_out_of_sight_when_it_begins_it_is_closed_when_it_is_back(core) -> None:
    core.tell(PLAN, AgentUnreachable("agent-1"), at_us=2)
    core.tell(at_us=11 * S)
    out = core.tell(AgentBack("agent-1", (RunningTask("t", "f", CPU),)), at_us=12 * S)
    assert not kinds(out, OfferMade) and "maintenance" in core.agents["agent-1"].closed
    assert kinds(core.tell(at_us=16 * S), Kill)


def test_an_agent_that_was_drained_besides_is_closed_until_both_are_over(core) -> None:
    core.tell(PLAN, Drain("agent-1", 100 * S), at_us=2)
    core.tell(at_us=11 * S)
    assert not kinds(core.tell(Undrain("agent-1"), at_us=12 * S), OfferMade)
    assert "maintenance" in core.agents["agent-1"].closed
    core.tell(at_us=72 * S)
    core.tell(PLAN, Drain("agent-1", 100 * S))
    core.tell(at_us=83 * S)
    assert not kinds(core.tell(EndMaintenance("agent-1")), OfferMade)
    assert kinds(core.tell(Undrain("agent-1")), OfferMade)


@pytest.mark.parametrize(
    "call",
    [
        PlanMaintenance("agent-9"),
        PlanMaintenance("agent-1", -1),
        EndMaintenance("agent-1"),
        AcceptInverse("f", ()),
        AcceptInverse("f", ("inverse-7",)),
        DeclineInverse("nobody", ("inverse-1",)),
    ],
)
def test_what_cannot_be(core, call) -> None:
    assert isinstance(core.tell(call)[0], Rejected)


def test_it_cannot_be_planned_while_it_goes_on_or_while_the_agent_drains(core) -> None:
    assert kinds(core.tell(Drain("agent-1"), PLAN), Rejected)
    core.tell(Undrain("agent-1"))
    core.tell(PlanMaintenance("agent-1"))
    assert isinstance(core.tell(PLAN)[0], Rejected)


class Leaver(mb.Framework):
    """Runs one long task, and leaves when it is asked to."""

    needs = CPU

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    def on_offers(self, offers) -> None:
        lasting = [offer for offer in offers if not offer.closes_s]
        if lasting and not self.tasks:
            lasting[0].launch(abs, 1)

    def on_inverse_offers(self, offers) -> None:
        for offer in offers:
            self.asked.append((offer.agent, offer.starts_s))
            offer.accept()
            for task in self.tasks.values():
                self.kill(task)


def test_a_framework_leaves_an_agent_in_time_and_the_operator_sees_it() -> None:
    sim = mb.Simulation(agents=2)
    sim.runs_for(abs, "1h", execute=False)
    leaver = sim.register(Leaver(), name="leaver")
    sim.run("1s")
    (task,) = leaver.tasks.values()
    sim.maintain(task.agent, after="10s", lasts="1min")
    sim.run("1s")
    assert sim.maintenance[task.agent].answers == {"leaver": "accepted"}
    sim.run("20s")
    assert leaver.asked == [(task.agent, 11.0)]
    (moved,) = leaver.tasks.values()
    assert moved.agent != task.agent and sim.maintenance[task.agent].begun
    assert sim.core.frameworks["leaver"].counts["killed"] == 1
    sim.end_maintenance(task.agent)
    assert not sim.maintenance and not sim.core.agents[task.agent].closed
    with pytest.raises(NotThere, match="no maintenance is planned for 'agent-1'; there are: none"):
        sim.end_maintenance("agent-1")
    with pytest.raises(BadValue):
        sim.maintain("agent-1", after="soon")


def test_those_who_declined_are_asked_again_each_in_its_time(core) -> None:
    core.tell(Decline("f", tuple(core.offers)), Subscribe("g"))
    core.tell(Accept("g", tuple(core.frameworks["g"].offers), (TaskInfo("g/t", CPU),)))
    first, second = kinds(core.tell(PLAN), InverseOfferMade)
    core.tell(*(DeclineInverse(one.framework, (one.inverse,), n * S) for n, one in ((1, first), (2, second))))
    asked = kinds(core.tell(at_us=core.now_us + S), InverseOfferMade)
    assert [event.framework for event in asked] == [first.framework]
    assert [event.framework for event in kinds(core.tell(at_us=core.now_us + S), InverseOfferMade)] == [
        second.framework
    ]
