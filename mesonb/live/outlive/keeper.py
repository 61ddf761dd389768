"""Keeper: the process in which executors live that are to outlive their Dask worker. It knows no Dask.

It does what the executors' own agent would do with them, isolation included, and keeps of each task what the agent knows of
it, what it printed last, and how it ended, until the agent says that its master knows. When the agent is gone it goes on,
and listens in a folder that only this user can open for the next one, which has to know the cluster's secret; that one is
told everything. Where none comes in time, all that runs here is ended, and nothing is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from pathlib import Path
from typing import Any

from mesonb.core.resources import Resources
from mesonb.frameworks.output import KEPT_BYTES, Outputs
from mesonb.live.limits.isolation import choose
from mesonb.live.outlive.passing import Message, Passing, admit
from mesonb.live.tasks.child import FAILED, LARGE, STARTED
from mesonb.live.tasks.executors import Executors
from mesonb.live.tasks.running import said_of_failure

#: The socket that the next agent dials, in the keeper's folder; and where functions are.
SOCKET, FUNCTIONS = "socket", "functions"
#: What an agent does not read of what tasks print is left out beyond this.
UNREAD_BYTES = 8_000_000
#: How often it is looked whether isolation has something new to report.
REPORT_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a keeper is told when it begins."""

    identity: tuple[
        str, Any, Path
    ]  #: who the agent is, what it offers, where its sandboxes are; the next one goes on under the same
    folder: Path
    secret: bytes
    wait_s: float  #: how long to wait for the next agent
    warm: int
    modules: Sequence[str]
    isolation: Sequence[str]
    variables: Mapping[str, str]


@dataclass(slots=True)
class Entry:
    """What is kept of one task."""

    about: Message  #: the agent's own, and handed to the next one as it came
    pid: int = 0  #: 0 before it has begun
    asked: bytes | None = None  #: its question that is not answered yet
    ended: Message | None = None  #: the message that says how
    parcel: int | None = None  #: its result, if that is large
    unsaid_bytes: int = 0  #: printed, and not told because the agent did not read


