"""Agents and tasks that are taken back on purpose, and frameworks that ask what became of their tasks.

Draining stands for Apache Mesos's maintenance and inverse offers: nothing of the agent is offered any more, each
framework is told when its tasks there will be killed, and may end them before. Reconciliation answers with the state of
each task that a framework names, or of all that it has; of a task that nobody knows, that it is lost.
"""

from __future__ import annotations

import heapq

from mesonb.core import calls, events
from mesonb.core.books import Wrong
from mesonb.core.events import Event
from mesonb.core.records import Agent, Framework, TaskState
from mesonb.core.revocation import Revocation

DRAINING = "it is draining"


class Upkeep(Revocation):
    """The books, with agents that are drained and tasks that are asked about."""

    def drain(self, agent: Agent, call: calls.Drain) -> list[Event]:
        """Offer nothing of an agent any more, and see its tasks out."""
        if agent.closed:
            raise Wrong(f"{agent.name} takes no tasks already: {agent.closed}")
        agent.closed = DRAINING
        because = call.because or f"{agent.name} is draining"
        out: list[Event] = [self._rescind(offer, because) for offer in list(agent.offers.values())]
        for task in agent.tasks.values():
            kill_us = self.now_us + max(0, call.grace_us)
            heapq.heappush(self.kills_due, (kill_us, task.id, "", because))
            out.append(events.Revoked(task.framework, task.id, kill_us, because))
        return out

    def undrain(self, agent: Agent) -> list[Event]:
        """Offer an agent again; what was to be killed there runs on."""
        if agent.closed != DRAINING:
            raise Wrong(f"{agent.name} is not draining")
        agent.closed = ""
        self.kills_due = [due for due in self.kills_due if due[1] not in agent.tasks]
        heapq.heapify(self.kills_due)
        if agent.max_task_us:
            for task in agent.tasks.values():
                self.limit_time(task, max(0, task.since_us + agent.max_task_us - self.now_us))
        self.dirty[agent.name] = agent
        return []

    def revoke(self, call: calls.Revoke) -> list[Event]:
        """Take one task's resources back, after a while; its framework may end it before."""
        task = self.tasks.get(call.task)
        if task is None:
            raise Wrong(f"no live task is called {call.task!r}; it may have ended already")
        if task.killing:
            raise Wrong(f"{task.id} is being killed already")
        because, kill_us = call.because or "an operator takes it back", self.now_us + max(0, call.grace_us)
        heapq.heappush(self.kills_due, (kill_us, task.id, "", because))
        return [events.Revoked(task.framework, task.id, kill_us, because)]

    def reconcile(self, framework: Framework, call: calls.Reconcile) -> list[Event]:
        """Say what state tasks are in: those named, or all that the framework has."""
        return [self._state_of(framework, name) for name in call.tasks or tuple(framework.tasks)]

    def _state_of(self, framework: Framework, name: str) -> Event:
        if name in framework.tasks:
            return events.Updated(framework.name, name, framework.tasks[name].state, "as you asked")
        if name in self.ended and name not in self.tasks:
            return events.Updated(framework.name, name, self.ended[name], "as you asked")
        if name not in self.tasks:
            self.end_unseen(name, TaskState.LOST)  # for good: an agent that turns up with it is told to kill it
        return events.Updated(framework.name, name, TaskState.LOST, "no such task is known here")
