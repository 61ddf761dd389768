"""Who is away, and what is true when they are back: unreachable agents, disconnected frameworks, a master that is new.

An agent that is unreachable keeps its tasks in the books, but nothing of it is offered; it comes back with a list of
what still runs there, or is lost when its time is over. A framework that is disconnected keeps its tasks and has no
offers; it registers again, or is unregistered when its time is over. A new master knows nothing, and adopts what the
agents say they run; frameworks it has not seen are disconnected until they come.

Rule: a task that ended in these books never lives again. Whoever still runs it is told to kill it.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesonb.core import calls, events
from mesonb.core.books import Settings, Wrong, add_up, count
from mesonb.core.events import Event, OfferMade, Updated
from mesonb.core.items import assign
from mesonb.core.records import Agent, Framework, Task, TaskState
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.roles import Roles
from mesonb.core.units import show_duration

#: What has become of a task that its agent does not know when it is back, by the state that it was in.
_GONE = {
    TaskState.STAGING: "its launch never arrived",
    TaskState.RUNNING: "it ran, and how it ended nobody will say",
    TaskState.UNREACHABLE: "its launch never arrived, or it ended and nobody will say how",
}


class Recovery(Roles):
    """The books, with those who come, are away, and leave."""

    __slots__ = ("begun_us", "drained")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.begun_us: int | None = None  #: when the first agent or framework came
        self.drained: dict[str, str] = {}  #: agents that are here and take no tasks until an operator says so, and why

    def begin(self) -> None:
        """Note that somebody has come."""
        if self.begun_us is None:
            self.begun_us = self.now_us

    # -- agents ---------------------------------------------------------------------------------------------------

    def agent_joined(self, call: calls.AgentJoined) -> list[Event]:
        """Enter an agent, with the tasks that it runs already."""
        if not call.agent or not call.total:
            raise Wrong("an agent needs a name and some resources")
        if call.agent in self.agents:
            raise Wrong(f"an agent called {call.agent} is here already; it must be lost before it joins again")
        reserved, short = self._reserved_at_first(call), self._short_part(call)
        self._check_running(call.tasks, call.total)
        self.begin()
        agent = Agent(call.agent, call.total, call.total, self.now_us, call.attributes)
        agent.min_offer, agent.max_task_us = call.min_offer, call.max_task_us
        agent.short, agent.short_free = short, short or NOTHING
        agent.reserved = {role: part for role, part in reserved.items() if part}
        self.add_agent(agent)
        if agent.reserved or agent.min_offer:
            self.bounded = True
        return [event for task in call.tasks for event in self._adopt(agent, task)]

    def _reserved_at_first(self, call: calls.AgentJoined) -> dict[str, Resources]:
        for role, _ in call.reserved:
            self.check_role(role)
        parts = assign(call.total, [part for _, part in call.reserved])
        if parts is None:
            wanted = add_up(part for _, part in call.reserved)
            raise Wrong(f"{call.agent} has {call.total}; {wanted} of it cannot be reserved")
        reserved: dict[str, Resources] = {}
        for (role, _), part in zip(call.reserved, parts, strict=True):
            reserved[role] = reserved.get(role, NOTHING) + part
        return reserved

    def _short_part(self, call: calls.AgentJoined) -> Resources | None:
        if not call.short:
            return None
        if call.max_task_us <= 0:
            raise Wrong(f"{call.agent} keeps {call.short} for short tasks; say how long they may take: max_task_us=...")
        if not call.short <= call.total:
            raise Wrong(f"{call.agent} has {call.total}; {call.short} of it cannot be kept for short tasks")
        return call.total.pick(call.short)

    def agent_lost(self, agent: Agent, because: str) -> list[Event]:
        """Strike out an agent; its tasks are lost."""
        out: list[Event] = [self._rescind(offer, because) for offer in list(agent.offers.values())]
        for task in list(agent.tasks.values()):
            out += self._end(task, TaskState.LOST, because)
        self.unreachable.pop(agent.name, None)
        self.drained.pop(agent.name, None)
        self.remove_agent(agent)
        return [*out, *(events.AgentGone(framework, agent.name, because) for framework in self.frameworks)]

    def agent_unreachable(self, agent: Agent, because: str) -> list[Event]:
        """Offer nothing of an agent until it is back, and believe nothing of its tasks."""
        if agent.name in self.unreachable:
            return []
        because = because or f"{agent.name} does not answer"
        self.unreachable[agent.name] = self.now_us + self.settings.agent_timeout_us
        agent.closed = because
        out: list[Event] = [self._rescind(offer, because) for offer in list(agent.offers.values())]
        return out + [self._enter_state(task, TaskState.UNREACHABLE, because) for task in agent.tasks.values()]

    def agent_back(self, agent: Agent, running: tuple[calls.RunningTask, ...]) -> list[Event]:
        """Offer an agent again: what it still runs is running, what it does not know is lost."""
        self._check_running(running, agent.total)
        self.unreachable.pop(agent.name, None)
        agent.closed = self.drained.get(agent.name, "")
        self.dirty[agent.name] = agent
        there, out = {one.task for one in running}, []
        for task in list(agent.tasks.values()):
            if task.id not in there:
                out += self._end(task, TaskState.LOST, f"{agent.name} does not know it: {_GONE[task.state]}")
            elif task.state is TaskState.UNREACHABLE:
                out.append(self._enter_state(task, TaskState.RUNNING, f"{agent.name} is back"))
            if task.killing and task.id in there:
                out.append(self._kill(task))  # the first time it may not have heard
        return out + [event for one in running if one.task not in agent.tasks for event in self._adopt(agent, one)]

    def heard_again(self, call: calls.TaskUpdate) -> list[Event]:
        """Ignore what is said of a task that has ended, as an update is sent at least once; but it must not run on."""
        runs_on = not call.state.terminal and self.ended[call.task] is TaskState.LOST and call.agent in self.agents
        return [events.Kill(call.agent, call.task)] if runs_on else []

    def _check_running(self, running: tuple[calls.RunningTask, ...], total: Resources) -> None:
        for task in running:
            self.check_role(task.role)
            if not (task.task and task.framework and task.needs):
                raise Wrong(f"{task} lacks an id, a framework, or what it needs")
        if len({task.task for task in running}) != len(running):
            raise Wrong("the same task is named twice")
        if not (needed := add_up(t.needs for t in running if not (t.state.terminal or t.after))) <= total:
            raise Wrong(f"its tasks need {needed}, the agent has {total}")

    def _adopt(self, agent: Agent, found: calls.RunningTask) -> list[Event]:
        """Believe an agent that it runs a task which a master before this one launched; have any other killed."""
        if found.task in self.ended and found.state.terminal:
            return self.found_ended(agent, found, None)
        if found.task in self.tasks or found.task in self.ended or found.epoch == self.settings.epoch:
            return [events.Kill(agent.name, found.task)]
        framework = self.frameworks.get(found.framework) or self._remember(found)
        if found.state.terminal:
            return self.found_ended(agent, found, framework)
        if not found.needs <= agent.free:
            return [events.Kill(agent.name, found.task)]
        self.start_task(agent, framework, calls.TaskInfo(found.task, agent.free.pick(found.needs)))
        task = self.tasks[found.task]
        task.state = found.state
        if framework.leaving:
            return [self._kill(task)]
        return [] if framework.name in self.away else [events.Updated(framework.name, task.id, task.state)]

    def found_ended(self, agent: Agent, found: calls.RunningTask, framework: Framework | None) -> list[Event]:
        """Believe an agent how a task ended. (Updates that are acknowledged: more; with no framework it is no news.)"""
        self.end_unseen(found.task, found.state)
        return []

    def _remember(self, found: calls.RunningTask) -> Framework:
        """Enter the framework of an adopted task; it is disconnected until it registers."""
        framework = self.add_framework(found.framework, found.role)
        self.join_role(framework, found.role)
        self._leave_for_now(framework)
        return framework

    # -- frameworks -----------------------------------------------------------------------------------------------

    def disconnect(self, framework: Framework) -> list[Event]:
        """Offer a framework nothing until it registers again; its tasks run on."""
        out: list[Event] = [
            self._rescind(offer, "its framework is disconnected") for offer in list(framework.offers.values())
        ]
        if not framework.leaving:
            self._leave_for_now(framework)
        return out

    def unregister(self, framework: Framework) -> list[Event]:
        """Let a framework leave; its tasks are killed."""
        framework.leaving = True
        self.away.pop(framework.name, None)
        self.activate(framework, wants=False)
        out: list[Event] = [self._rescind(offer, "its framework left") for offer in list(framework.offers.values())]
        out += [self._kill(task) for task in framework.tasks.values()]
        self.forget_if_gone(framework)
        return out

    def _leave_for_now(self, framework: Framework) -> None:
        self.away[framework.name] = self.now_us + self.settings.failover_timeout_us
        framework.suppressed = True
        self.activate(framework, wants=False)

    # -- time -----------------------------------------------------------------------------------------------------

    def end_overdue(self) -> list[Event]:
        """Give up the agents and frameworks that have been away for too long."""
        out: list[Event] = []
        for name in self._overdue(self.unreachable.items()):
            waited = show_duration(self.settings.agent_timeout_us)
            out += self.agent_lost(self.agents[name], f"{name} was unreachable for {waited}")
        for name in self._overdue(self.away.items()):
            if name in self.away:  # else it has left with another part of its framework
                out += self.unregister(self.frameworks[name])
        return out

    def _overdue(self, waiting: Iterable[tuple[str, int]]) -> list[str]:
        return [name for name, due_us in waiting if due_us <= self.now_us]

    # -- what several calls share ---------------------------------------------------------------------------------

    def _end(self, task: Task, state: TaskState, because: str) -> list[Event]:
        self.end_task(task, state)
        update = Updated(task.framework, task.id, state, because)
        if self.settings.update_retry_us:
            self.say_until_known(update, task.agent)
        out: list[Event] = [update]
        if task.next:
            self.tell_of_next(task, out)
        return out

    def tell_of_next(self, task: Task, out: list[Event]) -> None:
        """Add what follows where the next task takes over (ahead.py)."""

    def say_until_known(self, update: Updated, agent: str) -> None:
        """Say again how a task ended until its framework acknowledges it (acknowledging.py)."""

    def _enter_state(self, task: Task, state: TaskState, because: str) -> Event:
        task.state, task.since_us = state, self.now_us
        self.agents[task.agent].moved = self.steps
        return Updated(task.framework, task.id, state, because)

    def _kill(self, task: Task) -> Event:
        task.killing = True
        self.dying[task.id] = None
        return events.Kill(task.agent, task.id)

    def _rescind(self, offer: OfferMade, because: str) -> Event:
        self.close_offer(offer)
        count(self.frameworks[offer.framework], "rescinded")
        return events.Rescinded(offer.framework, offer.offer, because)
