"""Simulations and the papers' models agree: the queue, Table 2 of the Mesos paper, phi^S."""

import math
from random import Random
from statistics import fmean

import pytest

from mesonb.errors import BadValue
from mesonb.sim import closed_forms
from mesonb.sim.architectures import Monolithic, Omega
from mesonb.sim.architectures.run import Case, measure
from mesonb.sim.architectures.world import Think
from mesonb.sim.generators import exponential, generate
from tests.sim.w2 import JOBS, SIX_HOURS_US, case

K, BETA, T = 20, 2.0, 10.0


def close_to(value):
    return pytest.approx(value, rel=0.03)


# -- the queue ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("t_job_s", "mean_wait"), [(0.1, None), (1, 0.2327)])
def test_one_path_on_w2_is_on_the_line(t_job_s, mean_wait):
    given = case(t_job_s)
    think = dict.fromkeys(given.think, given.think["Service"])
    line, wait_s = closed_forms.expected(JOBS, think, SIX_HOURS_US)
    row = measure(Monolithic("single"), given, 1)
    assert row["busyness"]["Batch"] == close_to(line)
    if mean_wait:
        assert wait_s == close_to(mean_wait)


def test_a_batch_scheduler_that_meets_no_conflict_is_on_the_line():
    given, batch = case(1), [job for job in JOBS if job.workload == "Batch"]
    line, _ = closed_forms.expected(batch, given.think, SIX_HOURS_US)
    assert measure(Omega(), given, 1)["busyness"]["Batch"] == close_to(line)


def test_waits_are_pollaczek_and_khinchines():
    """Twelve simulated days at half load, in a cell with room for all."""
    jobs = generate("batch", Random(7), "12d", exponential(10), exponential(20), exponential(1))
    think = {"batch": Think(t_job_us=4_000_000, t_task_us=50_000)}
    given = Case(jobs, [(10**9, 10**15)] * 10, think, until_us=12 * 86_400 * 10**6)
    line, wait_s = closed_forms.expected(jobs, think, given.until_us)
    row = measure(Monolithic(), given, 1)
    assert row["busyness"]["batch"] == close_to(line)
    assert row["wait_first_s"]["batch"] == close_to(wait_s)


def test_an_overloaded_queue_waits_without_end():
    assert closed_forms.mean_wait(2, 0.5, 0.25) == math.inf


# -- Table 2 --------------------------------------------------------------------------------------------------------


def arrivals(dice, times):
    """When each of k given slots is left, in order."""
    return sorted(dice.uniform(0, T) if times == "constant" else dice.expovariate(1 / T) for _ in range(K))


def elastic_end(arrived):
    """When slots used from their arrival have gathered beta k T."""
    work, end = 0.0, 0.0
    for n, (at, following) in enumerate(zip(arrived, [*arrived[1:], math.inf], strict=True), start=1):
        end = at + (BETA * K * T - work) / n
        if end <= following:
            return end
        work += n * (following - at)
    return end


@pytest.mark.parametrize("times", ["constant", "exponential"])
def test_table_2_against_sampled_arrivals(times):
    dice = Random(11)
    runs = [arrivals(dice, times) for _ in range(20_000)]
    assert closed_forms.ramp_up(K, T, times) == pytest.approx(fmean(run[-1] for run in runs), rel=0.01)
    assert closed_forms.completion_rigid(K, BETA, T, times) == pytest.approx(
        fmean(run[-1] for run in runs) + BETA * T, rel=0.01
    )
    held = fmean(run[-1] + BETA * T - fmean(run) for run in runs)
    assert closed_forms.utilisation_rigid(K, BETA, times) == pytest.approx(BETA * T / held, rel=0.01)
    assert closed_forms.completion_elastic(BETA, T, times) == pytest.approx(fmean(map(elastic_end, runs)), rel=0.02)


def test_the_papers_approximations_are_near_for_large_k_and_beta():
    k, beta = 10_000, 10
    assert closed_forms.ramp_up(k, T, "exponential") / (T * math.log(k)) == pytest.approx(1.063, abs=0.002)
    assert closed_forms.completion_elastic(beta, T, "exponential") == pytest.approx((1 + beta) * T, rel=0.001)
    assert closed_forms.completion_elastic(0.5, T, "exponential") == pytest.approx(0.8 * 1.5 * T, rel=0.02)
    assert closed_forms.utilisation_rigid(k, beta, "constant") == pytest.approx(beta / (0.5 + beta), rel=0.001)


def test_any_slots_come_sooner_than_given_ones():
    assert closed_forms.ramp_up_any(K, K, T, "exponential") == pytest.approx(closed_forms.ramp_up(K, T, "exponential"))
    assert closed_forms.ramp_up_any(1000, 10_000, 1, "exponential") == pytest.approx(0.105, abs=0.001)


def test_work_that_ends_before_the_last_slot_comes():
    assert closed_forms.completion_elastic(0.5, T, "constant") == pytest.approx(T)
    assert closed_forms.completion_elastic(0.125, T, "constant") == pytest.approx(T / 2)


def test_unknown_task_times_are_named():
    with pytest.raises(BadValue, match="constant or exponential"):
        closed_forms.ramp_up(K, T, "uniform")


# -- Section 4.3 ----------------------------------------------------------------------------------------------------


def test_a_lottery_reaches_the_preferred_slots():
    """Slots are freed one at a time, and each goes to whoever the dice says, over and over."""
    dice, intended, owner = Random(13), {"a": 10, "b": 30, "c": 60}, ["a"] * 50
    held = dict.fromkeys(intended, 0)
    for _ in range(20_000):
        owner[dice.randrange(50)] = dice.choices(list(intended), list(intended.values()))[0]
        for name in intended:
            held[name] += owner.count(name)
    for name, slots in closed_forms.preferred_slots(50, intended).items():
        assert held[name] / 20_000 == pytest.approx(slots, rel=0.1)


# -- Section 4.4 ----------------------------------------------------------------------------------------------------


def test_phi_to_the_s():
    dice = Random(3)
    full = sum(all(dice.random() < 0.5 for _ in range(4)) for _ in range(40_000))
    assert full / 40_000 == pytest.approx(closed_forms.filled_by_long_tasks(0.5, 4), rel=0.05)
