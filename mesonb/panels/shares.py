"""Shares over time: the dominant share of each framework's tasks, one line a framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.models.annotations import Legend
from bokeh.plotting import figure

from mesonb.panels.app import Look, Panel
from mesonb.panels.view import Mark
from mesonb.session import Session

POINTS = 2000  #: of a line, at most
DASHES = {"plain": "solid", "stripes": "dashed", "dots": "dotted", "cross": "dotdash"}
TOOLS = "xpan,xwheel_zoom,box_zoom,reset,save"
HOVER = [("framework", "$name"), ("at", "@at_s{0.00} s"), ("share", "@share{0.000}")]
Rows = Sequence[tuple[int, Mapping[str, float]]]


class Shares(Panel):
    """The chart, and how it is brought up to date."""

    title = "shares over time"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self._sources: dict[str, ColumnDataSource] = {}
        self._newest_us = -1
        self.chart = self._chart()

    def parts(self) -> Sequence[Any]:
        """The chart; a click on a name in its legend hides that line."""
        return (self.chart,)

    def begin(self, skipped: int) -> None:
        """Begin with no lines."""
        self._newest_us = -1
        for source in self._sources.values():
            source.data = {"at_s": [], "share": []}

    def draw(self, session: Session) -> None:
        """Take in what has happened since, up to the moment that is shown."""
        now_us = session.now_us()
        fresh = [row for row in list(session.history.rows) if self._newest_us < row[0] <= now_us]
        if not fresh:
            return
        self._newest_us = fresh[-1][0]
        for name in {name: None for _, shares in fresh for name in shares}:
            self._source(name).stream(series(fresh, name, session.log.began_us), rollover=POINTS)

    def _source(self, name: str) -> ColumnDataSource:
        if name not in self._sources:
            self._sources[name] = ColumnDataSource({"at_s": [], "share": []})
            add_line(self.chart, self._sources[name], name, self.look.palette[name])
        return self._sources[name]

    def _chart(self) -> Any:
        chart = self.look.figure(
            height=420 if self.look.fill else 300, y_range=Range1d(start=0, end=1.02), tools=TOOLS,
            active_scroll="xwheel_zoom", x_axis_label="seconds", y_axis_label="dominant share of its tasks",
        )  # fmt: skip
        chart.add_tools(HoverTool(tooltips=HOVER))
        dress(chart)
        chart.legend[0].update(background_fill_alpha=0, label_text_color=self.look.ink)
        return chart


def series(rows: Rows, name: str, began_us: int = 0) -> dict[str, Any]:
    """One framework's shares as columns; where it is not registered there is no point."""
    there = [((now_us - began_us) / 1_000_000, shares[name]) for now_us, shares in rows if name in shares]
    return {"at_s": [at_s for at_s, _ in there], "share": [share for _, share in there]}


def shares_figure(title: str) -> Any:
    """An empty chart of shares over time, for a page of its own."""
    chart = figure(
        title=title, height=300, sizing_mode="stretch_width", y_range=Range1d(start=0, end=1.02), x_axis_label="seconds",
        y_axis_label="share", tools=TOOLS, active_scroll="xwheel_zoom",
    )  # fmt: skip
    chart.add_tools(HoverTool(tooltips=HOVER))
    chart.toolbar.logo = None
    dress(chart)
    return chart


def dress(chart: Any) -> None:
    """Put the legend above the curves, where it hides none; a click on a name hides its line."""
    legend = Legend(orientation="horizontal", location="top_left", click_policy="hide", border_line_alpha=0, margin=0)
    chart.add_layout(legend, "above")


def add_line(chart: Any, source: ColumnDataSource, name: str, mark: Mark) -> None:
    """Add one framework's line in its colour, dashed as it is hatched."""
    chart.step(
        "at_s", "share", source=source, name=name, legend_label=name, mode="before", line_width=2.5,
        line_color=mark.colour, line_dash=DASHES[mark.hatch],
    )  # fmt: skip
