"""History: how shares went over time, for charts. It reads the core itself: a picture of everything costs ten times as much.

Rule: a row is exact, the mean over the time since the row before, however short the tasks were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from mesonb.core.books import Books
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.snapshot import dominant_share

#: How many moments of shares are kept for charts, and how far apart they are at least.
HISTORY_KEPT = 20_000
HISTORY_STEP_US = 50_000
#: What is used is measured once a second; each agent says so at a moment of its own.
USED_STEP_US = 950_000


class History:
    """Shares over time."""

    def __init__(self) -> None:
        #: (end of the span in us, mean dominant share of its tasks by framework)
        self.rows: deque[tuple[int, dict[str, float]]] = deque(maxlen=HISTORY_KEPT)
        #: (when, in us; what the tasks of each framework used), where that is measured
        self.used: deque[tuple[int, dict[str, Resources]]] = deque(maxlen=HISTORY_KEPT)
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

    def note(self, core: Books) -> None:
        """Add a row, if one is due; hold the session's lock."""
        now_us, before_us = core.now_us, self._last_us
        if not self.due(now_us):
            return
        held_us = {name: framework.held_us(now_us) for name, framework in core.frameworks.items()}
        if before_us is None:
            shares = {name: dominant_share(f.in_tasks, core.order.shared) for name, f in core.frameworks.items()}
        else:
            there = {name: n * (now_us - before_us) for name, n in core.order.total.items()}
            shares = {name: _mean_share(held, self._held_us.get(name, {}), there) for name, held in held_us.items()}
        self.rows.append((now_us, shares))
        self._last_us, self._held_us = now_us, held_us

    def note_seen(self, now_us: int, shares: dict[str, float]) -> None:
        """Add a row of shares as they were seen at one moment, if one is due: where no books are that say more."""
        if self.due(now_us):
            self.rows.append((now_us, shares))
            self._last_us = now_us


def _mean_share(held_us: Mapping[str, int], before: Mapping[str, int], there: Mapping[str, int]) -> float:
    """Return the largest fraction of any resource that tasks held, averaged over a span."""
    largest = 0.0
    for name, area in held_us.items():
        if area and name in there:
            largest = max(largest, (area - before.get(name, 0)) / there[name])
    return largest
