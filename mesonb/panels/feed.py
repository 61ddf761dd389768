"""Feed: brings one session's frames to whoever watches it.

Rule: everything here happens on the panels' own loop, never on a thread where a cell runs. A frame is made at most 20
times a second, only when the session has changed, and costs a seventh of the time at most; between changes a beat says
that somebody is still there. The session is held weakly: a panel keeps no simulation alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from mesonb.panels.frames import frame_of
from mesonb.panels.turns import TURNS
from mesonb.panels.view import Frame, Palette, curve
from mesonb.session import Session

FRAME_S = 0.05  #: at most 20 frames a second
LEAST_S = 0.005  #: between two frames, however late the first was
BEAT_S = 0.5  #: how long nothing may be said; a board calls itself stale after 2 s
BEAT = {"kind": "beat"}
#: Agents of a heat map that one frame brings up to date: more are the next frames', so that one does not hold up a click.
AT_ONCE = 10_000
COST = 6  #: a frame that took n seconds is followed by n * COST seconds without one
#: But by no more: now and then Python collects garbage meanwhile, and that takes as long as there is memory.
REST_S = 1.0
#: Characters of a traceback that travel.
TRACEBACK_SHOWN = 4000

_palettes: weakref.WeakKeyDictionary[Session, Palette] = weakref.WeakKeyDictionary()


class Watcher(Protocol):
    """Somebody who is shown frames; it drops them itself where they come too fast."""

    def show(self, frame: Frame) -> None:
        """Take a newer frame."""

    def say(self, message: dict[str, Any]) -> None:
        """Take a small message: a beat, or trouble."""


def palette_of(session: Session) -> Palette:
    """Return the session's palette: one for all its panels, so that a framework keeps its colour."""
    return _palettes.setdefault(session, Palette())


def picture(session: Session, before: Frame | None = None) -> Frame:
    """Picture a session as it is now; callable from any thread. ``before``, an earlier one of the same core, saves work."""
    snapshot = session.snapshot(before.snapshot if before else None, spots=True, at_once=AT_ONCE)
    return frame_of(snapshot, palette_of(session), complaints_of(session), before)


def complaints_of(session: Session) -> dict[str, Any]:
    """Return the last complaint of each framework that has one, and how many there were."""
    found: dict[str, Any] = {}
    for last in _complaints(session):
        found[last.framework] = {
            "times": found.get(last.framework, {}).get("times", 0) + 1,
            "callback": last.callback,
            "error": last.error,
            "traceback": last.traceback[-TRACEBACK_SHOWN:],
        }
    return found


def _complaints(session: Session) -> list[Any]:
    """Read the complaints while callbacks on other threads may add to them."""
    while True:
        with contextlib.suppress(RuntimeError):  # one was added meanwhile: read again
            return session.complaints


def shares_so_far(session: Session) -> list[list[Any]]:
    """Return the session's shares over time, thinned to what a small curve needs."""
    return curve(list(session.history.rows))


class Feed:
    """Watches one session for all who watch the feed."""

    def __init__(self, session: Session) -> None:
        self._session = weakref.ref(session)
        self._watchers: list[Watcher] = []
        self._frame: Frame | None = None
        self._core: Callable[[], object] = lambda: None  #: whose frame that is: a recording that seeks has others
        self._seen_steps = -1
        self._unsteerable = ""
        self._said_s = 0.0
        self._beat = BEAT
        self._task: asyncio.Task[None] | None = None

    def add(self, watcher: Watcher) -> None:
        """Show frames to a watcher from now on, the present one first."""
        self.show_all(watcher)
        if self._frame and not self._watchers:
            self._seen_steps = self._frame.snapshot.steps
        self._watchers.append(watcher)
        if self._unsteerable:
            watcher.say(self._steering())
        TURNS.look(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def show_all(self, watcher: Watcher) -> None:
        """Show a watcher the present frame, whatever it has seen."""
        if session := self._session():
            watcher.show(self._pictured(session))

    def remove(self, watcher: Watcher) -> None:
        """Show a watcher no more."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
            TURNS.leave(watcher)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while self._watchers:
            began_s = time.thread_time()  # cpu, not the clock: a laden machine should not slow the board down further
            self._turn(loop.time())
            spent_s = time.thread_time() - began_s
            every_s = max(FRAME_S, self._frame.every_s if self._frame else 0)
            now_s = loop.time()
            rest_s = max(LEAST_S, min(spent_s * COST, REST_S))
            due_s = max(due_s + every_s, now_s + rest_s)  # woken late, it does not fall behind
            await asyncio.sleep(due_s - now_s)

    def _turn(self, now_s: float) -> None:
        session = self._session()
        if session is not None:
            session.freshen()
            self._tell(session)
        if session is None:
            self._say({"kind": "gone"}, now_s)
        elif session.core.steps != self._seen_steps or (self._frame and self._frame.behind):
            self._show(session, now_s)
        else:
            self._say(self._beat, now_s)

    def _tell(self, session: Session) -> None:
        """Say why nothing can be steered any more, once that is so: a master was closed, or does not lead."""
        if session.unsteerable != self._unsteerable:
            self._unsteerable = session.unsteerable
            self._each(lambda watcher: watcher.say(self._steering()))

    def _steering(self) -> dict[str, Any]:
        return {"kind": "steering", "because": self._unsteerable}

    def _show(self, session: Session, now_s: float) -> None:
        self._seen_steps = session.core.steps
        try:
            frame = self._pictured(session)
        except Exception as error:  # noqa: BLE001 - said in the panel; nothing else stops
            self._beat = {"kind": "trouble", "because": f"{type(error).__name__}: {error}"}
            return
        self._beat, self._said_s = BEAT, now_s
        self._each(lambda watcher: watcher.show(frame))

    def _pictured(self, session: Session) -> Frame:
        """Picture the session as it is now, from the frame before where that was of the same core."""
        core = session.core
        before = self._frame if self._core() is core else None
        if before is None or before.snapshot.steps != core.steps or before.behind:
            before = picture(session, before)
        self._frame, self._core = before, weakref.ref(core)
        return before

    def _say(self, message: dict[str, Any], now_s: float) -> None:
        if now_s - self._said_s >= BEAT_S:
            self._said_s = now_s
            self._each(lambda watcher: watcher.say(message))

    def _each(self, do: Callable[[Watcher], None]) -> None:
        for watcher in list(self._watchers):
            try:
                do(watcher)
            except Exception:  # noqa: BLE001 - whoever cannot be shown anything any more is let go
                self.remove(watcher)
