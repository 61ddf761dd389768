"""Pace: how fast virtual time passes: as fast as it can, at a speed, one call at a time, or by itself with no cell running.

Rule: only when things happen in real time is decided here, never what happens: a run that was held, slowed or walked
through writes the same log as one that was not. Whoever lets time pass asks ``allowance`` before each slice.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

from mesonb.errors import BadValue
from mesonb.sim.progress import SLICE

if TYPE_CHECKING:
    from mesonb.sim.simulation import Simulation

#: How long a run that may not go on waits before it looks again: a button acts within this.
LOOK_S = 0.01
#: While time passes by itself, cells get their turn so often.
TURN_S = 0.02
#: Later than any run.
NEVER_US = 1 << 62
US = 1_000_000
SPEEDS = (0.001, 1_000_000)


class Pace:
    """The pace of one simulation; callable from any thread."""

    def __init__(self) -> None:
        self.held = False
        self._speed: float | None = None
        self._until_step = 0  #: while held, calls may be taken until the master has taken so many
        self._from: tuple[float, int] | None = None  #: real seconds and virtual time from which the speed counts
        self._player: Player | None = None
        self.trouble = ""  #: what ended the last play

    @property
    def speed(self) -> float | None:
        """Virtual seconds in a real one; None: as fast as it can."""
        return self._speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        if speed is not None and not (isinstance(speed, int | float) and SPEEDS[0] <= speed <= SPEEDS[1]):
            raise BadValue(
                f"{speed!r} is not a speed; a speed is a number from 0.001 to 1,000,000, or None for all it can"
            )
        self._speed, self._from = speed, None

    def allow(self, until_step: int) -> None:
        """Hold, and let calls be taken until the master has taken so many."""
        self.held, self._until_step = True, until_step

    def hold(self, held: bool) -> None:
        """Hold, or let go on."""
        self.held, self._from, self._until_step = held, None, 0

    def allowance(self, now_us: int, steps: int) -> tuple[int, int]:
        """Return how many things may be done now, and until which virtual time; it waits a moment where that is little."""
        if self.held:
            if steps < self._until_step:
                return 1, NEVER_US
            time.sleep(LOOK_S)
            return 0, NEVER_US
        speed = self._speed  # read once: another thread may set it
        if speed is None:
            return SLICE, NEVER_US
        time.sleep(LOOK_S)
        return SLICE, self._reached_us(now_us, speed)

    def _reached_us(self, now_us: int, speed: float) -> int:
        began_s, began_us = self._from = self._from or (time.monotonic(), now_us)
        return began_us + int((time.monotonic() - began_s) * speed * US)

    # -- by itself ------------------------------------------------------------------------------------------------

    @property
    def playing(self) -> bool:
        """Whether time passes by itself, with no cell running."""
        return self._player is not None and self._player.is_alive()

    def play(self, simulation: Simulation) -> None:
        """Let time pass by itself, until it is stopped."""
        if not self.playing:
            self.trouble, self._player = "", Player(simulation)
            self._player.start()

    def stop(self) -> None:
        """Let time stand still, unless a cell lets it pass."""
        if self._player is not None:
            self._player.stopped.set()
            self._player = None


class Player(threading.Thread):
    """Lets time pass by itself. It holds its simulation weakly, and gives way to cells."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(name=f"mesonb-{simulation.id}", daemon=True)
        self.stopped = threading.Event()
        self._simulation = weakref.ref(simulation)

    def run(self) -> None:
        """Go on turn by turn."""
        before_s = time.monotonic()
        while not self.stopped.wait(LOOK_S) and (simulation := self._simulation()):
            now_s = time.monotonic()
            try:
                simulation.take_turn(simulation.pace.speed or 1.0, now_s - before_s, TURN_S)
            except Exception as error:  # noqa: BLE001 - said where it is steered; the next play goes on
                simulation.pace.trouble = f"{type(error).__name__}: {error}"
                return
            before_s = now_s
            del simulation
