"""Frameworks in several roles: each offer is for one of them, and what it becomes counts for that one."""

import copy
from dataclasses import replace
from random import Random

import pytest

import mesonb as mb
from mesonb.core.books import Settings
from mesonb.core.branches import owner_of
from mesonb.core.calls import (
    Accept,
    AcceptAll,
    AcceptInverse,
    Acknowledge,
    AgentBack,
    AgentJoined,
    AgentLost,
    AgentUnreachable,
    Decline,
    Disconnect,
    Drain,
    KillTask,
    PlanMaintenance,
    Reconcile,
    Revive,
    RunningTask,
    SetLimit,
    SetWeight,
    Subscribe,
    Suppress,
    TaskInfo,
    TaskUpdate,
    Unregister,
)
from mesonb.core.events import (
    Acknowledged,
    AgentGone,
    InverseOfferMade,
    Kill,
    Launch,
    OfferMade,
    Rejected,
    Rescinded,
    Subscribed,
    Updated,
)
from mesonb.core.explain import explain, why_not
from mesonb.core.invariants import check
from mesonb.core.limits import Why
from mesonb.core.log import Log
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import ROLES, Checked, arbitrary_call
from tests.helpers import kinds

S = 1_000_000
CPU = Resources(cpus=1)
BOTH = Subscribe("f", "a", roles=("b",))


def offers(core) -> dict[str, str]:
    """The outstanding offers of f, by role."""
    return {record.role: offer for record in core.family("f") for offer in record.offers}


@pytest.fixture
def core() -> Checked:
    """f is in roles a and b, and holds an offer in each."""
    core = Checked(Settings(offer_size=CPU, offer_timeout_us=0, failover_timeout_us=60 * S))
    out = core.tell(BOTH, AgentJoined("agent-1", CPU * 2), AgentJoined("agent-2", CPU * 2))
    assert {(offer.framework, offer.role) for offer in kinds(out, OfferMade)} == {("f", "a"), ("f", "b")}
    return core


def launched(core, role: str, task: str) -> list:
    return core.tell(Accept("f", (offers(core)[role],), (TaskInfo(task, CPU),), 0))


def test_what_is_launched_counts_for_the_role_of_its_offer(core) -> None:
    (launch,) = kinds(launched(core, "b", "t"), Launch)
    assert (launch.framework, launch.role) == ("f", "b")
    assert core.roles["b"].frameworks["f@b"].in_tasks == CPU and not core.frameworks["f"].tasks
    assert core.allocated_to("f") == core.roles["a"].allocated + core.roles["b"].allocated
    out = core.tell(TaskUpdate("agent-1", "t", TaskState.RUNNING), TaskUpdate("agent-2", "t", TaskState.RUNNING))
    assert [event.framework for event in kinds(out, Updated)] == ["f"]


def test_turns_go_by_the_share_of_each_role() -> None:
    core = Checked(Settings(offer_size=CPU))
    core.tell(BOTH, SetWeight("b", 3000))
    for number in range(8):
        core.tell(AgentJoined(f"agent-{number}", CPU))
        name, role = next((o.id, core.frameworks[o.framework].role) for o in core.offers.values())
        core.tell(Accept("f", (name,), (TaskInfo(f"t{number}", CPU),), 0), at_us=number + 1)
        assert role in "ab"
    assert {role: core.roles[role].allocated.cpus for role in "ab"} == {"a": 2, "b": 6}


def test_a_limit_holds_for_its_role_alone(core) -> None:
    launched(core, "b", "t")
    core.tell(SetLimit("b", CPU, force=True), *(Decline("f", (offer,), 0) for offer in list(core.offers)))
    out = core.tell(at_us=1)
    assert {offer.role for offer in kinds(out, OfferMade)} == {"a"}


