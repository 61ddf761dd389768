"""Shares over time: the dominant share of each framework's tasks, or their part of one resource, one line a framework.

Dotted across it: what is said of roles now, each as a share of the cluster: what is due by weight, guarantees, limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.models.annotations import Legend
from bokeh.models.widgets import Select
from bokeh.plotting import figure

from mesonb.core.resources import Resources
from mesonb.core.snapshot import RoleRow, Snapshot
from mesonb.panels.allocation_view import Shore, bounds
from mesonb.panels.app import Look, Panel
from mesonb.panels.look import line
from mesonb.panels.view import Mark
from mesonb.session import Session

POINTS = 2000  #: of a line, at most
DASHES = {"plain": "solid", "stripes": "dashed", "dots": "dotted", "cross": "dotdash"}
TOOLS = "xpan,xwheel_zoom,box_zoom,reset,save"
DOMINANT = "dominant share"
HOVER = [("framework", "$name"), ("at", "@at_s{0.00} s"), ("share", "@share{0.000}")]
Rows = Sequence[tuple[int, Mapping[str, float]]]


class Shares(Panel):
    """The chart, and how it is brought up to date."""

    title = "shares over time"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self._sources: dict[str, ColumnDataSource] = {}
        self._newest_us = -1
        self.said = ColumnDataSource({"level": [], "words": [], "at_s": []})
        self.of = Select(title="share of", value=DOMINANT, width=160)
        self.of.options = [DOMINANT]  # type: ignore[assignment]  # as below
        self.of.on_change("value", lambda _name, _old, _new: self._other())
        look.widgets(self.of)
        self.chart = self._chart()

    def parts(self) -> Sequence[Any]:
        """What the share is of; the chart, where a click on a name in its legend hides that line."""
        return line(self.of), self.chart

    @property
    def resource(self) -> str:
        """The resource whose parts are drawn; "" for dominant shares."""
        return "" if self.of.value == DOMINANT else str(self.of.value)

    def begin(self, skipped: int) -> None:
        """Begin with no lines."""
        self._newest_us = -1
        for source in self._sources.values():
            source.data = {"at_s": [], "share": []}

    def draw(self, session: Session) -> None:
        """Take in what has happened since, up to the moment that is shown."""
        now_us = session.now_us()
        picture = session.freshen() or session.snapshot()
        self._draw_choice(picture)
        self._draw_said(session, picture)
        fresh = [row for row in session.history.of(self.resource, self._newest_us) if row[0] <= now_us]
        if not fresh:
            return
        self._newest_us = fresh[-1][0]
        for name in {name: None for _, shares in fresh for name in shares}:
            self._source(name).stream(series(fresh, name, session.log.began_us), rollover=POINTS)

    def _other(self) -> None:
        """Draw all of it anew, of another resource."""
        self.chart.yaxis[0].axis_label = label(self.resource)
        self.begin(0)
        self.ask()

    def _draw_choice(self, picture: Snapshot) -> None:
        options = [DOMINANT, *sorted(picture.total.amounts)]
        if len(options) > len(self.of.options):  # what an agent had that has left is chosen yet: its past is there
            self.of.options = [*options]  # type: ignore[assignment]  # a list of plain names is one of its kinds of list

    def _draw_said(self, session: Session, picture: Snapshot) -> None:
        found = said_of_roles(picture, self.resource)
        first_us = session.history.rows[0][0] if session.history.rows else session.log.began_us
        at_s = (first_us - session.log.began_us) / 1_000_000
        drawn = {"level": list(found), "words": list(found.values()), "at_s": [at_s] * len(found)}
        if drawn != self.said.data:
            self.said.data = drawn

    def _source(self, name: str) -> ColumnDataSource:
        if name not in self._sources:
            self._sources[name] = ColumnDataSource({"at_s": [], "share": []})
            add_line(self.chart, self._sources[name], name, self.look.palette[name])
        return self._sources[name]

    def _chart(self) -> Any:
        chart = self.look.figure(
            height=420 if self.look.fill else 300, y_range=Range1d(start=0, end=1.02), tools=TOOLS,
            active_scroll="xwheel_zoom", x_axis_label="seconds", y_axis_label=label(""),
        )  # fmt: skip
        chart.add_tools(HoverTool(tooltips=HOVER))
        chart.hspan(y="level", source=self.said, line_color=self.look.ink, line_alpha=0.6, line_dash="dotted")
        chart.text(
            "at_s", "level", "words", source=self.said, text_font_size="10px", text_color=self.look.ink, x_offset=4, y_offset=-2
        )  # fmt: skip
        dress(chart)
        chart.legend[0].update(background_fill_alpha=0, label_text_color=self.look.ink)
        return chart


def label(resource: str) -> str:
    """Say what the lines are.

    >>> label(""), label("mem")
    ('dominant share of its tasks', 'part of all mem held by its tasks')
    """
    return f"part of all {resource} held by its tasks" if resource else "dominant share of its tasks"


def said_of_roles(picture: Snapshot, resource: str = "") -> dict[float, str]:
    """Say what is due to roles, by the share of the cluster that it comes to: by weight where there are several, or said of one.

    A limit is reached by the resource that runs out first; of one resource it is what is said of that one.
    """
    roles = [row for row in picture.roles if row.frameworks or row.guarantee or row.limit is not None]
    due: dict[float, list[str]] = {}
    for role, part in by_weight(roles).items() if not resource else ():
        due.setdefault(round(part, 4), []).append(role)
    found = {level: [f"{', '.join(names)} by weight"] for level, names in due.items()}
    shores = [Shore(row.role, 0, 1, 1.0, row.share, row.share) for row in roles]
    said = {
        "guarantee": {row.role: _only(row.guarantee, resource) for row in roles if row.guarantee},
        "limit": {row.role: _only(row.limit, resource) for row in roles if row.limit is not None},
    }
    for shore in shores:
        for bound in bounds([shore], said, picture.total):
            found.setdefault(round(bound.level, 4), []).append(f"{bound.kind} of {shore.role}")
    return {level: ", ".join(words) for level, words in sorted(found.items())}


def _only(amount: Resources, resource: str) -> Resources:
    """Return what an amount says of one resource; all of it where none is named."""
    return Resources.of({name: n for name, n in amount.amounts.items() if name == resource}) if resource else amount


def by_weight(roles: Sequence[RoleRow]) -> dict[str, float]:
    """Return each role's part of all weights; of roles within others, and of one alone, nothing is due by that."""
    top = [row for row in roles if row.frameworks and "/" not in row.role]
    total = sum(row.weight_milli for row in top)
    return {row.role: row.weight_milli / total for row in top} if len(top) > 1 else {}


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
