"""What all charts have in common: a Bokeh app around a panel, its looks, its legend, and what is said when it fails.

A panel reads (``read``) and draws (``draw``); when, in which theme, and at what cost at most is decided here. Rule: a
panel that raises says so in its own place and is asked again later; nothing else stops.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, ClassVar

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import InlineStyleSheet
from bokeh.models.widgets import Div, Widget
from bokeh.plotting import figure

from mesonb.core.log import Step
from mesonb.panels.feed import palette_of
from mesonb.panels.reading import Reader
from mesonb.panels.travel import Travel, can_travel
from mesonb.panels.view import Mark, Palette
from mesonb.session import Session

REFRESH_MS = 200
COST = 5  #: a drawing that took n seconds is followed by n * COST seconds without one
CLOCK_US = 500_000  #: with nothing new, a picture that shows the time is drawn so often
#: Hatchings as Bokeh calls them, and as CSS draws them.
HATCH = {"plain": " ", "stripes": "/", "dots": ".", "cross": "x"}
_CSS_HATCH = {
    "plain": "",
    "stripes": ";background-image:repeating-linear-gradient(45deg,#0006 0 2px,#0000 2px 6px)",
    "dots": ";background-image:radial-gradient(#0008 1px,#0000 1.5px);background-size:4px 4px",
    "cross": ";background-image:repeating-linear-gradient(45deg,#0006 0 1px,#0000 1px 5px),"
    "repeating-linear-gradient(-45deg,#0006 0 1px,#0000 1px 5px)",
}

#: Where the address does not say which theme, the page around decides: a JupyterLab says it on its body.
TEMPLATE = """
{% block preamble %}
<script>
if (!/[?&]theme=/.test(location.search)) {
  try {
    if (parent.document.body.dataset.jpThemeLight === 'false') location.replace(location.href + '&theme=dark');
  } catch { /* a page of another origin around it: light */ }
}
</script>
<script>
// In a cell, be as high as what is drawn; in a tab (fill=1) the tab says how high.
if (window.frameElement && !/[?&]fill=1/.test(location.search)) setInterval(() => {
  const drawn = document.querySelector('[data-root-id] > *');
  const height = `${Math.min(Math.ceil(drawn?.getBoundingClientRect().bottom ?? 0) + 4, 900)}px`;
  if (drawn && frameElement.style.height !== height) frameElement.style.height = height;
}, 500);
</script>
<style>
  :root { color-scheme: COLOR_SCHEME; }
  html, body { margin: 0; padding: 0; overflow-x: hidden; background: BACKGROUND; color: INK; font: 13px/1.4 system-ui, sans-serif; }
