"""The DRF paper's allocation rules, as plainly as they can be written: exact fractions, or one task at a time.

Test-only: an oracle, and the rules that the paper compares DRF with (Ghodsi et al., NSDI 2011, sections 4-6, A.1).
A demand is what one task takes of each resource; an allocation is a number of tasks a user.
"""

from collections.abc import Sequence
from fractions import Fraction

Vector = Sequence[int | Fraction]


def dominant_share(tasks: Fraction | int, demand: Vector, total: Vector) -> Fraction:
    """Return the largest share that so many tasks hold of any resource."""
    return max(Fraction(tasks) * Fraction(d) / Fraction(r) for d, r in zip(demand, total, strict=True))


# -- DRF ----------------------------------------------------------------------------------------------------------------


def progressive_filling(
    total: Vector, demands: Sequence[Vector], weights: Sequence[Vector] | None = None
) -> list[Fraction]:
    """Raise all (weighted) dominant shares at one rate; whoever needs a resource that is full stays where he is (A.1)."""
    weights = weights or [[1] * len(total)] * len(demands)
    rates = [_rate(total, demand, weight) for demand, weight in zip(demands, weights, strict=True)]
    tasks = [Fraction(0)] * len(demands)
    left = [Fraction(r) for r in total]
    growing = {user for user, rate in enumerate(rates) if rate}
    while growing:
        speeds = [sum(rates[user] * demands[user][j] for user in growing) for j in range(len(total))]
        time = min(left[j] / speeds[j] for j in range(len(total)) if speeds[j])
        for user in growing:
            tasks[user] += rates[user] * time
        left = [left[j] - speeds[j] * time for j in range(len(total))]
        full = {j for j in range(len(total)) if not left[j] and speeds[j]}
        growing = {user for user in growing if not any(demands[user][j] for j in full)}
    return tasks


def _rate(total: Vector, demand: Vector, weight: Vector) -> Fraction:
    """Tasks per unit of weighted dominant share (4.3: s = max of u/w over the resources)."""
    share = max(Fraction(d) / (Fraction(r) * Fraction(w)) for d, r, w in zip(demand, total, weight, strict=True))
    return 1 / share if share else Fraction(0)


def one_task_at_a_time(total: Vector, demands: Sequence[Vector], *, stop_at_first: bool = False) -> list[int]:
    """Algorithm 1: a task to whoever has the lowest dominant share; ties to the fewest tasks, then the lowest number.

    The paper stops at the first user who does not fit; real systems go on with those who do.
    """
    tasks = [0] * len(demands)
    left = [Fraction(r) for r in total]
    waiting = [user for user, demand in enumerate(demands) if any(demand)]
    while waiting:
        user = min(waiting, key=lambda user: (dominant_share(tasks[user], demands[user], total), tasks[user], user))
        if all(d <= have for d, have in zip(demands[user], left, strict=True)):
            tasks[user] += 1
            left = [have - d for d, have in zip(demands[user], left, strict=True)]
        elif stop_at_first:
            break
        else:
            waiting.remove(user)
    return tasks


# -- what the paper compares it with ------------------------------------------------------------------------------------


def asset_fairness(total: Vector, demands: Sequence[Vector]) -> list[Fraction]:
    """Equal sums of shares for everyone, as large as the resources allow (5.1)."""
    worth = [sum(Fraction(d) / Fraction(r) for d, r in zip(demand, total, strict=True)) for demand in demands]
    used = [sum(Fraction(demand[j]) / w for demand, w in zip(demands, worth, strict=True)) for j in range(len(total))]
    each = min(Fraction(total[j]) / used[j] for j in range(len(total)) if used[j])
    return [each / w for w in worth]


def ceei(total: Vector, demands: Sequence[Vector]) -> list[float]:
    """Competitive equilibrium from equal incomes, of two resources: the product of the numbers of tasks is largest (5.2).

    Everyone has an income of 1 and spends it on tasks. The prices at which exactly all is bought minimise the sum of
    log(price of a task) under a fixed price of the whole; with two resources that is one unknown, found by halving.
    """
    low, high = 0.0, 1.0  # the part of all income that is spent on the first resource
    for _ in range(200):
        part = (low + high) / 2
        slope = sum(
            (worth[0] - worth[1]) * cost
            for worth, cost in zip(_worths(total, demands), _tasks(total, demands, part), strict=True)
        )
        low, high = (part, high) if slope > 0 else (low, part)
    return _tasks(total, demands, (low + high) / 2)


def _worths(total: Vector, demands: Sequence[Vector]) -> list[list[float]]:
    """What part of each resource a task takes, times the number of users: a task's price if all income went there."""
    return [[len(demands) * float(d) / float(r) for d, r in zip(demand, total, strict=True)] for demand in demands]


def _tasks(total: Vector, demands: Sequence[Vector], part: float) -> list[float]:
    return [1 / (part * first + (1 - part) * second) for first, second in _worths(total, demands)]


# -- what the properties of Table 2 speak of ----------------------------------------------------------------------------


def used(tasks: Sequence[Fraction | int], demands: Sequence[Vector], total: Vector) -> list[Fraction]:
    """Return how much of each resource is in use."""
    return [
        sum((Fraction(n) * Fraction(d[j]) for n, d in zip(tasks, demands, strict=True)), Fraction(0))
        for j in range(len(total))
    ]


def worth_of(bundle: Vector, demand: Vector) -> Fraction:
    """Return how many tasks of this demand a bundle of resources would run."""
    return min(Fraction(b) / Fraction(d) for b, d in zip(bundle, demand, strict=True) if d)
