"""Dask's SSHCluster over a real SSH server: its workers become agents, and other kernels join."""

import sys

import pytest
from distributed import SSHCluster

import mesonb as mb
from tests.helpers import ROOT, wait_for
from tests.live.debian import Missing
from tests.live.tasks import double

pytest.importorskip("asyncssh", reason="asyncssh is not installed; Dask's SSHCluster needs it")
pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]  # the first time, an SSH server is fetched

HERE = "127.0.0.1"


@pytest.fixture
def sshd(tmp_path):
    from tests.live.sshd import Sshd

    try:
        server = Sshd(tmp_path)
    except Missing as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


@pytest.mark.slow
def test_an_ssh_cluster_is_led_and_joined(sshd):
    reached = {"port": sshd.port, "username": sshd.user, "client_keys": [str(sshd.key)], "known_hosts": None}
    with SSHCluster(
        [HERE] * 3, connect_options=reached, remote_python=f"env PYTHONPATH={ROOT} {sys.executable}",
        scheduler_options={"host": HERE, "port": 0, "dashboard_address": f"{HERE}:0"},
        worker_options={"host": HERE, "nthreads": 1, "memory_limit": "500MB"},
    ) as given, mb.Master(given) as master:  # fmt: skip
        assert len(master.snapshot().agents) == 2
        lab = master.register(mb.Queue(needs=mb.Resources(cpus=1)), name="lab")
        runs = lab.map(double, range(8))
        assert [run.result(60) for run in runs] == [2 * n for n in range(8)]
        assert len({run.task.agent for run in runs}) == 2
        with mb.connect(given.scheduler_address) as kernel:
            guest = kernel.register(mb.Queue(needs=mb.Resources(cpus=1)), name="guest")
            assert guest.submit(double, 21).result(60) == 42
        wait_for(lambda: "guest" not in master.core.frameworks, 10, "the guest to have left")
