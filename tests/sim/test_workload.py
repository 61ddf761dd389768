"""Tables are read whole or refused with the row; generators draw what they say, and the same from the same dice."""

from collections import Counter
from random import Random
from statistics import fmean, median

import pytest

from mesonb.errors import BadValue
from mesonb.sim import generators
from mesonb.sim.workload import Job, by_workload, check_fits, read_csv, write_csv
from tests.sim.w2 import JOBS, PREFILL

HEADER = "workload,submitted,tasks,duration,cpus,mem\n"


def read(tmp_path, text):
    path = tmp_path / "jobs.csv"
    path.write_text(text)
    return read_csv(path)


# -- tables ---------------------------------------------------------------------------------------------------------


def test_w2_is_what_it_says():
    jobs = by_workload(JOBS)
    assert {name: len(many) for name, many in jobs.items()} == {"Batch": 4381, "Service": 708}
    assert sum(job.tasks for job in JOBS) == 182_178
    assert JOBS[0] == Job("Batch", 15_621_724, 119, 3_492_802, 1000, 2 * 10**9)
    assert sum(job.tasks for job in PREFILL) == 2400


def test_a_table_comes_back_equal(tmp_path):
    path = tmp_path / "out.csv"
    jobs = JOBS[:50] + generators.google_2011(Random(1), "10min")
    write_csv(path, jobs)
    assert read_csv(path) == jobs


def test_amounts_may_be_written_with_units(tmp_path):
    (job,) = read(tmp_path, HEADER + "Batch,1min,2,1.5h,0.5,512MiB\n")
    assert job == Job("Batch", 60_000_000, 2, 5_400_000_000, 500, 512 * 2**20)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("workload,submitted,tasks\nBatch,1,2\n", "row 1 lacks the columns duration, cpus, mem"),
        ("", "row 1 lacks the columns"),
        (HEADER.replace(",", ";") + "Batch;1;2\n", "row 1 reads 'workload;submitted;.*columns are separated by commas"),
        (HEADER, "holds no jobs"),
        (HEADER + "Batch,1,2,3,1,2\nBatch,-1,2,3,1,2\n", r"row 3: submitted=-1 is negative"),
        (HEADER + "Batch,1,2,-3,1,2\n", r"row 2: duration=-3 is negative"),
        (HEADER + "Batch,1,2,3,-1,2\n", r"row 2: cpus=-1 is negative"),
        (HEADER + "Batch,1,0,3,1,2\n", r"row 2: tasks=0 is not a whole number of at least 1"),
        (HEADER + "Batch,1,1.5,3,1,2\n", r"row 2: tasks=1.5"),
        (HEADER + "Batch,soon,1,3,1,2\n", r"row 2: .*soon"),
        (HEADER + "Batch,1,1,nan,1,2\n", r"row 2: .*nan"),
        (HEADER + "Batch,1,1,3,0,2\n", r"row 2: cpus=0"),
        (HEADER + "Batch,1,1,3,1\n", r"row 2: it ends before mem; it must read workload,submitted"),
        (HEADER + "Batch,1,1,3,1,2,9\n", r"row 2: there is more than the header has columns: 9"),
        (HEADER + "Batch,1_0,1,3,1,2\n", r"row 2: submitted='1_0' is not a number"),
        (HEADER + "Batch,1/2,1,3,1,2\n", r"row 2: submitted='1/2' is not a number"),
        (HEADER + "Batch,1e400,1,3,1,2\n", r"row 2: submitted=1e400 is more than a workload can hold"),
        (HEADER + "Batch,1,1," + "9" * 400 + "h,1,2\n", r"row 2: duration=9{40} is more than a workload can hold"),
        (HEADER + "Batch,1,1e18,3,1,2\n", r"row 2: tasks=1e18 is more than"),
        (HEADER + "Batch,1,1,3,1,9999999999999PB\n", r"row 2: mem=9999999999999PB is more than"),
        (HEADER.replace("tasks", "tasks,tasks") + "Batch,1,1,1,3,1,2\n", "row 1 has the column tasks twice"),
        (HEADER + ",1,1,3,1,2\n", r"row 2: the workload has no name"),
        (HEADER + "A,5,1,1,1,1\nB,1,1,1,1,1\nA,4,1,1,1,1\n", r"row 4: A submitted at 4 s, before row 2 at 5 s; sort"),
    ],
)
def test_a_bad_table_is_refused_with_its_row(tmp_path, text, says):
    with pytest.raises(BadValue, match=says):
        read(tmp_path, text)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(BadValue, match="cannot be read as a workload"):
        read_csv(tmp_path / "none.csv")


