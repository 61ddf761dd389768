"""Allocation: dominant resource fairness as water filling, who is next, and why."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.models.annotations import Span

from mesonb.core.units import show_duration
from mesonb.panels.allocation_view import Basin, Bound, Shore, Turn, basins, because, bounds, turns, water_level
from mesonb.panels.app import HATCH, Look, Panel, ink_on, table, write
from mesonb.panels.look import named
from mesonb.panels.window import present_us
from mesonb.session import Session

#: Frameworks listed in order of whose turn it is.
LISTED = 12
#: A basin at least so wide, in parts of all, carries its framework's letters.
LETTERED = 1 / 60
#: How high the chart is, of what is highest in it: what is written over roles stands above that.
ROOM = 1.6
HEADS = ("", "framework", "role", "stands at", "offers so far", "takes offers", "after the one before it, because")


class Allocation(Panel):
    """The basins, and the order."""

    title = "allocation"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.basins, self.shores, self.bounds = ColumnDataSource(), ColumnDataSource(), ColumnDataSource()
        self.told, self.order = look.div(), look.div()
        self.water = Span(dimension="width", location=0, line_color="#56B4E9", line_width=2, line_dash="dashed")
        self.chart = self._chart()

    def parts(self) -> Sequence[Any]:
        """The picture, then the order in words."""
        return self.told, self.chart, self.order

    def draw(self, session: Session) -> None:
        """Fill the basins."""
        snapshot = session.snapshot()
        found, shores = basins(snapshot)
        said = bounds(shores, {"guarantee": session.guarantees, "limit": session.limits}, snapshot.total)
        top = ROOM * max(0.01, *(thing.level for things in (found, shores, said) for thing in things), 0.0)
        self.basins.data, self.bounds.data = self._basin_columns(found), bound_columns(said)
        self.shores.data = shore_columns(shores, top)
        self.water.location = water_level(shores)
        self.chart.x_range.end = max((shore.right for shore in shores), default=1)
        self.chart.y_range.end = top
        ordered, name = turns(snapshot), type(session.core.allocator).__name__
        write(self.told, self._next(ordered, name, show_duration(present_us(session, 0) - session.log.began_us)))
        write(self.order, table(HEADS, self._rows(ordered), text=(1, 2, 5, 6), caption="In order of whose turn it is"))

    def _chart(self) -> Any:
        chart = self.look.figure(
            height=260, x_range=Range1d(start=0, end=1), y_range=Range1d(start=0, end=1), tools="save",
            x_axis_label="weight: a basin's area is its dominant share", y_axis_label="dominant share / weight",
        )  # fmt: skip
        edge = {"left": "left", "right": "right", "source": self.basins, "line_color": "colour"}
        chart.quad(bottom="tasks", top="level", fill_color="colour", fill_alpha=0.2, line_dash="dashed", **edge)
        full = chart.quad(
            bottom=0, top="tasks", fill_color="colour", hatch_pattern="hatch", hatch_color=self.look.background, hatch_alpha=0.7,
            line_width=1, **edge,
        )  # fmt: skip
        chart.text("middle", "level", "letters", source=self.basins, text_align="center", y_offset=-3, text_font_size="11px",
                   text_color=self.look.ink)  # fmt: skip
        chart.segment("left", "level", "right", "level", source=self.shores, line_color=self.look.ink, line_width=3)
        chart.text(
            "left",
            "top",
            "said",
            source=self.shores,
            x_offset=4,
            y_offset=4,
            text_baseline="top",
            text_font_size="11px",
            text_color=self.look.ink,
        )
        chart.segment("right", 0, "right", "top", source=self.shores, line_color="#888888", line_dash="dotted")
        chart.segment(
            "left",
            "level",
            "right",
            "level",
            source=self.bounds,
            line_color=self.look.ink,
            line_width=1.5,
            line_dash="dashdot",
        )
        chart.text("right", "level", "kind", source=self.bounds, text_align="right", x_offset=-4, text_font_size="10px",
                   text_color=self.look.ink, background_fill_color=self.look.background, background_fill_alpha=0.8)  # fmt: skip
        chart.add_layout(self.water)
        chart.add_tools(HoverTool(renderers=[full], tooltips=[
            ("framework", "@framework"), ("role", "@role"), ("share of its tasks", "@share{0.000}"), ("level", "@level{0.000}"),
        ]))  # fmt: skip
        self.why.answers_clicks(chart, full, "framework")
        chart.xgrid.grid_line_color = None
        return chart

    def _basin_columns(self, found: Sequence[Basin]) -> dict[str, Any]:
        marks, width = (
            [self.look.palette[basin.framework] for basin in found],
            max((basin.right for basin in found), default=1),
        )
        return {
            "left": [basin.left for basin in found],
            "right": [basin.right for basin in found],
            "middle": [(basin.left + basin.right) / 2 for basin in found],
            "tasks": [basin.tasks for basin in found],
            "level": [basin.level for basin in found],
            "share": [basin.tasks * (basin.right - basin.left) for basin in found],
            "framework": [basin.framework for basin in found],
            "role": [basin.role for basin in found],
            "colour": [mark.colour for mark in marks],
            "ink": [ink_on(mark) for mark in marks],
            "hatch": [HATCH[mark.hatch] for mark in marks],
            "letters": [
                mark.letters if basin.right - basin.left > width * LETTERED else ""
                for mark, basin in zip(marks, found, strict=True)
            ],
        }

    def _next(self, ordered: Sequence[Turn], allocator: str, at: str) -> str:
        asking = [turn for turn in ordered if turn.asks]
        if not asking:
            return f'<span class="quiet">at {at}: nobody takes offers now</span>'
        first, *rest = asking
        why = f" – {escape(because(first, rest[0]))}" if rest else " – nobody else takes offers"
        warning = f' <span class="trouble">the allocator is {escape(allocator)}; this is what DRF would say</span>'
        other = "" if allocator == "DRF" else warning
        dashed = (
            ' <span class="quiet">· dashed line: where all would stand if what is held were spread by weight</span>'
        )
        return f"next at {at}: {self.look.chip(first.framework)} <b>{escape(first.framework)}</b>{why}{other}{dashed}"

    def _rows(self, ordered: Sequence[Turn]) -> list[list[str]]:
        return [
            [
                str(number + 1), f"{self.look.chip(turn.framework)} {escape(turn.framework)}", named(turn.role),
                f"{turn.places[-1].level:.3f}", f"{turn.places[-1].allocations:,}", "yes" if turn.asks else "no",
                escape(because(ordered[number - 1], turn)) if number else "",
            ]
            for number, turn in enumerate(ordered[:LISTED])
        ]  # fmt: skip


def bound_columns(said: Sequence[Bound]) -> dict[str, Any]:
    """Guarantees and limits, as lines over their roles."""
    return {name: [getattr(bound, name) for bound in said] for name in ("left", "right", "level", "kind")}


def shore_columns(shores: Sequence[Shore], top: float) -> dict[str, Any]:
    """The roles' levels, and what is written over them, at the top of the chart, where there is room for it."""
    wide = max((shore.right for shore in shores), default=1)
    return {
        "left": [shore.left for shore in shores],
        "right": [shore.right for shore in shores],
        "level": [shore.level for shore in shores],
        "top": [top for _ in shores],
        "said": [_said(shore) if shore.right - shore.left > wide * LETTERED else "" for shore in shores],
    }


def _said(shore: Shore) -> str:
    """Write what there is to say of a role, one thing a line: basins are narrow where there are many."""
    return f"{shore.role}\nweight {shore.weight:g}\nshare {shore.share:.2f}"
