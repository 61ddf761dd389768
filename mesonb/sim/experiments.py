"""The Mesos paper's analysis and its scalability experiment, each one call: a simulation of the real core, not a formula.

    table2(k=64, beta=2, times="exponential", rigid=True)   Section 4.2: ramp-up, completion, utilisation
    preferences({"a": 1, "b": 2})                           Section 4.3: preferred slots shared out by lottery
    filled_by_long(phi=0.5, slots=8)                        Section 4.4: nodes full of long tasks
    scalability(agents=50_000, frameworks=200)              Section 6.5: what launching takes in a large, busy cluster

Rule: what stands in closed form is ``closed_forms.py``'s; here is only what happened. Same arguments, same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import fmean, harmonic_mean
from typing import Literal

from mesonb.core.allocators import Lottery
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle
from mesonb.sim.simulation import Simulation

SLOT = Resources(cpus=1)
SECOND_US = 1_000_000
#: For a task that is only ever ended by a kill.
FOR_EVER_S = 86_400.0 * 365

Times = Literal["constant", "exponential"]


def occupy(_lasts_s: float) -> None:
    """Hold a slot for a while: what a task does in these experiments is take time."""


def _lasts(lasts_s: float) -> float:
    return lasts_s


class Occupant(Framework):
    """Launches tasks of given lengths, one a slot, and then wants no more."""

    needs = SLOT

    def __init__(self, lasts_s: Sequence[float]) -> None:
        self.todo = list(lasts_s)

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Fill every slot while there is something to run."""
        for offer in offers:
            while self.todo and offer.fits(SLOT):
                offer.launch(occupy, self.todo.pop())
        if not self.todo:
            self.suppress()


# -- Table 2 ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ramp:
    """What became of one framework that started with nothing, or the mean of several; times are in units of T."""

    ramp_up: float  #: until it had all its slots
    completion: float  #: until its work was done
    utilisation: float  #: of what it held until then


class Newcomer(Framework):
    """Has work for k slots that can be divided at will: an elastic one begins at once, a rigid one when it has them all.

    So its last tasks end together, as the paper assumes: each slot gets one task, and all are killed when the work is done.
    """

    needs = SLOT

    def __init__(self, k: int, work_s: float, *, rigid: bool) -> None:
        self.k, self.work_s, self.rigid = k, work_s, rigid
        self.came_s: list[float] = []  #: when it got each slot
        self.began_s = 0.0
        self.done_s: float | None = None

    def on_registered(self, tasks: Sequence[TaskHandle]) -> None:
        """Begin to count."""
        self.began_s = self.now

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Take every slot, and look when the work will be done with what there is now."""
        for offer in offers:
            offer.launch(occupy, FOR_EVER_S)
            self.came_s.append(self.now - self.began_s)
        if self.done_s is None and (not self.rigid or len(self.came_s) == self.k):
            self.call_later(self._left_s(), partial(self._look, len(self.came_s)))

    def _left_s(self) -> float:
        now_s = self.now - self.began_s
        worked_s = 0.0 if self.rigid else sum(now_s - came_s for came_s in self.came_s)
        return (self.work_s - worked_s) / len(self.came_s)

    def _look(self, slots: int) -> None:
        if slots == len(self.came_s) and self.done_s is None:  # otherwise a later slot made it earlier than this
            self.done_s = self.now - self.began_s

    def ramp(self, unit_s: float) -> Ramp:
        """What became of it."""
        assert self.done_s is not None
        held_s = sum(max(0.0, self.done_s - came_s) for came_s in self.came_s)
        return Ramp(self.came_s[-1] / unit_s, self.done_s / unit_s, self.work_s / held_s)


def table2(
    k: int = 64,
    beta: float = 2,
    times: Times = "constant",
    *,
    rigid: bool = False,
    runs: int = 100,
    seed: int = 0,
    task_s: float = 100,
) -> Ramp:
    """Run the model of Section 4.2 so often, and return the means (utilisation: all that was used of all that was held).

    Which k slots are vacated is fixed: the cluster has k, one framework's tasks fill them, and each ends when it ends (they
    last T = ``task_s``, all alike and begun at random, or are memoryless). The newcomer's work is beta k T of slot time.
    """
    if times not in ("constant", "exponential"):
        raise BadValue(f"times={times!r}; task times are constant or exponential")
    dice = Random(f"{seed}/table2")
    ramps = [_one_ramp(k, beta, times, rigid, dice, task_s) for _ in range(runs)]
    ramp_up, completion = (fmean(getattr(ramp, name) for ramp in ramps) for name in ("ramp_up", "completion"))
    return Ramp(ramp_up, completion, harmonic_mean([ramp.utilisation for ramp in ramps]))  # every run uses as much


def _one_ramp(k: int, beta: float, times: Times, rigid: bool, dice: Random, task_s: float) -> Ramp:
    simulation = Simulation(agents=[SLOT] * k, latency="1us", offer_timeout=FOR_EVER_S)
    simulation.runs_for(occupy, _lasts)
    left_s = [dice.uniform(0, task_s) if times == "constant" else dice.expovariate(1 / task_s) for _ in range(k)]
    simulation.register(Occupant(left_s), name="before")
    simulation.run("10us")  # time enough to fill the cluster, and none to speak of
    newcomer = simulation.register(Newcomer(k, beta * k * task_s, rigid=rigid), name="newcomer")
    simulation.run_until(lambda: newcomer.done_s is not None and len(newcomer.came_s) == k)
    return newcomer.ramp(task_s)


# -- preferences --------------------------------------------------------------------------------------------------------


class Choosy(Framework):
    """Wants as many slots as it can get, of those that it prefers, and declines any other for good."""

    needs = SLOT

    def __init__(self, preferred: frozenset[str], mean_s: float) -> None:
        self.preferred, self.mean_s = preferred, mean_s

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Launch where it likes to be."""
        for offer in offers:
            if offer.agent in self.preferred:
                offer.launch(occupy, self.dice.expovariate(1 / self.mean_s))
            else:
                offer.decline(FOR_EVER_S)


