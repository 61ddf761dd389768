"""Guarantees, limits, reservations, terms: what a role has for certain, what it may not pass, what is kept for it."""

import pytest

from mesonb.core.books import Settings
from mesonb.core.calls import (
    Accept,
    AgentJoined,
    AgentLost,
    Decline,
    Reserve,
    SetGuarantee,
    SetLimit,
    SetPriority,
    Subscribe,
    Suppress,
    TaskInfo,
    TaskUpdate,
    Tick,
    Unreserve,
)  # fmt: skip
from mesonb.core.events import OfferMade, Rejected
from mesonb.core.limits import Limits, Why
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked

MACHINE = Resources(cpus=4, mem="4GB")
SMALL = Resources(cpus=1, mem="1GB")


def offers(out) -> list[tuple[str, str, Resources]]:
    return [(event.framework, event.agent, event.resources) for event in out if isinstance(event, OfferMade)]


def agents(count, total=MACHINE) -> list[AgentJoined]:
    return [AgentJoined(f"agent-{number}", total) for number in range(1, count + 1)]


# -- limits ---------------------------------------------------------------------------------------------------------


def test_an_offer_is_cut_to_the_limit_exactly() -> None:
    core = Checked()
    core.tell(SetLimit("lab", Resources(cpus=3)), Subscribe("f", "lab"))
    assert offers(core.tell(*agents(1))) == [("f", "agent-1", Resources(cpus=3, mem="4GB"))]


def test_what_a_limit_does_not_name_is_not_limited() -> None:
    core = Checked()
    core.tell(SetLimit("lab", Resources(cpus=4)), Subscribe("f", "lab"))
    assert [part for *_, part in offers(core.tell(*agents(2)))] == [MACHINE, Resources(mem="4GB")]


def test_a_limit_covers_the_roles_within() -> None:
    core = Checked()
    core.tell(SetLimit("eng", MACHINE), Subscribe("a", "eng/web"), Subscribe("b", "eng/backend"))
    assert len(offers(core.tell(*agents(3)))) == 1


def test_of_a_role_at_its_limit_one_framework_is_asked_and_no_other(monkeypatch) -> None:
    """Each of two hundred frameworks, asked for each of 50,000 agents, would take minutes where none can have any."""
    asked = []
    verdict = Limits.verdict
    monkeypatch.setattr(Limits, "verdict", lambda core, *pair, **how: asked.append(pair) or verdict(core, *pair, **how))
    core = MasterCore(Settings())
    for call in (SetLimit("lab", MACHINE), *(Subscribe(f"f{n}", "lab") for n in range(20)), *agents(11)):
        core.step(call, 0)
    assert len(offers(core.step(Tick(), 0))) == 1
    assert len(asked) <= 1 + 10


def test_reservations_count_against_a_limit_used_or_not() -> None:
    core = Checked()
    core.tell(SetLimit("lab", MACHINE), AgentJoined("agent-9", SMALL, reserved=(("lab", SMALL),)), *agents(1))
    given = {agent: part for _, agent, part in offers(core.tell(Subscribe("f", "lab")))}
    assert given == {"agent-9": SMALL, "agent-1": Resources(cpus=3, mem="3GB")}


def test_a_limit_below_what_is_held_needs_force() -> None:
    core = Checked()
    core.tell(Subscribe("f", "lab"), *agents(2))
    assert isinstance(core.tell(SetLimit("lab", MACHINE))[0], Rejected)
    assert not offers(core.tell(SetLimit("lab", MACHINE, force=True), AgentJoined("agent-3", MACHINE)))
    assert offers(core.tell(SetLimit("lab", Resources())))


# -- guarantees -----------------------------------------------------------------------------------------------------


def test_a_guarantee_is_held_back_even_for_a_role_with_no_framework() -> None:
    core = Checked()
    core.tell(*agents(3), SetGuarantee("lab", MACHINE))
    given = offers(core.tell(Subscribe("greedy")))
    assert sum((part for *_, part in given), start=Resources()) == MACHINE * 2
    assert offers(core.tell(Subscribe("f", "lab")))[0][0] == "f"


