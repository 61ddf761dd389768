"""The window: a log in memory holds the last so many calls, says plainly where it begins, and is whole on disk."""

from __future__ import annotations

import json
import re
import threading
import zlib

import pytest

import mesonb as mb
from mesonb.core import books, calls
from mesonb.core.invariants import check
from mesonb.core.log import Log
from mesonb.core.master import MasterCore
from mesonb.core.settings import Settings
from mesonb.core.snapshot import take
from mesonb.errors import BadValue, LogError, NotThere


def begun(**rules):
    """Run a queue that goes on for some hundreds of calls."""
    sim = mb.Simulation(agents=3, **rules)
    sim.runs_for(abs, "1s")
    sim.register(mb.Queue(needs=mb.Resources(cpus=1)), name="lab").map(abs, range(400))
    return sim.run("60s")


def test_a_window_holds_the_last_calls_and_every_moment_of_it_is_there() -> None:
    whole, sim = begun(), begun(log_steps=200)
    log, missing = sim.log, len(whole.log.steps) - len(sim.log.steps)
    assert 100 <= len(log.steps) < 200
    assert log.forgotten == missing > 0
    assert log.steps == whole.log.steps[missing:]

    of_window, of_all = mb.replay(log), mb.replay(whole.log)
    for position in (0, 1, 50, len(log.steps)):
        assert take(of_window.step_to(position).core) == take(of_all.step_to(missing + position).core)
        check(of_window.core)
    assert "calls after" in repr(of_window) and "kept" in repr(log)


def test_a_moment_that_was_let_go_is_an_error_that_says_where_the_recording_begins() -> None:
    sim = begun(log_steps=200)
    replay, begins_s = mb.replay(sim.log), (sim.log.starts_us - sim.log.began_us) / 1e6
    with pytest.raises(LogError, match=rf"begins at .*, with call {sim.log.forgotten + 1:,}; .*log_steps="):
        replay.seek(begins_s - 1)
    assert replay.position == len(sim.log.steps), "what is shown has not changed"
    assert replay.seek(f"{begins_s:.3f}s").now_us() >= sim.log.starts_us, "a link to its first moment works"


def test_what_a_window_let_go_is_on_disk_and_the_error_says_where(tmp_path) -> None:
    path = tmp_path / "run.mesonb"
    sim = begun(log_steps=200, log=path)
    with pytest.raises(LogError, match=re.escape(f"mb.replay({str(path)!r})")):
        mb.replay(sim.log).seek(0)
    sim.stream.close()
    whole = mb.replay(str(path))
    assert len(whole.log.steps) == sim.log.forgotten + len(sim.log.steps)
    assert whole.seek("1s").now_us() == whole.log.began_us + 1_000_000
    assert not whole.log.forgotten


def test_a_recording_of_before_that_does_not_say_when_it_begins_begins_with_its_first_call(tmp_path) -> None:
    begun(log_steps=200).log.save(tmp_path / "run.mesonb")
    header, *steps = (tmp_path / "run.mesonb").read_text().splitlines()
    plain = json.loads(header)
    del plain["crc"], plain["starts"]
    body = json.dumps(plain)
    header = f'{{"crc":"{zlib.crc32(body.encode()):08x}",{body[1:]}'
    loaded = Log.parse([line + "\n" for line in (header, *steps)])
    assert loaded.starts_us == loaded.steps[0].now_us > loaded.began_us
    assert mb.replay(loaded).position == len(steps)
    empty = Log.parse([header + "\n"])
    assert empty.forgotten and empty.starts_us == empty.began_us


def test_what_is_kept_may_be_asked_for() -> None:
    log = begun(log_steps=200).log
    log.check_kept(log.starts_us)


@pytest.mark.parametrize("wrong", [0, 99, -5, True, 1e6, "1000", None])
def test_a_window_that_cannot_be_is_named(wrong) -> None:
    with pytest.raises(BadValue, match=r"log_steps=.* is not how many calls.*at least 100"):
        mb.Simulation(log_steps=wrong)


def test_a_task_that_ended_long_ago_is_looked_for_in_the_recording(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(books, "ENDED_KEPT", 20)
    monkeypatch.setattr(books, "FORGOTTEN_TOGETHER", 5)
    path = tmp_path / "run.mesonb"
    sim = begun(log=path)
    assert "finished" in str(sim.explain("lab/task-400"))
    with pytest.raises(NotThere, match=r"the last 20 are; mb.replay\('.*run.mesonb'\), with all calls, goes back"):
        sim.explain("lab/task-1")
    sim.stream.close()
    assert "on agent-" in str(mb.replay(str(path)).seek("0.1s").explain("lab/task-1"))
    with pytest.raises(NotThere, match=r"mb.replay\(.*log\), with the last \d+ calls, goes back"):
        begun(log_steps=200).explain("lab/task-1")


@pytest.mark.parametrize("packed", [False, True])
def test_a_log_is_copied_whole_while_it_forgets(packed: bool) -> None:
    """Whoever looks back does so from another thread: steps and the state before them belong together."""
    core = MasterCore(Settings())
    log, over = Log(core.settings, "DRF", core, kept=100, packed=packed), threading.Event()

    def go_on() -> None:
        now_us = 0
        while not over.is_set():
            log.record(calls.Tick(), now_us, [])  # at a time that is its number
            now_us += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        while log.forgotten < 5000:
            twin = log.copy()
            assert [step.now_us for step in twin.steps] == list(range(twin.forgotten, twin.forgotten + len(twin.steps)))
            assert bool(twin.base) == bool(twin.forgotten)
            assert not twin.forgotten or twin.starts_us == twin.forgotten - 1
    finally:
        over.set()
        thread.join()


def test_a_copy_in_the_midst_of_which_something_is_forgotten_is_made_again() -> None:
    log = begun(log_steps=200).log
    half = len(log.steps) // 2

    class Forgets(list):
        def copy(self):
            was, log.steps = list(self), list(self)
            log.trim(half, log.base)
            return was

    log.steps = Forgets(log.steps)
    twin = log.copy()
    assert (twin.steps, twin.forgotten) == (log.steps, log.forgotten)
    assert len(twin.steps) == len(log.steps) and twin.starts_us == log.starts_us