</style>
{% endblock %}
"""

#: What an HTML part of a panel looks like; Bokeh draws each in a shadow tree of its own.
LOOKS = """
:host { color: inherit; font: 13px/1.4 system-ui, sans-serif; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 2px 8px; }
th { font-weight: 500; opacity: .7; vertical-align: bottom; }
th, td { padding: 3px 8px; text-align: right; white-space: nowrap; }
td { border-top: 1px solid #8884; }
:is(th, td).text { text-align: left; }
td:last-child, td .words { white-space: normal; overflow-wrap: anywhere; }
.chip { display: inline-block; min-width: 1.5em; padding: 0 .25em; text-align: center; }
.chip { border-radius: 3px; font-size: 11px; font-weight: 600; }
.legend > span { margin-right: 14px; white-space: nowrap; }
.quiet { opacity: .7; } .trouble { color: #D55E00; font-weight: 600; }
pre { margin: 4px 0; padding: 6px; background: #8882; overflow: auto; max-height: 220px; font-size: 12px; }
code { background: #8882; padding: 1px 4px; border-radius: 3px; }
"""
DARK_INPUTS = (
    ".bk-input, .bk-btn { background: #2b2b2b !important; color: #ddd !important; border-color: #555 !important; }"
    " .bk-btn.bk-active { background: #555 !important; }"
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
        for widget in widgets if self.dark else ():
            widget.stylesheets = [*widget.stylesheets, InlineStyleSheet(css=DARK_INPUTS)]

    def chip(self, framework: str) -> str:
        """A framework's mark as HTML: its letters on its colour and hatching."""
        mark = self.palette[framework]
        style = f"background-color:{mark.colour};color:{ink_on(mark)}{_CSS_HATCH[mark.hatch]}"
        return f'<span class="chip" style="{style}">{escape(mark.letters)}</span>'

    def legend(self, frameworks: Iterable[str], extra: str = "") -> str:
        """Which mark is whose."""
        marks = "".join(f"<span>{self.chip(name)} {escape(name)}</span>" for name in frameworks)
        return f'<div class="legend">{marks}{extra}</div>'


class Panel:
    """One picture of a session, brought up to date by ``read`` and ``draw``."""

    title: ClassVar[str] = ""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.stale = False  #: a control was used: draw though nothing happened
        self.session: Callable[[], Session | None] = lambda: None  #: whom its controls steer, while somebody holds it

    def parts(self) -> Sequence[Any]:
        """What is on the page, from above."""
        raise NotImplementedError

    def begin(self, skipped: int) -> None:
        """Forget what was read; ``skipped`` steps come before the first that will be."""

    def read(self, steps: Sequence[Step]) -> None:
        """Take in what happened."""

    def draw(self, session: Session) -> None:
        """Bring the picture up to date."""

    def ask(self) -> None:
        """Have the next refresh draw, though nothing happened."""
        self.stale = True


class Shown:
    """A panel on a page."""

    def __init__(self, session: Session, panel: Panel) -> None:
        self._session = weakref.ref(session)
        self.panel = panel
        panel.session = self._session
        self.note = panel.look.div()
        self.note.visible = False
        self.travel = Travel(session, panel.look) if can_travel(session) else None
        self._reader = Reader()
        self._seen: tuple[int, int] = (-1, -1)
        self._rest_until_s = 0.0
        self.root = column(self.note, *panel.parts(), *self._controls(), sizing_mode="stretch_width")
        self.refresh()

    def _controls(self) -> Sequence[Any]:
        return self.travel.parts() if self.travel else ()

    def refresh(self) -> None:
        """Take in what has happened since, and draw it; say so where that fails."""
        session, began_s = self._session(), time.monotonic()
        if session is None:
            self.say("what this picture showed is gone; run its cell again")
        elif began_s >= self._rest_until_s:
            try:
                self._turn(session)
            except Exception as error:  # noqa: BLE001 - said in the panel; nothing else stops
                self.say(f"this cannot be drawn now: {type(error).__name__}: {error}")
            self._rest_until_s = time.monotonic() + COST * (time.monotonic() - began_s)

    def _turn(self, session: Session) -> None:
        if self.travel:
            self.travel.go_on(session)
        seen = (session.core.steps, session.now_us() // CLOCK_US)
        if seen == self._seen and not self.panel.stale:
            return
        for name in list(session.core.frameworks):
            self.panel.look.palette[name]  # marks are given in order of registration, whatever a panel shows first
        fresh = self._reader.read(session)
        if fresh.restarted:
            self.panel.begin(fresh.skipped)
        self.panel.read(fresh.steps)
        self.panel.draw(session)
        self._seen, self.panel.stale = seen, False
        self.say("")

    def say(self, trouble: str) -> None:
        """Say above the picture what is wrong with it; nothing: all is well."""
        if self.note.visible != bool(trouble) or trouble:
            self.note.text = f'<span class="trouble" role="alert">{escape(trouble)}</span>'
            self.note.visible = bool(trouble)


def application(kind: Callable[[Look], Panel]) -> Application:
    """The Bokeh app of a panel; which session it shows stands in the address: ``/timeline?session=master-1&theme=dark``."""
    return Application(FunctionHandler(lambda document: open_panel(document, kind), trap_exceptions=True))


def open_panel(document: Document, kind: Callable[[Look], Panel]) -> None:
    """Put a panel on a page."""
    context: Any = document.session_context
    asked = {
        name: value[-1].decode(errors="replace")
        for name, value in (context.request.arguments if context else {}).items()
    }
    session = Session.known.get(asked.get("session", ""))
    dark = asked.get("theme") == "dark"
    look = Look(palette_of(session) if session else Palette(), dark=dark, fill=asked.get("fill") == "1")
    document.theme = "dark_minimal" if dark else "light_minimal"
    scheme = {"COLOR_SCHEME": "dark" if dark else "light", "BACKGROUND": look.background, "INK": look.ink}
    document.template = _filled(TEMPLATE, scheme)
    if session is None:
        document.add_root(look.div("What this picture showed is gone; run its cell again."))
        return
    shown = Shown(session, kind(look))
    document.title = f"{session.id}: {shown.panel.title}"
    document.add_root(shown.root)
    document.add_periodic_callback(shown.refresh, REFRESH_MS)


def _filled(template: str, values: Mapping[str, str]) -> Any:
    for name, value in values.items():
        template = template.replace(name, value)
    return template


# -- small things that panels share -----------------------------------------------------------------------------------


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


def write(div: Div, html: str) -> None:
    """Change a text only where it is another: what stays the same is not sent, and keeps what is unfolded in it."""
    if div.text != html:
        div.text = html


def legend_above(chart: Any) -> None:
    """Put a chart's legend in one line above it."""
    legend = chart.legend[0]
    chart.add_layout(legend, "above")
    legend.update(
        orientation="horizontal", padding=0, margin=0, spacing=12, border_line_color=None, background_fill_color=None,
        label_text_font_size="11px", glyph_height=12, glyph_width=16,
    )  # fmt: skip
