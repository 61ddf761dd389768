"""Masters that die and agents that do not answer: tasks go on, are found again, and no run of one is believed twice."""

import os
import signal

import psutil
import pytest

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.core.records import TaskState
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, wait_and_return
from tests.live.test_cluster import _lead_if_free, kernel
from tests.live.test_tasks import gone

pytestmark = pytest.mark.live


class Waiters(mb.Framework):
    """Runs one task for each path, which waits for a file there; notes what it is told."""

    needs = mb.Resources(cpus=0.25)

    def __init__(self, todo=()):
        self.todo, self.found, self.states, self.results = list(todo), [], {}, {}

    def on_registered(self, tasks):
        self.found = list(tasks)

    def on_offers(self, offers):
        for offer in offers:
            while self.todo and offer.fits(self.needs):
                offer.launch(wait_and_return, *self.todo.pop(0))

    def on_update(self, task):
        self.states.setdefault(task.id, []).append(task.state.value)
        if task.finished:
            self.results[task.args[0]] = task.result()


def begun(path, number):
    """Wait until so many tasks have begun; return the pids of child, zygote and worker of each."""
    files = wait_for(
        lambda: (f := sorted(path.glob("*.begun"))) and len(f) == number and f, 20, f"{number} tasks to begin"
    )
    return [[int(pid) for pid in wait_for(file.read_text, 5, f"{file.name}").split()] for file in files]


def test_a_kernel_is_killed_and_the_next_master_recovers_everything(tmp_path):
    """Two tasks run on, one ends while nobody leads; arguments and results reach the new code, and no id is used again."""
    paths = [str(tmp_path / name) for name in "abc"]
    other, said = kernel(f"""
        import mesonb as mb
        from tests.live.test_recovery import Waiters
        master = mb.Master(agents=2, name="recover")
        master.register(Waiters(enumerate({paths!r})), name="lab", role="research")
        print("registered", flush=True)
        input()
    """)
    try:
        assert said == "registered"
        children = begun(tmp_path, 3)
    finally:
        other.kill()
        other.wait()
    (tmp_path / "a").touch()
    with wait_for(lambda: _lead_if_free(agents=2, name="recover"), 10, "the dead leader to be replaced") as master:
        assert "lab" in master.core.away
        assert set(master.core.tasks) == {"lab/task-1", "lab/task-2", "lab/task-3"} - set(master.core.ended)
        lab = master.register(Waiters([(9, paths[0])]), name="lab", role="research")
        wait_for(lambda: lab.results.get(0) == 0, 20, "what ended meanwhile")
        wait_for(lambda: lab.results.get(9) == 9, 20, "a new task")
        assert {task.args for task in lab.found} >= {(1, paths[1]), (2, paths[2])}
        assert all(task.function is wait_and_return for task in lab.found)
        for name in "bc":
            (tmp_path / name).touch()
        wait_for(lambda: len(lab.results) == 4, 20, "what ran on")
        assert sorted(lab.states) == ["lab.2.1/task-1", "lab/task-1", "lab/task-2", "lab/task-3"]
        assert [pids[:1] for pids in begun(tmp_path, 3)][1:] == [pids[:1] for pids in children][1:]  # nothing ran twice
        with master.lock:
            check(master.core)
    master.close(cluster=True)


def test_results_of_a_framework_that_does_not_come_back_are_given_up(tmp_path):
    other, _ = kernel(f"""
        import mesonb as mb
        from tests.live.test_recovery import Waiters
        master = mb.Master(agents=1, name="given-up")
        master.register(Waiters([(1, {str(tmp_path / "a")!r}), (2, {str(tmp_path / "b")!r})]), name="lab")
        print("registered", flush=True)
        input()
    """)
    pids = begun(tmp_path, 2)
    other.kill()
    other.wait()
    lead = {"agents": 1, "name": "given-up", "failover_timeout": "1s"}
    with wait_for(lambda: _lead_if_free(**lead), 10, "the dead leader to be replaced") as master:
        (tmp_path / "a").touch()
        wait_for(lambda: "lab" not in master.core.frameworks, 20, "the framework to be given up")
        wait_for(lambda: all(gone(child) for child, _, _ in pids[1:]), 10, "its task to be killed")
        wait_for(lambda: not master._unacknowledged, 10, "its results to be forgotten")
    master.close(cluster=True)


