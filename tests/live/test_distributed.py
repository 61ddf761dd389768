"""What mesonb.live relies on in distributed beyond its documentation: one test a symbol.

The release is pinned in pyproject.toml; when a new one is let in, these say first what has changed. Scheduler and
worker run in the test's own loop.
"""

import asyncio
import pickle

import pytest
from distributed import Client, Future, Nanny, Scheduler, Worker
from distributed.comm.core import CommClosedError, connect
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from distributed.protocol.pickle import dumps
from distributed.security import Security
from distributed.utils_comm import gather_from_workers

from tests.helpers import wait_for_async

pytestmark = pytest.mark.live


def in_a_cluster(story):
    """Run an async story with a scheduler and one worker."""

    async def run():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler, Worker(
            scheduler.address, name="w", nthreads=2, memory_limit="1GB"
        ) as worker:  # fmt: skip
            await asyncio.wait_for(story(scheduler, worker), 60)

    asyncio.run(run())


def test_a_handler_that_takes_a_comm_owns_it_for_as_long_as_it_likes():
    """``Server.handlers``, a first parameter called ``comm``, ``reply=False``, and ``connect`` with a comm's read and write."""

    async def story(scheduler, worker):
        async def echo(comm, greeting):
            await comm.write(greeting)
            while True:
                try:
                    await comm.write(await comm.read())
                except CommClosedError:
                    return

        scheduler.handlers["test-echo"] = echo
        comm = await connect(scheduler.address, **worker.security.get_connection_args("worker"))
        await comm.write({"op": "test-echo", "reply": False, "greeting": {"hello": 1}})
        assert await comm.read() == {"hello": 1}
        await comm.write([("somebody", b"bytes")])
        assert [tuple(pair) for pair in await comm.read()] == [("somebody", b"bytes")]
        comm.abort()
        assert comm.closed()

    in_a_cluster(story)


def test_an_aborted_comm_ends_the_other_sides_read_at_once():
    async def story(scheduler, worker):
        ended = asyncio.Event()

        async def listen(comm):
            with pytest.raises(CommClosedError):
                await comm.read()
            ended.set()

        scheduler.handlers["test-listen"] = listen
        comm = await connect(scheduler.address)
        await comm.write({"op": "test-listen", "reply": False})
        comm.abort()
        await asyncio.wait_for(ended.wait(), 60)

    in_a_cluster(story)


class Counts(WorkerPlugin):
    idempotent = True
    name = "test-counts"

    def setup(self, worker):
        worker.test_setups = getattr(worker, "test_setups", 0) + 1


def test_an_idempotent_worker_plugin_is_set_up_once():
    async def story(scheduler, worker):
        async with Client(scheduler.address, asynchronous=True, set_as_default=False) as client:
            await client.register_plugin(Counts())
            await client.register_plugin(Counts())
        assert worker.test_setups == 1

    in_a_cluster(story)


def test_worker_plugins_known_to_the_scheduler_reach_late_workers_and_count_as_registered():
    """``Scheduler.worker_plugins`` with ``protocol.pickle.dumps``: how the host brings agents."""

    async def story(scheduler, _):
        scheduler.worker_plugins[Counts.name] = dumps(Counts())
        async with Worker(scheduler.address) as late, Client(scheduler.address, asynchronous=True) as client:
            await client.register_plugin(Counts())
            assert late.test_setups == 1

    in_a_cluster(story)


def test_an_idempotent_scheduler_plugin_is_started_once():
    """``Scheduler.register_scheduler_plugin`` and ``Scheduler.plugins``."""
    started = []

    class Starts(SchedulerPlugin):
        idempotent = True
        name = "test-starts"

        async def start(self, scheduler):
            started.append(scheduler)

    async def story(scheduler, _):
        for _ in range(2):
            await scheduler.register_scheduler_plugin(Starts(), name=Starts.name, idempotent=True)
        assert started == [scheduler]
        assert "test-starts" in scheduler.plugins

    in_a_cluster(story)


