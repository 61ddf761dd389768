"""Kept: executors in a process beside the Dask worker, as their agent sees them: used as ``tasks.executors.Executors`` is.

The agent's first step is to look for a keeper that an agent of its name on this cluster has left, on this machine, and to
take it over with all that runs there; where there is none it starts one. ``listen`` is called when the agent is ready to
hear. A keeper that dies takes all of its tasks along; another one is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import pickle
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from multiprocessing import AuthenticationError
from pathlib import Path
from typing import Any

from mesonb.core.resources import NOTHING, Resources
from mesonb.errors import BadValue
from mesonb.live.limits.isolation import Module
from mesonb.live.outlive.keeper import FUNCTIONS, SOCKET, Plan
from mesonb.live.outlive.passing import Message, Passing, dial
from mesonb.live.tasks.child import FAILED, STARTED
from mesonb.live.tasks.functions import Functions

logger = logging.getLogger("mesonb")

#: A keeper may take so long to start, and to end.
START_S, END_S = 30.0, 3.0
#: So long after a keeper was started the one that it replaces, if it does, has ended for good.
REAP_S = 1.0
#: One that dies before it is ready, be it one that was there, is replaced so often.
TRIES = 2
#: Linux has no longer names for sockets.
PATH_MOST = 100


class Told:
    """What a keeper says of the limits that it keeps its tasks to: as much of a ``Warden`` as an agent asks for."""

    def __init__(self) -> None:
        self.running: dict[int, int] = {}  #: the pid in which each task runs, by its number
        self.reasons: dict[int, str] = {}
        self.report: list[Module] = []
        self.around: list[str] = []

    @property
    def isolation(self) -> Told:
        """Its isolation, of which the report is told, and what is around every command."""
        return self

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return the command inside everything that has to be around it from its start."""
        return [*self.around, *command]

    def why_failed(self, number: int, because: str) -> str:
        """Return why a task failed."""
        return self.reasons.pop(number, because)


