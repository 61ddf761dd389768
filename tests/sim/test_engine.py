"""The engine against a dumb one: whatever is asked for, it happens in order of time, then of asking."""

from functools import partial
from random import Random

import simpy

from mesonb.sim.engine import Engine


def drive(engine, dice, things):
    """Ask for things that ask for more, and return what happened when."""
    happened = []

    def do(number, depth):
        happened.append((engine.now_us, number))
        for branch in range(dice.randrange(3) if depth < 6 else 0):
            engine.after(
                dice.choice((0, 500, 500, 500, 1, 499, 501, 70_000)), partial(do, f"{number}.{branch}", depth + 1)
            )

    for number in range(things):
        engine.at(dice.randrange(1000), partial(do, str(number), 0))
    while engine.run(10**9, 7):
        pass
    return happened


class Simpy:
    """The same interface over simpy."""

    def __init__(self):
        self.environment = simpy.Environment()

    @property
    def now_us(self):
        return self.environment.now

    def after(self, delay_us, do):
        self.environment.timeout(delay_us).callbacks.append(lambda _: do())

    at = after

    def run(self, end_us, _most):
        self.environment.run(until=end_us)
        return False


def test_it_does_what_simpy_does():
    for seed in range(20):
        ours, theirs = drive(Engine(), Random(seed), 30), drive(Simpy(), Random(seed), 30)
        assert ours == theirs
        assert len(ours) > 60


def test_what_is_asked_for_before_a_page_that_was_looked_at_comes_before_it():
    engine, times = Engine(), []
    engine.after(10_000_000, lambda: times.append(engine.now_us))
    assert engine.next_us == 10_000_000
    engine.after(70, lambda: times.append(engine.now_us))
    assert engine.next_us == 70
    assert not engine.run(20_000_000, 10)
    assert times == [70, 10_000_000]


def test_it_is_idle_when_nothing_more_is_due_now():
    engine, idle = Engine(), []
    for delay_us in (5, 5, 6, 90_000):
        engine.after(delay_us, lambda: idle.append(engine.idle))
    engine.run(100_000, 10)
    assert idle == [False, True, True, True]


def test_time_may_pass_within_what_is_done():
    engine, done = Engine(), []

    def wait() -> None:
        done.append("begins")
        engine.step()
        done.append("ends")

    engine.after(1, wait)
    engine.after(2, done.append, "meanwhile")
    engine.after(3, done.append, "after")
    assert not engine.run(10, 10)
    assert done == ["begins", "meanwhile", "ends", "after"]


def test_what_is_due_later_stays_as_far_away_when_the_clock_jumps():
    engine, times = Engine(), []
    for delay_us in (0, 500, 2_000):
        engine.after(delay_us, lambda: times.append(engine.now_us))
    engine.jump(10_000)
    engine.run(20_000, 100)
    assert times == [10_000, 10_500, 12_000]


def test_it_stops_at_the_end_and_after_so_many():
    engine, done = Engine(), []
    for delay_us in (1, 2, 3):
        engine.after(delay_us, lambda: done.append(engine.now_us))
    assert engine.run(2, 1)
    assert not engine.run(2, 10)
    assert (done, engine.next_us) == ([1, 2], 3)
    engine.step()
    assert engine.next_us is None
