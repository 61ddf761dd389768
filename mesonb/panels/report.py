"""A report of what happened: one HTML file that needs no kernel, no server and no network.

Shares over time, how many tasks ran, and a table of each framework's offers and tasks. Everything the page needs is in
it (Bokeh's resources inline), so it can be mailed, kept, and opened in ten years.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from bokeh.embed import components
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure
from bokeh.resources import Resources as Inline

from mesonb.core.snapshot import Snapshot
from mesonb.panels import still
from mesonb.panels.feed import complaints_of, palette_of, picture
from mesonb.panels.shares import add_line, dress, series, shares_figure
from mesonb.panels.view import Mark, begun, framework_row
from mesonb.session import Session

#: Points of a line, at most: more are not seen, and the file stays small.
POINTS = 2000
COLUMNS = {
    "name": "framework", "role": "role", "offers_made": "offers made", "accepted": "accepted", "declined": "declined",
    "rescinded": "rescinded", "mean_share": "mean share", "share": "share at the end", "running": "still running",
}  # fmt: skip
ENDINGS = ("finished", "failed", "killed", "lost")

Row = tuple[int, Mapping[str, float]]


def write_report(
    session: Session, path: str | Path, title: str = "", notes: Mapping[str, object] | None = None
) -> Path:
    """Write the report of a session to a file, and return its path. ``notes`` are figures to print on top."""
    path = Path(path)
    path.write_text(page(session, title or f"What {session.id} did", notes or {}), encoding="utf-8")
    return path


def page(session: Session, title: str, notes: Mapping[str, object]) -> str:
    """The whole page."""
    snapshot, rows = session.snapshot(), _thinned(begun(list(session.history.rows)))
    names = list({name: None for _, shares in rows for name in shares})
    marks = {name: palette_of(session)[name] for name in names}
    scripts, charts = components([shares_chart(rows, marks), used_chart(rows, marks)])
    sections = [
        f"<h1>{escape(title)}</h1>{_facts(snapshot, notes)}",
        f"<h2>Shares over time</h2>{charts[0]}",
        f"<h2>The same shares, one above the other</h2>{charts[1]}",
        f"<h2>Frameworks</h2>{frameworks_table(session, snapshot, rows)}",
        f"<h2>The cluster at the end</h2>{still.svg(picture(session))}",
        _complaints(session),
    ]
    resources = Inline(mode="inline", components=["bokeh"]).render()
    return PAGE.format(title=escape(title), resources=resources, scripts=scripts, body="\n".join(sections))


# -- charts -----------------------------------------------------------------------------------------------------------


def shares_chart(rows: Sequence[Row], marks: Mapping[str, Mark]) -> Any:
    """Each framework's dominant share of its tasks, as a line in its colour."""
    chart = shares_figure("dominant share of each framework's tasks")
    for name, mark in marks.items():
        add_line(chart, ColumnDataSource(series(rows, name)), name, mark)
    return chart


def used_chart(rows: Sequence[Row], marks: Mapping[str, Mark]) -> Any:
    """The shares one above the other; they may add up to more than one where they are of different resources."""
    chart = figure(
        height=240, sizing_mode="stretch_width", x_axis_label="seconds", y_axis_label="shares, stacked",
        tools="xpan,xwheel_zoom,box_zoom,reset,save", y_range=Range1d(start=0, end=_tallest(rows)),
    )  # fmt: skip
    dress(chart)
    steps = _steps(rows)
    columns: dict[str, Any] = {name: [shares.get(name, 0.0) for _, shares in steps] for name in marks}
    columns[" at_s"] = [now_us / 1_000_000 for now_us, _ in steps]
    if marks and rows:
        chart.varea_stack(
            list(marks), x=" at_s", source=ColumnDataSource(columns), color=[mark.colour for mark in marks.values()],
            alpha=0.75, legend_label=list(marks),
        )  # fmt: skip
    return chart


def _steps(rows: Sequence[Row]) -> list[Row]:
    """Each row at both ends of the span it speaks of, so that areas have steps and not slopes."""
    return [row for (start_us, _), (end_us, shares) in pairwise(rows) for row in ((start_us, shares), (end_us, shares))]


