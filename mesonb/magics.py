"""Magics: ``%load_ext mesonb`` gives a notebook ``%mesos`` (a look, and the operator's verbs) and ``%%framework``.

They are thin: whatever they do, a line of Python does too, and their answers say which. Rule: a mistake is said in one
line, with what may be typed instead; nothing is half done.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from mesonb.errors import BadValue, MesonbError
from mesonb.frameworks.base import Framework
from mesonb.panels.commands import obey
from mesonb.panels.typed import amounts
from mesonb.session import Session
from mesonb.sim.table import as_html, as_text

#: Agents and tasks that a table lists, at most.
LISTED = 30


class Told:
    """What a magic answers: lines as a small table, and what to type for the same in Python."""

    def __init__(self, lines: Sequence[Sequence[str]], caption: str = "") -> None:
        self._lines, self._caption = lines, caption

    def __repr__(self) -> str:
        return "\n".join(part for part in (self._caption, as_text(self._lines) if self._lines else "") if part)

    def _repr_html_(self) -> str:
        return as_html(self._lines, self._caption) if self._lines else f"<div>{escape(self._caption)}</div>"


def load(shell: Any) -> None:
    """Give an IPython shell the magics."""
    magics = Magics(shell)
    shell.register_magic_function(magics.mesos, "line", "mesos")
    shell.register_magic_function(magics.framework, "cell", "framework")


class Magics:
    """The magics of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._using = ""  #: the variable that ``%mesos use`` named

    # -- which session ----------------------------------------------------------------------------------------------

    def session(self, name: str = "") -> tuple[str, Session]:
        """Return the session that is meant, and what cells call it: the one named, the one in use, or the newest."""
        held = {
            key: value
            for key, value in self._shell.user_ns.items()
            if isinstance(value, Session) and not key.startswith("_")
        }
        if wanted := name or (self._using if self._using in held else ""):
            if wanted not in held:
                raise BadValue(f"{wanted} is no master or simulation here; there are: {', '.join(held) or 'none yet'}")
            return wanted, held[wanted]
        if not held:
            raise BadValue("there is no master here yet; write master = mb.Master(), or sim = mb.Simulation()")
        newest = max(held, key=lambda key: int(held[key].id.rsplit("-", 1)[-1]))
        return newest, held[newest]

    # -- %mesos -----------------------------------------------------------------------------------------------------

    def mesos(self, line: str) -> Any:
        """Look at a master or simulation, or steer it: ``%mesos help`` lists what may follow."""
        return self._said(lambda: self._mesos(line))

    def _mesos(self, line: str) -> Any:
        word, *rest = shlex.split(line) or ["status"]
        if word == "help":
            return Told([["type", "to"], *([usage, doc] for usage, (_, doc) in HELP.items())])
        if word == "use":
            self._using, session = self.session(*rest[:1])
            return Told([], f"%mesos and %%framework speak to {self._using} from now on: {session!r}")
        name, session = self.session()
        usage = next((usage for usage in HELP if usage.split()[1] == word), None)
        if usage is None:
            raise BadValue(f"%mesos has no {word!r}; it has {', '.join(usage.split()[1] for usage in HELP)}")
        least = sum(part.isupper() for part in usage.split()[2:])
        if not least <= len(rest) <= len(usage.split()) - 2:
            raise BadValue(f"write {usage}")
        return HELP[usage][0](session, name, *rest)

    def _said(self, do: Callable[[], Any]) -> Any:
        """Say a mistake in one line, as IPython says that a magic was typed wrongly."""
        from IPython.core.error import UsageError

        try:
            return do()
        except (MesonbError, ValueError) as error:
            if isinstance(error, SyntaxError):
                raise
            raise UsageError(str(error)) from None

    # -- %%framework --------------------------------------------------------------------------------------------------

    def framework(self, line: str, cell: str) -> Any:
        """Register what the cell says under a name: ``%%framework NAME [ROLE] [cpus=1 mem=1GB] [on=MASTER]``.

        A cell that defines ``on_offers`` is the body of a class; any other is the body of ``on_offers(self, offers)``
        itself. Run it again, and the new code takes over; tasks run on.
        """
        return self._said(lambda: self._framework(line, cell))

    def _framework(self, line: str, cell: str) -> Framework:
        words = shlex.split(line)
        names = [word for word in words if "=" not in word]
        given = dict(word.split("=", 1) for word in words if "=" in word)
        if not 1 <= len(names) <= 2 or not names[0].isidentifier():
            raise BadValue(
                "write %%framework NAME [ROLE] [cpus=1 mem=1GB] [on=MASTER]; the name is one that Python takes"
            )
        name, role = names[0], (names[1:] or ["*"])[0]
        called, session = self.session(given.pop("on", ""))
        needs = amounts(", ".join(f"{part}={amount}" for part, amount in given.items()))
        made = self._class(name, cell)()
        if needs or made.needs is None:
            made.needs = needs or amounts("cpus=1")
        again = name in session.drivers
        session.register(made, name=name, role=role)
        self._shell.user_ns[name] = made
        took = "took over; its tasks run on" if again else "is registered"
        print(f'{name} {took}: the same as {called}.register({type(made).__name__}(), name="{name}", role="{role}")')  # noqa: T201 - the cell's own output
        return made

    def _class(self, name: str, cell: str) -> type[Framework]:
        """Make the class that a cell is the body of; its lines keep their numbers, so that a traceback shows them."""
        tree = ast.parse("\n" + cell)  # the line of the magic comes first
        filename = self._shell.compile.cache(f"%%framework {name}\n{cell}")
        body = tree.body or [ast.Pass()]
        if not any(isinstance(part, ast.FunctionDef) and part.name == "on_offers" for part in body):
            body = [_on_offers(body)]
        title = "".join(part.capitalize() for part in name.split("_"))
        made = ast.parse(f"class {title}(__framework__): pass")
        made.body[0].body = body  # type: ignore[attr-defined]  # the one statement that was just parsed
        names = self._shell.user_ns
        names["__framework__"] = Framework
        try:
            exec(compile(ast.fix_missing_locations(made), filename, "exec"), names)  # noqa: S102 - the cell of whoever runs it
        finally:
            del names["__framework__"]
        found: type[Framework] = names[title]
        return found


