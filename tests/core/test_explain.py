"""Why not: each reason by example, its remedy tried out, and both on arbitrary states."""

import copy
from collections import Counter
from random import Random

import pytest

from mesonb.core.books import Settings
from mesonb.core.calls import (
    Accept,
    AgentJoined,
    Decline,
    Pause,
    SetGuarantee,
    SetLimit,
    Subscribe,
    Suppress,
    TaskInfo,
    Tick,
    Unregister,
)  # fmt: skip
from mesonb.core.events import OfferMade
from mesonb.core.explain import explain, summary, why_not
from mesonb.core.limits import Why
from mesonb.core.master import MasterCore
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
    Why.LEFT: after(JOIN, Subscribe("f")),
    Why.SUPPRESSED: after(Subscribe("f"), Suppress("f"), JOIN),
    Why.PAUSED: after(Subscribe("f"), Pause(), JOIN),
    Why.CONSTRAINT: after(JOIN, Subscribe("f", constraints=(("rack", "exists", ""),))),
    Why.CAPABILITY: after(AgentJoined("agent-1", Resources(gpus=1)), Subscribe("f"), gpus_on_request=True),
    Why.OWN_OFFER: after(JOIN, Subscribe("f")),
    Why.TURN: after(JOIN, Subscribe("e"), Subscribe("f")),
    Why.NOTHING_FREE: after(JOIN, Subscribe("f")),
    Why.RESERVED: after(AgentJoined("agent-1", SMALL, reserved=(("lab", SMALL),)), Subscribe("f")),
    Why.TOO_SMALL: after(JOIN, Subscribe("f", min_offer=(MACHINE * 2,))),
    Why.LIMIT: after(Subscribe("f", "lab"), SetLimit("lab", SMALL), JOIN, AgentJoined("agent-2", SMALL)),
    Why.HEADROOM: after(JOIN, SetGuarantee("lab", MACHINE), Subscribe("f")),
    Why.FILTER: after(JOIN, Subscribe("f")),
    Why.TRIED: after(JOIN, Subscribe("f")),
}
CASES[Why.NOTHING_FREE].tell(Accept("f", ("offer-1",), (TaskInfo("t", MACHINE),)))
CASES[Why.LEFT].tell(Accept("f", ("offer-1",), (TaskInfo("t", SMALL),)), Unregister("f"))
CASES[Why.FILTER].tell(Decline("f", ("offer-1",)))
CASES[Why.TRIED].tell(Decline("f", ("offer-1",), 0))


def where(core, why) -> str:
    return "agent-2" if why is Why.LIMIT else "agent-1"


@pytest.mark.parametrize("why", CASES)
def test_each_reason_is_found_counted_and_removed_by_its_remedy(why) -> None:
    core = copy.deepcopy(CASES[why])
    framework = core.frameworks["f"]
    reason = why_not(core, framework, core.agents[where(core, why)])
    assert reason.why is why
    assert reason.remedy
    assert why in {found.why for found in summary(core, framework)}
    said = explain(core, "f")
    assert why.value in said.sentence and reason.remedy in repr(said)
    if reason.calls:
        core.tell(*reason.calls)
        now = why_not(core, core.frameworks["f"], core.agents[where(core, why)])
        assert now is None or now.why is not why


def test_on_arbitrary_states_remedies_are_true() -> None:
    """After each remedy of some pair, that pair has another first reason, or none."""
    removed = sum((left_after_remedies(seed) for seed in range(6)), Counter({Why.LEFT: 0}))
    tried = {why for seed in range(6) for why in left_after_remedies(seed)}
    assert not sum(removed.values()), removed
    assert len(tried) >= 6, tried


def left_after_remedies(seed) -> Counter[Why]:
    core, dice, removed = MasterCore(Settings(seed=seed)), Random(seed), Counter()
    for _ in range(400):
        core.step(arbitrary_call(core, dice), core.now_us + dice.randrange(500_000))
        for framework in core.frameworks.values():
            for agent in core.agents.values():
                reason = why_not(core, framework, agent)
                if reason and reason.calls and dice.random() < 0.1:
                    removed[reason.why] += still(core, framework.name, agent.name, reason)
    return removed


def still(core, framework, agent, reason) -> bool:
    cured = copy.deepcopy(core)
    for call in reason.calls:
        cured.step(call, cured.now_us)
    now = why_not(cured, cured.frameworks[framework], cured.agents[agent])
    return now is not None and now.why is reason.why


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
        if free and len(core.roles) and not core.bounded_roles:
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


def test_counts_cover_every_agent() -> None:
    core = after(Subscribe("f"), Subscribe("g"), *(AgentJoined(f"agent-{n}", SMALL) for n in range(10)))
    assert sum(reason.count for reason in summary(core, core.frameworks["f"])) == 10
    assert {reason.why: reason.count for reason in summary(core, core.frameworks["f"])} == {
        Why.OWN_OFFER: 5,
        Why.TURN: 5,
    }