class Keeper:
    """Keeps the executors of one agent after another; on the loop of its process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._loop = asyncio.get_running_loop()
        self._entries: dict[int, Entry] = {}
        self._outputs = Outputs()
        self._highest = 0
        self._leader = ""
        self._passing: Passing | None = None
        self._giving_up: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        (plan.folder / SOCKET).unlink(missing_ok=True)
        self.executors = Executors(
            plan.folder / FUNCTIONS, plan.warm, plan.modules, self._said, self._died, choose(plan.isolation), self._printed,
            self._asked, plan.variables,
        )  # fmt: skip
        self._reported = self._report()

    async def stay(self, agent: socket.socket) -> None:
        """Serve this agent, and those that follow it, until one says close or none comes."""
        door = socket.socket(socket.AF_UNIX)
        door.setblocking(False)
        with door:
            door.bind(str(self.plan.folder / SOCKET))
            door.listen()
            self._serve(agent)
            listening = asyncio.ensure_future(self._listen(door))
            looking = asyncio.ensure_future(self._look())
            await self._over.wait()
            listening.cancel()
            looking.cancel()
        self._end()
        if self._passing:
            self._passing.close()  # that it ends says that all are gone

    def _end(self) -> None:
        """End all that runs here, and leave nothing; an agent that comes now finds its folder free for another keeper."""
        aside = self.plan.folder.with_name(f"{self.plan.folder.name}-{os.getpid()}")
        with contextlib.suppress(OSError):
            self.executors.folder = self.plan.folder.rename(aside) / FUNCTIONS
        self.executors.close()
        for left in self.plan.identity[2].glob(f"*-{os.getpid()}"):
            shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)

    async def _listen(self, door: socket.socket) -> None:
        while True:
            agent, _ = await self._loop.sock_accept(door)
            try:
                await self._loop.run_in_executor(None, admit, agent, self.plan.secret)
            except (OSError, EOFError, AuthenticationError) as error:
                print(f"somebody who dialled was not let in: {error!r}", file=sys.stderr, flush=True)  # noqa: T201 - its log
                agent.close()
            else:
                self._serve(agent)

    async def _look(self) -> None:
        """Say what isolation reports, when that has changed."""
        while True:
            await asyncio.sleep(REPORT_S)
            if (report := self._report()) != self._reported:
                self._reported = report
                self._tell("report", report)

    def _report(self) -> list[tuple[str, bool, str]]:
        return [(module.name, module.applied, module.says) for module in self.executors.warden.isolation.report]

    # -- agents -----------------------------------------------------------------------------------------------------

    def _serve(self, agent: socket.socket) -> None:
        """Tell an agent everything; the one before it, if it is still there, is told to do no more."""
        if self._passing:
            self._passing.send("superseded")
            self._passing.finish(0.1)
        if self._giving_up:
            self._giving_up.cancel()
        self._passing = Passing(agent, self._take, self._alone)
        around = self.executors.warden.isolation.wrap(())
        known = [(number, entry.about, entry.pid) for number, entry in self._entries.items()]
        self._tell("ready", os.getpid(), self.plan.identity, self._leader, self._highest, self._report(), around, known)
        for number, entry in self._entries.items():
            self._tell_all(number, entry)

    def _tell_all(self, number: int, entry: Entry) -> None:
        start, content = self._outputs.since(str(number), 0, KEPT_BYTES)
        if content:
            self._tell("printed", number, start, content)
        entry.unsaid_bytes = 0
        if entry.ended:
            self._tell(*entry.ended, fd=entry.parcel)
        elif entry.asked is not None:
            self._tell("asked", number, entry.asked)

    def _alone(self) -> None:
        """The agent is gone: wait for the next."""
        self._passing = None
        self._giving_up = self._loop.call_later(self.plan.wait_s, self._over.set)

    def _tell(self, *message: Any, fd: int | None = None) -> None:
        if self._passing:
            self._passing.send(*message, fd=fd)

    def _take(self, message: Message, fd: int | None) -> None:
        match message:
            case ("run", number, digest, arguments, needs, about):
                self._run(number, digest, arguments, Resources.of_plain(needs), about)
            case ("kill", number):
                if number in self._entries and self.executors.kill(number):
                    self._died(number, "", False)
            case ("answer", number, answer):
                self._answer(number, answer, fd)
            case ("forget", number):
                self._forget(number)
            case ("preload", modules):
                self.executors.preload(modules)
            case ("leader", leader_id):
                self._leader = leader_id
            case ("close",):
                self._over.set()
            case _:
                raise ValueError(f"{message[0]!r} is nothing that an agent says")

    def _run(self, number: int, digest: bytes, arguments: bytes, needs: Resources, about: Message) -> None:
        self._highest = max(self._highest, number)
        self._entries[number] = Entry((digest, arguments, *about))
        try:
            self.executors.run(number, digest, arguments, needs)
        except OSError as error:
            self._died(number, f"its arguments cannot be written down: {error}", False)

    def _answer(self, number: int, answer: bytes, fd: int | None) -> None:
        if entry := self._entries.get(number):
            entry.asked = None
        self.executors.answer(number, answer, fd)
        if fd is not None:
            os.close(fd)

    def _forget(self, number: int) -> None:
        self._outputs.forget(str(number))
        if (entry := self._entries.pop(number, None)) and entry.parcel is not None:
            os.close(entry.parcel)

    # -- what the executors say -------------------------------------------------------------------------------------

    def _said(self, number: int, kind: int, content: bytes) -> None:
        entry = self._entries.get(number)
        if entry is None:
            if kind == LARGE:
                os.close(int(content))
            return
        if kind == STARTED:
            entry.pid = self.executors.warden.running.get(number, 0)
            self._tell("said", number, kind, b"", entry.pid)
            return
        because = self.executors.warden.why_failed(number, said_of_failure(content)) if kind == FAILED else ""
        if kind == LARGE:
            entry.parcel, content = int(content), b""
        entry.ended = "said", number, kind, content, because
        self._tell(*entry.ended, fd=entry.parcel)

    def _died(self, number: int, because: str, lost: bool) -> None:
        if entry := self._entries.get(number):
            entry.ended = "died", number, because, lost
            self._tell(*entry.ended)

    def _printed(self, number: int, skipped: int, content: bytes) -> None:
        if entry := self._entries.get(number):
            self._outputs.add(str(number), skipped, content)
            if self._passing is None or self._passing.waiting_bytes > UNREAD_BYTES:
                entry.unsaid_bytes += skipped + len(content)
            else:
                self._tell("printed", number, entry.unsaid_bytes + skipped, content)
                entry.unsaid_bytes = 0

    def _asked(self, number: int, question: bytes) -> None:
        if entry := self._entries.get(number):
            entry.asked = question
            self._tell("asked", number, question)


async def keep(plan: Plan, agent: socket.socket) -> None:
    """Keep."""
    await Keeper(plan).stay(agent)


def main() -> None:
    """Serve: ``python -c '...main()' SOCKET_FD``, with the plan on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    agent = socket.socket(fileno=int(sys.argv[1]))
    agent.set_inheritable(False)  # by what it starts, or its end would not be noticed
    asyncio.run(keep(pickle.load(sys.stdin.buffer), agent))
