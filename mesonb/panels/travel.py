"""Time travel: the slider and the buttons under every panel of a recording.

Rule: controls only say where to go; ``go_on``, called with each refresh, goes there. So a slider that is dragged over a
long recording costs one seek a refresh, and all panels of the recording show the same moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, cast

from bokeh.layouts import row
from bokeh.models.widgets import Button, Select, Slider, Toggle

from mesonb.core import events
from mesonb.core.log import Step
from mesonb.session import Session

if TYPE_CHECKING:
    from mesonb.panels.app import Look

SPEEDS: list[Any] = [(speed, f"{speed} x") for speed in ("0.1", "0.25", "0.5", "1", "2", "5", "10", "100")]
US = 1_000_000
#: Moments that the slider can stop at.
STOPS = 2000


class Recording(Protocol):
    """What can be travelled in: a session that seeks."""

    position: int

    @property
    def ends_us(self) -> int:
        """When the last recorded call was taken."""

    def seek(self, time: float | str) -> Any:
        """Show a time since the start."""

    def step_to(self, steps: int) -> Any:
        """Show the moment after so many calls."""


def can_travel(session: Session) -> bool:
    """Whether a session can show other moments than its present one."""
    return hasattr(session, "seek") and hasattr(session, "step_to")


def next_cycle(steps: Sequence[Step], position: int) -> int:
    """Return how many steps lie before the end of the next cycle that offered something, or the end of the recording."""
    return next((number + 1 for number in range(position, len(steps)) if _offers(steps[number])), len(steps))


def previous_cycle(steps: Sequence[Step], position: int) -> int:
    """Return how many steps lie before the end of the cycle before; 0 where there is none."""
    return next((number + 1 for number in range(position - 2, -1, -1) if _offers(steps[number])), 0)


def _offers(step: Step) -> bool:
    return any(isinstance(event, events.OfferMade) for event in step.events)


class Travel:
    """The controls of one page."""

    def __init__(self, session: Session, look: Look) -> None:
        length_s = max((_recording(session).ends_us - session.log.began_us) / US, 0.001)
        self._length_s = length_s
        self._go: Callable[[Session], object] | None = None  #: where to go with the next refresh
        self._moving = False  #: the slider is moved by us
        self._played_s = 0.0  #: when the last refresh was, while it plays
        self.slider = Slider(
            title="seconds since the start", start=0, end=length_s, value=0, step=length_s / STOPS, sizing_mode="stretch_width",
            format="0,0.000", bar_color="#56B4E9",
        )  # fmt: skip
        self.play = Toggle(label="Play", width=70)
        self.speed = Select(title="", value="1", options=SPEEDS, width=80)
        self.where = look.div()
        self._listen()
        look.widgets(self.slider, self.play, self.speed, *self._buttons)

    def _listen(self) -> None:
        self.slider.on_change("value", self._slid)
        self.play.on_change("active", self._pressed)
        steps = {
            "Start": lambda session: session.step_to(0),
            "− cycle": lambda session: session.step_to(previous_cycle(session.log.steps, session.position)),
            "− call": lambda session: session.step_to(session.position - 1),
            "+ call": lambda session: session.step_to(session.position + 1),
            "+ cycle": lambda session: session.step_to(next_cycle(session.log.steps, session.position)),
            "End": lambda session: session.step_to(len(session.log.steps)),
        }
        self._buttons = [Button(label=label, width=66) for label in steps]
        for button, go in zip(self._buttons, steps.values(), strict=True):
            button.on_click(lambda go=go: self._ask(go))

    def parts(self) -> Sequence[Any]:
        """What is on the page."""
        return row(*self._buttons, self.play, self.speed, self.slider, sizing_mode="stretch_width"), self.where

    def go_on(self, session: Session) -> None:
        """Go where the controls say, and show on them where that is."""
        recording = _recording(session)
        go, self._go = self._go, None
        if go:
            go(session)
        elif self.play.active:
            self._play_on(session)
        at_s = (session.now_us() - session.log.began_us) / US
        if abs(at_s - self.slider.value) > self.slider.step / 2:
            self._moving, self.slider.value = True, min(max(at_s, 0), self._length_s)
            self._moving = False
        self.where.text = told(recording.position, len(session.log.steps), at_s)

    def _play_on(self, session: Session) -> None:
        now_s = time.monotonic()
        passed_s, self._played_s = now_s - self._played_s, now_s
        at_s = (session.now_us() - session.log.began_us) / US + passed_s * float(self.speed.value)
        _recording(session).seek(min(at_s, self._length_s))
        if at_s >= self._length_s:
            self.play.active = False

    def _slid(self, _name: str, _old: float, new: float) -> None:
        if not self._moving:
            self._ask(lambda session: _recording(session).seek(new))

    def _pressed(self, _name: str, _old: object, active: object) -> None:
        self._played_s = time.monotonic()
        self.play.label = "Pause" if active else "Play"
        if active and self.slider.value >= self._length_s - self.slider.step:
            self._ask(lambda session: _recording(session).step_to(0))

    def _ask(self, go: Callable[[Session], object]) -> None:
        self._go = go


def told(position: int, calls: int, at_s: float) -> str:
    """Say which moment this is, and what to type in a cell to be there.

    >>> told(3, 10, 1.5)
    '<span class="quiet">after call 3 of 10 · in a cell: <code>replay.seek(&quot;1.500s&quot;)</code></span>'
    """
    link = escape(f'replay.seek("{at_s:.3f}s")')
    return f'<span class="quiet">after call {position:,} of {calls:,} · in a cell: <code>{link}</code></span>'


def _recording(session: Session) -> Recording:
    return cast("Recording", session)