def _tallest(rows: Sequence[Row]) -> float:
    return max(1.0, *(sum(shares.values()) for _, shares in rows), 0) * 1.02


def _thinned(rows: Sequence[Row]) -> Sequence[Row]:
    stride = -(-len(rows) // POINTS) or 1
    return rows[(len(rows) - 1) % stride :: stride] if rows else []


# -- tables -----------------------------------------------------------------------------------------------------------


def frameworks_table(session: Session, snapshot: Snapshot, rows: Sequence[Row]) -> str:
    """One row a framework: its offers, what became of its tasks, its share."""
    palette = palette_of(session)
    heads = "".join(f"<th>{head}</th>" for head in (*COLUMNS.values(), *ENDINGS))
    lines = []
    for row in snapshot.frameworks:
        said = framework_row(row, palette[row.framework]) | {"mean_share": mean_share(rows, row.framework)}
        cells = [_cell(said[column]) for column in COLUMNS] + [
            _cell(said["ended"].get(ending, 0)) for ending in ENDINGS
        ]
        lines.append(f"<tr style='--c: {said['colour']}'>{''.join(cells)}</tr>")
    return f"<table class='frameworks'><tr>{heads}</tr>{''.join(lines)}</table>"


def mean_share(rows: Sequence[Row], name: str) -> float:
    """A framework's share, averaged over the time it was registered.

    >>> mean_share([(0, {"a": 0.0}), (10, {"a": 1.0}), (40, {"a": 1.0})], "a")
    0.75
    """
    there = [(now_us, shares[name]) for now_us, shares in rows if name in shares]
    spans = [(after[0] - at, share) for (at, share), after in zip(there, there[1:], strict=False)]
    lasted_us = sum(span for span, _ in spans)
    return sum(span * share for span, share in spans) / lasted_us if lasted_us else 0.0


def _cell(value: object) -> str:
    shown = (
        f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else escape(str(value))
    )
    return f"<td>{shown}</td>"


def _facts(snapshot: Snapshot, notes: Mapping[str, object]) -> str:
    facts: dict[str, object] = {
        "agents": snapshot.agent_count,
        "in all": str(snapshot.total),
        "calls taken": f"{snapshot.steps:,}",
        "lasted": f"{snapshot.now_us / 1_000_000:,.1f} s",
        **notes,
    }
    return (
        "<dl>"
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(str(fact))}</dd></div>" for name, fact in facts.items())
        + "</dl>"
    )


def _complaints(session: Session) -> str:
    found = complaints_of(session)
    if not found:
        return ""
    told = "".join(
        f"<h3>{escape(name or 'the master')}: {escape(last['callback'])}, {last['times']} times</h3>"
        f"<pre>{escape(last['traceback'] or last['error'])}</pre>"
        for name, last in found.items()
    )
    return f"<h2>What went wrong</h2>{told}"


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1000px; margin: 2em auto; padding: 0 1.5em; }}
h1 {{ font-size: 1.6em; margin-bottom: .3em }} h2 {{ font-size: 1.1em; margin: 2em 0 .5em }}
dl {{ display: flex; flex-wrap: wrap; gap: .8em 2.2em; margin: 0 }} dt {{ color: #666; font-size: .8em }}
dd {{ margin: 0; font-weight: 600; font-variant-numeric: tabular-nums }}
table.frameworks {{ border-collapse: collapse; width: 100%; font-size: .85em; font-variant-numeric: tabular-nums }}
.frameworks th {{ text-align: right; color: #666; font-weight: 500; padding: .2em .5em; vertical-align: bottom }}
.frameworks td {{ text-align: right; padding: .35em .5em; border-top: 1px solid #ddd }}
.frameworks :is(td, th):first-child {{ text-align: left; white-space: nowrap }}
.frameworks td:first-child::before {{ content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .5em;
  border-radius: 2px; background: var(--c) }}
pre {{ background: #f5f5f5; padding: .8em; overflow: auto; font-size: .8em }}
</style>
{resources}
{scripts}
</head><body>
{body}
</body></html>
"""
