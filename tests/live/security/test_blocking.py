"""What nobody may ask the Dask scheduler of a cluster that mesonb starts; what plain Dask still does there; and what of
distributed this rests on, symbol by symbol.
"""

import asyncio
import subprocess
import sys
import urllib.error
import urllib.request

import dask
import pytest
from distributed import Client, Scheduler
from distributed.core import rpc
from distributed.diagnostics.plugin import NannyPlugin, SchedulerPlugin, WorkerPlugin

import mesonb as mb
from mesonb.errors import ClusterError
from mesonb.live.security import blocking
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def client(master):
    """Return a tenant's Dask client of mesonb's own local cluster."""
    with Client(master.address, set_as_default=False) as made:
        yield made


class OnScheduler(SchedulerPlugin):
    name = "a-tenants"


class OnWorkers(WorkerPlugin):
    name = "a-tenants"


class OnNannies(NannyPlugin):
    name = "a-tenants"
    restart = True


@pytest.mark.parametrize(
    "deed",
    [
        lambda client: client.run_on_scheduler(lambda: 1), lambda client: client.restart(timeout=5),
        lambda client: client.restart_workers([next(iter(workers(client)))]), lambda client: client.retire_workers(),
        lambda client: client.register_plugin(OnScheduler()), lambda client: client.register_plugin(OnWorkers()),
        lambda client: client.register_plugin(OnNannies()), lambda client: client.unregister_worker_plugin("mesonb-agent"),
        lambda client: client.unregister_scheduler_plugin("mesonb-hub"),
        lambda client: client.sync(client.scheduler.terminate), lambda client: client.benchmark_hardware(),
        lambda client: client.dump_cluster_state("memory://dump"), lambda client: client.upload_file(__file__),
    ],
    ids=["run", "restart", "restart-workers", "retire", "plugin", "worker-plugin", "nanny-plugin", "no-agent", "no-hub",
         "terminate", "benchmark", "dump", "upload"],
)  # fmt: skip
def test_by_the_verbs_of_a_dask_client(master, client, deed):
    with pytest.raises(ValueError, match="has been explicitly disallowed in Scheduler"):
        deed(client)
    goes_on(master, client)


@pytest.mark.parametrize("op", blocking.BLOCKED)
def test_by_name(master, client, op):
    async def ask():
        async with rpc(master.address) as scheduler:
            with pytest.raises(ValueError, match=f"The '{op}' handler has been explicitly disallowed"):
                await getattr(scheduler, op)()

    asyncio.run(ask())
    goes_on(master, client)


def goes_on(master, client):
    assert len(workers(client)) == master.snapshot().agent_count == 2
    queue = master.register(mb.Queue(needs=SMALL), name="unharmed")
    assert queue.submit(double, 4).result(60) == 8


def workers(client):
    return client.scheduler_info(n_workers=-1)["workers"]


def test_plain_dask_works_there_all_the_same(client):
    assert client.submit(double, 21).result(timeout=60) == 42
    scattered = client.scatter([1, 2, 3])
    assert client.gather(client.map(double, scattered)) == [2, 4, 6]
    assert dask.delayed(sum)([1, 2]).compute(scheduler=client) == 3
    assert client.run(lambda: 5) and client.has_what() and client.get_versions()
    client.publish_dataset(mine=scattered)
    client.unpublish_dataset("mine")


def test_nothing_is_served_over_http_but_that_it_is_there(client):
    at = f"http://127.0.0.1:{client.scheduler_info()['services']['dashboard']}"
    assert urllib.request.urlopen(f"{at}/health", timeout=5).read() == b"ok"
    for path in (
        "/info/main/workers.html",
        "/json/identity.json",
        "/api/v1/retire_workers",
        "/metrics",
        "/proxy/1/127.0.0.1/",
    ):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(at + path, timeout=5)


def test_the_choice_is_the_users():
    with dask.config.set({"mesonb.blocked-handlers": ["restart"], "distributed.scheduler.blocked-handlers": ["feed"]}):
        assert blocking.blocked() == ["restart", "feed"]
    assert set(blocking.blocked()) >= set(blocking.BLOCKED)


# --- a Dask scheduler that somebody else starts ------------------------------------------------------------------------


