"""Offers over time: sent, accepted, declined, rescinded; how long each waited for its answer; how many are out.

Answers are told apart by shade and hatching, not colour: colours belong to frameworks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import ColumnDataSource, DataRange1d, HoverTool

from mesonb.core.log import Step
from mesonb.core.units import show_duration
from mesonb.panels.app import Look, Panel, legend_above, table, write
from mesonb.panels.look import lasted, line
from mesonb.panels.offers_view import ANSWERS, LEAST_MS, SPANS, US, Drawing, Flight, Offers, Row, drawing, rows
from mesonb.panels.window import Window, present_us
from mesonb.session import Session

HATCHES = {"accepted": " ", "declined": "/", "rescinded": "x"}
MARKERS = {"accepted": "circle", "declined": "x", "rescinded": "triangle"}
SIGNS = "<span>● accepted</span><span>✕ declined</span><span>△ rescinded</span>"
HEADS = (
    "framework",
    "sent",
    "accepted",
    "declined",
    "rescinded",
    "outstanding",
    "oldest unanswered",
    "median answer",
    "slowest",
)
TOOLS = "xpan,xwheel_zoom,xbox_zoom,save"


class OffersPanel(Panel):
    """The charts of offers."""

    title = "offers"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.offers = Offers()
        self.window = Window(look, self.ask)
        self.legend, self.table = look.div(), look.div()
        self.spans = ColumnDataSource()
        self.flights = ColumnDataSource()
        self.counts, self.answers, self.out = self._counts(), self._answers(), self._outstanding()
        for chart in (self.counts, self.answers, self.out):
            self.window.govern(chart)

    def parts(self) -> Sequence[Any]:
        """Table first, then the charts on one axis."""
        return line(self.window.buttons), self.table, self.counts, self.legend, self.answers, self.out

    def begin(self, skipped: int) -> None:
        """Begin with no offers."""
        self.offers = Offers()

    def read(self, steps: Sequence[Step]) -> None:
        """Follow the offers."""
        self.offers.read(steps)

    def draw(self, session: Session) -> None:
        """Draw what lies in the window."""
        now_us = self.offers.now_us = present_us(session, self.offers.now_us)
        from_us, until_us = self.window.between(session, self.offers.known_from_us, now_us)
        shown, origin_us = drawing(self.offers, from_us, min(until_us, max(now_us, from_us + 1))), session.log.began_us
        self.spans.data = span_columns(shown, origin_us)
        self.flights.data = flight_columns(shown.flights, origin_us) | {
            "colour": [self.look.palette[flight.framework].colour for flight in shown.flights]
        }
        found = rows(self.offers)
        note = f'<span class="quiet">the newest; {shown.left_out:,} more in the window</span>' if shown.left_out else ""
        write(self.legend, self.look.legend([row.framework for row in found], SIGNS + note))
        write(self.table, table(HEADS, [self._told(row) for row in found]))

    def story(self, session: Session, name: str) -> str:
        """Tell of an offer that was answered, which the master has forgotten."""
        found = next((flight for flight in reversed(self.offers.ended) if flight.offer == name), None)
        if found is None:
            return ""
        at = show_duration(found.made_us - session.log.began_us)
        return (
            f"{found.agent} was offered to {found.framework} at {at}, {found.how} after {show_duration(found.took_us)}"
        )

    # -- inside -------------------------------------------------------------------------------------------------------

    def _figure(self, label: str, height: int, **options: Any) -> Any:
        return self.look.figure(height=height, x_range=self.window.x_range, y_axis_label=label, tools=TOOLS, **options)

    def _counts(self) -> Any:
        chart = self._figure("offers", 170, y_range=DataRange1d(start=0))
        shades = dict(zip(ANSWERS, ("#999999", "#7774", "#7772"), strict=True))
        bottom: list[str] = []
        for how in ANSWERS:
            chart.quad(
                left="left", right="right", bottom=_stacked(bottom), top=_stacked([*bottom, how]), source=self.spans, legend_label=how,
                fill_color=shades[how], line_color="#888888", line_width=0.5, hatch_pattern=HATCHES[how], hatch_color=self.look.ink,
                hatch_alpha=0.5, hatch_scale=7, name=how,
            )  # fmt: skip
            bottom = [*bottom, how]
        chart.step(
            "right", "sent", source=self.spans, mode="before", color=self.look.ink, line_width=1.5, legend_label="sent"
        )
        chart.add_tools(
            HoverTool(
                mode="vline", tooltips=[("sent", "@sent"), *((how, f"@{how}") for how in ANSWERS)], attachment="right"
            )
        )
        legend_above(chart)
        return chart

    def _answers(self) -> Any:
        chart = self._figure("answered after (ms)", 170, y_axis_type="log")
        dots = chart.scatter(
            "at_s", "took_ms", source=self.flights, marker="marker", size=7, color="colour", fill_alpha=0.35, line_width=1.5,
        )  # fmt: skip
        told = [("offer", "@offer"), ("", "@how by @framework after @took_ms{0.00} ms"), ("agent", "@agent")]
        chart.add_tools(HoverTool(tooltips=told))
        self.why.answers_clicks(chart, dots, "offer")
        return chart

    def _outstanding(self) -> Any:
        chart = self._figure("outstanding", 130, y_range=DataRange1d(start=0), x_axis_label="seconds")
        chart.varea_step(
            "right",
            _stacked([]),
            "outstanding",
            source=self.spans,
            step_mode="before",
            fill_color="#888888",
            fill_alpha=0.35,
        )
        chart.step("right", "outstanding", source=self.spans, mode="before", color=self.look.ink, line_width=1.5)
        return chart

    def _told(self, row: Row) -> list[str]:
        chip = f"{self.look.chip(row.framework)} {row.framework}"
        counts = [f"{n:,}" for n in (row.sent, row.accepted, row.declined, row.rescinded, row.outstanding)]
        return [chip, *counts, *(lasted(us) for us in (row.oldest_us, row.median_us, row.slowest_us))]


def span_columns(shown: Drawing, origin_us: int) -> dict[str, Any]:
    """The spans as columns, with the heights that answers are stacked at."""
    at_s = [(edge - origin_us) / US for edge in shown.edges_us]
    data: dict[str, Any] = {
        "left": at_s[:-1],
        "right": at_s[1:],
        "sent": shown.sent,
        "outstanding": shown.outstanding,
        **shown.ended,
    }
    return data | {_stacked([]): [0] * SPANS} | {
        _stacked(list(ANSWERS[: n + 1])): [sum(parts) for parts in zip(*(shown.ended[how] for how in ANSWERS[: n + 1]), strict=True)]
        for n in range(len(ANSWERS))
    }  # fmt: skip


def flight_columns(flights: Sequence[Flight], origin_us: int) -> dict[str, Any]:
    """Each answered offer as a dot: when, after how long, how."""
    return {
        "at_s": [(flight.ended_us - origin_us) / US for flight in flights],
        "took_ms": [max(flight.took_us / 1000, LEAST_MS) for flight in flights],
        "marker": [MARKERS[flight.how] for flight in flights],
        "offer": [flight.offer for flight in flights],
        "agent": [flight.agent for flight in flights],
        "framework": [flight.framework for flight in flights],
        "how": [flight.how for flight in flights],
    }


def _stacked(names: Sequence[str]) -> str:
    return "top_of_" + "_".join(names)
