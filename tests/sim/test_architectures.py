"""Each architecture on stories small enough to follow by hand; at the end of every one the cell's books balance."""

from random import Random

import pytest

from mesonb.core import invariants
from mesonb.core.resources import Resources
from mesonb.errors import BadValue
from mesonb.sim.architectures import (
    Monolithic,
    Omega,
    Priorities,
    Scored,
    TwoLevel,
    TwoLevel2011,
    least_allocated,
    most_allocated,
    nomad,
)
from mesonb.sim.architectures.run import Case, play, summary
from mesonb.sim.architectures.world import Think
from mesonb.sim.generators import exponential, generate, lognormal, prefill
from mesonb.sim.workload import Job, by_workload

S, GB = 10**6, 10**9
EVERY = [
    Monolithic("single"), Monolithic("multi"), Monolithic(placement=Scored(nomad)), Priorities(), TwoLevel2011(), TwoLevel(),
    Omega(), Omega("coarse"), Omega(commits="gang"), Omega(schedulers={"batch": 3}),
]  # fmt: skip


def job(workload, at_s, tasks, duration_s, cpus=1, mem_gb=1):
    return Job(workload, round(at_s * S), tasks, round(duration_s * S), round(cpus * 1000), mem_gb * GB)


def run(architecture, jobs, machines=1, until_s=1000, seed=1, cpus=4, fill=(), **t_job_s):
    think = {name: Think(round(t_job_s.get(name, 1) * S), 0) for name in by_workload(jobs)}
    given = Case(jobs, [(cpus * 1000, 16 * GB)] * machines, think, fill, until_s * S)
    world = play(architecture, given, seed)
    check(world)
    return summary(architecture.name, world) | {"world": world}


def check(world):
    """Free and used are everything, whoever kept the books."""
    held_cpus, held_mem = (sum(held[n] for held in world.holds.values()) for n in (0, 1))
    assert (world.used_cpus.now, world.used_mem.now) == (held_cpus, held_mem)
    if not isinstance(world.store, type(world.cell)):
        return  # set apart into offers, which the cell knows nothing of
    assert sum(world.cell.free_cpus) + held_cpus == world.cell.total_cpus
    assert sum(world.cell.free_mem) + held_mem == world.cell.total_mem


def mixed(seed=3):
    """Uneven tasks for an hour, enough to fill forty machines now and then."""
    dice, cpus = Random(seed), lognormal(0.5, 0.8)
    batch = generate("batch", dice, "1h", exponential(10), exponential(20), exponential(60), lambda d: min(4, cpus(d)))
    return batch + generate("service", dice, "1h", exponential(60), exponential(8), exponential(900))


# -- all alike ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", EVERY, ids=lambda architecture: architecture.name)
def test_books_balance_and_a_seed_is_a_run(architecture):
    first, second = (
        run(architecture, mixed(), 40, 3600, seed=5, fill=prefill(40, fraction=0.3), service=2) for _ in range(2)
    )
    del first["world"], second["world"]
    assert first == second
    assert first["placed"]["batch"] > 0


@pytest.mark.parametrize("architecture", EVERY, ids=lambda architecture: architecture.name)
def test_one_job_alone(architecture):
    """A second of thinking (and a second of collecting, in 2011), then ten tasks on three machines."""
    row = run(architecture, [job("batch", 10, 10, 100)], machines=3)
    assert row["placed"] == {"batch": 1}
    assert row["wait_full_s"]["batch"] == pytest.approx(row["wait_first_s"]["batch"] + 1)
    assert row["wait_first_s"]["batch"] == (1.001 if isinstance(architecture, TwoLevel2011) else 0)
    assert row["utilisation"]["cpus"] == pytest.approx(10 * 100 / (12 * 1000))
    assert sum(row["busyness"].values()) == pytest.approx(0.001 / (3 if "3x" in row["architecture"] else 1))


@pytest.mark.parametrize("architecture", EVERY, ids=lambda architecture: architecture.name)
def test_a_job_larger_than_the_cell_is_placed_bit_by_bit(architecture):
    row = run(architecture, [job("batch", 0, 10, 50)], machines=1)
    whole = "gang" in architecture.name  # all or nothing
    assert row["placed"] == {"batch": 0 if whole else 1}
    assert row["tasks"] == {"batch": 0 if whole else 10}
    assert row["abandoned"] == {"batch": 1 if whole else 0}


