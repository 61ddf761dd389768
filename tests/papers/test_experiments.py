"""The Mesos paper's analysis (Section 4) and scalability experiment (6.5), simulated with the real core, against exact forms.

Rule: each run is seeded and so each figure is fixed; the tolerance is what so many runs may differ from the mean by chance.
"""

import math

import pytest

from mesonb.errors import BadValue
from mesonb.sim import closed_forms, experiments


@pytest.mark.parametrize("times", ["constant", "exponential"])
@pytest.mark.parametrize("rigid", [False, True], ids=["elastic", "rigid"])
def test_table_2(times, rigid):
    k, beta = 32, 2
    ramp = experiments.table2(k, beta, times, rigid=rigid, runs=120, seed=1)
    assert ramp.ramp_up == pytest.approx(closed_forms.ramp_up(k, 1, times), rel=0.05)
    if rigid:
        assert ramp.completion == pytest.approx(closed_forms.completion_rigid(k, beta, 1, times), rel=0.04)
        assert ramp.utilisation == pytest.approx(closed_forms.utilisation_rigid(k, beta, times), rel=0.04)
    else:
        assert ramp.completion == pytest.approx(closed_forms.completion_elastic(beta, 1, times), rel=0.02)
        assert ramp.utilisation == pytest.approx(1, abs=1e-6)


def test_table_2_has_the_harmonic_number_where_the_paper_prints_a_logarithm():
    ramp = experiments.table2(16, 1, "exponential", runs=150, seed=2)
    assert abs(ramp.ramp_up - closed_forms.harmonic(16)) < 0.25
    assert ramp.ramp_up - math.log(16) > 0.35


def test_one_seed_is_one_table():
    assert experiments.table2(4, 1, "exponential", runs=3, seed=5) == experiments.table2(
        4, 1, "exponential", runs=3, seed=5
    )
    assert experiments.table2(4, 1, "exponential", runs=3, seed=5) != experiments.table2(
        4, 1, "exponential", runs=3, seed=6
    )


def test_table_2_knows_two_kinds_of_tasks():
    with pytest.raises(BadValue, match="times='normal'; task times are constant or exponential"):
        experiments.table2(times="normal")


@pytest.mark.parametrize("intended", [{"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 1}, {"a": 0.5, "b": 4.5}], ids=str)
def test_4_3_a_lottery_shares_out_preferred_agents_by_intended_allocation(intended):
    each = (
        300  # exponential tasks one after another on each agent: what a framework holds deviates by sqrt(2 n) of its n
    )
    held = experiments.preferences(intended, preferred=20, others=10, seed=3, tasks_each=each)
    wanted = closed_forms.preferred_slots(20, intended)
    assert sum(held.values()) == pytest.approx(20, rel=0.001)
    for name in intended:
        assert abs(held[name] - wanted[name]) < 3 * math.sqrt(2 * wanted[name] / each)


@pytest.mark.parametrize(("phi", "slots"), [(0.5, 3), (0.8, 8), (0.2, 2)])
def test_4_4_agents_full_of_long_tasks(phi, slots):
    agents = 2000
    chance = closed_forms.filled_by_long_tasks(phi, slots)
    filled = experiments.filled_by_long(phi, slots, agents, seed=4)
    assert abs(filled - chance) < 3 * math.sqrt(chance * (1 - chance) / agents)


def test_6_5_launch_overhead_is_the_protocol_and_the_wait_for_the_next_free_slot():
    """Six messages of 0.5 ms, and on average the time between two of the 2 x 1,000 slots' tasks ending, 15 ms."""
    result = experiments.scalability(agents=1000, frameworks=20, time="45s", probes=10, seed=5)
    assert result.tasks == pytest.approx(45 * 2000 / 30, rel=0.05)
    assert len(result.overhead_ms) >= 30
    assert min(result.overhead_ms) >= 3 - 1e-6
    assert 3 < result.mean_ms < 3 + 3 * 15


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_6_5_at_fifty_thousand_agents():
    """A renewal process in each slot: of its first task, N(30 s, 10 s), a uniform part is left; seconds 1 to 61 are counted."""
    result = experiments.scalability(agents=50_000, frameworks=200, time="1min")
    by_61_s = 1 + (61 - 30 / 2) / 30 + (10**2 / 30**2 - 1) / 2
    by_1_s = 1.16 / 30  # the mean of 1 / N(30, 10)
    assert result.tasks == pytest.approx(100_000 * (by_61_s - by_1_s), rel=0.01)
    assert len(result.overhead_ms) >= 80
    assert result.mean_ms < 5
