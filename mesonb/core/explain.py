"""Why: one sentence, counted reasons with an example each, and what to do about them.

Rule: nothing is guessed and nothing is remembered: the same predicates that the cycle asks (``Limits.verdict``, filters,
bits) are asked again of the books as they are now, so an explanation cannot disagree with a decision. A remedy is true:
its calls, sent, remove that reason. Agents with nothing free cost a glance each, the others one verdict
(docs/decisions/012).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mesonb.core import calls
from mesonb.core.branches import Branches as Core
from mesonb.core.branches import owner_of
from mesonb.core.limits import Why
from mesonb.core.records import Agent, Framework
from mesonb.core.remedies import cure, dominant, subscribed
from mesonb.core.resources import NOTHING, less
from mesonb.core.units import counted, show_duration


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason against offers: on how many agents, one of them, more about it, and what removes it."""

    why: Why
    detail: str = ""
    remedy: str = ""  #: as a person would type or do it
    calls: tuple[calls.Call, ...] = ()  #: the same for the core, where calls can do it
    count: int = 1
    example: str = ""  #: an agent; "" where it is about no agent
    whose: str = ""  #: the framework it stands against, where reasons of several stand together

    def __str__(self) -> str:
        several = f"{self.count:,} agents, e.g. {self.example}"
        where = f" ({self.example if self.count == 1 else several})" if self.example else ""
        return f"{self.whose}: " * bool(self.whose) + self.why.value + f": {self.detail}" * bool(self.detail) + where


