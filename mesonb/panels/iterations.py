"""Iterations: what frameworks report of themselves, as curves, with the time each iteration takes and when the last will be.

A recording holds calls and events, and so no reports; the panel says that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from bokeh.layouts import column
from bokeh.models import ColumnDataSource, HoverTool

from mesonb.panels.app import Look, Panel, table, write
from mesonb.panels.iterations_view import Pace, Report, curves, pace, thinned, times
from mesonb.panels.look import lasted
from mesonb.panels.shares import DASHES
from mesonb.session import Session

HEADS = ("framework", "iteration", "", "each takes", "done in", "last reported")
EACH = "ms an iteration"
NOTHING = "No framework here has reported progress. In a framework's callback: <code>self.progress(iteration=3, total=10, loss=0.2)</code>"
NOT_RECORDED = "A recording holds calls and events, and no reports of progress."
#: Charts at most, of figures in order of their first report.
CHARTS = 6


class Iterations(Panel):
    """A table, and a chart for each figure that is reported."""

    title = "iterations"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.table = look.div()
        self.charts: dict[str, Any] = {}
        self._sources: dict[tuple[str, str], ColumnDataSource] = {}
        self.stack = column(sizing_mode="stretch_width")

    def parts(self) -> Sequence[Any]:
        """The table, and the charts as they come."""
        return self.table, self.stack

    def draw(self, session: Session) -> None:
        """Draw what was reported so far."""
        found = reports(session)
        rows = [self._told(name, pace(rows), rows[-1][1]) for name, rows in found.items()]
        none = NOT_RECORDED if not session.drivers and hasattr(session, "seek") else NOTHING
        write(self.table, table(HEADS, rows, text=(0, 2, 5)) if found else f'<span class="quiet">{none}</span>')
        for name, rows_ in found.items():
            for figure, points in curves(rows_, session.log.began_us).items():
                self._plot(figure, name, points)
            self._plot(EACH, name, [(iteration, took_us / 1000) for iteration, took_us in thinned(times(rows_))])

    def _plot(self, figure: str, framework: str, points: Sequence[tuple[float, float]]) -> None:
        if not points or (figure not in self.charts and len(self.charts) == CHARTS):
            return
        if (figure, framework) not in self._sources:
            self._add(figure, framework)
        self._sources[figure, framework].data = {"x": [x for x, _ in points], "y": [y for _, y in points]}

    def _add(self, figure: str, framework: str) -> None:
        """Add a framework's line, in its colour, dashed as it is hatched; and the chart, if it is the first there."""
        source = self._sources[figure, framework] = ColumnDataSource({"x": [], "y": []})
        chart, fresh = self.charts.get(figure), figure not in self.charts
        if chart is None:
            chart = self.charts[figure] = self._chart(figure)
        mark = self.look.palette[framework]
        chart.line("x", "y", source=source, name=framework, legend_label=framework, line_width=2, line_color=mark.colour,
                   line_dash=DASHES[mark.hatch])  # fmt: skip
        chart.legend[0].update(location="top_right", label_text_font_size="11px", padding=3, background_fill_alpha=0.6)
        if fresh:
            self.stack.children = list(self.charts.values())

    def _chart(self, figure: str) -> Any:
        chart = self.look.figure(height=170, y_axis_label=figure[:40], tools="xpan,xwheel_zoom,box_zoom,reset,save")
        chart.add_tools(HoverTool(tooltips=[("framework", "$name"), ("iteration", "@x"), (figure[:40], "@y{0.0000}")]))
        return chart

    def _told(self, name: str, at: Pace, last: Mapping[str, float]) -> list[str]:
        others = ", ".join(
            f"{figure} {value:.4g}" for figure, value in last.items() if figure not in ("iteration", "total")
        )
        return [
            f"{self.look.chip(name)} {escape(name)}",
            "–" if at.iteration is None else f"{at.iteration:,g}" + (f" of {at.total:,g}" if at.total is not None else ""),
            self._bar(name, at), lasted(at.each_us), lasted(at.left_us), escape(others),
        ]  # fmt: skip

    def _bar(self, name: str, at: Pace) -> str:
        if not at.total or at.iteration is None:
            return ""
        part, colour = min(at.iteration / at.total, 1), self.look.palette[name].colour
        filled = f"linear-gradient(to right, {colour} {part:.0%}, #8883 {part:.0%})"
        return f'<span style="display:inline-block;width:140px;height:9px;background:{filled}"></span> {part:.0%}'


def reports(session: Session) -> dict[str, list[Report]]:
    """What each framework of this process has reported, oldest first."""
    found: dict[str, list[Report]] = {
        name: list(driver.progress_rows) for name, driver in list(session.drivers.items())
    }
    return {name: rows for name, rows in found.items() if rows}
