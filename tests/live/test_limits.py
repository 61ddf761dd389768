"""Isolation and use through a whole master: a task over its memory fails for that reason, and harms nobody."""

import json
import os
import time
from pathlib import Path

import pytest

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.errors import TaskFailed
from mesonb.live.limits.isolation import choose
from tests.helpers import wait_for
from tests.live.tasks import double, lineage

pytestmark = pytest.mark.live

SMALL = mb.Resources(cpus=1, mem="100MB")


def hold(megabytes, seconds=60.0):
    """Hold so much memory for so long."""
    held = b"x" * (megabytes * 1_000_000)
    time.sleep(seconds)  # work
    return len(held)


def spin(path):
    """Take all the cpu there is, until a file is there."""
    while not os.path.exists(path):  # noqa: PTH110
        pass
    return os.getpid()


@pytest.fixture(scope="module", params=["process rss", "process rlimit", "process cgroup/mem cgroup/cpu"])
def limited(request):
    """A master whose one agent has these modules."""
    names = request.param.split()
    chosen = choose(names)
    chosen.close()
    if missing := [f"{module.name}: {module.says}" for module in chosen.report if not module.applied]:
        pytest.skip("; ".join(missing))
    before = dict(os.environ)
    os.environ["DASK_MESONB__ISOLATION"] = json.dumps(names)
    made = mb.Master(agents=[mb.Resources(cpus=3, mem="1GB")], name="-".join(names).replace("/", ""))
    os.environ.clear()
    os.environ.update(before)
    yield made
    made.close(cluster=True)


@pytest.fixture
def lab(limited):
    made = limited.register(mb.Queue(needs=SMALL), name="lab")
    yield made
    limited.unregister(made)


def test_a_task_over_its_memory_fails_with_that_reason_and_its_neighbours_do_not(limited, lab) -> None:
    fine = [lab.submit(hold, 50, 1.0) for _ in range(2)]
    greedy = lab.submit(hold, 300)
    with pytest.raises(TaskFailed, match="over its memory: .* 100 MB"):
        greedy.result(60)
    assert [one.result(60) for one in fine] == [50_000_000] * 2
    assert lab.submit(double, 4).result(60) == 8
    with limited.lock:
        check(limited.core)


def test_what_a_task_may_hold_it_may_hold_again_and_again(lab) -> None:
    assert [run.result(60) for run in lab.map(hold, [80] * 6, [0.15] * 6)] == [80_000_000] * 6


def test_a_task_that_asked_for_no_memory_is_not_limited(lab) -> None:
    assert lab.submit(hold, 300, 0.3, needs=mb.Resources(cpus=1)).result(60) == 300_000_000


def test_a_child_in_which_too_much_was_left_is_replaced(lab) -> None:
    cell = {"__name__": "__main__"}
    exec("import os\nkept = []\ndef keep(mb):\n    os.kept = b'x' * (mb * 1_000_000)\n    return os.getpid()", cell)
    worn = lab.submit(cell["keep"], 300, needs=mb.Resources(cpus=1, mem="400MB")).result(60)
    wait_for(lambda: not Path(f"/proc/{worn}").exists(), 10, "the worn child to leave")
    assert lab.submit(lineage).result(60)[0] != worn


def test_the_master_knows_what_each_agent_applies(limited) -> None:
    (modules,) = limited.isolation.values()
    assert all(module.applied and module.says for module in modules)
    assert modules[0].name == "process"


def test_what_tasks_use_is_known_within_seconds(limited, lab, tmp_path) -> None:
    busy = lab.submit(spin, str(tmp_path / "enough"))
    wait_for(lambda: busy.task, 10, "it to be launched")
    (agent,) = limited.core.agents
    used = wait_for(lambda: limited.used.get(agent, {}).get(busy.task.id), 10, "its use to be reported")
    assert used.cpus > 0
    assert 1_000_000 < used.mem < 200_000_000
    assert limited.used[agent][""].mem > 20_000_000
    (tmp_path / "enough").touch()
    busy.result(60)
    wait_for(lambda: busy.task.id not in limited.used[agent], 10, "it to be left out when it is over")


def test_needs_that_alternate_are_kept_each_for_its_own_task(lab) -> None:
    """On warm children, which must not begin one task under the limits of another."""
    large = mb.Resources(cpus=1, mem="300MB")
    runs = [
        lab.submit(hold, 70, 0.02) if number % 2 else lab.submit(hold, 220, 0.02, needs=large) for number in range(24)
    ]
    assert [run.result(60) for run in runs] == [220_000_000, 70_000_000] * 12