def _on_offers(body: list[ast.stmt]) -> ast.stmt:
    """Wrap statements into ``def on_offers(self, offers)``."""
    function = ast.parse("def on_offers(self, offers): pass").body[0]
    function.body = body  # type: ignore[attr-defined]  # the function that was just parsed
    return ast.copy_location(function, body[0])


# -- what %mesos says -----------------------------------------------------------------------------------------------------


def status(session: Session, name: str) -> Told:
    """Say in a line what there is, then each framework."""
    lines = frameworks(session, name)._lines
    return Told(lines if len(lines) > 1 else [], f"{name}: {session!r}"[:200])


def frameworks(session: Session, _name: str) -> Told:
    """List the frameworks."""
    heads = ["framework", "role", "share", "live tasks", "offers made", "state"]
    raised, rows = {one.framework: f"{one.callback}: {one.error}"[:80] for one in session.complaints}, []
    for row in session.snapshot().frameworks:
        live = row.counts.get("launched", 0) - sum(
            row.counts.get(how, 0) for how in ("finished", "failed", "killed", "lost")
        )
        state = "leaving" if row.leaving else "suppressed" if row.suppressed else raised.get(row.framework, "")
        share = f"{row.task_share:.2f}"
        rows.append([row.framework, row.role, share, f"{live:,}", f"{row.counts.get('offers_made', 0):,}", state])
    return Told([heads, *rows])


def agents(session: Session, _name: str) -> Told:
    """List the agents."""
    picture = session.snapshot()
    rows = [[row.agent, str(row.total), str(row.free), f"{row.task_count:,}"] for row in picture.agents[:LISTED]]
    more = f"{LISTED} of {picture.agent_count:,} agents" if picture.agent_count > LISTED else ""
    return Told([["agent", "has", "free", "tasks"], *rows], more)


def roles(session: Session, _name: str) -> Told:
    """List the roles."""
    rows = [
        [row.role, f"{row.weight_milli / 1000:g}", f"{row.share:.2f}", ", ".join(row.frameworks)]
        for row in session.snapshot().roles
    ]
    return Told([["role", "weight", "share", "frameworks"], *rows])


def tasks(session: Session, _name: str, framework: str = "") -> Told:
    """List the tasks, or those of one framework."""
    if framework:
        session.framework(framework)
    found = [
        [task.task, row.agent, task.state, str(task.needs)]
        for row in session.snapshot().agents for task in row.tasks if framework in ("", task.framework)
    ]  # fmt: skip
    more = f"{LISTED} of {len(found):,} tasks" if len(found) > LISTED else ""
    return Told([["task", "agent", "state", "holding"], *found[:LISTED]], more)


def _command(do: str, *fields: str, **usual: Any) -> Callable[..., Told]:
    """Make a sub-command of a panel's command; its words fill the fields in order."""

    def act(session: Session, _name: str, *words: str) -> Told:
        given: dict[str, Any] = {**usual, **dict(zip(fields, words, strict=False))}
        if do == "weight":
            given["weight"] = _number(given["weight"])
        ack = obey(session, {"do": do, **given})
        if not ack["ok"]:
            raise BadValue(ack["because"])
        return Told([], ack["did"])

    return act


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        raise BadValue(f"{word!r} is not a number; write %mesos weight ROLE 2") from None
    return int(number) if number.is_integer() else number


#: What may be typed, what does it, and what for; words in capitals must be there, the others may.
HELP: dict[str, tuple[Callable[..., Any], str]] = {
    "%mesos status": (status, "see what there is, and each framework"),
    "%mesos frameworks": (frameworks, "list the frameworks"),
    "%mesos agents": (agents, "list the agents"),
    "%mesos roles": (roles, "list the roles"),
    "%mesos tasks framework": (tasks, "list the tasks, or those of one framework"),
    "%mesos why NAME agent": (
        lambda session, _name, *words: session.explain(*words),
        "be told why something gets no more",
    ),
    "%mesos watch panel": (
        lambda session, _name, *words: session.watch(*words),
        "show a panel: shares, timeline, steer ...",
    ),
    "%mesos pause": (_command("pause"), "make no more offers; tasks run on"),
    "%mesos resume": (_command("resume"), "make offers again"),
    "%mesos cycle": (_command("cycle"), "make one round of offers, and pause"),
    "%mesos weight ROLE NUMBER": (_command("weight", "role", "weight"), "give a role a weight"),
    "%mesos suppress FRAMEWORK": (_command("suppress", "framework"), "send it no offers"),
    "%mesos revive FRAMEWORK": (_command("revive", "framework"), "send it offers again"),
    "%mesos kill TASK": (_command("kill", "task"), "kill a task"),
    "%mesos drain AGENT grace": (_command("drain", "agent", "grace", grace="30s"), "empty an agent"),
    "%mesos undrain AGENT": (_command("undrain", "agent"), "offer it again"),
    "%mesos use MASTER": (status, "say which master is meant, where there are several"),
    "%mesos help": (status, "list these"),
}
