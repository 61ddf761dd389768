"""The books: who holds what of which agent, and every way in which that may move.

Each resource of an agent is in exactly one place: free, in one offer, or in one task. The methods here move it from
one to another and keep every total in step; they decide nothing and check nothing but that (assertions). What may be
asked for, and by whom, is ``master.py``'s.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from random import Random

from mesonb.core.calls import REFUSE_US, TaskInfo
from mesonb.core.events import Held, OfferMade
from mesonb.core.order import Client, Order
from mesonb.core.parts import Parts, add_up, outermost, use_short
from mesonb.core.records import Agent, Filter, Framework, Next, Reserved, Role, Task, TaskState
from mesonb.core.resources import NOTHING, Resources, shared_part
from mesonb.core.settings import Settings, Wrong

__all__ = ["Books", "Settings", "Wrong", "add_up", "count", "each", "outermost"]

#: A filter never lasts longer: 365 days, as in Apache Mesos.
MAX_REFUSE_US = 365 * 86_400 * 1_000_000
#: How many ended tasks are remembered, so that an id is not used again and a late repeat is known as one.
ENDED_KEPT = 10_000
#: When there are so many more, as many are forgotten together: one at a time, a dict walks over all gaps at its front.
FORGOTTEN_TOGETHER = 1_000
#: How long an offer lasts that never ends.
NEVER_US = 2**62


class Books(Parts):
    """All that the master knows. Read it freely; only ``MasterCore.step`` writes."""

    #: Slots, here and in every layer: on an object with more than some thirty attributes in a dict CPython looks up each
    #: method anew at each call, which was a fourteenth of all that a task's life costs.
    __slots__ = (
        "__weakref__",  # panels tell one core from the next by it
        "_agents_joined", "_offer_prefix", "_offers_last_us", "_offers_made", "_timers_made", "active",
        "after_batch", "again", "agents", "ahead", "away", "batches", "bounded", "bounded_roles", "by_bit", "bygone",
        "dice", "dirty", "doubted", "dying", "ended", "ends", "frameworks", "granted", "incarnations", "kills_due",
        "next_batch_us", "now_us", "offers", "on_recovery", "optimistic", "order", "paused", "revoking",
        "roles", "settings", "steps", "tasks", "timers", "total", "unanswered", "unreachable",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dice = Random(settings.seed)
        self.now_us = 0
        self.steps = 0
        self.paused = False
        self.agents: dict[str, Agent] = {}
        self.frameworks: dict[str, Framework] = {}
        self.roles: dict[str, Role] = {}
        self.offers: dict[str, OfferMade] = {}
        self.tasks: dict[str, Task] = {}
        self.ahead: dict[str, Next] = {}  #: launched ahead: each begins when another task ends
        self.doubted = False  #: others may come before those by now
        self.ended: dict[str, TaskState] = {}  #: the last ENDED_KEPT tasks, and how they ended
        self.unreachable: dict[str, int] = {}  #: agents that do not answer, and when they are given up
        self.away: dict[str, int] = {}  #: frameworks that are disconnected, and when they are given up
        self.incarnations: dict[str, int] = {}  #: how often each name has ever registered
        self.bygone: Counter[str] = Counter()  #: ``counts`` of all frameworks that were struck out
        self.total = NOTHING
        self.optimistic = settings.concurrency == "optimistic"
        self.order = Order(frozenset(settings.not_shared))
        self.by_bit: dict[int, Framework] = {}  #: each framework has a bit of its own while it is here
        self.active = 0  #: the frameworks that want offers, one bit each
        self.dirty: dict[str, Agent] = {}  #: agents on which something changed since they were last offered, in order
        self.again: dict[str, Agent] = {}  #: agents whose only takers were tried in this very instant
        self.unanswered: deque[OfferMade] = deque()  #: in the order in which they end; some were answered since
        self.timers: list[tuple[int, int, str]] = []  #: heap of (due, number, framework), one a time in ``ends``
        self.ends: dict[tuple[int, str], list[str]] = {}  #: by time and framework, agents on which a filter ends then
        self.bounded = False  #: some rule may make an offer smaller than what is free
        self.granted: list[tuple[Framework, Resources]] = []  #: offers that ``Limits.kept_back`` does not know of yet
        self.bounded_roles = False  #: some role has a guarantee or a limit
        self.on_recovery = settings.allocate_on_recovery or not settings.allocation_interval_us
        self.revoking: dict[str, str] = {}  #: tasks that were asked to end, and for which role
        self.dying: dict[str, None] = {}  #: tasks that agents were told to kill
        self.kills_due: list[tuple[int, str, str, str]] = []  #: heap of (due, task, for which role, why)
        self.batches = 0  #: how many batches have run
        self.after_batch: list[tuple[int, str, str]] = []  #: filters that end with the next: until, framework, agent
        self.next_batch_us = settings.allocation_interval_us
        self._agents_joined = 0
        self._offers_made = 0
        self._timers_made = 0
        self._offers_last_us = settings.offer_timeout_us or NEVER_US
        self._offer_prefix = "offer-" if settings.epoch == 1 else f"offer-{settings.epoch}."

    @property
    def free(self) -> Resources:
        """What no offer and no task holds."""
        held = add_up(Resources.of(key[3].held) for key in self.order.root.line or ())
        return self.total - held

    # -- agents, roles, frameworks --------------------------------------------------------------------------------

    def add_agent(self, agent: Agent) -> None:
        """Enter an agent; all of it is free."""
        self._agents_joined += 1
        agent.number, agent.moved = self._agents_joined, self.steps
        self.agents[agent.name] = agent
        for role, part in agent.reserved.items():
            self.role(role)
            self.roles[outermost(role)].reserved += part.counted
        agent.reserved_free = dict(agent.reserved)
        self.order.excluded |= frozenset(agent.total.which)  # items count for nobody's share
        self._set_total(self.total + agent.total.counted)
        self.dirty[agent.name] = agent

    def remove_agent(self, agent: Agent) -> None:
        """Strike out an agent from which everything has been taken back."""
        assert agent.free == agent.total, f"{agent.name} leaves with {agent.total - agent.free} in the books"
        del self.agents[agent.name]
        for role, part in agent.reserved.items():
            self.roles[outermost(role)].reserved -= part.counted
        self._set_total(self.total - agent.total.counted)
        self.dirty.pop(agent.name, None)
        self.again.pop(agent.name, None)
        for bit in each(agent.filtered):
            del self.by_bit[bit].filters[agent.name]

    def role(self, name: str) -> Role:
        """Return the role of that name; roles exist as soon as they, or roles within them, are named."""
        if name not in self.roles:
            if "/" in name:
                self.role(name.rpartition("/")[0])
            self.roles[name] = Role(name, self.order.places)
        return self.roles[name]

    def add_framework(self, name: str, role: str) -> Framework:
        """Enter a framework, with a bit of its own."""
        bit = 1
        while bit in self.by_bit:
            bit <<= 1
        framework = Framework(name, role, self.now_us, Client(name, bits=bit, leaf=True))
        self.frameworks[name] = self.by_bit[bit] = framework
        return framework

    def join_role(self, framework: Framework, name: str) -> None:
        """Run a framework, with all it holds, on the account of a role."""
        framework.role = name
        self.role(name).frameworks[framework.name] = framework
        self.order.attach(framework.client, self.order.seat(name))

    def leave_role(self, framework: Framework) -> None:
        """Take a framework, with all it holds, off its role's account."""
        role = self.roles[framework.role]
        self.order.detach(framework.client)
        del role.frameworks[framework.name]
        if not role.frameworks:
            self.order.unseat(role.name)

    def activate(self, framework: Framework, *, wants: bool) -> None:
        """Let a framework have offers, or none."""
        bit = framework.client.bits
        self.active = self.active | bit if wants else self.active & ~bit
        self.doubted = bool(self.ahead)

    def forget_if_gone(self, framework: Framework) -> None:
        """Strike out a framework that has left, if its last task has ended."""
        if not framework.tasks:
            self.drop_filters(framework)
            self.leave_role(framework)
            self.bygone.update(framework.counts)
            bit = framework.client.bits
            del self.frameworks[framework.name], self.by_bit[bit]
            self.away.pop(framework.name, None)
            for agent in self.agents.values():
                agent.tried &= ~bit

    # -- offers ---------------------------------------------------------------------------------------------------

    def open_offer(self, agent: Agent, framework: Framework, resources: Resources) -> OfferMade:
        """Move resources from free into a new offer; offered counts as allocated. A hundred thousand times a second."""
        free, now_us, bit = agent.free, self.now_us, framework.client.bits
        self._offers_made = number = self._offers_made + 1
        name, ends_us = f"{self._offer_prefix}{number}", now_us + self._offers_last_us
        offer = OfferMade(framework.name, name, agent.name, resources, ends_us, agent.max_task_us, agent.closes_us)
        noted: Held = offer  # by its own name, because mypy takes a dataclass for all slots that there are
        noted.made_us, noted.reserved, noted.changes = now_us, None, -1
        self.offers[name] = agent.offers[name] = framework.offers[name] = offer
        agent.moved = self.steps
        if self.optimistic:
            agent.offered |= bit
            noted.changes = agent.changes
            offer.short = agent.short and shared_part(agent.short_free, resources)
            self.order.charge(framework.client, NOTHING, counted=True)
        else:
            self.order.allot(framework.client, resources)
            if resources is free:
                agent.free = NOTHING
            else:
                assert resources and resources <= free, f"{resources} granted of {free} on {agent.name}"
                agent.free = free - resources
            if self.bounded:
                if agent.reserved_free:
                    noted.reserved = self.use_reserved(agent, framework, resources)
                if self.bounded_roles:
                    self.granted.append((framework, resources))
            if agent.short is not None:
                offer.short = use_short(agent, resources)
        if agent.tried_us == now_us:
            agent.tried |= bit
        else:
            agent.tried_us, agent.tried = now_us, bit
        if ends_us < NEVER_US:
            self.unanswered.append(offer)
        return offer

    def close_offer(self, offer: OfferMade) -> None:
        """Move what an offer holds back to free."""
        agent, framework = self.agents[offer.agent], self.frameworks[offer.framework]
        del self.offers[offer.offer], agent.offers[offer.offer], framework.offers[offer.offer]
        if self.optimistic:
            agent.offered &= ~framework.client.bits
            agent.moved = self.steps
            self.dirty[agent.name] = agent
        else:
            self.give_back(agent, framework, offer.resources, offer.reserved, offer.short)
        self.forget_answered_at_times()

    def forget_answered_at_times(self) -> None:
        """Keep ``unanswered`` from growing with every offer that was ever made."""
        if len(self.unanswered) > 2 * len(self.offers) + 100:
            self.unanswered = deque(self.offers.values())

    def forget_answered(self) -> None:
        """Drop from the front of ``unanswered`` what was answered."""
        while self.unanswered and self.unanswered[0].offer not in self.offers:
            self.unanswered.popleft()

    # -- filters --------------------------------------------------------------------------------------------------

    def add_filter(self, framework: Framework, name: str, refused: Resources, refuse_us: int) -> None:
        """Note a refusal; zero is none, a negative time the default, and none outlasts MAX_REFUSE_US."""
        if refuse_us == 0:
            return
        lasts_us = min(refuse_us if refuse_us > 0 else REFUSE_US, MAX_REFUSE_US)
        until_us = self.now_us + max(lasts_us, self.settings.allocation_interval_us)
        framework.filters[name] = Filter(refused, until_us, self.batches)
        agent, bit = self.agents[name], framework.client.bits
        if not agent.filtered:
            agent.blocked, agent.blocked_of = 0, agent.free
        agent.filtered |= bit
        if agent.blocked_of is agent.free and agent.free <= refused:
            agent.blocked |= bit
        else:
            agent.blocked &= ~bit
        end = (until_us, framework.name)
        if end in self.ends:
            self.ends[end].append(name)
        else:
            self.ends[end] = [name]
            self._timers_made += 1
            heapq.heappush(self.timers, (until_us, self._timers_made, framework.name))

    def drop_filter(self, framework: Framework, name: str) -> None:
        """Forget a refusal."""
        del framework.filters[name]
        agent, bit = self.agents[name], framework.client.bits
        agent.filtered &= ~bit
        agent.blocked &= ~bit

    def drop_filters(self, framework: Framework) -> None:
        """Forget all refusals of a framework."""
        for name in list(framework.filters):
            self.drop_filter(framework, name)

    def timer_speaks(self, timer: tuple[int, int, str]) -> bool:
        """Whether any filter still ends at a timer's time; one that was dropped or renewed leaves its timer behind."""
        until_us, _, name = timer
        framework, agents = self.frameworks.get(name), self.ends.get((until_us, name), [])
        while agents and not (framework and self.ends_at(framework, agents[-1], until_us)):
            agents.pop()
        if not agents:
            self.ends.pop((until_us, name), None)
        return bool(agents)

    def ends_at(self, framework: Framework, agent: str, until_us: int) -> bool:
        """Whether the framework has a filter on that agent that ends at that time."""
        refusal = framework.filters.get(agent)
        return refusal is not None and refusal.until_us == until_us

    # -- tasks ----------------------------------------------------------------------------------------------------

    def spend_offers(
        self,
        agent: Agent,
        framework: Framework,
        offers: list[OfferMade],
        left: Resources,
        launches: tuple[TaskInfo, ...],
    ) -> None:
        """Turn offers of one agent into tasks, and what is ``left`` of them into free resources."""
        # An offer has parts of reservations, or for short tasks, only where there are some.
        paid = not self.optimistic and not (self.bounded and agent.reserved) and agent.short is None
        for offer in offers:
            if paid:  # what the tasks need stays on the framework's account
                del self.offers[offer.offer], agent.offers[offer.offer], framework.offers[offer.offer]
            else:
                self.close_offer(offer)
        if paid and left._amounts:
            self.give_back(agent, framework, left)
        for launch in launches:
            self.start_task(agent, framework, launch, paid=paid)
        self.forget_answered_at_times()

    def start_task(self, agent: Agent, framework: Framework, launch: TaskInfo, *, paid: bool = False) -> None:
        """Enter a new task; what it needs comes from what is free, unless its offer has ``paid`` for it."""
        name, needs = launch.task, launch.needs
        task = Task(name, framework.name, agent.name, needs, TaskState.STAGING, self.now_us)
        self.tasks[name] = agent.tasks[name] = framework.tasks[name] = task
        agent.changes += 1
        agent.moved = self.steps
        if not paid:
            agent.free -= needs
            task.reserved = self.use_reserved(agent, framework, needs)
            task.short = agent.short and use_short(agent, needs, first=launch.short)
            self.order.charge(framework.client, needs)
        for resource, n in needs._amounts.items():
            framework.offset_us[resource] += n * self.now_us
        framework.tallies["launched"] += 1

    def end_task(self, task: Task, state: TaskState) -> None:
        """Move what a task holds back to free, for good, or on to the next one. Flat, for it is done as often as tasks are launched."""
        agent, framework, name, needs = self.agents[task.agent], self.frameworks[task.framework], task.id, task.needs
        del self.tasks[name], agent.tasks[name], framework.tasks[name]
        self.ended[name] = state
        if len(self.ended) > ENDED_KEPT + FORGOTTEN_TOGETHER:
            self._forget_ended()
        if task.killing:
            del self.dying[name]
        agent.changes += 1
        framework.tallies[state._value_] += 1
        if task.next:
            self.hand_on(task, agent, framework)
            return
        self.give_back(agent, framework, needs, task.reserved, task.short)
        now_us, offset_us = self.now_us, framework.offset_us
        for resource, n in needs._amounts.items():
            offset_us[resource] -= n * now_us
        if framework.leaving:
            self.forget_if_gone(framework)

    def hand_on(self, task: Task, agent: Agent, framework: Framework) -> None:
        """Let the task that was launched ahead take over what one held that has ended (ahead.py)."""

    def end_unseen(self, task: str, state: TaskState) -> None:
        """Remember how a task ended, for as long as a repeat may come."""
        self.ended[task] = state
        self._forget_ended()

    def _forget_ended(self) -> None:
        if len(self.ended) > ENDED_KEPT + FORGOTTEN_TOGETHER:
            for name in list(islice(self.ended, FORGOTTEN_TOGETHER)):
                del self.ended[name]

    # -- what several movements share -------------------------------------------------------------------------------

    def give_back(
        self, agent: Agent, framework: Framework, resources: Resources,
        reserved: Reserved | None = None, short: Resources | None = None,
    ) -> None:  # fmt: skip
        """Put resources back to free, off the framework's account, and the parts of them that are kept back there."""
        free = agent.free
        agent.free = free + resources if free._amounts else resources
        agent.moved = self.steps
        self.order.uncharge(framework.client, resources)
        if reserved:
            self.give_back_reserved(agent, reserved)
        if short is not None:
            agent.short_free += short
        if self.on_recovery:
            self.dirty[agent.name] = agent

    def _set_total(self, total: Resources) -> None:
        self.total = total
        self.order.set_total(total)


def each(bits: int) -> Iterator[int]:
    """Yield every bit that is set.

    >>> list(each(0b1010))
    [2, 8]
    """
    while bits:
        bit = bits & -bits
        yield bit
        bits ^= bit


def count(framework: Framework, what: str, times: int = 1) -> None:
    """Count one of the things that a framework did or had done to it."""
    framework.tallies[what] += times
