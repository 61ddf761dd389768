"""Dask takes no worker away under tasks that it cannot see: adapt, scale, retirement, idle timeouts, on real clusters."""

import contextlib
import threading

import dask
import pytest
from distributed import Client, LocalCluster

import mesonb as mb
from mesonb.core.invariants import check
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.dask_cli import DaskCluster
from tests.live.tasks import double, rest, wait_and_return

pytestmark = pytest.mark.live
APART = "import os; os.setpgrp()"


@contextlib.contextmanager
def led(workers, **more):
    """A cluster of so many workers of Dask's own, and a master of it."""
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, preload=APART, dashboard_address=None, **more) as given,
        mb.Master(given) as master,
    ):
        yield given, master
        with master.lock:
            check(master.core)


@pytest.fixture
def go(tmp_path):
    return tmp_path / "go"


def running(queue, go):
    """Return a run that goes on until a file is there."""
    run = queue.submit(wait_and_return, 5, str(go))
    wait_for(lambda: run.task and run.task.running, 20, "the task to run")
    return run


def there(given):
    return {worker.name for worker in given.scheduler.workers.values()}


@pytest.mark.slow
def test_an_adaptive_cluster_keeps_the_worker_that_is_busy_until_it_is_not(go):
    with led(3) as (given, master):
        run = running(master.register(mb.Queue(needs=SMALL), name="lab"), go)
        busy = int(run.task.agent.removeprefix("agent-"))
        wait_for(
            lambda: any(w.metrics.get("mesonb-tasks") for w in given.scheduler.workers.values()), 10, "a heartbeat"
        )
        given.adapt(minimum=0, maximum=3, interval="50ms", wait_count=2)
        wait_for(lambda: there(given) == {busy}, 20, "the idle ones to be taken")
        wait_for(lambda: len(master.snapshot().agents) == 1, 10, "the master to know")
        go.touch()
        assert run.result(60) == 5
        assert run.losses == 0
        wait_for(lambda: there(given) == set(), 20, "the last one to be taken, now that it is idle")


def test_scaling_down_waits_for_the_tasks_of_whoever_is_to_go(go):
    with led(2) as (given, master):
        lab = master.register(mb.Queue(needs=mb.Resources(cpus=0.6)), name="lab")
        runs = [running(lab, go), running(lab, go)]
        assert {run.task.agent for run in runs} == {"agent-0", "agent-1"}
        given.scale(1)  # Dask takes the newest
        wait_for(lambda: master.core.agents["agent-1"].closed, 10, "its agent to be offered no more")
        small = lab.map(double, range(8), needs=mb.Resources(cpus=0.1))
        assert [run.result(60) for run in small] == [2 * n for n in range(8)]
        assert {run.task.agent for run in small} == {"agent-0"}
        assert there(given) == {0, 1}
        go.touch()
        assert [run.result(60) for run in runs] == [5, 5]
        wait_for(lambda: there(given) == {0}, 20, "it to leave")
        assert sum(run.losses for run in runs) == 0


def test_who_cannot_be_retired_is_offered_again(go):
    """Dask keeps a worker that alone has some data; then its agent takes tasks again."""
    with led(1) as (given, master), Client(given, set_as_default=False) as client:
        data = client.scatter(b"x" * 1000)
        lab = master.register(mb.Queue(needs=SMALL), name="lab")
        assert client.retire_workers(list(client.scheduler_info()["workers"])) == {}
        wait_for(lambda: not master.core.agents["agent-0"].closed, 10, "its agent to be offered again")
        assert lab.submit(double, 4).result(60) == 8
        assert client.gather(data) == b"x" * 1000


def test_after_a_grace_that_was_set_its_tasks_are_killed_and_told_before(go):
    class Told(mb.Framework):
        needs = SMALL
        task = grace_s = None

        def on_offers(self, offers):
            if self.task is None:
                self.task = offers[0].launch(rest)

        def on_revoked(self, task, grace_s):
            self.grace_s = grace_s

    with dask.config.set({"mesonb.retire-grace": "300ms"}), led(2) as (given, master):
        told = master.register(Told(), name="told")
        wait_for(lambda: told.task and told.task.running, 20, "the task to run")
        with Client(given, set_as_default=False) as client:
            client.retire_workers(names=[int(told.task.agent.removeprefix("agent-"))], close_workers=True)
        wait_for(lambda: told.task.ended, 10, "the task to be killed")
        assert 0 < told.grace_s <= 0.3
        assert "to be retired" in told.task.because or told.task.killed
        wait_for(lambda: len(master.core.agents) == 1, 10, "its agent to be gone")


