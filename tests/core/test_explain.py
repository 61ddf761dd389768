"""Why not: each reason by example, its remedy tried out, and both on arbitrary states."""

import copy
from collections import Counter
from random import Random

import pytest

from mesonb.core.books import Settings
from mesonb.core.branches import owner_of
from mesonb.core.calls import (
    Accept,
    AgentJoined,
    AgentUnreachable,
    Decline,
    Disconnect,
    Drain,
    KillTask,
    Pause,
    PlanMaintenance,
    Reconcile,
    SetGuarantee,
    SetLimit,
    Subscribe,
    Suppress,
    TaskInfo,
    TaskUpdate,
    Tick,
    Unregister,
)  # fmt: skip
from mesonb.core.events import Kill, OfferMade
from mesonb.core.explain import explain, summary, why_not
from mesonb.core.limits import Why
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked, arbitrary_call

MACHINE = Resources(cpus=4, mem="4GB")
SMALL = Resources(cpus=1, mem="1GB")
JOIN = AgentJoined("agent-1", MACHINE)


def after(*calls, **settings) -> Checked:
    core = Checked(Settings(**settings))
    core.tell(*calls)
    return core


CASES = {
    Why.LEFT: after(JOIN, Subscribe("f", min_offer=(SMALL,))),
    Why.AWAY: after(JOIN, Subscribe("f"), Disconnect("f")),
    Why.SUPPRESSED: after(Subscribe("f"), Suppress("f"), JOIN),
    Why.PAUSED: after(Subscribe("f"), Pause(), JOIN),
    Why.AGENT_CLOSED: after(Subscribe("f"), JOIN, Drain("agent-1"), PlanMaintenance("agent-1")),
    Why.CONSTRAINT: after(JOIN, Subscribe("f", constraints=(("rack", "exists", ""),))),
    Why.OWN_OFFER: after(JOIN, Subscribe("f")),
    Why.TURN: after(JOIN, Subscribe("e"), Subscribe("f")),
    Why.NOTHING_FREE: after(JOIN, Subscribe("f")),
    Why.RESERVED: after(AgentJoined("agent-1", SMALL, reserved=(("lab", SMALL),)), Subscribe("f")),
    Why.TOO_SMALL: after(JOIN, Subscribe("f", min_offer=(MACHINE * 2,))),
    Why.CAPABILITY: after(AgentJoined("agent-1", Resources(gpus=1)), Subscribe("f"), gpus_on_request=True),
    Why.LIMIT: after(Subscribe("f", "lab"), SetLimit("lab", SMALL), JOIN, AgentJoined("agent-2", SMALL)),
    Why.HEADROOM: after(JOIN, SetGuarantee("lab", MACHINE), Subscribe("f")),
    Why.FILTER: after(JOIN, Subscribe("f")),
    Why.TRIED: after(JOIN, Subscribe("f")),
}
CASES[Why.NOTHING_FREE].tell(Accept("f", ("offer-1",), (TaskInfo("f/t", MACHINE),)))
CASES[Why.LEFT].tell(Accept("f", ("offer-1",), (TaskInfo("f/t", SMALL),)), Unregister("f"))
CASES[Why.FILTER].tell(Decline("f", ("offer-1",)))
CASES[Why.TRIED].tell(Decline("f", ("offer-1",), 0))
#: What no call removes: another instant does.
BY_WAITING = {Why.TRIED}


def where(core, why) -> str:
    return "agent-2" if why is Why.LIMIT else "agent-1"


def test_the_list_is_closed_and_in_mesos_s_order() -> None:
    """Who wants none, then the agent, what its terms say, what is free and whose, how much, for whom, and until when."""
    assert [why.name for why in Why] == (
        "LEFT AWAY SUPPRESSED PAUSED AGENT_CLOSED CONSTRAINT OWN_OFFER TURN NOTHING_FREE RESERVED TOO_SMALL CAPABILITY LIMIT "
        "HEADROOM FILTER TRIED"
    ).split()
    assert set(CASES) == set(Why)