def test_who_has_less_than_its_guarantee_comes_first() -> None:
    """By share it would be poor's turn."""
    core = Checked()
    core.tell(Subscribe("f", "lab"), *agents(1))
    core.tell(Subscribe("poor"), SetGuarantee("lab", MACHINE))
    assert offers(core.tell(AgentJoined("agent-2", SMALL))) == [("poor", "agent-2", SMALL)]
    core.tell(AgentJoined("agent-3", MACHINE * 2))
    core.tell(Decline("poor", tuple(core.frameworks["poor"].offers), 0), SetGuarantee("lab", MACHINE + SMALL), at_us=1)
    assert core.frameworks["f"].allocated == MACHINE + SMALL


def test_stage_one_gives_what_is_missing_and_no_more_than_is_not_owed_to_others() -> None:
    core = Checked()
    core.tell(*agents(2), SetGuarantee("a", Resources(cpus=3)), SetGuarantee("b", Resources(cpus=4)))
    core.tell(Subscribe("fa", "a"), Subscribe("fb", "b"))
    held = {name: core.frameworks[name].allocated.cpus for name in ("fa", "fb")}
    assert held["fa"] >= 3 and held["fb"] >= 4 and sum(held.values()) == 8


def test_guarantees_are_not_promised_beyond_what_there_is() -> None:
    core = Checked()
    core.tell(*agents(1))
    assert isinstance(core.tell(SetGuarantee("lab", MACHINE * 2))[0], Rejected)
    core.tell(SetGuarantee("lab", MACHINE))
    assert isinstance(core.tell(SetGuarantee("office", SMALL))[0], Rejected)


def test_a_guarantee_and_a_limit_do_not_contradict_each_other() -> None:
    core = Checked()
    core.tell(*agents(1), SetLimit("lab", SMALL))
    assert isinstance(core.tell(SetGuarantee("lab", MACHINE))[0], Rejected)
    core.tell(SetGuarantee("lab", SMALL))
    assert isinstance(core.tell(SetLimit("lab", Resources(cpus=0.5)))[0], Rejected)


@pytest.mark.parametrize("call", [SetGuarantee("eng/web", SMALL), SetLimit("eng/web", SMALL), SetPriority("", 1)])
def test_what_belongs_to_outermost_roles(call) -> None:
    assert isinstance(Checked().tell(call)[0], Rejected)


def test_headroom_is_held_back_to_the_thousandth() -> None:
    core = Checked()
    core.tell(*agents(1), SetGuarantee("lab", Resources(cpus=1.5)))
    assert offers(core.tell(Subscribe("f")))[0][2] == Resources(cpus=2.5, mem="4GB")


# -- reservations ---------------------------------------------------------------------------------------------------


def test_what_is_reserved_is_offered_to_its_role_alone() -> None:
    core = Checked()
    core.tell(AgentJoined("agent-1", MACHINE, reserved=(("lab", SMALL * 3),)))
    assert offers(core.tell(Subscribe("f"))) == [("f", "agent-1", SMALL)]
    assert offers(core.tell(Subscribe("l", "lab/one"))) == [("l", "agent-1", SMALL * 3)]


def test_a_reservation_outlives_the_tasks_that_use_it() -> None:
    core = Checked()
    core.tell(AgentJoined("agent-1", MACHINE, reserved=(("lab", SMALL),)), Subscribe("l", "lab"))
    core.tell(Accept("l", ("offer-1",), (TaskInfo("t", MACHINE),)), Suppress("l"), Subscribe("f"))
    assert offers(core.tell(TaskUpdate("agent-1", "t", TaskState.FINISHED))) == [("f", "agent-1", SMALL * 3)]