def shorten_idle_timeout(dask_scheduler):
    """Only now, so that it does not end while the test is still starting things."""
    dask_scheduler.idle_timeout = 0.4
    looking = dask_scheduler.periodic_callbacks["idle-timeout"]
    looking.stop()
    looking.callback_time = 100
    looking.start()


def all_say_that_they_work(dask_scheduler):
    """Whether the heartbeat of each worker has told of tasks that Dask cannot see."""
    return all(worker.metrics.get("mesonb-tasks") for worker in dask_scheduler.workers.values())


async def end_of_life(dask_worker):
    """Do what a worker does at the end of its --lifetime."""
    await dask_worker.close_gracefully(reason="worker-lifetime-reached")


@pytest.mark.slow
def test_neither_a_lifetime_nor_an_idle_timeout_ends_tasks_that_dask_does_not_see(tmp_path):
    """On a cluster started by command line."""
    with DaskCluster(tmp_path, "--idle-timeout", "60s") as given:
        for name in ("one", "two"):
            given.worker(name)
        with Client(given.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=90)
            with mb.Master(given.address) as master:
                lab = master.register(mb.Queue(needs=mb.Resources(cpus=0.6)), name="lab")
                runs = [running(lab, tmp_path / name) for name in ("first", "second")]
                first, second = runs[0].task.agent, runs[1].task.agent
                wait_for(lambda: client.run_on_scheduler(all_say_that_they_work), 10, "heartbeats")
                ends = given.processes[first]
                known = client.scheduler_info(n_workers=-1)["workers"]
                client.run(end_of_life, workers=[at for at, one in known.items() if one["name"] == first], wait=False)
                wait_for(lambda: master.core.agents[first].closed, 10, "its agent to be offered no more")
                client.run_on_scheduler(shorten_idle_timeout)
                began_us = master.now_us()
                wait_for(lambda: master.now_us() - began_us > 1_500_000, 5, "more than the idle timeout to pass")
                assert all(process.poll() is None for process in given.processes.values())
                (tmp_path / "first").touch()
                assert runs[0].result(60) == 5
                wait_for(lambda: ends.poll() is not None, 20, "the worker to end, now that its life is over")
                assert given.processes[second].poll() is None
                (tmp_path / "second").touch()
                assert runs[1].result(60) == 5
                wait_for(lambda: given.processes["scheduler"].poll() is not None, 20, "the idle scheduler to end")
                assert [run.losses for run in runs] == [0, 0]


@pytest.mark.slow
def test_a_batch_job_is_ended_when_the_tasks_of_all_its_workers_are_over(tmp_path):
    """A cluster object names the job, as dask-jobqueue's does; Dask knows its workers by longer names."""
    with DaskCluster(tmp_path) as given, Client(given.address, set_as_default=False) as client:
        for name in ("job-0-0", "job-1-0"):
            given.worker(name)
        client.wait_for_workers(2, timeout=90)
        with mb.Master(given.address) as master:
            lab = master.register(mb.Queue(needs=mb.Resources(cpus=0.6)), name="lab")
            runs = {(run := running(lab, tmp_path / name)).task.agent: run for name in ("first", "second")}
            asked = threading.Thread(target=client.sync, args=(retire, client, "job-1"), daemon=True)
            asked.start()
            wait_for(lambda: master.core.agents["job-1-0"].closed, 10, "its agent to be offered no more")
            assert not master.core.agents["job-0-0"].closed
            assert asked.is_alive()
            for path in ("first", "second"):
                (tmp_path / path).touch()
            assert [run.result(60) for run in runs.values()] == [5, 5]
            asked.join(60)
            assert not asked.is_alive()


async def retire(client, job):
    await client.scheduler.retire_workers(workers=[job])


@pytest.mark.slow
def test_closing_the_cluster_is_not_held_up_by_tasks(go):
    with led(2) as (given, master):
        run = running(master.register(mb.Queue(needs=SMALL), name="lab"), go)
        given.close(timeout=20)
        wait_for(lambda: run.task is None or run.task.ended or master.given_up, 20, "its end to be known")
