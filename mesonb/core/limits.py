"""Who may be offered what of an agent, and why not: the rules that hold whichever allocator chooses.

Rule: nothing here chooses between frameworks. A set of frameworks is an integer with one bit a framework, so most
refusals cost one ``&`` whatever their number; ``verdict`` gives, for one pair, what it may have or the first reason
against it, and is what ``explain`` asks again. As in Apache Mesos: a role's guarantee is held back as headroom, limits
are charged with its reservations and with all else that it holds or is offered, and offers are cut to fit exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from mesonb.core.books import Books, each, outermost
from mesonb.core.calls import Subscribe
from mesonb.core.order import Client
from mesonb.core.records import Agent, Framework, Grant, Role
from mesonb.core.resources import NOTHING, Resources, at_most, less
from mesonb.core.settings import Settings


class Why(Enum):
    """Why a framework is not offered an agent: the closed list, in the order in which it is looked at."""

    LEFT = "it has left"
    AWAY = "it is disconnected"
    SUPPRESSED = "it asked for no offers"
    PAUSED = "the master is paused"
    AGENT_CLOSED = "the agent takes no tasks"
    CONSTRAINT = "its own terms exclude the agent"
    OWN_OFFER = "it has not answered what it was offered there"
    TURN = "it is another's turn"
    NOTHING_FREE = "nothing is free"
    RESERVED = "what is free is reserved for others"
    TOO_SMALL = "what is free is below the minimum"
    CAPABILITY = "it does not say that it can use gpus"
    LIMIT = "its role is at its limit"
    HEADROOM = "what is free is held back for guarantees"
    FILTER = "it refused as much"
    TRIED = "it was offered this in this very instant"

    __hash__ = object.__hash__


class Limits(Books):
    """The books, and who may be offered what."""

    __slots__ = ("kept_back",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.kept_back: KeptBack | None = None

    # -- whose turn it is, among those who may --------------------------------------------------------------------

    def next_in_line(self, agent: Agent, *, guaranteed: bool = False) -> Grant | None:
        """Return what is offered next of this agent: to whose turn it is among those that may have it now."""
        if not agent.free._amounts:
            return None
        wanted = self.open_to(agent)
        if guaranteed:
            wanted &= self.below_guarantee()
        while wanted:
            client = self.order.first(wanted)
            assert client is not None, "an active framework stands in no line"
            framework = self.by_bit[client.bits]
            if not (self.bounded or framework.terms or agent.filtered & client.bits):
                return Grant(agent, framework, agent.free)  # what portion() would say, and nearly always the case
            part = self.portion(agent, framework, guaranteed=guaranteed)
            if part._amounts:
                return Grant(agent, framework, part)
            wanted &= ~(client.bits | self._shut_out(agent, framework, guaranteed=guaranteed))
        if not guaranteed:
            self._try_again(agent)
        return None

    def _shut_out(self, agent: Agent, framework: Framework, *, guaranteed: bool) -> int:
        """Return all whose outermost role leaves nothing of an agent to any of them: they need not be asked one by one."""
        if not self.bounded_roles or agent.reserved_free:
            return 0
        role = self.roles[outermost(framework.role)]
        part, _ = self._within_bounds(role, agent.free, guaranteed=guaranteed)
        return 0 if part else self.order.places[role.name].bits

    def wanting(self, agent: Agent) -> list[Framework]:
        """Return all frameworks that may be offered this agent now, in order of registration."""
        wanted = self.open_to(agent)
        found = [f for f in self.frameworks.values() if f.client.bits & wanted and self.best_portion(agent, f)]
        if not found and agent.free:
            self._try_again(agent)
        return found

    def open_to(self, agent: Agent) -> int:
        """Return who wants offers, has not been tried here in this instant, and is not known to refuse what is free."""
        free = agent.free
        if not free._amounts or agent.closed:
            return 0
        if agent.blocked_of is not free:
            agent.blocked, agent.blocked_of = 0, free
        return self.active & ~(agent.blocked | self.tried_now(agent) | agent.offered)

    def tried_now(self, agent: Agent) -> int:
        """Return the frameworks that were offered this agent in this very instant, and so are not again."""
        return agent.tried if agent.tried_us == self.now_us and self.on_recovery else 0

    def best_portion(self, agent: Agent, framework: Framework) -> Resources:
        """Return what may be offered: by the guarantee of its role, where that is not met and gives anything."""
        by_guarantee = self._lacks_guarantee(framework) and self.portion(agent, framework, guaranteed=True)
        return by_guarantee or self.portion(agent, framework)

    def portion(self, agent: Agent, framework: Framework, *, guaranteed: bool = False) -> Resources:
        """Return what of the agent may be offered to the framework: all that is free, less, or nothing."""
        part, bit = agent.free, framework.client.bits
        if self.bounded or framework.terms:
            part, why = self.verdict(agent, framework, guaranteed=guaranteed)
            if why:
                return NOTHING
        if agent.filtered & bit:
            refused = framework.filters[agent.name].refused
            if part is refused or part <= refused:
                if part is agent.free:
                    agent.blocked |= bit
                return NOTHING
        return part

    def _try_again(self, agent: Agent) -> None:
        """Look at an agent again in the next instant, if some of those tried in this one would have it."""
        if agent.tried_us == self.now_us and self.on_recovery and not agent.closed:
            for bit in each(agent.tried & self.active & ~(agent.blocked | agent.offered)):
                if self.best_portion(agent, self.by_bit[bit]):
                    self.again[agent.name] = agent
                    return

    # -- one pair -------------------------------------------------------------------------------------------------

    def verdict(self, agent: Agent, framework: Framework, *, guaranteed: bool = False) -> tuple[Resources, Why | None]:
        """Return what a framework may be offered of an agent, before filters, or the first reason why nothing."""
        terms, settings = framework.terms, self.settings
        if terms and not admits(terms, agent):
            return NOTHING, Why.CONSTRAINT
        if not agent.free:
            return NOTHING, Why.NOTHING_FREE
        own, common = self.visible(agent, framework)
        if not own and not common:
            return NOTHING, Why.RESERVED
        least = (terms.min_offer if terms else ()) or settings.min_allocatable
        if not enough(own + common, least) or not enough(own + common, agent.min_offer):
            return NOTHING, Why.TOO_SMALL
        if settings.gpus_on_request and "gpus" in agent.total.amounts and not (terms and "gpus" in terms.capabilities):
            return NOTHING, Why.CAPABILITY
        common, why = self._within_bounds(self.roles[outermost(framework.role)], common, guaranteed=guaranteed)
        part = own + common
        if not part or (why and not enough(part, least)) or (guaranteed and not common):
            return NOTHING, why or Why.TOO_SMALL
        return (at_most(part, settings.offer_size) if settings.offer_size else part), None

    def best_verdict(self, agent: Agent, framework: Framework) -> tuple[Resources, Why | None]:
        """Return the verdict by the guarantee of the framework's role, where that is not met and gives anything."""
        if self._lacks_guarantee(framework):
            part, why = self.verdict(agent, framework, guaranteed=True)
            if not why:
                return part, None
        return self.verdict(agent, framework)

    def cut_by(self, agent: Agent, framework: Framework) -> Why | None:
        """Return what keeps a part of what is free from a framework that may have the rest: its limit, or headroom."""
        _, common = self.visible(agent, framework)
        return self._within_bounds(self.roles[outermost(framework.role)], common, guaranteed=False)[1]

    def visible(self, agent: Agent, framework: Framework) -> tuple[Resources, Resources]:
        """Split what is free into what is reserved for the framework's role, or one around it, and what is no one's."""
        if not agent.reserved_free:
            return NOTHING, agent.free
        own, common = NOTHING, agent.free
        for role, part in agent.reserved_free.items():
            common -= part
            if framework.role == role or framework.role.startswith(f"{role}/"):
                own += part
        return own, common

    def _within_bounds(self, role: Role, common: Resources, *, guaranteed: bool) -> tuple[Resources, Why | None]:
        """Cut what is nobody's to a role's limit and to what need not be held back for others; say which cut it."""
        if not self.bounded_roles:
            return common, None
        consumed, first = role.consumed, NOTHING
        if guaranteed:
            missing = less(role.guarantee, consumed)
            first = at_most(common.only(missing), missing)
            if not first:
                return NOTHING, Why.HEADROOM
        rest, why = common - first, None
        if role.limit is not None:
            room = {
                n: max(0, x - consumed.amounts.get(n, 0) - first.amounts.get(n, 0))
                for n, x in role.limit.amounts.items()
            }
            rest, whole = _cut(rest, room), rest
            why = None if rest == whole else Why.LIMIT
        rest, whole = _cut(rest, self.surplus()), rest
        return first + rest, why if rest == whole else why or Why.HEADROOM

    # -- guarantees -----------------------------------------------------------------------------------------------

    def below_guarantee(self) -> int:
        """Return the frameworks whose outermost role has less than its guarantee."""
        return self._kept_back().below

    def _lacks_guarantee(self, framework: Framework) -> bool:
        return self.bounded_roles and bool(framework.client.bits & self.below_guarantee())

    def surplus(self) -> dict[str, int]:
        """Return, of everything free that nobody has reserved, what need not be held back for guarantees."""
        return {name: max(0, n) for name, n in self._kept_back().left.items()}

    def forget_kept_back(self) -> None:
        """Count anew what is kept back: something other than an offer has changed the books."""
        self.kept_back = None
        self.granted.clear()

    def _kept_back(self) -> KeptBack:
        """Return what is kept back, counted once a cycle and brought up to date with each offer since."""
        kept = self.kept_back
        if kept is None:
            kept = self.kept_back = KeptBack(dict.fromkeys(self.total, 0) | dict(self.free.amounts))
            self.granted.clear()
            for role in self.roles.values():
                if role.guarantee or role.reserved:
                    kept.note(role, self.order.places.get(role.name))
        for framework, part in self.granted:
            for name, n in part.amounts.items():
                kept.left[name] -= n
            role = self.roles[outermost(framework.role)]
            if role.guarantee or role.reserved:
                kept.note(role, self.order.places.get(role.name))
        self.granted.clear()
        return kept


