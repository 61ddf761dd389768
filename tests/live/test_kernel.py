"""In a real Jupyter kernel: the stop button and a restart, which both go to the kernel's whole process group."""

import ast
import os

import pytest
from jupyter_client.manager import start_new_kernel

from mesonb.live.cluster import alive
from tests.helpers import ROOT, wait_for

pytestmark = pytest.mark.live

SET_UP = """
import os, time
import mesonb as mb
from tests.live.tasks import double, lineage, rest, wait_and_return
master = mb.Master(agents=2, name="kernel")
lab = master.register(mb.Queue(needs=mb.Resources(cpus=0.5)), name="lab")
lab.submit(lineage).result(60) + (master.local.pid,)
"""
WHO = "master.local.pid"


@pytest.fixture
def kernel(_clusters):
    """Start a kernel; the cluster that it leads stays up for the next one."""
    manager, client = start_new_kernel(cwd=str(ROOT), env={**os.environ, "PYTHONPATH": str(ROOT)})
    yield manager, client
    run(client, "master.close()")
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, cell):
    """Execute a cell; return its value and the name of its error."""
    values = []
    reply = client.execute_interactive(cell, timeout=100, output_hook=values.append, stop_on_error=False)
    shown = [m["content"]["data"]["text/plain"] for m in values if m["msg_type"] == "execute_result"]
    return (ast.literal_eval(shown[0]) if shown else None), reply["content"].get("ename")


def test_the_stop_button_stops_the_cell_and_no_agent(kernel, tmp_path):
    manager, client = kernel
    pids, error = run(client, SET_UP)
    assert not error
    run(client, f"task = lab.submit(rest, {str(tmp_path / 'begun')!r}, 1.5)")
    wait_for((tmp_path / "begun").exists, 10, "the task to begin")
    message = client.execute("lab.submit(rest, None, 600).result()")  # a cell that waits for a long time
    wait_for(lambda: client.get_iopub_msg(timeout=60)["content"].get("code"), 20, "the cell to begin")
    manager.interrupt_kernel()
    reply = wait_for(lambda: _reply(client, message), 10, "the cell to be stopped")
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert run(client, "task.result(60), task.losses") == ((None, 0), None)
    assert all(alive(pid) for pid in pids)


def _reply(client, message):
    reply = client.get_shell_msg(timeout=60)
    return reply if reply["parent_header"].get("msg_id") == message else None


SWEEP = """
class Sweep(mb.Framework):
    needs = mb.Resources(cpus=0.5)
    todo, found, results = [], [], []

    def on_registered(self, tasks):
        self.found = sorted((task.id, task.args) for task in tasks)

    def on_offers(self, offers):
        while self.todo and offers[0].fits(self.needs):
            offers[0].launch(wait_and_return, *self.todo.pop(0))

    def on_update(self, task):
        if task.finished:
            self.results.append((task.id, task.result()))

sweep = Sweep()
"""


def test_after_a_restart_tasks_run_on_and_are_handed_over_with_their_arguments(kernel, tmp_path):
    """The restart goes to the kernel's whole process group; one task ends while there is no kernel."""
    manager, client = kernel
    before, _ = run(client, SET_UP)
    early, late = str(tmp_path / "early"), str(tmp_path / "late")
    run(client, SWEEP + f"sweep.todo = [(1, {early!r}), (2, {late!r})]; _ = master.register(sweep, name='sweep')")
    wait_for(lambda: all((tmp_path / f"{name}.begun").exists() for name in ("early", "late")), 20, "two tasks to run")
    manager.restart_kernel(now=True)
    (tmp_path / "early").touch()
    client.wait_for_ready(timeout=90)
    after, error = run(client, SET_UP + SWEEP + "master.register(sweep, name='sweep');" + WHO)
    assert not error
    assert after == before[3]
    run(client, "master.wait_until(lambda: sweep.results)")
    ((first, value),), _ = run(client, "sweep.results")
    assert value == 1 and first.endswith("/task-1")
    (tmp_path / "late").touch()
    run(client, "master.wait_until(lambda: len(sweep.results) == 2)")
    second = first.replace("task-1", "task-2")
    assert run(client, "sweep.results[1]") == ((second, 2), None)
    found, _ = run(client, "sweep.found")
    assert (second, (2, late)) in found
    run(client, f"sweep.todo = [(3, {late!r})]; sweep.revive(); master.wait_until(lambda: len(sweep.results) == 3)")
    (third, value), _ = run(client, "sweep.results[2]")
    assert value == 3 and third.endswith("/task-1") and third != first, "no id is used again"
