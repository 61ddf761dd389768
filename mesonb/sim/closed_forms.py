"""What the papers' models say in closed form: the yardsticks that simulations are held against.

Three groups: a single decision-maker as a queue (Omega's busyness line, Pollaczek and Khinchine's wait); Table 2 of the
Mesos paper (NSDI'11, Section 4.2) in its exact forms; and Section 4.4's chance that long tasks fill a node.

Rule: times are seconds, or whatever unit the arguments are in. Where the paper prints an approximation, the exact form
stands here and the docstring names the difference: T ln k is T H_k, which is 28 % more at k = 10 and 9 % at k = 1,000.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

from mesonb.core.units import SECOND_US
from mesonb.errors import BadValue
from mesonb.sim.architectures.world import Think
from mesonb.sim.workload import Job

#: How task times are distributed: all alike, or memoryless.
Times = Literal["constant", "exponential"]


# -- a scheduler as a queue -----------------------------------------------------------------------------------------


def busyness(rate_per_s: float, t_job_s: float, t_task_s: float, mean_tasks: float) -> float:
    """The share of its time that a scheduler decides when nothing is tried twice: lambda (t_job + t_task n).

    >>> round(busyness(1 / 30, 10, 0.005, 10), 4)
    0.335
    """
    return rate_per_s * (t_job_s + t_task_s * mean_tasks)


def mean_wait(rate_per_s: float, mean_s: float, mean_square_s2: float) -> float:
    """Mean time in the queue of one server with Poisson arrivals: lambda E[S^2] / (2 (1 - rho)); endless from rho = 1.

    >>> mean_wait(0.5, 1, 1)
    0.5
    """
    rho = rate_per_s * mean_s
    return rate_per_s * mean_square_s2 / (2 * (1 - rho)) if rho < 1 else math.inf


def expected(jobs: Sequence[Job], think: Mapping[str, Think], until_us: int) -> tuple[float, float]:
    """Busyness and mean wait (s) of one scheduler that decides each of these jobs once.

    The moments are the jobs' own, so nothing but the order of arrivals is left to chance.
    """
    times = [think[job.workload].of(job.tasks) / SECOND_US for job in jobs]
    rate, mean = len(jobs) * SECOND_US / until_us, math.fsum(times) / len(times)
    return rate * mean, mean_wait(rate, mean, math.fsum(time * time for time in times) / len(times))


# -- Mesos, Section 4.2: Table 2 ------------------------------------------------------------------------------------
# A framework is entitled to k given slots, which others' tasks of mean length T leave one by one: at times uniform in
# (0, T) if those last T, exponential with mean T if they are memoryless. Its job needs beta k T of slot time.


def harmonic(k: int) -> float:
    """H_k = 1 + 1/2 + ... + 1/k, the mean of the largest of k exponential times of mean 1.

    >>> harmonic(2)
    1.5
    """
    return (
        float(sum(Fraction(1, i) for i in range(1, k + 1))) if k < 1000 else math.fsum(1 / i for i in range(1, k + 1))
    )


def ramp_up(k: int, task_s: float, times: Times) -> float:
    """Mean time until all k slots are there: T k/(k+1) (the paper: T), or T H_k (the paper: T ln k).

    >>> ramp_up(9, 10, "constant"), round(ramp_up(100, 1, "exponential"), 3)
    (9.0, 5.187)
    """
    return task_s * (k / (k + 1) if _constant(times) else harmonic(k))


def ramp_up_any(k: int, slots: int, task_s: float, times: Times) -> float:
    """Mean time until k of all slots are there, when a framework with no share yet is offered whichever comes free next."""
    return task_s * (k / (slots + 1) if _constant(times) else harmonic(slots) - harmonic(slots - k))


def completion_elastic(beta: float, task_s: float, times: Times) -> float:
    """Mean time to finish when each slot is used from the moment it is there, with endlessly many of them.

    Solves: slot time gathered by t equals beta T a slot. Constant: (1/2 + beta) T, once beta >= 1/2. Exponential:
    t - T (1 - exp(-t/T)) = beta T, which nears the paper's (1 + beta) T as beta grows (20 % less at beta = 1/2).

    >>> completion_elastic(1, 10, "constant"), round(completion_elastic(1, 1, "exponential"), 3)
    (15.0, 1.841)
    """
    if _constant(times):
        return task_s * (0.5 + beta if beta >= 0.5 else math.sqrt(2 * beta))
    return task_s * _gathered(beta)


def completion_rigid(k: int, beta: float, task_s: float, times: Times) -> float:
    """Mean time to finish when nothing starts before all k slots are there: ramp-up + beta T.

    >>> completion_rigid(1, 2, 10, "exponential")
    30.0
    """
    return ramp_up(k, task_s, times) + beta * task_s


def utilisation_rigid(k: int, beta: float, times: Times) -> float:
    """Used over held slot time of a rigid framework (an elastic one's is 1): beta / (beta + mean idle time of a slot).

    The paper: beta / (1/2 + beta), or beta / (ln k - 1 + beta).

    >>> round(utilisation_rigid(10_000, 0.5, "constant"), 3)
    0.5
    """
    mean_arrival = 0.5 if _constant(times) else 1
    return beta / (beta + ramp_up(k, 1, times) - mean_arrival)


def _gathered(beta: float) -> float:
    """Solve t - 1 + exp(-t) = beta for t by Newton's method, from above, where it cannot overshoot."""
    t = 1 + beta
    for _ in range(60):
        t -= (t - 1 + math.exp(-t) - beta) / (1 - math.exp(-t))
    return t


def _constant(times: Times) -> bool:
    if times not in ("constant", "exponential"):
        raise BadValue(f"times={times!r}; task times are constant or exponential")
    return times == "constant"


# -- Mesos, Section 4.3 ---------------------------------------------------------------------------------------------


def preferred_slots(slots: int, intended: Mapping[str, float]) -> dict[str, float]:
    """How many of some slots that everybody prefers each framework gets: by its intended allocation, p s_i / sum(s).

    Offering each freed slot to i with chance s_i / sum(s), a lottery, comes there without knowing any preference.

    >>> preferred_slots(12, {"a": 1, "b": 2})
    {'a': 4.0, 'b': 8.0}
    """
    return {name: slots * share / sum(intended.values()) for name, share in intended.items()}


# -- Mesos, Section 4.4 ---------------------------------------------------------------------------------------------


def filled_by_long_tasks(phi: float, slots: int) -> float:
    """The chance that a node of so many slots is full of long tasks, of which a fraction phi of all tasks are: phi^S.

    >>> filled_by_long_tasks(0.5, 8)
    0.00390625
    """
    return float(phi**slots)
