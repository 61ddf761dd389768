"""Timeline: every task as a bar on its agent, coloured by framework; kills, failures and losses marked.

The window follows the present until somebody drags or zooms; the buttons bring it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d
from bokeh.models.widgets import TextInput

from mesonb.core.log import Step
from mesonb.core.units import show_duration
from mesonb.panels.app import HATCH, Look, Panel, ink_on, write
from mesonb.panels.look import line, spoken
from mesonb.panels.timeline_view import BARS_DRAWN, Bar, Drawing, Gantt, Piece, drawing
from mesonb.panels.window import Window, present_us
from mesonb.session import Session

MARKERS = {"killed": "x", "failed": "triangle", "lost": "diamond"}
SIGNS = " ".join(f"<span>{sign} {name}</span>" for name, sign in (("killed", "✕"), ("failed", "△"), ("lost", "◇")))
#: Height of a lane, of an agent's row at least, and of the chart between these.
LANE_PX, ROW_PX, LEAST_PX, MOST_PX = 14, 24, 160, 560
#: A bar is thin, about 5 px wide, if it takes less than this of the window.
THIN = 0.006
TOLD = [(name, f"@{name}") for name in ("task", "framework", "agent", "state", "lasted", "because")]


class Timeline(Panel):
    """The task Gantt."""

    title = "timeline of tasks"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.gantt, self._adopt = Gantt(), False
        self.bars, self.marks = ColumnDataSource(), ColumnDataSource()
        self.legend = look.div()
        self.window = Window(look, self.ask)
        self.only = TextInput(
            title="only what is named", placeholder="only agents, frameworks, tasks named …", width=300
        )
        spoken(self.only)
        look.widgets(self.only)
        self.chart = self._chart()
        self.only.on_change("value", lambda _name, _old, _new: self.ask())

    def parts(self) -> Sequence[Any]:
        """Controls, legend, chart, and the story of the bar that was clicked."""
        return line(self.window.buttons, self.only), self.legend, self.chart

    def begin(self, skipped: int) -> None:
        """Begin with no bars; where there is a past that will not be read, with those that it left running."""
        self.gantt, self._adopt = Gantt(), skipped > 0

    def read(self, steps: Sequence[Step]) -> None:
        """Add to the bars."""
        self.gantt.read(steps)

    def draw(self, session: Session) -> None:
        """Draw what lies in the window."""
        if self._adopt:
            self.gantt.adopt(session.snapshot())
            self._adopt = False
        now_us = self.gantt.now_us = present_us(session, self.gantt.now_us)
        from_us, until_us = self.window.between(session, self.gantt.first_us or 0, now_us)
        shown = drawing(self.gantt, from_us, until_us, self.only.value.strip(), session.log.began_us)
        self.bars.data, self.marks.data = (
            self._columns(shown.pieces, (until_us - from_us) / 1_000_000),
            mark_columns(shown.marks),
        )
        self._label(shown)
        write(self.legend, self.look.legend(_frameworks(session), SIGNS + _said(shown, self.gantt)))

    def story(self, session: Session, name: str) -> str:
        """Tell a task's life, which the master forgets when it has ended."""
        return story(self.gantt.find(name), session.log.began_us)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _chart(self) -> Any:
        chart = self.look.figure(
            height=LEAST_PX, x_range=self.window.x_range, y_range=Range1d(start=-0.5, end=0.5), x_axis_label="seconds",
            tools="xpan,xwheel_zoom,xbox_zoom,save", active_drag="xpan",
        )  # fmt: skip
        bars = chart.quad(
            "left_s", "right_s", "top", "bottom", source=self.bars, fill_color="colour", fill_alpha="solid", line_width=1,
            line_color="edge", hatch_pattern="hatch", hatch_color=self.look.background, hatch_alpha=0.7,
        )  # fmt: skip
        chart.text(
            "left_s", "middle", "letters", source=self.bars, text_color="ink", text_font_size="10px", text_baseline="middle",
            x_offset=3,
        )  # fmt: skip
        chart.scatter(
            "x", "y", source=self.marks, marker="marker", size=10, line_width=2, line_color=self.look.ink,
            fill_color=self.look.background,
        )  # fmt: skip
        chart.add_tools(HoverTool(renderers=[bars], tooltips=TOLD))
        chart.ygrid.grid_line_color = None
        self.window.govern(chart)
        self.why.answers_clicks(chart, bars, "task")
        return chart

    def _columns(self, pieces: Sequence[Piece], window_s: float) -> dict[str, Any]:
        """What the bars are drawn from; the gap around one would leave nothing of a thin one, which has none."""
        marks = {piece.bar.framework: self.look.palette[piece.bar.framework] for piece in pieces}
        own = [marks[piece.bar.framework] for piece in pieces]
        return bar_columns(pieces) | {
            "colour": [mark.colour for mark in own],
            "hatch": [HATCH[mark.hatch] for mark in own],
            "edge": [
                mark.colour if piece.right_s - piece.left_s < THIN * window_s else self.look.background
                for mark, piece in zip(own, pieces, strict=True)
            ],
            "ink": [ink_on(mark) for mark in own],
            "letters": [mark.letters if piece.letters else "" for mark, piece in zip(own, pieces, strict=True)],
        }

    def _label(self, shown: Drawing) -> None:
        """Name the rows after their agents."""
        rows = len(shown.agents)
        names = {rows - 1 - number: agent for number, agent in enumerate(shown.agents)}
        axis, height = self.chart.yaxis[0], self._height_px(shown)
        if axis.major_label_overrides != names or self.chart.height != height:
            axis.update(ticker=FixedTicker(ticks=list(names)), major_label_overrides=names)
            self.chart.y_range.update(start=-0.5, end=max(rows, 1) - 0.5)
            self.chart.height = height

    def _height_px(self, shown: Drawing) -> int:
        """Tall enough to tell lanes apart, where there are not too many."""
        lanes = max((self.gantt.lanes[agent].count for agent in shown.agents), default=1)
        return min(max(LEAST_PX, 60 + max(ROW_PX, LANE_PX * lanes) * len(shown.agents)), MOST_PX)


