"""Following: the tasks that a framework launched ahead, each to begin when another one ends, with what that held.

Rule: a call goes out behind the accept that launches the task before it, never ahead of that; so what is launched ahead in
``on_offers`` waits until the answers to the offers are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mesonb.core import calls
from mesonb.errors import OfferError
from mesonb.frameworks.base import TaskHandle, name_of

if TYPE_CHECKING:
    from mesonb.frameworks.driver import Driver


class Following:
    """What one registration launched ahead; on the thread of its callbacks."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._next: dict[str, TaskHandle] = {}  #: by the task before it
        self._unsent: list[calls.LaunchNext] = []

    def launch(
        self, before: TaskHandle, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> TaskHandle:
        """Launch a task that begins when ``before`` ends; OfferError where nothing can."""
        self._check(before, function)
        driver = self._driver
        name = driver.next_task_id()
        task = TaskHandle(
            name, function, args, kwargs, before.needs, before.agent, registration=driver, after=before.id
        )
        driver.prepare(task)
        self._next[before.id] = driver.tasks[name] = task
        call = calls.LaunchNext(driver.name, before.id, name)
        if before.id in driver.tasks:
            driver.send([call])
        else:  # it is written on an offer, and not sent yet
            self._unsent.append(call)
        return task

    def to_send(self) -> list[calls.LaunchNext]:
        """Return what goes out behind the answers to offers."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def over(self, task: TaskHandle) -> None:
        """Note that a task has ended: what came after it has begun, unless it has ended too."""
        if following := self._next.pop(task.id, None):
            if not following.ended:
                following.after = ""
        if task.after:
            self._next.pop(task.after, None)

    def _check(self, before: TaskHandle, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise OfferError(f"{name_of(function)} is not a function; write self.launch_next(task, function, argument)")
        if before.ended:
            raise OfferError(f"{before.id} has ended, so nothing can come after it; launch on an offer instead")
        if before.id in self._next:
            raise OfferError(f"{self._next[before.id].id} comes after {before.id} already, and no more than one can")
