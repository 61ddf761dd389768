"""What tasks of one framework keep on an agent for each other: found by later tasks, shared without a copy, cleaned up."""

import contextlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import mesonb as mb
from mesonb.errors import BadValue, TaskFailed, TaskGone
from tests.helpers import wait_for
from tests.live.tasks import lineage, meet, rest

pytestmark = pytest.mark.live
LENGTH = 2_000_000
BYTES = 8 * LENGTH


def keep(name, thing):
    mb.local()[name] = thing
    return os.getpid()


def find(name, _=None):
    return mb.local()[name]


def names(_=None):
    return sorted(mb.local())


def keep_an_array():
    mb.local()["array"] = {"weights": np.arange(LENGTH, dtype=float), "of": "a model"}


def where_the_array_is(folder, me, others):
    """Return, while others look too, the sum and which file of memory the array lies in."""
    array = mb.local()["array"]["weights"]
    inode = {line.split()[4] for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:mesonb" in line}
    before = own_bytes()
    total = float(array.sum())
    grown = own_bytes() - before
    meet(folder, me, others)
    return os.getpid(), total, inode, grown


def own_bytes():
    """Memory of this process alone: neither files nor what it shares."""
    resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def scribble():
    mb.local()["array"]["weights"][0] = 7


def make_slowly(folder):
    Path(folder, f"made-{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(0.2)  # work
    return {"data": np.ones(LENGTH)}


def once(folder, me, others):
    meet(folder, me, others)
    return float(mb.local().once("data", lambda: make_slowly(folder))["data"].sum())


def make_and_die(marker):
    def die():
        Path(marker).touch()
        time.sleep(60)  # work

    mb.local().once("fragile", die)


def fail_to_make():
    return mb.local().once("fragile", lambda: 1 / 0)


def parcels(pid):
    """How many parcels a process has open."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(fd.readlink()))
    return sum("memfd:mesonb" in name for name in found)


@pytest.fixture(scope="module")
def master():
    """Return a master of one agent, so that all tasks meet there."""
    made = mb.Master(agents=[mb.Resources(cpus=8, mem="400MB")], name="local")
    yield made
    made.close(cluster=True)


@pytest.fixture
def queue(master, request):
    made = master.register(mb.Queue(needs=mb.Resources(cpus=1)), name=request.node.name[:60])
    yield made
    master.unregister(made)
    wait_for(lambda: made._driver.name not in master.core.frameworks, 10, "it to have left")


def test_later_tasks_find_what_earlier_ones_kept(queue):
    queue.submit(keep, "model", {"rate": 0.1}).result(60)
    assert [run.result(60) for run in queue.map(find, ["model"] * 20)] == [{"rate": 0.1}] * 20
    queue.submit(keep, "model", "another").result(60)
    assert queue.submit(find, "model").result(60) == "another"
    assert queue.submit(names).result(60) == ["model"]
    with pytest.raises(TaskFailed, match="KeyError: 'nothing'"):
        queue.submit(find, "nothing").result(60)


def test_it_is_each_frameworks_own(master, queue):
    queue.submit(keep, "secret", 1).result(60)
    other = master.register(mb.Queue(), name="other")
    assert other.submit(names).result(60) == []
    master.unregister(other)


def test_arrays_are_shared_without_a_copy(queue, tmp_path):
    queue.submit(keep_an_array).result(60)
    others = ["a", "b", "c"]
    seen = [queue.submit(where_the_array_is, str(tmp_path), me, others) for me in others]
    pids, totals, inodes, grown = zip(*[run.result(60) for run in seen], strict=True)
    assert len(set(pids)) == 3
    assert set(totals) == {float(np.arange(LENGTH).sum())}
    assert len(set.union(*inodes)) == 1, "all three read the same memory"
    assert max(grown) < BYTES / 4, "and nobody copies it"
    with pytest.raises(TaskFailed, match="read-only"):
        queue.submit(scribble).result(60)


def test_of_several_tasks_one_makes_it_and_the_others_wait(queue, tmp_path):
    others = ["a", "b", "c", "d"]
    runs = [queue.submit(once, str(tmp_path), me, others) for me in others]
    assert {run.result(60) for run in runs} == {float(LENGTH)}
    assert len(list(tmp_path.glob("made-*"))) == 1


def test_when_the_maker_dies_or_fails_the_next_one_makes_it(queue, tmp_path):
    dies = queue.submit(make_and_die, str(tmp_path / "begun"))
    wait_for((tmp_path / "begun").exists, 20, "the maker to begin")
    waits = queue.submit(fail_to_make)
    wait_for(lambda: waits.task and waits.task.running, 10, "another task to want it")
    dies.cancel()
    with pytest.raises(TaskFailed, match="ZeroDivisionError"):
        waits.result(60)
    with pytest.raises(TaskGone):
        dies.result(60)
    assert queue.submit(lambda: mb.local().once("fragile", lambda: "well made")).result(60) == "well made"


def test_too_much_is_refused_and_what_was_there_stays(queue):
    queue.submit(keep, "small", 1).result(60)
    with pytest.raises(TaskFailed, match=r"'huge' has 240 MB, and the stores .* hold .* of 200 MB: keep less"):
        queue.submit(lambda: keep("huge", np.zeros(30_000_000))).result(60)
    assert queue.submit(names).result(60) == ["small"]
    with pytest.raises(TaskFailed, match=r"7 is not a name; write mb.local\(\)\['data'\]"):
        queue.submit(keep, 7, "x").result(60)


def test_nothing_is_left_when_the_framework_leaves_or_a_child_is_killed(master, tmp_path):
    queue = master.register(mb.Queue(), name="leaves")
    _, _, worker = queue.submit(lineage).result(60)
    wait_for(lambda: parcels(worker) == 0, 10, "the agent to let go of what other tests kept")
    queue.submit(keep_an_array).result(60)
    assert parcels(worker) == 1
    run = queue.submit(rest, str(tmp_path / "pids"))
    child = int(wait_for(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text(), 20, "it").split()[0])
    os.kill(child, signal.SIGKILL)
    with pytest.raises(TaskFailed):
        run.result(60)
    assert queue.submit(names).result(60) == ["array"], "what is kept outlives whoever kept it"
    master.unregister(queue)
    wait_for(lambda: parcels(worker) == 0, 10, "the agent to let go")


def test_outside_of_an_agent_it_is_the_process_own():
    own = mb.local()
    assert own.once("x", lambda: 5) == 5
    assert own.once("x", lambda: 6) == 5
    del own["x"]
    with pytest.raises(BadValue, match="is not a name"):
        own.once(3, lambda: 1)
