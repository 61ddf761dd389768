"""The shipped DRF grants what the plainly written one grants, agent by agent, in any state."""

from random import Random

import pytest

from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.invariants import check
from mesonb.core.master import MasterCore
from mesonb.core.order import MANY
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import arbitrary_call
from tests.core.oracle import Oracle

#: What makes a role's rules cut offers: without these, cycles take the short way (``core.turns``).
BOUNDS = (calls.SetGuarantee, calls.SetLimit, calls.Reserve)


def run_beside(seed: int, times: int, settings: Settings, without: tuple[type, ...] = ()) -> int:
    """Send the same arbitrary calls to both, compare every answer, and return how many offers were made."""
    shipped, plain, dice, made = MasterCore(settings), MasterCore(settings, Oracle()), Random(seed), 0
    for _ in range(times):
        call = calls.Tick() if dice.random() < 0.3 else arbitrary_call(shipped, dice)
        if isinstance(call, (calls.SetAllocator, *without)):
            continue
        now_us = shipped.now_us + dice.choice((0, 0, 1, 1_000_000, 7_000_000))
        ours, theirs = shipped.step(call, now_us), plain.step(call, now_us)
        assert ours == theirs, f"seed {seed}, step {shipped.steps}: {call}"
        assert shipped.next_deadline() == plain.next_deadline()
        made += sum(isinstance(event, events.OfferMade) for event in ours)
    return made


SIZES = [Settings(), Settings(offer_size=Resources(cpus=1, mem="1GiB"))]


@pytest.mark.parametrize("settings", SIZES, ids=["whole", "small"])
@pytest.mark.parametrize("seed", range(5))
def test_the_same_grants_in_any_state(seed, settings) -> None:
    assert run_beside(seed, 2_500, settings) > 20


def test_the_same_grants_with_a_new_seed(random_seed) -> None:
    assert run_beside(random_seed, 5_000, Settings()) > 50


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("settings", SIZES, ids=["whole", "small"])
def test_the_same_grants_in_fifty_thousand_cases(settings, random_seed) -> None:
    assert sum(run_beside(random_seed + part, 5_000, settings) for part in range(10)) > 1_000


@pytest.mark.parametrize("seed", range(5))
def test_the_same_grants_on_the_short_way(seed) -> None:
    assert run_beside(seed, 2_500, Settings(), without=BOUNDS) > 20


def test_the_same_grants_after_many_shares_have_changed() -> None:
    dice, cores = Random(1), (MasterCore(Settings()), MasterCore(Settings(), Oracle()))

    def say(call: calls.Call, now_us: int) -> list[events.Event]:
        ours, theirs = (core.step(call, now_us) for core in cores)
        assert ours == theirs
        return ours

    for number in range(40):
        say(calls.Subscribe(f"f{number}", f"role-{number}" if number % 3 else "shared"), 0)
        say(
            calls.AgentJoined(f"agent-{number}", Resources(cpus=dice.randrange(1, 9), mem=f"{dice.randrange(1, 9)}GB")),
            0,
        )
    for now_us in range(1, 6):
        made = [event for event in say(calls.Tick(), now_us) if isinstance(event, events.OfferMade)]
        assert len(made) == 40
        for offer in made:
            launches = (calls.TaskInfo(f"{offer.offer}/t", offer.resources),)
            say(calls.Accept(offer.framework, (offer.offer,), launches), now_us)
        for offer in made:
            say(calls.TaskUpdate(offer.agent, f"{offer.offer}/t", TaskState.FINISHED), now_us)
        assert len(cores[0].order.stale) > MANY
        check(cores[0])
