"""Output: what tasks print, kept in part: the newest bytes of each, and how many came before.

Pure, and the same on both ends: an agent keeps it until a task is forgotten, a master for whoever asks. A stream is
counted in bytes from its begin, so what is told twice changes nothing, and what is missing is known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

#: The newest bytes that are kept of one task, and of all tasks of one keeper together; and of how many tasks.
KEPT_BYTES = 64_000
ALL_KEPT_BYTES = 16_000_000
TASKS_KEPT = 10_000


class Output(NamedTuple):
    """What is left of what a task printed."""

    lines: list[str]
    dropped: int  #: bytes that came before these lines and are not kept

    def __str__(self) -> str:
        before = [f"({self.dropped} bytes before this are not kept)"] if self.dropped else []
        return "\n".join([*before, *self.lines])


class Sandbox(NamedTuple):
    """The folder that a command ran in, on its agent."""

    path: str
    files: dict[str, int]  #: bytes by name, once the command has ended; the first of them


class Tail:
    """The newest part of one stream of bytes."""

    __slots__ = ("end", "kept")

    def __init__(self) -> None:
        self.end = 0  #: how many bytes there were in all
        self.kept = bytearray()  #: the last of them

    def put(self, start: int, content: bytes) -> None:
        """Take bytes that begin at ``start``; what is known already is passed over.

        >>> tail = Tail()
        >>> tail.put(0, b"one two"); tail.put(4, b"two three"); tail.kept
        bytearray(b'one two three')
        """
        end = start + len(content)
        if end <= self.end:
            return
        if start > self.end:
            self.kept.clear()
        self.kept += content[max(0, self.end - start) :][-KEPT_BYTES:]
        del self.kept[:-KEPT_BYTES]
        self.end = end

    def since(self, start: int, most: int) -> tuple[int, bytes]:
        """Return the newest bytes from ``start`` on, at most so many, and where they begin."""
        count = min(self.end - start, most, len(self.kept))
        return self.end - count, bytes(self.kept[len(self.kept) - count :])

    def read(self) -> Output:
        """Return it as lines; of one that was written over and over (a progress bar) the last state."""
        content = bytes(self.kept)
        dropped = self.end - len(content)
        if dropped:
            cut = content.find(b"\n") + 1  # nobody wants half a line
            content, dropped = content[cut:], dropped + cut
        lines = content.decode(errors="replace").split("\n")
        return Output(
            [line.rstrip("\r").rpartition("\r")[2] for line in lines[: len(lines) - (not lines[-1])]], dropped
        )


class Outputs:
    """What many tasks print; when it is too much, those that were silent for longest are forgotten."""

    def __init__(self, most_bytes: int = ALL_KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._tails: OrderedDict[str, Tail] = OrderedDict()

    def put(self, task: str, start: int, content: bytes) -> None:
        """Take bytes of one task that begin at ``start`` of all that it printed."""
        tail = self._tails.get(task)
        if tail is None:
            tail = self._tails[task] = Tail()
        self._tails.move_to_end(task)
        self._bytes -= len(tail.kept)
        tail.put(start, content)
        self._bytes += len(tail.kept)
        while self._bytes > self._most_bytes or len(self._tails) > TASKS_KEPT:
            self.forget(next(iter(self._tails)))

    def add(self, task: str, skipped: int, content: bytes) -> None:
        """Take what one task printed next; so many bytes before it were not kept by anybody."""
        self.put(task, self.end_of(task) + skipped, content)

    def end_of(self, task: str) -> int:
        """How many bytes a task printed in all."""
        tail = self._tails.get(task)
        return tail.end if tail else 0

    def since(self, task: str, start: int, most: int) -> tuple[int, bytes]:
        """Return a task's newest bytes from ``start`` on, at most so many, and where they begin."""
        tail = self._tails.get(task)
        return tail.since(start, most) if tail else (start, b"")

    def read(self, task: str) -> Output:
        """Return what is left of what a task printed; nothing of one that printed nothing."""
        tail = self._tails.get(task)
        return tail.read() if tail else Output([], 0)

    def forget(self, task: str) -> None:
        """Keep nothing of a task any more."""
        if tail := self._tails.pop(task, None):
            self._bytes -= len(tail.kept)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._tails))
