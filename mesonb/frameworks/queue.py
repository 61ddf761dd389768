"""Queue: for people who do not want to write a scheduler. Submit, map, wait for results.

It launches what waits, in order, wherever it fits; runs again what was lost or taken back; and asks for no offers while
nothing waits. A ``Run`` is the promise of one result, however many tasks that takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, TaskFailed, TaskGone
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle
from mesonb.frameworks.command import files_for, shell
from mesonb.frameworks.output import Output
from mesonb.frameworks.promise import Promise
from mesonb.frameworks.registration import Registration

#: Each ``frozenset()`` is one more object for every run.
NOWHERE: frozenset[str] = frozenset()
#: A run is launched ahead when it has waited so long: if there is room anywhere, its offer is here before.
AHEAD_AFTER_US = 20_000


@dataclass(frozen=True, slots=True)
class Kept:
    """Stands for a result that stayed where it was made, until somebody asks for it."""

    task: TaskHandle


class Run(Promise):
    """The promise of what ``function(*args, **kwargs)`` returns."""

    __slots__ = ("_queue", "args", "cancelled", "function", "kwargs", "losses", "near", "needs", "since_us", "task")

    def __init__(
        self,
        queue: Queue,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        needs: Resources,
    ) -> None:
        self._made = self._outcome = None  # what Promise begins with; a call of it would be a tenth of submitting
        self.function, self.args, self.kwargs, self.needs = function, args, kwargs, needs
        self.task: TaskHandle | None = None  #: the task that runs it now, or ran it last
        self.near = NOWHERE  #: agents where its data are; none: it does not matter
        self.losses = 0  #: how often a task of it was lost
        self.cancelled = False
        self.since_us = 0  #: when it began to wait
        self._queue = queue

    def result(self, timeout: float | str | None = None) -> Any:
        """Wait for the result, and return it; raise TaskFailed, TaskGone, or TimeoutError."""
        timeout_us = None if timeout is None else parse_duration(timeout)
        if not self.done:
            self._queue._wait(self._future, timeout_us)
        value = self._value(None if timeout_us is None else timeout_us / 1_000_000)
        return value.task.result() if isinstance(value, Kept) else value

    def future(self, client: Any = None) -> Any:
        """Wait for a large result, and return it as a future of a Dask client (default: the notebook's own)."""
        self._queue._wait(self._future, None)
        self._value()
        assert self.task
        return self.task.future(client)

    def output(self) -> Output:
        """Return what its task (the last one, where several were needed) has printed so far."""
        return self.task.output() if self.task else Output([], 0)

    def cancel(self) -> None:
        """Kill it if it runs; forget it if it waits."""
        self._queue._cancel(self)

    def __await__(self) -> Generator[Any, None, Any]:
        self._queue._wait(self._future, None)
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        # Shielded: a cell that gives up waiting (asyncio.wait_for) does not take the result from whoever asks later.
        value = await asyncio.shield(asyncio.wrap_future(self._future))
        return await asyncio.to_thread(value.task.result) if isinstance(value, Kept) else value

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", repr(self.function))
        return f"<run of {name}: {'done' if self.done else self.task.state.value if self.task else 'waiting'}>"


class Queue(Framework):
    """Runs functions in the order they were submitted, as offers allow.

    ``needs`` is what one run takes; ``retries`` how often a run that was lost is tried again (a run that failed is not). One
    that was killed because its resources were taken back, for a guarantee or because its agent goes down, waits again as well.
    With ``ahead=1`` each agent is given the next run while the one before it still runs, and begins it without asking.
    """

    def __init__(self, needs: Resources | None = None, retries: int = 3, ahead: int = 0) -> None:
        if ahead not in {0, 1}:
            raise BadValue(
                f"ahead={ahead!r} is not possible; ahead=1 launches one run ahead of each that runs, ahead=0 none"
            )
        self.needs = needs or Resources(cpus=1)
        self.retries = retries
        self.ahead = ahead
        self._last: dict[str, Run] = {}  #: what runs and never had another run behind it, by task
        self._behind: dict[str, Run] = {}  #: what was launched ahead, by the task before it
        self._following = False  #: somebody has asked to look for what can be launched ahead
        self._waiting: deque[Run] = deque()
        self._runs: dict[str, Run] = {}  #: by the id of the task that runs it now
        self._quiet = False  #: asked for no offers
        #: submit is called from a cell, the callbacks from a thread of their own, and by whoever a result is handed to
        self._lock = RLock()

    def submit(self, function: Callable[..., Any], /, *args: Any, needs: Resources | None = None, **kwargs: Any) -> Run:
        """Run ``function(*args, **kwargs)`` when there is room."""
        return self._enqueue([Run(self, function, args, kwargs, needs or self._default_needs())])[0]

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any], needs: Resources | None = None) -> list[Run]:
        """Run the function once for each item, or for each row of several iterables."""
        needs = needs or self._default_needs()
        return self._enqueue([Run(self, function, args, {}, needs) for args in zip(*iterables, strict=False)])

    def shell(self, line: str, *, needs: Resources | None = None, files: Iterable[str | Path] = ()) -> Run:
        """Run a command when there is room, as ``offer.shell`` does; the result is its exit status, 0."""
        return self.submit(shell, line, files_for(line, files), needs=needs)

    @property
    def waiting(self) -> int:
        """How many runs wait for an offer."""
        return len(self._waiting)

    @property
    def idle(self) -> tuple[str, str]:
        """Nothing is queued, if nothing waits."""
        name = self._driver.name if self._driver else "queue"
        return ("nothing is queued", f"{name}.map(function, items)") if self._quiet and not self._waiting else ("", "")

    # -- callbacks ------------------------------------------------------------------------------------------------

    def on_registered(self, tasks: Sequence[TaskHandle]) -> None:
        """Kill what a predecessor left: nobody waits for it any more."""
        for task in tasks:
            if task.id not in self._runs:  # a new master may only be told again of what is ours
                self.kill(task)

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Launch the first that waits while it fits; give back the rest."""
        with self._lock:
            for offer in offers:
                while self._waiting and offer.fits(self._waiting[0].needs):
                    self._launch(offer, self._waiting.popleft())
                if not self._waiting:
                    offer.decline(0)  # no filter: the next submit must find it again at once
            self._launch_ahead()
            self._rest()

    def on_update(self, task: TaskHandle) -> None:
        """Hand over a result; put what was lost, or taken back, in front again."""
        if not task.ended or not (run := self._runs.pop(task.id, None)):
            return
        never_began = task.lost and bool(task.after)  # it was launched ahead, and has lost nothing
        taken_back = (bool(task.revoked) and task.killed) or never_began
        if not run.cancelled and (taken_back or (task.lost and run.losses < self.retries)):
            run.losses += task.lost and not never_began
            self._enqueue([run], front=True)
        else:
            self._settle(run, task)
        if self.ahead:
            self._ended(task)
            self._follow()

    def on_unregistered(self, because: str) -> None:
        """Break the promises that nobody will keep."""
        with self._lock:
            broken = [*self._waiting, *self._runs.values()]
            for known in (self._waiting, self._runs, self._last, self._behind):
                known.clear()
        for run in broken:
            run._settle(None, TaskGone(f"{because}, so this run has no result"))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _unready_us(self, run: Run) -> int:
        """How long a run waits for an offer before it is launched ahead."""
        return run.since_us + AHEAD_AFTER_US - self._registered().now_us()

    def _follow_later(self, delay_us: int) -> None:
        if not self._following:
            self._following = True
            self._registered().call_later(delay_us, self._follow)

    def _follow(self) -> None:
        """Launch ahead what has waited for long enough."""
        with self._lock:
            self._following = False
            self._launch_ahead()
            self._rest()

    def _launch_ahead(self) -> None:
        """Give what waits, in order, to agents that run the like of it, one behind each task that had none behind it yet."""
        for name, before in list(self._last.items()) if self._waiting else ():
            if self._waiting and self._unready_us(self._waiting[0]) > 0:
                self._follow_later(self._unready_us(self._waiting[0]))
                return
            if self._waiting and self._waiting[0].needs == before.needs and before.task:
                del self._last[name]
                self._launch(before.task, run := self._waiting.popleft())
                if run.task and run.task.after:
                    self._behind[name] = run

    def _ended(self, task: TaskHandle) -> None:
        """Note that a task has ended: what was behind it runs now, and may have another one behind it."""
        self._behind.pop(task.after, None)
        self._last.pop(task.id, None)
        following = self._behind.pop(task.id, None)
        if following and following.task and following.task.id in self._runs:
            self._last[following.task.id] = following

    def _rest(self) -> None:
        """Want nothing while nothing waits."""
        if not self._waiting and not self._quiet:
            self._quiet = True
            self.suppress()

    def _default_needs(self) -> Resources:
        assert self.needs is not None
        return self.needs

    def _enqueue(self, runs: list[Run], *, front: bool = False) -> list[Run]:
        driver, checked = self._registered(), None
        for run in runs:
            if run.needs is not checked:
                self._check(driver, checked := run.needs, lost=front)
        with self._lock:
            if front:
                self._waiting.extendleft(runs)
            else:
                self._waiting.extend(runs)
            if self._quiet and self._waiting:
                self._quiet = False
                self.revive()
            if self.ahead:
                for run in runs:
                    run.since_us = driver.now_us()
                self._follow_later(AHEAD_AFTER_US)
        return runs

    def _check(self, driver: Registration, needs: Resources, *, lost: bool) -> None:
        if not needs:
            raise BadValue("a run needs something; write needs=mb.Resources(cpus=1)")
        if not lost:  # what was lost waits for an agent that is large enough, even if there is none now
            driver.check_needs(needs)

    def _launch(self, on: OfferHandle | TaskHandle, run: Run) -> None:
        try:
            if isinstance(on, TaskHandle):
                run.task = self.launch_next(on, run.function, *run.args, **run.kwargs)
            else:
                run.task = on.launch(run.function, *run.args, needs=run.needs, **run.kwargs)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this run is its own result, and stops no other
            run._settle(None, error)
        else:
            self._runs[run.task.id] = run
            if self.ahead and not run.task.after:
                self._last[run.task.id] = run

    def _settle(self, run: Run, task: TaskHandle) -> None:
        try:
            kept = task.outcome and task.outcome.remains
            run._settle(Kept(task) if kept else task.result())
        except (TaskFailed, TaskGone) as error:
            run._settle(None, error)

    def _cancel(self, run: Run) -> None:
        with self._lock:
            if run in self._waiting:
                self._waiting.remove(run)
                run._settle(None, TaskGone("cancelled before it ran"))
                return
        run.cancelled = True
        if run.task and not run.done:
            self.kill(run.task)

    def _wait(self, future: Future[Any], timeout_us: int | None) -> None:
        self._registered().wait(future, timeout_us)
