"""Child: takes tasks from the pipe that an agent's children share, runs them one at a time, says how each went.

Whoever is idle takes the next packet, so no task waits behind a running one. A packet is one datagram: the task's
number on this agent, the digest of its function, and its pickled arguments, or the path of a file that holds them. A
function comes from a file named by its digest, is unpickled once, and kept. With each start a child says what it weighs,
so that what earlier tasks left in it is not charged to this one; and if that, or what the task asked for, is not as it
was the last time, it waits until its agent has set the limits anew. What a task prints, and starts that prints, goes into a
pipe to the agent; a large result into a parcel, which the agent opens while the child waits; and a child whose task is a
command becomes that command. Nothing here may import Dask.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import io
import os
import pickle
import select
import signal
import socket
import struct
import sys
import termios
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import cloudpickle

from mesonb.frameworks.command import shell
from mesonb.live.limits.processes import weight
from mesonb.live.tasks import here, parcel
from mesonb.live.tasks.current import current
from mesonb.live.tasks.pickling import pickled, pickled_apart

#: A packet: the task's number, the digest of its function, what is to be known of the rest, and a number that stands for its limits.
PACKET = struct.Struct("<Q16sBQ")
#: The rest is a path; the task was given ports, gpus or the like, and asks which; its child is not used again.
IN_FILE, GIVEN, LAST = 1, 2, 4
#: There is no task in it: whoever takes it looks whether it is still wanted.
LOOK = 8
#: What a child says: a kind, the task's number, how many bytes follow.
SAID = struct.Struct("<BQQ")
STARTED, DONE, FAILED, WAITING = 1, 2, 3, 4
#: Done, and the result is in a parcel, of which the number of the descriptor follows; and a question of the task's.
LARGE, ASK = 5, 6
#: The child becomes a command now; how that ends, its exit status says.
BECOMES = 7
#: Added to a kind: the child waits until its agent has read what it printed, and opened its parcel.
HELD = 64
#: A larger pickle goes into a parcel.
INLINE_MOST = 1_000_000
#: What a child that waits is told.
GO = b"g"
#: So much of what a task printed last is part of its error.
LAST_WORDS_BYTES = 2000
#: No packet is larger; larger arguments go through a file.
PACKET_MOST = 64_000
FUNCTIONS_KEPT = 32
#: After a shorter task a child does not weigh itself again, and after any it leaves if it holds so much more than at birth.
LOOK_AFTER_S = 0.002
#: A child that is not needed any more leaves after this.
IDLE_S = 10
WORN_BYTES = 256_000_000
#: Its agent has to know of a change as large as this before the next task begins.
CHANGE_BYTES = 1_000_000


class Child:
    """One process that runs tasks."""

    def __init__(
        self, tasks: socket.socket, own: socket.socket, prints: int, folder: str, is_wanted: Callable[[], bool]
    ) -> None:
        self._tasks, self._own, self._folder, self._is_wanted = tasks, own, Path(folder), is_wanted
        self._functions: dict[bytes, Callable[..., Any]] = {}
        self._bell = bell(tasks) if sys.platform == "linux" else None
        self._statm = os.open("/proc/self/statm", os.O_RDONLY) if sys.platform == "linux" else -1
        self._weighs = self._at_birth = self._weigh()
        self._limits = 0  #: which are in force: none
        faulthandler.enable(2)  # what crashes says where
        self._parcel: int | None = None  #: the result, when it is large
        self._number = 0  #: of the task that runs
        here.begin(own, self._ask)
        self._changed = False  #: whether it weighs something else than its agent knows
        os.dup2(prints, 1)
        os.dup2(prints, 2)
        os.close(prints)
        self._spouts = Spout(1), Spout(2)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.BufferedWriter(spout), "utf-8", "backslashreplace", line_buffering=True) for spout in self._spouts
        )  # fmt: skip

    def run(self) -> None:
        """Run tasks until there is no agent any more; what is known is said together with the next start."""
        known = b""
        while True:
            try:
                packet = self._tasks.recv(PACKET_MOST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                if known:
                    self._own.sendall(known)
                    known = b""
                packet = self._next()
            if not packet:
                return
            number, digest, flags, limits = PACKET.unpack_from(packet)
            if flags & LOOK:
                self._own.sendall(known)
                known = b""
                if not self._is_wanted():
                    return
                continue
            if not self._begin(known, number, limits):
                return
            self._number, began_s = number, time.monotonic()
            kind, content = self._run_one(digest, packet[PACKET.size :], flags)
            held = HELD if self._has_printed() or kind == LARGE else 0
            known = SAID.pack(kind | held, number, len(content)) + content
            if held:
                if not self._is_read(known):
                    return
                known = b""
            if flags & LAST or (time.monotonic() - began_s > LOOK_AFTER_S and self._worn()):
                self._own.sendall(known)
                return

    def _next(self) -> bytes:
        """Wait for a packet; nothing when there will be none, or when this child has waited and is not wanted any more."""
        while True:
            came = self._bell.poll(IDLE_S) if self._bell else []
            try:
                return self._tasks.recv(PACKET_MOST, socket.MSG_DONTWAIT if self._bell else 0)
            except BlockingIOError:  # another took it; or nothing came for IDLE_S
                if not came and not self._is_wanted():
                    return b""

    def _begin(self, known: bytes, number: int, limits: int) -> bool:
        """Say that a task begins; where its limits are new, wait for them. False if there is no agent any more."""
        fresh = limits and (limits != self._limits or self._changed)
        self._own.sendall(known + SAID.pack(WAITING if fresh else STARTED, number, len(self._weighs)) + self._weighs)
        self._limits, self._changed = limits, False
        return not fresh or self._own.recv(len(GO)) == GO

    def _is_read(self, known: bytes) -> bool:
        """Say how a task went, and wait until its agent has all that it left; False if there is no agent any more."""
        self._own.sendall(known)
        went = self._own.recv(len(GO)) == GO
        if self._parcel is not None:
            os.close(self._parcel)
            self._parcel = None
        return went

    def _worn(self) -> bool:
        """Weigh itself, and tell whether tasks have left so much behind that a fresh child is better."""
        before, self._weighs = self._weighs, self._weigh()
        if not self._weighs:
            return False
        held = weight(self._weighs).held_bytes
        self._changed = self._changed or abs(held - weight(before).held_bytes) > CHANGE_BYTES
        return held - weight(self._at_birth).held_bytes > WORN_BYTES

    def _weigh(self) -> bytes:
        """Return what Linux says of this process's memory; nothing elsewhere."""
        return os.pread(self._statm, 200, 0) if self._statm >= 0 else b""

    def _run_one(self, digest: bytes, content: bytes, flags: int) -> tuple[int, bytes]:
        try:
            with surroundings() if flags & GIVEN else contextlib.nullcontext():
                args, kwargs = pickle.loads(self._arguments(content, bool(flags & IN_FILE)))
                function = self._function(digest)
                if function is shell:
                    self._become(*args)
                result = function(*args, **kwargs)
                self._flush()
                return self._returned(result)
        except BaseException as error:  # noqa: BLE001 - whatever a task raises is its outcome
            self._flush()
            return FAILED, _pickled_error(error, self._last_words())

    def _returned(self, result: Any) -> tuple[int, bytes]:
        """Pack a result, a large one into a parcel; TypeError, which says what to return instead, if it cannot travel."""
        try:
            content, buffers = pickled_apart(result)
            if not parcel.AVAILABLE or len(content) + sum(buffer.raw().nbytes for buffer in buffers) <= INLINE_MOST:
                return DONE, pickled(result) if buffers else content
        except Exception as error:
            raise TypeError(
                f"its result, a {type(result).__name__}, cannot be sent back: {error}; return plain data instead"
            ) from error
        self._parcel = parcel.wrap(content, buffers)
        return LARGE, b"%d" % self._parcel

    def _become(self, line: str, files: dict[str, bytes]) -> NoReturn:
        """Run a command in its sandbox, in place of this process."""
        path, variables, around = here.asked("sandbox")
        for name, content in files.items():
            file = Path(path, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o700)
        os.chdir(path)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores these, and commands count on them
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        self._own.sendall(SAID.pack(BECOMES, self._number, 0))
        command = [*around, "/bin/sh", "-c", line]
        os.execvpe(command[0], command, {**os.environ, **variables, "MESONB_SANDBOX": path})  # noqa: S606

    def _ask(self, question: bytes) -> None:
        self._own.sendall(SAID.pack(ASK, self._number, len(question)) + question)

    def _arguments(self, content: bytes, in_file: bool) -> bytes:
        if not in_file:
            return content
        path = Path(os.fsdecode(content))
        try:
            return path.read_bytes()
        finally:
            path.unlink()

    def _function(self, digest: bytes) -> Callable[..., Any]:
        if digest not in self._functions:
            if len(self._functions) >= FUNCTIONS_KEPT:
                del self._functions[next(iter(self._functions))]
            self._functions[digest] = pickle.loads((self._folder / digest.hex()).read_bytes())
        return self._functions[digest]

    # -- what a task prints ---------------------------------------------------------------------------------------

    def _flush(self) -> None:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()

    def _last_words(self) -> str:
        return b"".join(spout.last for spout in self._spouts).decode(errors="replace")

    def _has_printed(self) -> bool:
        """Whether this task may have left something in the pipe that its agent has not read; the next one begins with none."""
        wrote = sum(spout.dry() for spout in self._spouts) > 0  # both forget
        try:
            return wrote or fcntl.ioctl(1, termios.FIONREAD, bytes(4)) != bytes(4)
        except OSError:  # the task has closed it
            return wrote


