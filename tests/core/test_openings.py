"""Room that opens under a limit or a guarantee is offered in the very pass, wherever it comes of."""

from random import Random

import pytest

from mesonb.core.allocators import MODULES
from mesonb.core.books import Settings
from mesonb.core.calls import (
    Accept,
    AgentJoined,
    AgentLost,
    Decline,
    Pause,
    Reserve,
    SetAllocator,
    SetGuarantee,
    SetLimit,
    Subscribe,
    Suppress,
    TaskInfo,
    TaskUpdate,
    Tick,
)  # fmt: skip
from mesonb.core.events import OfferMade
from mesonb.core.explain import why_not
from mesonb.core.limits import Why
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked, arbitrary_call, arbitrary_resources
from tests.helpers import kinds

CPU = Resources(cpus=1)
S = 1_000_000


def ended(agent: str, task: str) -> TaskUpdate:
    return TaskUpdate(agent, task, TaskState.FINISHED)


def offered(out) -> list[tuple[str, str, Resources]]:
    return [(event.framework, event.agent, event.resources) for event in kinds(out, OfferMade)]


def busy(*said, agents: int = 2, held: int = 1, **settings) -> Checked:
    """Agents of four cpus; f, in lab, runs a task of so many on the first, and refuses for long what else there is."""
    core = Checked(Settings(**settings))
    core.tell(Subscribe("f", "lab"), AgentJoined("agent-1", CPU * 4))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("f/t", CPU * held),), 10**12))
    for call in (*(AgentJoined(f"agent-{number}", CPU * 4) for number in range(2, agents + 1)), *said):
        core.step(call, 0)
    core.tell()
    return core


def test_room_under_a_limit_is_offered_of_an_agent_on_which_nothing_changed() -> None:
    """On the agent that the task ends on its framework has a filter: what it may have now is had of the other."""
    core = busy(SetLimit("lab", CPU))
    assert why_not(core, core.frameworks["f"], core.agents["agent-2"]).why is Why.LIMIT
    assert offered(core.tell(ended("agent-1", "f/t"), at_us=S)) == [("f", "agent-2", CPU)]


def test_room_beside_a_guarantee_is_offered_of_any_agent() -> None:
    core = busy(SetGuarantee("ops", CPU * 4), Suppress("f"), Subscribe("g", agents=("agent-2",)), held=4)
    assert why_not(core, core.frameworks["g"], core.agents["agent-2"]).why is Why.HEADROOM
    assert offered(core.tell(ended("agent-1", "f/t"), at_us=S)) == [("g", "agent-2", CPU * 4)]


def test_a_guarantee_that_is_not_met_any_more_is_met_by_any_agent() -> None:
    rules = (SetGuarantee("lab", CPU * 4), SetGuarantee("ops", CPU * 4), Suppress("f"))
    core = busy(*rules, Subscribe("g", "lab", agents=("agent-2",)), held=4)
    assert why_not(core, core.frameworks["g"], core.agents["agent-2"]).why is Why.HEADROOM
    core.step(ended("agent-1", "f/t"), S)
    assert why_not(core, core.frameworks["g"], core.agents["agent-2"]) is None, "its own role's guarantee is for it"
    assert offered(core.tell()) == [("g", "agent-2", CPU * 4)]


def test_an_agent_that_is_lost_makes_room_under_a_limit() -> None:
    """Nothing that is still here has changed, and yet the shell is told that a turn is due."""
    core = busy(SetLimit("lab", CPU))
    core.step(AgentLost("agent-1"), S)
    assert core.next_deadline() == S
    assert offered(core.tell()) == [("f", "agent-2", CPU)]
    assert core.next_deadline() != S


def test_as_many_agents_are_looked_at_as_there_is_room_for(monkeypatch) -> None:
    core = busy(SetLimit("lab", CPU), agents=50)
    looked: list[str] = []
    plain = MasterCore.next_in_line
    monkeypatch.setattr(
        MasterCore, "next_in_line", lambda self, agent, **how: (looked.append(agent.name), plain(self, agent, **how))[1]
    )
    assert offered(core.tell(ended("agent-1", "f/t"), at_us=S)) == [("f", "agent-2", CPU)]
    assert set(looked) == {"agent-1", "agent-2"}


def test_who_was_offered_it_in_this_very_instant_has_it_in_the_next() -> None:
    core = busy(SetLimit("lab", CPU * 2))
    assert [offer.resources for offer in core.offers.values()] == [CPU]
    core.tell(Decline("f", tuple(core.offers), 10 * S))
    assert offered(core.tell(ended("agent-1", "f/t"))) == []
    assert core.next_deadline() == core.now_us + 1
    assert offered(core.tell(at_us=core.now_us + 1)) == [("f", "agent-2", CPU * 2)]


def test_apache_mesos_s_pacing_leaves_it_to_the_next_batch() -> None:
    core = busy(SetLimit("lab", CPU), allocation_interval_us=S, allocate_on_recovery=False)
    core.tell(at_us=S)
    core.tell(AgentLost("agent-1"), at_us=S + 1)
    assert core.next_deadline() == 2 * S


@pytest.mark.parametrize("allocator", MODULES)
def test_whatever_allocates_a_role_may_have_its_own_guarantee(allocator) -> None:
    """All that there is is held back, for this very role."""
    core = Checked(Settings(), MODULES[allocator]())
    core.tell(AgentJoined("agent-1", CPU * 4), SetGuarantee("lab", CPU * 4), Subscribe("e"))
    assert offered(core.tell(Subscribe("f", "lab"))) == [("f", "agent-1", CPU * 4)]


WORLDS = {
    "whole": {}, "minimum": {"min_allocatable": (CPU,)}, "small": {"offer_size": CPU}, "optimistic": {"concurrency": "optimistic"},
    "shuffled": {"agent_order": "shuffled"}, "joined": {"gpus_on_request": True, "agent_order": "joined"},
}  # fmt: skip
PAIRS = [*(("DRF", world) for world in WORLDS), *((name, world) for name in MODULES for world in ("whole", "minimum"))]


@pytest.mark.parametrize(("allocator", "world"), dict.fromkeys(PAIRS))
def test_after_every_pass_there_is_a_reason_against_every_pair_that_is_left(allocator, world, random_seed) -> None:
    """With guarantees, limits, reservations, priorities and weights that come and go, and whatever calls may be made."""
    dice, kept = Random(random_seed), 0
    core = MasterCore(Settings(seed=random_seed, **WORLDS[world]), MODULES[allocator]())
    for _ in range(600):
        call = of_a_role(core, dice) if dice.random() < 0.1 else arbitrary_call(core, dice)
        if isinstance(call, Pause | SetAllocator):
            continue
        core.step(call, core.now_us + dice.choice((0, 0, 1, 3 * S)))
        if dice.random() < 0.6:
            core.step(Tick(), core.now_us)
            pairs = [(framework, agent) for framework in core.frameworks.values() for agent in core.agents.values()]
            reasons = {(one.name, agent.name): why_not(core, one, agent) for one, agent in pairs}
            assert [pair for pair, reason in reasons.items() if reason is None] == [], f"after {call}"
            kept += sum(reason.why in (Why.LIMIT, Why.HEADROOM) for reason in reasons.values())
    assert kept, "no limit or guarantee ever kept anything from anybody"


def of_a_role(core, dice):
    some, role = arbitrary_resources(dice, 2), dice.choice(("lab", "eng", "*"))
    reserve = Reserve(dice.choice([*core.agents, "agent-1"]), role, arbitrary_resources(dice, 1))
    return dice.choice((SetLimit(role, some, force=True), SetGuarantee(role, some), reserve))
