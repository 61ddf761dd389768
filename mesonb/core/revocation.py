"""Whom to ask for resources back, and when tasks are killed that nobody asked to be: guarantees, and agents for short tasks.

A role that wants offers and has less than its guarantee may have it met by revocation (Mesos paper, 3.3; Apache Mesos
never built it). The most recent tasks of roles that have more than theirs are told to end, and are killed after a grace
period, unless the guarantee is met before. Rule: a role never loses what it needs for its own guarantee. An agent that
is kept for short tasks says how long they may take; a task that takes longer is killed (paper, 4.4).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from mesonb.core import events
from mesonb.core.books import outermost
from mesonb.core.calls import RunningTask
from mesonb.core.events import Event
from mesonb.core.records import Agent, Role, Task, TaskState
from mesonb.core.recovery import Recovery
from mesonb.core.resources import NOTHING, Resources, less, shared_part
from mesonb.core.units import show_duration


class Revocation(Recovery):
    """The books, and what is taken back."""

    __slots__ = ()

    def take_back(self) -> list[Event]:
        """Kill what has had its time; ask for what guarantees lack."""
        out: list[Event] = self._kill_due() if self.kills_due else []
        if self.settings.grace_us is None or not self.bounded_roles or self.paused:
            return out
        for role in [role for role in self.roles.values() if self._lacks(role)]:
            for task in self._victims(role):
                out += [self._revoke(task, role), *self.ask_back(task)]
        return out

    def ask_back(self, task: Task) -> list[Event]:
        """Note that the framework of a task was asked to let it go, and return what follows."""
        task.asked = True
        return []

    def limit_time(self, task: Task, agent: Agent, allowed_us: int) -> None:
        """See to it that a task that holds what is kept for short ones does not take longer."""
        if task.short or agent.short is None:
            because = f"{task.agent} is for tasks of at most {show_duration(allowed_us)}"
            heapq.heappush(self.kills_due, (self.now_us + allowed_us, task.id, "", because))

    def _adopt(self, agent: Agent, found: RunningTask) -> list[Event]:
        """Adopt a task; one that holds what is kept for short ones has all its time again: nobody knows since when."""
        out = super()._adopt(agent, found)
        if agent.max_task_us and (task := agent.tasks.get(found.task)):
            self.limit_time(task, agent, agent.max_task_us)
        return out

    # -- guarantees -----------------------------------------------------------------------------------------------

    def _lacks(self, role: Role) -> Resources:
        """What a role lacks of its guarantee, wants, and will not get from what is free or is being taken back."""
        missing = less(role.guarantee, role.consumed)
        place = self.order.places.get(role.name)
        if not missing or not place or not place.bits & self.active:
            return NOTHING
        ending = [*self.revoking, *(name for name in self.dying if name not in self.revoking)]
        coming = [task.needs for name in ending if (task := self.tasks.get(name))]
        for part in (self.free, *coming):
            missing = less(missing, part)
        return missing

    def _victims(self, role: Role) -> Iterator[Task]:
        """Yield tasks to take back for a role: the most recent first, of roles that keep their own guarantee."""
        missing = self._lacks(role)
        spare: dict[str, Resources] = {}  #: by role, what it has above its own guarantee
        for task in reversed(self.tasks.values()):
            if not missing:
                return
            owner = self.roles[outermost(self.frameworks[task.framework].role)]
            if owner is not role and self._can_be_taken(task) and shared_part(task.needs, missing):
                above = spare.get(owner.name, less(owner.consumed, owner.guarantee))
                guaranteed = Resources.of({n: x for n, x in task.needs.amounts.items() if n in owner.guarantee.amounts})
                if guaranteed <= above:
                    spare[owner.name] = less(above, task.needs)
                    missing = less(missing, task.needs)
                    yield task

    def _can_be_taken(self, task: Task) -> bool:
        """Whether a task would free something: it is within reach, and nobody ends it already."""
        return not (task.killing or task.id in self.revoking or task.state is TaskState.UNREACHABLE)

    def _revoke(self, task: Task, role: Role) -> Event:
        grace_us = self.settings.grace_us
        assert grace_us is not None
        because = f"role {role.name} has less than its guarantee"
        self.revoking[task.id] = role.name
        heapq.heappush(self.kills_due, (self.now_us + grace_us, task.id, role.name, because))
        return events.Revoked(task.framework, task.id, self.now_us + grace_us, because)

    # -- time is over ---------------------------------------------------------------------------------------------

    def _kill_due(self) -> list[Event]:
        out: list[Event] = []
        while self.kills_due and self.kills_due[0][0] <= self.now_us:
            _, name, role, _ = heapq.heappop(self.kills_due)
            revoked = self.revoking.pop(name, None)
            task = self.tasks.get(name)
            if task and not task.killing and (not role or (revoked and self._still_lacks(role, task))):
                out.append(self._kill(task))
            elif task and not task.killing:
                task.asked = any(other == name for _, other, _, _ in self.kills_due)
        return out

    def _still_lacks(self, name: str, task: Task) -> bool:
        """Whether a guarantee is still not met by what is free now; then its task is needed."""
        role = self.roles[name]
        return bool(shared_part(less(less(role.guarantee, role.consumed), self.free), task.needs))
