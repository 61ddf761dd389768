"""How a comparison is drawn: one bar chart a measure, a group of bars an architecture, a colour and a hatch a workload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.layouts import gridplot
from bokeh.models import FactorRange, GridPlot
from bokeh.plotting import figure

#: Okabe and Ito's colours, told apart by colour-blind readers; the hatch says the same without colour.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
HATCHES = ("blank", "right_diagonal_line", "dot", "cross", "horizontal_line", "vertical_line")
_MEASURES = (
    ("busyness", "busyness (fraction of the run)"),
    ("conflict_fraction", "conflict fraction"),
    ("wait_first_s", "wait to the first attempt (s)"),
    ("placed_share", "jobs placed (fraction)"),
)


def draw(rows: Sequence[dict[str, Any]]) -> GridPlot:
    """Four charts of the measures that tell architectures apart."""
    charts: list[Any] = [_chart([_with_share(row) for row in rows], measure, title) for measure, title in _MEASURES]
    return gridplot([charts[:2], charts[2:]], toolbar_location=None)


def _chart(rows: Sequence[dict[str, Any]], measure: str, title: str) -> Any:
    workloads = list(rows[0]["jobs"])
    factors: Any = [(row["architecture"], workload) for row in rows for workload in workloads]
    chart: Any = figure(  # Any: Bokeh's types know no factors of two levels
        x_range=FactorRange(*factors), height=260, width=420, title=title, toolbar_location=None
    )
    for at, workload in enumerate(workloads):
        chart.vbar(
            x=[(row["architecture"], workload) for row in rows],
            top=[row[measure][workload] or 0 for row in rows],
            width=0.9,
            fill_color=COLOURS[at % len(COLOURS)],
            line_color=None,
            hatch_pattern=HATCHES[at % len(HATCHES)],
            hatch_alpha=0.4,
        )
    chart.y_range.start = 0
    chart.xaxis.major_label_orientation = 0.9
    chart.xaxis.group_label_orientation = 0.4
    chart.xgrid.grid_line_color = None
    return chart


def _with_share(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "placed_share": {workload: row["placed"][workload] / (jobs or 1) for workload, jobs in row["jobs"].items()}
    }
