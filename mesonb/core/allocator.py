"""Who is offered what is free next: the interface of an allocation module, its read-only view, and DRF, the default.

An allocator is a generator: it looks at the view and yields one ``Grant`` after another; the master carries each out
before it asks for the next, so shares are always those of this moment. It never changes anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from mesonb.core.records import Agent, Framework, Grant
from mesonb.core.resources import NOTHING

__all__ = ["DRF", "Allocator", "Grant", "View"]

if TYPE_CHECKING:
    from random import Random

    from mesonb.core.pacing import Pacing


class Allocator:
    """An allocation module. Subclass it, in a cell if you like, and write ``cycle``."""

    #: It offers an agent to whoever ``View.next_in_line`` names, so that may be asked what it would do.
    in_turn: ClassVar[bool] = False

    def cycle(self, view: View) -> Iterator[Grant]:
        """Yield grants until nobody who wants anything can be given anything."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class DRF(Allocator):
    """Dominant resource fairness: offer each agent with room to whoever is furthest below its weighted share.

    Roles come first, then the frameworks within a role; ties go to fewer allocations so far, then to the name, as in
    Apache Mesos. (Ghodsi et al., NSDI 2011, Algorithm 1, with offers in place of demands.) Where roles have guarantees,
    those that have less come first, with no more than they lack, or what nobody else is guaranteed.
    """

    in_turn = True

    def cycle(self, view: View) -> Iterator[Grant]:
        if view.guarantees:
            for agent in view.agents_with_room(guaranteed=True):
                while grant := view.next_in_line(agent, guaranteed=True):
                    yield grant
        for agent in view.agents_with_room():
            while agent.free is not NOTHING and (grant := view.next_in_line(agent)):
                yield grant


class View:
    """What an allocator may know, and the only thing it may do: ask for an offer."""

    def __init__(self, core: Pacing) -> None:
        self._core = core
        #: The grant that is next on an agent by weighted dominant share, or None: DRF's whole choice.
        self.next_in_line = core.next_in_line
        #: Frameworks that may be offered an agent now, in order of registration; none once nothing is free there.
        self.wanting = core.wanting
        #: Agents with something free on which something changed, or of which somebody may have more than before, in the
        #: order that the settings ask for; ``guaranteed``: by a guarantee.
        self.agents_with_room = core.agents_with_room

    @property
    def dice(self) -> Random:
        """The master's seeded dice; use no other, or a run cannot be replayed."""
        return self._core.dice

    @property
    def guarantees(self) -> bool:
        """Whether some role has less than it is guaranteed."""
        return bool(self._core.bounded_roles and self._core.below_guarantee())

    def weighted_share(self, framework: Framework) -> float:
        """Return the framework's dominant share, divided by its role's weight."""
        self._core.order.settle()
        weight_milli = self._core.roles[framework.role].weight_milli
        return self._core.order.share(framework.client) * 1_000_000 / weight_milli

    def weight(self, framework: Framework) -> int:
        """Return the weight of the framework's role, in thousandths."""
        return self._core.roles[framework.role].weight_milli

    def priority(self, framework: Framework) -> int:
        """Return the priority of the framework's role."""
        return self._core.roles[framework.role].priority

    def turn(self, framework: Framework) -> tuple[tuple[float, int, str], ...]:
        """Sorts first whose turn it is: by role, from the outermost inwards, then by framework within the role."""
        order = self._core.order
        order.settle()
        above = [(order.share(place), place.allocations, place.path) for place in framework.client.above()]
        return tuple(reversed(above))

    def offer(self, agent: Agent, to: Framework) -> Grant:
        """Offer what is free on the agent, whole, or as much as the framework may have."""
        return Grant(agent, to, self._core.best_portion(agent, to))
