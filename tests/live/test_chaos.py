"""Chaos: workers, executors, links and the leading kernel are killed, stopped and cut while a framework works.

Executors die with their Dask worker; or they outlive it, and then what keeps them is killed as well, with a worker or without.

The framework runs in this kernel, connected to whichever master leads; masters are processes that are killed. At the end
every task has had exactly one terminal state, every value was computed exactly once as far as anybody was told, and the
books of the last master balance. A run is told by its seed; how faults and work interleave is the machine's.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from random import Random
from subprocess import PIPE

import psutil
import pytest
from distributed import Client

import mesonb as mb
from tests.helpers import ROOT, wait_for
from tests.live.tasks import cut_agents, slowly
from tests.live.test_tasks import gone

pytestmark = pytest.mark.live

SIZES = '[mb.Resources(cpus=2, mem="1GB")] * 3'
LEAD = f"""
import mesonb as mb, mesonb.live.master
input()
master = mb.Master(agents={SIZES}, name="chaos", agent_timeout="4s")
print(master.local.pid, master.local.address, flush=True)
from mesonb.core.invariants import check
while input():
    with master.lock:
        check(master.core)
    print(len(master.core.tasks), len(master.core.unreachable), flush=True)
"""


#: How the processes that keep executors are started.
KEEPS = "mesonb.live.outlive.keeper"
#: How long executors wait for another worker: not at all; for longer than a nanny needs, and than the master waits for any agent.
WAYS = [pytest.param("", id="die-with-their-worker"), pytest.param("20s", id="outlive-it")]


class Ledger(mb.Framework):
    """Computes every value, ahead where it can, and again when a task of it ended without a result; writes down what it is told."""

    needs = mb.Resources(cpus=0.5, mem="10MB")

    def __init__(self, values):
        self.todo, self.told, self.results, self.because = list(values), {}, Counter(), []
        self.followed = set()

    def on_offers(self, offers):
        for offer in offers:
            while self.todo and offer.fits(self.needs):
                self.follow(offer.launch(slowly, self.todo.pop()))

    def follow(self, task):
        if self.todo and not task.after and task.id not in self.followed:
            self.followed.add(task.id)
            self.launch_next(task, slowly, self.todo.pop())

    def on_update(self, task):
        if not task.ended:
            self.follow(task)
            return
        self.told.setdefault(task.id, []).append(task.state.value)
        if task.finished:
            assert task.result() == task.args[0]
            self.results[task.args[0]] += 1
        else:
            self.because.append(task.because)
            self.todo.append(task.args[0])


def below(process):
    """Return the processes that descend from one and are not gone yet."""
    return [p for p in process.children(recursive=True) if not gone(p.pid)]


def waiting():
    """Start a kernel that leads when it is told to."""
    return subprocess.Popen([sys.executable, "-c", LEAD], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True)


class Chaos:
    """The things that are done to a cluster."""

    def __init__(self, seed, *more):
        self.dice, self.done = Random(seed), Counter()
        self.faults = [self.kill_worker, self.stop_worker, self.kill_child, self.kill_child, self.cut, self.kill_leader]
        self.faults += [getattr(self, name) for name in more]
        self.keepers = {}  #: all that were seen, by pid: one whose worker was killed is no child of the cluster's any more
        self.spare = waiting()
        self.lead()

    def lead(self):
        """Have a kernel that is up already lead, until one does; the next one starts meanwhile."""
        for _ in range(5):
            self.leader, self.spare = self.spare, waiting()
            print("lead", file=self.leader.stdin, flush=True)
            if said := self.leader.stdout.readline():
                self.host, self.address = int(said.split()[0]), said.split()[1]
                return
            self.leader.wait()
        raise AssertionError("no master could be started")

    def strike(self):
        """Do one of them."""
        what = self.dice.choice(self.faults)
        self.done[what.__name__] += 1
        try:
            what()
        except (psutil.NoSuchProcess, ProcessLookupError):
            self.done["missed"] += 1  # it had just ended

    def workers(self):
        """Return the Dask workers; all may just have been killed."""
        return wait_for(lambda: [p for p in self.family() if "spawn_main" in " ".join(p.cmdline())], 60, "a worker")

    def family(self):
        """Return all processes of the cluster: what keeps executors is no child of it any more when its worker was killed."""
        found = {p.pid: p for p in below(psutil.Process(self.host))}
        self.keepers |= {pid: p for pid, p in found.items() if KEEPS in " ".join(p.cmdline())}
        self.keepers = {pid: keeper for pid, keeper in self.keepers.items() if not gone(pid)}
        for keeper in self.keepers.values():
            found |= {p.pid: p for p in [keeper, *below(keeper)]}
        return list(found.values())

    def kill_worker(self):
        self.dice.choice(self.workers()).kill()

    def stop_worker(self):
        """Stop one for long enough to be unreachable, and sometimes to be lost."""
        worker = self.dice.choice(self.workers())
        worker.suspend()
        # The fault itself lasts so long; there is no condition to wait for.
        time.sleep(self.dice.choice((0.2, 1.5, 6)))  # work
        worker.resume()

    def kill_child(self):
        """Kill an executor, or the zygote that all executors of an agent come from: both lead sessions of their own."""
        children = wait_for(lambda: [p for p in self.family() if p.pid == os.getsid(p.pid)], 60, "an executor")
        os.kill(self.dice.choice(children).pid, signal.SIGKILL)

    def kill_keeper(self):
        """Kill what keeps executors, whether its worker is there or not."""
        keepers = wait_for(lambda: self.family() and list(self.keepers.values()), 60, "what keeps executors")
        self.dice.choice(keepers).kill()

    def kill_worker_and_leader(self):
        """Kill both at once: who leads next hears from the replacement what runs there."""
        self.kill_worker()
        self.kill_leader()

    def cut(self):
        with Client(self.address, set_as_default=False) as client:
            client.run_on_scheduler(cut_agents)

    def kill_leader(self):
        self.leader.kill()
        self.leader.wait()
        self.lead()

    def ask(self):
        """Have the leader check its books; return its live tasks and the agents that it cannot reach."""
        print("check", file=self.leader.stdin, flush=True)
        return [int(n) for n in self.leader.stdout.readline().split()]


def storm(seed, faults, monkeypatch, outlive=""):
    monkeypatch.setenv("DASK_MESONB__OUTLIVE", outlive)
    monkeypatch.setenv("DASK_MESONB__PING", "200ms")
    monkeypatch.setenv("DASK_MESONB__BLOCKED_HANDLERS", "[]")  # links are cut from inside the Dask scheduler
    chaos = Chaos(seed, *(["kill_keeper", "kill_worker", "kill_worker_and_leader"] if outlive else []))
    try:
        with mb.connect(name="chaos") as cluster:
            ledger = cluster.register(Ledger(range(faults * 12)), name="ledger")
            for _ in range(faults):
                before = sum(ledger.results.values())
                wait_for(
                    lambda n=before: sum(ledger.results.values()) > n or not ledger.todo, 60, "some work to be done"
                )
                chaos.strike()
            wait_for(
                lambda: len(ledger.results) == faults * 12, 120, f"every value, after {dict(chaos.done)} of seed {seed}"
            )
            wait_for(lambda: not cluster.framework("ledger").tasks, 30, "no task to be left")
            assert set(ledger.results.values()) == {1}
            assert {len(states) for states in ledger.told.values()} == {1}
            assert Counter(states[0] for states in ledger.told.values())["finished"] == faults * 12
            wait_for(lambda: chaos.ask() == [0, 0], 30, "the books to be empty")
            raised = [c for c in cluster.complaints if c.callback != "accept"]  # a late reply may lose its offers
            assert not raised, raised
    finally:
        for process in (chaos.leader, chaos.spare):
            process.kill()
            process.wait()
        with contextlib.suppress(psutil.NoSuchProcess):
            chaos.family()
        os.kill(chaos.host, signal.SIGTERM)
    wait_for(lambda: all(map(gone, chaos.keepers)), 30, "no executors to be left")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("outlive", WAYS)
def test_fifty_faults_of_a_fixed_seed(monkeypatch, outlive):
    """Half of them where executors die with their worker, half where they outlive it."""
    storm(1, 25, monkeypatch, outlive)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("outlive", WAYS)
def test_many_faults_of_a_new_seed(monkeypatch, random_seed, outlive):
    """What ``make chaos N=1000`` runs: half of them each way."""
    storm(random_seed, int(os.environ.get("MESONB_FAULTS", "200")) // 2, monkeypatch, outlive)