def bell(tasks: socket.socket) -> select.epoll:
    """Return what wakes one of those that wait for a packet, always the first of them that is idle.

    Waiting in ``recv`` they would be woken in turn: a hundred of them, forked in a moment of need, would all stay, and each
    packet would go to the one that was idle for longest, and has everything to fetch from memory again.
    """
    waiting = select.epoll()
    waiting.register(tasks, select.EPOLLIN | select.EPOLLEXCLUSIVE)
    return waiting


@contextlib.contextmanager
def surroundings() -> Iterator[None]:
    """Show a task, and what it starts, which ports and gpus are its own, by variables of the environment."""
    before = os.environ.copy()
    os.environ.update(current().variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Spout(io.FileIO):
    """A standard stream that remembers what was written to it last."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "w", closefd=False)
        self.last = b""

    def write(self, content: Any, /) -> int:
        """Write, and remember the end of it."""
        written = super().write(content)
        self.last = (self.last + bytes(content[-LAST_WORDS_BYTES:]))[-LAST_WORDS_BYTES:]
        return written

    def dry(self) -> bool:
        """Forget; tell whether there was anything."""
        wrote, self.last = bool(self.last), b""
        return wrote


def _pickled_error(error: BaseException, printed: str) -> bytes:
    """Pickle what the master wants to know: one line, the traceback, and the exception itself where it can travel."""
    because = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        because += (
            f"; install {error.name or 'it'} on the agents, or define what needs it in a cell: that travels by itself"
        )
    inner = error.__traceback__.tb_next if error.__traceback__ else None  # the first frame is ours
    trace = "".join(traceback.format_exception(type(error), error, inner))
    if printed:
        trace += f"last printed:\n{printed}"
    try:
        original = bytes(cloudpickle.dumps(error.with_traceback(None), protocol=5))
    except Exception:  # noqa: BLE001 - then its text has to do
        original = b""
    return pickle.dumps((because, trace, original), protocol=5)
