"""Passing: one end of a Unix socket between an agent and the keeper of its executors: messages, and descriptors beside them.

What is said within one turn of the loop is one frame; a message with a descriptor is a frame of its own. Who dials proves
that it knows a secret, and so does who answers, by the challenges of the standard library's ``multiprocessing.connection``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

#: A frame: how many bytes follow, and whether a descriptor came along.
FRAME = struct.Struct("<Q?")
#: Whoever dials has so long to prove itself.
PROVE_S = 2
_CHUNK = 1 << 18

Message = tuple[Any, ...]


class Passing:
    """One end; ``on_message(message, fd)`` hears the other, ``on_end()`` that it is gone. Descriptors that are heard are the hearer's."""

    def __init__(
        self, own: socket.socket, on_message: Callable[[Message, int | None], None], on_end: Callable[[], None]
    ) -> None:
        own.setblocking(False)
        self._own, self._on_message, self._on_end = own, on_message, on_end
        self._loop = asyncio.get_running_loop()
        self._batch: list[Message] = []
        self._out: deque[tuple[memoryview, int | None]] = deque()
        self._heard = bytearray()
        self._fds: deque[int] = deque()
        self.closed = False
        self._loop.add_reader(own, self._read)

    @property
    def waiting_bytes(self) -> int:
        """How much the other end has not taken yet."""
        return sum(len(content) for content, _ in self._out)

    def send(self, *message: Any, fd: int | None = None) -> None:
        """Send a message, and a copy of a descriptor."""
        if self.closed:
            return
        if fd is not None:
            self._frame()
            self._batch.append(message)
            self._frame(os.dup(fd))
        else:
            self._batch.append(message)
        if len(self._batch) == 1 or fd is not None:
            self._loop.call_soon(self._flush)

    def finish(self, limit_s: float) -> None:
        """Say all that is to be said, and wait for the other end to close; blocks for so long at most."""
        if self.closed:
            return
        self._frame()
        self._own.settimeout(limit_s)
        with contextlib.suppress(OSError):
            while self._out:
                self._push()
            while self._own.recv(_CHUNK):
                pass
        self.close()

    def close(self) -> None:
        """Speak and hear no more."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._own)
            self._loop.remove_writer(self._own)
            self._own.close()
            for fd in [*self._fds, *[fd for _, fd in self._out if fd is not None]]:
                os.close(fd)

    # -- out --------------------------------------------------------------------------------------------------------

    def _frame(self, fd: int | None = None) -> None:
        if self._batch:
            content = pickle.dumps(self._batch, protocol=5)
            self._batch.clear()
            self._out.append((memoryview(FRAME.pack(len(content), fd is not None) + content), fd))

    def _flush(self) -> None:
        if self.closed:
            return
        self._frame()
        try:
            while self._out:
                self._push()
        except BlockingIOError:
            self._loop.add_writer(self._own, self._flush)
        except OSError:
            self._over()
        else:
            self._loop.remove_writer(self._own)

    def _push(self) -> None:
        content, fd = self._out[0]
        if fd is None:
            sent = self._own.send(content[:_CHUNK])
        else:
            sent = socket.send_fds(self._own, [content[:_CHUNK]], [fd])
            os.close(fd)
        self._out[0] = content[sent:], None
        if sent == len(content):
            self._out.popleft()

    # -- in ---------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            content, fds, _, _ = socket.recv_fds(self._own, _CHUNK, 16, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            content, fds = b"", []
        self._fds.extend(fds)
        self._heard += content
        self._understand()
        if not content:
            self._over()

    def _understand(self) -> None:
        while len(self._heard) >= FRAME.size and not self.closed:
            length, carries = FRAME.unpack_from(self._heard)
            end = FRAME.size + length
            if len(self._heard) < end:
                return
            batch = pickle.loads(memoryview(self._heard)[FRAME.size : end].tobytes())
            del self._heard[:end]
            for message in batch:
                self._on_message(message, self._fds.popleft() if carries else None)

    def _over(self) -> None:
        if not self.closed:
            self.close()
            self._on_end()


def dial(path: Path, secret: bytes) -> socket.socket:
    """Reach whoever listens at a path, and prove to each other that both know the secret; OSError or AuthenticationError if not."""
    own = _socket()
    try:
        own.connect(str(path))
        with _connection(own) as proving:
            answer_challenge(proving, secret)
            deliver_challenge(proving, secret)
    except BaseException:
        own.close()
        raise
    return own


def admit(own: socket.socket, secret: bytes) -> None:
    """Let in, on another thread, somebody who has dialled: of this user, and who knows the secret; else as ``dial``."""
    _limit(own)
    uid = struct.unpack("3i", own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    if uid != os.getuid():
        raise PermissionError(f"user {uid} has dialled")
    with _connection(own) as proving:
        deliver_challenge(proving, secret)
        answer_challenge(proving, secret)


def _socket() -> socket.socket:
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _limit(own)
    return own


def _limit(own: socket.socket) -> None:
    own.setblocking(True)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PROVE_S, 0))


def _connection(own: socket.socket) -> Connection:
    return Connection(os.dup(own.fileno()))
