"""Allocation modules beside DRF, and what a module of your own may look like: each is a few lines.

Rule: chance comes from ``view.dice`` alone, so a run with any of these can be replayed. Give one to ``mb.Master``,
``mb.Simulation`` or ``mb.compare``, or swap it on a running master: ``master.allocator = mb.Lottery()``.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesonb.core.allocator import DRF, Allocator, View
from mesonb.core.records import Framework, Grant


class StrictPriority(Allocator):
    """Offer first to the roles of the highest priority; within one priority, as DRF does. (Mesos paper, 3.3)"""

    def cycle(self, view: View) -> Iterator[Grant]:
        """Yield grants, the highest priority first."""
        for agent in view.agents_with_room():
            while hungry := view.wanting(agent):
                yield view.offer(
                    agent, to=min(hungry, key=lambda framework: (-view.priority(framework), view.turn(framework)))
                )


class Lottery(Allocator):
    """Offer to one drawn by lot, each framework with as many tickets as its role has weight.

    Frameworks that prefer different agents then find theirs with nobody knowing what they prefer. (Mesos paper, 4.3)
    """

    def cycle(self, view: View) -> Iterator[Grant]:
        """Yield grants by lot."""
        for agent in view.agents_with_room():
            while hungry := view.wanting(agent):
                yield view.offer(
                    agent, to=view.dice.choices(hungry, [view.weight(framework) for framework in hungry])[0]
                )


class WeightedRandom(Allocator):
    """Draw a role by its weight, then any framework of it: Apache Mesos's random sorter."""

    def cycle(self, view: View) -> Iterator[Grant]:
        """Yield grants, each to a role drawn by weight."""
        for agent in view.agents_with_room():
            while hungry := view.wanting(agent):
                roles: dict[str, list[Framework]] = {}
                for framework in hungry:
                    roles.setdefault(framework.role, []).append(framework)
                drawn = view.dice.choices(list(roles), [view.weight(members[0]) for members in roles.values()])[0]
                yield view.offer(agent, to=view.dice.choice(roles[drawn]))


class RoundRobin(Allocator):
    """Offer to each in turn: next is who was given something longest ago."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}  #: by framework, the number of the last grant to it
        self._number = 0

    def cycle(self, view: View) -> Iterator[Grant]:
        """Yield grants, one framework after the other."""
        for agent in view.agents_with_room():
            while hungry := view.wanting(agent):
                framework = min(hungry, key=lambda framework: self._given.get(framework.name, 0))
                self._number += 1
                self._given[framework.name] = self._number
                yield view.offer(agent, to=framework)


class FIFO(Allocator):
    """Offer everything to who registered first; the next has what that one refuses."""

    def cycle(self, view: View) -> Iterator[Grant]:
        """Yield grants, in order of registration."""
        for agent in view.agents_with_room():
            while hungry := view.wanting(agent):
                yield view.offer(agent, to=hungry[0])


#: mesonb's own allocation modules by name.
MODULES: dict[str, type[Allocator]] = {
    kind.__name__: kind for kind in (DRF, StrictPriority, Lottery, WeightedRandom, RoundRobin, FIFO)
}
