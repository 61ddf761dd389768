"""Frameworks in notebooks on a cluster that lasts: a kernel's restart is survived, nobody holds what nobody uses."""

import subprocess
import sys

import pytest

import mesonb as mb
from tests.helpers import ROOT, wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, rest
from tests.live.test_cluster import kernel
from tests.live.test_recovery import begun
from tests.live.test_tasks import gone

pytestmark = pytest.mark.live
NAME = "lasts"


@pytest.fixture(scope="module", autouse=True)
def _lasting():
    """What `mesonb up` starts; frameworks whose kernel is gone are waited for for half a minute: a kernel has to start."""

    def mesonb(*words):
        return subprocess.run([sys.executable, "-m", "mesonb", *words], cwd=ROOT, check=True, timeout=150)

    rules = ["--set", "failover_timeout=30s", "--set", "offer_timeout=1s"]
    mesonb("up", "--name", NAME, "--agents", "2", "--cpus", "1", "--mem", "1GB", *rules)
    yield
    mesonb("down", "--name", NAME)


def cell(paths):
    """A notebook's cell, whichever kernel runs it: connect, register under the same name, say what was found."""
    return f"""
        import mesonb as mb
        from tests.live.test_recovery import Waiters
        cluster = mb.connect(name={NAME!r})
        sweep = cluster.register(Waiters(enumerate({paths!r})), name="sweep")
        cluster.wait_until(lambda: len(sweep.found) == 2 or len(sweep.states) == 2)
        print(sorted(task.args[0] for task in sweep.found), flush=True)
        cluster.wait_until(lambda: len(sweep.results) == 2)
        print(sorted(sweep.results), flush=True)
        input()
    """


def test_a_notebooks_restart_is_survived_by_its_tasks(tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]
    first, said = kernel(cell(paths))
    assert said == "[]"
    pids = begun(tmp_path, 2)
    first.kill()
    first.wait()
    second, said = kernel(cell([]))
    try:
        assert said == "[0, 1]", "the tasks that its predecessor left"
        assert not [pid for task in pids for pid in task if gone(pid)]
        for path in paths:
            (tmp_path / path).touch()
        assert second.stdout.readline().strip() == "[0, 1]"
        assert begun(tmp_path, 2) == pids, "nothing ran twice"
    finally:
        second.kill()
        second.wait()


def names(cluster):
    return [row.framework for row in cluster.snapshot().frameworks]


@pytest.mark.slow
def test_whoever_does_not_come_back_in_time_gives_up_what_it_held(tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]
    first, _ = kernel(cell(paths).replace('sweep"', 'leaves"'))
    pids = begun(tmp_path, 2)
    first.kill()
    first.wait()
    with mb.connect(name=NAME) as cluster:
        lab = cluster.register(mb.Queue(needs=mb.Resources(cpus=1)), name="lab")
        assert [run.result(100) for run in lab.map(double, range(4))] == [0, 2, 4, 6]
        wait_for(lambda: all(gone(task[0]) for task in pids), 10, "its tasks to be ended")
        wait_for(lambda: "leaves" not in names(cluster), 10, "it to be let go")


@pytest.mark.slow
def test_a_framework_with_nothing_to_do_holds_nothing():
    """A queue that is idle is offered nothing; a framework that never answers has its offers taken back."""
    idle, _ = kernel(f"""
        import mesonb as mb
        from tests.live.tasks import double
        cluster = mb.connect(name={NAME!r})
        queue = cluster.register(mb.Queue(needs=mb.Resources(cpus=1)), name="idle")
        print(queue.submit(double, 2).result(60), flush=True)
        input()
    """)
    busy, _ = kernel(f"""
        import threading
        import mesonb as mb
        class Sleeps(mb.Framework):
            needs = mb.Resources(cpus=1)
            def on_offers(self, offers):
                called.set()
                threading.Event().wait()  # a cell that never ends
        called = threading.Event()
        cluster = mb.connect(name={NAME!r})
        cluster.register(Sleeps(), name="sleeps")
        print(called.wait(60), flush=True)
        input()
    """)
    try:
        with mb.connect(name=NAME) as cluster:
            lab = cluster.register(mb.Queue(needs=SMALL), name="lab")
            runs = lab.map(rest, [None] * 2, [0.2] * 2)
            assert [run.result(60) for run in runs] == [None] * 2, "on both agents"
            rows = {row.framework: row for row in cluster.snapshot().frameworks}
            assert not rows["idle"].allocated
            assert rows["idle"].suppressed
            assert rows["sleeps"].counts["rescinded"] >= 1
    finally:
        for process in (idle, busy):
            process.kill()
            process.wait()
