"""Terminal: one picture of a cluster, drawn with rich; ``status`` prints it once, ``top`` draws it again and again.

Like the panels, it reads nothing but snapshots. A framework keeps its colour for as long as it is registered.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mesonb.core.records import TaskState
from mesonb.core.resources import Resources, show
from mesonb.core.snapshot import AgentRow, FrameworkRow, Snapshot
from mesonb.live.masters import Known
from mesonb.live.status import Cluster

#: Told apart by those who do not see all colours too; the terminal has its own shade of each.
COLOURS = ("bright_blue", "yellow", "green", "magenta", "cyan", "red", "bright_yellow", "white")
_BAR, _SHORT_BAR = 12, 6
#: A narrower terminal gets short bars; names give way before numbers do, at any width.
_NARROW = 100
#: What is no terminal has no width: whatever reads it gets whole lines.
_UNBOUNDED = 400
#: The columns that are narrowed first, where a line would be too long.
_GIVE_WAY = ("framework", "role", "agent", "ended")
#: Lines that are no agent: heads, rules, and the line at the bottom.
_OTHER_LINES = 9


def show_status(found: list[Cluster]) -> None:
    """Print every cluster once."""
    console = Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=_UNBOUNDED)
    for cluster in found:
        console.print(drawn(cluster, narrow=console.width < _NARROW))
        console.print()


def watch(look: Callable[[], Cluster], every_s: float) -> None:
    """Draw a cluster again and again, until somebody types q."""
    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live, _keys() as typed:
        while typed(every_s) not in ("q", "Q", "\x1b"):
            rows = max(1, console.size.height - _OTHER_LINES)
            picture = drawn(look(), rows, narrow=console.width < _NARROW)
            live.update(Group(picture, Text("q ends this; the cluster stays", style="dim")), refresh=True)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Read keys as they are typed; what is yielded waits so long for one, the first time not at all."""
    before = termios.tcgetattr(sys.stdin)
    first = [0.0]

    def typed(limit_s: float) -> str:
        ready, _, _ = select.select([sys.stdin], [], [], first.pop() if first else limit_s)
        return sys.stdin.read(1) if ready else ""

    try:
        tty.setcbreak(sys.stdin)
        yield typed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def drawn(cluster: Cluster, agents: int = 1000, *, narrow: bool = False) -> RenderableType:
    """Draw a cluster, naming at most so many agents, for a terminal of 80 columns or a wider one."""
    head = Text(f"{cluster.address}  ", style="bold").append(_masters(cluster.masters), style="not bold")
    picture = cluster.picture
    if picture is None:
        return Group(head, Text(cluster.trouble, style="red"))
    cells = _SHORT_BAR if narrow else _BAR
    tables = [_frameworks(picture, cells)] if picture.frameworks else []
    return Group(head, _summary(picture), *tables, _agents(picture, agents, cells))


def _masters(masters: tuple[Known, ...]) -> str:
    said = [f"{one.name or 'unnamed'}: process {one.pid} ({one.made_by})" for one in masters]
    return "; ".join(said) or "led by nobody of this user"


def _summary(picture: Snapshot) -> Text:
    paused = ", paused" if picture.paused else ""
    return Text(
        f"{_count(picture.agent_count, 'agent')}, {_count(len(picture.frameworks), 'framework')}, "
        f"{_count(picture.task_count, 'task')}, {_count(picture.offer_count, 'offer')}{paused}\n"
        f"free: {_of_total(picture.free, picture.total)}"
    )


def _frameworks(picture: Snapshot, cells: int) -> Table:
    ended = {row.framework: _ended(row) for row in picture.frameworks}
    table = _table("framework", "role", "share", "", "tasks", "holds", *["ended"] * any(ended.values()))
    running = Counter(task.framework for agent in picture.agents for task in agent.tasks)
    coloured = [(row, COLOURS[number % len(COLOURS)]) for number, row in enumerate(picture.frameworks)]
    for row, colour in sorted(coloured, key=lambda one: -one[0].share):
        table.add_row(
            _name(row.framework, colour), _name(row.role), bar(row.share, colour, cells), f"{row.share:.0%}",
            str(running[row.framework]), _rounded(row.allocated - row.offered), *[ended[row.framework]] * any(ended.values()),
        )  # fmt: skip
    return table


def _ended(row: FrameworkRow) -> str:
    counts = [(row.counts.get(state.value, 0), state.value) for state in TaskState if state.terminal]
    return ", ".join(f"{number} {state}" for number, state in counts if number)


def _agents(picture: Snapshot, most: int, cells: int) -> Table:
    table = _table("agent", "cpus", "held by tasks", "tasks", "offers")
    for row in picture.agents[:most]:
        held = _held(row)
        used, counts = bar(_cpus(held, row), cells=cells), (str(row.task_count), str(len(row.offers)))
        table.add_row(_name(row.agent), used, _of_total(held, row.total), *counts)
    if (more := picture.agent_count - min(most, len(picture.agents))) > 0:
        table.add_row(_name(f"and {more} more"), *[""] * 4)
    return table


def _held(row: AgentRow) -> Resources:
    """Return what tasks hold; what is offered is neither free nor held."""
    held = row.total - row.free
    for offer in row.offers:
        held -= offer.resources
    return held


def _cpus(held: Resources, row: AgentRow) -> float:
    total = row.total.amounts.get("cpus", 0)
    return held.amounts.get("cpus", 0) / total if total else 0.0


def _of_total(held: Resources, total: Resources) -> str:
    """Write amounts beside what there is, the unit once.

    >>> _of_total(Resources(cpus=1), Resources(cpus=4, mem="64GB"))
    '1 of 4 cpus, 0 of 64 GB mem'
    """
    return ", ".join(
        f"{_short(name, held.amounts.get(name, 0)).removesuffix(' GB')} of {_short(name, n)} {name}"
        for name, n in total.amounts.items()
    )


def _name(name: str, style: str = "") -> Text:
    """Write a name that is cut where there is no room for it."""
    return Text(name, style=style, no_wrap=True, overflow="ellipsis")


def bar(fraction: float, colour: str = "default", cells: int = _BAR) -> Text:
    """Draw a fraction, from 0 to 1, as a bar.

    >>> bar(0.5).plain.count("█"), bar(7).plain.count("█")
    (6, 12)
    """
    full = round(cells * min(1.0, max(0.0, fraction)))
    return Text("█" * full, style=colour).append("░" * (cells - full), style="dim")


def _rounded(amounts: Resources) -> str:
    return ", ".join(f"{_short(name, n)} {name}" for name, n in amounts.amounts.items() if n) or "-"


def _short(name: str, amount: int) -> str:
    """Write an amount with no more digits than a terminal has room for."""
    if name in ("mem", "disk"):
        return f"{amount / 1e9:.3g} GB"
    return show(name, amount)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=column not in _GIVE_WAY)
    return table
