"""Session: the verbs of any master, live, simulated or replayed: register, weights, pause, snapshot, log.

It owns the core and steps it; a subclass says what time is, how calls reach the core (``post``), and where events to
frameworks and agents go. All stepping happens in ``_step``, under a lock: recording cannot be forgotten, and panels may
ask for a snapshot from any thread while a cell is busy.
"""

from __future__ import annotations

import re
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from mesonb.core import books, calls, events
from mesonb.core.allocator import Allocator
from mesonb.core.allocators import MODULES
from mesonb.core.explain import Explanation, explain
from mesonb.core.history import History
from mesonb.core.limits import Why
from mesonb.core.log import STEPS_KEPT, Log
from mesonb.core.master import MasterCore
from mesonb.core.records import Role
from mesonb.core.resources import Resources
from mesonb.core.settings import Settings, Wrong
from mesonb.core.snapshot import RoleRow, Snapshot, take
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, NotThere
from mesonb.frameworks.base import Framework
from mesonb.frameworks.callbacks import Complaint, check
from mesonb.frameworks.driver import Driver
from mesonb.frameworks.futures import Share, width_of
from mesonb.frameworks.output import Output
from mesonb.frameworks.queue import Queue
from mesonb.said import Amounts, Limits, Priorities, Weights
from mesonb.steering import Steering
from mesonb.stream import Stream

F = TypeVar("F", bound=Framework)
#: A log that holds fewer steps would do nothing but forget.
STEPS_LEAST = 100
#: How long who steps gives way to who reads: a lock that is let go and taken again at once would never be another's.
GIVE_WAY_S = 0.001
#: How often ``wait_until`` looks.
POLL_S = 0.005


