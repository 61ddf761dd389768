"""Parts of agents that are kept: for roles, and for short tasks. Who takes some of them, and how it comes back.

A part is some of an agent's total. What of it is free stands beside what is free of the agent, and every offer and task
says which part of what it holds is of it. Rule: the two kinds know nothing of each other; what may be taken from where is
checked elsewhere, and here every resource is only moved.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesonb.core.records import Agent, Framework, Reserved, Role
from mesonb.core.resources import NOTHING, Resources, less, shared_part


class Parts:
    """The parts of agents, as the books keep them."""

    __slots__ = ()

    roles: dict[str, Role]

    # -- for roles ------------------------------------------------------------------------------------------------

    def use_reserved(self, agent: Agent, framework: Framework, needs: Resources) -> Reserved | None:
        """Take as much as can be from reservations: of the framework's own role first, then of those around it.

        A task that is adopted may need what is reserved for others by now: then it has that.
        """
        if not agent.reserved_free:
            return None
        used: Reserved = {}
        mine = [
            role for role in sorted(agent.reserved_free, reverse=True) if f"{framework.role}/".startswith(f"{role}/")
        ]
        for role in mine:
            needs = less(needs, self._use(agent, role, needs, used))
        for role in list(agent.reserved_free):
            self._use(agent, role, less(add_up(agent.reserved_free.values()), agent.free), used)
        agent.reserved_free = {role: part for role, part in agent.reserved_free.items() if part}
        return used

    def _use(self, agent: Agent, role: str, needs: Resources, used: Reserved) -> Resources:
        part = shared_part(agent.reserved_free[role], needs)
        if part:
            used[role] = used.get(role, NOTHING) + part
            agent.reserved_free[role] -= part
            self.roles[outermost(role)].reserved_used += part.counted
        return part

    def give_back_reserved(self, agent: Agent, reserved: Reserved) -> None:
        """Put back what was taken from reservations."""
        for role, part in reserved.items():
            agent.reserved_free[role] = agent.reserved_free.get(role, NOTHING) + part
            self.roles[outermost(role)].reserved_used -= part.counted


# -- for short tasks --------------------------------------------------------------------------------------------------


def use_short(agent: Agent, needs: Resources, *, first: bool = False) -> Resources | None:
    """Take what is kept for short tasks: ``first``, or only so much as is not free any more without it."""
    part = shared_part(agent.short_free, needs) if first else less(agent.short_free, agent.free)
    agent.short_free -= part
    return part or None


# -- sums -------------------------------------------------------------------------------------------------------------


def add_up(amounts: Iterable[Resources]) -> Resources:
    """Add up vectors of resources."""
    total = NOTHING
    for part in amounts:
        total = total + part if total._amounts else part
    return total


def outermost(role: str) -> str:
    """Return the role that contains this one and is in no other.

    >>> outermost("eng/backend"), outermost("*")
    ('eng', '*')
    """
    return role.partition("/")[0]
