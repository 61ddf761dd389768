"""Export, the pure half: from a whole log to the rows that a page plays without any kernel.

Rule: everything is computed here; the page only looks up what to draw at a moment. Times are milliseconds since the
start. What is left out is said: ``left_out`` counts tasks and log lines that the page does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mesonb.core import calls, events
from mesonb.core.begun import Begun
from mesonb.core.log import Log, Step
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.snapshot import dominant_share
from mesonb.core.telling import plainly, told
from mesonb.panels.timeline_view import MARKED, Bar, Gantt
from mesonb.panels.view import Palette, running

BARS = 10_000
MOMENTS = 400
LOG_LINES = 4000
#: Agents that have a row of their own in the page.
AGENTS = 60
#: What the table counts of a framework, in order.
COUNTED = ("running", "offers", "accepted", "declined", "rescinded", "finished", "failed", "killed", "lost")


def rows(log: Log, palette: Palette) -> dict[str, Any]:
    """Everything that the page plays. The log is one that goes on no more."""
    steps, began_us = log.steps, log.began_us
    gantt, moments = Gantt().read(steps), list(tallies(log))
    names = list(moments[-1].counts) if moments else []
    agents = gantt.agents
    bars = _chosen([bar for bar in gantt.bars() if bar.agent in set(agents[:AGENTS])])
    lines = list(_lines(steps, began_us))
    return {
        "ends_ms": _ms(steps[-1].now_us, began_us) if steps else 0,
        "frameworks": [_mark(name, palette) for name in names],
        "agents": [[name, gantt.lanes[name].count] for name in agents[:AGENTS]],
        "bars": [_bar(bar, names, agents, began_us) for bar in bars],
        "counted": COUNTED,
        "moments": [_ms(moment.at_us, began_us) for moment in moments],
        "counts": [[moment.counts.get(name) for moment in moments] for name in names],
        "shares": [[moment.shares.get(name) for moment in moments] for name in names],
        "lines": lines[-LOG_LINES:],
        "left_out": {
            "tasks": sum(gantt.endings.values()) + len(gantt.live) - len(bars),
            "agents": len(agents) - len(agents[:AGENTS]),
            "lines": max(0, len(lines) - LOG_LINES),
        },
    }


class Moment(NamedTuple):
    """What each framework had at one time: COUNTED, and the dominant share of its tasks."""

    at_us: int
    counts: dict[str, tuple[int, ...]]
    shares: dict[str, float]


def tallies(log: Log) -> Iterator[Moment]:
    """Yield evenly spaced moments from the first step to the last: MOMENTS, and the last."""
    if not log.steps:
        return
    tally, first_us, last_us = _Tally(log), log.steps[0].now_us, log.steps[-1].now_us
    every_us = max(1, -(-(last_us - first_us) // MOMENTS))
    due_us = first_us
    for step in log.steps:
        while step.now_us > due_us:
            yield tally.at(due_us)
            due_us += every_us
        tally.take(step)
    yield tally.at(last_us)


class _Tally:
    """What each framework has had so far, by an onlooker's own books."""

    def __init__(self, log: Log) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self.held: dict[str, Resources] = {}  #: by framework, in tasks
        self._begun = Begun()
        core = log.start()  # empty, or what a log that has forgotten its beginning starts from
        self.agents = {agent.name: agent.total.measured for agent in core.agents.values()}
        self.total = sum(self.agents.values(), start=NOTHING)
        self.tasks = {task.id: (task.framework, task.needs) for task in core.tasks.values()}
        for framework in core.frameworks.values():
            said = framework.counts | {"running": running(framework.counts), "offers": framework.allocations}
            self.counts[framework.name] = {what: said.get(what, 0) for what in COUNTED}
            self.held[framework.name] = framework.in_tasks

    def take(self, step: Step) -> None:
        """Count one step."""
        if not any(isinstance(event, events.Rejected) for event in step.events):
            self._called(step.call)
        for event in self._begun.read(step.events):
            self._followed(event)

    def _called(self, call: calls.Call) -> None:
        match call:
            case calls.AgentJoined():
                self.total += call.total.measured - self.agents.get(call.agent, NOTHING)
                self.agents[call.agent] = call.total.measured
            case calls.AgentLost():
                self.total -= self.agents.pop(call.agent, NOTHING)
            case _:
                for answer in calls.answers(call):
                    how = "accepted" if isinstance(answer, calls.Accept) else "declined"
                    self._of(answer.framework)[how] += len(answer.offers)

    def _followed(self, event: events.Event) -> None:
        match event:
            case events.Subscribed():
                self._of(event.framework)
            case events.OfferMade():
                self._of(event.framework)["offers"] += 1
            case events.Rescinded():
                self._of(event.framework)["rescinded"] += 1
            case events.Launch():
                self._of(event.framework)["running"] += 1
                self.tasks[event.task] = event.framework, event.needs
                self.held[event.framework] = self.held.get(event.framework, NOTHING) + event.needs
            case events.Updated() if event.state.terminal:
                self._of(event.framework)[event.state.value] += 1
                self._ended(event.task)
            case _:
                pass

    def _ended(self, task: str) -> None:
        if task in self.tasks:  # the task of a refused accept never ran
            framework, needs = self.tasks.pop(task)
            self._of(framework)["running"] -= 1
            self.held[framework] -= needs

    def _of(self, name: str) -> dict[str, int]:
        return self.counts.setdefault(name, dict.fromkeys(COUNTED, 0))

    def at(self, at_us: int) -> Moment:
        """The books as they are."""
        shares = {name: round(dominant_share(self.held.get(name, NOTHING), self.total), 4) for name in self.counts}
        return Moment(at_us, {name: tuple(counts.values()) for name, counts in self.counts.items()}, shares)


def _chosen(bars: list[Bar]) -> list[Bar]:
    """Keep killed, failed and lost tasks, and then the newest."""
    kept = sorted(bars, key=lambda bar: (bar.state in MARKED, bar.begun_us), reverse=True)[:BARS]
    return sorted(kept, key=lambda bar: bar.begun_us)


def _bar(bar: Bar, names: list[str], agents: list[str], began_us: int) -> list[Any]:
    """Agent, lane, framework, launched, running, ended, state, task, why: a time of -1 has not come."""
    times = [_ms(us, began_us) if us is not None else -1 for us in (bar.begun_us, bar.running_us, bar.ended_us)]
    return [agents.index(bar.agent), bar.lane, names.index(bar.framework), *times, bar.state, bar.task, bar.because]


def _mark(name: str, palette: Palette) -> dict[str, str]:
    mark = palette[name]
    return {"name": name, "colour": mark.colour, "hatch": mark.hatch, "letters": mark.letters}


def _lines(steps: Sequence[Step], began_us: int) -> Iterator[list[Any]]:
    """Yield (time, words) of every call that something followed, and of those that an operator made."""
    for step in steps:
        words = [line for event in step.events[:6] if (line := told(event))]
        if words or not isinstance(step.call, calls.Tick | calls.Decline | calls.Accept):
            more = [f"… and {len(step.events) - 6:,} more"] if len(step.events) > 6 else []
            yield [_ms(step.now_us, began_us), plainly(step.call), " · ".join(words + more)]


def _ms(us: int, began_us: int) -> float:
    return round((us - began_us) / 1000, 1)
