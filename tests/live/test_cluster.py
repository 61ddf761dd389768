"""Clusters: found again or started, taken over from the dead, given by the user, left alone when they do not fit."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
from distributed import LocalCluster

import mesonb as mb
from mesonb.errors import BadValue, MasterExists, TaskGone, Unreachable, VersionMismatch
from mesonb.live import cluster
from mesonb.live.limits.processes import birthmark
from mesonb.panels import commands
from mesonb.panels.app import Look, Shown
from mesonb.panels.steer import Steer
from mesonb.panels.view import Palette
from tests.helpers import ROOT, wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, lineage, rest
from tests.live.test_tasks import gone, pids

pytestmark = pytest.mark.live


def kernel(source):
    """Run a cell in another process, as another kernel would; its first line of output says that it is done."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def waiters_elsewhere(paths, name):
    """Register a framework in another kernel whose tasks wait for these files, and return that kernel."""
    process, _ = kernel(f"""
        import mesonb as mb
        from tests.live.test_recovery import Waiters
        cluster = mb.connect(name="tests")
        cluster.register(Waiters(enumerate({paths!r})), name={name!r})
        print("registered", flush=True)
        input()
    """)
    return process


def test_a_cluster_outlives_its_kernel_and_is_found_again(tmp_path):
    """Another kernel leads; a second master is refused; the kernel is killed; the next master takes over."""
    marker = tmp_path / "pids"
    other, said = kernel(f"""
        import mesonb as mb, tests.live.tasks as tasks
        master = mb.Master(agents=2, name="outlives")
        lab = master.register(mb.Queue(), name="lab")
        lab.submit(tasks.rest, {str(marker)!r})
        print(lab.submit(tasks.double, 21).result(60), flush=True)
        input()
    """)
    try:
        assert said == "42"
        child, _, worker = pids(marker)
        with pytest.raises(MasterExists, match=f"process {other.pid} on"):
            mb.Master(agents=2, name="outlives")
    finally:
        other.kill()
        other.wait()
    with wait_for(lambda: _lead_if_free(agents=2, name="outlives"), 10, "the dead leader to be replaced") as master:
        assert master.core.settings.epoch == 2
        lab = master.register(mb.Queue(needs=SMALL), name="lab")
        assert worker in {run.result(60)[2] for run in lab.map(lineage_of, range(20))}
        wait_for(lambda: gone(child), 5, "the task of the dead kernel to be ended")
    master.close(cluster=True)


def lineage_of(_):
    return lineage()


def _lead_if_free(**arguments):
    try:
        return mb.Master(**arguments)
    except MasterExists:
        return None


def test_the_same_kernel_has_one_master_and_closing_leaves_the_cluster():
    first = mb.Master(agents=1, name="same")
    host = first.local.pid
    assert mb.Master(agents=1, name="same") is first
    lab = first.register(mb.Queue(needs=SMALL), name="lab")
    assert lab.submit(double, 1).result(60) == 2
    waits = lab.submit(rest)
    first.close()
    assert "closed" in repr(first)
    with pytest.raises(BadValue, match="this master is closed"):
        waits.result()
    with pytest.raises(BadValue, match="this master is closed"):
        first.register(mb.Queue(), name="late")
    assert "this master is closed" in commands.obey(first, {"do": "pause"})["because"]
    steer = Shown(first, Steer(Look(Palette())))
    assert "this master is closed" in steer.note.text and steer.panel.pause.disabled
    with mb.Master(agents=1, name="same") as second:
        assert second is not first
        assert second.local.pid == host
    second.close(cluster=True)
    assert not cluster.alive(host)


@pytest.mark.slow
def test_a_cluster_that_nobody_uses_goes_away(monkeypatch):
    import dask

    with dask.config.set({"mesonb.idle-timeout": "1s"}):
        master = mb.Master(agents=1, name="idle")
    local = master.local
    assert local.file.stat().st_mode & 0o777 == 0o600
    master.close()
    wait_for(lambda: not cluster.alive(local.pid), 20, "the idle cluster to end")
    assert not local.file.exists()


@pytest.fixture
def stranger():
    """A process that is none of ours."""
    process = subprocess.Popen(["sleep", "120"])
    yield process
    process.kill()
    process.wait()


def claim(name, **facts):
    """Write the connection file of a cluster of one agent; return it, and that agent."""
    agents = [mb.Resources(cpus=1, mem="1GB")]
    file = cluster._file_of(agents, name)
    file.write_text(json.dumps({"address": "tcp://127.0.0.1:9", "agents": [{}], "host": socket.gethostname(), **facts}))
    return file, agents


def test_a_file_whose_process_number_is_somebody_elses_now_stands_in_nobodys_way(stranger, recwarn):
    file, agents = claim("stale", pid=stranger.pid, birth="an earlier boot 1")
    cluster._read(file).stop()
    assert stranger.poll() is None
    with mb.Master(agents=agents, name="stale") as master:
        assert not [warning for warning in recwarn if "does not answer" in str(warning.message)], "nobody asked it"
        assert master.local.pid != stranger.pid
        assert master.register(mb.Queue(needs=SMALL), name="lab").submit(double, 3).result(60) == 6
    master.close(cluster=True)
    assert stranger.poll() is None


@pytest.mark.parametrize("spoiled", ["", "{}", '{"address": "tcp://127.0.0.1:9", "pid": 1, "agents": [1]}'])
def test_a_file_that_says_too_little_is_removed(spoiled):
    file, _ = claim("spoiled")
    file.write_text(spoiled)
    assert cluster.running_at(file) is None
    assert not file.exists()


