"""Output: what tasks print, the last to print first; one task's lines, or the newest of all that fit a filter.

Live tasks alone print anything that mesonb can catch; a simulation and a recording say that they have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from bokeh.models.widgets import TextInput

from mesonb.panels.app import Look, Panel, write
from mesonb.panels.look import spoken
from mesonb.session import Session

#: Tasks shown, and lines of each; of a single task ALL_LINES.
TASKS, LINES, ALL_LINES = 12, 6, 400
SCROLL_PX = 420
NOTHING = "No task has printed anything yet."
NOT_HERE = "Only tasks that really run print something: those of a live master."


class Outputs(Panel):
    """A filter, and the lines of each task that fits."""

    title = "output of tasks"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.only = TextInput(
            title="a task, or a part of its name",
            placeholder="a task, or a part of its name: sweep/task-7 …",
            width=420,
        )
        spoken(self.only)
        self.only.on_change("value_input", lambda _name, _old, _new: self.ask())
        look.widgets(self.only)
        self.lines = look.div(scroll_px=SCROLL_PX)

    def parts(self) -> Sequence[Any]:
        """The filter and the lines."""
        return self.only, self.lines

    def draw(self, session: Session) -> None:
        """Write the newest lines of those who printed last."""
        only = self.only.value_input.strip().lower()
        printed = session.printed()
        found = [task for task in reversed(printed) if only in task.lower()]
        exact = [task for task in found if task.lower() == only] or found
        shown = exact[:TASKS]
        most = ALL_LINES if len(exact) == 1 else LINES
        quiet = "" if shown else f"Nothing that was printed is of {only!r}." if printed else _why(session)
        more = f"… and {len(exact) - TASKS:,} tasks more; type a part of a name above" if len(exact) > TASKS else ""
        write(self.lines, "".join(_told(session, task, most) for task in shown) + _quiet(quiet or more))


def _told(session: Session, task: str, most: int) -> str:
    """One task's heading and its last lines."""
    lines, dropped = session.output(task)
    notes = []
    if dropped:
        notes.append(f"{dropped:,} bytes before are not kept")
    if len(lines) > most:
        notes.append(f"the last {most} of {len(lines):,} lines")
    return f"<div><b>{escape(task)}</b> {_quiet('; '.join(notes))}<pre>{_html(lines[-most:])}</pre></div>"


def _html(lines: Iterable[str]) -> str:
    return escape("\n".join(lines))


def _quiet(words: str) -> str:
    return f'<span class="quiet">{escape(words)}</span>' if words else ""


def _why(session: Session) -> str:
    return NOTHING if session.kind == "master" else NOT_HERE
