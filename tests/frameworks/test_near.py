"""Delay scheduling: runs wait a while for agents near their data; in virtual time, as it is live."""

import pytest

import mesonb as mb
from mesonb.errors import BadValue


def read(block):
    return block


def shared_cluster(patience, frameworks=4, agents=20, blocks=120, at_once=4):
    """Frameworks whose blocks lie on three agents each; a few runs of each wait at a time, as in small jobs."""
    sim = mb.Simulation(agents=[mb.Resources(cpus=2, mem="4GB")] * agents, seed=1)
    sim.runs_for(read, "10s", execute=False)
    queues = [sim.register(mb.Near(patience=patience), name=f"hadoop-{number}") for number in range(frameworks)]
    for queue in queues:
        for begin in range(0, blocks, at_once):
            sim.run("1s")
            for block in range(begin, begin + at_once):
                queue.submit(read, block, near=[f"agent-{1 + queue.dice.randrange(agents)}" for _ in range(3)])
    sim.run_until(lambda: not any(queue.waiting or queue.tasks for queue in queues), "1h")
    placed = [near for queue in queues for _, near, _ in sim.drivers[queue.name].placements]
    assert len(placed) == frameworks * blocks
    return sum(placed) / len(placed)


def test_a_short_wait_gives_most_runs_their_data():
    """Without waiting the runs take what comes; with one second, then five, nearly all are near (the paper's Figure 7)."""
    none, one, five = (shared_cluster(patience) for patience in (0, "1s", "5s"))
    assert none < 0.7 < one < five
    assert five > 0.9


def test_patience_has_an_end_and_then_anything_will_do():
    sim = mb.Simulation(agents=2)
    sim.runs_for(read, "1s")
    queue = sim.register(mb.Near(patience="3s"), name="q")
    run = queue.submit(read, 7, near=["agent-nowhere"])
    sim.run("2.9s")
    assert run.task is None
    assert run.result(timeout="3s") == 7
    (placement,) = sim.drivers["q"].placements
    assert placement[1] is False and placement[2] >= 3_000_000


def test_what_is_near_nothing_in_particular_goes_anywhere_at_once():
    sim = mb.Simulation(agents=1)
    sim.runs_for(read, "1s")
    queue = sim.register(mb.Near(patience="1h"), name="q")
    waits, goes = queue.submit(read, 1, near=["agent-9"]), queue.submit(read, 2)
    assert goes.result("2s") == 2
    assert waits.task is None and queue.waiting == 1


def test_a_new_run_is_offered_an_agent_that_was_refused_before():
    sim = mb.Simulation(agents=2)
    sim.runs_for(read, "1s")
    queue = sim.register(mb.Near(patience="1h"), name="q")
    queue.submit(read, 1, near=["agent-nowhere"])
    sim.run("1s")
    assert queue.map(read, [2, 3], near=lambda block: [f"agent-{block - 1}"])[1].result("2s") == 3


def test_one_name_is_not_a_list_of_letters():
    sim = mb.Simulation(agents=1)
    queue = sim.register(mb.Near(), name="q")
    with pytest.raises(BadValue, match=r"near=\['agent-1'\]"):
        queue.submit(read, 1, near="agent-1")
