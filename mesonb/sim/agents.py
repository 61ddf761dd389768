"""Pretend agents: they run each task for as long as ``runs_for`` said, and report as real ones do."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from mesonb.core import calls, events
from mesonb.core.books import NEVER_US
from mesonb.core.declared import Agent
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, NoDuration
from mesonb.frameworks.base import Outcome, TaskHandle, name_of
from mesonb.frameworks.command import shell
from mesonb.sim.distributions import Distribution
from mesonb.sim.engine import Engine

#: How long something lasts: "30s", seconds, a distribution, or a function of the task's arguments that returns one of these.
Duration = float | str | Distribution | Callable[..., float | str | Distribution]
Report = Callable[[calls.TaskUpdate, Outcome | None], object]
#: What a pretend agent has, unless it is said.
AGENT = Resources(cpus=4, mem="16GB")
#: What a task leaves behind whose function does not really run.
NOTHING_LEFT = Outcome()


@dataclass(slots=True)
class Planned:
    """A task that was launched or will be, how long it lasts, and whether its function really runs."""

    task: TaskHandle
    lasts_us: int
    execute: bool
    ends_us: int = NEVER_US  #: on its agent, since it is known when it begins there
    after: str = ""  #: it has arrived, and waits for this one to end
    arrives_us: int = 0  #: when it arrives that waits
    next: str = ""  #: which one waits for its end


class PretendAgents:
    """All agents of a simulation. ``report`` takes an update when it reaches the master."""

    def __init__(self, engine: Engine, latency_us: int, report: Report, seed: int = 0) -> None:
        self._engine = engine
        self._latency_us = latency_us
        self._report = report
        self._durations: dict[Callable[..., Any] | str, tuple[Duration, bool]] = {}
        self._dice = Random(f"{seed}/durations")
        self._tasks: dict[str, dict[str, Planned]] = {}  #: what is promised or running, by agent and id
        self.trouble: NoDuration | None = None  #: a task was launched of which nobody said how long it lasts
        self.slow: dict[str, float] = {}  #: how many times longer tasks last on an agent, where it is not once

    def runs_for(self, function: Callable[..., Any] | str, duration: Duration, *, execute: bool) -> None:
        """Say how long tasks of a function last, and whether it really runs at its virtual end."""
        if not callable(function) and (not isinstance(function, str) or function.isidentifier()):
            raise BadValue(
                f"{function!r} is not a function; write sim.runs_for(function, '30s'), and of a command of one word its path: './make'"
            )
        if not callable(duration):
            parse_duration(duration)  # to say now what is wrong with it
        self._durations[function] = (duration, execute)

    def promise(self, task: TaskHandle) -> None:
        """Take in a task that is about to be launched; NoDuration if nobody said how long it lasts."""
        said = self._durations.get(task.function) or self._said_of_command(task)
        if said is None:
            name = repr(task.args[0]) if task.function is shell else name_of(task.function)
            self.trouble = NoDuration(f"how long does {name} last? Say so before it runs: sim.runs_for({name}, '30s')")
            raise self.trouble
        promised = Planned(task, self._drawn_us(said[0], task), said[1])
        there = self._tasks.get(task.agent)
        if there is None:
            self._tasks[task.agent] = {task.id: promised}
        else:
            there[task.id] = promised

    def _said_of_command(self, task: TaskHandle) -> tuple[Duration, bool] | None:
        """Return what was said of a whole command, or of all that begin with this word."""
        if task.function is not shell:
            return None
        line = task.args[0]
        return self._durations.get(line) or self._durations.get(line.split()[0])

    def _drawn_us(self, duration: Duration, task: TaskHandle) -> int:
        """Return how long a task will last, in microseconds."""
        if callable(duration) and not isinstance(duration, Distribution):
            duration = duration(*task.args, **task.kwargs)
        try:
            lasts = duration(self._dice) if isinstance(duration, Distribution) else duration
            # Most are plain numbers, for which there is a short way.
            return round(lasts * 1_000_000) if type(lasts) is float and 0 <= lasts < 1e9 else parse_duration(lasts)
        except BadValue as error:
            raise BadValue(f"how long {name_of(task.function)} lasts is not a time: {error}") from None

    def launch(self, event: events.Launch, travels_us: int = 0) -> None:
        """Start a task when its launch has travelled so long, and plan what its agent will say; it may have died before.

        Nobody sees an agent but by what it says, so what happens there needs no turn of its own: only a function that
        really runs does so when its task ends.
        """
        agent, name, engine = event.agent, event.task, self._engine
        there = self._tasks.get(agent)
        promised = there.get(name) if there else None
        if promised is None:
            return
        if event.after and there and event.after in there:
            there[event.after].next, promised.after, promised.arrives_us = name, event.after, engine.now_us + travels_us
        else:
            self._begin(agent, name, promised, travels_us)

    def _begin(self, agent: str, name: str, promised: Planned, in_us: int) -> None:
        """Let a task begin after a while (or so long ago, as its agent knows and nobody else does yet), and plan its end."""
        engine, lasts_us = self._engine, promised.lasts_us
        if self.slow:
            lasts_us = int(lasts_us * self.slow.get(agent, 1))
        promised.ends_us = ends_us = engine.now_us + in_us + lasts_us
        said_us = in_us + self._latency_us
        engine.after(said_us, self._report, calls.TaskUpdate(agent, name, TaskState.RUNNING), None)
        if promised.execute:
            engine.at(max(ends_us, engine.now_us), self._execute, agent, name)
        else:
            engine.after(said_us + lasts_us, self._end, agent, name)

    def take_back(self, event: events.Kill | events.Withdraw) -> None:
        """End a task before its time; one that is withdrawn only before it begins."""
        if isinstance(event, events.Withdraw):
            self._withdraw(event)
            return
        there = self._tasks.get(event.agent, {})
        if event.task in there and there[event.task].ends_us > self._engine.now_us:
            self._strike(event, calls.TaskUpdate(event.agent, event.task, TaskState.KILLED, "killed"))

    def _withdraw(self, event: events.Withdraw) -> None:
        """Forget a task that was launched ahead, unless it has begun."""
        there, now_us = self._tasks.get(event.agent, {}), self._engine.now_us
        if event.task in there and there[event.task].ends_us == NEVER_US:
            before = there.get(there[event.task].after)
            if before is None or before.ends_us > now_us:  # else it has begun, and only its master does not know yet
                self._strike(event, calls.TaskUpdate(event.agent, event.task, TaskState.LOST, "it was withdrawn"))

    def waits_for(self, agent: str, task: str) -> str:
        """Return after which task one begins that waits on an agent; nothing if it does not wait."""
        promised = self._tasks.get(agent, {}).get(task)
        return promised.after if promised else ""

    def _strike(self, event: events.Kill | events.Withdraw, update: calls.TaskUpdate) -> None:
        there = self._tasks[event.agent]
        struck = there.pop(event.task)
        if struck.after in there:
            there[struck.after].next = ""
        self._engine.after(self._latency_us, self._report, update, None)
        self._go_on(event.agent, struck, self._engine.now_us)

    def _go_on(self, agent: str, ended: Planned, ended_us: int) -> None:
        """Begin what waited for the end of a task, as of then, or when it arrives."""
        there = self._tasks[agent]
        if ended.next and (waited := there.get(ended.next)):
            waited.after = ""
            self._begin(agent, ended.next, waited, max(ended_us, waited.arrives_us) - self._engine.now_us)

    def of(self, agent: str) -> list[TaskHandle]:
        """What an agent runs, or is about to."""
        return [promised.task for promised in self._tasks.get(agent, {}).values()]

    def lose(self, agent: str) -> None:
        """Forget all that an agent runs: it is dead, and says nothing."""
        self._tasks.pop(agent, None)

    def _execute(self, agent: str, name: str) -> None:
        """Run a task's function at its virtual end, and say how that went."""
        promised = self._tasks.get(agent, {}).pop(name, None)
        if promised is None:
            return  # it was killed, or its agent was lost
        self._go_on(agent, promised, self._engine.now_us)
        outcome, update = run(promised.task), calls.TaskUpdate(agent, name, TaskState.FINISHED)
        if outcome.error is not None:
            because = f"{type(outcome.error).__name__}: {outcome.error}"
            update = calls.TaskUpdate(agent, name, TaskState.FAILED, because)
        self._engine.after(self._latency_us, self._report, update, outcome)

    def _end(self, agent: str, name: str) -> None:
        """Let the master hear that a task has ended whose function does not really run."""
        there = self._tasks.get(agent)
        if there and (ended := there.pop(name, None)):
            self._report(calls.TaskUpdate(agent, name, TaskState.FINISHED), NOTHING_LEFT)
            if ended.next:
                self._go_on(agent, ended, self._engine.now_us - self._latency_us)  # it ended before that was heard


def run(task: TaskHandle) -> Outcome:
    """Run a task's function here and now."""
    try:
        return Outcome(value=task.function(*task.args, **task.kwargs))
    except Exception as error:  # noqa: BLE001 - what a task raises is its outcome
        return Outcome(error=error, traceback=traceback.format_exc())


def totals(agents: int | Iterable[Resources | Agent] | Mapping[Resources, int]) -> list[Resources | Agent]:
    """Return each agent, or the resources of each."""
    mix = {AGENT: agents} if isinstance(agents, int) else agents
    if not isinstance(mix, Mapping):
        if not isinstance(mix, Iterable):
            raise BadValue(f"{mix!r} is not a number of agents; write agents=4, or agents=[mb.Resources(cpus=4), ...]")
        return list(mix)
    if bad := [number for number in mix.values() if not isinstance(number, int) or number < 0]:
        raise BadValue(f"{bad[0]!r} is not a number of agents; write agents=4, or agents={{mb.Resources(cpus=4): 900}}")
    return [total for total, number in mix.items() for _ in range(number)]
