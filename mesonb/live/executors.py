"""Executors: the children of one agent: fed through one shared pipe, forked when a task would wait, really killable.

What was granted must run at once, so a task that has waited ``PATIENCE_S`` with no idle child gets one more child; a few
stay warm. A child that is killed, or dies, is gone with its whole process group; only the task that it ran suffers.
Runs on the loop of its Dask worker. (A Dask worker is daemonic, so multiprocessing cannot do this.)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from mesonb.core.resources import NOTHING, Resources
from mesonb.live.child import DONE, FAILED, GO, PACKET, PACKET_MOST, SAID, STARTED, WAITING
from mesonb.live.isolation import Isolation
from mesonb.live.processes import weight
from mesonb.live.warden import Warden
from mesonb.live.zygote import BORN, NEWS, SPARE, WARM

#: A task waits so long for an idle child before one more is forked.
PATIENCE_S = 0.02
#: A child that is not needed any more leaves after this.
IDLE_S = 10
#: The most children of one agent, and the most packets in the pipe that no child has taken yet.
CHILDREN_MOST = 256
PIPE_MOST = 64
WARM_MOST = 8
_FORKS_AT_ONCE = 8


class Running:
    """One child process, as its agent sees it."""

    def __init__(self, socket_: socket.socket) -> None:
        self.socket = socket_
        self.pid = 0
        self.task: int | None = None
        self.heard = bytearray()


class Executors:
    """Runs packets; ``on_said(number, kind, content)`` hears STARTED, DONE and FAILED, ``on_died(number, because)`` the rest."""

    def __init__(
        self, folder: Path, warm: int, modules: Sequence[str],
        on_said: Callable[[int, int, bytes], None], on_died: Callable[[int, str], None],
        isolation: Isolation | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder  #: of functions, and of arguments too large for a packet
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.warm = min(max(1, warm), WARM_MOST)
        self.children: set[Running] = set()
        self._loop = asyncio.get_running_loop()
        self._on_said, self._on_died = on_said, on_died
        self.warden = Warden(isolation or Isolation([]), _kill)
        self._queue: deque[tuple[int, bytes]] = deque()  #: not in the pipe yet
        self._in_pipe: dict[int, float] = {}  #: not taken yet, and since when they wait
        self._running: dict[int, Running] = {}
        self._doomed: set[int] = set()  #: to be killed as soon as a child has taken it
        self._unborn: deque[Running] = deque()
        self._watching: asyncio.TimerHandle | None = None
        self._closed = False
        self._modules = modules
        self._start_zygote(modules)
        for _ in range(self.warm):
            self._fork(WARM)

    # -- tasks ----------------------------------------------------------------------------------------------------

    def run(self, number: int, digest: bytes, arguments: bytes, needs: Resources = NOTHING) -> None:
        """Queue a task; its function was given to ``learn`` before."""
        limits = self.warden.expect(number, needs)
        in_file = len(arguments) > PACKET_MOST - PACKET.size
        if in_file:
            path = self.folder / f"arguments-{number}"
            path.write_bytes(arguments)
            arguments = os.fsencode(path)
        self._queue.append((number, PACKET.pack(number, digest, in_file, limits) + arguments))
        self._feed()

    def learn(self, digest: bytes, function: bytes) -> None:
        """Keep a pickled function where children find it."""
        path = self.folder / digest.hex()
        if not path.exists():
            path.write_bytes(function)

    def function(self, digest: bytes) -> bytes:
        """Return a pickled function that was learned before."""
        return (self.folder / digest.hex()).read_bytes()

    def kill(self, number: int) -> bool:
        """End a task; True if it had not begun and is simply forgotten, else ``on_died`` says when it is dead."""
        if child := self._running.get(number):
            self._end(child)
            return False
        if number in self._in_pipe:
            self._doomed.add(number)
            return False
        self._queue = deque(item for item in self._queue if item[0] != number)
        self.warden.forget(number)
        return True

    def close(self) -> None:
        """End everything, and clean up."""
        self._closed = True
        if self._watching:
            self._watching.cancel()
        for child in list(self.children):
            self._loop.remove_reader(child.socket)
            self._end(child)
            child.socket.close()
        self._loop.remove_reader(self._control)
        self._control.close()
        self._pipe.close()
        self._zygote.kill()
        self._zygote.wait()
        self.warden.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _feed(self) -> None:
        """Put packets into the pipe while it takes them; whichever child is idle takes one."""
        now_s = self._loop.time()
        while self._queue and len(self._in_pipe) < PIPE_MOST:
            number, packet = self._queue[0]
            try:
                self._pipe.send(packet)
            except OSError:  # full; or the zygote has died, and ``_news`` is about to say so
                break
            self._queue.popleft()
            self._in_pipe[number] = now_s
        if self._in_pipe and self._watching is None:
            self._watching = self._loop.call_later(PATIENCE_S, self._watch)

    def _watch(self) -> None:
        """Fork for tasks that have waited too long while every child is busy."""
        self._watching = None
        if not self._in_pipe:
            return
        late_s = self._loop.time() - PATIENCE_S
        late = sum(1 for since_s in self._in_pipe.values() if since_s <= late_s)
        free = len(self.children) - len(self._running) + len(self._unborn)
        room = CHILDREN_MOST - len(self.children) - len(self._unborn)
        for _ in range(min(late - free, room, _FORKS_AT_ONCE)):
            self._fork(SPARE)
        self._watching = self._loop.call_later(PATIENCE_S / 2, self._watch)

    # -- children -------------------------------------------------------------------------------------------------

    def _start_zygote(self, modules: Sequence[str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pipe, tasks = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pipe.setblocking(False)
        self._pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_MOST * 2048 + 2 * PACKET_MOST)
        # Children block in recv itself, not in poll: the kernel then wakes exactly one of them per packet.
        tasks.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", IDLE_S, 0))
        self._zygote = subprocess.Popen(
            [sys.executable, "-c", "from mesonb.live.zygote import main; main()",
             str(os.getpid()), str(theirs.fileno()), str(tasks.fileno()), str(self.folder), *modules],
            pass_fds=(theirs.fileno(), tasks.fileno()), stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        theirs.close()
        tasks.close()
        self._control.setblocking(False)
        self._loop.add_reader(self._control, self._news)

    def _fork(self, kind: bytes) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        child = Running(ours)
        try:
            socket.send_fds(self._control, [kind], [theirs.fileno()])
        except OSError:
            ours.close()
            return
        finally:
            theirs.close()
        self._unborn.append(child)

    def _news(self) -> None:
        """Hear from the zygote who was born and who died."""
        with contextlib.suppress(BlockingIOError):
            while news := self._control.recv(NEWS.size):
                kind, pid, status = NEWS.unpack(news)
                if kind == BORN:
                    self._born(pid)
                else:
                    self._died(pid, status)
            self._replace_zygote()

    def _replace_zygote(self) -> None:
        """The zygote died, and by the signal that Linux sends then all of its children: start again."""
        self._loop.remove_reader(self._control)
        self._control.close()
        self._pipe.close()
        self._zygote.kill()
        self._zygote.wait()
        gone = [*self._running, *self._in_pipe]
        for child in self.children:
            self._loop.remove_reader(child.socket)
            child.socket.close()
            self.warden.died(child.pid, child.task, "")
        self.children, self._running, self._in_pipe = set(), {}, {}
        self._doomed.clear()
        self._unborn.clear()
        for number in gone:
            self.warden.forget(number)
            self._on_died(number, "the process that its child was forked from has died")
        self._start_zygote(self._modules)
        for _ in range(self.warm):
            self._fork(WARM)
        self._feed()

    def _born(self, pid: int) -> None:
        child = self._unborn.popleft()
        child.pid = pid
        self.warden.born(pid)
        self.children.add(child)
        self._loop.add_reader(child.socket, self._hear, child)

    def _died(self, pid: int, status: int) -> None:
        child = next((child for child in self.children if child.pid == pid), None)
        if child is None:
            return
        self._hear(child)  # its last words may still be in the socket
        self.children.discard(child)
        self._loop.remove_reader(child.socket)
        child.socket.close()
        because = self.warden.died(pid, child.task, _how_it_ended(status))
        if child.task is not None:
            number, child.task = child.task, None
            del self._running[number]
            self._on_died(number, because)
        if not self._closed and len(self.children) + len(self._unborn) < self.warm:
            self._fork(WARM)

    def _end(self, child: Running) -> None:
        _kill(child.pid)

    # -- what children say ------------------------------------------------------------------------------------------

    def _hear(self, child: Running) -> None:
        try:
            while content := child.socket.recv(1 << 18):
                child.heard += content
                if len(content) < 1 << 18:
                    break
            else:
                self._loop.remove_reader(child.socket)  # closed; the zygote says how it ended
        except BlockingIOError:
            pass
        except OSError:
            self._loop.remove_reader(child.socket)
        self._understand(child)

    def _understand(self, child: Running) -> None:
        heard, at = child.heard, 0
        while len(heard) - at >= SAID.size:
            kind, number, length = SAID.unpack_from(heard, at)
            if len(heard) - at - SAID.size < length:
                break
            at += SAID.size
            self._said(child, kind, number, bytes(heard[at : at + length]))
            at += length
        if at:
            del heard[:at]
            self._feed()

    def _said(self, child: Running, kind: int, number: int, content: bytes) -> None:
        if kind in {STARTED, WAITING}:
            self._in_pipe.pop(number, None)
            child.task = number
            self._running[number] = child
            self.warden.begun(number, child.pid, weight(content) if content else None)
            if number in self._doomed:
                self._doomed.discard(number)
                self._end(child)
                return
            if kind == WAITING:
                kind = STARTED
                with contextlib.suppress(OSError):  # dead already: the zygote says so
                    child.socket.send(GO)
        elif kind in {DONE, FAILED}:
            child.task = None
            del self._running[number]
        self._on_said(number, kind, content)
        if kind != STARTED:
            self.warden.over(number)


def _kill(pid: int) -> None:
    """Kill a child, with the group that it leads."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        hint = ": out of memory, or killed from outside" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with status {os.WEXITSTATUS(status)}"
