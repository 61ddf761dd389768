"""Agent: a worker plugin that makes a Dask worker a Mesos agent, named by the worker's *name*, which outlives its address.

It joins whoever leads, runs what it is told to in its executors, and reports. The last update of a task is kept until
the master has acknowledged it, and said again whenever a leader is told of. Tasks run on when there is no leader; one
that is new here is handed their cargo too. Every message that it takes is listed in ``_take``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import secrets
import socket
import sys
import uuid
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from mesonb.core.resources import Resources
from mesonb.errors import MesonbError
from mesonb.live.beside import PlainTasks
from mesonb.live.declaring import declaration
from mesonb.live.holdings import Holdings
from mesonb.live.limits.size import offered
from mesonb.live.limits.usage import EVERY_S, Usage
from mesonb.live.outlive.choosing import executors_of, outlives_us, take_over
from mesonb.live.outlive.kept import Kept
from mesonb.live.table import About, Task, Waiting
from mesonb.live.tasks.child import FAILED, LARGE, STARTED
from mesonb.live.tasks.inputs import Lost, split
from mesonb.live.tasks.printing import Teller
from mesonb.live.tasks.running import said_of_failure
from mesonb.live.wire.comms import HUB, KERNEL, LEADER, Message, Peer, dial
from mesonb.live.wire.leaving import Departure
from mesonb.live.wire.versions import ours

logger = logging.getLogger("mesonb")

NAME = "mesonb-agent"
#: ``running`` is reported so late, so that a task which ends before is reported once.
RUNNING_HELD_S = 0.005
REDIAL_MOST_S = 2.0
#: So much of what a process printed before it died is part of its error.
LAST_LINES = 20


class Agent(WorkerPlugin):
    """The plugin. Registering it again changes nothing: setting it up anew would kill everybody's tasks."""

    idempotent = True
    name = NAME
    _plain: PlainTasks | None = None  #: before it is set up
    kept: Kept | None = None  #: its executors, where they outlive it

    def __init__(self) -> None:
        #: Known to the workers of this cluster alone, which get it from the Dask scheduler.
        self.secret = secrets.token_bytes(32)

    async def setup(self, worker: Any) -> None:
        """Start the executors and go to the hub; a late worker is set up exactly so, and what fails there is said here."""
        self.worker = worker
        try:
            await self._set_up(worker)
        except Exception as error:
            self._staying = asyncio.ensure_future(self._say_why(f"{type(error).__name__}: {error}"))
            raise

    async def _say_why(self, because: str) -> None:
        """Tell the leader why this worker is no agent: Dask writes it to the worker's log alone."""
        with contextlib.suppress(MesonbError):
            peer = await self._dial()
            peer.send(LEADER, ("no agent", because))
            await peer.close()

    async def _set_up(self, worker: Any) -> None:
        self.agent = agent_name(worker)
        self.joins = offered(declaration(worker, self.agent))
        self.id = uuid.uuid4().hex  #: tells this agent from the next of its name
        self.leader_id = ""
        self.tasks: dict[str, Task] = {}
        self.by_number: dict[int, Task] = {}
        self.waiting = Waiting(self.tasks, self._begin)
        self._count = 0
        self._held: list[Task] = []  #: running, not reported yet
        self._loop = asyncio.get_running_loop()
        self._peer: Peer | None = None
        folder = Path(worker.local_directory) / "mesonb"  # Dask removes it when this worker is dead
        self.teller = Teller(partial(self._send_to, LEADER))
        self.holdings = Holdings(self, folder.parents[1] if outlives_us() else folder.parent)
        self.executors, self.kept = await executors_of(self, folder)
        if self.kept:
            take_over(self, self.kept)
        self._plain = PlainTasks(worker, partial(self._send_to, LEADER))
        self._departure = Departure(worker, self.tasks, partial(self._send_to, LEADER))
        self._usage = Usage([os.getpid(), self.kept.pid] if self.kept else ())
        self._staying = asyncio.ensure_future(self._stay())
        self._looking = asyncio.ensure_future(self._look())

    def transition(self, key: Any, start: Any, finish: Any, **_: Any) -> None:
        """Hear that one of Dask's own tasks goes on; called by the Dask worker."""
        if self._plain:
            self._plain.changed()

    async def teardown(self, worker: Any) -> None:
        """Leave, with everything that runs."""
        self._staying.cancel()
        self._looking.cancel()
        if self.kept:
            self._send_to(LEADER, ("ends",))
        if self._peer:
            await self._peer.close()
        self.executors.close()
        await self.holdings.close()

    async def _stay(self) -> None:
        """Be attached to the hub for as long as this worker lives."""
        wait_s = 0.05
        while True:
            try:
                self._peer = await self._dial()
                wait_s = 0.05
                await self._peer.read()
            except MesonbError as error:
                logger.warning("%s is not at the hub: %s", self.agent, error)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, REDIAL_MOST_S)

    async def _dial(self) -> Peer:
        introduction = {
            "kind": "agent", "name": agent_name(self.worker), "address": self.worker.address, "outlives_us": outlives_us(),
        }  # fmt: skip
        arguments = self.worker.security.get_connection_args("worker")
        return await dial(self.worker.scheduler.address, arguments, introduction, self._take)

    async def _look(self) -> None:
        """Report once a second what tasks use, and what the agent itself costs; looked at on another thread."""
        while True:
            await asyncio.sleep(EVERY_S)
            running = {
                task.id: pid
                for number, pid in self.executors.warden.running.items()
                if (task := self.by_number.get(number))
            }
            used = await self._loop.run_in_executor(None, self._usage.look, running)
            amounts = {task: one.amounts for task, one in used.items()}
            itself = self._usage.overhead.amounts
            itself["mem"] += self.holdings.stores.size_bytes
            self._send_to(LEADER, ("used", amounts, itself))

    # -- what it is told --------------------------------------------------------------------------------------------

    def _take(self, _: str, message: Message) -> None:
        match message:
            case ("launch", task, digest, function, arguments, about, after):
                self._launch(task, digest, function, arguments, about, after)
            case ("withdraw", task):
                self._withdraw(task)
            case ("kill", task):
                self._kill(task)
            case ("ack", acknowledged):
                for task in acknowledged:
                    self._forget(task)
            case ("ping",):
                self._send_to(HUB, ("pong",))
            case ("leader", _, leader_id):
                self._join(leader_id)
            case ("hand over", tasks):
                self._hand_over(tasks)
            case ("drop", tasks):
                self._drop(tasks)
            case ("not allowed", because):
                logger.warning("the hub refuses what %s said: %s", self.agent, because)
            case ("draining",):
                self._departure.heard()
            case ("let go", keys):
                self.holdings.results.let_go(keys)
            case ("keep", keys):
                self.holdings.results.keep(keys)
            case ("preload", modules):
                self.executors.preload(modules)
            case ("left", frameworks):
                self.holdings.left(frameworks)
            case _:
                raise ValueError("no such message")

    def _join(self, leader_id: str) -> None:
        """Introduce itself to a leader, with what runs here; one that is new here is handed the cargo of that before."""
        if leader_id != self.leader_id:
            if self.leader_id:
                self.holdings.results.doubt(self.tasks)
            self.leader_id = leader_id
            if self.kept:
                self.kept.led_by(leader_id)
            self._hand_over(list(self.tasks))
        table = [(task.id, task.state, *task.about, task.after) for task in self.tasks.values()]
        self._send_to(LEADER, ("join", self._introduction(), table))
        self.teller.again()
        self._send_to(LEADER, *[task.update for task in self.tasks.values() if task.update])

    def _hand_over(self, names: list[str]) -> None:
        tasks = [self.tasks[name] for name in names if name in self.tasks]
        if tasks:
            functions = {digest: self.executors.function(digest) for digest in {task.digest for task in tasks}}
            self._send_to(LEADER, ("cargo", functions, [(task.id, task.digest, task.arguments) for task in tasks]))

    def _introduction(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "joins": self.joins,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "group": os.getpgrp(),
            "isolation": [
                (module.name, module.applied, module.says) for module in self.executors.warden.isolation.report
            ],
            "versions": ours(),
            "leaving": self._departure.grace_us,
            "holds": self.holdings.frameworks,
            "outlives_us": outlives_us(),
            "plain": self._plain.running if self._plain else 0,
        }

    def _launch(
        self, task: str, digest: bytes, function: bytes | None, arguments: bytes, about: About, after: str
    ) -> None:
        self._count += 1
        made = self.tasks[task] = self.by_number[self._count] = Task(self._count, task, digest, arguments, about)
        if self._learn(made, function) and not (after and self.waiting.takes(made, after)):
            self._begin(made)

    def _begin(self, task: Task) -> None:
        keys, arguments = split(task.arguments)
        if keys:
            task.holds = True
            task.waits = asyncio.ensure_future(self._launch_with(task, keys, arguments))
        else:
            self._run(task, arguments)

    def _learn(self, task: Task, function: bytes | None) -> bool:
        """Keep a function; False, and the task has failed, if there is no room for it or an earlier one was not kept."""
        try:
            if function is not None:
                self.executors.learn(task.digest, function)
        except OSError as error:
            self._ended(task, "failed", f"{self.agent} cannot write its function down: {error}", b"")
        return task.update is None

    async def _launch_with(self, task: Task, keys: list[Any], arguments: bytes) -> None:
        """Fetch what a task needs from where it is; then run it, unless it was killed meanwhile."""
        try:
            await self.holdings.inputs.fetch(task.number, keys)
        except Exception as error:  # noqa: BLE001 - whatever it is, this task alone fails for it
            because = str(error) if isinstance(error, Lost) else f"its arguments cannot be fetched: {error!r}"
            if task.update is None:
                self._ended(task, "failed", because, b"")
        else:
            if task.update is None and task.id in self.tasks:
                self._run(task, arguments)

    def _run(self, task: Task, arguments: bytes) -> None:
        try:
            self.executors.run(task.number, task.digest, arguments, _needs(tuple(task.about[2].items())))
        except OSError as error:
            self._ended(task, "failed", f"{self.agent} cannot write its arguments down: {error}", b"")

    def _kill(self, name: str) -> None:
        task = self.tasks.get(name)
        if task is None:
            self._send_to(LEADER, ("update", name, "lost", "its agent does not know it", b""))
        elif task.update is None:
            task.killing = True
            if task.after or self.executors.kill(task.number):
                self._ended(task, "killed", "", b"")

    def _withdraw(self, name: str) -> None:
        """Give a task back that was launched ahead, unless it has begun."""
        if (task := self.tasks.get(name)) and task.after and task.update is None:
            self._ended(task, "lost", "it was withdrawn", b"")

    def _forget(self, name: str) -> None:
        if task := self.tasks.pop(name, None):
            self.by_number.pop(task.number, None)
            self.teller.forget(name)
            if self.kept:
                self.kept.forget(task.number)
            self.holdings.over(task)

    def _drop(self, names: list[str]) -> None:
        """End tasks of which nobody wants to hear any more."""
        for name in self.waiting.dropped(names):
            if (task := self.tasks.get(name)) and task.update is None and not task.after:
                self.executors.kill(task.number)
            self._forget(name)
            self.waiting.over(name)

    # -- what it reports --------------------------------------------------------------------------------------------

    def _said(self, number: int, kind: int, content: bytes) -> None:
        """Hear from a child how a task goes on."""
        task = self.by_number.get(number)
        if task is None or task.update:
            if kind == LARGE:
                os.close(int(content))
            return
        if kind == STARTED:
            task.started = True
            if not self._held:
                self._loop.call_later(RUNNING_HELD_S, self._report_running)
            self._held.append(task)
        elif kind == FAILED:
            because = self.executors.warden.why_failed(number, said_of_failure(content))
            because += self.holdings.sandboxes.trouble(task.id)
            self._ended(task, "failed", because, content)
        elif kind == LARGE:
            task.waits = asyncio.ensure_future(self._publish(task, int(content)))
        else:
            self._ended(task, "finished", "", content)

    async def _publish(self, task: Task, fd: int) -> None:
        """Report the end of a task whose result is large when that is where plain Dask finds it."""
        try:
            mark = await self.holdings.results.publish(task.id, task.about[0], fd)
        except Exception as error:  # noqa: BLE001 - no memory, or no Dask scheduler
            if task.update is None:
                self._ended(task, "failed", f"its result cannot be kept on {self.agent}: {error!r}", b"")
        else:
            if task.update is None:
                self._ended(task, "finished", "", mark.packed())
            if task.id not in self.tasks:
                self.holdings.results.let_go([mark.key])

    def _printed(self, number: int, skipped: int, content: bytes) -> None:
        if task := self.by_number.get(number):
            self.teller.add(task.id, skipped, content)

    def _died(self, number: int, because: str, lost: bool) -> None:
        task = self.by_number.get(number)
        if task and task.update is None:
            state = "killed" if task.killing else "lost" if lost else "failed"
            because = "" if task.killing else because + self.holdings.sandboxes.trouble(task.id)
            self._ended(task, state, because, self._last_words(task, because) if state == "failed" else b"")

    def _last_words(self, task: Task, because: str) -> bytes:
        """Return what a process printed before it died, as the traceback that it could not send."""
        lines = self.teller.kept.read(task.id).lines[-LAST_LINES:]
        return pickle.dumps((because, "\n".join(["last printed:", *lines]), b""), protocol=5) if lines else b""

    def _ended(self, task: Task, state: str, because: str, content: bytes) -> None:
        task.update = ("update", task.id, state, because, content)
        self.teller.last_words(task.id)
        self.holdings.over(task)
        self._send_to(LEADER, task.update)
        self.waiting.over(task.id)

    def _report_running(self) -> None:
        held, self._held = self._held, []
        self._send_to(LEADER, *[("update", task.id, "running", "", b"") for task in held if task.update is None])

    def _send_to(self, whom: str, *messages: Message) -> None:
        if self._peer and messages:
            self._peer.send(whom, *messages)


@lru_cache(maxsize=1000)
def _needs(written: tuple[tuple[str, int | str], ...]) -> Resources:
    """Read what a task needs; most tasks need what the one before did."""
    return Resources.of_plain(dict(written))


def agent_name(worker: Any) -> str:
    """Name an agent by its worker's name; Dask's own default names are numbers."""
    name = str(worker.name)
    return f"agent-{name}" if name.isdecimal() or name.startswith(KERNEL) else name


assert sys.platform != "win32", "executors need fork; on Windows use a Simulation, or a cluster on Linux"
