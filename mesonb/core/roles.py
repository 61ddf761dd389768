"""What an operator says of roles: weight, guarantee, limit, priority, and reservations on agents.

Guarantees and limits belong to outermost roles, as in Apache Mesos, and cover the roles within them. Each method
checks first and raises ``Wrong`` before it has changed anything.
"""

from __future__ import annotations

from mesonb.core import calls
from mesonb.core.books import Wrong, add_up, outermost
from mesonb.core.events import Event
from mesonb.core.pacing import Pacing
from mesonb.core.records import Agent
from mesonb.core.resources import NOTHING, Resources, less


class Roles(Pacing):
    """The books, with what is said of roles."""

    __slots__ = ()

    def set_weight(self, call: calls.SetWeight) -> None:
        """Weigh a role from now on."""
        if call.weight_milli <= 0:
            raise Wrong(f"a weight is more than zero, not {call.weight_milli / 1000:g}")
        self.check_role(call.role)
        self.role(call.role).weight_milli = call.weight_milli
        self.order.weigh(call.role, call.weight_milli)
        self._rules_changed()

    def set_guarantee(self, call: calls.SetGuarantee) -> list[Event]:
        """Hold back what a role is guaranteed, from now on."""
        self._check_outermost(call.role)
        self._check_counted(call.guarantee)
        others = add_up(role.guarantee for role in self.roles.values() if role.name != call.role)
        said = self.roles[call.role].guarantee if call.role in self.roles else NOTHING
        lowered = call.guarantee <= said  # less may be said at any time, even where agents were lost meanwhile
        if self.agents and not lowered and not call.guarantee + others <= self.total:
            short = self.total.missing_for(call.guarantee + others)
            raise Wrong(
                f"all guarantees together would be {short} more than there is; guarantee less, or add agents first"
            )
        limit = self.roles[call.role].limit if call.role in self.roles else None
        if limit is not None and any(n > limit.amounts.get(name, n) for name, n in call.guarantee.amounts.items()):
            raise Wrong(f"the guarantee is above the limit of {call.role}, {limit}; raise the limit first")
        self.role(call.role).guarantee = call.guarantee
        return self._rules_changed()

    def set_limit(self, call: calls.SetLimit) -> list[Event]:
        """Let a role have no more than this, from now on; of nothing: it has no limit any more."""
        self._check_outermost(call.role)
        self._check_counted(call.limit)
        role = self.roles.get(call.role)
        caps = call.limit.amounts
        if role and not call.force and call.limit:
            above = {n: x for n, x in role.consumed.amounts.items() if x > caps.get(n, x)}
            if above:
                raise Wrong(
                    f"{call.role} has {Resources.of(above)} already, above that limit; "
                    f"limits.force({call.role!r}, ...) sets it all the same"
                )
        if role and any(n > caps.get(name, n) for name, n in role.guarantee.amounts.items()):
            raise Wrong(f"the limit is below the guarantee of {call.role}, {role.guarantee}; lower the guarantee first")
        self.role(call.role).limit = call.limit or None
        return self._rules_changed()

    def set_priority(self, call: calls.SetPriority) -> list[Event]:
        """Give a role a priority."""
        self.check_role(call.role)
        self.role(call.role).priority = call.priority
        return self._rules_changed()

    def reserve(self, call: calls.Reserve) -> list[Event]:
        """Keep some of what is free on an agent for a role."""
        agent = self._reservable(call)
        if call.out_of:
            part = self._take_reserved(agent, call.out_of, call.resources)
        else:
            unreserved = less(agent.free, add_up(agent.reserved_free.values()))
            if not call.resources <= unreserved:
                raise Wrong(f"{agent.name} has {unreserved} free and unreserved; {call.resources} cannot be reserved")
            part = unreserved.pick(call.resources)
        return self._add_reserved(agent, call.role, part)

    def unreserve(self, call: calls.Unreserve) -> list[Event]:
        """Give some of what is free of a reservation back."""
        agent = self._reservable(call)
        part = self._take_reserved(agent, call.role, call.resources)
        return self._add_reserved(agent, call.out_of, part) if call.out_of else self._rules_changed()

    def check_role(self, name: str) -> None:
        """Raise Wrong if this cannot be the name of a role."""
        if not all(part and part != "." for part in name.split("/")):
            raise Wrong(
                f"{name!r} names no role; write 'eng', or 'eng/backend' for a role within it; the default is '*'"
            )

    # -- what these share -----------------------------------------------------------------------------------------

    def _rules_changed(self) -> list[Event]:
        """See to it that the next cycle goes by the new rules; nothing follows at once."""
        roles, settings = self.roles.values(), self.settings
        self.bounded_roles = any(role.guarantee or role.limit is not None for role in roles)
        special = any(agent.reserved or agent.min_offer for agent in self.agents.values())
        by_settings = settings.offer_size or settings.min_allocatable or settings.gpus_on_request
        self.bounded = bool(self.bounded_roles or special or by_settings)
        self.doubted = bool(self.ahead)
        if self.on_recovery:
            self.all_changed()
        return []

    def _check_outermost(self, name: str) -> None:
        self.check_role(name)
        if "/" in name:
            raise Wrong(
                f"guarantees and limits belong to outermost roles; say it of {outermost(name)!r}, for all roles within it"
            )

    def _check_counted(self, amount: Resources) -> None:
        if which := ", ".join(amount.which):
            raise Wrong(f"guarantees and limits say how many {which}, on whatever agent, not which; give a number")

    def _reservable(self, call: calls.Reserve | calls.Unreserve) -> Agent:
        self.check_role(call.role)
        if call.agent not in self.agents:
            raise Wrong(f"no agent is called {call.agent!r}; there are: {', '.join(list(self.agents)[:10]) or 'none'}")
        if not call.resources:
            raise Wrong("say how much: resources=mb.Resources(cpus=1)")
        if call.out_of and not call.role.startswith(f"{call.out_of}/"):
            raise Wrong(f"{call.role} is not within {call.out_of}; a reservation is refined for a role within its own")
        return self.agents[call.agent]

    def _take_reserved(self, agent: Agent, role: str, asked: Resources) -> Resources:
        """Take some of a reservation that is free, and return which."""
        free = agent.reserved_free.get(role, NOTHING)
        if not asked <= free:
            raise Wrong(f"{free} is free of what {agent.name} has reserved for {role}; not {asked}")
        part = free.pick(asked)
        agent.reserved[role] -= part
        agent.reserved_free[role] = free - part
        self.roles[outermost(role)].reserved -= part.counted
        for parts in (agent.reserved, agent.reserved_free):
            if not parts[role]:
                del parts[role]
        return part

    def _add_reserved(self, agent: Agent, role: str, part: Resources) -> list[Event]:
        self.role(role)
        self.roles[outermost(role)].reserved += part.counted
        for parts in (agent.reserved, agent.reserved_free):
            parts[role] = parts.get(role, NOTHING) + part
        return self._rules_changed()
