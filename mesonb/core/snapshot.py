"""The small frozen picture that panels and tests read: exact integers, bounded at any cluster size.

A panel reads nothing but snapshots, so it shows a live cluster, a simulation and a recording alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesonb.core.resources import NOTHING, Resources

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


def dominant_share(held: Resources, total: Resources) -> float:
    """The largest fraction that is held of any resource there is."""
    have = total.amounts
    return max((n / have[name] for name, n in held.amounts.items() if have.get(name)), default=0.0)


def take(core: MasterCore, agents_shown: int = AGENTS_SHOWN) -> Snapshot:
    """Picture the core as it is now, naming at most so many agents."""
    agents: list[AgentRow] = []
    shared = core.order.shared
    for agent in core.agents.values():
        if len(agents) == agents_shown:
            break
        offers = tuple(
            OfferRow(o.id, o.framework, o.agent, o.resources, o.made_us, o.expires_us) for o in agent.offers.values()
        )
        tasks = tuple(
            TaskRow(t.id, t.framework, t.needs, t.state.value, t.since_us)
            for t, _ in zip(agent.tasks.values(), range(TASKS_SHOWN), strict=False)
        )
        agents.append(AgentRow(agent.name, agent.total, agent.free, offers, tasks, len(agent.tasks)))
    frameworks = []
    for framework in core.frameworks.values():
        frameworks.append(
            FrameworkRow(
                framework.name, framework.role, framework.suppressed, framework.leaving, framework.allocated,
                framework.allocated - framework.in_tasks,
                dominant_share(framework.allocated, shared),
                dominant_share(framework.in_tasks, shared), framework.held_us(core.now_us),
                dict(framework.counts),
            )
        )  # fmt: skip
    roles = tuple(
        RoleRow(
            role.name,
            role.weight_milli,
            dominant_share(role.allocated, shared),
            tuple(role.frameworks),
            role.guarantee,
            role.limit,
            role.priority,
        )
        for _, role in sorted(core.roles.items())
    )
    return Snapshot(
        core.now_us, core.steps, core.paused, core.total, shared, core.free, len(core.agents), len(core.tasks), len(core.offers),
        tuple(agents), tuple(frameworks), roles, tuple(map(maintained, core.windows.values())),
    )  # fmt: skip


def maintained(window: Window) -> MaintenanceRow:
    """Picture one agent's maintenance."""
    answers = {inverse.framework: inverse.answer or "none yet" for inverse in window.inverses.values()}
    return MaintenanceRow(window.agent, window.start_us, window.end_us, window.begun, window.because, answers)
