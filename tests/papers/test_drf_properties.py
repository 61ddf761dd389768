"""Table 2 of the DRF paper, as properties of any demands: exact for progressive filling, within one task when discrete.

And its other column heads: where asset fairness or CEEI lacks a property, an example shows it (test_drf_vectors).
"""

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.papers.drf import dominant_share, one_task_at_a_time, progressive_filling, used, worth_of

AMOUNT = st.integers(1, 20)
#: Demands with every resource positive: strategy-proofness and population monotonicity are proved for those.
DEMAND = st.tuples(AMOUNT, AMOUNT, AMOUNT)
DEMANDS = st.lists(DEMAND, min_size=1, max_size=5)
TOTAL = st.tuples(*[st.integers(100, 400)] * 3)


def share(tasks, demand, total) -> Fraction:
    return dominant_share(tasks, demand, total)


def largest_task(demands, total) -> Fraction:
    """The most that one task changes anybody's dominant share by."""
    return max(dominant_share(1, demand, total) for demand in demands)


@given(TOTAL, DEMANDS)
def test_feasible_and_pareto_efficient(total, demands) -> None:
    """Nobody can have more unless another has less: everyone needs something of which nothing is left."""
    inside = used(progressive_filling(total, demands), demands, total)
    assert all(u <= r for u, r in zip(inside, total, strict=True))
    assert all(any(d and u == r for d, u, r in zip(demand, inside, total, strict=True)) for demand in demands)


@given(TOTAL, DEMANDS)
def test_sharing_incentive(total, demands) -> None:
    """Everyone has at least the dominant share that an equal division of the cluster would give."""
    for n, demand in zip(progressive_filling(total, demands), demands, strict=True):
        assert share(n, demand, total) >= Fraction(1, len(demands))


@given(TOTAL, DEMANDS)
def test_envy_freeness(total, demands) -> None:
    """Nobody would run more tasks with what another holds."""
    tasks = progressive_filling(total, demands)
    bundles = [[n * d for d in demand] for n, demand in zip(tasks, demands, strict=True)]
    for n, demand in zip(tasks, demands, strict=True):
        assert all(worth_of(bundle, demand) <= n for bundle in bundles)


@given(TOTAL, DEMANDS, DEMAND)
def test_strategy_proofness(total, demands, lie) -> None:
    """Whatever the first user claims to need, what it is given runs no more of its real tasks."""
    honest = progressive_filling(total, demands)[0]
    lied = progressive_filling(total, [lie, *demands[1:]])[0]
    assert worth_of([lied * d for d in lie], demands[0]) <= honest


@given(TOTAL, st.lists(DEMAND, min_size=2, max_size=5))
def test_population_monotonicity(total, demands) -> None:
    """When a user leaves, nobody has less."""
    before = progressive_filling(total, demands)[1:]
    after = progressive_filling(total, demands[1:])
    assert all(b <= a for b, a in zip(before, after, strict=True))


@given(TOTAL, DEMANDS)
def test_bottleneck_fairness(total, demands) -> None:
    """If one resource is everybody's dominant one, all hold the same share of it."""
    dominant = [max(range(3), key=lambda j: Fraction(demand[j], total[j])) for demand in demands]
    assume(len(set(dominant)) == 1)
    tasks = progressive_filling(total, demands)
    held = {Fraction(n * demand[dominant[0]]) / total[dominant[0]] for n, demand in zip(tasks, demands, strict=True)}
    assert held == {Fraction(1, len(demands))}


@given(TOTAL, DEMANDS)
def test_all_hold_the_same_where_everyone_needs_everything(total, demands) -> None:
    """With positive demands the first resource that is full stops all at once: equal dominant shares."""
    tasks = progressive_filling(total, demands)
    assert len({share(n, demand, total) for n, demand in zip(tasks, demands, strict=True)}) == 1


# -- one task at a time: Algorithm 1 ------------------------------------------------------------------------------------


@given(TOTAL, DEMANDS)
def test_discrete_is_feasible_and_leaves_no_room(total, demands) -> None:
    tasks = one_task_at_a_time(total, demands)
    left = [r - u for r, u in zip(total, used(tasks, demands, total), strict=True)]
    assert all(amount >= 0 for amount in left)
    assert not any(all(d <= have for d, have in zip(demand, left, strict=True)) for demand in demands)


@given(TOTAL, DEMANDS)
def test_discrete_is_within_one_task_of_continuous(total, demands) -> None:
    """Theorem 7's bound, on one machine: shares differ by no more than the largest task, until the first does not fit."""
    tasks = one_task_at_a_time(total, demands, stop_at_first=True)
    shares = [share(n, demand, total) for n, demand in zip(tasks, demands, strict=True)]
    assert max(shares) - min(shares) <= largest_task(demands, total)
    exact = progressive_filling(total, demands)
    ideal = share(exact[0], demands[0], total)
    assert all(have <= ideal + largest_task(demands, total) for have in shares)
    assert max(shares) >= ideal - len(demands) * largest_task(demands, total)


@given(TOTAL, DEMANDS)
def test_discrete_sharing_incentive_within_one_task(total, demands) -> None:
    """Everyone runs at least as many tasks as on an equal part of the cluster, less the rounding of one task each."""
    tasks = one_task_at_a_time(total, demands)
    shares = [share(n, demand, total) for n, demand in zip(tasks, demands, strict=True)]
    slack = largest_task(demands, total)
    assert all(have >= Fraction(1, len(demands)) - slack for have in shares)


@given(TOTAL, DEMANDS)
def test_discrete_envy_freeness_within_one_task(total, demands) -> None:
    """Nobody would run more than one task more with what another holds."""
    tasks = one_task_at_a_time(total, demands, stop_at_first=True)
    bundles = [[n * d for d in demand] for n, demand in zip(tasks, demands, strict=True)]
    for n, demand in zip(tasks, demands, strict=True):
        for bundle, other in zip(bundles, demands, strict=True):
            spare = Fraction(dominant_share(1, other, total)) / dominant_share(1, demand, total)
            assert worth_of(bundle, demand) <= n + 1 + spare