def test_suppress_and_revive_go_by_role(core) -> None:
    answers = [Decline("f", (offer,), 0) for offer in list(core.offers)]
    out = core.tell(Suppress("f", ("a",)), *answers, at_us=1)
    assert {offer.role for offer in kinds(out, OfferMade)} == {"b"}
    answers = [Decline("f", (offer,), 60 * S) for offer in list(core.offers)]
    assert not kinds(core.tell(Suppress("f"), *answers, at_us=2), OfferMade)
    assert {offer.role for offer in kinds(core.tell(Revive("f", ("b",)), at_us=3), OfferMade)} == {"b"}
    out = core.tell(Revive("f"), *[Decline("f", (offer,), 60 * S) for offer in list(core.offers)], at_us=4)
    assert {offer.role for offer in kinds(out, OfferMade)} == {"a"}  # its filters in b are not those in a


def test_one_answer_is_for_one_role(core) -> None:
    agents = {core.frameworks[o.framework].role: o for o in core.offers.values() if o.agent == "agent-1"}
    whole = tuple(offer.id for offer in agents.values())
    if len(whole) > 1:
        (refused,) = kinds(core.tell(Accept("f", whole)), Rejected)
        assert "an answer is for one role; these are of" in refused.because
    gang = AcceptAll("f", tuple(Accept("f", (offer,)) for offer in offers(core).values()))
    assert "for one role" in kinds(core.tell(gang), Rejected)[0].because
    (offer,) = list(core.frameworks["f@b"].offers)[:1]
    alone = AcceptAll("f", (Accept("f", (offer,), (TaskInfo("t", CPU),)),))
    assert kinds(core.tell(alone), Launch)[0].role == "b"


@pytest.mark.parametrize(
    "call",
    [
        Suppress("f", ("c",)),
        Suppress("f@b"),
        KillTask("f", "never"),
        Accept("f", ("offer-99",)),
        Subscribe("g@b"),
        Subscribe("g", roles=("",)),
    ],
)
def test_what_cannot_be(core, call) -> None:
    assert isinstance(core.step(call, core.now_us)[0], Rejected)


def test_no_framework_is_called_as_a_branch_would_be() -> None:
    (refused,) = Checked().step(Subscribe("g@b"), 0)
    assert "'g@b' cannot be a name" in refused.because


def test_questions_kills_and_losses_know_no_roles(core) -> None:
    launched(core, "b", "t")
    launched(core, "a", "u")
    states = [(event.framework, event.task) for event in core.step(Reconcile("f"), core.now_us)]
    assert sorted(states) == [("f", "t"), ("f", "u")]
    asked = core.step(Reconcile("f", ("t", "never")), core.now_us)
    assert [(event.task, event.state.value) for event in asked] == [("t", "staging"), ("never", "lost")]
    assert [event.task for event in kinds(core.tell(KillTask("f", "t")), Kill)] == ["t"]
    gone = core.tell(AgentLost("agent-1"), AgentLost("agent-2"))
    assert [(event.framework, event.agent) for event in kinds(gone, AgentGone)] == [("f", "agent-1"), ("f", "agent-2")]
    assert {event.framework for event in kinds(gone, Updated)} == {"f"}


def test_failover_keeps_what_runs_in_every_role(core) -> None:
    launched(core, "b", "t")
    launched(core, "a", "u")
    assert {event.framework for event in kinds(core.tell(Disconnect("f")), Rescinded)} == {"f"}
    assert core.away.keys() == {"f", "f@b"}
    out = core.tell(BOTH, at_us=1)
    (registered,) = kinds(out, Subscribed)
    assert (registered.framework, set(registered.tasks)) == ("f", {"t", "u"})
    assert {offer.role for offer in kinds(out, OfferMade)} == {"a", "b"}


def test_one_that_never_comes_back_is_ended_in_every_role(core) -> None:
    launched(core, "b", "t")
    launched(core, "a", "u")
    core.tell(Disconnect("f"))
    assert {event.task for event in kinds(core.tell(at_us=61 * S), Kill)} == {"t", "u"}
    for task, agent in [(task.id, task.agent) for task in core.tasks.values()]:
        core.tell(TaskUpdate(agent, task, TaskState.KILLED))
    assert not core.frameworks and not core.families


