"""Framework: what people subclass; the handles of an offer and of a task that its callbacks are given.

A callback is plain and synchronous: it writes its reply on the offers it was handed, and can be tested with no master
(``mesonb.testing.offer``). A framework has its own clock and dice, so it behaves the same in virtual time. Subclasses
need not call ``super().__init__()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

from mesonb.core.calls import REFUSE_US
from mesonb.core.records import TERMINAL, TaskState
from mesonb.core.resources import NOTHING, Resources, less
from mesonb.core.units import counted, parse_duration
from mesonb.errors import BadValue, NotRegistered, OfferError, TaskFailed, TaskGone
from mesonb.frameworks.command import files_for, shell
from mesonb.frameworks.inverse import InverseHandle
from mesonb.frameworks.output import Output
from mesonb.frameworks.registration import Registration


class Remains(Protocol):
    """A result so large that it stayed on the worker that made it."""

    size_bytes: int

    def fetch(self) -> Any:
        """Bring it here; ResultLost if no worker has it any more."""

    def future(self, client: Any = None) -> Any:
        """Return it as a future of a Dask client."""


@dataclass(slots=True)
class Outcome:
    """What a task left behind: a value, or where it is; or the exception that it raised with its traceback as text."""

    value: Any = None
    error: BaseException | None = None
    traceback: str = ""
    remains: Remains | None = None


@dataclass(slots=True, eq=False)
class TaskHandle:
    """One task, as its framework sees it. It is kept up to date until the task has ended."""

    id: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    needs: Resources  #: with the ports that it got, where it asked for so many
    agent: str
    state: TaskState = TaskState.STAGING
    because: str = ""  #: why it is in this state, where there is a reason
    outcome: Outcome | None = None
    registration: Registration | None = None  #: of its framework; None: it was launched on an offer of no master
    short: bool = False  #: it may take what is kept for short tasks
    revoked: str = ""  #: why its resources were asked back: for a guarantee, say, or because its agent goes down; "": they were not
    after: str = ""  #: it was launched ahead, and waits for this task to end; "": it does not wait, or no more

    @property
    def running(self) -> bool:
        """Whether its agent said that it runs."""
        return self.state is TaskState.RUNNING

    @property
    def finished(self) -> bool:
        """Whether its function returned."""
        return self.state is TaskState.FINISHED

    @property
    def failed(self) -> bool:
        """Whether its function raised."""
        return self.state is TaskState.FAILED

    @property
    def killed(self) -> bool:
        """Whether it was killed."""
        return self.state is TaskState.KILLED

    @property
    def lost(self) -> bool:
        """Whether nobody will ever say how it ended: its agent died, or it was never launched."""
        return self.state is TaskState.LOST

    @property
    def ended(self) -> bool:
        """Whether it is over, one way or another."""
        return self.state in TERMINAL

    def result(self) -> Any:
        """Return what the function returned, fetched if it is large; raise what it raised, or TaskGone where there is neither."""
        return self.outcome.remains.fetch() if self.outcome and self.outcome.remains else self._result()

    def future(self, client: Any = None) -> Any:
        """Return a large result as a future of a Dask client (default: the notebook's own); BadValue if it is small."""
        if self.outcome and self.outcome.remains:
            return self.outcome.remains.future(client)
        self._result()
        raise BadValue(
            f"the result of {self.id} is small, and here already: client.scatter(task.result()) gives a future"
        )

    def _result(self) -> Any:
        if self.finished and self.outcome and not self.outcome.error:
            return self.outcome.value
        if self.finished and self.outcome:
            raise TaskFailed(f"{self.id} finished, but {self.outcome.traceback}") from self.outcome.error
        if self.failed:
            outcome = self.outcome or Outcome()
            raise TaskFailed(f"{self.id} failed: {self.because}\n{outcome.traceback}".rstrip()) from outcome.error
        if self.finished:  # it ended while no master led, or while this framework was away
            raise TaskGone(f"{self.id} finished, and its result was told to nobody; run it again")
        because = self.revoked if self.killed and self.revoked else self.because
        raise TaskGone(f"{self.id} is {self.state.value}" + (f": {because}" if because else ""))

    def output(self) -> Output:
        """Return what it has printed so far: its last lines, and how many bytes came before and are not kept."""
        return self.registration.output(self.id) if self.registration else Output([], 0)

    def __repr__(self) -> str:
        return f"<task {self.id} {self.state.value} on {self.agent}>"


@dataclass(slots=True, eq=False, init=False)
class OfferHandle:
    """Some resources of one agent, offered to one framework. What a callback does with it is its reply."""

    id: str
    agent: str
    resources: Resources  #: what was offered
    left: Resources  #: what has not been launched on yet
    launches: list[TaskHandle]
    refuse_us: int | None  #: how long as much is not to be offered again; None is the default
    hold_us: int
    one_of: str  #: for which of several roles it is
    closes_s: float  #: when its agent goes down for maintenance, by the framework's clock; 0: nothing is planned
    driver: Registration | None
    max_task_us: int  #: a task on it, or on its ``short`` part, is killed after this; 0: on none
    short: Resources | None  #: the part that is kept for short tasks, what is left of it; None: no part, or all

    def __init__(
        self, offer: str, agent: str, resources: Resources, driver: Registration | None = None,
        max_task_us: int = 0, short: Resources | None = None,
    ) -> None:  # fmt: skip
        self.id, self.agent, self.driver = offer, agent, driver
        self.resources = self.left = resources
        self.launches = []
        self.refuse_us = None
        self.hold_us = 0
        self.one_of, self.closes_s = "", 0
        self.max_task_us, self.short = max_task_us, short

    @property
    def role(self) -> str:
        """On whose account it is."""
        return self.one_of or (self.driver.role if self.driver else "*")

    def fits(self, needs: Resources, *, short: bool | None = None) -> bool:
        """Whether what is left of the offer holds ``needs``; for a ``short`` task also what is kept for such."""
        return needs <= (self.left if self.short is None else self._room(self._is_short(short)))

    def launch(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        needs: Resources | None = None,
        short: bool | None = None,
        **kwargs: Any,
    ) -> TaskHandle:
        """Run ``function(*args, **kwargs)`` on the agent, holding ``needs`` (default: the framework's ``needs``).

        A ``short`` task (default: the framework's ``short_tasks``) takes what is kept for such first, and is killed there
        after ``offer.max_task_us``.

        Where needs ask for a number of ports, ``task.needs.which["ports"]`` says which it got. Raises OfferError if it does
        not fit, CannotPickle if it cannot travel.
        """
        driver = self.driver
        if needs is None and driver is not None:
            needs = driver.framework.needs
        short = self.short is not None and self._is_short(short)
        room = self.left if self.short is None else self._room(short)
        if needs is not room or not needs or not callable(function):
            if not needs or not callable(function) or not needs <= room:
                raise OfferError(self._wrong_with(function, needs, room))
            needs = room.pick(needs)
        name = driver.next_task_id() if driver is not None else f"{self.id}/task-{len(self.launches) + 1}"
        task = TaskHandle(name, function, args, kwargs, needs, self.agent, registration=driver, short=short)
        if driver is not None:
            driver.prepare(task)
        self.launches.append(task)
        self.left = NOTHING if needs is room else self.left - needs
        if short and self.short is not None:
            self.short = less(self.short, needs)
        return task

    def shell(self, line: str, *, needs: Resources | None = None, files: Iterable[str | Path] = ()) -> TaskHandle:
        """Run a command on the agent, in a sandbox folder of its own; its exit status is how the task ends.

        ``files`` of this machine are put into the sandbox first; a script that the command begins with ("./train.sh") is
        among them where it is here. What it prints is ``task.output()``. Raises as ``launch`` does, and BadValue.
        """
        return self.launch(shell, line, files_for(line, files), needs=needs)

    def _wrong_with(self, function: Callable[..., Any], needs: Resources | None, room: Resources) -> str:
        name = name_of(function)
        if not needs:
            return f"{name} needs nothing; write offer.launch({name}, ..., needs=mb.Resources(cpus=1))"
        if not callable(function):
            return f"{name} is not a function; write offer.launch(function, argument, ...)"
        kept = f" for tasks that are not short=True, {self.short} more for those that are" if self.short else ""
        missing = room.missing_for(needs)
        return f"{self.id} has {room} left{kept}; {name} needs {needs}, {missing} more; ask offer.fits(needs) first"

    def decline(self, refuse: float | str = REFUSE_US / 1_000_000) -> None:
        """Give it back, and ask not to be offered as much there again for a while ("1min"; 0: at once)."""
        self.refuse_us = parse_duration(refuse)

    def hold(self, time: float | str = "10s") -> None:
        """Keep it for a while, to be called again with it then; the master's offer timeout bounds all holding."""
        self.hold_us = parse_duration(time)

    def _is_short(self, short: bool | None) -> bool:
        return bool(getattr(self.driver and self.driver.framework, "short_tasks", False)) if short is None else short

    def _room(self, short: bool) -> Resources:
        """What is left for a task that is short, or for one that is not."""
        return self.left if short or self.short is None else less(self.left, self.short)

    def __repr__(self) -> str:
        return f"<{self.id} of {self.agent}: {self.left} left>"


def name_of(function: Any) -> str:
    """Return what a function is called in messages to people."""
    return getattr(function, "__name__", None) or repr(function)


class Framework:
    """A program's scheduler: subclass it, write ``on_offers``, and register it with a master or a simulation."""

    #: What one task needs, unless a launch says otherwise.
    needs: Resources | None = None
    #: Its tasks are short, unless a launch says otherwise: they may take what is kept for such, where long ones are killed.
    short_tasks: bool = False
    #: Never offer less than this of an agent; of several: than any of them.
    min_offer: Resources | Sequence[Resources] | None = None
    #: Offer only agents of which all of these hold: (attribute, "is", "is not", "exists" or "matches", value).
    constraints: Sequence[tuple[str, str, str]] = ()
    #: Offer only these agents.
    only_agents: Sequence[str] = ()
    #: What it can handle that others may not: "gpus", where a master asks for it (``gpus_on_request``).
    capabilities: Sequence[str] = ()
    _driver: Registration | None = None

    @property
    def idle(self) -> tuple[str, str]:
        """Why it asked for no offers itself, and what makes it ask again, in words; twice "": it did not."""
        return "", ""

    # -- write these ----------------------------------------------------------------------------------------------

    def on_registered(self, tasks: Sequence[TaskHandle]) -> None:
        """Start; ``tasks`` were launched by the code that was registered under this name before, and still run."""

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Launch on the offers, hold them, decline them, or do nothing (which declines them for 5 s)."""

    def on_update(self, task: TaskHandle) -> None:
        """Take note that a task changed its state."""

    def on_rescinded(self, offer: OfferHandle) -> None:
        """Take note that an offer is gone before it was answered."""

    def on_revoked(self, task: TaskHandle, grace_s: float) -> None:
        """Let go of a task, whose resources are guaranteed to others: it is killed in so many seconds."""

    def on_inverse_offers(self, offers: Sequence[InverseHandle]) -> None:
        """Leave agents that will be down, or ask for another time; whatever runs there when they go down is killed."""

    def on_agent_lost(self, agent: str) -> None:
        """Take note that an agent is gone; its tasks were reported lost before this."""

    def on_unregistered(self, because: str) -> None:
        """Take note that it is registered no more; called on the thread that registered another, or unregistered it."""

    # -- use these ------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return self._registered().name

    @property
    def role(self) -> str:
        """The role on whose account it runs."""
        return self._registered().role

    @property
    def tasks(self) -> dict[str, TaskHandle]:
        """Its live tasks by id."""
        return self._registered().tasks

    @property
    def now(self) -> float:
        """The time in seconds: real on a master, virtual in a simulation. For differences, not dates."""
        return (self._driver or self._registered()).now_us() / 1_000_000

    @property
    def dice(self) -> Random:
        """Seeded chance of its own."""
        return (self._driver or self._registered()).dice

    def call_later(self, delay: float | str, function: Callable[[], Any]) -> None:
        """Call a function after a while, as one more callback."""
        self._registered().call_later(parse_duration(delay), function)

    def answer(self, offer: OfferHandle) -> None:
        """Send what was written on a held offer now, and not when the holding ends; callable from any thread."""
        self._registered().answer(offer)

    def together(self, offers: Iterable[OfferHandle]) -> None:
        """Send what was written on these offers as one, from a callback: all of it is launched, or nothing: a gang.

        If any part is refused (an offer was rescinded meanwhile), every task of it is lost, with the reason. Raises OfferError
        for an offer that is known to be gone.
        """
        self._registered().together(offers)

    def launch_next(self, task: TaskHandle, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> TaskHandle:
        """Launch ``function(*args, **kwargs)`` ahead: it begins where ``task`` runs, as soon as that ends, with just what that holds.

        If others come first by then, it is handed back: it is lost, and its ``after`` still names ``task``. Raises OfferError
        where ``task`` has ended, or has a next one; CannotPickle if it cannot travel.
        """
        return self._registered().following.launch(task, function, args, kwargs)

    def progress(self, **figures: float) -> None:
        """Report how far it is, for panels: ``self.progress(iteration=3, total=10, loss=0.2)``."""
        self._registered().report(figures)

    def placed(self, *, near: bool, waited: float | str = 0) -> None:
        """Report that a task was launched near its data, or not, and how long that was waited for: the locality panel."""
        self._registered().placed(near=near, waited_us=parse_duration(waited))

    def suppress(self, *roles: str) -> None:
        """Ask for no more offers; of a framework in several roles, in those named."""
        self._registered().suppress(*roles)

    def revive(self, *roles: str) -> None:
        """Ask for offers again, and forget all refusals; of a framework in several roles, in those named."""
        self._registered().revive(*roles)

    def kill(self, task: TaskHandle | str) -> None:
        """Kill one of its tasks; ``on_update`` says when it is dead."""
        self._registered().kill(task if isinstance(task, str) else task.id)

    def terms(
        self,
    ) -> tuple[tuple[Resources, ...], tuple[str, ...], tuple[tuple[str, str, str], ...], tuple[str, ...]]:
        """Say what it wants to be offered, in the order of ``calls.Subscribe``."""
        least = self.min_offer or ()
        asked = tuple((attribute, how, value) for attribute, how, value in self.constraints)
        least = (least,) if isinstance(least, Resources) else tuple(least)
        return least, tuple(self.only_agents), asked, tuple(self.capabilities)

    def __repr__(self) -> str:
        driver = self._driver
        if driver is None:
            return f"<{type(self).__name__}, not registered>"
        last = next(reversed(driver.complaints), None)
        trouble = f"; {last.callback} raised {last.error}" if last else ""
        return f"<{type(self).__name__} {driver.name} in role {driver.role}: {counted(len(driver.tasks), 'live task')}{trouble}>"

    def _registered(self) -> Registration:
        if self._driver is None:
            raise NotRegistered(
                f"this {type(self).__name__} is not registered yet; write master.register(framework, name=...)"
            )
        return self._driver
