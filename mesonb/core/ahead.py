"""Tasks that are launched ahead: each begins when another one of its framework ends, with just what that one held.

So no time is lost between two tasks: the agent has the second before the first has ended, and asks nobody. The second
holds nothing until then; at the end of the first the books pass on what that held in one step (``hand_on``), with what was
to be taken back of it. However the first ends, the second begins, unless it is withdrawn or killed before.

Rule: nobody is passed over. A task is let wait so, at most one behind a live task, only as long as its framework would be
offered what the first holds, if that ended now; the very rules of the offer cycle are asked. As soon as others come first,
what waits is withdrawn, and its framework is told that it never began (docs/decisions/065).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mesonb.core import calls, events
from mesonb.core.allocator import DRF, Allocator
from mesonb.core.books import Settings, Wrong, count, outermost
from mesonb.core.branches import Branches
from mesonb.core.events import Event, Updated
from mesonb.core.records import Agent, Framework, Next, Task, TaskState
from mesonb.core.resources import Resources, at_most


class Ahead(Branches):
    """The books, with tasks that are launched ahead."""

    __slots__ = ("allocator",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.allocator: Allocator = DRF()

    # -- what a framework says ------------------------------------------------------------------------------------

    def launch_after(self, framework: Framework, call: calls.LaunchNext) -> list[Event]:
        """Let a task wait for the end of another; where that is over, or others come first, it is handed back at once."""
        before = framework.tasks.get(call.after)
        if before is not None and before.next:
            raise Wrong(f"{before.next} comes after {before.id} already, and no more than one can")
        because = self._against(before) if before else f"{call.after} is no live task"
        if before is None or because:
            count(framework, "handed_back")
            self.end_unseen(call.task, TaskState.LOST)
            return [Updated(framework.name, call.task, TaskState.LOST, _never(because))]
        self._enter_next(before, call.task)
        return [events.Launch(before.agent, framework.name, call.task, before.needs, after=before.id)]

    def kill_next(self, following: Next) -> Event:
        """Have a task ended whether it has begun or not; its agent says which."""
        following.killing = True
        return events.Kill(following.agent, following.id)

    def unregister(self, framework: Framework) -> list[Event]:
        """Let a framework leave: what it launched ahead is killed before that could begin."""
        waiting = [following for record in self._all(framework) for following in record.ahead.values()]
        return [*map(self.kill_next, waiting), *super().unregister(framework)]

    # -- what agents say ------------------------------------------------------------------------------------------

    def update_next(self, following: Next, call: calls.TaskUpdate) -> list[Event]:
        """Hear of a task whose turn has not come in the books: it was withdrawn or killed, or the word of the first is late."""
        if following.agent != call.agent:
            raise Wrong(f"{call.task} is launched ahead on {following.agent}, not on {call.agent}")
        if call.state.terminal:
            return self._end_next(following, call.state, call.because)
        following.begun = following.begun or call.state is TaskState.RUNNING
        return []

    def agent_lost(self, agent: Agent, because: str) -> list[Event]:
        """Strike out an agent: what waits there never begins."""
        gone = [self._end_next(following, TaskState.LOST, because) for following in self._waiting_on(agent)]
        return [event for part in gone for event in part] + super().agent_lost(agent, because)

    def agent_back(self, agent: Agent, running: tuple[calls.RunningTask, ...]) -> list[Event]:
        """Believe an agent what waits there, and say again what is to become of it."""
        self._check_running(running, agent.total)
        named, out = {one.task: one for one in running}, list[Event]()
        for following in self._waiting_on(agent):
            said = named.get(following.id)
            if said is None or (said.after and said.after not in named):
                never = following.id if said is None else following.after
                out += self._end_next(following, TaskState.LOST, f"the launch of {never} never arrived")
                continue  # if it is there it is known no more, and killed
            following.begun = following.begun or (not said.after and said.state is TaskState.RUNNING)
            if following.killing:
                out.append(self.kill_next(following))
            elif following.withdrawn:
                out.append(events.Withdraw(agent.name, following.id))
        return out + super().agent_back(agent, running)

    def _adopt(self, agent: Agent, found: calls.RunningTask) -> list[Event]:
        """Believe an agent that a task waits there which a master before this one launched ahead."""
        if found.task in self.ahead:
            here = self.ahead[found.task].agent == agent.name
            return [] if here else [events.Kill(agent.name, found.task)]
        known = found.task in self.tasks or found.task in self.ended or found.epoch == self.settings.epoch
        if not found.after or known or found.state.terminal:
            return super()._adopt(agent, found)
        before = agent.tasks.get(found.after)
        if before is None or before.next or agent.max_task_us:
            return [events.Kill(agent.name, found.task)]
        following = self._enter_next(before, found.task)
        if self.frameworks[before.framework].leaving:
            return [self.kill_next(following)]
        told = Updated(before.framework, found.task, TaskState.STAGING)
        return [] if before.framework in self.away else [told]

    # -- what is withdrawn ----------------------------------------------------------------------------------------

    def look_ahead(self) -> list[Event]:
        """Withdraw what others come before by now: of each framework one task is looked at, and more for as long as it is so."""
        self.doubted = False
        return [
            event for framework in self.frameworks.values() if framework.ahead for event in self._look_at(framework)
        ]

    def _look_at(self, framework: Framework) -> list[Event]:
        out: list[Event] = []
        for following in list(framework.ahead.values()):
            if following.withdrawn or following.killing or following.agent in self.unreachable:
                continue
            framework.ahead[following.id] = framework.ahead.pop(following.id)  # the next look is at another
            because = self._against(self.tasks[following.after])
            if not because:
                break
            out += self.withdraw([following], because)
        return out

    def withdraw(self, waiting: Iterable[Next], because: str) -> list[Event]:
        """Take tasks back that have not begun; their agents say which."""
        fresh = [following for following in waiting if not following.withdrawn and not following.killing]
        for following in fresh:
            following.withdrawn = because
        return [events.Withdraw(following.agent, following.id) for following in fresh]

    def ask_back(self, task: Task) -> list[Event]:
        """Whoever is asked to let a task go is not to begin another one in its place."""
        waiting = [self.ahead[task.next]] if task.next else []
        return super().ask_back(task) + self.withdraw(waiting, f"what {task.id} holds is taken back")

    def _against(self, before: Task) -> str:
        """Say why nothing is to come after a task; "": something may."""
        agent, framework = self.agents[before.agent], self.frameworks[before.framework]
        if agent.closed:
            return f"{agent.name} takes no tasks: {agent.closed}"
        if agent.max_task_us:
            return f"{agent.name} is for short tasks"
        if before.asked:
            return f"what {before.id} holds is taken back"
        if framework.leaving or self.paused:
            return "its framework has left" if framework.leaving else "the master is paused"
        if not self.bounded and not self.active & ~framework.client.bits:
            return ""  # nobody else wants anything
        with self._as_if_ended(before, agent, framework):
            first = self._whose_turn(agent, framework, before.needs)
        return "" if first is framework else f"{first.name if first else 'nobody'} comes first on {agent.name}"

    def _whose_turn(self, agent: Agent, framework: Framework, needs: Resources) -> Framework | None:
        """Return who would be offered what is free; an allocator that does not go by turns is not asked: all others come first."""
        if not self.allocator.in_turn:
            wanting = self.wanting(agent)
            return next((other for other in wanting if other is not framework), framework if wanting else None)
        by_guarantee = self.bounded_roles and self.below_guarantee()
        grant = self.next_in_line(agent, guaranteed=True) if by_guarantee else None
        grant = grant or self.next_in_line(agent)
        size = self.settings.offer_size
        return grant.framework if grant and (at_most(needs, size) if size else needs) <= grant.resources else None

    @contextmanager
    def _as_if_ended(self, task: Task, agent: Agent, framework: Framework) -> Iterator[None]:
        """Put the books as they would be if a task had ended, and its framework wanted what it held; and back again."""
        bit, needs, reserved = framework.client.bits, task.needs, task.reserved or {}
        books = self.active, self.again, agent.free, agent.reserved_free
        marks = agent.tried_us, agent.filtered, agent.blocked, agent.blocked_of
        self.active, self.again = self.active | bit, self.again.copy()
        agent.free, agent.reserved_free = agent.free + needs, agent.reserved_free.copy()
        agent.tried_us, agent.filtered = -1, agent.filtered & ~bit
        self.order.uncharge(framework.client, needs)
        self.give_back_reserved(agent, reserved)
        self.forget_kept_back()
        try:
            yield
        finally:
            self.active, self.again, agent.free, agent.reserved_free = books
            agent.tried_us, agent.filtered, agent.blocked, agent.blocked_of = marks
            self.order.charge(framework.client, needs)
            for role, part in reserved.items():
                self.roles[outermost(role)].reserved_used += part.counted
            self.forget_kept_back()

    # -- in the books ---------------------------------------------------------------------------------------------

    def hand_on(self, task: Task, agent: Agent, framework: Framework) -> None:
        """Let a task take over what the one before it held; nothing is free in between."""
        following = self.ahead.pop(task.next)
        del framework.ahead[following.id]
        state = TaskState.RUNNING if following.begun else TaskState.STAGING
        entered = Task(
            following.id, task.framework, task.agent, task.needs,
            TaskState.UNREACHABLE if agent.name in self.unreachable else state, self.now_us,
            following.killing, task.reserved, task.short, task.asked,
        )  # fmt: skip
        self.tasks[entered.id] = agent.tasks[entered.id] = framework.tasks[entered.id] = entered
        if entered.killing:
            self.dying[entered.id] = None
        agent.moved = self.steps
        framework.tallies["launched"] += 1
        self.doubted = bool(self.ahead)  # others may be below their share by now: one more is looked at

    def tell_of_next(self, task: Task, out: list[Event]) -> None:
        """Tell what is not to be taken for granted of a task that has just taken over."""
        entered = self.tasks[task.next]
        if entered.state is not TaskState.STAGING:
            out.append(Updated(entered.framework, entered.id, entered.state))
        if task.asked:
            out += self._inherit(task, entered)

    def _inherit(self, task: Task, entered: Task) -> list[Event]:
        """What was to be taken back of a task is taken back of the next, which began before it could be withdrawn."""
        due = [(kill_us, role, because) for kill_us, name, role, because in self.kills_due if name == task.id]
        if task.id in self.revoking:
            self.revoking[entered.id] = self.revoking.pop(task.id)
        for kill_us, role, because in due:
            heapq.heappush(self.kills_due, (kill_us, entered.id, role, because))
        told: list[Event] = [
            events.Revoked(entered.framework, entered.id, kill_us, because) for kill_us, _, because in due
        ]
        return told or ([] if entered.killing else [self._kill(entered)])

    def _enter_next(self, before: Task, name: str) -> Next:
        following = Next(name, before.framework, before.agent, before.id)
        before.next = name
        self.ahead[name] = self.frameworks[before.framework].ahead[name] = following
        return following

    def _end_next(self, following: Next, state: TaskState, because: str) -> list[Event]:
        """Strike out a task that waits in the books; it was handed back, unless it has begun all the same."""
        framework = self.frameworks[following.framework]
        del self.ahead[following.id], framework.ahead[following.id]
        self.tasks[following.after].next = ""
        self.end_unseen(following.id, state)
        if state is TaskState.LOST and not following.begun:
            because = _never(following.withdrawn or because)
            count(framework, "handed_back")
        else:
            count(framework, "launched")
            count(framework, state.value)
        update = Updated(framework.name, following.id, state, because)
        if self.settings.update_retry_us:
            self.say_until_known(update, following.agent)
        return [update]

    def withdraw_all(self, because: str) -> list[Event]:
        """Take back all that has not begun."""
        return self.withdraw(self.ahead.values(), because)

    def _waiting_on(self, agent: Agent) -> list[Next]:
        return [self.ahead[task.next] for task in agent.tasks.values() if task.next]


def _never(because: str) -> str:
    return f"it never began: {because}"
