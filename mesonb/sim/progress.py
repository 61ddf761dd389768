"""What a person sees and does while a simulation runs: a bar once it takes long, and the stop button.

Rule: it looks between things that happen, never within one, so an interrupt leaves books, agents and frameworks in a
state that ``run`` goes on from. Real time is read here for the bar alone; nothing that happens depends on it.

While it stands by, the garbage collector looks at young objects only, and where it finds no garbage at a sample of them:
a run makes many that stay, the log above all, and walking those again and again is half of the time at 50,000 agents.
What was not looked at is set aside until the run is over (docs/decisions/078).
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self

#: A bar is shown once a run has taken this long.
PATIENCE_S = 2.0
#: How many things happen between two looks.
SLICE = 1000
#: While no garbage is found, it is looked for in one slice of so many.
SAMPLE = 16


class Progress:
    """Stands beside one run: ``look`` is called between its slices."""

    _looks: ClassVar[int] = 0  #: in all runs: short ones have their share of the sample
    _garbage: ClassVar[int] = 0  #: how much was found when it was last looked for

    def __init__(self, start_us: int, end_us: int | None) -> None:
        self._start_us, self._end_us = start_us, end_us
        self._began_s = time.monotonic()
        self._bar: Any = None
        self._interrupted = False
        self._before: Any = None
        self._collecting = False  #: the garbage collector was on before
        self._sets_aside = False  #: what it need not look at may be set aside: nobody else has done so

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._note)
        self._collecting = gc.isenabled()
        gc.disable()
        self._sets_aside = self._collecting and not gc.get_freeze_count()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sets_aside:
            gc.unfreeze()
        if self._collecting:
            gc.enable()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._bar is not None:
            self._bar.close()

    def look(self, now_us: int) -> None:
        """Show how far the run is; raise KeyboardInterrupt if the stop button was pressed."""
        if self._interrupted:
            raise KeyboardInterrupt
        if self._collecting:
            self._collect()
        if self._bar is not None:
            self._bar.update(now_us / 1e6 - self._bar.n)
        elif time.monotonic() - self._began_s > PATIENCE_S and _somebody_looks():
            self._bar = self._new_bar()

    def _collect(self) -> None:
        """Look for garbage among what is new, or set it aside; a run either makes some all the time or hardly ever."""
        Progress._looks += 1
        if Progress._garbage or not self._sets_aside or Progress._looks % SAMPLE == 0:
            Progress._garbage = gc.collect(0)
        else:
            gc.freeze()

    def _note(self, signum: int, frame: FrameType | None) -> None:
        """Stop at the next look; a second press stops at once, wherever that is."""
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def _new_bar(self) -> Any:
        from tqdm.auto import tqdm

        total = None if self._end_us is None else self._end_us / 1e6
        shape = "{l_bar}{bar}| {n:.0f}/{total:.0f} simulated s, {elapsed} so far, {remaining} left" if total else None
        return tqdm(total=total, initial=self._start_us / 1e6, unit=" simulated s", leave=False, bar_format=shape)


def _somebody_looks() -> bool:
    """Whether standard error is a terminal, or this is a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
