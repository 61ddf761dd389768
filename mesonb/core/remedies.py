"""Remedies: what would remove a reason against an offer, in words and, wherever calls can do it, as calls.

Rule: a remedy is true. Its calls, sent, remove that reason (where one kills a task, as soon as the agent says that it is
dead); then the next reason, if there is one, shows. Nothing is sent here, and nothing in the books is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from mesonb.core import calls
from mesonb.core.books import outermost
from mesonb.core.branches import Branches as Core
from mesonb.core.branches import owner_of
from mesonb.core.limits import Why, enough
from mesonb.core.records import Agent, Framework, Task
from mesonb.core.resources import NOTHING, Resources, less
from mesonb.core.units import show_duration
from mesonb.core.upkeep import DRAINING


class Cure(NamedTuple):
    """More about one reason, and what removes it: in words, and as calls."""

    detail: str
    remedy: str
    calls: tuple[calls.Call, ...] = ()


def cure(core: Core, framework: Framework, agent: Agent, why: Why) -> Cure:
    """Say more about the first reason of a framework on an agent, and what would remove it."""
    match why:
        case Why.AGENT_CLOSED:
            return _closed(core, agent)
        case Why.CONSTRAINT:
            return _again(replace(subscribed(framework), constraints=(), agents=()))
        case Why.CAPABILITY:
            again = subscribed(framework)
            able = replace(again, capabilities=(*again.capabilities, "gpus"))
            return Cure("", "register it again with the capability 'gpus'", (able,))
        case Why.OWN_OFFER:
            return _own_offer(framework, agent)
        case Why.TURN:
            return _turn(core, framework, core.frameworks[next(iter(agent.offers.values())).framework])
        case Why.NOTHING_FREE:
            holders = dict.fromkeys(owner_of(task.framework) for task in agent.tasks.values())
            return _room(
                f"{', '.join(list(holders)[:3])} runs there",
                "wait until tasks end, or add agents",
                [*_killable(agent)][:1],
            )
        case Why.RESERVED:
            return _reserved(framework, agent)
        case Why.TOO_SMALL:
            return _too_small(core, framework, agent)
        case Why.LIMIT:
            role = core.roles[outermost(framework.role)]
            unsaid = (calls.SetLimit(role.name, NOTHING),)
            return Cure(f"{role.name} has {role.consumed} of {role.limit}", f"del master.limits[{role.name!r}]", unsaid)
        case Why.HEADROOM:
            return _headroom(core)
        case Why.FILTER:
            return _filter(core, framework, agent)
        case _:
            assert why is Why.TRIED, f"{why} is about no agent"
            return Cure("", "wait: it may be offered again in the next instant")


# -- one reason each --------------------------------------------------------------------------------------------------


def _closed(core: Core, agent: Agent) -> Cure:
    """Open what was closed on purpose; an agent that does not answer can only come back by itself."""
    kept = core.drained.get(agent.name)
    if kept is None or agent.name in core.unreachable:
        return Cure(agent.closed, "wait until it is back, or add another agent")
    window = core.windows.get(agent.name)
    opens: list[calls.Call] = [calls.EndMaintenance(agent.name)] if window and window.begun else []
    opens += [calls.Undrain(agent.name)] if kept == DRAINING else []
    verbs = {calls.EndMaintenance: "end_maintenance", calls.Undrain: "undrain"}
    remedy = "; ".join(f"master.{verbs[type(call)]}({agent.name!r})" for call in opens)
    return Cure(agent.closed, remedy, tuple(opens))


def _own_offer(framework: Framework, agent: Agent) -> Cure:
    """Give back what it holds there."""
    held = tuple(offer.id for offer in agent.offers.values() if offer.framework == framework.name)
    back = (calls.Decline(owner_of(framework.name), held, 0),)
    return Cure("", f"let {owner_of(framework.name)} answer its offers: launch or decline", back)


def _turn(core: Core, framework: Framework, ahead: Framework) -> Cure:
    """Weigh it more than whoever is ahead; a weight takes all offers back, so the next cycle goes by it."""
    detail = f"offered to {owner_of(ahead.name)} (share {dominant(core, ahead.allocated):.2f})"
    path = _parting(framework.role, ahead.role)
    if path:
        weight_milli = _heavier(core, path, ahead)
        said = f"wait for its turn, or give its role more weight: master.weights[{path!r}] = {weight_milli / 1000:g}"
        return Cure(detail, said, (calls.SetWeight(path, weight_milli),))
    name = owner_of(framework.name)
    own = name if name not in core.roles else f"{name}-own"
    said = "wait for its turn, or give it a role of its own, with a weight"
    said = f"{said}: master.register(..., name={framework.name!r}, role={own!r}); master.weights[{own!r}] = 2"
    return Cure(detail, said, (replace(subscribed(framework), role=own), calls.SetWeight(own, 2000)))


def _reserved(framework: Framework, agent: Agent) -> Cure:
    """Give what is free of others' reservations back to all."""
    parts = [(r, p) for r, p in agent.reserved_free.items() if not f"{framework.role}/".startswith(f"{r}/")]
    free_it = tuple(calls.Unreserve(agent.name, role, part) for role, part in parts)
    said = "; ".join(f"master.unreserve({agent.name!r}, {role!r}, mb.{part!r})" for role, part in parts)
    return Cure(f"for {', '.join(role for role, _ in parts)}", f"run under that role, or unreserve it: {said}", free_it)


