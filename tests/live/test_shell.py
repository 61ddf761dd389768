"""Commands as tasks: their exit status is their end, they run in a sandbox, and a kill leaves nothing of them."""

import subprocess
import time
from pathlib import Path

import dask
import psutil
import pytest

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.errors import BadValue, NoDuration, NotThere, OfferError, TaskFailed, TaskGone
from mesonb.testing import offer as offer_of
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, lineage
from tests.live.test_tasks import gone


def read_pids(path, count):
    text = wait_for(lambda: path.exists() and len(path.read_text().split()) >= count and path.read_text(), 20, "pids")
    return [int(pid) for pid in text.split()]


# -- on agents ------------------------------------------------------------------------------------------------------------


@pytest.mark.live
def test_a_command_is_a_task(master, queue):
    run = queue.shell("echo hello; echo to stderr >&2; echo $MESONB_TASK")
    assert run.result(60) == 0
    assert run.output().lines == ["hello", "to stderr", run.task.id]


@pytest.mark.live
def test_its_exit_status_is_how_it_ends(queue):
    with pytest.raises(TaskFailed, match=r"its command ended with exit status 3\nlast printed:\nno luck"):
        queue.shell("echo no luck; exit 3").result(60)
    with pytest.raises(TaskFailed, match="its process was ended by SIGSEGV"):
        queue.shell("kill -SEGV $$").result(60)
    with pytest.raises(TaskFailed, match="exit status 127"):
        queue.shell("no-such-command-anywhere").result(60)
    assert queue.submit(double, 2).result(60) == 4


@pytest.mark.live
def test_an_offer_takes_a_command_as_it_takes_a_function(master):
    class Once(mb.Framework):
        needs = SMALL
        done = None

        def __init__(self):
            self.todo = 1

        def on_offers(self, offers):
            for offer in offers:
                if self.todo and offer.fits(self.needs):
                    self.todo -= 1
                    offer.shell("exit 0")

        def on_update(self, task):
            if task.ended:
                self.done = task

    once = master.register(Once(), name="once")
    wait_for(lambda: once.done, 20, "the command to end")
    assert once.done.finished
    assert once.done.args[0] == "exit 0"
    master.unregister(once)
    wait_for(lambda: "once" not in master.core.frameworks, 10, "the framework to have left")
    with master.lock:
        check(master.core)


