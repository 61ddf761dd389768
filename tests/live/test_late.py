"""Workers that join later, and clusters that do not fit: what is wrong is said, and everyone else goes on."""

import pytest
from distributed import Client, LocalCluster

import mesonb as mb
from mesonb.errors import VersionMismatch
from mesonb.live.wire import hub
from mesonb.live.wire.versions import ours
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.dask_cli import DaskCluster
from tests.live.tasks import double

pytestmark = pytest.mark.live
APART = "import os; os.setpgrp()"


@pytest.fixture
def given():
    with LocalCluster(n_workers=1, threads_per_worker=1, preload=APART, dashboard_address=None) as made:
        yield made


def late(given, preload):
    """Have one more worker join that begins with some code of its own."""
    given.new_spec["options"]["preload"] = f"{APART}; {preload}"
    given.scale(2)


def complaint(master, words):
    return next((c.error for c in master.complaints if words in c.error), None)


def test_a_late_worker_becomes_an_agent(given):
    with mb.Master(given) as master:
        lab = master.register(mb.Queue(needs=mb.Resources(cpus=1)), name="lab")
        late(given, "")
        wait_for(lambda: len(master.snapshot().agents) == 2, 20, "it to join")
        assert [run.result(60) for run in lab.map(double, range(6))] == [2 * n for n in range(6)]


def test_a_late_worker_whose_agent_cannot_be_set_up_says_why_and_stays_a_plain_worker(given):
    with mb.Master(given) as master:
        late(given, "import mesonb.live.outlive.choosing as a; a.choose = lambda _: 1 / 0")
        said = wait_for(lambda: complaint(master, "cannot be an agent"), 20, "the complaint")
        assert "ZeroDivisionError: division by zero" in said
        assert len(master.snapshot().agents) == 1
        assert master.register(mb.Queue(needs=SMALL), name="lab").submit(double, 4).result(60) == 8
        assert len(given.scheduler.workers) == 2


def test_a_late_worker_without_mesonb_is_named_and_the_others_go_on(tmp_path):
    """Dask itself ends a worker that cannot read a plugin; on a cluster started by command line."""
    with DaskCluster(tmp_path) as given:
        given.worker("good")
        with Client(given.address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=90)
        with mb.Master(given.address) as master:
            bare = given.worker("bare", "--no-nanny", "--preload", "import sys; sys.modules['mesonb'] = None")
            said = wait_for(lambda: complaint(master, "is mesonb installed there"), 20, "the complaint")
            assert said.startswith("the Dask worker bare ")
            wait_for(lambda: bare.poll() is not None, 20, "it to end")
            assert master.register(mb.Queue(needs=SMALL), name="lab").submit(double, 4).result(60) == 8


def test_a_worker_whose_agent_does_not_come_is_named_once(given, monkeypatch):
    monkeypatch.setattr(hub, "AGENTLESS_S", 0.5)
    with mb.Master(given) as master:
        late(given, "import mesonb.live.agent as a; a.dial = None")  # its link is never made
        wait_for(lambda: complaint(master, "the Dask worker 1 runs no agent"), 20, "the complaint")
        assert master.register(mb.Queue(needs=SMALL), name="lab").submit(double, 4).result(60) == 8
        assert sum("runs no agent" in c.error for c in master.complaints) == 1


def test_a_cluster_of_another_mesonb_is_refused_and_led_on_by_its_own(given, monkeypatch):
    """Whoever made the hub had another version; it cannot be replaced while the Dask scheduler runs."""
    with monkeypatch.context() as theirs:
        theirs.setattr(hub, "ours", lambda: {**ours(), "mesonb": "0.0.1"})
        theirs.setattr("mesonb.live.link.check_versions", lambda *_: None)
        theirs.setattr("mesonb.live.roster.check_versions", lambda *_: None)
        with mb.Master(given) as first:
            lab = first.register(mb.Queue(needs=SMALL), name="lab")
            with pytest.raises(
                VersionMismatch, match=r"the hub at tcp://\S+ runs mesonb 0.0.1, this kernel mesonb .*install"
            ):
                mb.connect(given.scheduler_address)
            assert lab.submit(double, 4).result(60) == 8
        theirs.undo()
        theirs.setattr(hub, "ours", lambda: {**ours(), "mesonb": "0.0.1"})
        with pytest.raises(
            VersionMismatch, match=r"the hub at tcp://\S+ runs mesonb 0.0.1, this kernel mesonb .*install"
        ):
            mb.Master(given)
