"""Sweeps: every combination once, the same table from one process or two."""

import os

import pytest

import mesonb as mb
from mesonb.errors import BadValue
from mesonb.sim.sweep import sweep


def table(processes):
    def run(agents, seed):  # a function of this test alone: it travels by value
        simulation = mb.Simulation(agents=agents, seed=seed)
        simulation.runs_for(print, "10s", execute=False)
        queue = simulation.register(mb.Queue())
        runs = queue.map(print, range(40))
        runs[-1].result()
        return {"seconds": round(simulation.now_us() / 1e6), "steps": simulation.core.steps}

    return sweep(run, processes, agents=[1, 5], seed=[1, 2])


def test_every_combination_once_and_the_same_from_two_processes():
    rows = table(processes=2)
    assert [(row["agents"], row["seed"]) for row in rows] == [(1, 1), (1, 2), (5, 1), (5, 2)]
    assert [row["seconds"] for row in rows] == [100, 100, 20, 20]
    assert rows == table(processes=1)


def test_it_runs_in_other_processes():
    assert os.getpid() not in {row["result"] for row in sweep(lambda n: os.getpid(), 2, n=[1, 2, 3])}


def test_it_is_a_table():
    rows = sweep(lambda a, b: a / b, 1, a=[1, 2], b=[3])
    assert repr(rows).splitlines() == ["a  b  result", "1  3  0.3333", "2  3  0.6667"]
    assert rows._repr_html_().count("<tr>") == 3


def test_what_is_no_sweep_is_said():
    with pytest.raises(BadValue, match=r"agents=5 is one value; a sweep wants several: agents=\[5\]"):
        sweep(print, agents=5)
    with pytest.raises(BadValue, match="nothing to sweep over"):
        sweep(print, agents=[])
