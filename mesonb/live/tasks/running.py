"""Running: one child process as its agent sees it, and how such a process is ended."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket

from mesonb.errors import BadValue
from mesonb.live.limits.processes import family
from mesonb.live.tasks import parcel
from mesonb.live.tasks.child import FAILED, GO, LARGE
from mesonb.live.wire.plain import opened


class Running:
    """One child of an agent."""

    def __init__(self, socket_: socket.socket, printed: int) -> None:
        self.socket = socket_
        self.pid = 0
        self.task: int | None = None
        self.last: int | None = None  #: the task before
        self.condemned: int | None = None  #: the task for whose sake it is being ended
        self.heard = bytearray()
        self.printed = printed  #: the reading end of the pipe that it prints to
        self.command = False  #: it has become a command
        self.unclaimed: list[tuple[int, bytes]] = []  #: what it printed, and nobody knows yet for which task

    def go(self) -> None:
        """Let it go on; if it is dead already, the zygote says so."""
        with contextlib.suppress(OSError):
            self.socket.send(GO)

    def answer(self, answer: bytes, fd: int | None) -> None:
        """Answer its question, with a descriptor beside it where there is one."""
        with contextlib.suppress(OSError):
            socket.send_fds(self.socket, [answer], [] if fd is None else [fd])

    def open_parcel(self, content: bytes) -> tuple[int, bytes]:
        """Open, while it waits, the parcel that it names: its result."""
        try:
            return LARGE, b"%d" % parcel.of_process(self.pid, int(content))
        except OSError as error:
            because = f"its result cannot be taken from its process: {error}"
            return FAILED, pickle.dumps((because, "", b""), protocol=5)


def end_family(pid: int) -> None:
    """Kill a child, with the group that it leads, and what it started in groups of their own."""
    members = list(family(pid))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    for member in members[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


def how_it_ended(status: int, *, command: bool = False) -> str:
    """Say what an exit status, as ``os.waitpid`` gives it, means."""
    if command and os.WIFEXITED(status):
        return f"its command ended with exit status {os.WEXITSTATUS(status)}"
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        hint = ": out of memory, or killed from outside" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with status {os.WEXITSTATUS(status)}"


def said_of_failure(content: bytes) -> str:
    """Return the line that a child says of a task that failed, without running anything of what it sent."""
    with contextlib.suppress(BadValue):
        said = opened(content, "failure")
        if isinstance(said, tuple) and said and isinstance(said[0], str):
            return said[0]
    return "it failed, and its process says of that what cannot be read"