class Kept(Functions):
    """The executors of one agent, in another process; on the loop of its Dask worker."""

    def __init__(
        self, plan: Plan, on_said: Callable[[int, int, bytes], None], on_died: Callable[[int, str, bool], None],
        on_printed: Callable[[int, int, bytes], None], on_asked: Callable[[int, bytes], tuple[bytes, int | None] | None],
        describe: Callable[[int], Message],
    ) -> None:  # fmt: skip
        self.plan, self.identity = plan, plan.identity
        self.folder = plan.folder
        self.functions = plan.folder / FUNCTIONS
        self.warden = Told()
        self.found: list[
            tuple[int, Message, bool]
        ] = []  #: tasks that ran here before: number, about, whether they have begun
        self.pid, self.highest, self.leader_id = 0, 0, ""
        self._on_said, self._on_died, self._on_printed = on_said, on_died, on_printed
        self._on_asked, self._describe = on_asked, describe
        self._passing: Passing | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early: list[tuple[Message, int | None]] | None = []  #: heard before the agent was ready to
        self._unsaid: list[Message] = []  #: while there is no keeper
        self._unended: set[int] = set()
        self._tries = TRIES
        self._closed = False

    async def open(self) -> None:
        """Take over the keeper that is there, or start one."""
        loop = asyncio.get_running_loop()
        own = await loop.run_in_executor(None, self._find)
        self._connect(own or self._start())
        await asyncio.wait_for(asyncio.shield(self._ready), START_S)

    def listen(self) -> None:
        """From now on the agent hears what it is told, and first of all what it was told already."""
        early, self._early = self._early or [], None
        for message, fd in early:
            self._hear(message, fd)

    # -- as executors -----------------------------------------------------------------------------------------------

    def run(self, number: int, digest: bytes, arguments: bytes, needs: Resources = NOTHING) -> None:
        """Queue a task; its function was given to ``learn`` before."""
        self._unended.add(number)
        self._say("run", number, digest, arguments, needs.plain(), self._describe(number))

    def preload(self, modules: Iterable[str]) -> None:
        """Have children find these modules imported, from now on."""
        self._say("preload", list(modules))

    def kill(self, number: int) -> bool:
        """End a task; ``on_died`` says when it is dead."""
        self._say("kill", number)
        return False

    def answer(self, number: int, answer: bytes, fd: int | None) -> None:
        """Answer a task that had to wait."""
        self._say("answer", number, answer, fd=fd)

    def forget(self, number: int) -> None:
        """The master knows how a task ended: it is not to be told to anybody again."""
        self._say("forget", number)

    def led_by(self, leader_id: str) -> None:
        """Note who leads, for the next agent."""
        self._say("leader", leader_id)

    def close(self) -> None:
        """End everything, and wait until it is gone."""
        self._closed = True
        if self._passing:
            self._passing.send("close")
            self._passing.finish(END_S)

    # -- the keeper -------------------------------------------------------------------------------------------------

    def _find(self) -> socket.socket | None:
        """Dial the keeper that an agent of this name has left; nothing if there is none that believes us, and is to be believed."""
        try:
            return dial(self.folder / SOCKET, self.plan.secret)
        except (OSError, EOFError, AuthenticationError) as error:
            if not isinstance(error, FileNotFoundError | ConnectionRefusedError):
                logger.warning("no executors are taken over at %s: %r", self.folder, error)
            return None

    def _start(self) -> socket.socket:
        for folder in (self.folder, self.folder / FUNCTIONS):
            _private(folder)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with (self.folder / "log").open("wb") as log:
            starting = subprocess.Popen(
                [sys.executable, "-c", "from mesonb.live.outlive.keeper import main; main()", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        theirs.close()
        assert starting.stdin
        with contextlib.suppress(BrokenPipeError), starting.stdin as told:
            pickle.dump(replace(self.plan, identity=self.identity), told, protocol=5)
        _STARTED.append(starting)
        asyncio.get_running_loop().call_later(REAP_S, _reap)
        return ours

    def _connect(self, own: socket.socket) -> None:
        self._passing = Passing(own, self._hear, self._keeper_died)
        unsaid, self._unsaid = self._unsaid, []
        for message in unsaid:
            self._passing.send(*message)

    def _keeper_died(self) -> None:
        """All that it kept has died with it, by the signal that Linux sends: start again."""
        self._passing = None
        if self._closed:
            return
        if not self._ready.done() and self._tries:
            self._tries -= 1
            self._connect(self._start())
            return
        if not self._ready.done():
            said = (self.folder / "log").read_text(errors="replace")[-1000:]
            self._ready.set_exception(BadValue(f"the process that is to keep its executors does not start: {said}"))
            return
        gone, self._unended = self._unended, set()
        self.warden.running.clear()
        self._connect(self._start())
        for number in gone:
            died = "died", number, "the process that kept its executors has died", False
            if self._early is None:
                self._take(died, None)
            else:
                self._early.append((died, None))  # the agent is still to hear that it runs

    def _say(self, *message: Any, fd: int | None = None) -> None:
        if self._passing:
            self._passing.send(*message, fd=fd)
        elif fd is None:
            self._unsaid.append(message)

    def _hear(self, message: Message, fd: int | None) -> None:
        if message[0] == "ready":
            self._begin(*message[1:])
        elif self._early is not None:
            self._early.append((message, fd))
        else:
            self._take(message, fd)

    def _begin(
        self, pid: int, identity: Any, leader_id: str, highest: int, report: list[tuple[str, bool, str]],
        around: list[str], known: list[tuple[int, Message, int]],
    ) -> None:  # fmt: skip
        """Take note of what the keeper has, which is nothing if it was started just now."""
        self.pid, self.leader_id, self.highest = pid, leader_id, highest
        self._note(report)
        self.warden.around = around
        if not self._ready.done():
            self.identity = identity
            self.found = [(number, about, bool(pid)) for number, about, pid in known]
            self._unended |= {number for number, _, _ in known}
            self.warden.running |= {number: pid for number, _, pid in known if pid}
            self._ready.set_result(None)

    def _note(self, report: list[tuple[str, bool, str]]) -> None:
        self.warden.report = [Module(*line) for line in report]

    def _take(self, message: Message, fd: int | None) -> None:
        match message:
            case ("said", number, kind, content, pid) if kind == STARTED:
                self.warden.running[number] = pid
                self._on_said(number, kind, content)
            case ("said", number, kind, content, because):
                self._ended(number, kind, content, because, fd)
            case ("died", number, because, lost):
                self._over(number)
                self._on_died(number, because, lost)
            case ("printed", number, skipped, content):
                self._on_printed(number, skipped, content)
            case ("asked", number, question):
                if answer := self._on_asked(number, question):
                    self.answer(number, *answer)
            case ("report", report):
                self._note(report)
            case ("superseded",):
                self._closed = True  # another worker has this agent's name, and its executors
                logger.warning("another Dask worker has taken over the executors of this one")
            case _:
                raise ValueError(f"{message[0]!r} is nothing that a keeper says")

    def _ended(self, number: int, kind: int, content: bytes, because: str, fd: int | None) -> None:
        if kind == FAILED:
            self.warden.reasons[number] = because
        self._on_said(number, kind, content if fd is None else b"%d" % fd)
        self._over(number)

    def _over(self, number: int) -> None:
        self._unended.discard(number)
        self.warden.running.pop(number, None)
        self.warden.reasons.pop(number, None)


def place(secret: bytes, agent: str) -> Path:
    """Return the folder of the keeper of one agent on this machine, made if need be: private, and named so that nobody guesses it."""
    root = Path(tempfile.gettempdir())
    if len(str(root)) > PATH_MOST // 2:
        root = Path("/tmp")  # noqa: S108 - the folder in it is looked at
    ours = _private(root / f"mesonb-{os.getuid()}")
    return _private(ours / hashlib.blake2b(agent.encode(), key=secret, digest_size=8).hexdigest())


def _private(folder: Path) -> Path:
    """Make a folder, or look at the one that is there: BadValue if others can look into it, or own it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise BadValue(f"{folder} is no folder of this user's alone: remove it, or chmod 700 it if it is yours")
    return folder


def _reap() -> None:
    """Leave no keeper that has ended in the table of processes."""
    _STARTED[:] = [starting for starting in _STARTED if starting.poll() is None]


#: Keepers started by this process; kept so that Python does not warn about them: they are meant to outlive it.
_STARTED: list[subprocess.Popen[bytes]] = []
