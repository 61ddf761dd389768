"""Virtual time: things that are due, carried out in order of time, then of asking. Knows nothing of masters."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Engine:
    """A clock that jumps from one due thing to the next."""

    def __init__(self) -> None:
        self.now_us = 0
        self._due: list[tuple[int, int, Callable[[], object]]] = []
        self._asked = 0

    def at(self, due_us: int, do: Callable[[], object]) -> None:
        """Do something at a time; not before now."""
        self._asked += 1
        heapq.heappush(self._due, (max(due_us, self.now_us), self._asked, do))

    def after(self, delay_us: int, do: Callable[[], object]) -> None:
        """Do something after a while."""
        self.at(self.now_us + delay_us, do)

    @property
    def next_us(self) -> int | None:
        """When the next thing is due, or None if nothing is."""
        return self._due[0][0] if self._due else None

    def run(self, end_us: int, most: int) -> bool:
        """Do what is due until a time, and at most so many things; return whether there may be more."""
        due, pop = self._due, heapq.heappop
        for _ in range(most):
            if not due or due[0][0] > end_us:
                return False
            self.now_us, _, do = pop(due)
            do()
        return True

    def step(self) -> None:
        """Advance to the next due thing, and do it."""
        self.now_us, _, do = heapq.heappop(self._due)
        do()

    def jump(self, by_us: int) -> None:
        """Let the clock jump, as when the machine slept: what was due in a while is due in as long a while from now."""
        self.now_us += by_us
        self._due[:] = [
            (due_us + by_us, number, do) for due_us, number, do in self._due
        ]  # the same order: still a heap
