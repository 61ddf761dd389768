"""Agents and tasks that are taken back on purpose, by an operator: draining, and revoking one task.

Nothing of the agent is offered any more; each framework is told when its tasks there will be killed, and may end them
before. Rule: an agent that is drained stays so until somebody says otherwise, even if it is out of sight meanwhile.
"""

from __future__ import annotations

import heapq

from mesonb.core import calls, events
from mesonb.core.books import Wrong
from mesonb.core.events import Event
from mesonb.core.records import Agent
from mesonb.core.revocation import Revocation

DRAINING = "it is draining"


class Upkeep(Revocation):
    """The books, with agents that are drained."""

    __slots__ = ()

    def drain(self, agent: Agent, call: calls.Drain) -> list[Event]:
        """Offer nothing of an agent any more, and see its tasks out."""
        if agent.closed:
            raise Wrong(f"{agent.name} takes no tasks already: {agent.closed}")
        agent.closed = self.drained[agent.name] = DRAINING
        return self.empty(agent, max(0, call.grace_us), call.because or f"{agent.name} is draining")

    def empty(self, agent: Agent, grace_us: int, because: str) -> list[Event]:
        """Take an agent's offers back, and see to the end of its tasks."""
        out: list[Event] = [self._rescind(offer, because) for offer in list(agent.offers.values())]
        for task in agent.tasks.values():
            kill_us = self.now_us + grace_us
            heapq.heappush(self.kills_due, (kill_us, task.id, "", because))
            out += [events.Revoked(task.framework, task.id, kill_us, because), *self.ask_back(task)]
        return out

    def undrain(self, agent: Agent) -> list[Event]:
        """Offer an agent again; what was to be killed there runs on."""
        if self.drained.get(agent.name) != DRAINING:
            raise Wrong(f"{agent.name} is not draining")
        self.reopen(agent)
        return []

    def reopen(self, agent: Agent) -> None:
        """Let an agent that was emptied take tasks again."""
        self.drained.pop(agent.name, None)
        if agent.name not in self.unreachable:
            agent.closed = ""
        self.kills_due = [due for due in self.kills_due if due[1] not in agent.tasks]
        heapq.heapify(self.kills_due)
        for task in agent.tasks.values():
            task.asked = False
        if agent.max_task_us:
            for task in agent.tasks.values():
                self.limit_time(task, agent, max(0, task.since_us + agent.max_task_us - self.now_us))
        self.changed(agent.name)

    def revoke(self, call: calls.Revoke) -> list[Event]:
        """Take one task's resources back, after a while; its framework may end it before."""
        task = self.tasks.get(call.task)
        if task is None:
            raise Wrong(f"no live task is called {call.task!r}; it may have ended already")
        if task.killing:
            raise Wrong(f"{task.id} is being killed already")
        because, kill_us = call.because or "an operator takes it back", self.now_us + max(0, call.grace_us)
        heapq.heappush(self.kills_due, (kill_us, task.id, "", because))
        return [events.Revoked(task.framework, task.id, kill_us, because), *self.ask_back(task)]