@dataclass(frozen=True, slots=True)
class Explanation:
    """What stands in the way of a framework, a role, a task, an offer or an agent; its text is one sentence."""

    about: str
    sentence: str
    reasons: tuple[Reason, ...] = ()

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to do, one line a reason."""
        return tuple(dict.fromkeys(reason.remedy for reason in self.reasons if reason.remedy))

    def saying(self, why: Why, detail: str, remedy: str) -> Explanation:
        """Return the same with more about one reason than the books know: what only its framework can change."""
        said = (replace(one, detail=detail, remedy=remedy, calls=()) if one.why is why else one for one in self.reasons)
        return replace(self, sentence=self.sentence.replace(why.value, f"{why.value}: {detail}"), reasons=tuple(said))

    def adding(self, said: str) -> Explanation:
        """Return the same with something that is no reason of the books, but worth knowing."""
        return replace(self, sentence=f"{self.sentence}; {said}") if said else self

    def __repr__(self) -> str:
        return "\n".join([self.sentence, *(f"  -> {remedy}" for remedy in self.remedies)])


def explain(core: Core, name: str, agent: str = "") -> Explanation | None:
    """Explain whatever is called so, or one framework on one agent; None where nothing is."""
    if name in core.frameworks:
        told = [_framework(core, record, core.agents.get(agent)) for record in core.family(name)]
        return told[0] if len(told) == 1 else _in_roles(core, name, told)
    if name in core.agents:
        return _agent(core, core.agents[name])
    if name in core.offers:
        offer = core.offers[name]
        ends = f"; it ends in {show_duration(offer.expires_us - core.now_us)}" if core.settings.offer_timeout_us else ""
        return Explanation(
            name, f"{name} holds {offer.resources} of {offer.agent} for {offer.framework}, not answered yet{ends}"
        )
    if name in core.tasks:
        task = core.tasks[name]
        since, killing = show_duration(core.now_us - task.since_us), "; a kill was asked for" if task.killing else ""
        return Explanation(
            name, f"{name} is {task.state.value} on {task.agent} since {since}, holding {task.needs}{killing}"
        )
    if name in core.ahead:
        after = core.ahead[name].after
        return Explanation(name, f"{name} begins on {core.tasks[after].agent} when {after} ends, with what that holds")
    if name in core.ended:
        return Explanation(name, f"{name} has ended: {core.ended[name].value}")
    return _role(core, name) if name in core.roles else None


def _in_roles(core: Core, name: str, told: list[Explanation]) -> Explanation:
    """Explain a framework in several roles: one after the other."""
    roles = [record.role for record in core.family(name)]
    sentence = "; ".join(f"in {role}: {one.sentence}" for role, one in zip(roles, told, strict=True))
    return Explanation(told[0].about, sentence, tuple(reason for one in told for reason in one.reasons))


def why_not(core: Core, framework: Framework, agent: Agent | None = None) -> Reason | None:
    """Return the first reason why a framework is not offered an agent, or any; None: it is, once its turn comes."""
    reason, owner = _why_not(core, framework, agent), owner_of(framework.name)
    several = owner in core.families or owner != framework.name
    return _addressed(core, framework, owner, reason) if reason and several else reason


def _addressed(core: Core, framework: Framework, owner: str, reason: Reason) -> Reason:
    """Let a remedy speak of the framework and the role, and not of the branch that stands for both."""
    roles = dict.fromkeys([framework.role, *(one.role for one in core.family(owner) if not one.leaving)])
    said: list[calls.Call] = []
    for call in reason.calls:
        match call:
            case calls.Revive():
                said.append(calls.Revive(owner, (framework.role,)))
            case calls.Subscribe():
                others = tuple(role for role in roles if role != call.role)
                said.append(replace(call, framework=owner, roles=others))
            case _:
                said.append(call)
    spoken = reason.remedy.replace(f"{framework.name}.revive()", f"{owner}.revive({framework.role!r})")
    return replace(reason, remedy=spoken.replace(repr(framework.name), repr(owner)), calls=tuple(said))


def _why_not(core: Core, framework: Framework, agent: Agent | None = None) -> Reason | None:
    if framework.leaving or framework.name in core.away:
        why, detail = (Why.LEFT, "its last tasks are ending") if framework.leaving else (Why.AWAY, "its tasks run on")
        return Reason(
            why, detail, f"register it again: master.register(..., name={framework.name!r})", (subscribed(framework),)
        )
    if framework.suppressed:
        return Reason(Why.SUPPRESSED, "", f"{framework.name}.revive()", (calls.Revive(framework.name),))
    if core.paused:
        return Reason(Why.PAUSED, "", "master.resume()", (calls.Resume(),))
    return None if agent is None else _on_agent(core, framework, agent)


def _on_agent(core: Core, framework: Framework, agent: Agent) -> Reason | None:
    why = first_why(core, framework, agent)
    return replace(_detailed(core, framework, agent, why), example=agent.name) if why else None


def first_why(core: Core, framework: Framework, agent: Agent) -> Why | None:
    """Return the first reason why an active framework is not offered an agent; None: it is, once its turn comes."""
    if agent.closed:
        return Why.AGENT_CLOSED
    if core.bounded or framework.terms:
        part, why = core.best_verdict(agent, framework)
        if why:
            return whose(framework.name, agent) if why is Why.NOTHING_FREE else why
    elif not agent.free._amounts:
        return whose(framework.name, agent)
    else:
        part = agent.free
    bit = framework.client.bits
    if agent.offered & bit:
        return Why.OWN_OFFER
    if agent.filtered & bit and part <= (refused := framework.filters[agent.name].refused):
        whole = sum(core.visible(agent, framework), start=NOTHING) if core.bounded_roles else part
        return (core.cut_by(agent, framework) if not whole <= refused else None) or Why.FILTER
    if agent.tried & bit and agent.tried_us == core.now_us and core.on_recovery:
        return Why.TRIED
    return None


def whose(name: str, agent: Agent) -> Why:
    """Say whose an agent is on which nothing is free: to whom it is offered, or else those whose tasks run there."""
    if not agent.offers:
        return Why.NOTHING_FREE
    for offer in agent.offers.values():
        if offer.framework == name:
            return Why.OWN_OFFER
    return Why.TURN


def _detailed(core: Core, framework: Framework, agent: Agent, why: Why) -> Reason:
    """Say more about a reason, and what would remove it."""
    return Reason(why, *cure(core, framework, agent, why))


# -- whole things -----------------------------------------------------------------------------------------------------


def _framework(core: Core, framework: Framework, agent: Agent | None) -> Explanation:
    name = framework.name
    if agent is not None:
        reason = why_not(core, framework, agent)
        if reason is None:
            return Explanation(
                f"{name} on {agent.name}", f"{name} may be offered {agent.name}{_after(core, framework, agent)}"
            )
        detail = f" ({reason.detail})" if reason.detail else ""
        return Explanation(
            f"{name} on {agent.name}", f"{name} is not offered {agent.name}: {reason.why.value}{detail}", (reason,)
        )
    reasons = tuple(summary(core, framework))
    share = f"share {dominant(core, framework.allocated):.2f}"
    ahead = f", {len(framework.ahead)} more ahead" if framework.ahead else ""
    tasks = f"{counted(len(framework.tasks), 'task')}{ahead}"
    holds = f"{name} has {tasks} and {counted(len(framework.offers), 'offer')}, {share}"
    against = [*map(str, reasons)] or ["nothing stands in its way" if core.agents else "there are no agents"]
    return Explanation(name, "; ".join([holds, *against]), reasons)


def _after(core: Core, framework: Framework, agent: Agent) -> str:
    """Say who comes before a framework that nothing stands in the way of; the allocator may think otherwise of it."""
    in_turn = (core.by_bit[client.bits] for client in core.order.walk())
    first = next(one for one in in_turn if one is framework or why_not(core, one, agent) is None)
    if first is framework:
        return ", and is next"
    return f", behind {owner_of(first.name)} (share {dominant(core, first.allocated):.2f})"


def summary(core: Core, framework: Framework) -> list[Reason]:
    """Count the first reason of every agent, in the order of ``Why``; each keeps its first agent as example."""
    if (general := why_not(core, framework)) is not None:
        return [general]
    counts: dict[Why, int] = {}
    first: dict[Why, Agent] = {}
    for agent in core.agents.values():
        if why := first_why(core, framework, agent):
            if why in counts:
                counts[why] += 1
            else:
                counts[why], first[why] = 1, agent
    found = [(why, _detailed(core, framework, first[why], why)) for why in Why if why in counts]
    return [replace(reason, count=counts[why], example=first[why].name) for why, reason in found]


def _role(core: Core, name: str) -> Explanation:
    role = core.roles[name]
    share, weight = f"{dominant(core, role.allocated):.2f}", f"{role.weight_milli / 1000:g}"
    held = f"role {name}: share {share}, weight {weight}, {counted(len(role.frameworks), 'framework')}"
    bounds = [f"guaranteed {role.guarantee}"] * bool(role.guarantee) + [f"limited to {role.limit}"] * (
        role.limit is not None
    )
    lacks = less(role.guarantee, role.consumed)
    bounds += [f"lacks {lacks} of its guarantee"] * bool(lacks)
    reasons = [
        replace(reason, whose=owner_of(one.name)) for one in role.frameworks.values() for reason in summary(core, one)
    ]
    return Explanation(name, "; ".join([held, *bounds]), tuple(reasons))


def _agent(core: Core, agent: Agent) -> Explanation:
    offered = ", ".join(f"{offer.resources} offered to {offer.framework}" for offer in list(agent.offers.values())[:3])
    parts = [f"{agent.name} runs {counted(len(agent.tasks), 'task')}", offered, f"{agent.free} free", agent.closed]
    reasons: list[Reason] = []
    if agent.free:
        found = ((framework.name, why_not(core, framework, agent)) for framework in core.frameworks.values())
        reasons = [replace(reason, whose=owner_of(name), example="") for name, reason in found if reason]
    return Explanation(agent.name, "; ".join(part for part in parts if part), tuple(reasons))
