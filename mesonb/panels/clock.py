"""The clock of a simulation, as controls: let time pass, hold it, take one call, choose a speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bokeh.models.widgets import Button, Select, Toggle

from mesonb.panels.look import spoken
from mesonb.session import Session

SPEEDS: list[Any] = [
    ("", "as fast as it can"), *((speed, f"{speed} x") for speed in ("0.1", "0.5", "1", "2", "5", "10", "100", "1000"))
]  # fmt: skip


class Clock:
    """The controls; ``send`` takes their commands. Other sessions have a clock that nobody steers: then they are hidden."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send, self._reading = send, False
        self.play = Toggle(label="Let time pass", width=110)
        self.play.on_change("active", lambda _name, _old, on: self._sent(do="play" if on else "hold"))
        self.hold, self.step = Button(label="Hold time", width=90), Button(label="Step one call", width=110)
        self.hold.on_click(lambda: send(do="hold"))
        self.step.on_click(lambda: send(do="step"))
        self.speed = Select(title="virtual seconds in a real one", options=SPEEDS, value="", width=160)
        spoken(self.speed)
        self.speed.on_change(
            "value", lambda _name, _old, new: self._sent(do="speed", speed=float(new) if new else None)
        )

    def parts(self) -> Sequence[Any]:
        """What is on the page."""
        return self.play, self.hold, self.step, self.speed

    def draw(self, session: Session) -> str:
        """Show how time passes, and return what ended the last play."""
        pace = getattr(session, "pace", None)
        for control in self.parts():
            control.visible = pace is not None
        if pace is None:
            return ""
        self._reading = True
        try:
            self.play.update(active=pace.playing, label="Stop time" if pace.playing else "Let time pass")
            self.speed.value = "" if pace.speed is None else f"{pace.speed:g}"
        finally:
            self._reading = False
        return str(pace.trouble)

    def _sent(self, **command: Any) -> None:
        if not self._reading:
            self._send(**command)
