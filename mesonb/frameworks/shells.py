"""What a driver needs of the world around it: a clock, a way to send, how a function travels; live and simulated have each its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from mesonb.core import calls
from mesonb.core.resources import Resources
from mesonb.frameworks.base import TaskHandle
from mesonb.frameworks.output import Output


class Shell(Protocol):
    """What a driver needs of the world."""

    def now_us(self) -> int:
        """The time of the master that this framework is registered with."""

    @property
    def encode(self) -> Callable[[TaskHandle], None]:
        """Makes a task's function and arguments ready to travel; raises CannotPickle where they cannot."""

    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls to the master, in order; callable from any thread."""

    def wake_at(self, due_us: int) -> None:
        """See to it that ``driver.wake()`` is called at that time."""

    def wait(self, future: Future[Any], timeout_us: int | None) -> None:
        """Do what is needed for time to pass until the future is done; nothing where time passes by itself."""

    def check_needs(self, needs: Resources) -> None:
        """Raise BadValue if there are agents and none is large enough for ``needs``."""

    def output(self, task: str) -> Output:
        """Return what is left of what a task printed."""
