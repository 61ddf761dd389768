"""dask-jobqueue for real: its LocalCluster runs through a shell the job scripts that a batch system is given elsewhere."""

import pytest
from dask_jobqueue.local import LocalCluster

import mesonb as mb
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, wait_and_return

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def jobs(tmp_path):
    """Return a cluster of two jobs, each of two workers."""
    with LocalCluster(
        cores=2, processes=2, memory="1GB", scheduler_options={"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"},
        local_directory=str(tmp_path), death_timeout=60,
    ) as made:  # fmt: skip
        made.scale(jobs=2)
        made.wait_for_workers(4, timeout=120)
        yield made


def names(master):
    return sorted(master.core.agents)


def test_jobs_are_agents_and_leave_when_their_tasks_are_over(jobs, tmp_path):
    with pytest.warns(UserWarning, match="the stop button would kill it"):
        led = mb.Master(jobs)
    with led as master:
        assert len(names(master)) == 4
        lab = master.register(mb.Queue(needs=SMALL), name="lab")
        assert [run.result(60) for run in lab.map(double, range(8))] == [2 * n for n in range(8)]
        jobs.scale(jobs=3)
        wait_for(lambda: len(names(master)) == 6, 60, "the agents of a third job")
        marks = [tmp_path / str(n) for n in range(6)]
        runs = [lab.submit(wait_and_return, n, str(mark)) for n, mark in enumerate(marks)]
        wait_for(
            lambda: all(mark.with_name(f"{mark.name}.begun").exists() for mark in marks), 60, "every agent to be busy"
        )
        jobs.scale(jobs=1)
        wait_for(
            lambda: sum(agent.closed != "" for agent in master.core.agents.values()) == 4, 60, "four to be draining"
        )
        for mark in marks:
            mark.touch()
        assert [run.result(60) for run in runs] == [*range(6)]
        assert [run.losses for run in runs] == [0] * 6
        wait_for(lambda: len(names(master)) == 2, 60, "two jobs to end")
        jobs.adapt(minimum_jobs=2, maximum_jobs=2)
        wait_for(lambda: len(names(master)) == 4, 60, "adapt to start a job")
        assert lab.submit(double, 4).result(60) == 8
        assert not master.complaints
