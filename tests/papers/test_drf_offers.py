"""The DRF paper's example in the offer system: Mesos's master knows no demands, so fairness depends on how offers are used.

One task an offer gives the textbook's allocation, on any demands; filling whole offers does not.
"""

from hypothesis import given
from hypothesis import strategies as st

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.invariants import check
from mesonb.core.master import MasterCore
from mesonb.core.resources import Resources
from tests.papers.drf import one_task_at_a_time

AMOUNT = st.integers(1, 9)
DEMANDS = st.lists(st.tuples(AMOUNT, AMOUNT), min_size=1, max_size=5)


def work() -> None:
    """Stand for a task that goes on."""


class Greedy(mb.Framework):
    """Launches as many equal tasks as ``at_once`` allows on an offer, and wants more than there is."""

    def __init__(self, needs: Resources, at_once: int) -> None:
        self.needs, self.at_once = needs, at_once

    def on_offers(self, offers) -> None:
        for offer in offers:
            for _ in range(self.at_once):
                if offer.fits(self.needs):
                    offer.launch(work)


def shared_by(at_once: int) -> mb.Simulation:
    sim = mb.Simulation(agents=[mb.Resources(cpus=9, mem="18GB")], seed=1)
    sim.runs_for(work, "1h", execute=False)
    sim.register(Greedy(mb.Resources(cpus=1, mem="4GB"), at_once), name="A", role="a")
    sim.register(Greedy(mb.Resources(cpus=3, mem="1GB"), at_once), name="B", role="b")
    return sim.run("1min")


def tasks_of(sim: mb.Simulation) -> dict[str, int]:
    return {name: len(framework.tasks) for name, framework in sim.core.frameworks.items()}


def test_one_task_an_offer_is_the_textbook() -> None:
    sim = shared_by(at_once=1)
    assert tasks_of(sim) == {"A": 3, "B": 2}
    assert [(row.framework, round(row.task_share, 9)) for row in sim.snapshot().frameworks] == [
        ("A", 0.666666667),
        ("B", 0.666666667),
    ]
    check(sim.core)


def test_table_1_by_mesos_rule_of_ties() -> None:
    """A, B, A, B, A: the fewest allocations so far, then the name (the paper begins with B)."""
    launched = [
        e.framework for step in shared_by(at_once=1).log.steps for e in step.events if isinstance(e, events.Launch)
    ]
    assert launched == ["A", "B", "A", "B", "A"]


def test_whole_offers_filled_are_not() -> None:
    """The first framework sees the whole machine, and takes what it can: 4 and 1."""
    sim = shared_by(at_once=100)
    assert tasks_of(sim) == {"A": 4, "B": 1}
    check(sim.core)


@given(st.tuples(st.integers(20, 60), st.integers(20, 60)), DEMANDS, st.booleans())
def test_one_task_an_offer_is_algorithm_1(total, demands, one_role) -> None:
    """On any demands, one agent: the core gives out exactly what Algorithm 1 does, going on where one does not fit."""
    core = MasterCore()
    needs = [Resources.of({"cpus": 1000 * cpus, "mem": mem}) for cpus, mem in demands]
    for user in range(len(demands)):
        core.step(calls.Subscribe(f"f{user}", "*" if one_role else f"role-{user}"), 0)
    core.step(calls.AgentJoined("m", Resources.of({"cpus": 1000 * total[0], "mem": total[1]})), 0)
    launched = [0] * len(demands)
    while offers := core.step(calls.Tick(), core.now_us + 1):
        for offer in offers:
            assert isinstance(offer, events.OfferMade)
            user = int(offer.framework[1:])
            fits = needs[user] <= offer.resources
            launched[user] += fits
            task = (calls.TaskInfo(f"f{user}/{launched[user]}", needs[user]),) if fits else ()
            core.step(calls.Accept(offer.framework, (offer.offer,), task, refuse_us=0 if fits else 10**12), core.now_us)
    check(core)
    assert launched == one_task_at_a_time(total, demands)