def test_a_reservation_is_made_refined_and_given_back() -> None:
    core = Checked()
    core.tell(*agents(1), Reserve("agent-1", "eng", SMALL * 2), Reserve("agent-1", "eng/web", SMALL, out_of="eng"))
    assert core.agents["agent-1"].reserved == {"eng": SMALL, "eng/web": SMALL}
    assert offers(core.tell(Subscribe("b", "eng/backend"))) == [("b", "agent-1", SMALL * 3)]
    core.tell(Unreserve("agent-1", "eng/web", SMALL, out_of="eng"))
    assert isinstance(core.tell(Unreserve("agent-1", "eng", SMALL * 2))[0], Rejected)
    core.tell(Unreserve("agent-1", "eng", SMALL))
    assert core.agents["agent-1"].reserved == {"eng": SMALL}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (Reserve("agent-1", "lab", MACHINE * 2), "cannot be reserved"),
        (Reserve("agent-9", "lab", SMALL), "no agent is called"),
        (Reserve("agent-1", "lab", Resources()), "say how much"),
        (Reserve("agent-1", "lab", SMALL, out_of="eng"), "not within"),
        (Reserve("agent-1", "lab/a", SMALL, out_of="lab"), "nothing is free of what"),
        (Unreserve("agent-1", "lab", SMALL), "nothing is free of what"),
        (AgentJoined("agent-2", SMALL, reserved=(("lab", MACHINE),)), "cannot be reserved"),
    ],
)
def test_a_reservation_that_cannot_be(call, says) -> None:
    core = Checked()
    core.tell(*agents(1))
    assert says in core.step(call, 0)[0].because


# -- terms, attributes, capabilities --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "agents_offered"),
    [
        (("rack", "is", "a"), {"agent-a"}),
        (("rack", "is not", "a"), {"agent-b", "agent-x"}),
        (("rack", "exists", ""), {"agent-a", "agent-b"}),
        (("rack", "matches", "[b-z]"), {"agent-b"}),
    ],
)
def test_an_attribute_may_be_asked_for(asked, agents_offered) -> None:
    core = Checked()
    core.tell(AgentJoined("agent-x", SMALL), *(AgentJoined(f"agent-{r}", SMALL, (("rack", r),)) for r in "ab"))
    assert {agent for _, agent, _ in offers(core.tell(Subscribe("f", constraints=(asked,))))} == agents_offered


def test_a_framework_may_name_its_agents() -> None:
    core = Checked()
    core.tell(*agents(3))
    assert {agent for _, agent, _ in offers(core.tell(Subscribe("f", agents=("agent-2",))))} == {"agent-2"}


@pytest.mark.parametrize("asked", [("rack", "likes", "a"), ("rack", "matches", "[")])
def test_a_constraint_that_cannot_be_asked(asked) -> None:
    assert isinstance(Checked().step(Subscribe("f", constraints=(asked,)), 0)[0], Rejected)


def test_gpus_on_request() -> None:
    core = Checked(Settings(gpus_on_request=True))
    core.tell(AgentJoined("agent-1", Resources(cpus=1, gpus=1)))
    assert not offers(core.tell(Subscribe("plain")))
    assert core.verdict(core.agents["agent-1"], core.frameworks["plain"])[1] is Why.CAPABILITY
    assert offers(core.tell(Subscribe("able", capabilities=("gpus",))))[0][0] == "able"


def test_less_may_be_guaranteed_even_where_agents_were_lost_since() -> None:
    core = Checked()
    core.tell(*(AgentJoined(f"agent-{n}", Resources(cpus=1)) for n in range(2)))
    core.tell(SetGuarantee("a", Resources(cpus=1)), SetGuarantee("b", Resources(cpus=1)), AgentLost("agent-0"))
    assert not core.step(SetGuarantee("a", Resources(cpus=0.5)), 1)
    assert "more than there is" in core.step(SetGuarantee("a", Resources(cpus=0.6)), 1)[0].because
    assert core.roles["a"].guarantee == Resources(cpus=0.5)
