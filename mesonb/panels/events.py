"""Events: the log in words, newest first, filtered as one types."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from html import escape
from typing import Any

from bokeh.models.widgets import CheckboxGroup, TextInput

from mesonb.core.log import Step
from mesonb.panels.app import Look, Panel, table, write
from mesonb.panels.events_view import LOOKED_AT, US, Row, kinds, rows
from mesonb.panels.look import line, linked, spoken
from mesonb.session import Session

HEADS = ("call", "at", "what was said", "what followed")
#: Kinds that are counted above the table, at most.
COUNTED = 12
SCROLL_PX = 400


class Events(Panel):
    """The log."""

    title = "calls and events"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.newest: deque[Step] = deque(maxlen=LOOKED_AT)
        self.counts: Counter[str] = Counter()
        self.skipped = 0
        self.only = TextInput(
            title="only what has this in it",
            placeholder="only what has this in it: an agent, a task, kill, rejected …",
            width=420,
        )
        spoken(self.only)
        self.options = CheckboxGroup(labels=["idle ticks too", "hold this picture"], active=[], inline=True)
        for control, name in ((self.only, "value_input"), (self.options, "active")):
            control.on_change(name, lambda _name, _old, _new: self.ask())
        look.widgets(self.only)
        self.told, self.table = look.div(), look.div(scroll_px=SCROLL_PX)

    def parts(self) -> Sequence[Any]:
        """The filter, counts, and the table."""
        return line(self.only, self.options), self.told, self.table

    def begin(self, skipped: int) -> None:
        """Begin with an empty log."""
        self.newest.clear()
        self.counts.clear()
        self.skipped = skipped

    def read(self, steps: Sequence[Step]) -> None:
        """Keep the newest, and count all."""
        self.newest.extend(steps)
        self.counts.update(kinds(steps))

    def draw(self, session: Session) -> None:
        """Write the newest, unless the picture is held."""
        active = list(self.options.active or [])
        if 1 in active:
            return
        found = rows(
            list(self.newest),
            session.core.steps - len(self.newest) + 1,
            self.only.value_input.strip(),
            ticks=0 in active,
        )
        origin_us = session.log.began_us
        write(self.told, self._said())
        write(self.table, table(HEADS, [cells(row, origin_us) for row in found], text=(2, 3)) if found else "nothing")

    def _said(self) -> str:
        counts = " · ".join(f"{count:,} {name}" for name, count in self.counts.most_common(COUNTED))
        before = f" · {self.skipped:,} calls before these were not read" if self.skipped else ""
        return f'<span class="quiet">{escape(counts + before)}</span>'


def cells(row: Row, origin_us: int) -> list[str]:
    """One row of the table."""
    words, followed = f'<span class="words">{linked(row.call)}</span>', "<br>".join(map(linked, row.followed))
    return [f"{row.number:,}", f"{(row.at_us - origin_us) / US:,.3f} s", words, followed]
