"""Futures: a ``concurrent.futures.Executor`` over a share, for code that was written for one and need not know mesonb.

``submit`` waits its turn as any framework does. An error is raised as it was, with the remote traceback as a note; what
was lost is run again, as the queue beneath does. ``cancel`` really kills what runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from threading import Lock, Thread
from typing import Any

from mesonb.core.resources import Resources
from mesonb.core.units import counted, parse_duration
from mesonb.errors import BadValue, MesonbError
from mesonb.frameworks.queue import Kept, Queue, Run


class TaskFuture(Future[Any]):
    """The future of one run; waiting for it lets virtual time pass in a simulation."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        run._future.add_done_callback(self._settle)

    def cancel(self) -> bool:
        """Cancel it; what runs is killed. False if it is done."""
        if not super().cancel():
            return False
        self.run.cancel()
        return True

    def result(self, timeout: float | None = None) -> Any:
        self._let_time_pass(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._let_time_pass(timeout)
        return super().exception(timeout)

    def _let_time_pass(self, timeout: float | None) -> None:
        if not self.done():
            self.run._queue._wait(self.run._future, None if timeout is None else parse_duration(timeout))

    def _settle(self, outcome: Future[Any]) -> None:
        if not self.set_running_or_notify_cancel():
            return
        error = outcome.exception()
        if error is not None:
            self.set_exception(_as_raised(error))
        elif isinstance(outcome.result(), Kept):
            Thread(target=self._fetch, args=(outcome.result(),), daemon=True).start()
        else:
            self.set_result(outcome.result())

    def _fetch(self, kept: Kept) -> None:
        """Fetch a large result, where nobody else waits for it."""
        try:
            self.set_result(kept.task.result())
        except Exception as error:  # noqa: BLE001 - it is the outcome
            self.set_exception(error)


class Share(Executor):
    """An executor whose workers are whatever its framework is granted; ``session.futures`` makes one."""

    def __init__(self, queue: Queue, width: int, leave: Callable[[], None]) -> None:
        self.queue = queue
        self._max_workers = max(1, width)  #: under this name Dask, for one, looks for it
        self._leave = leave
        self._pending: dict[Future[Any], None] = {}  #: in the order in which they were submitted
        self._lock = Lock()
        self._closing = self._left = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> TaskFuture:
        """Run ``fn(*args, **kwargs)`` when there is room."""
        if self._closing:
            raise BadValue("this executor was shut down; ask for another with master.futures(...)")
        kept = kwargs.pop("needs", None)  # an argument of this name is the function's own, not the queue's
        function = fn if kept is None else _WithNeeds(fn, kept)
        future = TaskFuture(self.queue.submit(function, *args, **kwargs))
        with self._lock:
            self._pending[future] = None
        future.add_done_callback(self._done)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; give the share back when the last is done, which is waited for unless ``wait=False``."""
        self._closing = True
        with self._lock:
            pending = list(self._pending)
        for future in pending:
            if cancel_futures:
                future.cancel()
            elif wait:
                with contextlib.suppress(MesonbError, CancelledError):
                    future.exception()
        self._leave_when_idle()

    def __repr__(self) -> str:
        return f"<executor on {self.queue!r}: {counted(len(self._pending), 'call')} pending>"

    @property
    def width(self) -> int:
        """How many runs the cluster holds at once, when this share has all of it."""
        return self._max_workers

    def _done(self, future: Future[Any]) -> None:
        with self._lock:
            self._pending.pop(future, None)
        if self._closing:
            self._leave_when_idle()

    def _leave_when_idle(self) -> None:
        with self._lock:
            if self._pending or self._left:
                return
            self._left = True
        self._leave()


class _WithNeeds:
    """A function with its argument ``needs`` bound."""

    def __init__(self, function: Callable[..., Any], needs: Any) -> None:
        self.function, self.needs = function, needs
        self.__name__ = getattr(function, "__name__", repr(function))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, needs=self.needs, **kwargs)


def width_of(needs: Resources, free: list[Resources]) -> int:
    """Count how often ``needs`` fits into agents of these sizes.

    >>> width_of(Resources(cpus=2), [Resources(cpus=5), Resources(cpus=4)])
    4
    """
    return sum(
        min((agent.amounts.get(name, 0) // n for name, n in needs.amounts.items() if n), default=0) for agent in free
    )


def _as_raised(error: BaseException) -> BaseException:
    """Return the exception that the task raised, where it could travel."""
    cause = error.__cause__
    if cause is None:
        return error
    cause.add_note(str(error))
    return cause
