"""Any moment of a log, quickly: checkpoints along the way, and a short replay from the nearest.

Rule: opening goes through the whole log once, and checks it; after that a moment costs one checkpoint and at most
``every`` steps. Memory is bounded: past CHECKPOINTS_BYTES every other checkpoint goes and the rest stand twice as far apart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from mesonb.core.checkpoint import Checkpoint
from mesonb.core.log import Log, Step, again
from mesonb.core.master import MasterCore

#: At least so many steps lie between two checkpoints, so many checkpoints are aimed at, and this is all they may take.
#: Writing one costs as much as five thousand steps at 1,000 agents, reading it half of that.
EVERY = 1000
CHECKPOINTS = 400
CHECKPOINTS_BYTES = 200_000_000


class Moments:
    """The states of a core along a log, by number of steps taken and by time."""

    def __init__(
        self,
        log: Log,
        core: MasterCore | None = None,
        every: int = 0,
        watch: Callable[[MasterCore, Step], Any] | None = None,
    ) -> None:
        self.log = log
        self.every = every or max(EVERY, len(log.steps) // CHECKPOINTS)
        self._kept: list[Checkpoint] = []  #: number n is the state after n * every steps
        self._bytes = 0
        self._times = [step.now_us for step in log.steps]
        core = log.start(core)
        self._keep(core)
        for number, step in enumerate(log.steps, start=1):
            again(core, step, number)
            if number % self.every == 0:
                self._keep(core)
            if watch:
                watch(core, step)
        self.end = core  #: the state after the last step; whoever moves on from it takes it over

    def __len__(self) -> int:
        return len(self._times)

    def step_at(self, now_us: int) -> int:
        """Return how many steps were taken up to and at a time."""
        return bisect_right(self._times, now_us)

    def at(self, now_us: int) -> MasterCore:
        """Return a core as it was at a time."""
        return self.after(self.step_at(now_us))

    def after(self, steps: int, near: MasterCore | None = None, near_steps: int = 0) -> MasterCore:
        """Return a core as it was after so many steps; ``near``, a core a little earlier, saves the checkpoint."""
        steps = min(max(steps, 0), len(self))
        place = steps // self.every
        if near is None or not place * self.every <= near_steps <= steps:
            near, near_steps = self._kept[place].restore(), place * self.every
        for number in range(near_steps, steps):
            step = self.log.steps[number]
            near.step(step.call, step.now_us)  # what follows was compared when this was opened
        return near

    def _keep(self, core: MasterCore) -> None:
        self._kept.append(Checkpoint.of(core))
        self._bytes += len(self._kept[-1].packed)
        if self._bytes > CHECKPOINTS_BYTES:
            self._thin()

    def _thin(self) -> None:
        """Keep every other checkpoint. The last one may lie between the new places: then it goes as well."""
        self._kept = self._kept[::2]
        self.every *= 2
        self._bytes = sum(len(state.packed) for state in self._kept)