@pytest.mark.live
def test_it_runs_in_a_sandbox_with_the_files_that_came_along(master, queue, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.sh").write_text("#!/bin/sh\ncat data/rates.txt > out.txt\npwd\n")
    Path("data").mkdir()
    Path("data/rates.txt").write_text("0.1 0.2")
    run = queue.shell("./train.sh --fast", files=["data/rates.txt"])
    assert run.result(60) == 0
    sandbox = master.sandbox(run.task.id)
    assert run.output().lines == [sandbox.path]
    assert sandbox.path != str(tmp_path)
    assert sandbox.files == {"data/rates.txt": 7, "out.txt": 7, "train.sh": 43}
    assert Path(sandbox.path, "out.txt").read_text() == "0.1 0.2"
    other = queue.shell("ls")
    other.result(60)
    assert other.output().lines == []
    with pytest.raises(NotThere, match="has no sandbox that is known here"):
        master.sandbox("lab/task-9")


@pytest.mark.live
def test_a_kill_is_quick_and_reaches_all_that_a_command_started(queue, tmp_path):
    spans = []
    for number in range(5):
        pids = tmp_path / f"{number}"
        run = queue.shell(f"sleep 60 & echo $$ $! >> {pids}; setsid sleep 60 & echo $! >> {pids}; wait")
        family = read_pids(pids, 3)
        wait_for(lambda run=run: run.task.running, 5, "the task to be reported running")
        began = time.perf_counter()
        run.cancel()
        wait_for(lambda family=family: all(gone(pid) for pid in family), 5, "command and grandchildren to be dead")
        spans.append(time.perf_counter() - began)
        with pytest.raises(TaskGone, match="killed"):
            run.result(60)
    assert min(spans) < 0.05, spans


@pytest.mark.live
def test_what_a_command_leaves_behind_ends_with_it_and_is_buried(queue, tmp_path):
    _, zygote, _ = queue.submit(lineage).result(60)
    run = queue.shell(f"sleep 60 & echo $! > {tmp_path / 'left'}")
    assert run.result(60) == 0
    (left,) = read_pids(tmp_path / "left", 1)
    wait_for(lambda: not psutil.pid_exists(left), 5, "what was left behind to be dead and buried")
    assert psutil.pid_exists(zygote)


@pytest.mark.live
def test_a_command_has_none_of_its_agents_sockets(queue):
    run = queue.shell("ls -l /proc/self/fd")
    run.result(60)
    assert not [line for line in run.output().lines if "socket:" in line or "memfd" in line]


@pytest.mark.live
def test_a_command_over_its_memory_fails_with_that_reason(queue):
    line = "exec python3 -c 'import time; x = bytearray(600_000_000); time.sleep(60)'"
    with pytest.raises(TaskFailed, match=r"over its memory: \d+ MB of 100 MB"):
        queue.shell(line).result(60)


@pytest.mark.live
def test_many_commands_and_functions_side_by_side(queue):
    runs = [queue.shell(f"exit {number % 2}") if number % 3 else queue.submit(double, number) for number in range(60)]
    for number, run in enumerate(runs):
        if number % 3 == 0:
            assert run.result(60) == 2 * number
        elif number % 2:
            with pytest.raises(TaskFailed, match="exit status 1"):
                run.result(60)
        else:
            assert run.result(60) == 0


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of one megabyte."""
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "mesonb-test", str(tmp_path)], capture_output=True
    ).returncode:
        pytest.skip("this user may not mount")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.mark.live
def test_a_full_disk_is_a_clear_failure_and_sandboxes_are_removed_in_time(small_disk):
    with dask.config.set({"mesonb.sandbox": str(small_disk), "mesonb.sandbox-keep": "300ms"}), mb.Master(
        agents=1, name="full-disk"
    ) as full:  # fmt: skip
        queue = full.register(mb.Queue(), name="lab")
        run = queue.shell("dd if=/dev/zero of=big bs=65536 count=100")
        with pytest.raises(
            TaskFailed, match=r"exit status 1; the disk of its sandbox .* is full .*mesonb.sandbox"
        ) as told:
            run.result(60)
        assert "No space left" in str(told.value)
        sandbox = full.sandbox(run.task.id)
        assert sandbox.files["big"] > 900_000
        assert queue.submit(double, 2).result(60) == 4
        wait_for(lambda: not Path(sandbox.path).exists(), 10, "the sandbox to be removed")
        with pytest.raises(TaskFailed, match=r"No space left on device; the disk of its sandbox"):
            queue.shell("true", files=[_large_file(small_disk.parent)]).result(60)
        full.close(cluster=True)
        wait_for(lambda: not list(small_disk.iterdir()), 10, "the agent to clean up")


def _large_file(folder):
    path = folder / "large.bin"
    path.write_bytes(bytes(3_000_000))
    return path


@pytest.mark.live
def test_another_kernel_runs_commands_too(master):
    with mb.connect(master.address) as remote:
        there = remote.register(mb.Queue(needs=SMALL), name="there")
        run = there.shell("echo from afar; touch made")
        assert run.result(60) == 0
        assert run.output().lines == ["from afar"]
        assert remote.sandbox(run.task.id).files == {"made": 0}


# -- what people get wrong, and simulations ---------------------------------------------------------------------------------


def test_wrong_commands_and_files(tmp_path):
    offer = offer_of(cpus=1)
    with pytest.raises(BadValue, match="is not a command; write offer.shell"):
        offer.shell("  ", needs=SMALL)
    with pytest.raises(BadValue, match="cannot be sent along: No such file.*are here, not on the agents"):
        offer.shell("cat x", needs=SMALL, files=[tmp_path / "nothing"])
    with pytest.raises(BadValue, match="would not lie within the sandbox"):
        offer.shell("cat x", needs=SMALL, files=["../x"])
    with pytest.raises(OfferError, match="shell needs nothing"):
        offer.shell("true")


def test_in_a_simulation_a_command_lasts_as_long_as_was_said():
    sim = mb.Simulation(agents=2)
    sim.runs_for("./train.sh", "10min")
    sim.runs_for("./train.sh --fast", "1min")
    queue = sim.register(mb.Queue(), name="lab")
    slow, fast = queue.shell("./train.sh --deep"), queue.shell("./train.sh --fast")
    assert fast.result() == 0
    assert 60 <= sim.now_us() / 1e6 < 61
    assert slow.result() == 0
    assert 600 <= sim.now_us() / 1e6 < 601
    assert slow.output() == ([], 0)
    with pytest.raises(
        NoDuration, match=r"how long does 'make all' last\? Say so before it runs: sim.runs_for\('make all'"
    ):
        queue.shell("make all").result()
