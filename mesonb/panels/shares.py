"""Shares over time, as a Bokeh app on the panels' loop: one line a framework, live, resources from the server itself."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.models.annotations import Legend
from bokeh.models.widgets import Div
from bokeh.plotting import figure

from mesonb.panels.feed import palette_of
from mesonb.session import Session

REFRESH_MS = 250
POINTS = 2000  #: of a line, at most
DASHES = {"plain": "solid", "stripes": "dashed", "dots": "dotted", "cross": "dotdash"}


def application() -> Application:
    """The Bokeh app; which session it shows stands in the address: ``/shares?session=master-1``."""
    return Application(FunctionHandler(_show, trap_exceptions=True))


def _show(document: Document) -> None:
    context: Any = document.session_context
    arguments = context.request.arguments if context else {}
    name = arguments.get("session", [b""])[0].decode(errors="replace")
    session = Session.known.get(name)
    if session is None:
        document.add_root(Div(text="What this picture showed is gone; run its cell again."))
        return
    chart = SharesChart(session)
    document.title = f"{session.id}: shares over time"
    document.theme = "dark_minimal" if arguments.get("theme") == [b"dark"] else "light_minimal"
    if arguments.get("fill") == [b"1"]:
        fill(chart.figure)
    document.add_root(chart.figure)
    document.add_periodic_callback(chart.refresh, REFRESH_MS)


def fill(chart: Any) -> None:
    """Fill the tab that the chart is in, on its background; the tab's label is the title."""
    chart.update(sizing_mode="stretch_both", title=None, border_fill_color=None, background_fill_color=None)
    chart.yaxis.axis_label = "dominant share of its tasks"


class SharesChart:
    """The chart, and how it is brought up to date."""

    def __init__(self, session: Session) -> None:
        self._session = weakref.ref(session)
        self._sources: dict[str, ColumnDataSource] = {}
        self._newest_us = -1
        self.figure = shares_figure(f"{session.id}: dominant share of each framework's tasks")
        self.refresh()

    def refresh(self) -> None:
        """Take in what has happened since."""
        session = self._session()
        if session is None:
            return
        rows = list(session.history.rows)
        if not rows or rows[-1][0] == self._newest_us:
            return
        fresh = [row for row in rows if row[0] > self._newest_us]
        self._newest_us = rows[-1][0]
        for name in {name: None for _, shares in fresh for name in shares}:
            self._source(session, name).stream(series(fresh, name), rollover=POINTS)

    def _source(self, session: Session, name: str) -> ColumnDataSource:
        if name not in self._sources:
            self._sources[name] = ColumnDataSource({"at_s": [], "share": []})
            add_line(self.figure, self._sources[name], name, palette_of(session)[name])
        return self._sources[name]


def series(rows: Sequence[tuple[int, Mapping[str, float]]], name: str) -> dict[str, Any]:
    """One framework's shares as columns; where it is not registered there is no point."""
    there = [(now_us / 1_000_000, shares[name]) for now_us, shares in rows if name in shares]
    return {"at_s": [at_s for at_s, _ in there], "share": [share for _, share in there]}


def shares_figure(title: str) -> Any:
    """An empty chart of shares over time."""
    chart = figure(
        title=title, height=300, sizing_mode="stretch_width", y_range=Range1d(start=0, end=1.02), x_axis_label="seconds",
        y_axis_label="share", tools="xpan,xwheel_zoom,box_zoom,reset,save", active_scroll="xwheel_zoom",
    )  # fmt: skip
    chart.add_tools(HoverTool(tooltips=[("framework", "$name"), ("at", "@at_s{0.00} s"), ("share", "@share{0.000}")]))
    dress(chart)
    return chart


def dress(chart: Any) -> None:
    """Put the legend above the curves, where it hides none; a click on a name hides its line."""
    chart.toolbar.logo = None
    legend = Legend(orientation="horizontal", location="top_left", click_policy="hide", border_line_alpha=0, margin=0)
    chart.add_layout(legend, "above")


def add_line(chart: Any, source: ColumnDataSource, name: str, mark: Any) -> None:
    """Add one framework's line in its colour, dashed as it is hatched."""
    chart.step(
        "at_s", "share", source=source, name=name, legend_label=name, mode="before", line_width=2.5,
        line_color=mark.colour, line_dash=DASHES[mark.hatch],
    )  # fmt: skip