def test_a_role_that_it_leaves_keeps_its_tasks(core) -> None:
    launched(core, "b", "t")
    assert kinds(core.tell(Subscribe("f", "a")), Subscribed)[0].tasks == ("t",)
    assert list(core.tasks) == ["t"] and core.roles["b"].allocated == CPU
    assert not kinds(core.tell(at_us=1), Kill) and {record.role for record in core.family("f")} == {"a", "b"}
    out = core.tell(TaskUpdate(core.tasks["t"].agent, "t", TaskState.FINISHED), at_us=2)
    assert kinds(out, Updated)[0].framework == "f" and not core.families


def test_it_may_leave_all_at_once(core) -> None:
    launched(core, "b", "t")
    assert [event.task for event in kinds(core.tell(Unregister("f")), Kill)] == ["t"]
    core.tell(TaskUpdate(core.tasks["t"].agent, "t", TaskState.KILLED))
    assert not core.frameworks and not core.families


def test_a_new_master_adopts_each_task_in_the_role_that_it_was_launched_in() -> None:
    core = Checked(Settings(epoch=2))
    old = tuple(RunningTask(f"f.1/{role}", "f", CPU, role, epoch=1) for role in "ba")
    core.tell(AgentJoined("agent-1", CPU * 4, tasks=old))
    assert {role: core.roles[role].allocated for role in "ab"} == {"a": CPU, "b": CPU}
    out = core.tell(BOTH, at_us=1)
    assert set(kinds(out, Subscribed)[0].tasks) == {"f.1/a", "f.1/b"}
    assert {role: core.family("f")[n].in_tasks for n, role in enumerate("ba")} == {"a": CPU, "b": CPU}
    assert not core.away
    late = RunningTask("f.1/late", "f", CPU, "a", epoch=1)
    assert kinds(core.tell(AgentJoined("agent-2", CPU, tasks=(late,))), Updated)[0].framework == "f"
    assert core.roles["a"].allocated.cpus >= 2


