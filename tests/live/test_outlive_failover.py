"""The master and a worker whose executors outlive it are killed together, in both orders, and while the replacement adopts.

Masters and workers are processes; the framework is this kernel's, and sees all of it. In the end each task has had one
terminal state, and ran once.
"""

import os
import signal
from pathlib import Path

import pytest
from distributed import Client

import mesonb as mb
from mesonb.live import remote
from tests.helpers import wait_for
from tests.live.dask_cli import DaskCluster
from tests.live.tasks import append_and_wait, at_the_hub
from tests.live.test_cluster import kernel

pytestmark = pytest.mark.live

LEAD = """
import mesonb as mb
from mesonb.core.invariants import check
master = mb.Master({address!r}, {rules})
print("here", flush=True)
while input():
    with master.lock:
        check(master.core)
        core, asked = master.core, [step for step in master.log.steps if type(step.call).__name__ == "Reconcile"]
    print(len(core.agents), len(core.unreachable), len(core.tasks), len(asked), flush=True)
"""
TERMINAL = {"finished", "failed", "killed", "lost"}


class Told(mb.Framework):
    """Runs one task for each path, which waits for a file there; writes down every word it hears of one."""

    needs = mb.Resources(cpus=0.2, mem="20MB")

    def __init__(self, todo):
        self.todo, self.states, self.results = list(todo), {}, {}

    def on_offers(self, offers):
        for offer in offers:
            while self.todo and offer.fits(self.needs):
                offer.launch(append_and_wait, *self.todo.pop(0))

    def on_update(self, task):
        self.states.setdefault(task.id, []).append(task.state.value)
        if task.finished:
            self.results[task.args[0]] = task.result()

    @property
    def ends(self):
        return sorted(sum(state in TERMINAL for state in states) for states in self.states.values())


class Scene:
    """A Dask scheduler, one worker, and whoever leads."""

    def __init__(self, folder):
        self.dask = DaskCluster(folder)
        self.start_worker()
        self.leaders = []
        self.lead()

    def lead(self, rules=""):
        leader, said = kernel(LEAD.format(address=self.dask.address, rules=rules))
        assert said == "here"
        self.leaders.append(leader)

    def start_worker(self):
        self.dask.worker("one", "--no-nanny")

    def kill_worker(self):
        self.dask.processes["one"].kill()
        self.dask.processes["one"].wait()

    def kill_leader(self):
        leader = self.leaders.pop(0)
        leader.kill()
        leader.wait()

    def see_the_agent(self):
        """Wait until the replacement has taken over, and said so to whoever leads, if anybody does."""
        with Client(self.dask.address, set_as_default=False) as client:
            wait_for(lambda: "agent" in client.run_on_scheduler(at_the_hub), 30, "the replacement to be at the hub")

    def ask(self):
        """Have the leader check its books; return its agents, those that it cannot reach, its tasks, and how often it was asked."""
        print("check", file=self.leaders[0].stdin, flush=True)
        return [int(n) for n in self.leaders[0].stdout.readline().split()]

    def close(self):
        for leader in self.leaders:
            leader.kill()
            leader.wait()
        self.dask.__exit__()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASK_MESONB__OUTLIVE", "60s")
        patch.setenv("DASK_MESONB__PING", "200ms")
        patch.setenv("DASK_MESONB__BLOCKED_HANDLERS", "[]")  # the hub is looked at from inside the Dask scheduler
        patch.setattr(remote, "RECONCILE_S", 0.2)
        made = Scene(tmp_path_factory.mktemp("dask"))
        yield made
        made.close()


def the_worker_then_the_master(scene, end):
    """Who leads next has never heard of the agent, and says of nothing that it is lost before that has had its time."""
    scene.kill_worker()
    scene.kill_leader()
    end()
    scene.lead('recovery="0s"')
    wait_for(lambda: scene.ask()[3], 30, "the framework to ask after its tasks")
    scene.start_worker()


def the_master_then_the_worker(scene, end):
    scene.kill_leader()
    scene.kill_worker()
    end()
    scene.start_worker()
    scene.see_the_agent()
    scene.lead()


def the_master_while_the_replacement_adopts(scene, end):
    """The leader is stopped, so what the replacement says of what it took over reaches nobody; then another leads."""
    scene.lead("standby=True")
    scene.kill_worker()
    wait_for(lambda: scene.ask()[1] == 1, 20, "the leader to miss the worker")
    os.kill(scene.leaders[0].pid, signal.SIGSTOP)
    end()
    scene.start_worker()
    scene.see_the_agent()
    scene.kill_leader()


def the_replacement_as_well_before_a_master_has_heard_of_it(scene, end):
    scene.kill_worker()
    scene.kill_leader()
    end()
    scene.start_worker()
    scene.see_the_agent()
    scene.kill_worker()
    scene.lead()
    scene.start_worker()


ORDERS = [
    the_worker_then_the_master,
    the_master_while_the_replacement_adopts,
    pytest.param(the_master_then_the_worker, marks=pytest.mark.slow),
    pytest.param(the_replacement_as_well_before_a_master_has_heard_of_it, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
def test_each_task_ends_once(order, scene, tmp_path):
    paths = [tmp_path / name for name in "abc"]
    with mb.connect(scene.dask.address) as cluster:
        lab = cluster.register(Told((n, str(path)) for n, path in enumerate(paths)), name="lab")
        wait_for(lambda: all(Path(f"{path}.runs").exists() for path in paths), 30, "all to run")
        wait_for(lambda: len(lab.states) == 3, 20, "its framework to hear so")
        order(scene, paths[0].touch)
        wait_for(lambda: lab.results == {0: 0}, 40, f"what ended meanwhile; told {lab.states}")
        wait_for(lambda: scene.ask()[:2] == [1, 0], 30, "the agent to be back")
        paths[1].touch()
        wait_for(lambda: lab.results == {0: 0, 1: 1}, 30, f"what runs on; told {lab.states}")
        lab.kill(next(iter(lab.tasks.values())))
        wait_for(lambda: lab.ends == [1, 1, 1], 30, f"what is killed; told {lab.states}")
        wait_for(lambda: scene.ask()[:3] == [1, 0, 0], 30, "the books to be empty")
        assert [len(Path(f"{path}.runs").read_text().split()) for path in paths] == [1, 1, 1]
        assert "lost" not in str(lab.states)
