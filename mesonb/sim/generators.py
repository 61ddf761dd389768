"""Workloads made from distributions: arrivals, sizes and durations, all drawn from one seeded dice.

Rule: a distribution is a function ``dice -> number``; nothing here keeps a dice of its own, so the same seed gives the
same jobs in any process. Sources stand beside the numbers they gave.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random

from mesonb.core.units import SECOND_US, parse_duration
from mesonb.errors import BadValue
from mesonb.sim.workload import Job

Draw = Callable[[Random], float]

_GIB = 2**30

#: Jobs of Facebook's Hadoop cluster, October 2009: (percent of jobs, fewest maps, most maps). EuroSys'10, Table 1.
FACEBOOK_2009 = (
    (39, 1, 1), (16, 2, 2), (14, 3, 20), (9, 21, 60), (6, 61, 150), (6, 151, 300), (4, 301, 500), (4, 501, 1500), (2, 1501, 4800),
)  # fmt: skip
#: The mix of the Mesos paper's macrobenchmark: (maps, reduces, jobs of a hundred). NSDI'11, Table 3.
FACEBOOK_MIX = ((1, 0, 38), (2, 0, 18), (10, 2, 14), (50, 0, 12), (100, 10, 6), (200, 0, 6), (400, 0, 4), (400, 30, 2))


# -- distributions --------------------------------------------------------------------------------------------------


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise BadValue(f"{name}={value!r} must be more than zero")


def constant(value: float) -> Draw:
    """Always the same."""
    return lambda dice: value


def exponential(mean: float) -> Draw:
    """Memoryless, with this mean."""
    _positive("mean", mean)
    return lambda dice: dice.expovariate(1 / mean)


def lognormal(median: float, sigma: float) -> Draw:
    """Many small and few large; ``sigma`` is the standard deviation of the logarithm."""
    _positive("median", median)
    mu = math.log(median)
    return lambda dice: dice.lognormvariate(mu, sigma)


def pareto(alpha: float, at_least: float = 1, at_most: float = math.inf) -> Draw:
    """Heavy-tailed, cut off at ``at_most`` (drawn from the distribution below it, not piled up at it)."""
    _positive("alpha", alpha)
    kept = 1 - (at_least / at_most) ** alpha
    return lambda dice: at_least * (1 - dice.random() * kept) ** (-1 / alpha)


def bins(table: Sequence[tuple[float, int, int]]) -> Draw:
    """A bin by its weight, then any whole number in it with equal chance: rows of (weight, low, high)."""
    edges = list(accumulate(weight for weight, _, _ in table))

    def draw(dice: Random) -> float:
        _, low, high = table[min(bisect(edges, dice.random() * edges[-1]), len(table) - 1)]
        return dice.randint(low, high)

    return draw


# -- workloads ------------------------------------------------------------------------------------------------------


def generate(
    workload: str,
    dice: Random,
    until: float | str,
    every_s: Draw,
    tasks: Draw,
    duration_s: Draw,
    cpus: Draw = constant(1),
    mem_bytes: Draw = constant(2 * 10**9),
) -> list[Job]:
    """Jobs one after another until a time; ``every_s`` draws the gap before each (``exponential``: Poisson arrivals).

    >>> jobs = generate("batch", Random(1), "1h", exponential(5), exponential(40), exponential(60))
    >>> all(job.tasks >= 1 for job in jobs), 600 < len(jobs) < 840
    (True, True)
    """
    until_us, now_us, jobs = parse_duration(until), 0, list[Job]()
    while (now_us := now_us + _micros(every_s(dice))) <= until_us:
        jobs.append(_job(workload, now_us, math.ceil(tasks(dice)), duration_s(dice), cpus(dice), mem_bytes(dice)))
    return jobs


def facebook(
    dice: Random, rounds: int = 1, every_s: Draw = exponential(14), duration_s: Draw = exponential(30)
) -> list[Job]:
    """The Mesos paper's Facebook mix (NSDI'11, Table 3): a hundred jobs a round in random order, 14 s apart on average.

    Maps and reduces of a job are tasks alike. The paper gives no task durations: 30 s on average is our choice.
    """
    sizes = [maps + reduces for maps, reduces, jobs in FACEBOOK_MIX for _ in range(jobs)]
    now_us, out = 0, list[Job]()
    for _ in range(rounds):
        dice.shuffle(sizes)
        for tasks in sizes:
            now_us += _micros(every_s(dice))
            out.append(_job("facebook", now_us, tasks, duration_s(dice), 1, 2 * 10**9))
    return out


def google_2011(
    dice: Random, until: float | str, most_tasks: int = 1000, most_cpus: float = 4, most_mem: int = 16 * 10**9
) -> list[Job]:
    """Batch and service jobs shaped like Google's public trace of 2011; a parametric stand-in, not the trace.

    Fitted to published 80th percentiles (Omega, EuroSys'13, Section 2; arrivals of cluster C) and to the sizes in the
    trace's state at time 0: tasks a job Pareto(0.9) rounded down, cpus and memory a task lognormal through p50 and p90.
    """
    size = pareto(0.9, at_most=most_tasks + 0.5)
    shapes = {  # name: (arrival mean s, run time median s and sigma, cpus p50 and sigma, mem p50 GiB and sigma)
        "batch": (3.4, 300, 1.38, 0.013, 2.57, 0.09, 2.08),
        "service": (300, 784_000, 1.38, 0.083, 2.20, 0.58, 1.60),
    }
    jobs = list[Job]()
    for name, (arrival, run, run_sigma, cpus, cpus_sigma, mem, mem_sigma) in shapes.items():
        needs = (_below(lognormal(cpus, cpus_sigma), most_cpus), _below(lognormal(mem * _GIB, mem_sigma), most_mem))
        jobs += generate(name, dice, until, exponential(arrival), _floor(size), lognormal(run, run_sigma), *needs)
    return sorted(jobs, key=lambda job: (job.submitted_us, job.workload))


def prefill(machines: int, cpus: float = 4, fraction: float = 0.6, mem_gb: float = 2) -> list[Job]:
    """One-cpu tasks that fill a fraction of the cell's cpus at time 0 and outlive any run."""
    tasks = round(machines * cpus * fraction)
    return [_job("prefill", 0, tasks, 10 * 366 * 86_400, 1, mem_gb * 10**9)] if tasks else []


def _job(workload: str, now_us: int, tasks: int, duration_s: float, cpus: float, mem_bytes: float) -> Job:
    return Job(
        workload, now_us, max(1, tasks), _micros(duration_s), max(1, round(cpus * 1000)), max(1, round(mem_bytes))
    )


def _below(draw: Draw, most: float) -> Draw:
    return lambda dice: min(draw(dice), most)


def _floor(draw: Draw) -> Draw:
    return lambda dice: math.floor(draw(dice))


def _micros(seconds: float) -> int:
    return round(seconds * SECOND_US)