@pytest.fixture
def quick(monkeypatch):
    """Return a master whose hub asks five times as often, and which gives agents up soon."""
    monkeypatch.setenv("DASK_MESONB__PING", "200ms")
    made = mb.Master(agents=2, name="quick", agent_timeout="2s")
    yield made
    made.close(cluster=True)


def test_a_stopped_agent_is_unreachable_then_back_then_given_up(quick, tmp_path):
    path = tmp_path / "a"
    lab = quick.register(Waiters([(1, str(path))]), name="lab")
    child, _, worker = begun(tmp_path, 1)[0]
    task = next(iter(lab.tasks.values()))
    agent = task.agent
    wait_for(lambda: task.running, 5, "the task to run")
    os.kill(worker, signal.SIGSTOP)
    wait_for(lambda: task.state is TaskState.UNREACHABLE, 10, "five pings to be missed")
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: task.running, 10, "the agent to be back")
    os.kill(worker, signal.SIGSTOP)
    wait_for(lambda: task.state is TaskState.UNREACHABLE or task.lost, 10, "five pings to be missed")
    queue = quick.register(mb.Queue(needs=SMALL), name="queue")
    assert [run.result(60) for run in queue.map(double, range(4))] == [0, 2, 4, 6]
    assert queue.submit(os.getppid).result(60) != psutil.Process(child).ppid()  # nothing is offered there
    wait_for(lambda: task.lost, 15, "the agent to be given up")
    assert agent not in quick.core.agents
    path.touch()  # its run ends well, and is believed no more
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: agent in quick.core.agents, 20, "the agent to join again")
    assert queue.submit(double, 4).result(60) == 8
    states = lab.states[task.id]
    assert states[:3] == ["running", "unreachable", "running"] and states[-2:] == ["unreachable", "lost"]
    assert set(states[3:-1:2]) == {"unreachable"}, "a laden machine may miss five pings once more"
    assert not lab.results
    with quick.lock:
        check(quick.core)


def test_a_master_that_stands_by_takes_over_with_what_was_registered_there(tmp_path):
    path = str(tmp_path / "a")
    other, said = kernel(f"""
        import mesonb as mb
        from tests.live.test_recovery import Waiters
        master = mb.Master(agents=2, name="standby")
        master.register(Waiters([(1, {path!r})]), name="lab")
        print("registered", flush=True)
        input()
    """)
    assert said == "registered"
    begun(tmp_path, 1)
    with mb.Master(agents=2, name="standby", standby=True) as second:
        assert "stands by" in repr(second)
        lab = second.register(Waiters(), name="lab")
        assert not second.core.agents
        other.kill()
        other.wait()
        wait_for(lambda: len(second.core.agents) == 2, 10, "the agents to join the second")
        assert second.leads
        assert second.core.settings.epoch == 2
        wait_for(lambda: "lab/task-1" in lab.tasks, 10, "the task to be handed over")
        (tmp_path / "a").touch()
        assert wait_for(lambda: lab.results, 10, "its result") == {1: 1}
    second.close(cluster=True)


def test_a_leader_that_hangs_is_deposed_and_is_not_believed_when_it_is_back(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_MESONB__PING", "200ms")
    other, said = kernel("""
        import mesonb as mb
        master = mb.Master(agents=1, name="hangs")
        print("leads", flush=True)
        input()
        master.wait_until(lambda: master.complaints)
        print(master.complaints[0].error, flush=True)
        input()
    """)
    try:
        assert said == "leads"
        with mb.Master(agents=1, name="hangs", standby=True) as second:
            os.kill(other.pid, signal.SIGSTOP)
            wait_for(lambda: second.leads and second.core.agents, 20, "the second to lead")
            os.kill(other.pid, signal.SIGCONT)
            print(file=other.stdin, flush=True)
            assert "another master leads" in other.stdout.readline()
            queue = second.register(mb.Queue(needs=SMALL), name="queue")
            assert queue.submit(double, 4).result(60) == 8
    finally:
        other.kill()
        other.wait()
    second.close(cluster=True)
