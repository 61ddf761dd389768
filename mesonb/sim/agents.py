"""Pretend agents: they run each task for as long as ``runs_for`` said, and report as real ones do."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from mesonb.core import calls, events
from mesonb.core.records import TaskState
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, NoDuration
from mesonb.frameworks.base import Outcome, TaskHandle
from mesonb.sim.engine import Engine

#: How long something lasts: "30s", seconds, or a function of the task's arguments that returns one of these.
Duration = float | str | Callable[..., float | str]
Report = Callable[[calls.TaskUpdate, Outcome | None], object]


class PretendAgents:
    """All agents of a simulation. ``report`` takes an update when it reaches the master."""

    def __init__(self, engine: Engine, latency_us: int, report: Report) -> None:
        self._engine = engine
        self._latency_us = latency_us
        self._report = report
        self._durations: dict[Callable[..., Any], tuple[Duration, bool]] = {}
        self._tasks: dict[str, TaskHandle] = {}  #: promised or running, by id
        self.slow: dict[str, float] = {}  #: how many times longer tasks last on an agent, where it is not once

    def runs_for(self, function: Callable[..., Any], duration: Duration, *, execute: bool) -> None:
        """Say how long tasks of a function last, and whether it really runs at its virtual end."""
        if not callable(function):
            raise BadValue(f"{function!r} is not a function; write sim.runs_for(function, '30s')")
        if not callable(duration):
            parse_duration(duration)
        self._durations[function] = (duration, execute)

    def promise(self, task: TaskHandle) -> None:
        """Take in a task that is about to be launched; NoDuration if nobody said how long it lasts."""
        if task.function not in self._durations:
            name = getattr(task.function, "__name__", repr(task.function))
            raise NoDuration(f"how long does {name} last? Say so before it runs: sim.runs_for({name}, '30s')")
        self._tasks[task.id] = task

    def launch(self, event: events.Launch) -> None:
        """Start a task, and plan its end; its agent may have died while this was on its way."""
        task = self._tasks.get(event.task)
        if task is None:
            return
        self._say(event.agent, event.task, TaskState.RUNNING)
        duration, execute = self._durations[task.function]
        lasts = duration(*task.args, **task.kwargs) if callable(duration) else duration
        lasts_us = parse_duration(lasts)
        if self.slow:
            lasts_us = int(lasts_us * self.slow.get(event.agent, 1))
        self._engine.after(lasts_us, partial(self._finish, event.agent, task, execute))

    def kill(self, event: events.Kill) -> None:
        """End a task before its time."""
        if self._tasks.pop(event.task, None):
            self._say(event.agent, event.task, TaskState.KILLED, because="killed")

    def lose(self, agent: str) -> None:
        """Forget all that an agent runs: it is dead, and says nothing."""
        self._tasks = {name: task for name, task in self._tasks.items() if task.agent != agent}

    def _finish(self, agent: str, task: TaskHandle, execute: bool) -> None:
        if self._tasks.pop(task.id, None) is None:
            return  # it was killed, or its agent was lost
        outcome = run(task) if execute else Outcome()
        if outcome.error is None:
            self._say(agent, task.id, TaskState.FINISHED, outcome)
        else:
            because = f"{type(outcome.error).__name__}: {outcome.error}"
            self._say(agent, task.id, TaskState.FAILED, outcome, because)

    def _say(self, agent: str, task: str, state: TaskState, outcome: Outcome | None = None, because: str = "") -> None:
        update = calls.TaskUpdate(agent, task, state, because)
        self._engine.after(self._latency_us, partial(self._report, update, outcome))


def run(task: TaskHandle) -> Outcome:
    """Run a task's function here and now."""
    try:
        return Outcome(value=task.function(*task.args, **task.kwargs))
    except Exception as error:  # noqa: BLE001 - what a task raises is its outcome
        return Outcome(error=error, traceback=traceback.format_exc())
