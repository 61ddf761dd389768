"""In a real Jupyter kernel: the stop button and a restart, which both go to the kernel's whole process group."""

import ast
import os
import time

import pytest
from jupyter_client.manager import start_new_kernel

from mesonb.live.cluster import alive
from tests.helpers import ROOT, wait_for

pytestmark = pytest.mark.live

SET_UP = """
import os, time
import mesonb as mb
from tests.live.tasks import double, lineage, rest
master = mb.Master(agents=2, name="kernel")
lab = master.register(mb.Queue(needs=mb.Resources(cpus=0.5)), name="lab")
lab.submit(lineage).result(30) + (master.local.pid,)
"""


@pytest.fixture
def kernel():
    manager, client = start_new_kernel(cwd=str(ROOT), env={**os.environ, "PYTHONPATH": str(ROOT)})
    yield manager, client
    run(client, "master.close(cluster=True)")
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, cell):
    """Execute a cell; return its value and the name of its error."""
    values = []
    reply = client.execute_interactive(cell, timeout=60, output_hook=values.append, stop_on_error=False)
    shown = [m["content"]["data"]["text/plain"] for m in values if m["msg_type"] == "execute_result"]
    return (ast.literal_eval(shown[0]) if shown else None), reply["content"].get("ename")


def test_the_stop_button_stops_the_cell_and_no_agent(kernel, tmp_path):
    manager, client = kernel
    pids, error = run(client, SET_UP)
    assert not error
    run(client, f"task = lab.submit(rest, {str(tmp_path / 'begun')!r}, 1.5)")
    wait_for((tmp_path / "begun").exists, 10, "the task to begin")
    began = time.monotonic()
    message = client.execute("lab.submit(rest).result()")  # a cell that waits for a long time
    wait_for(lambda: client.get_iopub_msg(timeout=10)["content"].get("code"), 10, "the cell to begin")
    manager.interrupt_kernel()
    reply = wait_for(lambda: _reply(client, message), 10, "the cell to be stopped")
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert time.monotonic() - began < 10
    assert run(client, "task.result(20), task.losses") == ((None, 0), None)
    assert all(alive(pid) for pid in pids)


def _reply(client, message):
    reply = client.get_shell_msg(timeout=10)
    return reply if reply["parent_header"].get("msg_id") == message else None


def test_after_a_restart_the_next_master_leads_the_same_agents(kernel):
    manager, client = kernel
    before, _ = run(client, SET_UP)
    manager.restart_kernel(now=True)
    client.wait_for_ready(timeout=30)
    after, error = run(client, SET_UP)
    assert not error
    assert after[3] == before[3]
    assert run(client, "len(master.snapshot().agents), lab.submit(double, 4).result(20)") == ((2, 8), None)