@dataclass(slots=True)
class KeptBack:
    """What is free less what is kept for reservations and guarantees, and whose guarantee is not met."""

    left: dict[str, int]
    parts: dict[str, Resources] = field(default_factory=dict)  #: by role, what is kept for it
    below: int = 0  #: frameworks of roles with less than their guarantee

    def note(self, role: Role, place: Client | None) -> None:
        """Keep for a role what it has reserved and does not use, and what it lacks of its guarantee."""
        missing = less(role.guarantee, role.consumed)
        part = less(role.reserved, role.reserved_used) + missing
        for sign, amounts in ((1, self.parts.get(role.name, NOTHING)), (-1, part)):
            for name, n in amounts.amounts.items():
                self.left[name] = self.left.get(name, 0) + sign * n
        self.parts[role.name] = part
        bits = place.bits if place else 0
        self.below = self.below | bits if missing else self.below & ~bits


def admits(terms: Subscribe, agent: Agent) -> bool:
    """Whether what a framework said when it registered lets it have offers of an agent."""
    if terms.agents and agent.name not in terms.agents:
        return False
    have = dict(agent.attributes)
    return all(_holds(have.get(attribute), asked, value) for attribute, asked, value in terms.constraints)


def _holds(has: str | None, asked: str, value: str) -> bool:
    match asked:
        case "is":
            return has == value
        case "is not":
            return has != value
        case "exists":
            return has is not None
        case _:
            assert asked == "matches", f"{asked} was let in as a constraint"
            return has is not None and re.fullmatch(value, has) is not None


def enough(part: Resources, least: tuple[Resources, ...]) -> bool:
    """Whether one of several minimums is met, where there are any."""
    return not least or any(some <= part for some in least)


def _cut(part: Resources, room: dict[str, int]) -> Resources:
    """Keep of each resource at most what there is room for; what is not named there comes whole."""
    if all(n <= room.get(name, n) for name, n in part.amounts.items()):
        return part
    return part.cut(room)
