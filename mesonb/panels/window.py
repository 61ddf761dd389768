"""The window of time that a chart shows: the last seconds, everything, or where somebody dragged it to.

It follows the present until a chart is dragged or zoomed; then it stands still until one of its buttons is pressed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from bokeh.events import RangesUpdate
from bokeh.models import Range1d
from bokeh.models.widgets import RadioButtonGroup

from mesonb.panels.app import Look
from mesonb.session import Session

WIDTHS_S = {"10 s": 10, "1 min": 60, "10 min": 600, "all": 0}
STAND_STILL = len(WIDTHS_S)  #: the button after those
US = 1_000_000
#: Later than any run.
NEVER_US = 1 << 62


class Window:
    """The buttons, and the range of seconds since the start that charts share."""

    def __init__(self, look: Look, changed: Callable[[], None]) -> None:
        self.x_range = Range1d(start=0, end=1)
        self.buttons = RadioButtonGroup(labels=[*WIDTHS_S, "stand still"], active=STAND_STILL - 1, width=330)
        self.buttons.on_change("active", lambda _name, _old, _new: changed())
        look.widgets(self.buttons)

    def govern(self, chart: Any) -> None:
        """Stand still as soon as this chart is dragged or zoomed; Bokeh says so for nothing else."""
        chart.on_event(RangesUpdate, lambda _event: self.buttons.update(active=STAND_STILL))

    def between(self, session: Session, first_us: int, now_us: int) -> tuple[int, int]:
        """Return the times that are shown, by the session's clock, and show them on the axis."""
        origin_us, active = session.log.began_us, self.buttons.active or 0
        if active == STAND_STILL:
            start_s, end_s = cast("float", self.x_range.start), cast("float", self.x_range.end)
            return origin_us + int(start_s * US), origin_us + int(end_s * US)
        width_us = list(WIDTHS_S.values())[active] * US
        from_us = max(first_us, now_us - width_us) if width_us else first_us
        until_us = ends_us(session) if has_end(session) and not width_us else now_us
        until_us = max(until_us, from_us + US // 100)
        room_us = (until_us - from_us) // 100
        self.x_range.update(start=(from_us - origin_us) / US, end=(until_us - origin_us + room_us) / US)
        return from_us, until_us


def ends_us(session: Session) -> int:
    """Return when a recording ends; other runs have no end yet."""
    return getattr(session, "ends_us", NEVER_US)


def has_end(session: Session) -> bool:
    """Whether this is a recording."""
    return ends_us(session) != NEVER_US


def present_us(session: Session, read_us: int) -> int:
    """Return the moment that is shown: of a recording no later than its end, and never before what was read."""
    return max(read_us, min(session.now_us(), ends_us(session)))
