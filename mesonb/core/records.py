"""What the master keeps in its books: plain records, documented field by field.

Rule: only ``MasterCore.step`` changes a record. Each resource of an agent is in exactly one place: ``free``, in one
offer, or in one task. Offered counts as allocated.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from mesonb.core.order import Client
from mesonb.core.resources import NOTHING, Resources, less

if TYPE_CHECKING:
    from mesonb.core.calls import Subscribe
    from mesonb.core.events import OfferMade


class TaskState(Enum):
    """States of a task; they only move forward."""

    STAGING = "staging"
    RUNNING = "running"
    UNREACHABLE = "unreachable"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    LOST = "lost"

    # Members are singletons, so identity is equality; Enum's own __hash__ costs a Python call per lookup.
    __hash__ = object.__hash__

    @property
    def terminal(self) -> bool:
        """Whether a task in this state has released what it held, for good."""
        return self in TERMINAL


TERMINAL = frozenset({TaskState.FINISHED, TaskState.FAILED, TaskState.KILLED, TaskState.LOST})

#: From each state, where an update may lead. Terminal states lead nowhere; a retry is a new task.
FORWARD: dict[TaskState, frozenset[TaskState]] = {
    TaskState.STAGING: TERMINAL | {TaskState.RUNNING, TaskState.UNREACHABLE},
    TaskState.RUNNING: TERMINAL | {TaskState.UNREACHABLE},
    TaskState.UNREACHABLE: TERMINAL | {TaskState.RUNNING},
    **{state: frozenset() for state in TERMINAL},
}


#: Parts of something that are kept for roles, by role.
Reserved = dict[str, Resources]


@dataclass(slots=True)
class Task:
    """What a framework launched and has not ended yet."""

    id: str
    framework: str
    agent: str
    needs: Resources
    state: TaskState
    since_us: int  #: when it entered this state
    killing: bool = False  #: a kill was asked for
    reserved: Reserved | None = None  #: which part of its needs comes from reservations
    short: Resources | None = None  #: which part of them is kept for short tasks
    asked: bool = False  #: its framework was asked to let it go, and it will be killed
    next: str = ""  #: the task that was launched ahead, and takes over what this one holds when it ends


@dataclass(slots=True)
class Next:
    """A task that was launched ahead. It holds nothing, and is no live task before the one before it has ended."""

    id: str
    framework: str
    agent: str
    after: str
    begun: bool = False  #: its agent said so; the end of the one before is still on its way
    killing: bool = False  #: a kill was asked for
    withdrawn: str = ""  #: why it is taken back, unless it has begun; "": it is not


@dataclass(slots=True)
class Filter:
    """A refusal with an end: ``refused`` or less of one agent is not offered before ``until_us``."""

    refused: Resources
    until_us: int
    batches: int = 0  #: how many batches had run when it began (see pacing)


@dataclass(slots=True)
class Agent:
    """One machine's worth of resources."""

    name: str
    total: Resources
    free: Resources
    joined_us: int
    attributes: tuple[tuple[str, str], ...] = ()
    number: int = 0  #: agents are counted as they join
    min_offer: tuple[Resources, ...] = ()  #: nothing is offered of it until one of these is free
    max_task_us: int = 0  #: it, or ``short`` of it, is for short tasks: they are killed after this; 0: for any
    short: Resources | None = None  #: the part of it that is; None: no part, or all of it
    short_free: Resources = NOTHING  #: part of what is free
    closed: str = ""  #: why it takes no tasks now; "": it does
    closes_us: int = 0  #: when it will take none, because that was announced; 0: no such time is known
    reserved: Reserved = field(default_factory=dict)  #: by role; part of the total
    reserved_free: Reserved = field(default_factory=dict)  #: by role; part of what is free
    offers: dict[str, OfferMade] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    tried_us: int = -1  #: the instant that ``tried`` speaks of
    tried: int = 0  #: frameworks offered this agent in that instant, one bit each
    offered: int = 0  #: optimistic: frameworks that hold an offer of it, one bit each
    changes: int = 0  #: how many tasks have started or ended here
    moved: int = 0  #: the last step in which something of what it holds moved: what a picture must draw anew
    filtered: int = 0  #: frameworks with a filter on this agent, one bit each
    blocked: int = 0  #: those of them known to refuse ``blocked_of``
    blocked_of: Resources | None = None  #: what was free when ``blocked`` was begun


