"""Executors that outlive their Dask worker: its replacement takes them over, and nobody else; where none comes, they end."""

import array
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dask
import psutil
import pytest

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.errors import BadValue, TaskFailed
from mesonb.live.outlive import kept
from mesonb.live.outlive.passing import dial
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.dask_cli import DaskCluster
from tests.live.tasks import array_when, double, fill_when, orphan_and_wait, print_and_wait, wait_and_return
from tests.live.test_tasks import gone

pytestmark = pytest.mark.live
#: How long executors wait: where nobody comes, and where somebody is sure to, on any machine.
SHORT_S, LONG_S = 2, 60


def parent_of(pid):
    return psutil.Process(pid).ppid()


def keeper_of(marker):
    """Return the process that keeps the executors of a task that has said who runs it."""
    return int(marker.with_name(marker.name + ".begun").read_text().split()[2])


def folder_of(keeper):
    """Return the private folder in which a keeper listens."""
    files = psutil.Process(keeper).open_files()
    return next(Path(found.path).parent for found in files if found.path.endswith("/log"))


def out_of_sight(master):
    """Whether an agent has ever been."""
    with master.lock:
        return any(type(step.call).__name__ == "AgentUnreachable" for step in master.log.steps)


def updates_of(master, framework):
    """Return how often the master was told that each task of a framework has ended."""
    ends = [
        step.call.task
        for step in master.log.steps
        if type(step.call).__name__ == "TaskUpdate" and step.call.state.terminal
    ]
    return {task: ends.count(task) for task in ends if task.startswith(framework)}


# -- a worker that a nanny replaces -----------------------------------------------------------------------------------------


def test_what_runs_when_a_worker_is_killed_goes_on_under_the_one_that_the_nanny_starts(tmp_path):
    with dask.config.set({"mesonb.outlive": f"{LONG_S}s"}):
        master = mb.Master(agents=[mb.Resources(cpus=2, mem="1GB")], name="outlive")
    try:
        queue = master.register(mb.Queue(needs=SMALL), name="lab")
        runs = [queue.submit(wait_and_return, n, str(tmp_path / str(n))) for n in range(2)]
        wait_for(lambda: all((tmp_path / f"{n}.begun").exists() for n in range(2)), 20, "two running tasks")
        keeper = keeper_of(tmp_path / "0")
        os.kill(parent_of(keeper), signal.SIGKILL)
        wait_for(lambda: out_of_sight(master), 10, "the agent to be out of sight")
        (tmp_path / "0").touch()  # it may end before somebody is there, or after
        wait_for(lambda: not master.core.unreachable, 30, "the next worker to have taken over")
        (tmp_path / "1").touch()
        assert [run.result(60) for run in runs] == [0, 1]
        assert [run.losses for run in runs] == [0, 0]
        assert queue.submit(double, 4).result(60) == 8
        assert set(updates_of(master, "lab").values()) == {1}
        with master.lock:
            check(master.core)
    finally:
        master.close(cluster=True)
    wait_for(lambda: gone(keeper), 10, "the keeper to end with its cluster")


# -- workers that nobody replaces -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start a Dask scheduler; workers of it have executors that outlive them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASK_MESONB__OUTLIVE", f"{LONG_S}s")
        with DaskCluster(tmp_path_factory.mktemp("dask")) as made:
            made.worker("one", "--no-nanny")
            yield made


@pytest.fixture(scope="module")
def master(cluster):
    with mb.Master(cluster.address) as made:
        yield made


@pytest.fixture
def queue(master, request):
    made = master.register(mb.Queue(needs=SMALL), name=request.node.name[5:50])
    yield made
    master.unregister(made)


def test_what_ends_while_nobody_is_there_is_told_to_the_worker_that_comes(cluster, master, queue, tmp_path):
    marks = [tmp_path / name for name in ("printed", "large", "hog", "runs")]
    little = mb.Resources(cpus=0.1, mem="30MB")
    runs = [
        queue.submit(print_and_wait, str(marks[0]), needs=little),
        queue.submit(array_when, str(marks[1]), 500_000, needs=little),
        queue.submit(fill_when, str(marks[2]), needs=little),
        queue.submit(wait_and_return, 7, str(marks[3]), needs=little),
    ]
    command = queue.shell(f"echo here; until [ -e {tmp_path / 'command'} ]; do :; done; pwd; exit 3", needs=little)
    wait_for(lambda: all(mark.with_name(mark.name + ".begun").exists() for mark in marks), 20, "all to run")
    wait_for(lambda: command.output().lines == ["here"], 20, "the command to run")
    children = [int(mark.with_name(mark.name + ".begun").read_text().split()[0]) for mark in marks]
    keeper = keeper_of(marks[0])
    worker = cluster.processes["one"]
    assert parent_of(keeper) == worker.pid
    worker.kill()
    worker.wait()
    wait_for(lambda: "one" in master.core.unreachable, 10, "the agent to be out of sight")
    for mark in [*marks[:3], tmp_path / "command"]:
        mark.touch()
    wait_for(lambda: gone(children[2]), 20, "the hog to be ended, though nobody is there")
    assert not any(run.done for run in runs)
    cluster.worker("one", "--no-nanny")
    wait_for(lambda: not master.core.unreachable, 30, "the next worker to have taken over")
    assert runs[0].result(60) is None
    assert runs[0].output().lines == ["before", "after"]
    assert runs[1].result(60) == array.array("d", range(500_000))
    with pytest.raises(TaskFailed, match="over its memory"):
        runs[2].result(60)
    with pytest.raises(TaskFailed, match="exit status 3"):
        command.result(60)
    assert command.output().lines[0] == "here"
    assert Path(command.output().lines[1]).is_dir()  # its sandbox is kept for a while, as always
    marks[3].touch()
    assert runs[3].result(60) == 7
    assert [run.losses for run in [*runs, command]] == [0] * 5
    assert set(updates_of(master, queue.name).values()) == {1}
    assert int(marks[3].with_name("runs.begun").read_text().split()[2]) == keeper
    with master.lock:
        check(master.core)