def carry_out(core, reason) -> None:
    """Do what a remedy says; agents do as they are told. Where no call can do it, another instant may."""
    for call in reason.calls:
        for event in core.step(call, core.now_us):
            if isinstance(event, Kill):
                core.step(TaskUpdate(event.agent, event.task, TaskState.KILLED), core.now_us)
    if not reason.calls:
        core.step(Reconcile("nobody"), core.now_us + 1)


@pytest.mark.parametrize("why", Why)
def test_each_reason_is_found_counted_and_removed_by_its_remedy(why) -> None:
    core = copy.deepcopy(CASES[why])
    framework = core.frameworks["f"]
    reason = why_not(core, framework, core.agents[where(core, why)])
    assert reason.why is why
    assert reason.remedy
    assert why in {found.why for found in summary(core, framework)}
    said = explain(core, "f")
    assert why.value in said.sentence and reason.remedy in repr(said)
    assert bool(reason.calls) == (why not in BY_WAITING)
    carry_out(core, reason)
    now = why_not(core, core.frameworks["f"], core.agents[where(core, why)])
    assert now is None or now.why is not why


def test_what_only_time_or_others_can_change_says_so() -> None:
    core = after(JOIN, Subscribe("f"), AgentUnreachable("agent-1"))
    assert why_not(core, core.frameworks["f"], core.agents["agent-1"]).calls == ()
    core = copy.deepcopy(CASES[Why.NOTHING_FREE])
    core.tell(KillTask("f", "f/t"))
    reason = why_not(core, core.frameworks["f"], core.agents["agent-1"])
    assert (
        reason.why is Why.NOTHING_FREE and reason.calls == () and reason.remedy == "wait until tasks end, or add agents"
    )


def test_room_is_made_by_the_most_recent_tasks_and_no_more_than_it_takes() -> None:
    core = after(AgentJoined("agent-1", SMALL * 4, min_offer=(SMALL * 2,)), Subscribe("f"))
    core.tell(Accept("f", ("offer-1",), tuple(TaskInfo(f"f/{n}", SMALL) for n in range(4)), 0))
    core.tell(TaskUpdate("agent-1", "f/0", TaskState.FINISHED), at_us=1)
    reason = why_not(core, core.frameworks["f"], core.agents["agent-1"])
    assert (reason.why, reason.calls) == (Why.TOO_SMALL, (KillTask("f", "f/3"),))
    assert reason.remedy == "wait until more is free there; or: master.kill('f/3')"
    core = after(AgentJoined("agent-1", SMALL, min_offer=(SMALL * 2,)), Subscribe("f"))
    assert why_not(core, core.frameworks["f"], core.agents["agent-1"]).calls == ()


@pytest.mark.parametrize(
    ("mine", "theirs", "says"),
    [
        ("lab", "ops", "master.weights['lab'] = 2"),
        ("eng/web", "eng/backend", "master.weights['eng/web'] = 2"),
        ("eng/web", "eng", "master.weights['eng/web'] = 2"),
        ("eng", "eng/web", "role='f'); master.weights['f'] = 2"),
        ("f", "f", "role='f-own'); master.weights['f-own'] = 2"),
    ],
)
def test_a_turn_comes_sooner_with_more_weight(mine, theirs, says) -> None:
    core = after(JOIN, Subscribe("e", theirs))
    core.tell(Subscribe("f", mine))
    reason = why_not(core, core.frameworks["f"], core.agents["agent-1"])
    assert reason.why is Why.TURN and says in reason.remedy
    core.tell(*reason.calls, at_us=1)
    assert [offer.framework for offer in core.offers.values()][:1] in (["f"], ["e"])


