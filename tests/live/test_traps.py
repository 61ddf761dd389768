"""Traps that had no test of their own; and docs/traps.md, in which every trap has one that is there."""

import ast
import os
import re
import signal

import psutil
import pytest

import mesonb as mb
from tests.helpers import ROOT, wait_for
from tests.live.conftest import AGENT, SMALL
from tests.live.tasks import rest

pytestmark = pytest.mark.live
#: Dask's own streams, and what is put on them.
STREAMS = {
    "stream_handlers",
    "stream_comms",
    "batched_stream",
    "batched_send",
    "BatchedSend",
    "client_comms",
    "send_all",
}
#: What gives a wrong answer at times, or lets two hold it at once.
UNSURE = {"scheduler_info", "Lock", "MultiLock", "Semaphore", "Variable", "Event", "set_metadata", "get_metadata"}


def test_every_trap_names_tests_that_are_there():
    rows = [line for line in (ROOT / "docs/traps.md").read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| trap |", "| what |"))]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`((?:security/)?test_\w+\.py)::(test_\w+)`", row)
        assert named, f"no test is named in: {row}"
        for file, test in named:
            assert f"def {test}(" in (ROOT / "tests/live" / file).read_text(), f"{file} has no {test}"


def mentioned(names):
    """Yield where in ``mesonb/live`` something of distributed's is used by one of these names."""
    for file in sorted((ROOT / "mesonb/live").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in names and "asyncio" not in ast.unparse(node):
                yield f"{file.name}: {ast.unparse(node)}"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("distributed"):
                yield from (f"{file.name}: {alias.name}" for alias in node.names if alias.name in names)


def test_nothing_of_ours_is_said_on_dasks_own_streams():
    assert list(mentioned(STREAMS)) == []
    (own,) = mentioned({"_send_to_scheduler"})  # a message of Dask's own: that a client wants a key
    assert own.startswith("results.py")
    assert '"op": "client-desires-keys"' in (ROOT / "mesonb/live/tasks/results.py").read_text()


def test_nobody_asks_what_dask_may_answer_wrongly():
    ours = ("threading.Event", "threading.Lock", "events.Event")
    assert [one for one in mentioned(UNSURE) if not one.endswith(ours)] == []


@pytest.mark.slow
def test_nothing_is_left_of_a_cluster_whose_host_is_killed():
    """The Dask scheduler is in it: workers do not reconnect, and their children do not stay."""
    made = mb.Master(agents=[AGENT], name="killed")
    run = made.register(mb.Queue(needs=SMALL), name="lab").submit(rest)
    wait_for(lambda: run.task and run.task.running, 20, "a task to run")
    host = psutil.Process(made.local.pid)
    family = [host, *host.children(recursive=True)]
    assert len(family) > 3, "host, worker, zygote, child"
    os.kill(host.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(lives, family)), 30, "all of it to be gone")
    made.close()


def lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
