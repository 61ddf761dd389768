"""Turns: while somebody looks on, a click is answered though a cell computes without a pause.

A thread that computes in Python lets go of the interpreter every 5 ms, and whoever answers needs it back after each look at
a socket: a dozen times for one click on a chart's page. So turns are shorter while somebody looks on, and the panels'
loop looks at its sockets when it has nothing left to do, not between any two steps of one answer.

Rule: turns are only ever made shorter than what is set, and what was set is set again when nobody looks on any more.
"""

from __future__ import annotations

import asyncio
import selectors
import sys

TURN_S = 0.001
#: So often the loop goes on without a look at its sockets: more would let one busy page hold up the others.
STEPS_UNSEEN = 16


class Turns:
    """Who looks on; ``TURNS`` is the one of this process, used on the panels' loop alone."""

    def __init__(self) -> None:
        self._looking: set[object] = set()
        self._before_s = 0.0

    def look(self, who: object) -> None:
        """Note somebody who looks on; with the first, turns become shorter."""
        if not self._looking and (before_s := sys.getswitchinterval()) > TURN_S:
            self._before_s = before_s
            sys.setswitchinterval(TURN_S)
        self._looking.add(who)

    def leave(self, who: object) -> None:
        """Note that somebody looks on no more; with the last, turns are as they were, unless someone else has set them since."""
        self._looking.discard(who)
        if not self._looking and self._before_s:
            if abs(sys.getswitchinterval() - TURN_S) < TURN_S / 1000:
                sys.setswitchinterval(self._before_s)
            self._before_s = 0.0


TURNS = Turns()


class Steady(selectors.DefaultSelector):
    """Looks at sockets only when nothing else is left to do, or it has not for a while: each look gives the interpreter away."""

    def __init__(self) -> None:
        super().__init__()
        self._unseen = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return which sockets are ready; asked while there is something else to do (0), often none."""
        if timeout == 0 and self._unseen < STEPS_UNSEEN:
            self._unseen += 1
            return []
        self._unseen = 0
        return super().select(timeout)


def steady_loop() -> asyncio.AbstractEventLoop:
    """Make a loop whose answers are not interrupted."""
    return asyncio.SelectorEventLoop(Steady())