def test_what_an_agent_reads_of_its_worker(tmp_path):
    async def story(scheduler, worker):
        assert worker.name == "w"
        assert worker.state.nthreads == 2
        assert worker.memory_manager.memory_limit == 1_000_000_000
        assert worker.scheduler.address == scheduler.address
        assert worker.local_directory
        assert isinstance(worker.security, Security)
        assert isinstance(worker.security.get_connection_args("worker"), dict)

    in_a_cluster(story)


def test_what_a_master_asks_the_scheduler():
    """``identity(n_workers=-1)`` names all workers (``scheduler_info`` may not), ``versions`` and its broadcast what they run."""

    async def story(scheduler, worker):
        async with Client(scheduler.address, asynchronous=True, set_as_default=False) as client:
            assert list((await client.scheduler.identity(n_workers=-1))["workers"]) == [worker.address]
            ours = await client.scheduler.versions(packages=["mesonb"])
            theirs = await client.scheduler.broadcast(msg={"op": "versions", "packages": ["mesonb"]})
            for found in (ours, theirs[worker.address]):
                assert found["host"]["python"].startswith("3.")
                assert found["packages"]["distributed"]

    in_a_cluster(story)


def test_a_client_that_is_not_the_default_leaves_the_notebook_alone():
    import dask

    async def story(scheduler, _):
        async with Client(scheduler.address, asynchronous=True, set_as_default=False):
            assert dask.config.get("scheduler", None) is None
            assert dask.delayed(sum)([1, 2]).compute(scheduler="synchronous") == 3
            with pytest.raises(ValueError, match="No global client"):
                from distributed import get_client

                get_client(timeout=0)

    in_a_cluster(story)


def test_a_nanny_takes_what_the_host_gives_it():
    """Name, environment and quiet logs; and its worker comes back under the same name."""

    async def story(scheduler, _):
        async with Nanny(
            scheduler.address, name="agent-9", nthreads=1, memory_limit=0, dashboard=False, silence_logs=40, env={"TEST_ENV": "yes"}
        ):  # fmt: skip
            assert "agent-9" in scheduler.aliases

    in_a_cluster(story)


def test_a_worker_can_put_something_into_its_memory_and_any_client_can_want_it():
    """``Worker.update_data``, ``update_data``, ``who_has``, ``gather`` and ``get_task_status`` of the Dask scheduler, a future of a key."""

    async def story(scheduler, worker):
        async with Client(scheduler.address, asynchronous=True, set_as_default=False) as holder, Client(
            scheduler.address, asynchronous=True, set_as_default=False
        ) as reader:  # fmt: skip
            told = worker.update_data(data={"k": [1, 2]})
            await holder.scheduler.update_data(who_has={"k": [worker.address]}, nbytes=told["nbytes"], client=holder.id)
            held = Future("k", holder)
            assert await reader.scheduler.who_has(keys=["k"]) == {"k": (worker.address,)}
            found, *_ = await gather_from_workers({"k": [worker.address]}, rpc=reader.rpc)
            assert found == {"k": [1, 2]} == (await reader.scheduler.gather(keys=["k"]))["data"]
            wanted = Future("k", reader)
            reader._send_to_scheduler({"op": "client-desires-keys", "keys": ["k"], "client": reader.id})
            assert await asyncio.wait_for(wanted.result(), 60) == [1, 2]
            held.release()
            assert await reader.submit(sum, wanted) == 3
            wanted.release()
            await wait_for_async(lambda: "k" not in worker.data, 5, "the worker to forget it")
            assert (await reader.scheduler.get_task_status(keys=["k"])) == {"k": None}

    in_a_cluster(story)


def test_a_future_is_pickled_by_its_key_and_names_its_module():
    """By which mesonb finds one in the arguments of a task, however deep."""

    async def story(scheduler, _):
        async with Client(scheduler.address, asynchronous=True, set_as_default=False) as client:
            future = client.submit(sum, [1, 2])
            assert b"distributed.client" in pickle.dumps({"deep": [future]}, protocol=5)
            assert future.__reduce__() == (Future, (future.key,))

    in_a_cluster(story)
