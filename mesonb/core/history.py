"""History: how shares went over time, for charts. It reads the core itself: a picture of everything costs ten times as much.

Rule: a row is exact, the mean over the time since the row before, however short the tasks were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from mesonb.core.books import Books
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.snapshot import Parts, parts_of

#: How many moments of shares are kept for charts, and how far apart they are at least.
HISTORY_KEPT = 20_000
HISTORY_STEP_US = 50_000
#: Once so many shares have been noted, so many steps for each framework lie between rows: then they cost a small part of a run.
PLENTY, STEPS_APART = 5_000, 20
#: What is used is measured once a second; each agent says so at a moment of its own.
USED_STEP_US = 950_000


class History:
    """Shares over time."""

    def __init__(self) -> None:
        #: (end of the span in us, mean dominant share of its tasks by framework)
        self.rows: deque[tuple[int, dict[str, float]]] = deque(maxlen=HISTORY_KEPT)
        #: (the same moments; by framework and resource, the mean part of the cluster's that its tasks held)
        self.parts: deque[tuple[int, Parts]] = deque(maxlen=HISTORY_KEPT)
        #: (when, in us; what the tasks of each framework used), where that is measured
        self.used: deque[tuple[int, dict[str, Resources]]] = deque(maxlen=HISTORY_KEPT)
        self.steps_apart = 0  #: how many steps are to be taken before the next row, where time passes by steps
        self._noted = 0  #: shares, so far
        self._last_us: int | None = None
        self._held_us: dict[str, dict[str, int]] = {}  #: by framework, what its tasks had held until then

    def due(self, now_us: int) -> bool:
        """Whether the last row is long enough ago for another."""
        return self._last_us is None or now_us - self._last_us >= HISTORY_STEP_US

    def note_used(self, now_us: int, core: Books, used: Mapping[str, Mapping[str, Resources]]) -> None:
        """Add a row of what is used, by agent and task, if one is due; hold the session's lock."""
        if self.used and now_us - self.used[-1][0] < USED_STEP_US:
            return
        row: dict[str, Resources] = {}
        for by_task in used.values():
            for name, amounts in by_task.items():
                if task := core.tasks.get(name):
                    row[task.framework] = row.get(task.framework, NOTHING) + amounts
        self.used.append((now_us, row))

    def note(self, core: Books, now_us: int = 0) -> None:
        """Add a row, if one is due; hold the session's lock. ``now_us`` is when, if later than the core's last step."""
        now_us, before_us = max(now_us, core.now_us), self._last_us
        if not self.due(now_us):
            return
        held_us = {name: framework.held_us(now_us) for name, framework in core.frameworks.items()}
        if before_us is None:
            parts = {name: parts_of(framework.in_tasks, core.total) for name, framework in core.frameworks.items()}
        else:
            there = {name: n * (now_us - before_us) for name, n in core.total.amounts.items() if n}
            parts = {name: _mean_parts(held, self._held_us.get(name, {}), there) for name, held in held_us.items()}
        shared = core.order.total
        self._add(now_us, {name: _largest(part, shared) for name, part in parts.items()}, parts)
        self._held_us = held_us
        self._noted += len(parts)
        self.steps_apart = STEPS_APART * len(parts) if self._noted > PLENTY else 0

    def note_seen(self, now_us: int, shares: dict[str, float], parts: Parts) -> None:
        """Add a row of what was seen at one moment, if one is due: where no books are that say more."""
        if self.due(now_us):
            self._add(now_us, shares, parts)

    def of(self, resource: str = "", after_us: int = -1) -> list[tuple[int, dict[str, float]]]:
        """Return rows after a moment, of one resource: by framework, the part that its tasks held; "" is the dominant share."""
        if not resource:
            return [row for row in list(self.rows) if row[0] > after_us]
        fresh = [row for row in list(self.parts) if row[0] > after_us]
        return [(at_us, {name: part.get(resource, 0.0) for name, part in row.items()}) for at_us, row in fresh]

    def _add(self, now_us: int, shares: dict[str, float], parts: Parts) -> None:
        self.rows.append((now_us, shares))
        self.parts.append((now_us, parts))
        self._last_us = now_us


def _mean_parts(held_us: Mapping[str, int], before: Mapping[str, int], there: Mapping[str, int]) -> dict[str, float]:
    """Return the fraction of each resource that tasks held, averaged over a span."""
    return {
        name: (area - before.get(name, 0)) / there[name] for name, area in held_us.items() if area and name in there
    }


def _largest(parts: Mapping[str, float], shared: Mapping[str, int]) -> float:
    """Return the dominant one of the resources that count for fairness."""
    return max((part for name, part in parts.items() if name in shared), default=0.0)
