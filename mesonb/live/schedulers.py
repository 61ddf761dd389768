"""Schedulers: the registrations of which none speaks for its framework yet: those on their way, and those that stand by.

Each kernel is a scheduler under its own name, the master's kernel under none. One that stands by hears nothing until the
kernel of the active one is gone; then the name is its own, with what runs under it. Rule: it is told of tasks only when
their cargo is here, for which the agents are asked, or when that took too long. All of it runs on the master's loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from mesonb.live.guests import Guest
    from mesonb.live.mailbox import Mailbox

    Box: TypeAlias = Mailbox | Guest

#: So long agents may take to hand over the cargo of tasks; then whoever stands by goes on without.
HANDED_OVER_S = 2.0


class Schedulers:
    """The registrations of one master that are on their way or stand by, and what these wait for."""

    def __init__(self) -> None:
        self._coming: dict[str, deque[Box]] = {}  #: by framework, in the order in which they were made
        self._standing: dict[tuple[str, str], Box] = {}  #: by framework and kernel
        self._awaited: dict[
            str, tuple[set[str], Callable[[], None]]
        ] = {}  #: by framework: cargo of tasks, and what then

    def expect(self, name: str, box: Box) -> None:
        """Note where the mail of a registration goes, once it is made."""
        self._coming.setdefault(name, deque()).append(box)

    def take(self, name: str, kernel: str) -> Box:
        """Return whose registration this was: one on its way, or one that stood by."""
        coming = self._coming.get(name, deque())
        found = next((box for box in coming if box.kernel == kernel), None)
        stood = self._standing.pop((name, kernel), None)
        if found is not None:
            coming.remove(found)
        box = found or stood
        assert box is not None, f"{kernel or 'nobody here'} never registered {name}"
        return box

    def stand(self, name: str, kernel: str) -> Box:
        """Let the registration that was made last by a kernel stand by."""
        box = self._standing[name, kernel] = self.take(name, kernel)
        return box

    def stands(self, name: str, kernel: str) -> Box | None:
        """Return the registration with which a kernel stands by for a framework, if it does."""
        return self._standing.get((name, kernel))

    def has_another(self, name: str) -> bool:
        """Whether any kernel stands by for a framework."""
        return any(of == name for of, _ in self._standing)

    def leave(self, kernel: str, name: str = "") -> list[str]:
        """Forget what stands by in a kernel, for one framework or all, and return for which it did."""
        left = [of for of, by in self._standing if by == kernel and name in ("", of)]
        for of in left:
            del self._standing[of, kernel]
        return left

    def __iter__(self) -> Any:
        return iter([box for coming in self._coming.values() for box in coming])

    # -- what these wait for --------------------------------------------------------------------------------------

    def wait(self, name: str, tasks: Collection[str], then: Callable[[], None]) -> None:
        """Call a function when the cargo of these tasks is here, or when that takes too long."""
        self._awaited[name] = set(tasks), then
        asyncio.get_running_loop().call_later(HANDED_OVER_S, self._enough, name, then)
        self.came(())

    def came(self, tasks: Collection[str]) -> None:
        """Note that the cargo of some tasks is here."""
        for name, (missing, then) in list(self._awaited.items()):
            missing.difference_update(tasks)
            if not missing:
                self._enough(name, then)

    def _enough(self, name: str, then: Callable[[], None]) -> None:
        if self._awaited.get(name, (None, None))[1] is then:
            del self._awaited[name]
            then()
