"""What all charts have in common: a Bokeh app around a panel, its looks, its legend, and what is said when it fails.

A panel reads (``read``) and draws (``draw``); when, in which theme, and at what cost at most is decided here. Rule: a
panel that raises says so in its own place and is asked again later; nothing else stops.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, ClassVar

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.layouts import column, row

from mesonb.core.log import Step
from mesonb.panels.feed import palette_of
from mesonb.panels.look import HATCH, Look, ink_on, legend_above, table, write
from mesonb.panels.module import page_script
from mesonb.panels.moments import can_travel, is_recording, past_of
from mesonb.panels.reading import Reader
from mesonb.panels.travel import Travel
from mesonb.panels.view import Palette
from mesonb.panels.why import Why, names_of
from mesonb.session import Session

__all__ = ["HATCH", "Look", "Panel", "Shown", "application", "ink_on", "legend_above", "open_panel", "table", "write"]
REFRESH_MS = 200
COST = 5  #: a drawing that took n seconds is followed by n * COST seconds without one
CLOCK_US = 500_000  #: with nothing new, a picture that shows the time is drawn so often
ELSEWHERE = "another kernel holds this master, and its log: what happened over time is shown there"
TEMPLATE = """
{% block preamble %}
<script>{% raw %}PAGE_SCRIPT{% endraw %}</script>
<style>
  :root { color-scheme: COLOR_SCHEME; }
  html, body { margin: 0; padding: 0; overflow-x: hidden; background: BACKGROUND; color: INK; font: 13px/1.4 system-ui, sans-serif; }
  [inert] > * { opacity: .6; }
  .lost { margin: 0; padding: 4px 8px; border-left: 4px solid #D55E00; font-weight: 600; }
</style>
{% endblock %}
""".replace("PAGE_SCRIPT", page_script())


class Panel:
    """One picture of a session, brought up to date by ``read`` and ``draw``."""

    title: ClassVar[str] = ""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.why = Why(look, self.ask)
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

    def story(self, session: Session, name: str) -> str:
        """Tell what this panel itself knows of something that was asked about, which the master may have forgotten."""
        return ""

    def allow(self, because: str) -> None:
        """Switch the controls that steer off where there is a reason, and on again where there is none any more."""

    def ask(self) -> None:
        """Have the next refresh draw, though nothing happened."""
        self.stale = True


class Shown:
    """A panel on a page."""

    def __init__(self, session: Session, panel: Panel, beside: Callable[[bool], None] | None = None) -> None:
        self._session = weakref.ref(session)
        self._drawn = weakref.ref(session)  #: this session, or its past
        self.panel = panel
        panel.session = self._session
        self.note = panel.look.div()
        self.note.visible = False
        self.travel = Travel(session, panel.look, beside) if can_travel(session) else None
        self._reader = Reader()
        self._seen: tuple[int, int, str] = (-1, -1, "")
        self._rest_until_s = 0.0
        parts = (self.note, *panel.parts(), *panel.why.parts, *self._controls())
        self.root = column(*parts, sizing_mode="stretch_width", styles={"min-width": "0", "overflow-x": "auto"})
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
        live = session
        if self.travel:
            session = self._at(self.travel.shown(session))
        seen = (session.core.steps, session.now_us() // CLOCK_US, session.unsteerable)
        if seen == self._seen and not self.panel.stale:
            return
        for name in list(session.core.frameworks):
            self.panel.look.palette[name]  # marks are given in order of registration, whatever a panel shows first
        fresh = self._reader.read(session)
        if fresh.restarted:
            self.panel.begin(fresh.skipped)
        self.panel.read(fresh.steps)
        self.panel.draw(session)
        self.panel.allow(session.unsteerable)
        why = self.panel.why
        why.offer(names_of(session))
        why.draw(session, self.panel.story(session, why.chosen) if why.chosen else "")
        self._seen, self.panel.stale = seen, False
        self.say("" if is_recording(live) else live.unsteerable or self._missed(live))

    def _missed(self, session: Session) -> str:
        """Say what is not to be seen of a master that another kernel holds: what panels read in its log."""
        reads = type(self.panel).read is not Panel.read
        return "" if can_travel(session) or not reads else ELSEWHERE

    def _at(self, session: Session) -> Session:
        """Begin anew where another session is drawn than before: its past, or the present again."""
        if self._drawn() is not session:
            self._drawn, self._reader, self._seen = weakref.ref(session), Reader(), (-1, -1, "")
            self.panel.session = self._drawn  # the past cannot be steered, and says so
        return session

    def say(self, trouble: str) -> None:
        """Say above the picture what is wrong with it; nothing: all is well."""
        if self.note.visible != bool(trouble) or trouble:
            self.note.text = f'<span class="trouble" role="alert">{escape(trouble)}</span>'
            self.note.visible = bool(trouble)


class Page:
    """One panel of a session, or two of them, each at a moment of its own."""

    def __init__(self, session: Session, make: Callable[[], Panel]) -> None:
        self._session, self._make = weakref.ref(session), make
        self._own: Session | None = None  #: the second one's recording, where the first one's is shared
        self.first, self.second = Shown(session, make(), self.beside), None
        self.root = row(self.first.root, sizing_mode="stretch_width")

    first: Shown
    second: Shown | None

    def beside(self, two: bool) -> None:
        """Show a second moment, or one alone."""
        session = self._session()
        self.second, self._own = None, None
        if two and session is not None:
            self._own = past_of(session) if is_recording(session) else None
            self.second = Shown(self._own or session, self._make())
        self.root.children = [self.first.root, *([self.second.root] if self.second else [])]

    def refresh(self) -> None:
        """Bring up to date what is shown."""
        self.first.refresh()
        if self.second:
            self.second.refresh()


def application(kind: type[Panel]) -> Application:
    """The Bokeh app of a panel; which session it shows stands in the address: ``/timeline?session=master-1&theme=dark``."""
    return Application(FunctionHandler(lambda document: open_panel(document, kind), trap_exceptions=True))


def open_panel(document: Document, kind: type[Panel]) -> None:
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
    page = Page(session, lambda: kind(look))
    document.title = f"{session.id}: {kind.title}"
    document.config.update(notify_connection_status=False, reconnect_session=False)  # page.js says it, and what helps
    document.add_root(page.root)
    document.add_periodic_callback(page.refresh, REFRESH_MS)


def _filled(template: str, values: Mapping[str, str]) -> Any:
    for name, value in values.items():
        template = template.replace(name, value)
    return template
