"""The executor over a share, in virtual time: the same class that serves a live master."""

from concurrent.futures import CancelledError

import pytest

import mesonb as mb
from mesonb.errors import BadValue


def double(number):
    return 2 * number


def explode(number):
    raise ZeroDivisionError(f"{number} was too much")


@pytest.fixture
def sim():
    made = mb.Simulation(agents=[mb.Resources(cpus=2, mem="2GB")] * 2, seed=1)
    for function in (double, explode):
        made.runs_for(function, "10s")
    return made


def test_results_and_errors(sim) -> None:
    with sim.futures("lab") as lab:
        assert list(lab.map(double, range(6))) == [0, 2, 4, 6, 8, 10]
        assert lab.submit(double, 4).result() == 8
        with pytest.raises(ZeroDivisionError, match="7 was too much"):
            lab.submit(explode, 7).result()
    assert "lab" not in sim.core.frameworks


def test_its_width_is_how_often_a_task_fits(sim) -> None:
    assert sim.futures("one").width == 4
    assert sim.futures("two", needs=mb.Resources(cpus=2)).width == 2


def test_a_cancelled_run_is_over_at_once_and_never_settles_twice(sim) -> None:
    lab = sim.futures("lab")
    future = lab.submit(double, 1)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    sim.run("1min")
    assert not sim.core.tasks


def test_after_shutdown_nothing_is_taken(sim) -> None:
    lab = sim.futures("lab")
    late = lab.submit(double, 2)
    lab.shutdown(wait=False)
    with pytest.raises(BadValue, match="was shut down"):
        lab.submit(double, 1)
    sim.run("1min")
    assert late.result() == 4
    assert "lab" not in sim.core.frameworks


def test_its_text_says_what_waits(sim) -> None:
    lab = sim.futures("lab")
    lab.submit(double, 1)
    assert repr(lab) == "<executor on <Queue lab in role *: 0 live tasks>: 1 call pending>"
