"""Locality: which part of the tasks was launched where its framework wanted it, and how long that was waited for.

A recording holds calls and events, and so not what frameworks prefer; the panel says that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from statistics import mean, median
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool

from mesonb.panels.app import Look, Panel, table, write
from mesonb.panels.iterations_view import thinned
from mesonb.panels.look import lasted
from mesonb.panels.shares import DASHES
from mesonb.session import Session

HEADS = ("framework", "launched near", "elsewhere", "near", "waited for near", "waited in vain")
NOTHING = (
    "No framework here has said where it wants its tasks. <code>mb.Near()</code> does, with "
    '<code>queue.submit(function, near=["agent-1"])</code>; any other calls <code>self.placed(near=True)</code>.'
)
NOT_RECORDED = "A recording holds calls and events, and not what frameworks prefer."
#: A point of the curve is the mean over so many launches.
WINDOW = 20
US = 1_000_000

#: When a task was launched, whether near its data, and how long that was waited for, in microseconds.
Placement = tuple[int, bool, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One framework."""

    near: int
    elsewhere: int
    waited_us: float | None  #: median of those launched near
    in_vain_us: float | None  #: median of the others

    @property
    def part(self) -> float:
        """The part that was launched near, 0 to 1."""
        return self.near / (self.near + self.elsewhere)


def summary(placements: Sequence[Placement]) -> Row:
    """Count a framework's launches.

    >>> summary([(0, True, 0), (5, True, 20), (9, False, 500)])
    Row(near=2, elsewhere=1, waited_us=10.0, in_vain_us=500.0)
    """
    waits = {kind: [waited_us for _, near, waited_us in placements if near is kind] for kind in (True, False)}
    middles = {kind: float(median(found)) if found else None for kind, found in waits.items()}
    return Row(len(waits[True]), len(waits[False]), middles[True], middles[False])


def curve(placements: Sequence[Placement], began_us: int = 0) -> list[tuple[float, float]]:
    """Return (seconds, percent near), each the mean over the last WINDOW launches.

    >>> curve([(1_000_000, True, 0), (2_000_000, False, 0)])
    [(1.0, 100.0), (2.0, 50.0)]
    """
    points = [
        ((at_us - began_us) / US, 100.0 * mean(near for _, near, _ in placements[max(0, number - WINDOW + 1) : number + 1]))
        for number, (at_us, _, _) in enumerate(placements)
    ]  # fmt: skip
    return thinned(points)


class Locality(Panel):
    """The table, and a curve for each framework."""

    title = "locality"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.table = look.div()
        self._sources: dict[str, ColumnDataSource] = {}
        self.chart = look.figure(height=220, y_range=(0, 105), x_axis_label="seconds", tools="xpan,xwheel_zoom,reset")
        self.chart.yaxis.axis_label = f"% near, of the last {WINDOW} launched"
        self.chart.add_tools(HoverTool(tooltips=[("framework", "$name"), ("second", "@x{0.0}"), ("near", "@y{0}%")]))
        self.chart.visible = False

    def parts(self) -> Sequence[Any]:
        """The table, and the chart."""
        return self.table, self.chart

    def draw(self, session: Session) -> None:
        """Draw what was reported so far."""
        placed = {name: list(driver.placements) for name, driver in list(session.drivers.items())}
        found = {name: placements for name, placements in placed.items() if placements}
        none = NOT_RECORDED if not session.drivers and hasattr(session, "seek") else NOTHING
        rows = [self._told(name, summary(placements)) for name, placements in found.items()]
        write(self.table, table(HEADS, rows) if found else f'<span class="quiet">{none}</span>')
        self.chart.visible = bool(found)
        for name, placements in found.items():
            points = curve(placements, session.log.began_us)
            self._source(name).data = {"x": [x for x, _ in points], "y": [y for _, y in points]}

    def _source(self, framework: str) -> ColumnDataSource:
        if framework not in self._sources:
            source = self._sources[framework] = ColumnDataSource({"x": [], "y": []})
            mark = self.look.palette[framework]
            self.chart.line("x", "y", source=source, name=framework, line_width=2, line_color=mark.colour,
                            line_dash=DASHES[mark.hatch])  # fmt: skip
        return self._sources[framework]

    def _told(self, name: str, row: Row) -> list[str]:
        waits = [lasted(row.waited_us), lasted(row.in_vain_us)]
        return [
            f"{self.look.chip(name)} {escape(name)}",
            f"{row.near:,}",
            f"{row.elsewhere:,}",
            f"{row.part:.0%}",
            *waits,
        ]
