"""The measures by which architectures are compared, as Omega's paper defines them (EuroSys'13, Sections 4 and 5).

- busyness: the fraction of the run that a scheduler spends deciding. As in the paper's simulator, decisions that found
  no room for a single task do not count; they stand apart as ``fruitless``.
- conflict fraction: transactions that met a conflict over transactions that met none (so it can pass 1).
- wait: from submission to the start of the first attempt, and to the placement of the last task.
- utilisation and locked share: integrals over the run, in integers until they are divided to be shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mesonb.core.units import SECOND_US


@dataclass(slots=True)
class SchedulerBooks:
    """What one scheduler did with its time."""

    useful_us: int = 0  #: deciding on attempts that met no conflict
    wasted_us: int = 0  #: deciding on attempts of which something conflicted
    fruitless_us: int = 0  #: deciding on attempts that found no room for one task
    succeeded: int = 0  #: transactions without a conflict
    conflicted: int = 0  #: transactions with one

    def decided(self, think_us: int, placed: bool, conflict: bool) -> None:
        """Book one decision."""
        if conflict:
            self.wasted_us += think_us
            self.conflicted += 1
        elif placed:
            self.useful_us += think_us
            self.succeeded += 1
        else:
            self.fruitless_us += think_us


@dataclass(slots=True)
class WorkloadBooks:
    """What became of one workload's jobs."""

    jobs: int = 0  #: submitted
    placed: int = 0  #: jobs of which every task was placed
    abandoned: int = 0
    tasks: int = 0  #: tasks placed; an evicted one counts again
    evicted: int = 0  #: tasks that had to make room for a higher priority
    lost_cpu_us: int = 0  #: thousandths of a cpu x microseconds that evicted tasks had worked for nothing
    first_waits_us: list[int] = field(default_factory=list)  #: of jobs attempted, in the order of their first attempts
    full_waits_us: list[int] = field(default_factory=list)  #: of jobs placed


class Level:
    """An amount that changes by steps, and its integral over time."""

    __slots__ = ("_since_us", "area", "now")

    def __init__(self) -> None:
        self.now = 0
        self.area = 0  #: amount x microseconds
        self._since_us = 0

    def add(self, amount: int, now_us: int) -> None:
        """Change by an amount at a moment."""
        self.area += self.now * (now_us - self._since_us)
        self._since_us = now_us
        self.now += amount

    def mean(self, until_us: int, total: int) -> float:
        """Its average up to a moment, as a share of a total."""
        area = self.area + self.now * (until_us - self._since_us)
        return area / (until_us * total) if until_us and total else 0.0


def mean_s(times_us: list[int]) -> float | None:
    """The mean in seconds; none of none."""
    return sum(times_us) / len(times_us) / SECOND_US if times_us else None


def percentile_s(times_us: list[int], percent: float) -> float | None:
    """The time that so many percent do not exceed, in seconds; none of none."""
    if not times_us:
        return None
    return sorted(times_us)[min(len(times_us) - 1, int(len(times_us) * percent / 100))] / SECOND_US


def ratio(part: int, whole: int) -> float | None:
    """One division of integers; none when there is nothing to divide by."""
    return part / whole if whole else None
