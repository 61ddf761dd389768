"""What a framework and its offers may ask of the master that they are registered with, and how its tasks are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from mesonb.core.resources import Resources
from mesonb.frameworks.output import Output

if TYPE_CHECKING:
    from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle
    from mesonb.frameworks.callbacks import Complaints
    from mesonb.frameworks.following import Following


class Registration(Protocol):
    """What a framework and its offers ask of the master they are registered with (``driver.Driver``)."""

    name: str
    role: str
    dice: Random
    framework: Framework
    tasks: dict[str, TaskHandle]
    complaints: Complaints

    @property
    def prepare(self) -> Callable[[TaskHandle], None]:
        """Makes a task ready to travel."""

    def now_us(self) -> int:
        """The master's time in microseconds."""

    def next_task_id(self) -> str:
        """Count one more task of this framework."""

    @property
    def following(self) -> Following:
        """What it launched ahead."""

    def call_later(self, delay_us: int, function: Callable[[], Any]) -> None:
        """Call a function after a while, on the thread of the callbacks."""

    def answer(self, offer: OfferHandle) -> None:
        """Send what was written on a held offer now."""

    def together(self, offers: Iterable[OfferHandle]) -> None:
        """Send what was written on several offers, all or nothing."""

    def report(self, figures: dict[str, float]) -> None:
        """Keep what the framework says of its progress."""

    def placed(self, *, near: bool, waited_us: int) -> None:
        """Keep whether a task was launched where the framework prefers it."""

    def suppress(self, *roles: str) -> None:
        """Ask for no more offers."""

    def revive(self, *roles: str) -> None:
        """Ask for offers again."""

    def kill(self, task: str) -> None:
        """Ask for a task to be killed."""

    def wait(self, future: Future[Any], timeout_us: int | None) -> None:
        """Do what is needed for time to pass until the future is done."""

    def check_needs(self, needs: Resources) -> None:
        """Raise BadValue if there are agents and none is large enough for ``needs``."""

    def output(self, task: str) -> Output:
        """Return what is left of what a task printed."""


def id_prefix(name: str, epoch: int, incarnation: int) -> str:
    """Begin the ids of one registration's tasks; the first leader and the first registration go without saying.

    >>> [id_prefix("sweep", *numbers) for numbers in ((1, 1), (1, 2), (3, 1))]
    ['sweep', 'sweep.2', 'sweep.3.1']
    """
    if epoch == 1:
        return name if incarnation == 1 else f"{name}.{incarnation}"
    return f"{name}.{epoch}.{incarnation}"