@pytest.mark.parametrize(
    ("rule", "why", "says"),
    [
        (SetLimit("lab", Resources(cpus=1)), Why.LIMIT, "lab has 1 cpu of 1 cpu"),
        (SetGuarantee("ops", Resources(cpus=3)), Why.HEADROOM, "ops lacks 3 cpus"),
    ],
)
def test_who_refused_what_was_left_is_told_what_cut_it(rule, why, says) -> None:
    """At its limit of cpus it was offered memory alone, and refused that: to forget the refusal would give it no cpu."""
    core = after(rule, Subscribe("f", "lab"), JOIN)
    core.tell(Accept("f", tuple(core.offers), (TaskInfo("f/1", Resources(cpus=1)),), 0), at_us=1)
    core.tell(Decline("f", tuple(core.offers)), at_us=2)
    reason = why_not(core, core.frameworks["f"], core.agents["agent-1"])
    assert (reason.why, reason.detail) == (why, says)
    (offer,) = (event for event in core.tell(*reason.calls, at_us=3) if isinstance(event, OfferMade))
    assert offer.resources.cpus == 3


def test_who_refused_what_is_of_no_use_is_told_what_is_out() -> None:
    core = after(Subscribe("f"), JOIN)
    core.tell(Accept("f", tuple(core.offers), (TaskInfo("f/1", Resources(cpus=4)),)))
    assert str(explain(core, "f", "agent-1").reasons[0]).startswith(
        "it refused as much: for 5 s more; of cpus nothing is free there"
    )
    assert explain(core, "f").remedies == ("f.revive(); or wait until tasks end",)


def test_a_share_that_needs_more_weight_gets_it() -> None:
    core = after(AgentJoined("a", SMALL * 8), AgentJoined("b", SMALL), Subscribe("f", "lab"), Subscribe("e", "ops"))
    core.tell(Accept("f", tuple(core.frameworks["f"].offers), (TaskInfo("f/1", SMALL * 7),), 0))
    reason = next(r for name in "ab" if (r := why_not(core, core.frameworks["f"], core.agents[name])).why is Why.TURN)
    assert reason.calls[0].weight_milli > 2000
    core.tell(*reason.calls, at_us=1)
    assert core.order.share(core.order.places["lab"]) > 0


def test_whoever_is_next_is_told_so_and_the_rest_behind_whom() -> None:
    core = after(Subscribe("e"), Subscribe("f"))
    core.step(JOIN, 0)
    assert explain(core, "e", "agent-1").sentence == "e may be offered agent-1, and is next"
    assert explain(core, "f", "agent-1").sentence == "f may be offered agent-1, behind e (share 0.00)"


WORLDS = (
    {}, {"gpus_on_request": True}, {"min_allocatable": (Resources(cpus=1),)}, {"offer_size": SMALL},
    {"concurrency": "optimistic"}, {"gpus_on_request": True, "agent_order": "shuffled"},
)  # fmt: skip


def test_on_arbitrary_states_remedies_are_true_and_what_is_left_over_is_offered() -> None:
    """Each remedy of a pair removes its reason; when none is left, and nobody else is there, an offer comes."""
    met, offered = Counter(), 0
    for seed in range(60):
        if seed >= 2 * len(WORLDS) and min(met[why] for why in Why) >= 3:
            break
        core, dice = MasterCore(Settings(seed=seed, **WORLDS[seed % len(WORLDS)])), Random(seed)
        core.step(AgentJoined("agent-1", MACHINE + Resources(gpus=1)), 0)
        for _ in range(400):
            core.step(arbitrary_call(core, dice), core.now_us + dice.randrange(500_000))
            pairs = [(f, agent) for f in core.frameworks for agent in core.agents]
            rarer = [pair for pair in pairs if met[reason_of(core, pair)] < 40]
            if rarer and dice.random() < 0.5:
                offered += cured(core, dice.choice(rarer), met)
    assert min(met[why] for why in Why) >= 3, met
    assert offered > 50


def reason_of(core, pair) -> Why | None:
    reason = why_not(core, core.frameworks[pair[0]], core.agents[pair[1]])
    return reason.why if reason else None