class Session(Steering):
    """A master and those registered with it."""

    #: Whether several schedulers of a framework may be registered here, by name.
    names_schedulers: ClassVar[bool] = False
    packs_log: ClassVar[bool] = False  #: whether its log is kept as bytes
    kind: ClassVar[str] = "session"  #: "master", "simulation" or "replay"
    #: Every session of this process that somebody still holds, by id: what panels may show.
    known: ClassVar[WeakValueDictionary[str, Session]] = WeakValueDictionary()
    #: Called with each new session: a notebook serves panels from its first session on, whether or not it is displayed.
    begun: ClassVar[Callable[[Session], None]] = staticmethod(lambda _session: None)
    #: Whose past this is, where it was opened to look back in: then no list shows it.
    past_of: Callable[[], Session | None] | None = None
    #: Makes a recording of a session's log as it is now, to look back in.
    rewound: ClassVar[Callable[[Session], Session]]
    #: Moves a recording, as ("seek", seconds) or ("move", "+ cycle"), and says where it is then.
    moved: ClassVar[Callable[[Session, str, Any], dict[str, Any]]]
    #: What a session is called in the cells that hold it: a notebook looks it up, for code that goes into a cell.
    called: ClassVar[Callable[[Session], str]] = staticmethod(lambda session: session.kind)
    _numbers: ClassVar[Iterator[int]] = count(1)

    def __init__(
        self, settings: Settings | None = None, allocator: Allocator | None = None, log: str | Path = "", log_steps: int = STEPS_KEPT
    ) -> None:  # fmt: skip
        self.id = f"{self.kind}-{next(Session._numbers)}"
        self.core = MasterCore(settings, allocator)
        self.lock = RLock()  #: held while the core steps or is read
        self.looking: deque[None] = deque()  #: one for each thread that waits for the lock to read
        self.log = self._new_log(log_steps)
        self.stream = Stream(self, log) if log else None  #: the log on disk, as it grows
        self.history = History()
        self.weights = Weights(self)
        self.priorities = Priorities(self)
        self.guarantees = Amounts(self, calls.SetGuarantee, "guarantee")
        self.limits = Limits(self)
        self.drivers: dict[str, Driver] = {}
        self.schedulers: dict[tuple[str, str], Driver] = {}  #: by framework and scheduler, of those that have a name
        self._waited_for = {}
        Session.known[self.id] = self
        Session.begun(self)

    def _new_log(self, steps: int) -> Log:
        """Begin a log of the core."""
        return Log(self.core.settings, type(self.core.allocator).__name__, self.core, steps, packed=self.packs_log)

    # -- the verbs ------------------------------------------------------------------------------------------------

    def register(
        self,
        framework: F,
        name: str | None = None,
        role: str | Sequence[str] = "*",
        scheduler: str = "",
        *,
        standby: bool = False,
    ) -> F:
        """Register a framework, and return it. A name registered before is taken over: its tasks run on.

        In several roles (``role=["lab", "eng"]``) each offer is for one of them, ``offer.role``, and counts for that one.
        A framework may have several schedulers, each under a name of its own (``scheduler="b"``): the newest is active, and
        the calls of others are refused. With ``standby`` it becomes active only when the active one is lost (``disconnect``).
        On a cluster each kernel is one scheduler: ``mb.connect().register(..., standby=True)`` waits until another is lost.
        """
        check(framework)
        name = name or _default_name(framework)
        if not re.fullmatch(r"[\w.-]+", name):
            raise BadValue(f"{name!r} cannot be a name: use letters, digits, '-', '_' and '.'")
        if re.search(r"\.\d+$", name):
            better = re.sub(r"\.(\d+)$", r"-\1", name)
            raise BadValue(f"{name!r} cannot be a name: a number after a dot counts registrations; write {better!r}")
        if framework.needs is not None:
            self.check_needs(framework.needs)
        scheduler = self._scheduler(name, scheduler, standby=standby)
        role, *more = [role] if isinstance(role, str) else list(role) or ["*"]
        call = calls.Subscribe(name, role, *framework.terms(), roles=tuple(more), scheduler=scheduler, standby=standby)
        try:
            self.core.check_subscribe(call)
        except Wrong as wrong:
            raise BadValue(str(wrong)) from None
        driver = self._driver(framework, name, role)
        driver.more_roles, driver.standby = tuple(more), standby
        framework._driver = driver
        if scheduler and self.names_schedulers:
            driver.scheduler, self.schedulers[name, scheduler] = scheduler, driver
        if not standby or name not in self.drivers:
            self._speaks(driver, f"another framework was registered as {name!r}")
        self.post([call])
        return framework

    def _scheduler(self, name: str, asked: str, *, standby: bool) -> str:
        """Return under which name a scheduler is registered; BadValue where that cannot be."""
        if (standby or asked) and not self.names_schedulers:
            raise BadValue(
                "schedulers have names in a simulation only; here each kernel is one: register in another, and it takes over, or "
                "waits until this one is lost: mb.connect().register(..., standby=True)"
            )
        return asked

    def _speaks(self, driver: Driver, because: str) -> None:
        """Let a driver have the framework's name, and what runs under it."""
        before = self.drivers.get(driver.name)
        if before and before is not driver:
            driver.inherited = before.inherited | before.tasks
            before.replaced_by(driver, because)
        self.drivers[driver.name] = driver

    def _listener(self, event: events.Event, name: str) -> Driver | None:
        """Return the driver that an event for a framework is for: what is for one of several schedulers names it."""
        match event:
            case events.Subscribed(scheduler=scheduler) if scheduler:
                self._speaks(self.schedulers[name, scheduler], f"{scheduler} goes on with {name!r}")
            case events.Superseded(scheduler=scheduler) | events.StandsBy(scheduler=scheduler):
                return self.schedulers.get((name, scheduler))
            case events.Rejected(call=calls.By(scheduler=scheduler)):
                return self.schedulers.get((name, scheduler))
            case _:
                pass
        return self.drivers.get(name)

    def futures(self, name: str = "futures", *, needs: Resources | None = None, role: str = "*") -> Share:
        """Return a ``concurrent.futures.Executor`` whose tasks run in a share, each holding ``needs`` (one cpu)."""
        queue = self.register(Queue(needs), name, role)
        width = width_of(queue.needs or Resources(cpus=1), [row.total for row in self.snapshot().agents])
        return Share(queue, width, lambda: self.unregister(queue))

    def unregister(self, framework: Framework | str) -> None:
        """Let a framework leave; its tasks are killed."""
        name = self._registered(framework)
        self.post([calls.Unregister(name)])
        if name in self.drivers:
            self.drivers[name].left(f"{name!r} was unregistered")

    @property
    def unsteerable(self) -> str:
        """Why nothing can be steered here, or nothing any more; "" where it can."""
        return ""

    @property
    def allocators(self) -> list[str]:
        """The names that ``allocator`` takes: mesonb's own, and those that were handed over before."""
        return list(dict.fromkeys([*MODULES, *self.core.handed, type(self.core.allocator).__name__]))

    @property
    def allocator(self) -> Allocator:
        """Who chooses whom to offer to; set another on a running master: ``master.allocator = mb.Lottery()``."""
        return self.core.allocator

    @allocator.setter
    def allocator(self, allocator: Allocator | str) -> None:
        self._allocate_by(allocator)

    def _allocate_by(self, allocator: Allocator | str) -> None:
        if isinstance(allocator, Allocator):
            name = self._hand_over(allocator)
        elif allocator in self.allocators:
            name, _ = allocator, self._hand_over(self.core.allocator)  # so that it can be chosen again
        else:
            known = f"an object of your subclass of mb.Allocator, or one of {', '.join(self.allocators)}"
            raise BadValue(f"{allocator!r} is not an allocator; give mb.DRF(), {known}")
        self.operate([calls.SetAllocator(name)])

    def _hand_over(self, allocator: Allocator) -> str:
        name = type(allocator).__name__
        if name not in MODULES:
            with self.lock:
                self.core.handed[name] = allocator
        return name

    def snapshot(self, before: Snapshot | None = None, *, spots: bool = False, at_once: int = 0) -> Snapshot:
        """Picture the cluster as it is now; callable from any thread. The arguments are those of ``core.snapshot.take``."""
        with self.reading():
            return self._measured(take(self.core, before=before, spots=spots, at_once=at_once))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the books still while they are read, from any thread; whoever steps them gives way at the next step."""
        self.looking.append(None)
        try:
            self.lock.acquire()
        finally:
            self.looking.pop()
        try:
            yield
        finally:
            self.lock.release()

    def freshen(self) -> Snapshot | None:
        """Have a newer picture fetched where pictures come from elsewhere, and return the last; None: they are made here."""
        return None

    def explain(self, name: str, agent: str = "") -> Explanation:
        """Say what stands in the way of a framework (on one agent), a role, a task, an offer or an agent, and what to do."""
        with self.reading():
            found = explain(self.core, name, agent)
            if found is None and "/task-" in name and len(self.core.ended) >= books.ENDED_KEPT:
                raise NotThere(self._let_go(name))
            if found is None or (agent and agent not in self.core.agents):
                names = dict.fromkeys([*self.core.frameworks, *self.core.roles, *list(self.core.agents)[:10]])
                raise NotThere(
                    f"nothing here is called {agent if found else name!r}; there are: {', '.join(names) or 'none yet'}"
                )
        return self._explained(name, found)

    def _explained(self, name: str, found: Explanation) -> Explanation:
        """Add what is known of a framework of this kernel, and not in the books: why it asked for no offers, what it raised."""
        if name not in self.drivers:
            return found
        detail, remedy = self.drivers[name].framework.idle
        found = found.saying(Why.SUPPRESSED, detail, remedy) if detail else found
        return found.adding(self.drivers[name].complaints.last(self.now_us()))

    def _let_go(self, task: str) -> str:
        """Say of a task that ended long ago, if it ever was, where it may be found."""
        where, of = f"{Session.called(self)}.log", f"the last {len(self.log.steps):,} calls"
        if self.log.whole:
            where, of = repr(self.log.whole), "all calls"
        return (
            f"{task!r} is not known here: of tasks that have ended, the last {books.ENDED_KEPT:,} are; "
            f"mb.replay({where}), with {of}, goes back to when an earlier one ran"
        )

    def output(self, task: str) -> Output:
        """Return what a task printed: ``lines, dropped``; only on real agents is it caught."""
        return Output([], 0)

    def printed(self) -> list[str]:
        """Return the tasks of which ``output`` has something, those that printed last at the end."""
        return []

    def framework(self, name: str) -> Framework:
        """Return the framework registered under a name."""
        if name not in self.drivers:
            raise NotThere(f"no framework is called {name!r}; there are: {', '.join(self.drivers) or 'none yet'}")
        return self.drivers[name].framework

    def soon(self, name: str, what: str, function: Callable[[], Any]) -> None:
        """Call a function where the callbacks of a framework run, from any thread; what it raises is a complaint."""
        driver = self.drivers[name]
        driver.call_later(0, lambda: driver.do(what, function))

    def wait_until(self, condition: Callable[[], bool], timeout: float | str = "30s") -> None:
        """Wait until a condition holds; TimeoutError if it does not in time. In a simulation, virtual time passes."""
        deadline_us = self.now_us() + parse_duration(timeout)
        while not condition():
            if self.now_us() >= deadline_us:
                raise TimeoutError(f"the condition did not come true within {timeout}")
            time.sleep(POLL_S)

    @property
    def complaints(self) -> list[Complaint]:
        """Callbacks that raised or were slow, oldest first; and why the log is not written any more, where it is not."""
        found = sorted((c for driver in self.drivers.values() for c in driver.complaints), key=lambda c: c.at_us)
        trouble = self.stream.trouble if self.stream else ""
        return [*found, Complaint(self.now_us(), "", "the log", trouble)] if trouble else found

    def check_needs(self, needs: Resources) -> None:
        """Raise BadValue if there are agents and none is large enough for ``needs``."""
        totals = self._totals()
        if totals and not any(needs <= total for total in totals):
            largest = max(totals, key=lambda total: total.amounts.get("cpus", 0))
            raise BadValue(
                f"no agent is large enough for {needs}; the largest has {largest}: ask for less, or declare larger agents "
                "with mb.Master(agents=[mb.Resources(...)])"
            )

    def said_of_roles(self) -> Mapping[str, Role | RoleRow]:
        """Return the roles that there are, by name, each with what is said of it."""
        with self.reading():
            return dict(self.core.roles)

    def _totals(self) -> list[Resources]:
        """The sizes of all agents."""
        with self.lock:
            return [agent.total for agent in self.core.agents.values()]

    def _measured(self, picture: Snapshot) -> Snapshot:
        """Add to a picture what is really used; nothing, where nothing really runs."""
        return picture

    # -- for subclasses -------------------------------------------------------------------------------------------

    @abstractmethod
    def now_us(self) -> int:
        """The time, in microseconds."""

    @abstractmethod
    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls to the core, in order; callable from any thread."""

    @abstractmethod
    def _driver(self, framework: Framework, name: str, role: str) -> Driver:
        """Make the driver of a framework, ready to be handed events."""

    def _note_shares(self) -> bool:
        """Give the charts a row, if one is due, and return whether it was; agents are not pictured for it."""
        if not self.history.due(self.now_us()):
            return False
        with self.lock:
            self.history.note(self.core, self.now_us())
        return True

    def _step(self, call: calls.Call) -> list[events.Event]:
        """Step the core, and record it."""
        with self.lock:
            now_us = max(self.now_us(), self.core.now_us)
            followed = self.core.step(call, now_us)
            self.log.record(call, now_us, followed)
        if self.looking:
            time.sleep(GIVE_WAY_S)
        return followed


