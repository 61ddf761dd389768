"""Executors by themselves, with real children: ending one task harms no other, though a child takes packets by itself."""

import asyncio
import gc
import hashlib
import os
import pickle
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from mesonb.live.tasks import executors as module
from mesonb.live.tasks import printing
from mesonb.live.tasks.child import DONE, STARTED
from mesonb.live.tasks.executors import Executors
from tests.helpers import wait_for, wait_for_async
from tests.live.tasks import double, knows, wait_and_return

pytestmark = pytest.mark.live


def take_and_die(path):
    """Take the next packet as a child does, and die before a word of it is said."""
    (child,) = [thing for thing in gc.get_objects() if type(thing).__name__ == "Child"]
    deadline = time.monotonic() + 20
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.005)  # work
    child._tasks.recv(64_000)
    os._exit(7)


class Told:
    """Executors of one warm child, and what they said."""

    def __init__(self, folder):
        self.said, self.died, self.left = [], {}, {}
        self.printed = []
        self.executors = Executors(
            folder, 1, (), self.hear,
            lambda number, because, lost: self.died.update({number: (because, lost)}),
            on_printed=lambda number, skipped, content: self.printed.append((number, skipped, content)),
        )  # fmt: skip

    def hear(self, number, kind, content):
        self.said.append((number, kind))
        self.left[number] = content

    def run(self, number, function, *args):
        content = pickle.dumps(function)
        digest = hashlib.blake2b(content, digest_size=16).digest()
        self.executors.learn(digest, content)
        self.executors.run(number, digest, pickle.dumps((args, {})))

    async def until(self, number, kind):
        await wait_for_async(lambda: (number, kind) in self.said, 20, f"task {number} to say {kind}")


def scene(tmp_path, monkeypatch, play, patience_s=60):
    """Play with executors that fork no second child before ``patience_s``."""
    monkeypatch.setattr(module, "PATIENCE_S", patience_s)

    async def played():
        told = Told(tmp_path / "executors")
        try:
            await play(told)
        finally:
            told.executors.close()

    asyncio.run(played())


def begun_unheard(path):
    """Wait, with the loop at a stand, until a task runs: the child has said so, and nobody has listened yet."""
    wait_for(Path(f"{path}.begun").exists, 20, f"{path.name} to run")


def test_of_many_idle_children_the_same_one_is_woken_each_time(tmp_path, monkeypatch) -> None:
    """The others leave when they have been idle for long, as they would not if each had its turn."""
    ends = [tmp_path / f"{number}" for number in range(4)]

    async def play(told):
        for number, end in enumerate(ends):
            told.run(number, wait_and_return, number, str(end))
        await wait_for_async(lambda: len(told.executors._running) == 4, 20, "a child for each task")
        for end in ends:
            end.touch()
        pids = set()
        for number in range(4, 20):
            await wait_for_async(lambda: not told.executors._running and all_wait(told.executors), 20, "all to be idle")
            told.run(number, os.getpid)
            await told.until(number, DONE)
            pids.add(pickle.loads(told.left[number]))
        assert len(told.executors.children) >= 4 and len(pids) == 1

    def all_wait(executors):
        return all(psutil.Process(child.pid).status() == "sleeping" for child in executors.children)

    scene(tmp_path, monkeypatch, play, patience_s=0.01)


