"""Steer: the master's controls on one page: time, offers, roles, the allocator, frameworks, tasks, agents.

Rule: a control only sends a command (``mesonb.panels.commands``) and says what came of it; it acts on the panels' own
thread, so it works while a cell is busy. What the master refuses later is said here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from bokeh.models.widgets import AutocompleteInput, Button, Select, TextInput, Toggle

from mesonb.core import calls, events
from mesonb.core.log import Step
from mesonb.panels.about import About, about
from mesonb.panels.app import Look, Panel, write
from mesonb.panels.clock import Clock
from mesonb.panels.commands import obey
from mesonb.panels.look import line
from mesonb.panels.moments import can_travel
from mesonb.panels.typed import written
from mesonb.session import Session

#: Calls of an operator: what is refused of them is said here.
OPERATORS = (
    calls.SetWeight, calls.SetGuarantee, calls.SetLimit, calls.SetAllocator, calls.Suppress, calls.Revive, calls.KillTask,
    calls.Revoke, calls.Drain, calls.Undrain,
)  # fmt: skip
#: Names that a box proposes, at most: the newest tasks, the first agents.
PROPOSED = 200
EACH_IS_A_CALL = "Each of these is a call in the master's log."


class Steer(Panel):
    """The controls."""

    title = "steering"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.told, self.trouble = look.div(), look.div()
        self.clock = Clock(self.send)
        self.told.name = "told"
        write(self.told, said(EACH_IS_A_CALL, good=True))
        self._because = ""  #: why the controls are off
        self._reading = False  #: boxes are being filled by us
        self._offers()
        self._roles()
        self._names()
        look.widgets(*self._controls)

    def parts(self) -> Sequence[Any]:
        """What is steered, from what touches all to what touches one."""
        return (
            line(self.pause, self.cycle, *self.clock.parts()), self.trouble,
            line(self.allocator, self.role, self.weight, self.guarantee, self.limit),
            line(self.framework, self.suppress, self.revive),
            line(self.task, self.grace, self.kill, self.revoke),
            line(self.agent, self.notice, self.drain, self.undrain),
            self.told,
        )  # fmt: skip

    # -- the controls -----------------------------------------------------------------------------------------------

    def _offers(self) -> None:
        self.pause = Toggle(label="Pause offers", width=110)
        self.pause.on_change("active", lambda _name, _old, on: self.send(do="pause" if on else "resume"))
        self.cycle = self._button("One cycle", lambda: {"do": "cycle"})
        self.allocator = self._select("allocator", lambda name: {"do": "allocator", "name": name}, 170)

    def _roles(self) -> None:
        self.role = self._select("role", lambda _role: None, 140)
        self.role.on_change("value", lambda _name, _old, _new: self.ask())
        self.weight = self._box(
            "weight", lambda text: {"do": "weight", "role": self.role.value, "weight": number(text)}, 80
        )
        self.guarantee = self._box(
            "guarantee", lambda text: {"do": "guarantee", "role": self.role.value, "amount": text}, 185
        )
        self.limit = self._box("limit", lambda text: {"do": "limit", "role": self.role.value, "amount": text}, 185)
        for box in (self.guarantee, self.limit):
            box.placeholder = "cpus=4; empty: none"

    def _names(self) -> None:
        self.framework = self._select("framework", lambda _name: None, 200)
        self.suppress = self._button("Suppress", lambda: {"do": "suppress", "framework": self.framework.value})
        self.revive = self._button("Revive", lambda: {"do": "revive", "framework": self.framework.value})
        self.task, self.grace = _proposing("task"), TextInput(title="time to end", value="10s", width=90)
        self.kill = self._button("Kill", lambda: {"do": "kill", "task": typed(self.task)})
        self.revoke = self._button(
            "Revoke", lambda: {"do": "revoke", "task": typed(self.task), "grace": typed(self.grace)}
        )
        self.agent, self.notice = _proposing("agent"), TextInput(title="time to end", value="30s", width=90)
        self.drain = self._button(
            "Drain", lambda: {"do": "drain", "agent": typed(self.agent), "grace": typed(self.notice)}
        )
        self.undrain = self._button("Offer it again", lambda: {"do": "undrain", "agent": typed(self.agent)})

    @property
    def _controls(self) -> list[Any]:
        return [
            self.pause, self.cycle, *self.clock.parts(), self.allocator, self.role, self.weight, self.guarantee, self.limit,
            self.framework, self.suppress, self.revive, self.task, self.grace, self.kill, self.revoke,
            self.agent, self.notice, self.drain, self.undrain,
        ]  # fmt: skip

    def _button(self, label: str, command: Callable[[], dict[str, Any]]) -> Button:
        made = Button(label=label, width=20 + 8 * len(label))
        made.on_click(lambda: self.send(**command()))
        return made

    def _select(self, title: str, command: Callable[[str], dict[str, Any] | None], width: int) -> Select:
        made = Select(title=title, width=width)
        made.on_change("value", lambda _name, _old, new: self._sent(command(new)))
        return made

    def _box(self, title: str, command: Callable[[str], dict[str, Any]], width: int) -> TextInput:
        """Make a box for what a role has; what is typed there stays until what is so changes again."""
        made = TextInput(title=title, width=width)

        def entered(_name: str, _old: str, text: str) -> None:
            if self._done(command(text)):
                made.tags = [self.role.value, text]  # as it is from now on, unless it is changed again at once

        made.on_change("value", entered)
        return made

    # -- sending ----------------------------------------------------------------------------------------------------

    def _sent(self, command: dict[str, Any] | None) -> None:
        if command:
            self.send(**command)

    def send(self, **command: Any) -> None:
        """Send a command at once, and say what came of it; boxes that are filled from the master send nothing."""
        self._done(command)

    def _done(self, command: dict[str, Any]) -> bool:
        if self._reading:
            return False
        ack = obey(self.session(), command)
        write(self.told, said(ack.get("did") or ack["because"], good=ack["ok"]))
        self.ask()
        return bool(ack["ok"])

    def allow(self, because: str) -> None:
        """Switch all controls off where nothing can be steered, and say why."""
        if because != self._because:
            self._because = because
            write(self.told, said(because or EACH_IS_A_CALL, good=not because))
        for control in self._controls:
            control.disabled = bool(because)

    # -- what the master says -----------------------------------------------------------------------------------------

    def read(self, steps: Sequence[Step]) -> None:
        """Say what the master refused of an operator's calls."""
        for step in steps[-PROPOSED:]:
            for event in step.events if isinstance(step.call, OPERATORS) else ():
                if isinstance(event, events.Rejected):
                    write(self.told, said(event.because, good=False))

    def draw(self, session: Session) -> None:
        """Show on the controls what is so."""
        self._reading = True
        try:
            known = about(session, PROPOSED)
            self._show_state(session, known.paused)
            self._show_names(known)
            self._show_role()
        finally:
            self._reading = False

    def _show_state(self, session: Session, paused: bool) -> None:
        self.allocator.visible = can_travel(session)  # whose books are elsewhere, there it is chosen
        self.pause.update(active=paused, label="Resume offers" if paused else "Pause offers")
        if self.allocator.visible:
            options = list(dict.fromkeys([*session.allocators, type(session.allocator).__name__]))
            _choose(self.allocator, options, type(session.allocator).__name__)
        trouble = self.clock.draw(session)
        write(self.trouble, said(trouble, good=False) if trouble else "")

    def _show_names(self, known: About) -> None:
        _choose(self.framework, known.frameworks)
        _choose(self.role, list(known.roles))
        for box, names in ((self.task, known.tasks), (self.agent, known.agents)):
            if box.completions != names:
                box.completions = names

    def _show_role(self) -> None:
        """Fill a box where another role was chosen, or what it shows has changed: never over what was typed since."""
        for box in (self.weight, self.guarantee, self.limit):
            so = self._so(box)
            if box.tags != so:
                box.tags = so
                box.value = so[1]

    def _so(self, box: TextInput) -> list[str]:
        """Return what a box is to show: of which role, and the text."""
        session = self.session()
        role = about(session, PROPOSED).roles.get(self.role.value) if session else None
        if role is None:
            return [self.role.value, ""]
        if box is self.weight:
            return [self.role.value, f"{role.weight_milli / 1000:g}"]
        return [self.role.value, written(role.guarantee if box is self.guarantee else role.limit)]


def said(text: str, *, good: bool) -> str:
    """Write what came of a command, for eyes and for screen readers."""
    return f'<span role="status" aria-live="polite" class="{"quiet" if good else "trouble"}">{escape(text)}</span>'


def number(text: str) -> float | str:
    """Read a number; what is none is passed on, to be refused with what may be asked for."""
    try:
        return float(text)
    except ValueError:
        return text


def typed(box: TextInput) -> str:
    """Return what stands in a box, whether or not its Enter was pressed."""
    return str(getattr(box, "value_input", "") or box.value)


def _proposing(title: str) -> AutocompleteInput:
    return AutocompleteInput(
        title=title, width=200, min_characters=0, restrict=False, case_sensitive=False, search_strategy="includes",
        max_completions=12,
    )  # fmt: skip


def _choose(box: Select, options: Sequence[str], value: str = "") -> None:
    """Offer names to choose from, and keep what was chosen where it is still there."""
    if list(box.options) != list(options):
        box.options = [*options]  # type: ignore[assignment]  # a list of plain names is one of its kinds of list
    wanted = value or (box.value if box.value in options else next(iter(options), ""))
    if box.value != wanted:
        box.value = wanted
