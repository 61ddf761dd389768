"""Time travel: the slider and the buttons under every panel: live, or any moment of what was recorded so far.

Rule: controls only say where to go; ``shown``, called with each refresh, goes there. So a slider that is dragged over a
long recording costs one seek a refresh. All panels of a recording show the same moment; a panel of a session that goes on
has a past of its own, a recording of the log as it was when somebody looked back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from html import escape
from typing import TYPE_CHECKING, Any

from bokeh.models.widgets import Button, Select, Slider, Toggle

from mesonb.panels.look import line, spoken
from mesonb.panels.moments import (
    US,
    is_recording,
    length_s,
    link,
    next_cycle,
    opened,
    previous_cycle,
    recording,
    starts_s,
)
from mesonb.session import Session

if TYPE_CHECKING:
    from mesonb.panels.app import Look

SPEEDS: list[Any] = [(speed, f"{speed} x") for speed in ("0.1", "0.25", "0.5", "1", "2", "5", "10", "100")]
#: Moments that the slider can stop at.
STOPS = 2000
#: The slider of a session that goes on is made longer when it has grown by such a part.
GROWN = 0.02


class Travel:
    """The controls of one page; ``beside``, where it is given, shows another moment beside this one, or no more."""

    def __init__(self, session: Session, look: Look, beside: Callable[[bool], None] | None = None) -> None:
        self.past: Session | None = None  #: what is shown in place of a session that goes on
        self._opening: Future[Session] | None = None
        self._go: Callable[[Any], object] | None = None  #: where to go with the next refresh
        self._moving = False  #: the controls are moved by us
        self._played_s = 0.0  #: when the last refresh was, while it plays
        self._length_s = max(length_s(session), 0.001)
        self.slider = Slider(
            title="seconds since the start", start=starts_s(session), end=self._length_s, value=0, step=self._length_s / STOPS,
            sizing_mode="stretch_width", format="0,0.000", bar_color="#56B4E9", name="moment", margin=(5, 14, 5, 14),
        )  # fmt: skip
        self.live = Toggle(label="Live", active=True, width=60, visible=not is_recording(session))
        self.play, self.two = (
            Toggle(label="Play", width=70),
            Toggle(label="Two moments", width=110, visible=bool(beside)),
        )
        self.speed = Select(title="how fast it plays", value="1", options=SPEEDS, width=80)
        spoken(self.speed)
        self.where = look.div()
        self._listen(beside)
        look.widgets(self.slider, self.live, self.play, self.two, self.speed, *self._buttons)

    def _listen(self, beside: Callable[[bool], None] | None) -> None:
        self.slider.on_change("value", self._slid)
        self.play.on_change("active", self._pressed)
        self.live.on_change("active", self._frozen)
        if beside:
            self.two.on_change("active", lambda _name, _old, on: beside(bool(on)))
        steps = {
            "Start": lambda past: past.step_to(0),
            "« cycle": lambda past: past.step_to(previous_cycle(past.log.steps, past.position)),
            "‹ call": lambda past: past.step_to(past.position - 1),
            "call ›": lambda past: past.step_to(past.position + 1),
            "cycle »": lambda past: past.step_to(next_cycle(past.log.steps, past.position)),
            "End": lambda past: past.step_to(len(past.log.steps)),
        }
        self._buttons = [Button(label=label, width=66) for label in steps]
        for button, go in zip(self._buttons, steps.values(), strict=True):
            button.on_click(lambda go=go: self._ask(go))

    def parts(self) -> Sequence[Any]:
        """What is on the page."""
        controls = (self.live, *self._buttons, self.play, self.speed, self.two)
        return line(*controls), self.slider, self.where

    def shown(self, session: Session) -> Session:
        """Go where the controls say, show on them where that is, and return what is to be drawn."""
        past = session if is_recording(session) else self._past(session)
        if past is None:
            self._follow(session)
            return session
        go, self._go = self._go, None
        if go:
            go(past)
        elif self.play.active:
            self._play_on(past)
        self._say_where(session, past)
        return past

    # -- a session that goes on -------------------------------------------------------------------------------------

    def _past(self, session: Session) -> Session | None:
        """Return the past that is shown, if it is not the present; open it once somebody asks to go there."""
        if self.past is None and self._opening is None and (self._go or self.play.active):
            self._opening = opened(session)
        if self._opening is not None and self._opening.done():
            read, self._opening = self._opening, None
            try:
                self.past = read.result()
            except Exception:
                self._to_live()
                raise
        return self.past

    def _follow(self, session: Session) -> None:
        """Show the present, and how long there is to look back."""
        long_s = max(length_s(session), 0.001)
        if long_s > self._length_s * (1 + GROWN):
            self._length_s = long_s
            self.slider.update(end=long_s, step=long_s / STOPS)
        self._begin_at(starts_s(session))
        if self._opening is None:
            self._move(self.slider.end)
            kept = f" · {begun}" if (begun := begins(session)) else ""
            self.where.text = f'<span class="quiet">live, after call {session.core.steps:,}{kept}</span>'
        else:
            self.where.text = '<span class="quiet">reading the recording …</span>'

    def _begin_at(self, begins_s: float) -> None:
        """Let the slider begin where the recording does: a log that is full has forgotten what came before."""
        if begins_s > self.slider.start + self.slider.step:
            self.slider.start = begins_s
            self._move(max(self.slider.value, begins_s))

    def _to_live(self) -> None:
        self.past, self._opening, self._go = None, None, None
        self._moving, self.live.active, self.play.active = True, True, False
        self._moving = False

    # -- where it is --------------------------------------------------------------------------------------------------

    def _say_where(self, session: Session, past: Session) -> None:
        at_s = (past.now_us() - past.log.began_us) / US
        self._begin_at(starts_s(past))
        if abs(at_s - self.slider.value) > self.slider.step / 2:
            self._move(min(max(at_s, self.slider.start), self._length_s))
        if self.past is not None and self.live.active:
            self._moving, self.live.active = True, False
            self._moving = False
        log = past.log
        position, of = log.forgotten + recording(past).position, log.forgotten + len(log.steps)
        self.where.text = told(position, of, link(session, at_s), begins(past))

    def _move(self, value: Any) -> None:
        if self.slider.value != value:
            self._moving, self.slider.value = True, value
            self._moving = False

    def _play_on(self, past: Session) -> None:
        now_s = time.monotonic()
        passed_s, self._played_s = now_s - self._played_s, now_s
        at_s = (past.now_us() - past.log.began_us) / US + passed_s * float(self.speed.value)
        long_s = length_s(past)
        recording(past).seek(min(at_s, long_s))
        if at_s >= long_s:
            self.play.active = False

    # -- what the controls say ------------------------------------------------------------------------------------------

    def _slid(self, _name: str, _old: float, new: float) -> None:
        if not self._moving:
            self._ask(lambda past: past.seek(min(max(new, starts_s(past)), length_s(past))))

    def _pressed(self, _name: str, _old: object, active: object) -> None:
        self._played_s = time.monotonic()
        self.play.label = "Pause" if active else "Play"
        if active and self.slider.value >= self._length_s - self.slider.step:
            self._ask(lambda past: past.step_to(0))

    def _frozen(self, _name: str, _old: object, live: object) -> None:
        if self._moving:
            return
        if live:
            self._to_live()
        else:
            self._ask(lambda past: past.step_to(len(past.log.steps)))

    def _ask(self, go: Callable[[Any], object]) -> None:
        self._go = go


def begins(session: Session) -> str:
    """Say where a recording begins that has forgotten what came before; nothing where it has all of it."""
    gone = session.log.forgotten
    return f"the recording begins at {starts_s(session):,.3f} s, with call {gone + 1:,}" if gone else ""


def told(position: int, calls: int, code: str, begun: str = "") -> str:
    """Say which moment this is, and what to type in a cell to be there, with a button that puts it there.

    >>> told(3, 10, "replay.seek(5)")[:73]
    '<span class="quiet">after call 3 of 10 · in a cell: <code>replay.seek(5)<'
    """
    of = f"{calls:,} · {begun}" if begun else f"{calls:,}"
    said = f"after call {position:,} of {of} · in a cell: <code>{escape(code)}</code>"
    label = f"put a link to this moment into a cell: {code}"
    button = f'<button type="button" class="cell" data-cell="{escape(code)}" aria-label="{escape(label)}">into a cell</button>'
    return f'<span class="quiet">{said}</span> {button}'