def test_a_task_larger_than_every_machine_is_refused_with_its_row(tmp_path):
    jobs = read(tmp_path, HEADER + "Batch,1,1,3,1,2\nBatch,2,1,3,4,20\n")
    machines = [(4000, 16 * 10**9), (1000, 64 * 10**9)]  # enough cpus on one, enough memory on the other
    check_fits(jobs[:1], machines)
    with pytest.raises(BadValue, match="row 3 .*4 cpus and 20 GB, and no machine has both"):
        check_fits(jobs, machines)


# -- generators -----------------------------------------------------------------------------------------------------


def draws(draw, n=40_000):
    dice = Random(2)
    return [draw(dice) for _ in range(n)]


def test_distributions_have_their_means_and_medians():
    assert fmean(draws(generators.exponential(5))) == pytest.approx(5, rel=0.03)
    assert median(draws(generators.lognormal(300, 1.38))) == pytest.approx(300, rel=0.03)
    assert draws(generators.constant(3), 2) == [3, 3]
    with pytest.raises(BadValue, match="more than zero"):
        generators.exponential(0)


def test_a_truncated_pareto_stays_below_its_end_without_piling_up():
    values = draws(generators.pareto(0.9, at_most=1000))
    assert min(values) >= 1
    assert max(values) <= 1000
    assert sum(value > 990 for value in values) < 20
    assert median(values) == pytest.approx(2 ** (1 / 0.9), rel=0.03)


def test_facebooks_bins_have_their_shares():
    counts = Counter(map(int, draws(generators.bins(generators.FACEBOOK_2009))))
    assert counts[1] / 40_000 == pytest.approx(0.39, abs=0.01)
    assert counts[2] / 40_000 == pytest.approx(0.16, abs=0.01)
    assert sum(counts[n] for n in range(3, 21)) / 40_000 == pytest.approx(0.14, abs=0.01)


def test_facebooks_mix_is_a_hundred_jobs_in_about_25_minutes():
    jobs = generators.facebook(Random(4))
    assert Counter(job.tasks for job in jobs) == {1: 38, 2: 18, 12: 14, 50: 12, 110: 6, 200: 6, 400: 4, 430: 2}
    assert 1000 < jobs[-1].submitted_us / 10**6 < 2000


def test_google_2011_has_the_published_percentiles():
    jobs = by_workload(generators.google_2011(Random(5), "2d", most_tasks=20_000))
    batch = jobs["batch"]
    tasks, times = sorted(job.tasks for job in batch), sorted(job.duration_us / 10**6 for job in batch)
    assert (tasks[len(tasks) // 2], tasks[len(tasks) * 8 // 10]) == (2, 5)
    assert tasks[len(tasks) * 95 // 100] == pytest.approx(27, abs=3)
    assert times[len(times) * 8 // 10] == pytest.approx(16 * 60, rel=0.05)
    assert len(batch) / len(jobs["service"]) == pytest.approx(300 / 3.4, rel=0.15)


def test_the_same_dice_make_the_same_jobs():
    assert generators.google_2011(Random(9), "1h") == generators.google_2011(Random(9), "1h")
    assert generators.google_2011(Random(9), "1h") != generators.google_2011(Random(8), "1h")


def test_prefill_fills_its_fraction():
    assert sum(job.tasks for job in generators.prefill(1000)) == 2400
    assert generators.prefill(1000, fraction=0) == []
