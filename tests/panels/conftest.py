"""Small clusters to look at, in virtual time, and a panel server whose files go to a directory of its own."""

import pytest

import mesonb as mb


def train(rate):
    return rate


@pytest.fixture
def cluster():
    """Two frameworks that run tasks on three agents, one of them with an offer in flight."""
    sim = mb.Simulation(agents=3, seed=1, latency="20ms")
    sim.runs_for(train, "30s", execute=False)
    for name, role in (("sweep", "research"), ("etl", "ops")):
        queue = sim.register(mb.Queue(needs=mb.Resources(cpus=1, mem="2GB")), name=name, role=role)
        queue.map(train, [0.1, 0.2, 0.3])
    sim.run("1s")
    return sim


@pytest.fixture
def panels(tmp_path, monkeypatch):
    """Start a panel server under a hub-like prefix, for a kernel called `our-kernel`."""
    from mesonb.panels.server import PanelServer

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    server = PanelServer("our-kernel", base_url="/user/x/").start()
    yield server
    server.close()
