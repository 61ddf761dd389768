"""What tasks use, on real processes; the clock is the test's own where a rate is looked at."""

import os
import signal

import pytest

from mesonb.live.limits.usage import Usage
from tests.helpers import wait_for
from tests.live.children import Told


@pytest.fixture
def told():
    one = Told()
    yield one
    one.end()


def test_a_task_appears_at_the_second_look(told) -> None:
    usage = Usage()
    assert usage.look({"t": told.pid}) == {}
    assert list(usage.look({"t": told.pid})) == ["t"]
    assert usage.look({}) == {}


def test_cpu_and_memory_are_what_the_process_uses(told) -> None:
    usage = Usage()
    usage.look({"t": told.pid})
    told.ask("hold(100)")
    told.ask("spin()")
    before_s = told.cpu_s
    wait_for(lambda: told.cpu_s - before_s > 0.3, 30, "it spins")
    used = usage.look({"t": told.pid})["t"]
    assert 0 < used.cpus < 1.5  # how much, the next test says by a clock of its own
    assert used.cpu_s > 0.3
    assert used.mem_bytes > 100_000_000
    assert used.peak_bytes == used.mem_bytes


def test_a_rate_is_over_the_time_since_the_look_before(told) -> None:
    now_s = 0.0
    usage = Usage(clock=lambda: now_s)
    usage.look({"t": told.pid})
    told.ask("spin()")
    before_s = told.cpu_s
    wait_for(lambda: told.cpu_s - before_s > 0.2, 30, "it spins")
    now_s = 2.0
    used = usage.look({"t": told.pid})["t"]
    assert used.cpus == pytest.approx(used.cpu_s / 2.0)


def test_the_next_task_of_a_warm_child_starts_from_nothing(told) -> None:
    usage = Usage()
    told.ask("spin()")
    usage.look({"first": told.pid})
    before_s = told.cpu_s
    wait_for(lambda: told.cpu_s - before_s > 0.2, 30, "it spins")
    os.kill(told.pid, signal.SIGSTOP)  # it uses no more between two looks, however far apart they are
    assert usage.look({"second": told.pid}) == {}
    assert usage.look({"second": told.pid})["second"].cpu_s < 0.2


def test_the_peak_outlasts_what_it_was_made_of(told) -> None:
    usage = Usage()
    usage.look({"t": told.pid})
    told.ask("hold(100)")
    usage.look({"t": told.pid})
    told.ask("held.clear()")
    used = usage.look({"t": told.pid})["t"]
    assert used.mem_bytes < 100_000_000 < used.peak_bytes


def test_a_process_that_is_gone_is_left_out(told) -> None:
    usage = Usage()
    usage.look({"t": told.pid})
    told.end()
    assert usage.look({"t": told.pid}) == {}


def test_an_agent_knows_what_it_costs_itself(told) -> None:
    usage = Usage(own=[os.getpid(), told.pid])
    usage.look({})
    assert usage.look({}) == {}
    assert usage.overhead.mem_bytes > 10_000_000
    alone = Usage()
    alone.look({})
    alone.look({})
    assert 0 < alone.overhead.mem_bytes < usage.overhead.mem_bytes


def test_a_look_is_cheap(told) -> None:
    usage = Usage()
    spent_s = []
    for _ in range(20):
        usage.look({f"t{number}": told.pid for number in range(8)})
        spent_s.append(usage.look_s)
    assert min(spent_s) < 0.02, "eight tasks and the agent, once a second: less than 2 % of a cpu"