def test_a_job_that_never_fits_beside_the_others_is_abandoned():
    """After a hundred and one attempts: a second of thinking and a second of rest each."""
    blocked = run(Monolithic(), [job("a", 0, 4, 900), job("b", 1, 1, 10)], until_s=950)
    assert blocked["abandoned"] == {"a": 0, "b": 1}
    assert blocked["fruitless"]["b"] == pytest.approx(101 / 950)


# -- monolithic -----------------------------------------------------------------------------------------------------


def test_multi_path_blocks_the_head_of_the_line_and_single_path_is_slow_for_all():
    jobs = [job("service", 0, 1, 10), job("batch", 1, 1, 10), job("batch", 2, 1, 10)]
    multi = run(Monolithic("multi"), jobs, service=100)
    assert multi["wait_first_s"]["batch"] == (99 + 99) / 2
    single = run(Monolithic("single"), jobs, service=100)
    assert single["wait_first_s"]["batch"] == (99 + 198) / 2


# -- priorities -----------------------------------------------------------------------------------------------------


def test_production_evicts_the_youngest_batch_task_and_its_work_is_lost():
    jobs = [job("batch", 0, 1, 500, cpus=2), job("batch", 10, 1, 500, cpus=2), job("service", 20, 1, 100, cpus=2)]
    row = run(Priorities(), jobs)
    assert row["evicted"] == {"batch": 1, "service": 0}
    assert row["lost_cpu_s"]["batch"] == (21 - 11) * 2  # started at 11 s, evicted when service has thought, at 21 s
    assert row["wait_full_s"]["service"] == 1
    assert row["placed"] == {"batch": 2, "service": 1}
    assert row["tasks"] == {"batch": 3, "service": 1}  # one of them twice


def test_nobody_evicts_an_equal():
    jobs = [job("service", 0, 4, 500), job("service", 1, 1, 10)]
    row = run(Priorities(), jobs, until_s=100)
    assert row["evicted"] == {"service": 0}
    assert row["placed"] == {"service": 1}


def test_best_effort_goes_before_batch():
    jobs = [job("spare", 0, 2, 500), job("batch", 1, 2, 500), job("service", 2, 2, 500)]
    row = run(Priorities(bands={"spare": "best effort"}), jobs)
    assert row["evicted"] == {"batch": 0, "service": 0, "spare": 2}


def test_prefill_is_not_evicted():
    row = run(Priorities(), [job("service", 0, 4, 10)], fill=prefill(1, fraction=0.5), until_s=100)
    assert row["evicted"] == {"service": 0}


# -- scores ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "used"), [(least_allocated, 4), (most_allocated, 1), (nomad, 1)])
def test_spreading_and_packing(score, used):
    world = run(Monolithic(placement=Scored(score)), [job("batch", 0, 4, 500)], machines=4, until_s=10)["world"]
    assert sum(free < 4000 for free in world.cell.free_cpus) == used


# -- two-level, 2011 ------------------------------------------------------------------------------------------------


def test_an_offer_locks_the_cell_until_it_is_answered():
    jobs = [job("service", 0, 1, 10), job("batch", 2, 1, 10)]
    row = run(TwoLevel2011(), jobs, machines=2, service=100)
    assert row["wait_first_s"] == {"batch": pytest.approx(101.002 - 2 + 1), "service": 1.001}
    assert row["locked_share"] == pytest.approx((8 * 100.001 + 7 * 1.001) / (8 * 1000))


def test_a_notebook_sized_cell_is_offered_too():
    """The published simulator offers nothing below 100 cpus, so it places no job on twenty machines."""
    jobs = [job("batch", 10 * n, 5, 60) for n in range(50)]
    assert run(TwoLevel2011(), jobs, machines=20)["placed"] == {"batch": 50}


# -- two-level, today -----------------------------------------------------------------------------------------------


