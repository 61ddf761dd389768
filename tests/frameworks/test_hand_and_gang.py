"""Frameworks that hold offers: a person's hand, and a gang that hoards."""

from collections import Counter

import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.core.invariants import check
from mesonb.errors import OfferError
from mesonb.frameworks.gang import Gang
from mesonb.frameworks.hand import Hand

ONE = mb.Resources(cpus=1)


def member(rank, size):
    return f"{rank} of {size}"


def crash(rank, size):
    if rank == 1:
        raise RuntimeError("rank 1 fell over")


def other():
    return "other"


@pytest.fixture
def sim():
    simulation = mb.Simulation(agents=[mb.Resources(cpus=2)] * 3, seed=1)
    for function in (member, crash, other):
        simulation.runs_for(function, "10s")
    yield simulation
    check(simulation.core)
    simulation.log.replay()


def test_a_hand_keeps_offers_until_a_person_answers(sim):
    hand = sim.register(Hand(needs=ONE))
    sim.run("1s")
    assert [offer.agent for offer in hand.offers] == ["agent-1", "agent-2", "agent-3"]
    hand.accept("offer-1", other, times=2)
    hand.decline(hand.offers[0])
    sim.run("11s")
    assert [task.result() for task in hand.ended] == ["other", "other"]
    assert "offer-3" in hand.held


def test_a_hand_says_what_it_does_not_hold(sim):
    hand = sim.register(Hand(needs=ONE))
    sim.run("1s")
    hand.decline("offer-1")
    with pytest.raises(OfferError, match=r"offer-1 is not in your hand.*You hold: offer-2, offer-3"):
        hand.accept("offer-1", other)


def test_an_offer_that_a_hand_forgets_is_rescinded(sim):
    hand = sim.register(Hand(needs=ONE))
    sim.run("31s")
    assert sim.core.frameworks["hand"].counts["rescinded"] == 3
    assert {offer.id for offer in hand.offers} == {"offer-4", "offer-5", "offer-6"}


def test_a_gang_starts_all_its_members_at_once(sim):
    gang = sim.register(Gang(member, size=6, needs=ONE))
    sim.run("11s")
    assert gang.results == {rank: f"{rank} of 6" for rank in range(6)}
    assert gang.attempts == 1


def test_a_gang_that_does_not_fit_gives_back_what_it_hoarded(sim):
    queue = sim.register(mb.Queue(needs=ONE), name="queue")
    queue.submit(other)
    sim.run("1s")
    gang = sim.register(Gang(member, size=6, needs=ONE, patience="3s"))
    sim.run("2s")
    assert len(gang.hoard) == 3
    sim.wait_until(lambda: gang.hoard == {})
    assert sim.now_us() == 4_000_500  # patience ran out three seconds after the first offer
    sim.run("1ms")
    assert sim.snapshot().free == mb.Resources(cpus=5)
    sim.run("20s")
    assert gang.done


def test_a_gang_is_launched_as_one_call(sim):
    gang = sim.register(Gang(member, size=5, needs=ONE))
    sim.run("1s")
    accepted = [step.call for step in sim.log.steps if isinstance(step.call, calls.Accept | calls.AcceptAll)]
    assert [len(call.parts) for call in accepted] == [3]
    assert len(gang.members) == len(sim.core.tasks) == 5
    frameworks = Counter(sim.core.frameworks["gang"].counts)
    assert (frameworks["accepted"], sim.snapshot().free) == (3, ONE)


class Pair(mb.Framework):
    """Launches one task on each of two offers, together; the first of them may be gone by then."""

    def __init__(self):
        self.held, self.ended = [], []

    def on_offers(self, offers):
        self.held += offers
        for offer in offers:
            offer.hold("20s")

    def launch(self):
        for offer in self.held[:2]:
            offer.launch(member, 0, 2, needs=ONE)
        self.together(self.held[:2])

    def on_update(self, task):
        self.ended.append((task.state.value, task.because))


def test_what_is_sent_together_is_launched_together_or_not_at_all(sim):
    """An offer is rescinded while the answer to both is on its way: neither task runs, and the other offer is back."""
    pair = sim.register(Pair(), name="pair")
    sim.run("1s")
    pair.launch()
    sim.post([calls.AgentUnreachable("agent-1")])
    sim.run("1s")
    assert [state for state, _ in pair.ended] == ["lost", "lost"] and not sim.core.tasks
    assert all("answered, or rescinded, before" in because for _, because in pair.ended)
    assert "offer-2" not in sim.core.offers
    with pytest.raises(OfferError, match="offer-1, offer-2 cannot be used together with others"):
        pair.together(pair.held[:2])


def test_a_gang_that_loses_one_member_kills_the_others_and_tries_again(sim):
    gang = sim.register(Gang(member, size=4, needs=ONE))
    sim.run("5s")
    sim.lose_agent("agent-1")
    sim.run("30s")
    assert gang.done
    assert gang.attempts == 2
    assert sim.core.frameworks["gang"].counts["killed"] == 2