def preferences(
    intended: Mapping[str, float], preferred: int = 20, others: int = 20, seed: int = 0, tasks_each: int = 300
) -> dict[str, float]:
    """How many of the slots that all prefer each framework holds on average, by lottery. (Section 4.3)

    Offers go by lot, in proportion to the intended allocation; nobody tells the master what it prefers.
    """
    agents = preferred + others
    simulation = Simulation(
        agents=[SLOT] * agents, seed=seed, latency="1us", allocator=Lottery(), offer_timeout=FOR_EVER_S
    )
    simulation.runs_for(occupy, _lasts)
    liked = frozenset(f"agent-{number}" for number in range(1, preferred + 1))
    for name, share in intended.items():
        simulation.weights[name] = share
        simulation.register(Choosy(liked, mean_s=10), name=name, role=name)
    simulation.run(100)  # time to forget who registered first
    before = _held_s(simulation)
    simulation.run(10 * tasks_each)
    return {name: (held_s - before[name]) / (10 * tasks_each) for name, held_s in _held_s(simulation).items()}


def _held_s(simulation: Simulation) -> dict[str, float]:
    """By framework, the slot seconds that its tasks have held."""
    return {row.framework: row.held_us.get("cpus", 0) / 1000 / SECOND_US for row in simulation.snapshot().frameworks}


# -- long and short tasks -------------------------------------------------------------------------------------------------


