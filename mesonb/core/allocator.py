"""Who is offered what is free next: the interface of an allocation module, its read-only view, and DRF, the default.

An allocator is a generator: it looks at the view and yields one ``Grant`` after another; the master carries each out
before it asks for the next, so shares are always those of this moment. It never changes anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mesonb.core.records import Agent, Framework, Grant

__all__ = ["DRF", "Allocator", "Grant", "View"]

if TYPE_CHECKING:
    from random import Random

    from mesonb.core.limits import Limits


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
            while grant := view.next_in_line(agent):
                yield grant


class View:
    """What an allocator may know, and the only thing it may do: ask for an offer."""

    def __init__(self, core: Limits) -> None:
        self._core = core
        #: The grant that is next on an agent by weighted dominant share, or None: DRF's whole choice.
        self.next_in_line = core.next_in_line
        #: Frameworks that may be offered an agent now, in order of registration; none once nothing is free there.
        self.wanting = core.wanting

    @property
    def dice(self) -> Random:
        """The master's seeded dice; use no other, or a run cannot be replayed."""
        return self._core.dice

    def agents_with_room(self) -> Iterator[Agent]:
        """Yield agents on which something changed and something is free, in order of that change."""
        agents = self._core.agents
        for name in list(self._core.dirty):
            if name in agents and agents[name].free._amounts:
                yield agents[name]

    def weighted_share(self, framework: Framework) -> float:
        """Return the framework's dominant share, divided by its role's weight."""
        weight_milli = self._core.roles[framework.role].weight_milli
        return self._core.order.share(framework.client) * 1_000_000 / weight_milli

    def turn(self, framework: Framework) -> tuple[tuple[float, int, str], ...]:
        """Sorts first whose turn it is: by role, from the outermost inwards, then by framework within the role."""
        order = self._core.order
        above = [(order.share(place), place.allocations, place.path) for place in framework.client.above()]
        return tuple(reversed(above))

    def offer(self, agent: Agent, to: Framework) -> Grant:
        """Offer what is free on the agent, whole, or as much as the framework may have."""
        return Grant(agent, to, self._core.portion(agent, to))