def test_a_question_that_waits_is_answered_by_the_agent_that_comes_whatever_the_role() -> None:
    core = Checked(Settings(epoch=2, recovery_us=10 * S))
    core.tell(BOTH, Reconcile("f", ("f.1/t", "f.1/u")))
    here = RunningTask("f.1/t", "f", CPU, "b", epoch=1)
    assert [e.task for e in kinds(core.tell(AgentJoined("agent-1", CPU, tasks=(here,)), at_us=S), Updated)] == ["f.1/t"]
    assert [e.task for e in kinds(core.tell(at_us=10 * S), Updated)] == ["f.1/u"]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_against_a_framework_in_several_roles_is_removed_by_its_remedy(seed) -> None:
    core, dice, tried = MasterCore(Settings(seed=seed)), Random(seed), 0
    for _ in range(500):
        call = arbitrary_call(core, dice)
        if isinstance(call, Subscribe):
            call = replace(call, roles=tuple(dice.sample(ROLES, 2)))
        core.step(call, core.now_us + dice.randrange(S // 2))
        for record, agent in [(f, a) for f in core.frameworks.values() for a in core.agents.values()]:
            reason = why_not(core, record, agent)
            if reason and reason.calls and "@" in record.name and dice.random() < 0.3:
                cured, tried = copy.deepcopy(core), tried + 1
                assert (
                    not any("@" in getattr(call, "framework", "") for call in reason.calls) and "@" not in reason.remedy
                )
                for event in [event for remedy in reason.calls for event in cured.step(remedy, cured.now_us)]:
                    if isinstance(event, Kill):
                        cured.step(TaskUpdate(event.agent, event.task, TaskState.KILLED), cured.now_us)
                (same,) = [
                    one
                    for one in cured.family(owner_of(record.name))
                    if (one.role, one.leaving) == (record.role, False)
                ]
                now = why_not(cured, same, cured.agents[agent.name])
                assert now is None or now.why is not reason.why, reason
    assert tried > 20


def test_a_framework_in_several_roles_is_explained_role_by_role(core) -> None:
    core.tell(Suppress("f", ("b",)))
    said = explain(core, "f")
    assert said.sentence.startswith("in a: f has") and "in b: f@b has" in said.sentence
    assert "f.revive('b')" in said.remedies


@pytest.mark.parametrize(
    "shut", [(Drain("agent-1"),), (PlanMaintenance("agent-1"),), (PlanMaintenance("agent-1", 5), Drain("agent-1"))]
)
def test_whoever_closed_an_agent_can_open_it(core, shut) -> None:
    core.tell(*shut)
    core.tell(at_us=10)
    reason = why_not(core, core.frameworks["f"], core.agents["agent-1"])
    core.tell(*reason.calls)
    assert reason.why is Why.AGENT_CLOSED and "master." in reason.remedy and not core.agents["agent-1"].closed


def test_an_agent_that_is_back_finds_its_tasks_in_their_roles(core) -> None:
    launched(core, "b", "t")
    task = core.tasks["t"]
    core.tell(AgentUnreachable(task.agent))
    out = core.tell(AgentBack(task.agent, (RunningTask("t", "f", CPU, "b"),)), at_us=1)
    assert kinds(out, Updated)[0].state is TaskState.RUNNING and core.roles["b"].allocated.cpus >= 1


def test_maintenance_and_acknowledgements_reach_the_right_branch() -> None:
    core = Checked(Settings(offer_size=CPU, update_retry_us=5 * S))
    core.tell(BOTH, AgentJoined("agent-1", CPU * 2))
    launched(core, "b", "t")
    (asked,) = kinds(core.tell(PlanMaintenance("agent-1", 60 * S)), InverseOfferMade)
    assert asked.framework == "f" and not kinds(core.tell(AcceptInverse("f", (asked.inverse,))), Rejected)
    core.tell(TaskUpdate("agent-1", "t", TaskState.FINISHED))
    assert kinds(core.tell(at_us=5 * S), Updated)[0].framework == "f"
    assert kinds(core.tell(Acknowledge("f", ("t",))), Acknowledged)
    assert not core.unacknowledged


@pytest.mark.parametrize("seed", range(3))
def test_arbitrary_calls_of_frameworks_in_several_roles(seed) -> None:
    """Any calls in any order: the books balance, a rejection changes nothing, and no branch is ever spoken of outside."""
    core, dice = Checked(Settings(update_retry_us=3 * S if seed else 0, grace_us=2 * S)), Random(seed)
    log = Log(core.settings)
    for _ in range(700):
        call = arbitrary_call(core, dice)
        if isinstance(call, Subscribe) and dice.random() < 0.7:
            call = replace(call, roles=tuple(dice.sample(ROLES, dice.randrange(4))))
        now_us = core.now_us + dice.randrange(S)
        out = core.step(call, now_us)
        log.record(call, now_us, out)
        assert not [event for event in out if "@" in getattr(event, "framework", "")]
    check(core)
    assert any(offer.role for step in log.steps for offer in kinds(step.events, OfferMade))


class Parted(mb.Framework):
    """Runs one task in each of its roles, and says where."""

    needs = CPU

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}

    def on_offers(self, offers) -> None:
        for offer in offers:
            if offer.role not in self.runs:
                self.runs[offer.role] = offer.launch(abs, 1).id
                self.suppress(offer.role)


def test_a_framework_in_two_roles_in_virtual_time() -> None:
    sim = mb.Simulation(agents=3)
    sim.runs_for(abs, "1h", execute=False)
    parted = sim.register(Parted(), name="f", role=["lab", "eng/backend"])
    sim.run("10s")
    assert parted.runs.keys() == {"lab", "eng/backend"} and len(parted.tasks) == 2
    assert {row.role: row.share > 0 for row in sim.snapshot().roles if row.role != "eng"} == {
        "eng/backend": True,
        "lab": True,
    }
    parted.kill(parted.runs["eng/backend"])
    sim.run("1s")
    assert [task.id for task in parted.tasks.values()] == [parted.runs["lab"]]
    sim.unregister(parted)
    sim.run("1s")
    assert not sim.core.frameworks