def log_from(rules: dict[str, Any], log_steps: int = STEPS_KEPT) -> dict[str, Any]:
    """Take what is said of the log out of a master's rules; it holds ``log_steps`` in memory unless it is said.

    >>> log_from({"log_steps": 500_000, "update_retry": "5s"})
    {'log': '', 'log_steps': 500000}
    """
    log, log_steps = rules.pop("log", ""), rules.pop("log_steps", log_steps)
    if isinstance(log_steps, int) and not isinstance(log_steps, bool) and log_steps >= STEPS_LEAST:
        return {"log": log, "log_steps": log_steps}
    raise BadValue(
        f"log_steps={log_steps!r} is not how many calls the log can hold in memory: write a whole number, at least "
        f"{STEPS_LEAST}, as in log_steps=500_000; log='run.mesonb' writes all of them to disk"
    )


def settings_from(rules: Mapping[str, Any]) -> Settings:
    """Read a master's settings as people write them: times as "30s", names without their unit.

    >>> settings_from({"offer_timeout": "10s", "allocate_on_recovery": False}).offer_timeout_us
    10000000
    """
    known = {field.name.removesuffix("_us"): field.name for field in fields(Settings)}
    read: dict[str, Any] = {}
    for name, value in rules.items():
        if name not in known:
            raise BadValue(f"a master has no setting {name!r}; it has {', '.join(sorted(known))}")
        is_time = known[name].endswith("_us") and value is not None
        read[known[name]] = parse_duration(value) if is_time else value
    return Settings(**read)


def _default_name(framework: Framework) -> str:
    return type(framework).__name__.lower()
