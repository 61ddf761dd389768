"""Virtual time: things that are due, carried out in order of time, then of asking. Knows nothing of masters.

It is a calendar of short pages. What is due later goes on its page as it comes, and a page is put in order when its turn
has come, so asking costs the same however much is due; only the numbers of pages go through a heap.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

#: When something is due, its number (a tie goes to what was asked for first), and what to do.
Due = tuple[int, int, Callable[..., object], tuple[Any, ...]]
#: A page holds what is due within 2**PAGE_BITS microseconds: so much that few are turned, so little that asking is quick.
PAGE_BITS = 13


class Engine:
    """A clock that jumps from one due thing to the next."""

    def __init__(self) -> None:
        self.now_us = 0
        self.asked = 0  #: how many things have been asked for so far
        self._page: list[Due] = []  #: the one whose turn it is, in order
        self._number = -1  #: its number
        self._done = 0  #: how much of it is done
        self._pages: dict[int, list[Due]] = {}  #: those after it, by number, as they were asked for
        self._numbers: list[int] = []  #: theirs, a heap

    def at(self, due_us: int, do: Callable[..., object], *args: Any) -> None:
        """Do something at a time; not before now."""
        self.after(due_us - self.now_us, do, *args)

    def after(self, delay_us: int, do: Callable[..., object], *args: Any) -> None:
        """Do something after a while."""
        self.asked = asked = self.asked + 1
        due_us = self.now_us + delay_us if delay_us > 0 else self.now_us
        number = due_us >> PAGE_BITS
        if number == self._number:
            insort(self._page, (due_us, asked, do, args), self._done)
        elif number in self._pages:
            self._pages[number].append((due_us, asked, do, args))
        else:
            self._begin(number, (due_us, asked, do, args))

    def _begin(self, number: int, due: Due) -> None:
        """Begin a page."""
        if number < self._number:  # its turn came when nothing was due before it
            self._put_back()
        self._pages[number] = [due]
        heappush(self._numbers, number)

    def _put_back(self) -> None:
        if rest := self._page[self._done :]:
            self._pages[self._number] = rest
            heappush(self._numbers, self._number)
        self._page, self._done, self._number = [], 0, -1

    def _turn(self) -> bool:
        """Turn to the next page; return whether there is one."""
        if not self._numbers:
            return False
        self._number = heappop(self._numbers)
        self._page, self._done = self._pages.pop(self._number), 0
        self._page.sort()
        return True

    @property
    def next_us(self) -> int | None:
        """When the next thing is due, or None if nothing is."""
        if self._done == len(self._page) and not self._turn():
            return None
        return self._page[self._done][0]

    @property
    def idle(self) -> bool:
        """Whether nothing more is due now."""
        if self._done < len(self._page):
            return self._page[self._done][0] > self.now_us
        return not self._numbers or self._numbers[0] > self.now_us >> PAGE_BITS

    def run(self, end_us: int, most: int) -> bool:
        """Do what is due until a time, and at most so many things; return whether there may be more."""
        for _ in range(most):
            if self._done == len(self._page) and not self._turn():
                return False
            due_us, _, do, args = self._page[self._done]
            if due_us > end_us:
                return False
            self._done += 1  # before it is done: what it does may let time pass, or raise
            self.now_us = due_us
            do(*args)
        return True

    def step(self) -> None:
        """Advance to the next due thing, and do it."""
        due_us = self.next_us
        assert due_us is not None, "nothing is due"
        self.run(due_us, 1)

    def jump(self, by_us: int) -> None:
        """Let the clock jump, as when the machine slept: what was due in a while is due in as long a while from now."""
        self._put_back()
        self.now_us += by_us
        pending = [due for page in self._pages.values() for due in page]
        self._pages.clear()
        for due_us, asked, do, args in pending:
            self._pages.setdefault((due_us + by_us) >> PAGE_BITS, []).append((due_us + by_us, asked, do, args))
        self._numbers = list(self._pages)
        heapify(self._numbers)
