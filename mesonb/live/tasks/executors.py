"""Executors: the children of one agent: fed through one shared pipe, forked when a task would wait, really killable.

What was granted must run at once, so a task that has waited ``PATIENCE_S`` with no idle child gets one more child; a few
stay warm. A child that is killed, or dies, is gone with its whole process group; only the task that it ran suffers.
Children take packets by themselves, so one that is killed may have gone on to another task: if that had begun it is
lost, and if not its packet is put in again.
Runs on the loop of its Dask worker. (A Dask worker is daemonic, so multiprocessing cannot do this.)
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pickle
import shutil
import socket
import struct
import subprocess
import termios
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mesonb.core.resources import NOTHING, Resources
from mesonb.live.limits.isolation import Isolation
from mesonb.live.limits.processes import weight
from mesonb.live.limits.warden import Warden
from mesonb.live.tasks.child import (
    ASK,
    BECOMES,
    DONE,
    GIVEN,
    HELD,
    IN_FILE,
    LARGE,
    LAST,
    LOOK,
    PACKET,
    PACKET_MOST,
    SAID,
    STARTED,
    WAITING,
)  # fmt: skip
from mesonb.live.tasks.functions import Functions
from mesonb.live.tasks.printing import Pipes
from mesonb.live.tasks.running import Running, end_family, how_it_ended
from mesonb.live.tasks.starting import PIPE_MOST, start_zygote
from mesonb.live.tasks.zygote import BORN, LEARN, LEARNED, NEWS, SPARE, WARM

#: A task waits so long for an idle child before one more is forked.
PATIENCE_S = 0.02
#: The most children of one agent.
CHILDREN_MOST = 256
WARM_MOST = 8
_FORKS_AT_ONCE = 8
#: The zygote may take so long to leave by itself.
LEAVE_S = 0.5
#: Whoever takes a packet says so at once; after this it is taken to have died with it.
TAKEN_S = 0.5


class Executors(Functions):
    """Runs packets; ``on_said(number, kind, content)`` hears STARTED, DONE, LARGE and FAILED, ``on_died(number, because, lost)`` the rest.

    ``on_printed(number, skipped, content)`` hears what a task prints, and how many bytes before that were left unread;
    ``on_asked(number, question)`` answers what a task asks, with a descriptor where the answer is large, or not yet. The content of LARGE
    is a descriptor as well, and the hearer's to close. ``variables`` are added to the environment that tasks find.
    """

    def __init__(
        self, folder: Path, warm: int, modules: Sequence[str],
        on_said: Callable[[int, int, bytes], None], on_died: Callable[[int, str, bool], None],
        isolation: Isolation | None = None, on_printed: Callable[[int, int, bytes], None] = lambda *_: None,
        on_asked: Callable[[int, bytes], tuple[bytes, int | None] | None] = lambda *_: None,
        variables: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder  #: of functions, and of arguments too large for a packet
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.functions = folder
        self.warm = min(max(1, warm), WARM_MOST)
        self.children: set[Running] = set()
        self._loop = asyncio.get_running_loop()
        self._on_said, self._on_died, self._on_asked = on_said, on_died, on_asked
        self.warden = Warden(isolation or Isolation([]), self._end_pid)
        self._pipes = Pipes(on_printed, self._hear)
        self._queue: deque[tuple[int, bytes]] = deque()  #: not in the pipe yet
        self._in_pipe: dict[int, tuple[float, bytes]] = {}  #: not taken yet, in order, and since when they wait
        self._reached_s = 0.0  #: since when the packet waited that was taken last
        self._running: dict[int, Running] = {}
        self._doomed: set[int] = set()  #: to be killed as soon as a child has taken it
        self._unborn: deque[Running] = deque()
        self._watching: asyncio.TimerHandle | None = None
        self._closed = False
        self._modules, self._variables = list(modules), dict(variables or {})
        self._start_zygote(modules)
        for _ in range(self.warm):
            self._fork(WARM)

    # -- tasks ----------------------------------------------------------------------------------------------------

    def run(self, number: int, digest: bytes, arguments: bytes, needs: Resources = NOTHING) -> None:
        """Queue a task; its function was given to ``learn`` before."""
        limits = self.warden.expect(number, needs)
        flags = (GIVEN if needs.itemised or needs.gpus else 0) | (LAST if needs.gpus else 0)
        if len(arguments) > PACKET_MOST - PACKET.size:
            flags |= IN_FILE
            path = self.folder / f"arguments-{number}"
            path.write_bytes(arguments)
            arguments = os.fsencode(path)
        self._queue.append((number, PACKET.pack(number, digest, flags, limits) + arguments))
        self._feed()

    def preload(self, modules: Iterable[str]) -> None:
        """Have children find these modules imported, from now on."""
        if fresh := [module for module in modules if module not in self._modules]:
            self._modules += fresh
            with contextlib.suppress(OSError):  # the zygote has died; the next one begins with them
                self._control.send(LEARN + " ".join(fresh).encode())

    def kill(self, number: int) -> bool:
        """End a task; True if it had not begun and is simply forgotten, else ``on_died`` says when it is dead."""
        if child := self._running.get(number):
            self._hear(child)  # it may have gone on to the next task
            self._end(child, number)
            return False
        if number in self._in_pipe:
            self._doomed.add(number)
            return False
        self._queue = deque(item for item in self._queue if item[0] != number)
        self.warden.forget(number)
        return True

    def answer(self, number: int, answer: bytes, fd: int | None) -> None:
        """Answer a task that had to wait, if it still runs."""
        if child := self._running.get(number):
            child.answer(answer, fd)

    def close(self) -> None:
        """End everything, and clean up."""
        self._closed = True
        if self._watching:
            self._watching.cancel()
        for child in self.children:
            end_family(child.pid)
        for child in [*self.children, *self._unborn]:
            self._let_go(child)
        self._pipes.close()
        self._loop.remove_reader(self._control)
        self._control.close()
        self._pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._zygote.wait(LEAVE_S)  # it takes along what had got away from its children
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
            self._in_pipe[number] = now_s, packet
        if self._in_pipe and self._watching is None:
            self._watching = self._loop.call_later(PATIENCE_S, self._watch)

    def _watch(self) -> None:
        """Fork for tasks that have waited too long while every child is busy."""
        self._watching = None
        if not self._in_pipe:
            return
        late_s = self._loop.time() - PATIENCE_S
        late = sum(1 for since_s, _ in self._in_pipe.values() if since_s <= late_s)
        free = len(self.children) - len(self._running) + len(self._unborn)
        room = CHILDREN_MOST - len(self.children) - len(self._unborn)
        for _ in range(min(late - free, room, _FORKS_AT_ONCE)):
            self._fork(SPARE)
        self._watching = self._loop.call_later(PATIENCE_S / 2, self._watch)

    # -- children -------------------------------------------------------------------------------------------------

    def _start_zygote(self, modules: Sequence[str]) -> None:
        self._zygote, self._control, self._pipe = start_zygote(self.folder, modules, self._variables)
        self._loop.add_reader(self._control, self._news)

    def _fork(self, kind: bytes) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        reading, writing = Pipes.open()
        try:
            socket.send_fds(self._control, [kind], [theirs.fileno(), writing])
        except OSError:
            ours.close()
            os.close(reading)
            return
        finally:
            theirs.close()
            os.close(writing)
        self._unborn.append(Running(ours, reading))

    def _news(self) -> None:
        """Hear from the zygote who was born and who died."""
        with contextlib.suppress(BlockingIOError):
            while news := self._control.recv(NEWS.size):
                kind, pid, status = NEWS.unpack(news)
                if kind == BORN:
                    self._born(pid)
                elif kind == LEARNED:
                    self._renew()
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
        for child in self._unborn:
            self._let_go(child)
        for child in self.children:
            self._let_go(child)
            self.warden.died(child.pid, child.task, "")
        self.children, self._running, self._in_pipe = set(), {}, {}
        self._doomed.clear()
        self._unborn.clear()
        for number in gone:
            self.warden.forget(number)
            self._on_died(number, "the process that its child was forked from has died", False)
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
        self._pipes.watch(child)

    def _renew(self) -> None:
        """Have idle children that know less than the zygote leave; others are forked in their place."""
        for _ in range(len(self.children) - len(self._running)):
            with contextlib.suppress(OSError):
                self._pipe.send(PACKET.pack(0, b"", LOOK, 0))

    def _let_go(self, child: Running) -> None:
        """Hear a dead child no more."""
        self._pipes.end(child)
        self._loop.remove_reader(child.socket)
        child.socket.close()

    def _died(self, pid: int, status: int) -> None:
        child = next((child for child in self.children if child.pid == pid), None)
        if child is None:
            return
        self._hear(child)  # its last words may still be in the socket
        self.children.discard(child)
        self._let_go(child)
        because = self.warden.died(pid, child.task, how_it_ended(status, command=child.command))
        if child.task is not None:
            number, child.task = child.task, None
            del self._running[number]
            if child.command and status == 0 and child.condemned is None:
                self._on_said(number, DONE, pickle.dumps(0, protocol=5))
            elif child.condemned in {None, number}:
                self._on_died(number, because, False)
            else:
                self._on_died(number, "its process was ended for the sake of the task before it", True)
        if self._in_pipe:
            self._loop.call_later(
                TAKEN_S, self._look_for_taken, {n: since_s for n, (since_s, _) in self._in_pipe.items()}
            )
        if not self._closed and len(self.children) + len(self._unborn) < self.warm:
            self._fork(WARM)

    def _end(self, child: Running, number: int) -> None:
        """End a child, if it runs that task."""
        if child.task == number:
            child.condemned = number
            end_family(child.pid)

    def _end_pid(self, pid: int) -> None:
        for child in self._running.values():
            if child.pid == pid and child.task is not None:
                self._end(child, child.task)
                return

    def _look_for_taken(self, waited: dict[int, float]) -> None:
        """Put in again what a child that has died had taken, and not said so: it was in the pipe then, and is no more."""
        waited = {n: since_s for n, since_s in waited.items() if self._in_pipe.get(n, (None,))[0] == since_s}
        if self._closed or not waited:
            return
        empty = not struct.unpack("i", fcntl.ioctl(self._pipe, termios.TIOCOUTQ, bytes(4)))[0]
        for number, since_s in waited.items():
            if empty or since_s < self._reached_s:
                self._again(number, self._in_pipe.pop(number)[1])
        self._loop.call_later(TAKEN_S, self._look_for_taken, waited)
        self._feed()

    def _again(self, number: int, packet: bytes) -> None:
        """Queue a packet whose task has not begun, though a child took it."""
        if number in self._doomed:
            self._doomed.discard(number)
            self.warden.forget(number)
            self._on_died(number, "", False)
        else:
            self._queue.appendleft((number, packet))

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
        if child.task in self._doomed:  # looked at here: what follows its start may be its end
            self._doomed.discard(child.task)
            self._end(child, child.task)

    def _said(self, child: Running, kind: int, number: int, content: bytes) -> None:
        held, kind = kind & HELD, kind & ~HELD
        if kind == ASK:
            if answer := self._on_asked(number, content):
                child.answer(*answer)
            return
        if kind == BECOMES:
            child.command = True
            return
        if kind in {STARTED, WAITING}:
            if not self._begin(child, kind, number, content):
                return
            kind = STARTED
        elif child.task != number:
            return
        else:
            child.task, child.last, child.command = None, number, False
            del self._running[number]
            self._doomed.discard(number)
        if kind == LARGE:
            kind, content = child.open_parcel(content)
        if held:
            self._pipes.settle(child, number)
            child.go()
        self._on_said(number, kind, content)
        if kind != STARTED:
            self.warden.over(number)

    def _begin(self, child: Running, kind: int, number: int, content: bytes) -> bool:
        """Note that a child has taken a packet; False if its task is not to go on."""
        if number not in self._in_pipe:  # its packet was put in again too early
            child.condemned = number
            end_family(child.pid)
            return False
        since_s, packet = self._in_pipe.pop(number)
        self._reached_s = max(self._reached_s, since_s)
        if kind == WAITING and child.condemned is not None:
            self._again(number, packet)
            return False
        child.task = number
        self._running[number] = child
        self.warden.begun(number, child.pid, weight(content) if content else None)
        if number in self._doomed:
            return False
        if kind == WAITING:
            child.go()
        return True
