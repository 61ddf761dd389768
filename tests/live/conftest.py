"""Fixtures for tests on real Dask workers: one cluster of two agents, led anew in each module, in a runtime folder of its own.

Rule: a test waits for conditions with a deadline; it ends only processes that its own cluster started.
"""

import os
from contextlib import contextmanager

import dask
import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.live import cluster
from mesonb.live.security.blocking import BLOCKED
from tests.helpers import wait_for
from tests.live.debian import Missing
from tests.live.zookeeper import ZooKeeper

AGENT = mb.Resources(cpus=2, mem="2GB")
SMALL = mb.Resources(cpus=1, mem="100MB")


@pytest.fixture(scope="session", autouse=True)
def _runtime_folder(tmp_path_factory):
    """Keep the files of these clusters apart from the user's."""
    before = os.environ.get("JUPYTER_RUNTIME_DIR")
    os.environ["JUPYTER_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("runtime"))
    yield
    if before is None:
        del os.environ["JUPYTER_RUNTIME_DIR"]
    else:
        os.environ["JUPYTER_RUNTIME_DIR"] = before


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory):
    """Return a real ZooKeeper, or skip with what is missing for one."""
    try:
        server = ZooKeeper(tmp_path_factory.mktemp("zookeeper"))
    except Missing as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


@pytest.fixture(scope="session", autouse=True)
def _the_scheduler_can_be_looked_into():
    """Let tests run code in the Dask schedulers of these clusters, which nobody else may; those of security do not."""
    but_one = [op for op in BLOCKED if op != "run_function"]
    with dask.config.set({"mesonb.blocked-handlers": but_one}):
        yield


@pytest.fixture(scope="session")
def _clusters(_runtime_folder, _the_scheduler_can_be_looked_into):
    """Let clusters be up from module to module, each of whose masters finds them again, until the last test."""
    yield
    for local in cluster.running_clusters():
        local.stop()


@contextmanager
def led(**arguments):
    """Lead a cluster, found or started, and leave nothing on it; one that was taken apart ends."""
    made = mb.Master(**arguments)
    agents = len(arguments["agents"])
    wait_for(lambda: len(made.core.agents) == agents and not made.core.unreachable, 20, "all agents to have joined")
    yield made
    made.post([calls.Unregister(name) for name in made.core.frameworks])
    wait_for(lambda: not made.core.frameworks and not made._unacknowledged, 20, "the frameworks of its tests to leave")
    made.close(cluster=not made.core.agents)


@pytest.fixture(scope="module")
def master(_clusters):
    """Return a master of two real agents, shared by the tests of a module."""
    with led(agents=[AGENT, AGENT], name="tests") as made:
        yield made


@pytest.fixture
def queue(master, request):
    """Return a queue registered under the test's own name."""
    made = master.register(mb.Queue(needs=SMALL), name=request.node.name[:60].replace("[", "-").replace("]", ""))
    yield made
    master.unregister(made)
