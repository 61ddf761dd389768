"""Tasks on real agents: results and errors come back, what was granted runs at once, what is killed is dead."""

import asyncio
import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.errors import TaskFailed, TaskGone
from tests.helpers import wait_for
from tests.live.tasks import Trap, die, double, explode, lineage, meet, rest, rest_with_grandchild

pytestmark = pytest.mark.live


def pids(marker, deadline_s=10):
    text = wait_for(lambda: marker.exists() and marker.read_text(), deadline_s, f"{marker.name} to be written")
    return [int(pid) for pid in text.split()]


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ended_well(master, name):
    return sum(row.counts.get("finished", 0) for row in master.snapshot().frameworks if row.framework == name)


def test_results_come_back_in_order(master, queue):
    assert [run.result(60) for run in queue.map(double, range(50))] == [2 * n for n in range(50)]
    with master.lock:
        check(master.core)


def test_a_run_can_be_awaited(queue):
    async def cell():
        return [await run for run in queue.map(double, range(3))]

    assert asyncio.run(asyncio.wait_for(cell(), 60)) == [0, 2, 4]


def test_what_a_cell_defines_travels_by_value(queue):
    """A function and a class of no importable module, with a variable of their surroundings."""
    cell = {"__name__": "__main__"}
    exec("factor = 3\nclass Point:\n  def __init__(self, x): self.x = x\ndef f(p): return Point(p.x * factor)", cell)
    assert queue.submit(cell["f"], cell["Point"](5)).result(60).x == 15
    cell["factor"] = 4  # what a function refers to is looked at again for the next launch
    assert queue.submit(cell["f"], cell["Point"](5)).result(60).x == 20


@pytest.mark.parametrize("size", [70_000, 20_000_000])
def test_large_arguments_and_results_travel(queue, size):
    data = np.arange(size // 8)
    assert np.array_equal(queue.submit(np.negative, data).result(60), -data)


def test_an_error_comes_back_with_its_traceback(queue):
    with pytest.raises(TaskFailed, match="7 was too much") as caught:
        queue.submit(explode, 7).result(60)
    assert "in explode" in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_result_that_this_kernel_cannot_read(queue):
    with pytest.raises(
        TaskFailed, match="finished, but its result cannot be read in this kernel: ZeroDivisionError: 8 was"
    ):
        queue.submit(Trap).result(60)


def test_what_a_task_printed_last_is_part_of_its_error(queue):
    def shout():
        print("about to fall")
        raise ValueError("fell")

    with pytest.raises(TaskFailed, match="about to fall"):
        queue.submit(shout).result(60)


def test_a_process_that_dies_fails_its_task_and_no_other(queue):
    bad, good = queue.submit(die), queue.map(double, range(8))
    with pytest.raises(TaskFailed, match="its process ended with status 7"):
        bad.result(60)
    assert [run.result(60) for run in good] == [2 * n for n in range(8)]


def test_a_running_task_is_killed_within_100_ms(queue, tmp_path):
    spans = []
    for number in range(5):
        marker = tmp_path / f"{number}"
        run = queue.submit(rest, str(marker))
        child = pids(marker)[0]
        wait_for(lambda run=run: run.task.running, 5, "the task to be reported running")
        began = time.perf_counter()
        run.cancel()
        with pytest.raises(TaskGone, match="killed"):
            run.result(60)
        spans.append(time.perf_counter() - began)
        assert gone(child)
    assert min(spans) < 0.1, spans


def test_a_kill_reaches_grandchildren(queue, tmp_path):
    run = queue.submit(rest_with_grandchild, str(tmp_path / "pids"))
    family = pids(tmp_path / "pids")
    run.cancel()
    with pytest.raises(TaskGone):
        run.result(60)
    wait_for(lambda: all(gone(pid) for pid in family), 5, "child and grandchild to be dead")


def test_what_was_granted_runs_at_once(master, queue, tmp_path):
    """Twelve tasks on four cpus' worth of agents, each waiting for all others: more than there are warm children."""
    names = [f"task-{n}" for n in range(12)]
    runs = [queue.submit(meet, str(tmp_path), me, names, needs=mb.Resources(cpus=0.25)) for me in names]
    assert [run.result(60) for run in runs] == names


def test_children_are_reused(queue):
    first = {queue.submit(lineage).result(60)[0] for _ in range(10)}
    assert len(first) < 10


def test_a_zygote_that_dies_is_replaced(queue, tmp_path):
    run = queue.submit(rest, str(tmp_path / "pids"))
    _, zygote, _ = pids(tmp_path / "pids")
    psutil.Process(zygote).kill()
    with pytest.raises(TaskFailed, match="has died"):
        run.result(60)
    assert [run.result(60) for run in queue.map(double, range(8))] == [2 * n for n in range(8)]


def test_running_is_reported(master, tmp_path):
    states = []

    class Watch(mb.Framework):
        needs = mb.Resources(cpus=1)
        launched = False

        def on_offers(self, offers):
            if not self.launched:
                self.launched = True
                offers[0].launch(rest, None, 0.2)

        def on_update(self, task):
            states.append(task.state.value)

    watch = master.register(Watch(), name="watch")
    wait_for(lambda: "finished" in states, 10, "the task to finish")
    assert states == ["running", "finished"]
    master.unregister(watch)
    assert not list(Path(tmp_path).iterdir())


def test_what_ended_while_the_old_code_was_busy_reaches_the_new_code(master):
    class Busy(mb.Framework):
        needs = mb.Resources(cpus=0.1)

        def __init__(self):
            self.todo, self.got, self.free = 3, [], threading.Event()

        def on_offers(self, offers):
            for offer in offers:
                while self.todo and offer.fits(self.needs):
                    self.todo -= 1
                    offer.launch(abs, -7, needs=self.needs)

        def on_update(self, task):
            self.free.wait(60)
            if task.finished:
                self.got.append(task.result())

    old = master.register(Busy(), name="busy")
    wait_for(lambda: ended_well(master, "busy") == 3, 10, "the tasks to end")
    new = Busy()
    new.todo = 0
    new.free.set()
    master.register(new, name="busy")
    old.free.set()
    wait_for(lambda: len(old.got) + len(new.got) == 3, 10, "every result to be told")
    assert new.got


def test_what_an_operator_said_is_read_back_at_once(master):
    master.weights["lab"], master.limits["lab"] = 2, mb.Resources(cpus=1)
    assert (master.weights["lab"], master.limits["lab"]) == (2, mb.Resources(cpus=1))
    del master.weights["lab"], master.limits["lab"]
    agent = master.snapshot().agents[0].agent
    master.maintain(agent, after="1h")
    assert list(master.maintenance) == [agent]
    master.end_maintenance(agent)
    assert not master.maintenance


def with_a_process_of_its_own():
    process = multiprocessing.get_context("fork").Process(target=double, args=(1,))
    process.start()
    process.join(60)
    return process.exitcode


def test_a_task_may_start_processes_of_its_own(master, queue):
    with Client(master.address, set_as_default=False) as client, pytest.raises(AssertionError, match="daemonic"):
        client.submit(with_a_process_of_its_own).result(timeout=60)
    assert queue.submit(with_a_process_of_its_own).result(60) == 0
