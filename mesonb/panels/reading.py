"""Reading a log as it grows: what is new in it since the last look, for panels that show what happened over time.

Rule: a panel reads STEPS_READ steps at most when it opens, and each step once after that. Where a replay went back, or
the log has forgotten what was not read yet, the reading begins again: ``Fresh.restarted`` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mesonb.core.log import Step
from mesonb.session import Session

#: What a panel reads of a log that was long before it opened: enough to fill it, a fraction of a second to read.
STEPS_READ = 20_000


class Fresh(NamedTuple):
    """What came since the last look. ``restarted``: what was read before is to be forgotten."""

    steps: Sequence[Step]
    restarted: bool
    skipped: int  #: how many steps came before the first that was read


class Reader:
    """A place in the log of one session."""

    def __init__(self) -> None:
        self._next: int | None = None  #: how many steps, of all that were ever taken, have been read
        self._skipped = 0

    def read(self, session: Session) -> Fresh:
        """Return the steps between the last look and the moment that the session shows; from any thread."""
        with session.reading():
            log, until = session.log, session.core.steps
            restarted = (
                self._next is None or not until - STEPS_READ <= self._next <= until or self._next < log.forgotten
            )
            begin = max(log.forgotten, until - STEPS_READ) if restarted else self._next or 0
            steps = log.steps[begin - log.forgotten : until - log.forgotten]
        self._next = until
        if restarted:
            self._skipped = begin
        return Fresh(steps, restarted, self._skipped)
