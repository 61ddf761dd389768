"""The books: who holds what of which agent, and every way in which that may move.

Each resource of an agent is in exactly one place: free, in one offer, or in one task. The methods here move it from
one to another and keep every total in step; they decide nothing and check nothing but that (assertions). What may be
asked for, and by whom, is ``master.py``'s.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from mesonb.core.calls import REFUSE_US, TaskInfo
from mesonb.core.records import Agent, Filter, Framework, Offer, Role, Task, TaskState
from mesonb.core.resources import NOTHING, Resources

#: A filter never lasts longer: 365 days, as in Apache Mesos.
MAX_REFUSE_US = 365 * 86_400 * 1_000_000
#: How many ended tasks are remembered, so that an id is not used again and a late repeat is known as one.
ENDED_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What a master is made with; part of every recording."""

    seed: int = 0
    offer_timeout_us: int = 30_000_000  #: an unanswered offer is rescinded after this (Apache Mesos: never)
    offer_size: Resources | None = None  #: the most that one offer holds; None is all that is free
    epoch: int = 1  #: which leader of this cluster this is; part of every offer's id


class Books:
    """All that the master knows. Read it freely; only ``MasterCore.step`` writes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dice = Random(settings.seed)
        self.now_us = 0
        self.steps = 0
        self.paused = False
        self.agents: dict[str, Agent] = {}
        self.frameworks: dict[str, Framework] = {}
        self.roles: dict[str, Role] = {}
        self.offers: dict[str, Offer] = {}
        self.tasks: dict[str, Task] = {}
        self.ended: dict[str, TaskState] = {}  #: the last ENDED_KEPT tasks, and how they ended
        self.incarnations: dict[str, int] = {}  #: how often each name has ever registered
        self.total = NOTHING
        self.free = NOTHING
        self.dirty: dict[str, None] = {}  #: agents on which something changed since they were last offered, in order
        self.again: dict[str, None] = {}  #: agents whose only takers were tried in this very instant
        self.timers: list[tuple[int, int, str, str]] = []  #: heap of (due, number, offer or framework, "" or agent)
        self._offers_made = 0
        self._timers_made = 0

    # -- agents, roles, frameworks --------------------------------------------------------------------------------

    def add_agent(self, agent: Agent) -> None:
        """Enter an agent; all of it is free."""
        self.agents[agent.name] = agent
        self.total += agent.total
        self.free += agent.total
        self.dirty[agent.name] = None

    def remove_agent(self, agent: Agent) -> None:
        """Strike out an agent from which everything has been taken back."""
        assert agent.free == agent.total, f"{agent.name} leaves with {agent.total - agent.free} in the books"
        self.total -= agent.total
        self.free -= agent.total
        del self.agents[agent.name]
        self.dirty.pop(agent.name, None)
        self.again.pop(agent.name, None)
        for framework in self.frameworks.values():
            framework.filters.pop(agent.name, None)

    def role(self, name: str) -> Role:
        """Return the role of that name; roles exist as soon as they are named."""
        if name not in self.roles:
            self.roles[name] = Role(name)
        return self.roles[name]

    def join_role(self, framework: Framework, name: str) -> None:
        """Run a framework, with all it holds, on the account of a role."""
        role = self.role(name)
        framework.role = name
        role.frameworks[framework.name] = framework
        role.allocated += framework.allocated

    def leave_role(self, framework: Framework) -> None:
        """Take a framework, with all it holds, off its role's account."""
        role = self.roles[framework.role]
        role.allocated -= framework.allocated
        del role.frameworks[framework.name]

    def forget_if_gone(self, framework: Framework) -> None:
        """Strike out a framework that has left and whose last task has ended."""
        if framework.leaving and not framework.tasks:
            self.leave_role(framework)
            del self.frameworks[framework.name]

    # -- offers ---------------------------------------------------------------------------------------------------

    def open_offer(self, agent: Agent, framework: Framework, resources: Resources) -> Offer:
        """Move resources from free into a new offer; offered counts as allocated."""
        assert resources and resources <= agent.free, f"{resources} granted of {agent.free} on {agent.name}"
        self._offers_made += 1
        epoch = "" if self.settings.epoch == 1 else f"{self.settings.epoch}."
        offer = Offer(
            f"offer-{epoch}{self._offers_made}", framework.name, agent.name, resources,
            self.now_us, self.now_us + self.settings.offer_timeout_us,
        )  # fmt: skip
        self.offers[offer.id] = agent.offers[offer.id] = framework.offers[offer.id] = offer
        self._take(agent, framework, resources)
        framework.allocations += 1
        self.roles[framework.role].allocations += 1
        count(framework, "offers_made")
        self.set_timer(offer.expires_us, offer.id, "")
        return offer

    def close_offer(self, offer: Offer) -> None:
        """Move what an offer holds back to free."""
        agent, framework = self.agents[offer.agent], self.frameworks[offer.framework]
        del self.offers[offer.id], agent.offers[offer.id], framework.offers[offer.id]
        self._give_back(agent, framework, offer.resources)
        self.dirty[agent.name] = None

    def add_filter(self, framework: Framework, agent: str, refused: Resources, refuse_us: int) -> None:
        """Note a refusal; zero is none, a negative time the default, and none outlasts MAX_REFUSE_US."""
        if refuse_us == 0:
            return
        until_us = self.now_us + min(refuse_us if refuse_us > 0 else REFUSE_US, MAX_REFUSE_US)
        framework.filters[agent] = Filter(refused, until_us)
        self.set_timer(until_us, framework.name, agent)

    # -- tasks ----------------------------------------------------------------------------------------------------

    def start_task(self, agent: Agent, framework: Framework, launch: TaskInfo) -> None:
        """Move resources from free into a new task."""
        task = Task(launch.task, framework.name, agent.name, launch.needs, TaskState.STAGING, self.now_us)
        self.tasks[task.id] = agent.tasks[task.id] = framework.tasks[task.id] = task
        self._take(agent, framework, task.needs)
        framework.in_tasks += task.needs
        for name, n in task.needs.amounts.items():
            framework.offset_us[name] = framework.offset_us.get(name, 0) + n * self.now_us
        count(framework, "launched")

    def end_task(self, task: Task, state: TaskState) -> None:
        """Move what a task holds back to free, for good."""
        agent, framework = self.agents[task.agent], self.frameworks[task.framework]
        del self.tasks[task.id], agent.tasks[task.id], framework.tasks[task.id]
        self.ended[task.id] = state
        if len(self.ended) > ENDED_KEPT:
            del self.ended[next(iter(self.ended))]
        self._give_back(agent, framework, task.needs)
        framework.in_tasks -= task.needs
        for name, n in task.needs.amounts.items():
            framework.offset_us[name] -= n * self.now_us
        self.dirty[agent.name] = None
        count(framework, state.value)
        self.forget_if_gone(framework)

    # -- time -----------------------------------------------------------------------------------------------------

    def set_timer(self, due_us: int, name: str, agent: str) -> None:
        """Remember that an offer (no agent) or a framework's filter on an agent ends at a time."""
        self._timers_made += 1
        heapq.heappush(self.timers, (due_us, self._timers_made, name, agent))

    def timer_speaks(self, timer: tuple[int, int, str, str]) -> bool:
        """Whether a timer's offer or filter is still there; an answered offer leaves its timer behind."""
        due_us, _, name, agent = timer
        if not agent:
            return name in self.offers
        framework = self.frameworks.get(name)
        refusal = framework.filters.get(agent) if framework else None
        return refusal is not None and refusal.until_us == due_us

    # -- the two movements ----------------------------------------------------------------------------------------

    def _take(self, agent: Agent, framework: Framework, resources: Resources) -> None:
        agent.free -= resources
        self.free -= resources
        framework.allocated += resources
        self.roles[framework.role].allocated += resources

    def _give_back(self, agent: Agent, framework: Framework, resources: Resources) -> None:
        agent.free += resources
        self.free += resources
        framework.allocated -= resources
        self.roles[framework.role].allocated -= resources


def add_up(amounts: Iterable[Resources]) -> Resources:
    """Add up vectors of resources."""
    return sum(amounts, start=NOTHING)


def count(framework: Framework, what: str, times: int = 1) -> None:
    """Count one of the things that a framework did or had done to it."""
    framework.counts[what] = framework.counts.get(what, 0) + times
