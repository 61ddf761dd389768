"""A promise: an outcome that comes once, and a future of it for whoever waits."""

import threading

import pytest

from mesonb.frameworks.promise import Promise


def test_a_value_is_there_without_a_future_and_with_one_made_before_or_after():
    before, after = Promise(), Promise()
    future = before._future
    before._settle(7), after._settle(7)
    assert before.done and before._value() == after._value() == 7
    assert after._made is None, "nobody waited"
    assert future.result(0) == after._future.result(0) == 7


def test_an_error_is_raised_each_time_it_is_asked_for():
    promise = Promise()
    promise._settle(None, KeyError("x"))
    for _ in range(2):
        with pytest.raises(KeyError):
            promise._value()
    assert isinstance(promise._future.exception(0), KeyError)


def test_the_first_time_counts():
    promise = Promise()
    promise._settle(1), promise._settle(None, KeyError("late"))
    assert promise._value() == promise._future.result(0) == 1


def test_what_is_not_there_in_time_is_a_timeout():
    with pytest.raises(TimeoutError):
        Promise()._value(0.001)


def test_whoever_asks_while_it_is_kept_hears_of_it():
    """Settling and asking race: no future is left without an outcome, and each caller is called once."""
    for _ in range(300):
        promise, called, begin = Promise(), [], threading.Barrier(3)

        def ask(promise=promise, called=called, begin=begin):
            begin.wait()
            promise._future.add_done_callback(called.append)

        askers = [threading.Thread(target=ask) for _ in range(2)]
        for asker in askers:
            asker.start()
        begin.wait()
        promise._settle(3)
        for asker in askers:
            asker.join()
        assert promise._value() == 3 and len(called) == 2
