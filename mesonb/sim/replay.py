"""Replay: a recording, at whatever moment is asked for; panels show it as they show a master.

Opening goes through the recording once, which checks every step of it; then ``seek`` shows any moment at once. Times
count from the start of the recording. Nothing can be changed here: ``mb.what_if`` asks what would have been.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from mesonb.core import calls, events
from mesonb.core.allocator import Allocator
from mesonb.core.allocators import MODULES
from mesonb.core.history import HISTORY_STEP_US
from mesonb.core.log import Log, Step
from mesonb.core.master import MasterCore
from mesonb.core.resources import Resources
from mesonb.core.seek import Moments
from mesonb.core.snapshot import dominant_share, parts_of
from mesonb.core.units import parse_duration, show_duration
from mesonb.errors import BadValue, LogError, NotThere
from mesonb.frameworks.base import Framework
from mesonb.frameworks.driver import Driver
from mesonb.session import Session
from mesonb.sim.steps import Steps

#: How many moments of shares the charts get at most.
MOMENTS_CHARTED = 2000
#: Links to a moment are in milliseconds; one to the first moment that is kept may say a little before.
ROUNDED_US = 1000
_CLOCK = re.compile(r"\d+:\d{2}")  # 00:41, hours and minutes


class Replay(Session):
    """A recording, opened. ``seek`` to a time, ``step`` to the next call and back; ``snapshot`` and panels show that moment."""

    kind = "replay"

    def __init__(
        self, recording: str | Log, allocator: Allocator | None = None, handed: Iterable[Allocator] = ()
    ) -> None:
        log = recording.copy() if isinstance(recording, Log) else Log.load(recording)
        first = allocator or known_allocator(log.allocator)
        if first is None:
            name = log.allocator
            raise LogError(
                f"this was recorded with the allocator {name}; open it with mb.replay(..., allocator={name}())"
            )
        super().__init__(log.settings, first)
        self.core.handed = {type(module).__name__: module for module in handed}
        self.log = log
        self.position = len(log.steps)  #: how many steps of the recording have been taken at the moment that is shown
        self._chart_us = max(HISTORY_STEP_US, (self.ends_us - log.began_us) // MOMENTS_CHARTED)
        with _undisturbed():
            self._moments = Moments(log, self.core, watch=self._chart)
        self.core = self._moments.end
        self._moment_us = self.core.now_us

    @property
    def ends_us(self) -> int:
        """When the last recorded call was taken, by the recording's own clock."""
        return self.log.steps[-1].now_us if self.log.steps else self.log.began_us

    # -- moving about ---------------------------------------------------------------------------------------------

    def seek(self, time: float | str) -> Replay:
        """Show the moment at a time since the start: "00:41:10", "00:41", "90s", or seconds; LogError where that was let go."""
        moment_us = self.log.began_us + _parse(time)
        if moment_us < self.log.starts_us:
            self.log.check_kept(moment_us + ROUNDED_US)
            moment_us = max(moment_us, self.log.starts_us)
        self.step_to(self._moments.step_at(moment_us))
        self._moment_us = moment_us
        return self

    def step(self, steps: int = 1) -> Steps:
        """Go so many calls forward, or back where it is negative; return the steps that lie between."""
        before = self.position
        self.step_to(before + steps)
        return Steps(self.log.steps[min(before, self.position) : max(before, self.position)])

    def step_to(self, steps: int) -> Replay:
        """Show the moment after so many calls."""
        with self.lock, _undisturbed():
            steps = min(max(steps, 0), len(self._moments))
            self.core = self._moments.after(steps, self.core, self.position)
            self.position, self._moment_us = (
                steps,
                max(self.core.now_us, self.log.starts_us),
            )  # before any call: its start
        return self

    def find(self, condition: Callable[[Step], bool]) -> Replay:
        """Go forward to the first step for which the condition holds, and show the moment after it."""
        for number in range(self.position, len(self.log.steps)):
            if condition(self.log.steps[number]):
                return self.step_to(number + 1)
        raise NotThere(f"no step after the {self.position} that were taken is like that")

    # -- questions ------------------------------------------------------------------------------------------------

    def holders(self, agent: str) -> list[dict[str, Any]]:
        """Say who holds what of an agent at this moment: one row an offer or a task."""
        record = self.core.agents.get(agent)
        if record is None:
            names = ", ".join(list(self.core.agents)[:10]) or "none"
            raise NotThere(f"no agent is called {agent!r} at {self.clock}; there are: {names}")
        tasks = [
            _row(task.framework, task.id, task.state.value, task.needs, task.since_us) for task in record.tasks.values()
        ]
        offers = [
            _row(offer.framework, offer.id, "offered", offer.resources, offer.made_us)
            for offer in record.offers.values()
        ]
        return tasks + offers

    @property
    def clock(self) -> str:
        """The time of this moment, since the start."""
        return show_duration(max(0, self._moment_us - self.log.began_us))

    def __repr__(self) -> str:
        length = show_duration(self.ends_us - self.log.began_us)
        before = f" after {self.log.forgotten:,} that were let go" if self.log.forgotten else ""
        return f"<replay of {len(self.log.steps)} calls{before} over {length}: after call {self.position}, at {self.clock}>"

    # -- Session --------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """The moment that is shown, by the recording's own clock."""
        return self._moment_us

    @property
    def unsteerable(self) -> str:
        """What happened has happened."""
        return "a recording cannot be changed; mb.what_if(recording, ...) asks what would have been"

    def post(self, sent: Sequence[calls.Call]) -> NoReturn:
        """Refuse: what happened has happened."""
        raise BadValue(self.unsteerable)

    def _driver(self, framework: Framework, name: str, role: str) -> Driver:
        self.post([])

    def _step(self, call: calls.Call) -> list[events.Event]:
        self.post([call])

    # -- inside ---------------------------------------------------------------------------------------------------

    def _chart(self, core: MasterCore, step: Step) -> None:
        rows = self.history.rows
        if not rows or step.now_us - rows[-1][0] >= self._chart_us:
            held = {framework.name: framework.in_tasks for framework in core.frameworks.values()}
            shares = {name: dominant_share(amount, core.order.shared) for name, amount in held.items()}
            parts = {name: parts_of(amount, core.total) for name, amount in held.items()}
            self.history.note_seen(step.now_us, shares, parts)


def replay(recording: str | Log, allocator: Allocator | None = None, handed: Iterable[Allocator] = ()) -> Replay:
    """Open a recording: a path, or the log of a master or simulation.

    Allocators of your own must be given again: ``allocator`` the one that it began with, ``handed`` those swapped in later.
    """
    return Replay(recording, allocator, handed)


def known_allocator(name: str) -> Allocator | None:
    """Make one of mesonb's own allocators by the name that a recording gives; None where there is none."""
    return MODULES[name]() if name in MODULES else None


def _row(framework: str, name: str, state: str, held: Resources, since_us: int) -> dict[str, Any]:
    return {
        "framework": framework,
        "holds": name,
        "state": state,
        "resources": str(held),
        "since": show_duration(since_us),
    }


def _parse(time: float | str) -> int:
    """Read a time; on a clock of hours and minutes the seconds may be left out."""
    return parse_duration(f"{time}:00" if isinstance(time, str) and _CLOCK.fullmatch(time.strip()) else time)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the garbage collector from walking a long recording while a state is built; what is built here is no garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
