"""Iterative: rounds of tasks, where all of one round must be in before the next begins (gradient descent, k-means).

Between rounds it wants nothing, so it declines; a new round revives it. That is fine-grained sharing: what one
framework does not use for a moment, the next one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from mesonb.core.resources import Resources
from mesonb.errors import TaskFailed
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle

Work = tuple[Callable[..., Any], tuple[Any, ...]]


class Iterative(Framework):
    """Subclass it and write ``work`` and ``combine``. A lost task is run again; a failed one ends the computation."""

    def __init__(self, needs: Resources | None = None) -> None:
        self.needs = needs or Resources(cpus=1)
        self.round = 0  #: rounds completed
        self._todo: list[tuple[int, Work]] = []  #: of this round: position and what to run
        self._running: dict[str, tuple[int, Work]] = {}
        self._results: dict[int, Any] = {}
        self._done: Future[int] = Future()

    # -- write these ----------------------------------------------------------------------------------------------

    def work(self) -> Iterable[Work]:
        """Return the tasks of the next round, as (function, arguments) pairs."""
        raise NotImplementedError

    def combine(self, results: list[Any]) -> bool:
        """Take the results of a round, in the order of its work; return whether there is a next round."""
        raise NotImplementedError

    # -- use these ------------------------------------------------------------------------------------------------

    def wait(self) -> int:
        """Wait for the last round, and return how many there were; raise TaskFailed if a task failed."""
        self._registered().wait(self._done, None)
        return self._done.result()

    @property
    def done(self) -> bool:
        """Whether the last round is over."""
        return self._done.done()

    # -- callbacks ------------------------------------------------------------------------------------------------

    def on_registered(self, tasks: Sequence[TaskHandle]) -> None:
        """Begin the first round; what an earlier version of this code left running is of no use to this one."""
        for task in tasks:
            self.kill(task)
        self._begin()

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Launch what this round still lacks, wherever it fits."""
        assert self.needs is not None
        for offer in offers:
            while self._todo and offer.fits(self.needs):
                position, (function, args) = self._todo.pop()
                task = offer.launch(function, *args, needs=self.needs)
                self._running[task.id] = position, (function, args)

    def on_update(self, task: TaskHandle) -> None:
        """Gather results; the last one of a round begins the next."""
        if not task.ended or task.id not in self._running:
            return
        position, work = self._running.pop(task.id)
        if task.failed:
            self._fail(task)
        elif task.finished:
            self._results[position] = task.result()
            if not self._todo and not self._running:
                self._next()
        else:
            self._todo.append((position, work))
            self.revive()

    def _begin(self) -> None:
        self._todo = list(enumerate(self.work()))[::-1]
        self._results = {}
        self.revive()

    def _next(self) -> None:
        self.round += 1
        if self.combine([self._results[position] for position in sorted(self._results)]):
            self._begin()
        else:
            self._finish()

    def _finish(self) -> None:
        self.suppress()
        self._done.set_result(self.round)

    def _fail(self, task: TaskHandle) -> None:
        self._todo = []
        for other in list(self._running):
            self.kill(other)
        self._running = {}
        self.suppress()
        if self._done.done():
            return
        try:
            task.result()
        except TaskFailed as error:
            self._done.set_exception(error)
