"""The small frozen picture that panels and tests read: exact integers, bounded at any cluster size.

A panel reads nothing but snapshots, so it shows a live cluster, a simulation and a recording alike. Rule: rows are never
changed, and what has not moved keeps its row: whoever draws can tell by identity what to draw anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mesonb.core.records import Agent, Framework, Role
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.spots import NOBODY, Spots, all_spots, spots_since

__all__ = ["NOBODY", "Snapshot", "Spots", "take"]

if TYPE_CHECKING:
    from mesonb.core.maintenance import Window
    from mesonb.core.master import MasterCore

#: How many agents, and how many tasks or offers of one agent, a snapshot names; the counts cover all of them.
AGENTS_SHOWN = 1000
TASKS_SHOWN = 64


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One live task on an agent."""

    task: str
    framework: str
    needs: Resources
    state: str
    since_us: int


@dataclass(frozen=True, slots=True)
class OfferRow:
    """One outstanding offer."""

    offer: str
    framework: str
    agent: str
    resources: Resources
    made_us: int
    expires_us: int


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent: total = free + offered + what its tasks hold."""

    agent: str
    total: Resources
    free: Resources
    offers: tuple[OfferRow, ...]
    tasks: tuple[TaskRow, ...]  #: the first TASKS_SHOWN
    task_count: int


@dataclass(frozen=True, slots=True)
class FrameworkRow:
    """One framework; ``share`` is its dominant share (0..1), of tasks and offers together."""

    framework: str
    role: str
    suppressed: bool
    leaving: bool
    allocated: Resources  #: in tasks and offers
    offered: Resources  #: in offers alone
    share: float
    task_share: float  #: dominant share of its tasks alone
    held_us: Mapping[str, int]  #: by resource, amount x microseconds that its tasks have held so far
    counts: Mapping[str, int]  #: offers_made, accepted, declined, rescinded; tasks by state


@dataclass(frozen=True, slots=True)
class RoleRow:
    """One role; ``share`` is its dominant share before weighting."""

    role: str
    weight_milli: int
    share: float
    frameworks: tuple[str, ...]
    guarantee: Resources = NOTHING
    limit: Resources | None = None  #: None: no limit
    priority: int = 0


@dataclass(frozen=True, slots=True)
class MaintenanceRow:
    """One agent that is, or will be, under maintenance."""

    agent: str
    start_us: int
    end_us: int  #: 0: when an operator says so
    begun: bool
    because: str
    answers: Mapping[str, str]  #: of each framework that was asked to leave: "accepted", "declined" or "none yet"


#: By framework and resource, the part (0..1) of all there is.
Parts = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole cluster at one instant."""

    now_us: int
    steps: int  #: how many calls the master has taken; unchanged means nothing changed
    paused: bool
    total: Resources
    shared: Resources  #: what shares are of: the total, without what counts for nobody's
    free: Resources
    agent_count: int
    task_count: int
    offer_count: int
    agents: tuple[AgentRow, ...]  #: the first AGENTS_SHOWN, in order of joining
    frameworks: tuple[FrameworkRow, ...]  #: in order of registration
    roles: tuple[RoleRow, ...]  #: by name
    maintenance: tuple[MaintenanceRow, ...] = ()  #: in the order in which it was planned
    agents_joined: int = 0  #: how many ever have; with ``agent_count`` it tells whether they are the same agents
    spots: Spots | None = None  #: all agents instead of the first, where that was asked for and there are more
    #: What is really used, where that is measured: by agent, then by task; an agent's own part is under "".
    used: Mapping[str, Mapping[str, Resources]] | None = None

    @property
    def parts_in_tasks(self) -> Parts:
        """Of each framework, the part of each resource that its tasks hold."""
        return {row.framework: parts_of(row.allocated - row.offered, self.total) for row in self.frameworks}


def parts_of(held: Resources, total: Resources) -> dict[str, float]:
    """Return the fraction that is held of each resource there is."""
    have = total.amounts
    return {name: n / have[name] for name, n in held.amounts.items() if have.get(name)}


def dominant_share(held: Resources, total: Resources) -> float:
    """The largest fraction that is held of any resource there is."""
    return max(parts_of(held, total).values(), default=0.0)


