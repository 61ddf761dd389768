"""Room that opens for somebody on agents where nothing changed: under a limit, beside guarantees, or by one.

A task that ends on one agent may make room under its role's limit for an offer of another agent, on which nothing has
changed. So with each cycle it is noted how much room there was; where there is more in the next, the agents that it
concerns are looked at too, after those that changed, until the room is used up. Rule: asked only where some role has a
guarantee or a limit; elsewhere it costs the look at one flag. With Apache Mesos's pacing the next batch does it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesonb.core.limits import Limits
from mesonb.core.records import Agent
from mesonb.core.resources import less
from mesonb.core.settings import Settings

#: How much room there is, by what for, whose it is ("": anybody's) and resource.
Room = dict[tuple[str, str, str], int]


class Openings(Limits):
    """The books, who may be offered what, and for whom room has opened."""

    __slots__ = ("room",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.room: Room = {}  #: as the last cycle left it

    def note_room(self) -> None:
        """Keep how much room there is now: who was looked at has had what there was."""
        self.room = self._room()

    def opened_to(self, *, guaranteed: bool = False) -> int:
        """Return, one bit each, who wants offers and has more room than the last cycle left; ``guaranteed``: by a guarantee."""
        bits = 0
        for key, n in self._room().items():
            if n > self.room.get(key, 0):
                place = self.order.places.get(key[1])
                bits |= place.bits if place else 0 if key[1] else self.active
        return bits & self.active & (self.below_guarantee() if guaranteed else -1)

    def concerned(self, agents: list[Agent], *, guaranteed: bool = False) -> Iterator[Agent]:
        """Yield those of some agents that those for whom room has opened may have, for as long as there is more of it."""
        bits, made = self.opened_to(guaranteed=guaranteed), self._offers_made
        for agent in agents:
            if made != self._offers_made:
                bits, made = self.opened_to(guaranteed=guaranteed), self._offers_made
            if not bits:
                return
            if agent.free._amounts and bits & (self.open_to(agent) | self.tried_now(agent)):
                yield agent

    def _room(self) -> Room:
        room = {("beside guarantees", "", name): n for name, n in self.surplus().items()}
        for role in self.roles.values():
            if role.guarantee:
                missing = less(role.guarantee, role.consumed).amounts
                room |= {("by its guarantee", role.name, name): n for name, n in missing.items()}
            if role.limit is not None:
                held = role.consumed.amounts
                room |= {
                    ("under its limit", role.name, n): max(0, x - held.get(n, 0)) for n, x in role.limit.amounts.items()
                }
        return room