def test_what_a_child_went_on_to_is_not_ended_with_the_task_before(tmp_path, monkeypatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    async def play(told):
        told.run(1, wait_and_return, 1, str(first))
        told.run(2, wait_and_return, 2, str(second))
        await told.until(1, STARTED)
        first.touch()
        begun_unheard(second)
        assert told.executors.kill(1) is False
        second.touch()
        await told.until(2, DONE)
        assert (1, DONE) in told.said
        assert not told.died

    scene(tmp_path, monkeypatch, play)


def test_a_task_doomed_in_the_pipe_that_ends_at_once_takes_nobody_along(tmp_path, monkeypatch) -> None:
    first, third = tmp_path / "first", tmp_path / "third"

    async def play(told):
        told.run(1, wait_and_return, 1, str(first))
        await told.until(1, STARTED)
        told.run(2, double, 2)
        told.run(3, wait_and_return, 3, str(third))
        told.executors.kill(2)
        first.touch()
        begun_unheard(third)
        third.touch()
        await told.until(3, DONE)
        assert not told.died

    scene(tmp_path, monkeypatch, play)


def test_a_task_doomed_in_the_pipe_is_ended_when_a_child_has_taken_it(tmp_path, monkeypatch) -> None:
    first = tmp_path / "first"

    async def play(told):
        told.run(1, wait_and_return, 1, str(first))
        await told.until(1, STARTED)
        told.run(2, wait_and_return, 2, str(tmp_path / "never"))
        told.executors.kill(2)
        first.touch()
        await wait_for_async(lambda: 2 in told.died, 20, "the doomed task to be ended")
        assert told.died[2][1] is False
        told.run(3, double, 3)
        await told.until(3, DONE)

    scene(tmp_path, monkeypatch, play)


def test_a_task_that_began_in_a_child_being_ended_is_lost_and_not_failed(tmp_path, monkeypatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    async def play(told):
        told.run(1, wait_and_return, 1, str(first))
        told.run(2, wait_and_return, 2, str(second))
        await told.until(1, STARTED)
        (child,) = told.executors.children
        first.touch()
        begun_unheard(second)
        told.executors._end(child, 1)  # as if it had gone on just after it was listened to
        await wait_for_async(lambda: told.died, 20, "the child to die")
        assert told.died == {2: ("its process was ended for the sake of the task before it", True)}
        assert (1, DONE) in told.said

    scene(tmp_path, monkeypatch, play)


def test_a_packet_whose_taker_died_before_it_said_so_is_put_in_again(tmp_path, monkeypatch) -> None:
    async def play(told):
        told.run(1, take_and_die, str(tmp_path / "go"))
        await told.until(1, STARTED)
        told.run(2, double, 2)
        (tmp_path / "go").touch()
        await told.until(2, DONE)
        assert list(told.died) == [1]

    scene(tmp_path, monkeypatch, play)


def chatter(lines):
    """Write many small lines, each by itself."""
    for number in range(lines):
        os.write(1, b"%d\n" % number)


def test_many_small_lines_are_read_a_few_times_and_none_is_missing(tmp_path, monkeypatch):
    async def play(told):
        began = time.monotonic()
        told.run(1, chatter, 8_000)
        await told.until(1, DONE)
        most = (time.monotonic() - began) / printing.PAUSE_S + 2
        assert len(told.printed) <= most < 8_000
        assert {(number, skipped) for number, skipped, _ in told.printed} == {(1, 0)}
        lines = b"".join(content for _, _, content in told.printed).split()
        assert lines == [b"%d" % number for number in range(8_000)]

    scene(tmp_path, monkeypatch, play)


def leave_a_writer(marker):
    """Leave somebody behind who prints later."""
    subprocess.Popen(["sh", "-c", f"while [ ! -e {marker} ]; do sleep 0.01; done; echo late"])


def test_what_is_printed_between_two_tasks_is_the_ones_before(tmp_path, monkeypatch):
    async def play(told):
        told.run(1, leave_a_writer, str(tmp_path / "go"))
        await told.until(1, DONE)
        (tmp_path / "go").touch()
        await wait_for_async(lambda: told.printed, 20, "something to be printed")
        told.run(2, chatter, 1)
        await told.until(2, DONE)
        assert told.printed == [(1, 0, b"late\n"), (2, 0, b"0\n")]

    scene(tmp_path, monkeypatch, play)


def test_a_kill_reaches_what_a_task_started_in_a_session_of_its_own(tmp_path, monkeypatch):
    async def play(told):
        told.run(1, start_a_session, str(tmp_path / "pid"))
        await wait_for_async((tmp_path / "pid").exists, 20, "the grandchild")
        grandchild = int(wait_for((tmp_path / "pid").read_text, 5, "its pid"))
        told.executors.kill(1)
        await wait_for_async(lambda: 1 in told.died, 20, "the task to be ended")
        await wait_for_async(lambda: not psutil.pid_exists(grandchild), 20, "the grandchild to be dead and buried")

    scene(tmp_path, monkeypatch, play)


def start_a_session(marker):
    grandchild = subprocess.Popen(["sleep", "60"], start_new_session=True)
    Path(f"{marker}.new").write_text(str(grandchild.pid))
    Path(f"{marker}.new").rename(marker)
    grandchild.wait()


def start_a_daemon(marker):
    """Start what gets away from its parent, its group and its session."""
    line = f"setsid sh -c 'sleep 60 & echo $! > {marker}.new; mv {marker}.new {marker}' &"
    subprocess.run(["sh", "-c", line], check=True)


def test_what_got_away_from_a_task_ends_with_the_agent(tmp_path):
    async def play():
        told = Told(tmp_path / "executors")
        told.run(1, start_a_daemon, str(tmp_path / "pid"))
        await told.until(1, DONE)
        await wait_for_async((tmp_path / "pid").exists, 20, "the daemon")
        told.executors.close()

    asyncio.run(play())
    daemon = int((tmp_path / "pid").read_text())
    wait_for(lambda: not psutil.pid_exists(daemon) or psutil.Process(daemon).status() == "zombie", 20, "it to be dead")


def test_an_idle_child_makes_way_for_one_that_knows_more(tmp_path, monkeypatch) -> None:
    async def play(told):
        told.run(1, double, 1)
        await told.until(1, DONE)
        (idle,) = told.executors.children
        told.executors.preload(["colorsys"])
        await wait_for_async(
            lambda: told.executors.children and idle not in told.executors.children, 20, "it to be replaced"
        )
        told.run(2, knows, "colorsys", str(tmp_path / "said"))
        await told.until(2, DONE)
        assert (tmp_path / "said").read_text() == "True"
        told.executors.preload(["colorsys"])  # known: nobody is disturbed
        assert told.executors._modules == ["colorsys"]

    scene(tmp_path, monkeypatch, play)