def take(
    core: MasterCore, agents_shown: int = AGENTS_SHOWN, before: Snapshot | None = None, *, spots: bool = False,
    at_once: int = 0,
) -> Snapshot:  # fmt: skip
    """Picture the core as it is now, naming at most so many agents; with ``spots``, more than these are all shown in brief.

    ``before`` is an earlier picture of the same core: what has not moved since is not pictured again but taken from
    there, the very same rows, so that a picture costs what has changed. With ``at_once``, no more spots than so many are
    pictured again: the others are ``Spots.behind``, and come first next time.
    """
    if before is not None and before.steps > core.steps:
        before = None  # it has gone back in time: what was true later says nothing
    brief = spots and len(core.agents) > agents_shown
    shared = core.order.shared
    return Snapshot(
        core.now_us, core.steps, core.paused, core.total, shared, core.free, len(core.agents), len(core.tasks), len(core.offers),
        () if brief else _rows(core, agents_shown, before),
        tuple(_framework_row(core, framework) for framework in core.frameworks.values()),
        tuple(_role_row(role, shared) for _, role in sorted(core.roles.items())),
        tuple(map(maintained, core.windows.values())), core._agents_joined,
        _spots(core, before, at_once) if brief else None,
    )  # fmt: skip


def _rows(core: MasterCore, shown: int, before: Snapshot | None) -> tuple[AgentRow, ...]:
    """Picture the first so many agents; those that have not moved since ``before`` keep their rows."""
    agents = core.agents.values()
    if before is None or not before.agents:
        return tuple([_agent_row(agent) for agent in islice(agents, shown)])
    since, rows = before.steps, before.agents
    if len(rows) == min(shown, len(agents)) and same_agents(core, before):
        pairs = zip(agents, rows, strict=False)
        return tuple([row if agent.moved <= since else _agent_row(agent) for agent, row in pairs])
    known = {row.agent: row for row in rows}
    return tuple(
        [
            known[agent.name] if agent.moved <= since and agent.name in known else _agent_row(agent)
            for agent in islice(agents, shown)
        ]
    )


def same_agents(core: MasterCore, before: Snapshot) -> bool:
    """Whether nobody has joined or left since an earlier picture of the same core."""
    return before.agents_joined == core._agents_joined and before.agent_count == len(core.agents)


def _agent_row(agent: Agent) -> AgentRow:
    offers = tuple(
        OfferRow(o.id, o.framework, o.agent, o.resources, o.made_us, o.expires_us) for o in agent.offers.values()
    )
    tasks = tuple(
        TaskRow(t.id, t.framework, t.needs, t.state._value_, t.since_us)
        for t in islice(agent.tasks.values(), TASKS_SHOWN)
    )
    return AgentRow(agent.name, agent.total, agent.free, offers, tasks, len(agent.tasks))


def _role_row(role: Role, shared: Resources) -> RoleRow:
    return RoleRow(
        role.name, role.weight_milli, dominant_share(role.allocated, shared), tuple(role.frameworks), role.guarantee,
        role.limit, role.priority,
    )  # fmt: skip


def _framework_row(core: MasterCore, framework: Framework) -> FrameworkRow:
    shared = core.order.shared
    return FrameworkRow(
        framework.name, framework.role, framework.suppressed, framework.leaving, framework.allocated,
        framework.allocated - framework.in_tasks,
        dominant_share(framework.allocated, shared),
        dominant_share(framework.in_tasks, shared), framework.held_us(core.now_us),
        dict(framework.counts),
    )  # fmt: skip


def _spots(core: MasterCore, before: Snapshot | None, at_once: int) -> Spots:
    """Picture all agents in brief; those that have not moved since ``before`` are copied with the columns."""
    places = {name: place for place, name in enumerate(core.frameworks)}
    old = before.spots if before else None
    if before and old and same_agents(core, before) and [row.framework for row in before.frameworks] == list(places):
        return spots_since(core, old, before.steps, at_once)
    return all_spots(core)


def maintained(window: Window) -> MaintenanceRow:
    """Picture one agent's maintenance."""
    answers = {inverse.framework: inverse.answer or "none yet" for inverse in window.inverses.values()}
    return MaintenanceRow(window.agent, window.start_us, window.end_us, window.begun, window.because, answers)
