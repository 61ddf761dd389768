"""Printing: what the children of one agent print: read from a pipe a child, told to the leader, all of it bounded.

Everything that a task and what it starts write to stdout and stderr comes through its child's pipe. A child whose task
has printed goes on only when its agent has read that, so each line is known to be whose it is. A task that floods is
slowed down by its full pipe and read in leaps: it costs its agent, and everybody else, next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from mesonb.frameworks.output import KEPT_BYTES, Outputs

if TYPE_CHECKING:  # a process that keeps executors imports no Dask
    from mesonb.live.wire.comms import Message

#: What a pipe holds; Linux lets anybody have so much for a few hundred of them.
PIPE_BYTES = 256_000
#: After a pipe was read it is left alone for so long, so that many small lines cost as little as a few large ones.
PAUSE_S = 0.005
#: If it was so full that some was skipped, for so long, for each child that floods.
FLOOD_PAUSE_S = 0.001
#: There is nobody left who could write to this pipe.
NOBODY = -1
#: The leader is told so often, at most so much of one task, and of all tasks of an agent together.
TELL_S = 0.1
TASK_BYTES_S = 200_000
AGENT_BYTES_S = 2_000_000


class Prints(Protocol):
    """What is known of a child here."""

    printed: int  #: the reading end of its pipe
    unclaimed: list[tuple[int, bytes]]  #: read, and not known yet whose it is
    task: int | None
    last: int | None  #: the task before


class Pipes:
    """Reads what children print; ``on_printed(number, skipped, content)`` hears whose it is, ``hear`` hears a child out."""

    def __init__(self, on_printed: Callable[[int, int, bytes], None], hear: Callable[[Any], None]) -> None:
        self._on_printed, self._hear = on_printed, hear
        self._loop = asyncio.get_running_loop()
        self._paused: set[Prints] = set()
        self._flooding: set[Prints] = set()
        self._nowhere = os.open(os.devnull, os.O_WRONLY)

    @staticmethod
    def open() -> tuple[int, int]:
        """Make the pipe of a new child: where to read, where to write."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # so many are open that this user gets smaller ones
                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return reading, writing

    def watch(self, child: Prints) -> None:
        """Read from now on what a child prints."""
        self._loop.add_reader(child.printed, self._look, child)

    def settle(self, child: Prints, number: int) -> None:
        """Give a task all that its child has printed up to now."""
        self._take(child)
        self._give(child, number)

    def end(self, child: Prints) -> None:
        """Read no more from a child that is dead; what it said last is its last task's."""
        self._take(child)
        if (number := child.last if child.task is None else child.task) is not None:
            self._give(child, number)
        self._loop.remove_reader(child.printed)
        self._paused.discard(child)
        self._flooding.discard(child)
        os.close(child.printed)

    def close(self) -> None:
        """Clean up; call it when the children are gone."""
        os.close(self._nowhere)

    def _look(self, child: Prints) -> None:
        """Read, and find out between two hearings whose it is: a child says that a task begins before that prints."""
        self._hear(child)
        skipped = self._take(child)
        self._hear(child)
        number = child.last if child.task is None else child.task
        if number is None:
            child.unclaimed.clear()
        else:
            self._give(child, number)
        if skipped != NOBODY:
            self._pause(child, flooded=skipped > 0)

    def _take(self, child: Prints) -> int:
        """Take what is in a pipe; return how much of it was left unread, because it would not be kept; or NOBODY."""
        skipped = 0
        with contextlib.suppress(BlockingIOError):
            if hasattr(os, "splice") and (waiting := _waiting(child.printed)) > KEPT_BYTES:
                skipped = os.splice(child.printed, self._nowhere, waiting - KEPT_BYTES)
            content = os.read(child.printed, PIPE_BYTES)
            if content:
                child.unclaimed.append((skipped, content))
            else:
                self._loop.remove_reader(child.printed)
                return NOBODY
        return skipped

    def _give(self, child: Prints, number: int) -> None:
        unclaimed, child.unclaimed = child.unclaimed, []
        for skipped, content in unclaimed:
            self._on_printed(number, skipped, content)

    def _pause(self, child: Prints, *, flooded: bool) -> None:
        self._loop.remove_reader(child.printed)
        self._paused.add(child)
        if flooded:
            self._flooding.add(child)
        else:
            self._flooding.discard(child)
        pause_s = FLOOD_PAUSE_S * len(self._flooding) if flooded else PAUSE_S
        self._loop.call_later(pause_s, self._go_on, child)

    def _go_on(self, child: Prints) -> None:
        if child in self._paused:
            self._paused.discard(child)
            self.watch(child)


class Teller:
    """Keeps what the tasks of one agent print, and tells the leader of it."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self.kept = Outputs()
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._told: dict[str, int] = {}  #: of tasks with news: up to where the leader knows it
        self._allowance = float(AGENT_BYTES_S)
        self._allowed_s = self._loop.time()

    def add(self, task: str, skipped: int, content: bytes) -> None:
        """Take what a task printed next."""
        if task not in self._told:
            if not self._told:
                self._loop.call_later(TELL_S, self._tell_all)
            self._told[task] = self.kept.end_of(task)
        self.kept.add(task, skipped, content)

    def last_words(self, task: str) -> None:
        """Tell what a task printed last, because its end is told next."""
        if task in self._told:
            self._say([task], KEPT_BYTES)

    def again(self) -> None:
        """Tell everything that is kept: this leader may know nothing."""
        for task in self.kept:
            self._tell(("output", [(task, *self.kept.since(task, 0, KEPT_BYTES))]))

    def forget(self, task: str) -> None:
        """Keep nothing of a task any more."""
        self.kept.forget(task)
        self._told.pop(task, None)

    def _tell_all(self) -> None:
        if self._told:
            self._say(list(self._told), int(TASK_BYTES_S * TELL_S))

    def _say(self, tasks: list[str], most: int) -> None:
        """Tell the newest of each task, as much as is allowed; the rest will never be told."""
        most = min(most, self._allow() // len(tasks))
        printed = [(task, *self.kept.since(task, self._told.pop(task), most)) for task in tasks]
        self._allowance -= sum(len(content) for _, _, content in printed)
        self._tell(("output", printed))

    def _allow(self) -> int:
        now_s = self._loop.time()
        self._allowance = min(AGENT_BYTES_S, self._allowance + (now_s - self._allowed_s) * AGENT_BYTES_S)
        self._allowed_s = now_s
        return max(0, int(self._allowance))


def _waiting(pipe: int) -> int:
    """How many bytes are in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0])
