"""Events, the pure half: the newest calls with what followed, in words, as many as are asked for and fit a filter.

Rule: words are made only of steps that are looked at, newest first, and LOOKED_AT at most a drawing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mesonb.core import calls
from mesonb.core.log import Step
from mesonb.core.telling import plainly, told

LOOKED_AT = 4000
#: Lines that one call may have; a cycle may make thousands of offers.
LINES = 12
US = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One call."""

    number: int  #: how many calls came before, and this one
    at_us: int
    call: str
    followed: tuple[str, ...]


def rows(steps: Sequence[Step], first: int, only: str = "", most: int = 150, *, ticks: bool = False) -> list[Row]:
    """Return the newest calls, newest first; ``first`` is the number of the oldest step.

    ``only`` keeps those in whose words it stands, in any case; without ``ticks`` a tick that changed nothing is left out.
    """
    found: list[Row] = []
    for row in _told(steps, first, ticks=ticks):
        if _fits(row, only.lower()):
            found.append(row)
            if len(found) == most:
                break
    return found


def _told(steps: Sequence[Step], first: int, *, ticks: bool) -> Iterator[Row]:
    for number in range(len(steps) - 1, max(-1, len(steps) - 1 - LOOKED_AT), -1):
        step = steps[number]
        if ticks or step.events or not isinstance(step.call, calls.Tick):
            yield Row(first + number, step.now_us, plainly(step.call), _followed(step))


def _followed(step: Step) -> tuple[str, ...]:
    lines = [told(event) or plainly(event) for event in step.events[:LINES]]
    more = len(step.events) - LINES
    return (*lines, f"… and {more:,} more") if more > 0 else tuple(lines)


def _fits(row: Row, only: str) -> bool:
    return not only or only in row.call.lower() or any(only in line.lower() for line in row.followed)


def kinds(steps: Iterable[Step]) -> Counter[str]:
    """Count the calls and events by their kind."""
    counts: Counter[str] = Counter()
    for step in steps:
        counts[type(step.call).__name__] += 1
        counts.update(type(event).__name__ for event in step.events)
    return counts
