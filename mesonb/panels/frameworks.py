"""Frameworks: who holds what, how its tasks ended, how long it has gone hungry, and what its callbacks raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mesonb.core.log import Step
from mesonb.core.units import show_duration
from mesonb.panels.app import Look, Panel, table, write
from mesonb.panels.feed import complaints_of
from mesonb.panels.frameworks_view import ENDINGS, LastHeld, Row, rows
from mesonb.panels.look import named
from mesonb.panels.window import present_us
from mesonb.session import Session

HEADS = ("framework", "role", "weight", "share of tasks", "offered", "running", "queued", *ENDINGS, "offers", "state")
TEXT = (0, 1, len(HEADS) - 1)
#: A framework that has held nothing for so long is pointed out.
HUNGRY_US = 10_000_000


class Frameworks(Panel):
    """The table of frameworks."""

    title = "frameworks"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.held = LastHeld()
        self.table, self.complaints = look.div(), look.div()

    def parts(self) -> Sequence[Any]:
        """The table, and below it what went wrong."""
        return self.table, self.complaints

    def begin(self, skipped: int) -> None:
        """Begin with nobody."""
        self.held = LastHeld()

    def read(self, steps: Sequence[Step]) -> None:
        """Note who held something."""
        self.held.read(steps)

    def draw(self, session: Session) -> None:
        """Fill the table."""
        found = rows(session.snapshot(), self.held, queued(session), present_us(session, 0))
        write(self.table, table(HEADS, [self._told(row) for row in found], text=TEXT))
        write(self.complaints, self._complained(complaints_of(session)))

    def _told(self, row: Row) -> list[str]:
        return [
            f"{self.look.chip(row.framework)} {escape(row.framework)}", named(row.role), f"{row.weight:g}",
            self._bar(row), f"{row.offered:.2f}", f"{row.running:,}", "–" if row.queued is None else f"{row.queued:,}",
            *(f"{n:,}" if n else "–" for n in row.ended.values()), f"{row.offers_made:,}", state(row),
        ]  # fmt: skip

    def _bar(self, row: Row) -> str:
        """The share as a bar in the framework's colour, and as a figure."""
        colour = self.look.palette[row.framework].colour
        filled = f"linear-gradient(to right, {colour} {row.share:.0%}, #8883 {row.share:.0%})"
        return f'<span style="display:inline-block;width:60px;height:9px;background:{filled}"></span> {row.share:.2f}'

    def _complained(self, found: Mapping[str, Any]) -> str:
        """One foldable piece for each framework that has raised something, with the last traceback."""
        return "".join(
            f"<details><summary><span class='trouble'>!</span> {self.look.chip(name) if name else ''} {escape(name or 'the master')}: "
            f"{escape(last['callback'])} – {escape(last['error'])} <span class='quiet'>({last['times']} in all)</span></summary>"
            f"<pre>{escape(last['traceback'] or last['error'])}</pre></details>"
            for name, last in found.items()
        )


def state(row: Row) -> str:
    """Say what keeps a framework from getting more, if anything does; long hunger stands out."""
    if row.hungry_us is None:
        return row.state
    kind = "trouble" if row.hungry_us >= HUNGRY_US else "quiet"
    return f'<span class="{kind}">holds nothing for {show_duration(row.hungry_us)}</span>'


def queued(session: Session) -> dict[str, int]:
    """What waits in each framework that says so, as ``Queue`` does by ``waiting``."""
    found = {name: getattr(driver.framework, "waiting", None) for name, driver in list(session.drivers.items())}
    return {name: count for name, count in found.items() if isinstance(count, int)}
