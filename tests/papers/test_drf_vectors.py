"""The numbers of the DRF paper (Ghodsi et al., NSDI 2011), by section, exactly where they are fractions.

Where the paper gives no number the vector is derived, and says so. The paper prints 48.8 tasks for user 2 in section
6.1.2; 1500/31 is 48.39: a misprint.
"""

from fractions import Fraction

import pytest

from tests.papers.drf import asset_fairness, ceei, dominant_share, one_task_at_a_time, progressive_filling, used

D1 = (9, 18), [(1, 4), (3, 1)]


def shares(tasks, demands, total):
    return [dominant_share(n, demand, total) for n, demand in zip(tasks, demands, strict=True)]


def test_4_1_nine_cpus_and_eighteen_gb() -> None:
    total, demands = D1
    for tasks in (progressive_filling(total, demands), one_task_at_a_time(total, demands)):
        assert tasks == [3, 2]
        assert used(tasks, demands, total) == [9, 14]
        assert shares(tasks, demands, total) == [Fraction(2, 3), Fraction(2, 3)]


def test_table_1_the_end_is_the_same_in_either_order_of_ties() -> None:
    """The paper breaks the first tie for B: B, A, A, B, A. With users in that order the same tasks result."""
    total, demands = D1
    assert one_task_at_a_time(total, demands[::-1]) == [2, 3]
    assert one_task_at_a_time(total, demands, stop_at_first=True) == [3, 2]


def test_5_1_asset_fairness() -> None:
    tasks = asset_fairness(*D1)
    assert tasks == [Fraction(63, 25), Fraction(54, 25)]
    assert [n * d for n, d in zip([tasks[0]] * 2, (1, 4), strict=True)] == [Fraction(252, 100), Fraction(1008, 100)]


def test_5_2_ceei() -> None:
    assert ceei(*D1) == pytest.approx([45 / 11, 18 / 11])


def test_6_1_1_asset_fairness_gives_less_than_half() -> None:
    total, demands = (30, 30), [(1, 3), (1, 1)]
    tasks = asset_fairness(total, demands)
    assert tasks == [6, 12]
    assert shares(tasks, demands, total)[1] < Fraction(1, 2)
    assert progressive_filling(total, demands) == [5, 15]  # derived
    assert shares(progressive_filling(total, demands), demands, total) == [Fraction(1, 2), Fraction(1, 2)]


def test_6_1_1_asset_fairness_and_the_bottleneck() -> None:
    total, demands = (21, 21), [(3, 2), (4, 1)]
    tasks = asset_fairness(total, demands)
    assert tasks == [3, 3]
    assert shares(tasks, demands, total)[0] == Fraction(3, 7)
    assert progressive_filling(total, demands) == [Fraction(7, 2), Fraction(21, 8)]  # derived


def test_6_1_1_asset_fairness_takes_away_when_a_resource_grows() -> None:
    demands = [(4, 2), (1, 1)]
    before, after = asset_fairness((77, 77), demands), asset_fairness((77, 154), demands)
    assert [n * d for n, d in zip([before[0]] * 2, demands[0], strict=True)] == [44, 22]
    assert [n * d for n, d in zip([before[1]] * 2, demands[1], strict=True)] == [33, 33]
    assert [n * d for n, d in zip([after[0]] * 2, demands[0], strict=True)] == [42, 21]
    assert [n * d for n, d in zip([after[1]] * 2, demands[1], strict=True)] == [35, 35]


def test_6_1_2_ceei_rewards_a_lie() -> None:
    total, true, lie = (100, 100), [(16, 1), (1, 2)], [(16, 8), (1, 2)]
    assert ceei(total, true) == pytest.approx([100 / 31, 1500 / 31])
    assert ceei(total, lie) == pytest.approx([25 / 6, 100 / 3])
    assert (
        progressive_filling(total, true) == progressive_filling(total, lie) == [Fraction(25, 6), Fraction(100, 3)]
    )  # derived


def test_6_1_2_ceei_is_not_population_monotone() -> None:
    total, demands = (100, 100), [(4, 1), (1, 16), (16, 1)]
    assert ceei(total, demands) == pytest.approx([11.283, 5.351, 3.095], abs=1e-3)
    assert ceei(total, demands[:2]) == pytest.approx([23.810, 4.762], abs=1e-3)
    assert progressive_filling(total, demands) == [Fraction(400, 33), Fraction(100, 33), Fraction(100, 33)]  # derived
    assert progressive_filling(total, demands[:2]) == [20, 5]  # derived


def test_zero_demands() -> None:
    """Section 6 needs positive demands for some properties; with zeros a user can hurt others by a lie that gains nothing."""
    users = [(1, 0)] + [(0, 1)] * 9
    assert progressive_filling((1, 1), users) == [1] + [Fraction(1, 9)] * 9
    assert progressive_filling((1, 1), [(1, 1)] + [(0, 1)] * 9) == [Fraction(1, 10)] * 10


def test_theorem_6_drf_is_not_resource_monotone() -> None:
    demands = [(2, 1), (1, 2)]  # numbers derived; the theorem says some must exist
    assert progressive_filling((10, 10), demands) == [Fraction(10, 3), Fraction(10, 3)]
    assert progressive_filling((10, 40), demands) == [Fraction(5, 2), 5]


def test_4_3_weights() -> None:
    total, demands = D1  # results derived
    heavy_a = progressive_filling(total, demands, [(2, 2), (1, 1)])
    heavy_b = progressive_filling(total, demands, [(1, 1), (2, 2)])
    assert heavy_a == [Fraction(54, 13), Fraction(18, 13)]
    assert shares(heavy_a, demands, total) == [Fraction(12, 13), Fraction(6, 13)]
    assert heavy_b == [Fraction(9, 5), Fraction(12, 5)]
    assert shares(heavy_b, demands, total) == [Fraction(2, 5), Fraction(4, 5)]


def test_table_2_single_resource_and_bottleneck_fairness() -> None:
    """Where everybody's dominant resource is the same, it is divided equally; asset fairness fails this (D5)."""
    assert progressive_filling((30,), [(1,), (2,), (5,)]) == [10, 5, 2]
    total, demands = (21, 21), [(3, 2), (4, 1)]
    assert shares(progressive_filling(total, demands), demands, total) == [Fraction(1, 2), Fraction(1, 2)]
    assert shares(asset_fairness(total, demands), demands, total) != [Fraction(1, 2), Fraction(1, 2)]
