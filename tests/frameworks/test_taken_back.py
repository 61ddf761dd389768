"""A queue's runs that are taken back wait again: for a guarantee, by an operator, or because their agent goes down."""

import pytest

import mesonb as mb
from mesonb.errors import TaskGone

ONE = mb.Resources(cpus=1)


def work(number):
    return number


@pytest.fixture
def sim():
    sim = mb.Simulation(agents=2, grace="2s")
    sim.runs_for(work, "1min")
    return sim


def guarantee(sim):
    sim.guarantees["lab"] = mb.Resources(cpus=4)
    sim.register(mb.Queue(ONE), name="lab", role="lab").map(work, range(4))


TAKEN = {
    "drain": lambda sim: sim.drain("agent-1", "5s"),
    "maintenance": lambda sim: sim.maintain("agent-1", lasts="10min", grace="5s"),
    "guarantee": guarantee,
    "revoke": lambda sim: sim.revoke("queue/task-1", "5s"),
}


@pytest.mark.parametrize("how", TAKEN)
def test_what_is_taken_back_is_run_again(sim, how):
    queue = sim.register(mb.Queue(ONE, retries=0), name="queue")
    runs = queue.map(work, range(8))
    sim.run("10s")
    TAKEN[how](sim)
    assert [run.result("1h") for run in runs] == list(range(8))
    assert sim.core.frameworks["queue"].counts["killed"] > 0


class Listens(mb.Framework):
    needs = ONE

    def __init__(self):
        self.ended = []

    def on_offers(self, offers):
        for offer in offers if not self.tasks else ():
            offer.launch(work, 1)

    def on_update(self, task):
        if task.ended:
            self.ended.append(task)


def test_whoever_lost_a_task_to_a_drain_is_told_why(sim):
    listens = sim.register(Listens(), name="listens")
    sim.run("5s")
    sim.drain("agent-1", "5s", "a disk is to be changed")
    sim.run("10s")
    with pytest.raises(TaskGone, match="listens/task-1 is killed: a disk is to be changed"):
        listens.ended[0].result()


def test_what_is_killed_or_cancelled_is_not(sim):
    queue = sim.register(mb.Queue(ONE), name="queue")
    killed, cancelled = queue.map(work, range(2))
    sim.run("10s")
    sim.kill(killed.task)
    sim.revoke(cancelled.task, "5s")
    sim.run("1s")
    cancelled.cancel()
    for run in (killed, cancelled):
        with pytest.raises(TaskGone, match="is killed"):
            run.result("1h")
