"""dask-gateway for real: a server, its proxy, and clusters that it starts as processes here; reached by TLS through the proxy.

The packages are installed beside, by version and hash; the master is in a kernel that has them too.
"""

import os
import socket
import subprocess
import sys
import textwrap
import urllib.request

import pytest

from tests.helpers import ROOT, wait_for

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
LOCK = ROOT / "tests" / "data" / "gateway.txt"
CONFIG = """
import sys
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.SimpleAuthenticator.password = "secret"
c.DaskGateway.address, c.Proxy.address, c.Proxy.tcp_address = {addresses}
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "distributed.cli.dask_worker"]
c.ClusterConfig.worker_memory, c.ClusterConfig.worker_cores = "500M", 1
c.UnsafeLocalBackend.clusters_directory = {folder!r}
"""
KERNEL = """
import pathlib, sys
import mesonb as mb
from dask_gateway import BasicAuth, Gateway
from distributed import Client
from tests.live.tasks import double, wait_and_return
folder, proxy, scheduler = sys.argv[1:]
needs = mb.Resources(cpus=1, mem="50MB")
with Gateway(f"http://{proxy}", proxy_address=f"gateway://{scheduler}", auth=BasicAuth("anna", "secret")) as gateway:
    with gateway.new_cluster(shutdown_on_close=True) as cluster:
        cluster.scale(2)
        client = cluster.get_client(set_as_default=False)
        client.wait_for_workers(2, timeout=90)
        with mb.Master(client) as master, mb.connect() as other:
            assert master.address.startswith("gateway://") and len(master.core.agents) == 2, master
            lab = master.register(mb.Queue(needs=needs), name="lab")
            print("tasks", [run.result(60) for run in lab.map(double, range(4))])
            large = lab.submit(bytes, 3_000_000)
            print("large", len(large.result(60)), client.submit(len, large.future(client)).result(60))
            print("connect", other.register(mb.Queue(needs=needs), name="other").submit(double, 4).result(60))
            with other.dask("private", needs=mb.Resources(cpus=1, mem="300MB"), workers=1) as private:
                with Client(private, set_as_default=False) as inside:
                    print("private", private.scheduler_address[:6], inside.submit(double, 5).result(60))
            cluster.scale(3)
            master.wait_until(lambda: len(master.core.agents) == 3, "150s")
            marks = [pathlib.Path(folder, str(n)) for n in range(3)]
            runs = [lab.submit(wait_and_return, n, str(mark)) for n, mark in enumerate(marks)]
            master.wait_until(lambda: all(pathlib.Path(f"{mark}.begun").exists() for mark in marks), "150s")
            cluster.scale(1)
            for mark in marks:
                mark.touch()
            print("kept", [run.result(60) for run in runs], [run.losses for run in runs])
            master.wait_until(lambda: len(master.core.agents) == 1, "150s")
            print("complaints", master.complaints)
        client.close()
"""
SAID = """\
tasks [0, 2, 4, 6]
large 3000000 3000000
connect 8
private tls:// 10
kept [0, 1, 2] [0, 0, 0]
complaints []
"""


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def routed(proxy):
    """Whether the proxy knows by now where its server is."""
    try:
        return urllib.request.urlopen(f"http://{proxy}/api/health", timeout=5).status == 200
    except OSError:  # nobody listens, or the proxy knows no such path yet
        return False


@pytest.mark.slow
@pytest.mark.live
@pytest.mark.timeout(900)
def test_a_cluster_behind_a_gateway(tmp_path):
    packages = tmp_path / "packages"
    subprocess.run([*PIP, "--no-deps", "--require-hashes", "--target", str(packages), "-r", str(LOCK)], check=True)
    _, proxy, scheduler = addresses = [free_address() for _ in range(3)]
    (tmp_path / "config.py").write_text(CONFIG.format(addresses=tuple(addresses), folder=str(tmp_path / "clusters")))
    (tmp_path / "clusters").mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)])}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "dask_gateway_server", "--config", str(tmp_path / "config.py")],
            cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: routed(proxy), 60, "the gateway to answer")
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KERNEL), str(tmp_path), proxy, scheduler],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=540, check=False,
        )  # fmt: skip
    finally:
        server.terminate()
        server.wait(30)
    assert ran.stdout == SAID, (tmp_path / "log").read_text()[-2000:] + ran.stderr[-3000:]
    assert ran.returncode == 0, ran.stderr[-3000:]