def _too_small(core: Core, framework: Framework, agent: Agent) -> Cure:
    """Ask for less, where it asks itself for so much; else make room, if all that runs there leaves enough."""
    terms, settings = framework.terms, core.settings
    part, least = sum(core.visible(agent, framework), start=NOTHING), (agent.min_offer, settings.min_allocatable)
    detail = f"{agent.free} is free"
    if terms and terms.min_offer and all(enough(part, some) for some in least):
        return _again(replace(terms, min_offer=()), detail)
    asked = (agent.min_offer, (terms.min_offer if terms else ()) or settings.min_allocatable)
    killed: list[Task] = []
    for task in _killable(agent):
        if all(enough(part, some) for some in asked):
            break
        part += less(task.needs, _of_others(task, framework))
        killed.append(task)
    return _room(detail, "wait until more is free there", killed if all(enough(part, some) for some in asked) else [])


def _filter(core: Core, framework: Framework, agent: Agent) -> Cure:
    """Forget what it refused; but what it may have refused for want of something comes back when tasks end."""
    detail = f"for {show_duration(framework.filters[agent.name].until_us - core.now_us)} more"
    out = [name for name in agent.total.amounts if not agent.free.amounts.get(name)]
    said = f"{framework.name}.revive()"
    if out:
        detail += f"; of {', '.join(out)} nothing is free there"
        said += "; or wait until tasks end"
    return Cure(detail, said, (calls.Revive(framework.name),))


def _headroom(core: Core) -> Cure:
    """Guarantee nothing to those for whom it is held back."""
    short = [role for role in core.roles.values() if less(role.guarantee, role.consumed)]
    detail = ", ".join(f"{role.name} lacks {less(role.guarantee, role.consumed)}" for role in short)
    remedy = "; ".join(f"del master.guarantees[{role.name!r}]" for role in short)
    return Cure(detail, remedy, tuple(calls.SetGuarantee(role.name, NOTHING) for role in short))


# -- what these share -------------------------------------------------------------------------------------------------


def subscribed(framework: Framework) -> calls.Subscribe:
    """Return the call that registers a framework again as it was."""
    return framework.terms or calls.Subscribe(framework.name, framework.role)


def dominant(core: Core, held: Resources) -> float:
    """Return the largest share of anything that counts."""
    total = core.order.total
    return max((n / total[name] for name, n in held.amounts.items() if name in total), default=0.0)


def _again(call: calls.Subscribe, detail: str = "") -> Cure:
    said = f"register it again without that: master.register(..., name={call.framework!r})"
    return Cure(detail, said, (call,))


def _room(detail: str, said: str, tasks: list[Task]) -> Cure:
    """Kill tasks, if there are any that would help; the most recent first, as revocation does."""
    kills = "; ".join(f"master.kill({task.id!r})" for task in tasks)
    return Cure(
        detail,
        f"{said}; or: {kills}" if kills else said,
        tuple(calls.KillTask(owner_of(t.framework), t.id) for t in tasks),
    )


def _killable(agent: Agent) -> Iterator[Task]:
    """Yield what runs there, the most recent first; what is being killed is waited for already."""
    return (task for task in reversed(agent.tasks.values()) if not task.killing)


def _of_others(task: Task, framework: Framework) -> Resources:
    """Return what of a task goes back to reservations of roles that are not the framework's."""
    parts = (task.reserved or {}).items()
    return sum((part for role, part in parts if not f"{framework.role}/".startswith(f"{role}/")), start=NOTHING)


def _parting(mine: str, theirs: str) -> str:
    """Return the role, the framework's own or one around it, that the other is not within; "": there is none.

    >>> _parting("eng/web", "eng/backend"), _parting("eng", "eng/web"), _parting("eng/web", "eng"), _parting("a", "b/c")
    ('eng/web', '', 'eng/web', 'a')
    """
    parts = mine.split("/")
    paths = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return next((path for path in paths if not f"{theirs}/".startswith(f"{path}/")), "")


def _heavier(core: Core, path: str, ahead: Framework) -> int:
    """Return twice a role's weight, or more where its share needs more to come before another's."""
    place, weight_milli = core.order.places[path], core.roles[path].weight_milli
    rival = next((above for above in ahead.client.above() if above.parent is place.parent), place)
    core.order.settle()  # shares are of the totals as they are now
    share, against = core.order.share(place), core.order.share(rival)
    needed = share * weight_milli / against if against else 0
    return min(max(2 * weight_milli, int(needed) + 1), 1_000_000_000)
