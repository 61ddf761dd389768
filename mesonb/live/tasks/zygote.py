"""Zygote: a small process that has imported what tasks need, and forks children that run them.

A fork of it costs milliseconds where a fresh Python costs a second. It has one thread, so forking is safe; it knows no
Dask, unless it is asked to learn that: children that were born before and are idle make way for others then. It says who
was born and who died, and ends with its agent: by the end of the control socket, and by the signal that Linux sends when
a parent dies. Each child gets a session, so a process group, of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import mmap
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Iterable
from typing import NoReturn

from mesonb.live.limits.processes import family
from mesonb.live.tasks.child import Child

#: What the zygote says: a letter (Born, eXited), a pid, and the exit status as ``os.waitpid`` gives it.
NEWS = struct.Struct("<cii")
BORN, EXITED = b"B", b"X"
#: What it is asked: one letter, with the child's ends of its socket and of the pipe that it prints to; a warm child waits for
#: ever, a spare one leaves when idle.
WARM, SPARE = b"W", b"S"
#: It is asked to import more: this letter, and the names of modules. It says so when that is done.
LEARN, LEARNED = b"L", b"L"
#: The most that it is asked at once.
ASKED_MOST = 4096
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> NoReturn:
    """Serve: ``python -c '...main()' AGENT_PID CONTROL_FD TASKS_FD FOLDER MODULE...``."""
    agent_pid, control_fd, tasks_fd, folder, *modules = sys.argv[1:]
    control, tasks = socket.socket(fileno=int(control_fd)), socket.socket(fileno=int(tasks_fd))
    for ours in (control, tasks):
        ours.set_inheritable(False)  # by commands that children become
    die_with_parent(int(agent_pid))
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    learn(modules)
    serve(control, tasks, folder)
    end_descendants()
    os._exit(0)


def learn(modules: Iterable[str]) -> None:
    """Import what tasks need, and keep it in pages that forks share."""
    for module in modules:
        with contextlib.suppress(Exception):  # a task that needs it will say what is wrong with it
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # this process is ours alone


def serve(control: socket.socket, tasks: socket.socket, folder: str) -> None:
    """Fork when asked, learn when asked, report the dead, until the agent is gone."""
    learned = mmap.mmap(-1, 1)  # children see in it that there is more to know than they were born with
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                woken.recv(4096)
        bury(control)
        if control in ready:
            asked, fds, _, _ = socket.recv_fds(control, ASKED_MOST, 2)
            if not asked:
                return
            if asked.startswith(LEARN):
                learn(asked[len(LEARN) :].decode().split())
                learned[0] = (learned[0] + 1) % 256
                control.send(NEWS.pack(LEARNED, 0, 0))
                continue
            own, prints = socket.socket(fileno=fds[0]), fds[1]
            own.set_inheritable(False)
            pid = fork()
            if pid == 0:
                for inherited in (control, woken, waker):
                    inherited.close()
                become_child(tasks, own, prints, folder, asked == SPARE, learned)
            own.close()
            os.close(prints)
            control.send(NEWS.pack(BORN, pid, 0))


def fork() -> int:
    """Fork; the child leads a session of its own, hears signals as any process does, and dies with the zygote."""
    zygote_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        die_with_parent(zygote_pid)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return pid


def bury(control: socket.socket) -> None:
    """Report every child that has ended, when what it left behind in its group has ended too; orphans are only buried."""
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(dead.si_pid, signal.SIGKILL)  # nobody can have its number yet
            pid, status = os.waitpid(dead.si_pid, 0)
        except ChildProcessError:
            return
        control.send(NEWS.pack(EXITED, pid, status))


def become_child(
    tasks: socket.socket, own: socket.socket, prints: int, folder: str, spare: bool, learned: mmap.mmap
) -> NoReturn:
    """Go on as a child until the agent is gone, or it is idle and not wanted any more: a spare one, or one that knows too little."""
    status, knew = 1, learned[0]
    try:
        Child(tasks, own, prints, folder, lambda: not spare and learned[0] == knew).run()
        status = 0
    finally:
        os._exit(status)


def adopt_orphans() -> None:
    """Ask Linux that whatever descends from this process, and loses its parent, is buried here."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> None:
    """Kill all that descends from this process, daemons that were adopted too."""
    for pid in list(family(os.getpid()))[1:]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def die_with_parent(parent_pid: int) -> None:
    """Ask Linux to kill this process when its parent dies, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before we could ask
            os._exit(1)