def test_a_task_is_killed_by_the_worker_that_took_it_over(cluster, master, queue, tmp_path):
    run = queue.submit(wait_and_return, 1, str(tmp_path / "never"))
    wait_for((tmp_path / "never.begun").exists, 20, "it to run")
    child = int((tmp_path / "never.begun").read_text().split()[0])
    cluster.processes["one"].kill()
    cluster.processes["one"].wait()
    wait_for(lambda: "one" in master.core.unreachable, 10, "the agent to be out of sight")
    cluster.worker("one", "--no-nanny")
    wait_for(lambda: not master.core.unreachable, 30, "the next worker to have taken over")
    run.cancel()
    wait_for(lambda: gone(child), 10, "it to be killed")
    assert queue.submit(double, 2).result(60) == 4


def test_whoever_does_not_know_the_secret_is_not_let_in(cluster, master, queue, tmp_path):
    run = queue.submit(wait_and_return, 1, str(tmp_path / "on"))
    wait_for((tmp_path / "on.begun").exists, 20, "it to run")
    folder = folder_of(keeper_of(tmp_path / "on"))
    assert folder.stat().st_mode & 0o077 == folder.parent.stat().st_mode & 0o077 == 0
    with pytest.raises(Exception, match="digest"):
        dial(folder / "socket", b"a guess")
    with socket.socket(socket.AF_UNIX) as silent:  # one who says nothing holds nobody up
        silent.connect(str(folder / "socket"))
        (tmp_path / "on").touch()
        assert run.result(60) == 1


def test_where_nobody_comes_all_is_gone_in_time_and_lost(cluster, master, tmp_path, monkeypatch):
    class There(mb.Queue):
        only_agents = ("lonely",)

    monkeypatch.setenv("DASK_MESONB__OUTLIVE", f"{SHORT_S}s")
    worker = cluster.worker("lonely", "--no-nanny")
    queue = master.register(There(needs=SMALL, retries=0), name="lonely")
    run = queue.submit(orphan_and_wait, str(tmp_path / "orphan"))
    wait_for((tmp_path / "orphan").exists, 30, "it to run")
    pids = [int(pid) for pid in (tmp_path / "orphan").read_text().split()]
    folder = folder_of(pids[2])
    began_s = time.monotonic()
    worker.kill()
    worker.wait()
    wait_for(lambda: all(gone(pid) for pid in pids), 30, "all of it to be gone")
    assert time.monotonic() - began_s >= SHORT_S
    assert not folder.exists()
    wait_for(lambda: "lonely" not in master.core.agents, 20, "the agent to be given up")
    wait_for(lambda: run.done, 10, "its framework to hear of it")
    assert run.task.lost
    assert "no Dask worker came in time" in run.task.because
    master.unregister(queue)


def test_a_keeper_that_dies_fails_its_tasks_and_is_replaced(cluster, master, queue, tmp_path):
    run = queue.submit(wait_and_return, 1, str(tmp_path / "never"))
    wait_for((tmp_path / "never.begun").exists, 20, "it to run")
    keeper = keeper_of(tmp_path / "never")
    os.kill(keeper, signal.SIGKILL)
    with pytest.raises(TaskFailed, match="the process that kept its executors has died"):
        run.result(60)
    assert queue.submit(double, 3).result(60) == 6
    wait_for(lambda: not psutil.pid_exists(keeper), 10, "nothing of it to be left")


def test_a_folder_that_others_could_have_made_is_not_used(monkeypatch):
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setattr(kept.tempfile, "gettempdir", lambda: short)
        (Path(short) / f"mesonb-{os.getuid()}").mkdir()
        (Path(short) / f"mesonb-{os.getuid()}").chmod(0o777)
        with pytest.raises(BadValue, match="chmod 700"):
            kept.place(b"secret", "agent-1")


def test_a_keeper_imports_no_dask():
    look = (
        "import sys, mesonb.live.outlive.keeper; sys.exit(any(name in sys.modules for name in ('dask', 'distributed')))"
    )
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
