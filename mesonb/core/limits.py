"""Who may be offered what is free on an agent, and how long not: suppression, filters, one try an instant.

Rule: nothing here chooses between frameworks; that is the allocator's. Each set of frameworks is an integer with one
bit a framework, so most refusals cost one ``&`` whatever their number.
"""

from __future__ import annotations

from mesonb.core.books import Books, each
from mesonb.core.records import Agent, Framework, Grant
from mesonb.core.resources import NOTHING, Resources


class Limits(Books):
    """The books, and who may be offered what."""

    def next_in_line(self, agent: Agent) -> Grant | None:
        """Return what is offered next of this agent: to whose turn it is among those that may have it now."""
        if not agent.free._amounts:
            return None
        wanted = self.open_to(agent)
        while wanted:
            client = self.order.first(wanted)
            assert client is not None, "an active framework stands in no line"
            framework = self.by_bit[client.bits]
            part = self.portion(agent, framework)
            if part._amounts:
                return Grant(agent, framework, part)
            wanted &= ~client.bits
        self._try_again(agent)
        return None

    def wanting(self, agent: Agent) -> list[Framework]:
        """Return all frameworks that may be offered this agent now, in order of registration."""
        wanted = self.open_to(agent)
        found = [f for f in self.frameworks.values() if f.client.bits & wanted and self.portion(agent, f)]
        if not found and agent.free:
            self._try_again(agent)
        return found

    def open_to(self, agent: Agent) -> int:
        """Return who wants offers, has not been tried here in this instant, and is not known to refuse what is free."""
        free = agent.free
        if not free._amounts:
            return 0
        if agent.blocked_of is not free:
            agent.blocked, agent.blocked_of = 0, free
        tried = agent.tried if agent.tried_us == self.now_us else 0
        return self.active & ~(agent.blocked | tried)

    def portion(self, agent: Agent, framework: Framework) -> Resources:
        """Return what of the agent may be offered to the framework: all that is free, less, or nothing."""
        free, size = agent.free, self.settings.offer_size
        part = free if size is None else at_most(free, size)
        bit = framework.client.bits
        if agent.filtered & bit:
            refused = framework.filters[agent.name].refused
            if part is refused or part <= refused:
                if part is free:
                    agent.blocked |= bit
                return NOTHING
        return part

    def _try_again(self, agent: Agent) -> None:
        """Look at an agent again in the next instant, if some of those tried in this one would have it."""
        if agent.tried_us == self.now_us:
            for bit in each(agent.tried & self.active & ~agent.blocked):
                if self.portion(agent, self.by_bit[bit]):
                    self.again[agent.name] = None
                    return


def at_most(free: Resources, limit: Resources) -> Resources:
    """Return the part of ``free`` that an offer of at most ``limit`` holds; what the limit does not name comes whole."""
    if free <= limit:
        return free
    caps = limit.amounts
    return Resources.of({name: min(n, caps.get(name, n)) for name, n in free.amounts.items()})
