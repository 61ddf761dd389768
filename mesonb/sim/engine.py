"""Virtual time: things that are due, carried out in order of time, then of asking. Knows nothing of masters.

Most of what is asked for is due at once, or after the one delay that all messages take: each of these two has a lane, a
queue that is in order by itself. Only the rest, such as the ends of tasks, goes through a heap.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

#: When something is due, its number (a tie goes to what was asked for first), and what to do.
Due = tuple[int, int, Callable[..., object], tuple[Any, ...]]


class Engine:
    """A clock that jumps from one due thing to the next. ``lane_us`` is a delay that very many things have."""

    def __init__(self, lane_us: int = 0) -> None:
        self.now_us = 0
        self._heap: list[Due] = []
        self._at_once: deque[Due] = deque()
        self._lane: deque[Due] = deque()
        self._lane_us = lane_us
        self._asked = 0

    def at(self, due_us: int, do: Callable[..., object], *args: Any) -> None:
        """Do something at a time; not before now."""
        self.after(due_us - self.now_us, do, *args)

    def after(self, delay_us: int, do: Callable[..., object], *args: Any) -> None:
        """Do something after a while."""
        self._asked = number = self._asked + 1
        if delay_us == self._lane_us:
            self._lane.append((self.now_us + delay_us, number, do, args))
        elif delay_us <= 0:
            self._at_once.append((self.now_us, number, do, args))
        else:
            heapq.heappush(self._heap, (self.now_us + delay_us, number, do, args))

    @property
    def asked(self) -> int:
        """How many things have been asked for so far."""
        return self._asked

    @property
    def next_us(self) -> int | None:
        """When the next thing is due, or None if nothing is."""
        return min((queue[0][0] for queue in (self._at_once, self._lane, self._heap) if queue), default=None)

    def run(self, end_us: int, most: int) -> bool:
        """Do what is due until a time, and at most so many things; return whether there may be more."""
        heap, at_once, lane, pop = self._heap, self._at_once, self._lane, heapq.heappop
        for _ in range(most):
            queue = at_once if at_once and (not lane or at_once[0] < lane[0]) else lane
            if queue and (not heap or queue[0] < heap[0]):
                if queue[0][0] > end_us:
                    return False
                self.now_us, _, do, args = queue.popleft()
            elif heap and heap[0][0] <= end_us:
                self.now_us, _, do, args = pop(heap)
            else:
                return False
            do(*args)
        return True

    def step(self) -> None:
        """Advance to the next due thing, and do it."""
        due_us = self.next_us
        assert due_us is not None, "nothing is due"
        self.run(due_us, 1)

    def jump(self, by_us: int) -> None:
        """Let the clock jump, as when the machine slept: what was due in a while is due in as long a while from now."""
        self.now_us += by_us
        self._heap[:] = list(_later(self._heap, by_us))  # the same order: still a heap
        for queue in (self._at_once, self._lane):
            moved = list(_later(queue, by_us))
            queue.clear()
            queue.extend(moved)


def _later(queue: deque[Due] | list[Due], by_us: int) -> Iterator[Due]:
    return ((due_us + by_us, number, do, args) for due_us, number, do, args in queue)
