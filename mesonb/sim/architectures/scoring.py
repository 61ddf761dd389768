"""Filter and score, as Kubernetes and Nomad place: machines with room are scored, and the best one gets the task.

Three ideas of those systems are kept, because each has a measurable price and gain:

- *Filter, then score*: a machine without room is not scored. A score is a pure function of the machine and the task.
- *Stop at enough*: kube-scheduler scores 50 % of 100 machines and fewer of more, 10 % of 5,000, never under 5 % nor under
  100; the search goes on where the last one stopped. ``everything=True`` scores all.
- *Equivalence classes and a score cache* (Borg, EuroSys'15, Section 3.4): equal tasks of a job are scored once; after
  each placement only the machine that changed is scored again; machines that would be left alike share one score.

Scores: ``least_allocated`` spreads and ``most_allocated`` packs (mean of the free, or the used, fractions of cpu and
memory, 0..100); ``nomad`` packs by 20 - (10^free cpu + 10^free memory), cut off to 0..18. A dice settles ties.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from random import Random

from mesonb.sim.architectures.cell import Cell

#: Places up to so many equal tasks and takes their room: (cell, count, cpus, mem, dice) -> machines.
Placement = Callable[[Cell, int, int, int, Random], list[int]]
#: How good a machine would be after the task: (free cpu fraction, free memory fraction) -> more is better.
Score = Callable[[float, float], float]

#: How many scores are remembered at a time.
_CACHED = 10_000
#: kube-scheduler's percentageOfNodesToScore when it is not set: 50 - machines / 125 percent, at least 5.
_PERCENT, _MACHINES_PER_PERCENT, _LEAST_PERCENT, _LEAST_MACHINES = 50, 125, 5, 100


def least_allocated(free_cpus: float, free_mem: float) -> float:
    """Spread: the emptier the better.

    >>> least_allocated(0.75, 0.25)
    50.0
    """
    return (free_cpus + free_mem) * 50


def most_allocated(free_cpus: float, free_mem: float) -> float:
    """Pack: the fuller the better.

    >>> most_allocated(0.75, 0.0)
    62.5
    """
    return (2 - free_cpus - free_mem) * 50


def nomad(free_cpus: float, free_mem: float) -> float:
    """Pack, with more to gain the fuller a machine already is (Google's best-fit v3, as Nomad uses it).

    >>> nomad(1, 1), nomad(0, 0)
    (0, 18)
    """
    return min(18, max(0, 20 - (10**free_cpus + 10**free_mem)))


def enough(machines: int) -> int:
    """How many machines with room are enough to choose from.

    >>> enough(50), enough(1000), enough(5000), enough(50_000)
    (50, 420, 500, 2500)
    """
    if machines <= _LEAST_MACHINES:
        return machines
    percent = max(_LEAST_PERCENT, _PERCENT - machines // _MACHINES_PER_PERCENT)
    return max(_LEAST_MACHINES, machines * percent // 100)


@dataclass(slots=True)
class Scored:
    """Places each task on the machine with the best score."""

    score: Score = least_allocated
    everything: bool = False  #: score every machine with room, not just enough
    _next: int = field(default=0, repr=False)  #: where the search goes on
    _known: dict[tuple[int, int, tuple[int, int]], float] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.score.__name__.replace("_", "-")

    def fresh(self) -> Scored:
        """The same rule at the start of a run, so that one run leaves no trace in the next."""
        return Scored(self.score, self.everything)

    def __call__(self, cell: Cell, count: int, cpus: int, mem: int, dice: Random) -> list[int]:
        """Take room for up to ``count`` equal tasks; return the machine of each."""
        many = len(cell.machines) if self.everything else enough(len(cell.machines))
        ranked = [
            self._ranked(cell, machine, cpus, mem, dice) for machine in islice(self._with_room(cell, cpus, mem), many)
        ]
        heapq.heapify(ranked)
        chosen = list[int]()
        while ranked and len(chosen) < count:
            machine = ranked[0][2]
            cell.take(machine, cpus, mem)
            chosen.append(machine)
            if cell.fits(machine, cpus, mem):
                heapq.heapreplace(ranked, self._ranked(cell, machine, cpus, mem, dice))
            else:
                heapq.heappop(ranked)
        return chosen

    def _with_room(self, cell: Cell, cpus: int, mem: int) -> Iterator[int]:
        machines, start = len(cell.machines), self._next
        for at in range(start, start + machines):
            self._next = machine = at % machines
            if cell.fits(machine, cpus, mem):
                yield machine

    def _ranked(self, cell: Cell, machine: int, cpus: int, mem: int, dice: Random) -> tuple[float, float, int]:
        left = cell.free_cpus[machine] - cpus, cell.free_mem[machine] - mem, cell.machines[machine]
        badness = self._known.get(left)
        if badness is None:
            badness = self._remember(left)
        return badness, dice.random(), machine

    def _remember(self, left: tuple[int, int, tuple[int, int]]) -> float:
        free_cpus, free_mem, (total_cpus, total_mem) = left
        if len(self._known) >= _CACHED:
            self._known.clear()
        self._known[left] = badness = -self.score(free_cpus / (total_cpus or 1), free_mem / (total_mem or 1))
        return badness
