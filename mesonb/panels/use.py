"""Use against allocation: what tasks hold of each agent, and what they really use of it.

Live agents measure what their tasks use; a simulation and a recording have nothing to measure, and the panel says so.
Allocated and used are never mixed: an agent may be full and idle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from mesonb.core.resources import NOTHING, Resources, show
from mesonb.core.snapshot import AgentRow, Snapshot, dominant_share
from mesonb.panels.app import Look, Panel, table, write
from mesonb.panels.timeline_view import natural
from mesonb.session import Session

#: Agents shown, at most: those that use most first.
AGENTS = 30
HEADS = ("agent", "resource", "in all", "tasks hold", "tasks use", "the agent itself uses", "")
NOT_MEASURED = "Use is measured on live agents; here nothing runs that could be measured."
NOT_YET = "No agent has said yet what its tasks use; they do so once a second."

#: By agent, then by task; an agent's own part under "".
Used = Mapping[str, Mapping[str, Resources]]


@dataclass(frozen=True, slots=True)
class Row:
    """One resource of one agent, in its smallest unit."""

    agent: str
    resource: str
    total: int
    allocated: int  #: in tasks
    used: int  #: by tasks
    itself: int  #: by the agent's own processes


def rows(snapshot: Snapshot, used: Used) -> list[Row]:
    """Return a row for each resource that is measured, of the AGENTS whose tasks use the largest part of anything, by name."""
    found = [(agent, _of_tasks(used[agent.agent])) for agent in snapshot.agents if agent.agent in used]
    busiest = sorted(found, key=lambda pair: -dominant_share(pair[1], pair[0].total))[:AGENTS]
    shown = sorted(busiest, key=lambda pair: natural(pair[0].agent))
    return [row for agent, by_tasks in shown for row in _rows(agent, by_tasks, used[agent.agent].get("", NOTHING))]


def _rows(agent: AgentRow, by_tasks: Resources, itself: Resources) -> list[Row]:
    held = agent.total - agent.free
    for offer in agent.offers:
        held -= offer.resources
    return [
        Row(
            agent.agent, name, total, held.amounts.get(name, 0), by_tasks.amounts.get(name, 0), itself.amounts.get(name, 0)
        )
        for name, total in agent.total.amounts.items()
        if name in by_tasks.amounts or name in itself.amounts
    ]  # fmt: skip


def _of_tasks(by_task: Mapping[str, Resources]) -> Resources:
    return sum((used for task, used in by_task.items() if task), start=NOTHING)


class Use(Panel):
    """The table, with a bar for each row."""

    title = "use against allocation"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.table = look.div(scroll_px=420)

    def parts(self) -> Sequence[Any]:
        """The table."""
        return (self.table,)

    def draw(self, session: Session) -> None:
        """Fill it with the last measurements."""
        picture = session.snapshot()
        used = getattr(session, "used", picture.used)
        found = rows(picture, used) if used else []
        quiet = NOT_MEASURED if used is None else NOT_YET
        heads = [*HEADS[:-1], "░ held █ used"]
        html = (
            table(heads, [_told(row) for row in found], text=(0, 1, 6))
            if found
            else f'<span class="quiet">{quiet}</span>'
        )
        write(self.table, html)


def _told(row: Row) -> list[str]:
    held = [show(row.resource, n) for n in (row.total, row.allocated)]
    amounts = [*held, *(show(row.resource, _rounded(row.resource, n)) for n in (row.used, row.itself))]
    return [escape(row.agent), escape(row.resource), *amounts, _bar(row)]


def _rounded(resource: str, n: int) -> int:
    """What is measured in bytes is read in MB."""
    return round(n, -6) if resource in ("mem", "disk") else n


def _bar(row: Row) -> str:
    """What is used over what is held; use beyond what is held is red, and says so in the figures beside it."""
    used, held = (min(100, 100 * part / row.total) if row.total else 0 for part in (row.used, row.allocated))
    colour = "#D55E00" if row.used > row.allocated else "#888"
    filled = f"linear-gradient(to right, {colour} {used:.0f}%, #8886 {used:.0f}% {max(held, used):.0f}%, #8882 {max(held, used):.0f}%)"
    return f'<span style="display:inline-block;width:160px;height:10px;background:{filled}"></span>'