def test_the_file_of_another_machine_is_left_alone(stranger):
    file, _ = claim("shared-home", pid=stranger.pid, birth=birthmark(stranger.pid), host="another")
    assert cluster.running_clusters("shared-home") == []
    assert file.exists()
    file.unlink()


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_makes_way_for_another(stranger, monkeypatch):
    monkeypatch.setattr("mesonb.live.link.REACH_S", 0.5)
    monkeypatch.setattr("mesonb.live.master.GONE_S", 0.5)
    _, agents = claim("mute", pid=stranger.pid, birth=birthmark(stranger.pid))
    with pytest.warns(UserWarning, match=f"process {stranger.pid} does not answer"):
        master = mb.Master(agents=agents, name="mute")
    assert master.local.pid != stranger.pid
    assert master.local.file.exists()
    master.close(cluster=True)
    assert stranger.poll() is None
    assert not master.local.file.exists()


def test_the_machine_is_divided_evenly():
    assert len(set(cluster.sizes(3))) == 1
    total = sum(cluster.sizes(None), start=mb.Resources())
    assert total.cpus == pytest.approx(os.cpu_count(), rel=0.01)


@pytest.mark.slow
def test_a_given_cluster_in_the_kernels_process_group_is_used_with_a_warning():
    with LocalCluster(n_workers=2, threads_per_worker=2, memory_limit="1GB", dashboard_address=None) as given:
        with pytest.warns(UserWarning, match=r"agent-\d is in the kernel's own process group.*os.setpgrp\(\)"):
            master = mb.Master(given)
        with master:
            totals = [row.total for row in master.snapshot().agents]
            assert [total.cpus for total in totals] == [2, 2]
            assert all(700_000_000 < total.mem < 1_000_000_000 for total in totals), "less what the worker itself holds"
            lab = master.register(mb.Queue(needs=SMALL), name="lab")
            assert [run.result(60) for run in lab.map(double, range(10))] == [2 * n for n in range(10)]
            given.scale(3)
            wait_for(lambda: len(master.snapshot().agents) == 3, 20, "the late worker to become an agent")


def test_the_remedy_in_that_warning_is_true(recwarn):
    with (
        LocalCluster(n_workers=1, preload="import os; os.setpgrp()", dashboard_address=None) as given,
        mb.Master(given) as master,
    ):
        assert not [warning for warning in recwarn if "stop button" in str(warning.message)]
        assert master.register(mb.Queue(needs=SMALL), name="lab").submit(double, 3).result(60) == 6


VERSIONS = "import distributed.versions as v; "
OTHER_PYTHON = VERSIONS + "v.get_system_info = lambda real=v.get_system_info: {**real(), 'python': '3.8.1.final.0'}"
OTHER_DISTRIBUTED = (
    VERSIONS + "v._version_cached = lambda p, real=v._version_cached: '2020.1.0' if p == 'distributed' else real(p)"
)


@pytest.mark.parametrize(("what", "lie"), [("python", OTHER_PYTHON), ("distributed", OTHER_DISTRIBUTED)])
def test_a_worker_of_another_version_is_refused(what, lie):
    """A real worker that reports another version; nothing of ours is unpickled there."""
    with LocalCluster(n_workers=1, preload=lie, dashboard_address=None) as given, pytest.raises(
        VersionMismatch, match=rf"worker tcp://.* runs {what} (3.8|2020.1.0), this kernel {what} .*: install {what} "
    ):  # fmt: skip
        mb.Master(given)


def test_a_late_worker_of_another_version_stays_out(monkeypatch):
    lie = "import mesonb.live.wire.versions as v; v.version = lambda p: '2020.1.0'"
    with (
        LocalCluster(n_workers=1, dashboard_address=None, preload="import os; os.setpgrp()") as given,
        mb.Master(given) as master,
    ):
        given.new_spec["options"]["preload"] = lie
        given.scale(2)
        wait_for(lambda: any("2020.1.0" in c.error for c in master.complaints), 30, "a complaint about the late worker")
        assert len(master.snapshot().agents) == 1


def test_a_master_whose_cluster_is_gone_keeps_nobody_waiting_and_is_replaced_by_the_next():
    dead = mb.Master(agents=1, name="replaced")
    lab = dead.register(mb.Queue(needs=SMALL), name="lab")
    child, zygote, worker = lab.submit(lineage).result(60)
    waits, late = lab.submit(rest), lab.submit(double, 1, needs=mb.Resources(cpus=dead.core.total.cpus))
    os.kill(dead.local.pid, signal.SIGTERM)
    with pytest.raises(TaskGone, match=r"write master = mb.Master\(\) for a new one"):
        waits.result(60)
    with pytest.raises(TaskGone, match=r"write master = mb.Master\(\)"):
        late.result(60)
    with pytest.raises(Unreachable, match=r"write master = mb.Master\(\)"):
        lab.submit(double, 1)
    with pytest.raises(Unreachable, match=r"write master = mb.Master\(\)"):
        dead.register(mb.Queue(needs=SMALL), name="too-late")
    wait_for(lambda: all(gone(pid) for pid in (child, zygote, worker)), 15, "everything of the cluster to end")
    wait_for(lambda: any("Dask scheduler is gone" in c.error for c in dead.complaints), 15, "the master to say so")
    assert not dead.snapshot().agents
    with mb.Master(agents=1, name="replaced") as master:
        assert master is not dead
        assert dead.closed
        assert master.register(mb.Queue(needs=SMALL), name="lab").submit(double, 3).result(60) == 6
    master.close(cluster=True)
