"""Here: what a task finds where it runs, beyond its arguments: values that its agent holds for it.

A child asks its agent over the socket that it speaks through anyway, one question at a time; what is large comes back as
a parcel. Nothing here may import Dask.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from mesonb.errors import BadValue
from mesonb.live.tasks import parcel

#: An answer: how many bytes follow, and perhaps a descriptor beside them.
ANSWER = struct.Struct("<I")
#: Whoever asks in this process, once it is a child of an agent.
_asker: Asker | None = None


class Asker:
    """Asks the agent of one child."""

    def __init__(self, own: socket.socket, say: Callable[[bytes], None]) -> None:
        self._own, self._say = own, say
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def ask(self, *question: Any) -> tuple[Any, int | None]:
        """Ask, and wait for the answer; the descriptor that may come with it is the caller's to close."""
        if os.getpid() != self._pid:
            raise BadValue("only the task's own process can ask its agent; ask there, and hand on what you need")
        with self._lock:
            self._say(pickle.dumps(question, protocol=5))
            content, fds, _, _ = socket.recv_fds(self._own, 1 << 16, 1)
            while len(content) < ANSWER.size or len(content) < ANSWER.size + ANSWER.unpack_from(content)[0]:
                if not (more := self._own.recv(1 << 16)):
                    os._exit(1)  # there is no agent any more
                content += more
        answer = pickle.loads(content[ANSWER.size :])
        if isinstance(answer, Exception):
            raise answer
        return answer, fds[0] if fds else None


def begin(own: socket.socket, say: Callable[[bytes], None]) -> None:
    """From now on this process is a child of an agent."""
    global _asker  # noqa: PLW0603 - a process is one child at most
    _asker = Asker(own, say)


def asker() -> Asker | None:
    """Return who asks in this process; nothing outside of a child."""
    return _asker


def answered(answer: Any) -> bytes:
    """Put an answer as a child reads it."""
    content = pickle.dumps(answer, protocol=5)
    return ANSWER.pack(len(content)) + content


def asked(*question: Any) -> Any:
    """Ask the agent of this process, which is a child, for something small."""
    assert _asker is not None
    return _asker.ask(*question)[0]


class Input:
    """Stands, in the arguments of a task that another kernel launched, for a Dask future."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"<the Dask future {self.key!r}>"


def fetched(key: Any) -> Any:
    """Return the value of a Dask future that is an argument of this task; its agent has fetched it already."""
    if _asker is None:
        return Input(key)
    _, fd = _asker.ask("input", key)
    assert fd is not None
    try:
        return parcel.opened(fd, writable=True)
    finally:
        os.close(fd)