def cured(core, pair, met) -> bool:
    """Remove every reason of a pair on a copy, one after the other; return whether it was offered then."""
    core, seen = copy.deepcopy(core), list[Why]()
    while reason := why_not(core, core.frameworks[pair[0]], core.agents[pair[1]]):
        met[reason.why] += 1
        if not reason.calls and reason.why not in BY_WAITING:
            return False  # only tasks that are being killed, or the agent itself, can change that
        carry_out(core, reason)
        pair = heir(core, pair)
        assert reason_of(core, pair) is not reason.why, f"{reason} is still there"
        seen.append(reason.why)
        assert len(seen) < 40, seen
    others = [Suppress(name) for name in core.frameworks if name != pair[0]]
    for call in (*others, *(Drain(name, 10**12) for name in core.agents if name != pair[1])):
        core.step(call, core.now_us)  # so that nobody else, and nothing on other agents, uses up a limit before
    made = [event for event in core.step(Tick(), core.now_us) if isinstance(event, OfferMade)]
    if core.agents[pair[1]].closed:
        return False  # its maintenance began in this very turn
    assert pair in {(event.framework, event.agent) for event in made}, (pair, seen)
    return True


def heir(core, pair) -> tuple[str, str]:
    """A framework that registers anew is in its first role itself; what it had left there beside only ends."""
    owner, left = core.frameworks.get(owner_of(pair[0])), core.frameworks[pair[0]]
    return (owner.name, pair[1]) if owner and owner.role == left.role else pair


def test_who_alone_has_no_reason_against_it_gets_an_offer() -> None:
    assert sum(lone_takers(seed) for seed in range(6)) > 25


def lone_takers(seed) -> int:
    core, dice, seen = MasterCore(Settings(seed=seed)), Random(seed), 0
    for _ in range(2_000):
        core.step(arbitrary_call(core, dice), core.now_us + dice.randrange(500_000))
        core.expire_filters()
        free = {
            (found[0].name, agent.name)
            for agent in core.agents.values()
            if len(found := [f for f in core.frameworks.values() if why_not(core, f, agent) is None]) == 1
        }
        if free and not core.bounded_roles:
            made = {(e.framework, e.agent) for e in core.step(Tick(), core.now_us) if isinstance(e, OfferMade)}
            assert free <= made
            seen += len(free)
    return seen


def test_whatever_has_a_name_is_explained() -> None:
    core = after(JOIN, AgentJoined("agent-2", SMALL), Subscribe("f", "lab"), Subscribe("g"))
    core.tell(
        Accept("f", ("offer-2",), (TaskInfo("f/t", SMALL),), 0) if "offer-2" in core.frameworks["f"].offers else Tick()
    )
    holder = next(iter(core.offers.values()))
    for name in ("f", "lab", "agent-1", holder.id, *core.tasks):
        assert explain(core, name).sentence.split()[0] in (name, "role")
    assert explain(core, "nothing") is None


def test_a_framework_may_say_more_of_a_reason_than_the_books_know() -> None:
    told = explain(CASES[Why.SUPPRESSED], "f").saying(Why.SUPPRESSED, "nothing is queued", "f.map(train, rates)")
    assert told.sentence.endswith("it asked for no offers: nothing is queued")
    assert told.remedies == ("f.map(train, rates)",) and told.reasons[0].calls == ()
    assert explain(CASES[Why.SUPPRESSED], "f").saying(Why.LIMIT, "", "") == explain(CASES[Why.SUPPRESSED], "f")


def test_counts_cover_every_agent() -> None:
    core = after(Subscribe("f"), Subscribe("g"), *(AgentJoined(f"agent-{n}", SMALL) for n in range(10)))
    assert sum(reason.count for reason in summary(core, core.frameworks["f"])) == 10
    assert {reason.why: reason.count for reason in summary(core, core.frameworks["f"])} == {
        Why.OWN_OFFER: 5,
        Why.TURN: 5,
    }


def test_what_is_worth_knowing_is_added_to_the_sentence() -> None:
    told = explain(CASES[Why.SUPPRESSED], "f")
    assert told.adding("it raised").sentence == f"{told.sentence}; it raised" and told.adding("") is told
