"""Warden: between an agent's executors and its isolation: keeps each task to its needs, and says why one had to end.

The executors tell it what happens to children and tasks; it answers, and calls ``end`` for a child whose task is over
its limits. A task's number is the executors' own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from mesonb.core.resources import NOTHING, Resources
from mesonb.live.limits.isolation import WATCH_S, Isolation
from mesonb.live.limits.processes import Weight

#: So many different needs are told apart; more cost a child a wait, no more.
KINDS_MOST = 1000


class Warden:
    """Looks after the children of one agent, on its loop."""

    def __init__(self, isolation: Isolation, end: Callable[[int], None]) -> None:
        self.isolation = isolation
        self.running: dict[int, int] = {}  #: the pid in which each task runs, by its number
        self._needs: dict[int, Resources] = {}
        self._broken: dict[int, str] = {}  #: why a child was ended, by its pid
        self._numbers: dict[Resources, int] = {}
        self._count = itertools.count(1)  # never used twice: a child compares them
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._watching: asyncio.TimerHandle | None = None

    def expect(self, number: int, needs: Resources) -> int:
        """Note what a task asked for, before it begins; return a number that stands for such limits, 0 for none at all."""
        if not self.isolation.limits:
            return 0
        self._needs[number] = needs
        if (known := self._numbers.get(needs)) is None:
            if len(self._numbers) >= KINDS_MOST:
                self._numbers.clear()
            known = self._numbers[needs] = next(self._count)
        return known

    def forget(self, number: int) -> None:
        """Drop a task that never began."""
        self._needs.pop(number, None)

    def born(self, pid: int) -> None:
        """Take in a new child."""
        self.isolation.welcome(pid)

    def begun(self, number: int, pid: int, before: Weight | None) -> None:
        """Limit a child to the task that it has just begun, beyond what it weighed before."""
        self.running[number] = pid
        self.isolation.apply(pid, self._needs.pop(number, NOTHING), before)
        if self._watching is None:
            self._watching = self._loop.call_later(WATCH_S, self._watch)

    def why_failed(self, number: int, because: str) -> str:
        """Return why a task failed: its limits, if those were the cause, else what it says itself."""
        pid = self.running.get(number)
        return (pid is not None and self.isolation.check(pid, because)) or because

    def over(self, number: int) -> None:
        """Note that a task is over."""
        self.isolation.rest(self.running.pop(number))

    def died(self, pid: int, number: int | None, because: str) -> str:
        """Forget a dead child; return why it died."""
        if number is not None:
            self.running.pop(number, None)
        because = self._broken.pop(pid, "") or self.isolation.check(pid, because) or because
        self.isolation.release(pid)
        return because

    def close(self) -> None:
        """Look after nobody any more; call it when the children are dead."""
        if self._watching:
            self._watching.cancel()
        self.isolation.close()

    def _watch(self) -> None:
        """Look at every running task, for as long as there are any."""
        self._watching = self._loop.call_later(WATCH_S, self._watch) if self.running else None
        for pid in list(self.running.values()):
            if pid not in self._broken and (because := self.isolation.check(pid)):
                self._broken[pid] = because
                self._end(pid)