@pytest.mark.parametrize("preloaded", [True, False])
def test_a_scheduler_that_takes_no_plugins(preloaded, tmp_path):
    """It brings hub and agents itself, or a master says how it would."""
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
               "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]  # fmt: skip
    config = dask.config.serialize({"distributed": {"scheduler": {"blocked-handlers": ["register_scheduler_plugin"]}}})
    environment = {**env(), "DASK_INTERNAL_INHERIT_CONFIG": config}
    preload = ["--preload", "mesonb.live.preload"] if preloaded else []
    scheduler = subprocess.Popen(
        [*command, *preload], env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: file.exists() and file.read_text().endswith("}"), 20, "the scheduler's file")
        import json

        address = json.loads(file.read_text())["address"]
        if not preloaded:
            with pytest.raises(ClusterError, match="takes no plugins .*dask scheduler --preload mesonb.live.preload"):
                mb.Master(address)
            return
        worker = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "2", "--name", "w",
             "--no-dashboard", "--local-directory", str(tmp_path)],
            env=env(), start_new_session=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with mb.Master(address) as master:
                wait_for(lambda: list(master.core.agents) == ["w"], 20, "its worker to be an agent")
                assert master.register(mb.Queue(needs=SMALL), name="lab").submit(double, 4).result(60) == 8
                with Client(address, set_as_default=False) as client, pytest.raises(ValueError, match="disallowed"):
                    client.restart(timeout=5)
        finally:
            worker.kill()
            worker.wait()
    finally:
        scheduler.kill()
        scheduler.wait()


def env():
    import os

    from tests.helpers import ROOT

    return {**os.environ, "PYTHONPATH": str(ROOT)}


# --- what it rests on --------------------------------------------------------------------------------------------------

#: Handlers of the Dask scheduler that anyone who is let in may use: plain Dask needs them, or they only tell.
OPEN = set(
    "identity echo connection_stream dump_state register-client scatter register-worker register_nanny unregister gather retry "
    "broadcast proxy ncores ncores_running has_what who_has processing call_stack profile performance_report get_logs logs "
    "worker_logs log_event events nbytes versions add_keys rebalance replicate update_data set_resources get_metadata "
    "set_metadata set_restrictions heartbeat_worker get_task_status get_task_stream get_task_stream_index "
    "get_task_prefix_states adaptive_target workers_to_close subscribe_worker_status start_task_metadata stop_task_metadata "
    "get_cluster_state get_story check_idle".split()
)
#: Those of extensions: locks, events, queues, variables, shuffles, memory manager, published data and the like.
EXTENSIONS = (
    "lock", "event_", "queue_", "variable_", "semaphore_", "multi_lock", "publish_", "shuffle_", "amm_", "memory_sampler",
    "cancel", "replay", "failures", "get_runspec", "get_error_cause", "stealing", "spans", "actor", "stream", "barrier",
)  # fmt: skip


def test_every_handler_of_the_dask_scheduler_is_open_or_blocked():
    """``Scheduler.handlers``: a new release that brings another one, or renames one, is looked at here first."""

    async def run():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            return set(scheduler.handlers)

    found = asyncio.run(run())
    assert set(blocking.BLOCKED) <= found, f"not there any more: {set(blocking.BLOCKED) - found}"
    known = OPEN | set(blocking.BLOCKED)
    unknown = {op for op in found - known if not op.startswith(EXTENSIONS)}
    assert not unknown, f"is {unknown} harmless, or to be blocked? say so in OPEN or in mesonb.live.security.blocking"


def test_a_blocked_handler_is_refused_before_it_is_called():
    """``Server.blocked_handlers``, by argument and set later; what is missing altogether answers with nothing."""

    async def run():
        async with Scheduler(
            host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0", blocked_handlers=["restart"]
        ) as scheduler, rpc(scheduler.address) as asks:  # fmt: skip
            with pytest.raises(ValueError, match="explicitly disallowed"):
                await asks.restart()
            assert await asks.echo(data="heard") == "heard"
            scheduler.blocked_handlers = ["echo"]
            with pytest.raises(ValueError, match="explicitly disallowed"):
                await asks.echo(data="heard")
            assert await asks.mesonb_here() is None

    asyncio.run(asyncio.wait_for(run(), 60))
