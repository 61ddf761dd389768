"""Why: what a click on a bar, or a name that is chosen, is answered with: its state in a sentence, the reasons, remedies.

Rule: one thing at a time is explained, and only while somebody has chosen it: an explanation looks at every agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from bokeh.models import ColumnDataSource, CustomJS, TapTool
from bokeh.models.widgets import Select, TextInput

from mesonb.errors import MesonbError
from mesonb.panels.about import about
from mesonb.panels.look import Look, linked, spoken, write
from mesonb.panels.remedies import code_of
from mesonb.session import Session

NOBODY = "explain …"
#: Names to choose from, at most.
NAMES = 100
#: Agents among them, and tasks, at most.
SOME = 30
#: Writes the name of what was clicked; the browser does it, because it knows which bars it shows at that moment.
PICK = """
const index = source.selected.indices[0];
if (index === undefined) return;
picked.value = '';
picked.value = String(source.data[column][index]);
source.selected.indices = [];
"""


class Why:
    """The place where answers stand."""

    def __init__(self, look: Look, changed: Callable[[], None]) -> None:
        self.chosen = ""
        self.answer = look.div(scroll_px=180)
        self.names = Select(options=_options([]), value=NOBODY, width=220, title="what is to be explained")
        spoken(self.names)
        self.answer.name = "answer"
        self._changed = changed
        self._picked = TextInput(visible=False, name="picked")
        self._picked.on_change("value", lambda _name, _old, new: self.choose(new))
        self.names.on_change("value", lambda _name, _old, new: self.choose("" if new == NOBODY else new))
        look.widgets(self.names)

    @property
    def parts(self) -> tuple[Any, ...]:
        """What is on the page: the box of names, the answer, and what a click writes into."""
        return self.names, self.answer, self._picked

    def answers_clicks(self, chart: Any, bars: Any, column: str) -> None:
        """Explain whatever bar is clicked; ``column`` of its source holds the name."""
        source: ColumnDataSource = bars.data_source
        bars.nonselection_glyph = None  # a click picks; it does not fade the others
        bars.selection_glyph = None
        chart.add_tools(TapTool(renderers=[bars]))
        source.selected.js_on_change(
            "indices", CustomJS(args={"source": source, "picked": self._picked, "column": column}, code=PICK)
        )

    def choose(self, name: str) -> None:
        """Explain this from now on; nothing: nobody asks."""
        if name != self.chosen and (name or self.names.value == NOBODY):
            self.chosen = name
            self._changed()

    def offer(self, names: Iterable[str]) -> None:
        """Say what may be chosen from the box."""
        options = _options(names)
        if self.names.options != options:
            self.names.options = options

    def draw(self, session: Session, story: str = "") -> None:
        """Write the answer as it is now; ``story`` is what the panel itself knows."""
        write(self.answer, told(session, self.chosen, story) if self.chosen else "")


def _options(names: Iterable[str]) -> list[Any]:
    return [NOBODY, *list(dict.fromkeys(names))[:NAMES]]


def names_of(session: Session) -> list[str]:
    """Return names that may be asked about: frameworks, roles, the first agents, the newest tasks."""
    known = about(session, SOME)
    return [*known.frameworks, *known.roles, *known.agents, *known.tasks]


def told(session: Session, name: str, story: str = "") -> str:
    """Explain one thing, as HTML."""
    try:
        found = session.explain(name)
    except MesonbError as error:
        return f"<b>{escape(name)}</b>: {escape(story or str(error))}"
    reasons = "".join(f"<li>{linked(str(reason))}{_remedy(session, reason)}</li>" for reason in found.reasons)
    return f"{linked(found.sentence)}{'. ' + escape(story) if story else ''}<ul style='margin: 2px 0'>{reasons}</ul>"


def _remedy(session: Session, reason: Any) -> str:
    """Write what removes a reason, with a button that puts it into a cell where it is code."""
    if not reason.remedy:
        return ""
    words, code = f' <span class="quiet">→</span> <code>{escape(reason.remedy)}</code>', code_of(session, reason)
    label = f"put into a cell: {code}"
    button = f' <button type="button" class="cell" data-cell="{escape(code)}" aria-label="{escape(label)}">into a cell</button>'
    return words + (button if code else "")
