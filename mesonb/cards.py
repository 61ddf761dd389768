"""Cards: what public objects look like as the last line of a cell: small static tables, with no script and no widget.

Rule: the text of ``repr`` stays cheap and complete; a card says the same, and a little more, from what is at hand.
Sessions have the board (``mesonb.notebook``); what this file has no line for has its text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from mesonb.core.allocator import Allocator
from mesonb.core.declared import Agent
from mesonb.core.explain import Explanation
from mesonb.core.log import Log
from mesonb.core.resources import Resources, less, show
from mesonb.core.snapshot import Snapshot
from mesonb.core.telling import plainly, told
from mesonb.core.units import counted, show_duration
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle
from mesonb.frameworks.queue import Run
from mesonb.said import Amounts, Priorities, Weights
from mesonb.sim.table import as_html

#: Calls of a log, and tasks of a framework, that are listed: the newest.
LISTED = 8


def install() -> None:
    """Give each kind of object its card."""
    for kind, card in CARDS.items():
        kind._repr_html_ = card  # type: ignore[attr-defined]


def resources(amount: Resources) -> str:
    """Write each resource in a column."""
    names = list(amount)
    return as_html([names or ["nothing"], [show(name, amount.amounts[name]) for name in names] or ["–"]])


def framework(this: Framework) -> str:
    """Say what a framework is, what it runs, and what it is for."""
    driver = this._driver
    tasks = list(driver.tasks.values()) if driver else []
    lines = [
        ["task", "what", "on", "state"],
        *([task.id, _call(task), task.agent, task.state.value] for task in tasks[-LISTED:]),
    ]
    more = f", the last {LISTED} of them" if len(tasks) > LISTED else ""
    return _titled(repr(this), type(this)) + (as_html(lines, f"{len(tasks)} live tasks{more}") if tasks else "")


def allocator(this: Allocator) -> str:
    """Say which allocator this is, and what it does."""
    return _titled(repr(this), type(this))


def log(this: Log) -> str:
    """Say how long a log is, and list its last calls with what followed."""
    newest = this.steps[-LISTED:]
    first = this.forgotten + len(this.steps) - len(newest) + 1
    lines = [["call", "at", "what was said", "what followed"]]
    for number, step in enumerate(newest, first):
        followed = "; ".join(" ".join(words.split()) for event in step.events if (words := told(event)))
        lines.append([f"{number:,}", show_duration(step.now_us - this.began_us), plainly(step.call), followed])
    return f"<div>{escape(repr(this))}</div>" + (as_html(lines) if newest else "")


def snapshot(this: Snapshot) -> str:
    """List the frameworks and the first agents of a moment."""
    frameworks = [["framework", "role", "holds", "is offered", "share of its tasks"]]
    frameworks += [
        [f.framework, f.role, str(less(f.allocated, f.offered)), str(f.offered), f"{f.task_share:.2f}"]
        for f in this.frameworks
    ]
    agents = [["agent", "has", "free", "tasks", "offers"]]
    agents += [
        [a.agent, str(a.total), str(a.free), f"{a.task_count:,}", f"{len(a.offers):,}"] for a in this.agents[:LISTED]
    ]
    more = f", {LISTED} of them listed" if this.agent_count > LISTED else ""
    counts = (
        counted(this.agent_count, "agent") + more,
        counted(this.task_count, "task"),
        counted(this.offer_count, "offer"),
    )
    head = f"at {show_duration(this.now_us)}: {', '.join(counts)}; {this.free} free of {this.total}"
    return f"<div>{escape(head)}</div>" + as_html(frameworks) * (len(frameworks) > 1) + as_html(agents)


def explanation(this: Explanation) -> str:
    """Write the sentence, and each reason with its remedy."""
    reasons = "".join(
        f"<li>{escape(str(reason))}" + (f" → <code>{escape(reason.remedy)}</code>" if reason.remedy else "") + "</li>"
        for reason in this.reasons
    )
    return f"<div>{escape(this.sentence)}</div>" + (f"<ul>{reasons}</ul>" if reasons else "")


def task(this: TaskHandle) -> str:
    """Say of a task what it runs, where, holding what, and how it is."""
    return as_html([["task", "what", "on", "holding", "state", ""],
                    [this.id, _call(this), this.agent, str(this.needs), this.state.value, this.because]])  # fmt: skip


def offer(this: OfferHandle) -> str:
    """Say of an offer what it is of, and what has been launched on it."""
    launched = ", ".join(_call(task) for task in this.launches) or "–"
    return as_html([["offer", "agent", "offered", "left", "launched on it"],
                    [this.id, this.agent, str(this.resources), str(this.left), launched]])  # fmt: skip


def run(this: Run) -> str:
    """Say of a run how it stands, and on which task."""
    on = repr(this.task) if this.task else "–"
    return as_html([["run", "task", "lost so far"], [repr(this)[1:-1], on.strip("<>"), str(this.losses)]])


def by_role(this: Mapping[str, Any]) -> str:
    """List what is said of roles."""
    return as_html([["role", "is"], *([role, str(said)] for role, said in this.items())])


def agent(this: Agent) -> str:
    """List what was declared of an agent."""
    told_of = {"resources": str(this.resources), "attributes": ", ".join(f"{k}={v}" for k, v in this.attributes.items()),
               "reserved": ", ".join(f"{part} for {role}" for role, part in this.reserved.items()),
               "short tasks": f"{this.short or 'all of it'}, {this.max_task}" if this.max_task else ""}  # fmt: skip
    return as_html([["agent", ""], *([name, said] for name, said in told_of.items() if said)])


def _titled(text: str, kind: type) -> str:
    own = inspect.cleandoc(kind.__doc__ or "")  # a base's says how to write one, which is done here
    doc = own.split("\n\n")[0].replace("``", "")
    return f"<div><code>{escape(text)}</code> {escape(' '.join(doc.split()))}</div>"


def _call(this: TaskHandle) -> str:
    name = getattr(this.function, "__name__", repr(this.function))
    return f"{name}({', '.join(map(repr, this.args))})"[:80]


CARDS: dict[type, Callable[[Any], str]] = {
    Resources: resources, Framework: framework, Allocator: allocator, Log: log, Explanation: explanation, TaskHandle: task,
    OfferHandle: offer, Run: run, Weights: by_role, Priorities: by_role, Amounts: by_role, Agent: agent, Snapshot: snapshot,
}  # fmt: skip