def bar_columns(pieces: Sequence[Piece]) -> dict[str, Any]:
    """What the bars are drawn from, and what is said of one under the pointer."""
    return {
        "left_s": [piece.left_s for piece in pieces],
        "right_s": [piece.right_s for piece in pieces],
        "top": [piece.top for piece in pieces],
        "bottom": [piece.bottom for piece in pieces],
        "middle": [(piece.top + piece.bottom) / 2 for piece in pieces],
        "solid": [piece.solid for piece in pieces],
        "task": [piece.bar.task for piece in pieces],
        "framework": [piece.bar.framework for piece in pieces],
        "agent": [piece.bar.agent for piece in pieces],
        "state": [piece.bar.state for piece in pieces],
        "lasted": [_lasted(piece) for piece in pieces],
        "because": [piece.bar.because for piece in pieces],
    }


def mark_columns(marks: Sequence[Piece]) -> dict[str, Any]:
    """Where endings are marked, and how."""
    return {
        "x": [piece.right_s for piece in marks],
        "y": [(piece.top + piece.bottom) / 2 for piece in marks],
        "marker": [MARKERS[piece.bar.state] for piece in marks],
    }


def _lasted(piece: Piece) -> str:
    bar = piece.bar
    return show_duration(bar.ended_us - bar.begun_us) if bar.ended_us is not None else "still lives"


def story(bar: Bar | None, origin_us: int) -> str:
    """Tell a task's life in a sentence.

    >>> story(Bar("t", "f", "agent-1", 2_000_000, running_us=3_000_000, ended_us=5_000_000, state="killed", because="asked"), 0)
    'launched at 2 s on agent-1, ran from 3 s, killed at 5 s: asked'
    """
    if bar is None:
        return ""
    parts = [f"launched at {show_duration(bar.begun_us - origin_us)} on {bar.agent}"]
    if bar.running_us is not None:
        parts.append(f"ran from {show_duration(bar.running_us - origin_us)}")
    if bar.ended_us is not None:
        parts.append(
            f"{bar.state} at {show_duration(bar.ended_us - origin_us)}" + (f": {bar.because}" if bar.because else "")
        )
    return ", ".join(parts)


def _said(shown: Drawing, gantt: Gantt) -> str:
    ended = ", ".join(f"{count:,} {how}" for how, count in sorted(gantt.endings.items()))
    parts = [f"{len(gantt.live):,} live" + (f"; {ended}" if ended else "")]
    if shown.left_out:
        parts.append(f"{shown.bars:,} bars drawn ({BARS_DRAWN:,} at most), {shown.left_out:,} more in the window")
    if shown.agents_in_all > len(shown.agents):
        parts.append(f"{len(shown.agents)} of {shown.agents_in_all:,} agents")
    return f'<span class="quiet">{escape(" · ".join(parts))}</span>'


def _frameworks(session: Session) -> list[str]:
    return list(session.core.frameworks)
