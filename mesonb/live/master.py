"""Master: the live session. One core, stepped on a loop thread of its own; agents on Dask workers; a thread a framework.

A turn of the loop takes everything that was posted, then ticks once if time has made something due. Events for agents
go to the hub, those for a framework to its mailbox, each as one batch a turn. Nothing here blocks, and nothing that a
notebook cell may have written runs here, except an allocator; what that raises is a complaint, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import time
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from mesonb.core import calls, events
from mesonb.core.allocator import Allocator
from mesonb.core.declared import Agent
from mesonb.core.resources import Resources
from mesonb.core.units import counted
from mesonb.errors import BadValue, Unreachable
from mesonb.frameworks.base import Framework
from mesonb.frameworks.callbacks import Complaint
from mesonb.frameworks.driver import Driver
from mesonb.live.beside import Beside
from mesonb.live.guests import Guest, Guests
from mesonb.live.leading import CLOSED, GONE_S, Leading
from mesonb.live.link import address_of
from mesonb.live.mailbox import Mailbox
from mesonb.live.masters import note
from mesonb.live.schedulers import Schedulers
from mesonb.live.security.gate import Gate
from mesonb.live.tasks.cargo import launches_of
from mesonb.live.tasks.results import Desk, Mark
from mesonb.live.wire.comms import Message
from mesonb.live.wire.loop import LoopThread
from mesonb.session import log_from, settings_from

#: So many calls a master's log holds in memory unless it is said, some 12 MB, so that one that leads for weeks stays as it is.
LOG_STEPS = 100_000
#: Shares are noted at most so often, and slow callbacks looked for.
NOTE_S = 0.05
LOOK_S = 0.25
#: An offer that comes back at once is made again not before this, so that a loop of declines leaves time for the rest.
AGAIN_S = 0.001
#: A loop that is busy for longer keeps no operator waiting.
TAKEN_S = 1.0
#: After an allocator raised, the next cycle waits so long.
SULK_S = 1.0


class Master(Leading):
    """A master of real agents: ``Master()`` for a local cluster, ``Master(client_or_address)`` for any Dask cluster.

    ``agents`` is a number of equal agents or a list of their resources, for a local cluster only; ``name`` tells several
    local clusters apart. ``rules`` are the master's settings (``core.settings.Settings``) as people write them: an agent
    that does not answer is lost after ``agent_timeout``; a framework whose kernel is gone is waited for, while its tasks
    run on, for ``failover_timeout``. With ``standby`` it leads as soon as nobody else does; frameworks may be registered
    before. With ``election="zk://host:2181/path"`` a ZooKeeper says which of several masters leads, and the others stand by.
    Other kernels prove who they are where ``principals`` names them, with secrets (a mapping, or a private file), and may do
    what ``acls`` allows (rules, or a file of them; ``docs/SECURITY.md``). ``security`` is distributed's, for an address that
    begins with tls://; a local cluster takes True too, for a certificate of its own. Ordinary Dask tasks on the same workers keep
    ``plain_dask_cpus`` of each agent; "counted", as many as they run; by default they are not taken account of.
    Its log, and so what can be looked back at, holds the last ``log_steps`` calls in memory; ``log`` is a file for all of them.
    """

    kind, packs_log = "master", True
    _open: ClassVar[dict[str, Any]] = {}  #: the masters of this process, by cluster
    _made_with: dict[str, object]

    def __new__(cls, cluster: Any = None, **kwargs: object) -> Self:
        """Return this process's master of that cluster, where there is one that has not given up."""
        open_one = cls._open.get(_key(cluster, str(kwargs.get("name", ""))))
        if open_one is not None and open_one.given_up:
            open_one._abandon()
            open_one = None
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
        self, cluster: Any = None, *, agents: int | Sequence[Resources | Agent] | None = None, name: str = "",
        standby: bool = False, election: str = "", allocator: Allocator | None = None, principals: Any = None, acls: Any = None,
        security: Any = None, plain_dask_cpus: float | str | None = None, **rules: Any,
    ) -> None:  # fmt: skip
        if hasattr(self, "core"):
            return  # the same one again
        if cluster is not None and agents is not None:
            raise BadValue(
                "agents= declares a local cluster; a Dask cluster that you give has the sizes of its workers"
            )
        if rules.get("update_retry"):
            raise BadValue(
                "a master of real agents says how a task ended until its framework has handled it, with its result; leave "
                "update_retry= out: it is for simulations"
            )
        self._gate = Gate(principals, acls)
        self._beside = Beside(plain_dask_cpus)
        self._born_us = time.monotonic_ns() // 1000
        self._inbox: deque[tuple[calls.Call | Message, bytes]] = deque()
        self._awake = True  # nothing is stepped before there is a core
        self._key = _key(cluster, name)
        self._thread = LoopThread("mesonb-master")
        self._loop = self._thread.loop
        try:
            self._reach(
                cluster, agents, name, "candidate" if election else "standby" if standby else "leader", security
            )
            super().__init__(
                **log_from(rules, LOG_STEPS),
                settings=settings_from(rules | {"epoch": self._link.epoch}),
                allocator=allocator,
            )
            self._prepare()
            self._thread.call(self._start)
            if election:
                self._stand(election)
            if self.leads and not standby:
                self._roster.wait_for(self.local.agents if self.local else self._link.expected)
        except BaseException:
            self._unreach()
            raise
        for warning in self._roster.warnings:
            warnings.warn(warning, stacklevel=2)
        Master._open[self._key] = self
        self._note = note(self.address, name, self._link.leader_id, self.local, self._link.reached_with)
        atexit.register(self._abandon)

    def _prepare(self) -> None:
        self.closed = False
        self._prepare_hearing()
        self.guests = Guests(self, self._gate)
        self.desk = Desk(self._thread, self._link.address, self._link.security, self.let_go)
        self._boxes: dict[str, Mailbox | Guest] = {}
        self.waiting = Schedulers()
        self._own_complaints: deque[Complaint] = deque(maxlen=100)
        self._timer: asyncio.TimerHandle | None = None
        self._sulks_until = 0.0

    @property
    def address(self) -> str:  # type: ignore[override]  # it is where the link goes
        """The address of the Dask scheduler whose workers are the agents."""
        return self._link.address

    # -- Session --------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """Microseconds since this master was made."""
        return time.monotonic_ns() // 1000 - self._born_us

    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls to the core, in order, to be taken at the loop's next turn; callable from any thread."""
        self._inbox.extend([(call, b"") for call in sent])
        self._wake()

    def _have_taken(self, sent: Sequence[calls.Call]) -> None:
        """Send an operator's calls, and wait for the loop's turn that takes them; not for one that is held up."""
        self.post(sent)
        if not self.closed and threading.current_thread() is not self._thread.thread:
            with contextlib.suppress(TimeoutError):
                self._thread.wait_for(asyncio.sleep(0), TAKEN_S)  # it comes after the turn that was asked for

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._thread.call(self._turn)

    def _driver(self, framework: Framework, name: str, role: str) -> Driver:
        if self.given_up:
            raise Unreachable(self.given_up)
        if self.closed:
            raise BadValue(CLOSED)
        mailbox = Mailbox(self, name)
        driver = Driver(framework, name, role, mailbox, self.core.settings.seed)
        driver.recall = self.inheritance.recall
        self.waiting.expect(name, mailbox)
        mailbox.start(driver)
        return driver

    @property
    def complaints(self) -> list[Complaint]:
        """Callbacks that raised or were slow, and troubles of the master's own, oldest first."""
        return sorted([*super().complaints, *self._own_complaints], key=lambda c: c.at_us)

    def close(self, *, cluster: bool = False) -> None:
        """Give up the lead, and end the tasks of this kernel's frameworks; ``cluster=True`` ends a local cluster too."""
        if not self.closed:
            with contextlib.suppress(TimeoutError):
                self._thread.wait_for(self._end_own_tasks(), GONE_S)
        self._abandon()
        if cluster and self.local:
            self.local.stop()

    async def _end_own_tasks(self) -> None:
        self._drop_tasks([name for name, box in self._boxes.items() if isinstance(box, Mailbox)])

    def _abandon(self) -> None:
        """Give up the lead as a kernel does that ends: its tasks run on, for the next master."""
        if not self.closed:
            self.closed = True
            atexit.unregister(self._abandon)
            if self.stream:
                self.stream.close()
            Master._open.pop(self._key, None)
            self._note.unlink(missing_ok=True)
            for mailbox in [*self._boxes.values(), *self.waiting]:
                mailbox.stop()
            self._unreach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.closed:
            return f"<{self.id}, closed>"
        if not self.leads:
            return f"<{self.id} of {self._link.address}: stands by>"
        agents, tasks = counted(len(self.core.agents), "agent"), counted(len(self.core.tasks), "task")
        return f"<{self.id} of {self._link.address}: {agents}, {tasks}>"

    # -- the loop -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if not self._stands:
            self._reading = asyncio.ensure_future(self._stay_linked())
        self._looking = asyncio.ensure_future(self._look_around())
        if self.leads:
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

    def _take(self, call: calls.Call, content: bytes = b"") -> None:
        for event in self._step(call):
            self._route(event, content)

    def _route(self, event: events.Event, content: bytes) -> None:
        match event:
            case events.Launch():
                self._launch(event)
            case events.Kill():
                self._link.send(event.agent, ("kill", event.task))
            case events.Withdraw():
                self._link.send(event.agent, ("withdraw", event.task))
            case events.Acknowledged():
                self._link.send(event.agent, ("ack", [event.task]))
            case events.Rejected():
                self._rejected(event)
            case events.Subscribed():
                self._subscribed(event)
            case events.StandsBy():
                self.waiting.stand(event.framework, event.scheduler).deliver([(event, b"")])
            case events.Superseded() if box := self.waiting.stands(event.framework, event.scheduler):
                self.waiting.leave(event.scheduler, event.framework)
                box.deliver([(event, b"")])
            case events.Updated() if event.task in self.cargo:
                del self.cargo[event.task]  # it was refused, or handed back before it travelled
                self._out.setdefault(event.framework, []).append((event, content))
            case _:
                self._out.setdefault(event.framework, []).append((event, content))

    def _rejected(self, event: events.Rejected) -> None:
        """Tell whoever asked; what was packed for it will not travel."""
        for task in launches_of(event.call):
            self.cargo.pop(task.task, None)
        if isinstance(event.call, calls.Subscribe):
            self.waiting.take(event.call.framework, event.call.scheduler).stop()
            self._complain("Subscribe", event.because)
        elif self._refused(event):
            pass  # it is raised where it was asked for
        elif name := getattr(event.call, "framework", ""):
            self._out.setdefault(name, []).append((event, b""))
        else:
            self._complain(type(event.call).__name__, event.because)

    def _send(self) -> None:
        """Deliver what this turn has gathered: one batch a framework, one a agent."""
        out, self._out = self._out, {}
        for name, mail in out.items():
            if box := self._boxes.get(name):
                box.deliver(mail)
            else:
                self._keep(name, mail)

    def _subscribed(self, event: events.Subscribed) -> None:
        """From here on this name's mail is for the newest registration; what came before is for the one before."""
        if before := self._boxes.pop(event.framework, None):
            before.deliver(self._out.pop(event.framework, []))
            before.stop()
            self.guests.over(before)
        self._boxes[event.framework] = box = self.waiting.take(event.framework, event.scheduler)
        self.guests.registered(event.framework, box)
        self._out.setdefault(event.framework, []).extend([(event, b""), *self.inheritance.claim(event.framework)])

    def _heard(self, whom: str, message: Message) -> None:
        """Put what the hub or an agent says into the inbox, behind what was posted before."""
        if message[0] == "lead" and not whom:
            self._crowned(message[1])
            return
        self._inbox.append(((whom, *message), b""))
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._turn)

    def let_go(self, mark: Mark) -> None:
        """Note that nobody in this kernel holds a result any more; callable from any thread."""
        self._inbox.append((("", "let go", mark.agent, [mark.key]), b""))
        self._wake()

    def handled(self, _: str, tasks: list[str]) -> None:
        """Note that a framework has handled the last updates of these tasks; callable from any thread."""
        self._inbox.append((("", "handled", tasks), b""))
        self._wake()

    async def _look_around(self) -> None:
        """Note shares for the charts, and look for callbacks that hang."""
        noted, moving, looked_s = -1, False, -1.0
        while True:
            moved = self.core.steps != noted
            if moved or moving:  # once more when it has come to rest, so that no busy span runs on into an idle one
                self._note_shares()
                self._acknowledge(self.inheritance.forget_all_but(self.core.frameworks))
                self._close_boxes()
            noted, moving = self.core.steps, moved
            if self._loop.time() - looked_s > LOOK_S:
                looked_s = self._loop.time()
                self._say_who_left()
                self._ask_anew()
                for box in self._boxes.values():
                    box.look_for_slow()
            await asyncio.sleep(NOTE_S)

    def _close_boxes(self) -> None:
        """End the threads of frameworks that have left; what they said of themselves is kept."""
        for name in [name for name in self._boxes if name not in self.core.frameworks]:
            self._boxes[name].stop()
            self.guests.over(self._boxes.pop(name))


def _key(cluster: Any, name: str) -> str:
    """Tell clusters apart: the local one of a name, or one by its address."""
    return f"local {name}" if cluster is None else address_of(cluster)[0]
