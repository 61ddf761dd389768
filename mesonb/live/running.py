"""Running: one child process as its agent sees it, and how such a process is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

from mesonb.live.child import GO


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
        self.unclaimed: list[tuple[int, bytes]] = []  #: what it printed, and nobody knows yet for which task

    def go(self) -> None:
        """Let it go on; if it is dead already, the zygote says so."""
        with contextlib.suppress(OSError):
            self.socket.send(GO)


def end_group(pid: int) -> None:
    """Kill a child, with the group that it leads."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def how_it_ended(status: int) -> str:
    """Say what an exit status, as ``os.waitpid`` gives it, means."""
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        hint = ": out of memory, or killed from outside" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with status {os.WEXITSTATUS(status)}"