def test_todays_frameworks_think_side_by_side():
    jobs = [job("service", 0, 1, 10), job("batch", 2, 1, 10)]
    row = run(TwoLevel(), jobs, machines=2, service=100)
    assert row["wait_first_s"] == {"batch": 0, "service": 0}


def test_a_job_for_which_no_offer_comes_makes_way_for_the_next():
    jobs = [job("batch", 0, 1, 500, cpus=3), job("batch", 5, 1, 10, cpus=2), job("batch", 5.5, 1, 10)]
    row = run(TwoLevel(), jobs)
    assert row["placed"] == {"batch": 3}
    assert row["wait_first_s"]["batch"] == pytest.approx((0 + (501 - 5) + 0.5) / 3)


def test_todays_master_keeps_its_own_books_right():
    """The core's invariants hold at the end, and it agrees with the cell machine by machine."""
    architecture, masters = TwoLevel(), []

    class Kept:
        name = architecture.name

        def open(self, world):
            masters.append(architecture.open(world))
            return masters[0]

    world = run(Kept(), mixed(), 40, 3600, fill=prefill(40, fraction=0.3), service=2)["world"]
    core = masters[0].core
    invariants.check(core)
    for number, agent in enumerate(core.agents.values()):
        in_tasks = sum((task.needs for task in agent.tasks.values()), start=Resources())
        cell = Resources.of({"cpus": world.cell.free_cpus[number], "mem": world.cell.free_mem[number]})
        assert agent.total == cell + in_tasks


def test_an_offer_timeout_rescinds_what_is_thought_about_too_long():
    row = run(TwoLevel(offer_timeout="30s"), [job("service", 0, 1, 10)], service=100, until_s=500)
    assert row["placed"] == {"service": 0}
    assert row["fruitless"]["service"] == pytest.approx(4 * 100 / 500)


# -- shared state ---------------------------------------------------------------------------------------------------


def conflicting(tasks_of_service=2):
    """Both look at four free cpus; batch commits two at 1 s, service wants its own at 10 s."""
    return [job("service", 0, tasks_of_service, 500), job("batch", 0, 2, 500)]


def test_fine_detection_conflicts_only_over_room():
    row = run(Omega("fine"), conflicting(2), service=10)
    assert row["conflict_fraction"] == {"batch": 0, "service": 0}
    coarse = run(Omega("coarse"), conflicting(2), service=10)
    assert coarse["conflict_fraction"] == {"batch": 0, "service": 1}  # refused once, then committed
    assert coarse["wait_full_s"]["service"] == 10 + 1 + 10


def test_incremental_keeps_what_stands_and_gang_keeps_nothing():
    incremental = run(Omega(), conflicting(3), service=10, until_s=12)
    assert incremental["tasks"] == {"batch": 2, "service": 2}
    gang = run(Omega(commits="gang"), conflicting(3), service=10, until_s=12)
    assert gang["tasks"] == {"batch": 2, "service": 0}
    for row in (incremental, gang):
        assert row["world"].schedulers["service"].conflicted == 1
        assert row["world"].schedulers["service"].wasted_us == 10 * S


def test_several_schedulers_share_the_work():
    alone = run(Omega(), mixed(), 60, 3600, batch=12)
    shared = run(Omega(schedulers={"batch": 3}), mixed(), 60, 3600, batch=12)
    assert shared["placed"]["batch"] > 1.2 * alone["placed"]["batch"]
    assert len(shared["world"].schedulers) == 4


# -- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Monolithic("double"), "single or multi"),
        (lambda: Omega("rough"), "fine or coarse"),
        (lambda: Omega(commits="sometimes"), "incremental or gang"),
        (lambda: Omega(schedulers={"batch": 0}), "at least 1"),
        (lambda: Priorities(bands={"batch": "royal"}), "best effort, batch, production, monitoring"),
    ],
)
def test_a_wrong_rule_is_refused_with_the_right_ones(make, says):
    with pytest.raises(BadValue, match=says):
        make()


def test_a_prefill_that_does_not_fit_is_refused():
    with pytest.raises(BadValue, match="prefill"):
        run(Monolithic(), [job("batch", 0, 1, 1)], fill=prefill(3))
