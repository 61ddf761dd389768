"""How long tasks last, drawn by chance: ``sim.runs_for(train, normal("30s", "10s"))``.

Rule: a distribution keeps no dice. It is a function ``dice -> seconds``, and the simulation's own seeded dice is handed in;
so it serves ``mesonb.sim.generators`` as well. No draw is below zero: one that would be is drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from mesonb.core.units import SECOND_US, parse_duration
from mesonb.errors import BadValue

#: How often a draw below zero is tried again before it is taken for a mistake.
TRIES = 1000


@dataclass(frozen=True)
class Distribution:
    """A time by chance, in seconds."""

    name: str  #: as it was written
    draw: Callable[[Random], float]

    def __call__(self, dice: Random) -> float:
        """Draw one time."""
        for _ in range(TRIES):
            if (drawn := self.draw(dice)) >= 0:
                return drawn
        raise BadValue(f"{self.name} is hardly ever above zero; a time is")

    def __repr__(self) -> str:
        return self.name


def constant(time: float | str) -> Distribution:
    """Always the same."""
    seconds = _seconds(time)
    return Distribution(f"constant({time!r})", lambda _: seconds)


def uniform(low: float | str, high: float | str) -> Distribution:
    """Any time between two, with equal chance."""
    least, most = _seconds(low), _seconds(high)
    return Distribution(f"uniform({low!r}, {high!r})", lambda dice: dice.uniform(least, most))


def normal(mean: float | str, deviation: float | str) -> Distribution:
    """Around a mean, cut off at zero; the Mesos paper's scalability experiment (6.5) has a mean of 30 s and 10 s around it."""
    middle, width = _seconds(mean), _seconds(deviation)
    return Distribution(f"normal({mean!r}, {deviation!r})", lambda dice: dice.gauss(middle, width))


def exponential(mean: float | str) -> Distribution:
    """Memoryless, with this mean."""
    rate = 1 / _positive("mean", _seconds(mean))
    return Distribution(f"exponential({mean!r})", lambda dice: dice.expovariate(rate))


def lognormal(median: float | str, sigma: float) -> Distribution:
    """Many short and few long; ``sigma`` is the standard deviation of the logarithm."""
    mu = math.log(_positive("median", _seconds(median)))
    return Distribution(f"lognormal({median!r}, {sigma!r})", lambda dice: dice.lognormvariate(mu, sigma))


def _seconds(time: float | str) -> float:
    return parse_duration(time) / SECOND_US


def _positive(name: str, seconds: float) -> float:
    if not seconds > 0:
        raise BadValue(f"{name}={seconds!r} must be more than zero")
    return seconds
