"""Frameworks that ask what became of their tasks: reconciliation, explicit and implicit.

The answer is the state of each task that a framework names, or of all that it has; of a task that nobody knows, that it
is lost. Rule: a master that is not its cluster's first begins with empty books, so it says of nothing that it is lost
until agents have had ``recovery_us`` to say what they run; an agent that turns up with the task later has it killed.
"""

from __future__ import annotations

from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.events import Event
from mesonb.core.records import Framework, TaskState
from mesonb.core.upkeep import Upkeep

_ALARM = "questions"


class Questions(Upkeep):
    """The books, and what is asked about them."""

    __slots__ = ("asked",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.asked: dict[str, str] = {}  #: tasks that nobody has named yet, and whose question is not answered

    def reconcile(self, framework: Framework, call: calls.Reconcile) -> list[Event]:
        """Say what state tasks are in: those named, or all that the framework has."""
        return [event for name in call.tasks or framework.all_tasks for event in self._state_of(framework, name)]

    def _state_of(self, framework: Framework, name: str) -> list[Event]:
        if name in framework.tasks:
            return [events.Updated(framework.name, name, framework.tasks[name].state, "as you asked")]
        if name in framework.ahead:
            return [events.Updated(framework.name, name, TaskState.STAGING, "as you asked: it is launched ahead")]
        if name in self.tasks or name in self.ahead:
            return [events.Updated(framework.name, name, TaskState.LOST, "no such task of yours is known here")]
        if name in self.ended:
            return [events.Updated(framework.name, name, self.ended[name], "as you asked")]
        if self.now_us < (due_us := self._recovered_us()):
            self.asked[name] = framework.name
            self.alarms[_ALARM] = due_us
            return []
        self.end_unseen(name, TaskState.LOST)  # for good: an agent that turns up with it is told to kill it
        return [events.Updated(framework.name, name, TaskState.LOST, "no such task is known here")]

    def _recovered_us(self) -> int:
        """When every agent has had the time to say what it runs; the first master of a cluster need not wait."""
        begun_us = self.now_us if self.begun_us is None else self.begun_us
        return begun_us + self.settings.recovery_us if self.settings.epoch > 1 else begun_us

    def on_time(self) -> list[Event]:
        """Answer what was asked while agents were still coming."""
        out = super().on_time()
        if self.alarms.get(_ALARM, self.now_us + 1) <= self.now_us:
            del self.alarms[_ALARM]
            asked, self.asked = self.asked, {}
            for name, who in asked.items():
                framework = self.frameworks.get(who)
                if (
                    framework and name not in self.tasks and name not in self.ahead
                ):  # else it was told when the agent came
                    out += self._state_of(framework, name)
        return out