class Mixed(Framework):
    """Fills every slot, with a long task or a short one by chance."""

    needs = SLOT

    def __init__(self, phi: float, long_s: float) -> None:
        self.phi, self.long_s = phi, long_s

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Fill what is offered."""
        for offer in offers:
            while offer.fits(SLOT):
                offer.launch(occupy, self.long_s if self.dice.random() < self.phi else 1.0)


def filled_by_long(phi: float = 0.5, slots: int = 8, agents: int = 2000, seed: int = 0) -> float:
    """The fraction of agents all of whose slots hold long tasks, when a fraction phi of the tasks is long. (Section 4.4)"""
    simulation = Simulation(agents=[SLOT * slots] * agents, seed=seed)
    simulation.runs_for(occupy, _lasts)
    mixed = simulation.register(Mixed(phi, long_s=3600), name="mixed")
    simulation.run("100ms")
    long: dict[str, int] = {}
    for task in mixed.tasks.values():
        long[task.agent] = long.get(task.agent, 0) + (task.args[0] > 1)
    return sum(number == slots for number in long.values()) / agents


# -- scalability ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scalability:
    """What the scalability experiment came to."""

    agents: int
    frameworks: int
    tasks: int  #: that ended while it was measured
    calls: int  #: that the master took while it was measured
    overhead_ms: tuple[float, ...]  #: of each probe: how much longer it took than its task

    @property
    def mean_ms(self) -> float:
        """The mean launch overhead."""
        return fmean(self.overhead_ms)

    @property
    def max_ms(self) -> float:
        """The largest launch overhead."""
        return max(self.overhead_ms)


class Filler(Framework):
    """Keeps every slot that it is offered busy with tasks of about 30 s; its first ones are cut, so that all are in mid-life."""

    needs = SLOT

    def __init__(self, fresh: int) -> None:
        self.fresh = fresh  #: how many tasks are still to be cut

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Fill what is offered."""
        for offer in offers:
            while offer.fits(SLOT):
                lasts_s = max(0.001, self.dice.gauss(30, 10))
                if self.fresh > 0:
                    self.fresh -= 1
                    lasts_s *= self.dice.random()
                offer.launch(occupy, lasts_s)


class Probe(Framework):
    """Runs one short task, over and over, with a pause in between, and notes how much longer it took than it lasts."""

    needs = SLOT

    def __init__(self, lasts_s: float, every_s: float) -> None:
        self.lasts_s, self.every_s = lasts_s, every_s
        self.asked_s: float | None = None
        self.overhead_ms: list[float] = []

    def on_registered(self, tasks: Sequence[TaskHandle]) -> None:
        """Be quiet until it is time."""
        self.suppress()
        self.call_later(self.every_s, self._ask)

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Launch on the first offer; want no other."""
        for offer in offers:
            if self.asked_s is not None and not self.tasks and offer is offers[0]:
                offer.launch(occupy, self.lasts_s)
                self.suppress()

    def on_update(self, task: TaskHandle) -> None:
        """Note how long it was."""
        if task.finished and self.asked_s is not None:
            self.overhead_ms.append((self.now - self.asked_s - self.lasts_s) * 1000)
            self.asked_s = None
            self.call_later(self.every_s, self._ask)

    def _ask(self) -> None:
        self.asked_s = self.now
        self.revive()


def scalability(
    agents: int = 50_000,
    frameworks: int = 200,
    time: float | str = "1min",
    link: float | str = "500us",
    probes: int = 20,
    seed: int = 0,
) -> Scalability:
    """Fill a cluster of so many agents with tasks of 30 s (N(30 s, 10 s)), two on each, and probe it. (Section 6.5)

    The overhead is what the paper measures: how much longer than its 10 s task a framework takes to run it, here with
    callbacks and the master's own steps taking no time, so that what is seen is the protocol: messages and waiting.
    """
    simulation = Simulation(agents=[SLOT * 2] * agents, seed=seed, latency=link)
    simulation.runs_for(occupy, _lasts, execute=False)
    for number in range(1, frameworks + 1):
        simulation.register(Filler(2 * agents // frameworks), name=f"f{number}")
    simulation.run("1s")
    watched = [
        simulation.register(Probe(10, 1 + number / 10), name=f"probe-{number}") for number in range(1, probes + 1)
    ]
    tasks, steps = _ended(simulation), simulation.core.steps
    simulation.run(parse_duration(time) / SECOND_US)
    overhead_ms = tuple(took for probe in watched for took in probe.overhead_ms)
    return Scalability(agents, frameworks, _ended(simulation) - tasks, simulation.core.steps - steps, overhead_ms)


def _ended(simulation: Simulation) -> int:
    return sum(framework.counts.get("finished", 0) for framework in simulation.core.frameworks.values())
