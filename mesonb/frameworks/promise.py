"""Promise: an outcome that comes later, a value or an error, once.

A ``Future`` of it is made only for whoever waits or wants to be called: it is ten objects and a lock, and of many runs
most are over when somebody asks. Settled from one thread, asked from any.
"""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock
from typing import Any

_LOCK = Lock()  #: of all promises: it is held for a few instructions


class Promise:
    """What ``settle`` or ``fail`` will say; the first time counts."""

    __slots__ = ("__weakref__", "_made", "_outcome")

    def __init__(self) -> None:
        self._outcome: tuple[Any, BaseException | None] | None = None
        self._made: Future[Any] | None = None

    @property
    def done(self) -> bool:
        """Whether there is a result, or an error in its place."""
        return self._outcome is not None

    @property
    def _future(self) -> Future[Any]:
        """The same as a future, for whoever waits."""
        with _LOCK:
            if self._made is None:
                self._made = Future()
                if self._outcome:
                    _tell(self._made, *self._outcome)
            return self._made

    def _settle(self, value: Any, error: BaseException | None = None) -> None:
        """Keep the promise, with a value or an error."""
        with _LOCK:
            if self._outcome is not None:
                return
            self._outcome, made = (value, error), self._made
        if made is not None:
            _tell(made, value, error)

    def _value(self, timeout_s: float | None = None) -> Any:
        """Wait for the value, and return it; raise the error that is there in its place, or TimeoutError."""
        if self._outcome is None:
            return self._future.result(timeout_s)
        value, error = self._outcome
        if error is not None:
            raise error
        return value


def _tell(future: Future[Any], value: Any, error: BaseException | None) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