def _zeros() -> defaultdict[str, int]:
    return defaultdict(int)


@dataclass(slots=True)
class Framework:
    """A registered program."""

    name: str
    role: str
    since_us: int
    client: Client  #: its place in the order of whose turn it is; knows what it holds
    terms: Subscribe | None = None  #: what it said when it registered; None: nothing but its name and role
    leaving: bool = False  #: unregistered; kept until its last task has ended
    suppressed: bool = False
    #: By resource, the sum of amount x time of every start less that of every end, so that held_us costs nothing a task.
    offset_us: defaultdict[str, int] = field(default_factory=_zeros)
    offers: dict[str, OfferMade] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    ahead: dict[str, Next] = field(default_factory=dict)  #: launched ahead, those looked at last at the end
    filters: dict[str, Filter] = field(default_factory=dict)  #: by agent
    tallies: defaultdict[str, int] = field(
        default_factory=_zeros
    )  #: offers accepted, declined, rescinded; tasks by last state

    @property
    def all_tasks(self) -> tuple[str, ...]:
        """Its tasks, and those that it launched ahead."""
        return *self.tasks, *self.ahead

    @property
    def counts(self) -> dict[str, int]:
        """Offers made, accepted, declined, rescinded; tasks by last state."""
        return ({"offers_made": self.allocations} if self.allocations else {}) | dict(self.tallies)

    @property
    def allocated(self) -> Resources:
        """What its tasks and its offers hold."""
        return Resources.of(self.client.held)

    @property
    def in_tasks(self) -> Resources:
        """What its tasks hold: all that is on its account, less what its offers do."""
        held = self.client.held.copy()
        for offer in self.offers.values():
            if offer.changes < 0:
                for name, n in offer.resources.amounts.items():
                    held[name] -= n
        return Resources.of(held)

    @property
    def allocations(self) -> int:
        """How often it was given something; never reset (Apache Mesos's tie-break)."""
        return self.client.allocations

    def held_us(self, now_us: int) -> dict[str, int]:
        """By resource, amount x microseconds that its tasks have held so far: the area under its allocation."""
        live = self.in_tasks.amounts
        return {name: live.get(name, 0) * now_us - offset for name, offset in self.offset_us.items()}


@dataclass(slots=True)
class Role:
    """On whose account frameworks run; ``eng/backend`` is a role within ``eng``."""

    name: str
    #: The order's places of roles; one with no framework at or below it has none.
    places: dict[str, Client] = field(repr=False)
    weight_milli: int = 1000
    guarantee: Resources = NOTHING
    limit: Resources | None = None  #: of the resources that it names; None: no limit
    priority: int = 0
    reserved: Resources = NOTHING  #: on all agents, for it and the roles within it
    reserved_used: Resources = NOTHING  #: what of this is offered or runs
    frameworks: dict[str, Framework] = field(default_factory=dict, repr=False)

    @property
    def allocated(self) -> Resources:
        """What its frameworks, and those of the roles within it, hold."""
        place = self.places.get(self.name)
        return Resources.of(place.held) if place else NOTHING

    @property
    def consumed(self) -> Resources:
        """What counts against its guarantee and its limit: its reservations, used or not, and what else it holds."""
        return self.reserved + less(self.allocated, self.reserved_used)  # a framework may have left with some of it


@dataclass(slots=True)
class Grant:
    """An allocator's decision: offer these resources of this agent to this framework."""

    agent: Agent
    framework: Framework
    resources: Resources
