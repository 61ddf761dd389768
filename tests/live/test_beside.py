"""Ordinary Dask tasks on the same workers: they keep some cpus of their own, or are counted, as the master was told."""

import threading

import pytest
from distributed import Client, Event, LocalCluster

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.errors import BadValue
from mesonb.live.beside import ROLE
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, wait_and_return

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def given():
    """One worker of two threads, of Dask's own."""
    with LocalCluster(
        n_workers=1, threads_per_worker=2, preload="import os; os.setpgrp()", dashboard_address=None
    ) as made:
        yield made


@pytest.fixture
def client(given):
    with Client(given, set_as_default=False) as made:
        yield made


def wait_for_event(name):
    Event(name).wait()
    return threading.get_ident()


def cpus(master):
    """Return how many cpus of the one agent are reserved beside."""
    (agent,) = master.core.agents.values()
    return agent.reserved.get(ROLE, mb.Resources()).amounts.get("cpus", 0) / 1000


def test_they_keep_some_cpus_of_their_own(given, tmp_path):
    with mb.Master(given, plain_dask_cpus=1) as master:
        lab = master.register(mb.Queue(needs=SMALL), name="lab")
        runs = [lab.submit(wait_and_return, n, str(tmp_path / "go")) for n in range(2)]
        wait_for((tmp_path / "go.begun").exists, 20, "one of them to run")
        assert cpus(master) == 1
        assert sum(bool(run.task) for run in runs) == 1
        began_us = master.now_us()
        wait_for(lambda: master.now_us() - began_us > 300_000, 5, "the other one to have had time")
        assert sum(bool(run.task) for run in runs) == 1
        (tmp_path / "go").touch()
        assert [run.result(60) for run in runs] == [0, 1]
        with master.lock:
            check(master.core)


def test_they_are_counted_while_they_run(given, client):
    with mb.Master(given, plain_dask_cpus="counted") as master:
        lab = master.register(mb.Queue(needs=mb.Resources(cpus=2)), name="lab")
        assert cpus(master) == 0
        busy = client.submit(wait_for_event, "go", pure=False)
        wait_for(lambda: cpus(master) == 1, 10, "the ordinary task to be counted")
        waits = lab.submit(double, 4)
        small = master.register(mb.Queue(needs=SMALL), name="small").submit(double, 2)
        assert small.result(60) == 4
        assert waits.task is None
        Event("go", client=client).set()
        assert busy.result(60)
        assert waits.result(60) == 8
        assert cpus(master) == 0
        with master.lock:
            check(master.core)


def test_what_tasks_hold_is_reserved_as_they_end_before_anybody_is_offered_it(given, client, tmp_path):
    with mb.Master(given, plain_dask_cpus="counted") as master:
        lab = master.register(mb.Queue(needs=SMALL), name="lab")
        paths = [tmp_path / name for name in "abcd"]
        runs = [lab.submit(wait_and_return, n, str(path)) for n, path in enumerate(paths)]
        wait_for(lambda: sum(bool(run.task and run.task.running) for run in runs) == 2, 20, "two to run")
        busy = client.submit(wait_for_event, "later", pure=False)
        wait_for(lambda: master._beside.owed, 10, "a cpu to be owed")
        assert cpus(master) == 0
        paths[0].touch()
        assert runs[0].result(60) == 0
        wait_for(lambda: cpus(master) == 1, 5, "what it held to be reserved")
        assert sum(bool(run.task and run.task.running) for run in runs) == 1
        Event("later", client=client).set()
        busy.result(60)
        wait_for(lambda: runs[2].task and runs[2].task.running, 10, "the next one to be launched")
        for path in paths:
            path.touch()
        assert [run.result(60) for run in runs] == [0, 1, 2, 3]
        with master.lock:
            check(master.core)


@pytest.mark.parametrize("wrong", [-1, "many"])
def test_a_number_that_is_none_is_refused(wrong):
    with pytest.raises(BadValue, match='how many cpus of each agent ordinary Dask tasks keep.*or "counted"'):
        mb.Master(agents=1, name="wrong", plain_dask_cpus=wrong)
