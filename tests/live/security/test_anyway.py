"""What a holder of the Dask certificate can do whatever mesonb's rules say, as docs/SECURITY.md tells.

Should one of these fail some day, Dask has become stricter: then the document is to say so.
"""

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from distributed import Client, Scheduler
from distributed.core import rpc
from distributed.protocol.serialize import ToPickle

import mesonb as mb
from tests.helpers import ROOT, wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import rest

pytestmark = pytest.mark.live


class Touches:
    """Makes a file, by being unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_it_runs_code_in_the_dask_scheduler_by_any_message_at_all(tmp_path):
    async def run():
        async with Scheduler(
            host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0", blocked_handlers=["echo"]
        ) as scheduler, rpc(scheduler.address) as asks:  # fmt: skip
            with pytest.raises(ValueError, match="disallowed"):
                await asks.echo(data=ToPickle(Touches(tmp_path / "ran")))

    asyncio.run(asyncio.wait_for(run(), 60))
    assert (tmp_path / "ran").exists()


def kill_executors():
    """End every process of the agent of this worker; returns as whom."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        child.kill()
    return os.getuid(), len(children)


def test_it_runs_code_on_the_workers_and_ends_tasks_there(guarded):
    queue = guarded.register(mb.Queue(needs=SMALL), name="somebodys")
    run = queue.submit(rest)
    wait_for(lambda: run.task and run.task.running, 20, "a task to run")
    task = run.task
    with Client(guarded.address, set_as_default=False) as client:
        uid, killed = client.submit(kill_executors).result(timeout=60)
    assert uid == os.getuid() and killed > 0
    wait_for(lambda: task.ended, 20, "it to be ended")
    guarded.unregister(queue)


def test_it_removes_a_worker_from_the_dask_scheduler(guarded):
    with Client(guarded.address, set_as_default=False) as client:
        (worker,) = client.scheduler_info(n_workers=-1)["workers"]
        client.sync(client.scheduler.unregister, address=worker, stimulus_id="anybody")
    wait_for(lambda: not guarded.core.agents, 20, "the agent to be gone, for good")


def test_the_document_says_so():
    said = (ROOT / "docs" / "SECURITY.md").read_text()
    for words in (
        "run code on the workers",
        "run code in the Dask scheduler",
        "remove a worker",
        "What is not a boundary",
    ):
        assert words in said
