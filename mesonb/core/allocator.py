"""Who is offered what is free next: the interface of an allocation module, its read-only view, and DRF, the default.

An allocator is a generator: it looks at the view and yields one ``Grant`` after another; the master carries each out
before it asks for the next, so shares are always those of this moment. It never changes anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesonb.core.records import Agent, Framework
from mesonb.core.resources import Resources

if TYPE_CHECKING:
    from random import Random

    from mesonb.core.master import MasterCore


@dataclass(frozen=True, slots=True)
class Grant:
    """Offer these resources of this agent to this framework."""

    agent: Agent
    framework: Framework
    resources: Resources


class Allocator:
    """An allocation module. Subclass it, in a cell if you like, and write ``cycle``."""

    def cycle(self, view: View) -> Iterator[Grant]:
        """Yield grants until nobody who wants anything can be given anything."""
        raise NotImplementedError


class DRF(Allocator):
    """Dominant resource fairness: offer each agent with room to whoever is furthest below its weighted share.

    Roles come first, then the frameworks within a role; ties go to fewer allocations so far, then to the name, as in
    Apache Mesos. (Ghodsi et al., NSDI 2011, Algorithm 1, with offers in place of demands.)
    """

    def cycle(self, view: View) -> Iterator[Grant]:
        for agent in view.agents_with_room():
            while hungry := view.wanting(agent):
                yield view.offer(agent, to=min(hungry, key=view.turn))


class View:
    """What an allocator may know, and the only thing it may do: ask for an offer."""

    def __init__(self, core: MasterCore) -> None:
        self._core = core

    @property
    def dice(self) -> Random:
        """The master's seeded dice; use no other, or a run cannot be replayed."""
        return self._core.dice

    def agents_with_room(self) -> Iterator[Agent]:
        """Agents on which something changed and something is free, in order of that change."""
        for name in list(self._core.dirty):
            agent = self._core.agents.get(name)
            if agent and agent.free:
                yield agent

    def wanting(self, agent: Agent) -> list[Framework]:
        """Frameworks that may be offered this agent now; none once nothing is free there."""
        if not agent.free:
            return []
        return [framework for framework in self._core.frameworks.values() if self._core.may_offer(agent, framework)]

    def weighted_share(self, framework: Framework) -> float:
        """The framework's dominant share, divided by its role's weight."""
        return self._share(framework.allocated, self._core.roles[framework.role].weight_milli)

    def turn(self, framework: Framework) -> tuple[float, int, str, float, int, str]:
        """Sorts first whose turn it is: by role, then by framework within the role."""
        role = self._core.roles[framework.role]
        return (
            self._share(role.allocated, role.weight_milli), role.allocations, role.name,
            self._share(framework.allocated, 1000), framework.allocations, framework.name,
        )  # fmt: skip

    def offer(self, agent: Agent, to: Framework) -> Grant:
        """Offer what is free on the agent, whole, or as much as one offer may hold."""
        limit = self._core.settings.offer_size
        return Grant(agent, to, agent.free if limit is None else at_most(agent.free, limit))

    def _share(self, held: Resources, weight_milli: int) -> float:
        have = self._core.total.amounts
        share = 0.0
        for name, n in held.amounts.items():
            if total := have.get(name):
                share = max(share, n * 1000 / (total * weight_milli))
        return share


def at_most(free: Resources, limit: Resources) -> Resources:
    """The part of ``free`` that an offer of at most ``limit`` holds; what the limit does not name comes whole."""
    caps = limit.amounts
    return Resources.of({name: min(n, caps.get(name, n)) for name, n in free.amounts.items()})
