"""What a person sees and does while a simulation runs: a bar once it takes long, and the stop button.

Rule: it looks between things that happen, never within one, so an interrupt leaves books, agents and frameworks in a
state that ``run`` goes on from. Real time is read here for the bar alone; nothing that happens depends on it.

While it stands by, the garbage collector looks at young objects only: a run makes many that stay, the log above all,
and walking those again and again is half of the time at 50,000 agents.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

#: A bar is shown once a run has taken this long.
PATIENCE_S = 2.0
#: How many things happen between two looks.
SLICE = 1000


class Progress:
    """Stands beside one run: ``look`` is called between its slices."""

    def __init__(self, start_us: int, end_us: int | None) -> None:
        self._start_us, self._end_us = start_us, end_us
        self._began_s = time.monotonic()
        self._bar: Any = None
        self._interrupted = False
        self._before: Any = None
        self._collecting = False  #: the garbage collector was on before

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._note)
        self._collecting = gc.isenabled()
        gc.disable()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            gc.collect(0)
        if self._bar is not None:
            self._bar.update(now_us / 1e6 - self._bar.n)
        elif time.monotonic() - self._began_s > PATIENCE_S and _somebody_looks():
            self._bar = self._new_bar()

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
