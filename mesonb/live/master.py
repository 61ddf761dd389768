"""Master: the live session. One core, stepped on a loop thread of its own; agents on Dask workers; a thread a framework.

A turn of the loop takes everything that was posted, then ticks once if time has made something due. Events for agents
go to the hub, those for a framework to its mailbox, each as one batch a turn. Nothing here blocks, and nothing that a
notebook cell may have written runs here, except an allocator; what that raises is a complaint, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import time
import traceback
import uuid
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from mesonb.core import calls, events
from mesonb.core.allocator import Allocator
from mesonb.core.books import Settings
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, Unreachable, VersionMismatch
from mesonb.frameworks.base import Framework
from mesonb.frameworks.driver import Complaint, Driver
from mesonb.live.cargo import Cargo
from mesonb.live.cluster import Local, find_or_start, sizes
from mesonb.live.comms import HUB, Message
from mesonb.live.link import Link, address_of
from mesonb.live.loop import LoopThread
from mesonb.live.mailbox import Mail, Mailbox
from mesonb.live.roster import Roster
from mesonb.session import Session

#: How long a cluster may take to be looked at and given its plugins.
ATTACH_S = 60
#: How long a cluster may take to end, and a link to close.
GONE_S = 5
#: Shares are noted at most so often, and slow callbacks looked for.
NOTE_S = 0.05
LOOK_S = 0.25
#: An offer that comes back at once is made again not before this, so that a loop of declines leaves time for the rest.
AGAIN_S = 0.001
#: After an allocator raised, the next cycle waits so long.
SULK_S = 1.0


class Master(Session):
    """A master of real agents: ``Master()`` for a local cluster, ``Master(client_or_address)`` for any Dask cluster.

    ``agents`` is a number of equal agents or a list of their resources, for a local cluster only; ``name`` tells several
    local clusters apart.
    """

    kind = "master"
    _open: ClassVar[dict[str, Any]] = {}  #: the masters of this process, by cluster
    _made_with: dict[str, object]
    local: Local | None  #: the local cluster, where it is one
    _link: Link

    def __new__(cls, cluster: Any = None, **kwargs: object) -> Self:
        """Return this process's master of that cluster, where there is one."""
        open_one = cls._open.get(_key(cluster, str(kwargs.get("name", ""))))
        if open_one is None:
            made = super().__new__(cls)
            made._made_with = kwargs
            return made
        if any(value != open_one._made_with.get(name) for name, value in kwargs.items()):
            raise BadValue(
                f"{open_one!r} leads here already, made with other arguments; close it first: master.close()"
            )
        assert isinstance(open_one, cls)
        return open_one

    def __init__(
        self, cluster: Any = None, *, agents: int | Sequence[Resources] | None = None, name: str = "",
        allocator: Allocator | None = None, offer_size: Resources | None = None, offer_timeout: float | str = "30s",
        seed: int = 0,
    ) -> None:  # fmt: skip
        if hasattr(self, "core"):
            return  # the same one again
        if cluster is not None and agents is not None:
            raise BadValue(
                "agents= declares a local cluster; a Dask cluster that you give has the sizes of its workers"
            )
        self._born_us = time.monotonic_ns() // 1000
        self._inbox: deque[tuple[calls.Call | Message, bytes]] = deque()
        self._awake = True  # nothing is stepped before there is a core
        self._key = _key(cluster, name)
        self._thread = LoopThread("mesonb-master")
        self._loop = self._thread.loop
        try:
            self._reach(cluster, agents, name)
            super().__init__(Settings(seed, parse_duration(offer_timeout), offer_size, self._link.epoch), allocator)
            self._prepare()
            self._thread.call(self._start)
            expected = self.local.agents if self.local else self._thread.wait_for(self._link.expected(), ATTACH_S)
            self._roster.wait_for(expected)
        except BaseException:
            self._unreach()
            raise
        for warning in self._roster.warnings:
            warnings.warn(warning, stacklevel=2)
        Master._open[self._key] = self
        atexit.register(self.close)

    def _reach(self, cluster: Any, agents: int | Sequence[Resources] | None, name: str) -> None:
        """Attach to the cluster; a local one that ends just now is waited for, and another one started."""
        for last in (False, True):
            self.local = find_or_start(sizes(agents), name) if cluster is None else None
            address, security = (self.local.address, None) if self.local else address_of(cluster)
            self._link = Link(address, security, f"master-{os.getpid()}-{uuid.uuid4().hex[:8]}", self._heard)
            try:
                self._thread.wait_for(self._link.attach(), ATTACH_S)
            except Unreachable:
                if last or not self.local or not self.local.gone_within(GONE_S):
                    raise
            else:
                return

    def _unreach(self) -> None:
        with contextlib.suppress(Exception):
            self._thread.wait_for(self._link.close(), GONE_S)
        self._thread.stop()

    def _prepare(self) -> None:
        self.closed = False
        self.cargo: dict[str, Cargo] = {}  #: what was packed and not launched yet, by task
        self._roster = Roster()
        self._boxes: dict[str, Mailbox] = {}
        self._registering: dict[str, deque[Mailbox]] = {}
        self._out: dict[str, list[Mail]] = {}
        self._acks: dict[str, list[str]] = {}
        self._own_complaints: deque[Complaint] = deque(maxlen=100)
        self._timer: asyncio.TimerHandle | None = None
        self._sulks_until = 0.0
        self._linked_us = 0

    # -- Session --------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """Microseconds since this master was made."""
        return time.monotonic_ns() // 1000 - self._born_us

    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls to the core, in order, to be taken at the loop's next turn; callable from any thread."""
        self._inbox.extend([(call, b"") for call in sent])
        if not self._awake:
            self._awake = True
            self._thread.call(self._turn)

    def _driver(self, framework: Framework, name: str, role: str) -> Driver:
        if self.closed:
            raise BadValue("this master is closed; write master = mb.Master() for a new one")
        mailbox = Mailbox(self, name)
        driver = Driver(framework, name, role, mailbox, self.core.settings.seed)
        self._registering.setdefault(name, deque()).append(mailbox)
        mailbox.start(driver)
        return driver

    @property
    def complaints(self) -> list[Complaint]:
        """Callbacks that raised or were slow, and troubles of the master's own, oldest first."""
        return sorted([*super().complaints, *self._own_complaints], key=lambda c: c.at_us)

    def check_needs(self, needs: Resources) -> None:
        """Raise BadValue if there are agents and none is large enough."""
        with self.lock:
            fits = any(needs <= agent.total for agent in self.core.agents.values())
        if not fits:
            super().check_needs(needs)

    def close(self, *, cluster: bool = False) -> None:
        """Give up the lead. Tasks are ended by the next master; ``cluster=True`` ends a local cluster now."""
        if not self.closed:
            self.closed = True
            atexit.unregister(self.close)
            Master._open.pop(self._key, None)
            for mailbox in [*self._boxes.values(), *(box for waiting in self._registering.values() for box in waiting)]:
                mailbox.stop()
            self._unreach()
        if cluster and self.local:
            self.local.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.closed:
            return f"<{self.id}, closed>"
        return f"<{self.id} of {self._link.address}: {len(self.core.agents)} agents, {len(self.core.tasks)} tasks>"

    # -- the loop -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._reading = asyncio.ensure_future(self._stay_linked())
        self._looking = asyncio.ensure_future(self._look_around())
        self._turn()

    def _turn(self) -> None:
        """Take everything that was posted, tick if something is due, send what follows."""
        self._awake = False  # before the inbox is emptied: what is posted from now on wakes the loop again
        inbox = self._inbox
        while inbox:
            item, content = inbox.popleft()
            try:
                if isinstance(item, tuple):
                    self._from_hub(item)
                else:
                    self._take(item, content)
            except Exception as error:  # noqa: BLE001 - one bad call must not stop the others
                self._trouble(type(item).__name__, error)
        self._tick_if_due()
        self._send()

    def _tick_if_due(self) -> None:
        due_us = self.core.next_deadline()
        if due_us is not None and due_us <= self.now_us() and self._loop.time() >= self._sulks_until:
            try:
                self._take(calls.Tick(), b"")
            except Exception as error:  # noqa: BLE001 - an allocator may be a notebook cell's
                self._sulks_until = self._loop.time() + SULK_S
                self._trouble("the allocator", error)
            due_us = self.core.next_deadline()
        self._plan(due_us)

    def _plan(self, due_us: int | None) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if due_us is not None:
            wait_s = max((due_us - self.now_us()) / 1_000_000, AGAIN_S, self._sulks_until - self._loop.time())
            self._timer = self._loop.call_later(wait_s, self._turn)

    def _take(self, call: calls.Call, content: bytes) -> None:
        for event in self._step(call):
            self._route(event, content)

    def _route(self, event: events.Event, content: bytes) -> None:
        match event:
            case events.Launch():
                self._launch(event)
            case events.Kill():
                self._link.send(event.agent, ("kill", event.task))
            case events.Rejected():
                if isinstance(event.call, calls.Subscribe):
                    self._registering[event.call.framework].popleft().stop()
                elif name := getattr(event.call, "framework", ""):
                    self._out.setdefault(name, []).append((event, b""))
            case events.Subscribed():
                self._subscribed(event)
            case _:
                self._out.setdefault(event.framework, []).append((event, content))

    def _send(self) -> None:
        """Deliver what this turn has gathered: one batch a framework, one a agent."""
        out, self._out = self._out, {}
        for name, mail in out.items():
            if box := self._boxes.get(name):
                box.deliver(mail)
        acks, self._acks = self._acks, {}
        for agent, tasks in acks.items():
            self._link.send(agent, ("ack", tasks))

    def _subscribed(self, event: events.Subscribed) -> None:
        """From here on this name's mail is for the newest registration; what came before is for the one before."""
        if before := self._boxes.pop(event.framework, None):
            before.deliver(self._out.pop(event.framework, []))
            before.stop()
        self._boxes[event.framework] = self._registering[event.framework].popleft()
        self._out.setdefault(event.framework, []).append((event, b""))

    def _launch(self, event: events.Launch) -> None:
        cargo = self.cargo.pop(event.task)
        function = self._roster.function_for(event.agent, cargo)
        self._link.send(event.agent, ("launch", event.task, cargo.digest, function, cargo.arguments))

    # -- from the hub and the agents --------------------------------------------------------------------------------

    def _heard(self, whom: str, message: Message) -> None:
        """Put what the hub or an agent says into the inbox, behind what was posted before."""
        self._inbox.append(((whom, *message), b""))
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._turn)

    def _from_hub(self, message: Message) -> None:
        match message:
            case (agent, "update", task, state, because, content):
                self._updated(agent, task, TaskState(state), because, content)
            case (agent, "join", about, tasks):
                self._join(agent, about, tasks)
            case (_, "gone", agent):
                self._gone(agent, f"the Dask worker of {agent} is gone")
            case (_, "ping"):
                self._link.send(HUB, ("pong",))
            case _:
                raise ValueError(f"{message[:2]} is no message that a master takes")

    def _updated(self, agent: str, task: str, state: TaskState, because: str, content: bytes) -> None:
        if state.terminal:
            self._acks.setdefault(agent, []).append(task)
            self.cargo.pop(task, None)
        if agent in self.core.agents and task in self.core.tasks:
            self._take(calls.TaskUpdate(agent, task, state, because), content)

    def _join(self, agent: str, about: dict[str, Any], tasks: list[str]) -> None:
        """Take an agent in; or, when only the link was cut, compare what both believe."""
        if agent not in self.core.agents:
            try:
                self._roster.admit(agent, about)
            except VersionMismatch as error:
                self._trouble(agent, error)
                return
            self._take(calls.AgentJoined(agent, Resources.of(about["amounts"])), b"")
            self._roster.enter(agent)
        mine = self.core.agents[agent].tasks
        for task in [task for task in mine.values() if task.id not in tasks and task.since_us < self._linked_us]:
            self._take(calls.TaskUpdate(agent, task.id, TaskState.LOST, "its launch never arrived"), b"")
        self._link.send(agent, *[("kill", task) for task in tasks if task not in mine])

    def _gone(self, agent: str, because: str) -> None:
        self._roster.strike(agent)
        if agent in self.core.agents:
            self._take(calls.AgentLost(agent, because), b"")

    async def _stay_linked(self) -> None:
        """Read what the hub sends; find it again when the link is cut, or give the agents up."""
        while True:
            await self._link.read()
            self._linked_us = self.now_us()
            if not await self._link.relink():
                break
        self._own_complaints.append(
            Complaint(
                self.now_us(), "", "the hub", "the Dask scheduler is gone, or another master leads; its agents are lost"
            )
        )
        for agent in list(self.core.agents):
            self._gone(agent, "the Dask scheduler is gone")
        self._turn()

    async def _look_around(self) -> None:
        """Note shares for the charts, and look for callbacks that hang."""
        noted, moving, looked_s = -1, False, -1.0
        while True:
            moved = self.core.steps != noted
            if moved or moving:  # once more when it has come to rest, so that no busy span runs on into an idle one
                self.history.note(self.snapshot())
            noted, moving = self.core.steps, moved
            if self._loop.time() - looked_s > LOOK_S:
                looked_s = self._loop.time()
                for box in self._boxes.values():
                    box.look_for_slow()
            await asyncio.sleep(NOTE_S)

    def _trouble(self, where: str, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        self._own_complaints.append(Complaint(self.now_us(), "", where, f"{type(error).__name__}: {error}", trace))


def _key(cluster: Any, name: str) -> str:
    """Tell clusters apart: the local one of a name, or one by its address."""
    return f"local {name}" if cluster is None else address_of(cluster)[0]
