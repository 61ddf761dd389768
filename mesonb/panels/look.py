"""Looks: what everything on a chart's page is drawn with: themes, marks, tables, and names that may be asked about.

Rule: a name of something is a button, so that a click or a key asks for its story (``data-why``, read by the page's script).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from bokeh.layouts import row
from bokeh.models import InlineStyleSheet
from bokeh.models.widgets import Div, Widget
from bokeh.plotting import figure

from mesonb.core.units import show_duration
from mesonb.panels.view import Mark, Palette

#: Hatchings as Bokeh calls them, and as CSS draws them.
HATCH = {"plain": " ", "stripes": "/", "dots": ".", "cross": "x"}
_CSS_HATCH = {
    "plain": "",
    "stripes": ";background-image:repeating-linear-gradient(45deg,#0006 0 2px,#0000 2px 6px)",
    "dots": ";background-image:radial-gradient(#0008 1px,#0000 1.5px);background-size:4px 4px",
    "cross": ";background-image:repeating-linear-gradient(45deg,#0006 0 1px,#0000 1px 5px),"
    "repeating-linear-gradient(-45deg,#0006 0 1px,#0000 1px 5px)",
}

#: What an HTML part of a panel looks like; Bokeh draws each in a shadow tree of its own.
LOOKS = """
:host { color: inherit; font: 13px/1.4 system-ui, sans-serif; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 2px 8px; }
th { font-weight: 500; opacity: .7; vertical-align: bottom; }
th, td { padding: 3px 6px; text-align: right; white-space: nowrap; }
td { border-top: 1px solid #8884; }
:is(th, td).text { text-align: left; }
td:last-child { min-width: 7em; }
td:last-child, td .words { white-space: normal; overflow-wrap: anywhere; }
.chip { display: inline-block; min-width: 1.5em; padding: 0 .25em; text-align: center; }
.chip { border-radius: 3px; font-size: 11px; font-weight: 600; }
button.chip { border: 0; font-family: inherit; line-height: 16px; cursor: pointer; }
button.name { all: unset; cursor: pointer; text-decoration: underline dotted #8888; text-underline-offset: 2px; }
button.cell { font: inherit; font-size: 11px; padding: 0 8px; border: 1px solid #8888; border-radius: 4px; }
button.cell { cursor: pointer; background: #8882; color: inherit; }
button:is(.chip, .name, .cell):focus-visible { outline: 2px solid #56B4E9; outline-offset: 1px; }
.legend > span { margin-right: 14px; white-space: nowrap; }
.quiet { opacity: .75; } .trouble { color: light-dark(#b34700, #ff9a52); font-weight: 600; }
pre { margin: 4px 0; padding: 6px; background: #8882; overflow: auto; max-height: 220px; font-size: 12px; }
code { background: #8882; padding: 1px 4px; border-radius: 3px; }
"""
SPOKEN = "label { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }"
ACCEPTS = ".bk-btn { background: #1b7a3d !important; border-color: #1b7a3d !important; color: #fff !important; }"
DARK_INPUTS = (
    ".bk-input, .bk-btn { background: #2b2b2b !important; color: #ddd !important; border-color: #555 !important; }"
    " .bk-btn.bk-active { background: #555 !important; } .bk-input::placeholder { color: #aaa !important; }"
    " .noUi-target { background: #333 !important; border-color: #555 !important; }"
    " .bk-menu { background: #2b2b2b !important; border-color: #555 !important; color: #ddd !important; }"
    " .bk-menu > :is(.bk-active, :hover) { background: #555 !important; color: #fff !important; }"
    " select.bk-input { appearance: auto !important; background-image: none !important; }"
)


class Look:
    """How a page looks: its theme, and the marks of the session's frameworks."""

    def __init__(self, palette: Palette, *, dark: bool = False, fill: bool = False) -> None:
        self.palette, self.dark, self.fill = palette, dark, fill
        self.ink, self.background = ("#dddddd", "#111111") if dark else ("#222222", "#ffffff")

    def figure(self, **options: Any) -> Any:
        """An empty chart that is as wide as there is room, on the page's background."""
        chart = figure(sizing_mode="stretch_width", background_fill_color=None, border_fill_color=None, **options)
        chart.toolbar.logo = None
        for axis in chart.axis:
            axis.update(
                axis_label_text_font_size="11px", axis_label_text_font_style="normal", major_label_text_font_size="12px"
            )
        chart.toolbar.autohide = True
        return chart

    def div(self, html: str = "", scroll_px: int = 0) -> Div:
        """A piece of HTML; ``scroll_px`` is how high it gets before it scrolls."""
        looks = LOOKS + (f":host {{ max-height: {scroll_px}px; overflow-y: auto; }}" if scroll_px else "")
        return Div(text=html, sizing_mode="stretch_width", stylesheets=[InlineStyleSheet(css=looks)])

    def widgets(self, *widgets: Widget) -> None:
        """Dress widgets for the theme."""
        for widget in widgets:
            widget.styles = {"max-width": "calc(100% - 10px)"}  # of where it stands
        for widget in widgets if self.dark else ():
            widget.stylesheets = [*widget.stylesheets, InlineStyleSheet(css=DARK_INPUTS)]

    def chip(self, framework: str) -> str:
        """A framework's mark as HTML, its letters on its colour and hatching; a click asks why it is as it is."""
        mark = self.palette[framework]
        style = f"background-color:{mark.colour};color:{ink_on(mark)}{_CSS_HATCH[mark.hatch]}"
        why = f'data-why="{escape(framework)}" title="explain {escape(framework)}"'
        return f'<button type="button" class="chip" {why} style="{style}">{escape(mark.letters)}</button>'

    def legend(self, frameworks: Iterable[str], extra: str = "") -> str:
        """Which mark is whose."""
        marks = "".join(f"<span>{self.chip(name)} {escape(name)}</span>" for name in frameworks)
        return f'<div class="legend">{marks}{extra}</div>'


def spoken(widget: Widget) -> None:
    """Have a widget's title be said by screen readers alone, where what is seen says as much."""
    widget.stylesheets = [*widget.stylesheets, InlineStyleSheet(css=SPOKEN)]


def line(*parts: Any) -> Any:
    """Put widgets beside each other, and below each other where there is no room."""
    return row(
        *parts, sizing_mode="stretch_width", styles={"flex-wrap": "wrap", "row-gap": "4px", "align-items": "end"}
    )


def ink_on(mark: Mark) -> str:
    """Black or white, whichever is easier to read on a framework's colour."""
    from mesonb.panels.still import light

    return "#000" if light(mark.colour) else "#fff"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], text: Iterable[int] = (0,), caption: str = "") -> str:
    """An HTML table of cells that are HTML already; the columns in ``text`` are words, the others figures."""
    words = frozenset(text)
    kind = [' class="text"' if number in words else "" for number in range(len(heads))]
    head = "".join(f'<th scope="col"{kind[number]}>{name}</th>' for number, name in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(f"<td{kind[number]}>{cell}</td>" for number, cell in enumerate(row)) + "</tr>" for row in rows
    )
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def named(name: str) -> str:
    """Write a name of something, so that a click asks about it."""
    return f'<button type="button" class="name" data-why="{escape(name)}">{escape(name)}</button>'


#: Tasks, offers and agents are called so, unless somebody calls them otherwise.
_NAMES = re.compile(r"[\w.-]+/task-\d+|\boffer-[\d.]*\d|\bagent-\d+")


def linked(text: str) -> str:
    """Escape a text, and have the names in it answer clicks.

    >>> linked("kill a/task-1")
    'kill <button type="button" class="name" data-why="a/task-1">a/task-1</button>'
    """
    out, end = [], 0
    for found in _NAMES.finditer(text):
        out += [escape(text[end : found.start()]), named(found.group())]
        end = found.end()
    return "".join([*out, escape(text[end:])])


def lasted(us: float | None) -> str:
    """How long something took, as people say it; a dash where that is not known."""
    return "–" if us is None else show_duration(round(us))


def write(div: Div, html: str) -> None:
    """Change a text only where it is another: what stays the same is not sent, and keeps what is unfolded in it."""
    if div.text != html:
        div.text = html
    if div.visible != bool(html):
        div.visible = bool(html)  # an empty one would take a line


def legend_above(chart: Any) -> None:
    """Put a chart's legend in one line above it."""
    legend = chart.legend[0]
    chart.add_layout(legend, "above")
    legend.update(
        orientation="horizontal", padding=0, margin=0, spacing=12, border_line_color=None, background_fill_color=None,
        label_text_font_size="11px", glyph_height=12, glyph_width=16,
    )  # fmt: skip
