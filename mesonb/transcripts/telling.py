"""What a scenario answers: each event as a line, and what ``show`` prints of the books, one line a thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from fractions import Fraction

from mesonb.core import events
from mesonb.core.books import Books, add_up
from mesonb.core.resources import Resources
from mesonb.core.resources import show as shown
from mesonb.core.units import show_duration
from mesonb.errors import BadValue

# -- events -----


def told(event: events.Event) -> str:
    """Say one event in a line; nothing where it only confirms what was just asked for."""
    match event:
        case events.OfferMade():
            return f"{event.offer}  {event.agent} -> {event.framework}   {as_typed(event.resources)}"
        case events.Launch():
            return f"launch  {event.task} on {event.agent}"
        case events.Kill():
            return f"kill    {event.task} on {event.agent}"
        case events.Updated():
            return f"update  {event.task} {event.state.value}" + _because(event.because)
        case events.Rescinded():
            return f"rescind {event.offer} from {event.framework}" + _because(event.because)
        case events.AgentGone():
            return f"gone    {event.agent}, {event.framework} is told" + _because(event.because)
        case events.Subscribed():
            kept = f", keeps {', '.join(event.tasks)}" if event.tasks else ""
            return (
                f"again   {event.framework}, registration {event.incarnation}{kept}"
                if event.incarnation > 1 or kept
                else ""
            )
        case events.Rejected():
            return f"rejected  {event.because}"
        case _:
            return plainly(event)


def plainly(event: object) -> str:
    """Say an event that has no words of its own by its fields."""
    parts = [f"{part.name}={_value(getattr(event, part.name))}" for part in fields(event)]  # type: ignore[arg-type]  # events are dataclasses
    name = re.sub(r"(?<!^)([A-Z])", r" \1", type(event).__name__).lower()
    return " ".join([name, *parts])


def as_typed(held: Resources) -> str:
    """Write resources as they are typed in a command.

    >>> as_typed(Resources(cpus=4, mem="4GB"))
    'cpus=4 mem=4GB'
    """
    return " ".join(f"{name}={shown(name, n).replace(' ', '')}" for name, n in held.amounts.items()) or "nothing"


def in_words(held: Resources) -> str:
    """Write resources as they are spoken of.

    >>> in_words(Resources(cpus=1, mem="1GB"))
    '1 cpus, 1GB'
    """
    spoken = {name: shown(name, n).replace(" ", "") for name, n in held.amounts.items()}
    return ", ".join(value if name == "mem" else f"{value} {name}" for name, value in spoken.items())


def _because(why: str) -> str:
    return f": {why}" if why else ""


def _value(value: object) -> str:
    match value:
        case Resources():
            return as_typed(value).replace(" ", ",").replace("=", ":")
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(_value(part) for part in value) or "none"
        case _:
            return str(value)


# -- show -----


def show(core: Books, words: list[str]) -> list[str]:
    """Print one part of the books, or the one thing of it that is named."""
    what, *names = words or [""]
    if what not in VIEWS:
        raise BadValue(f"show what? There are: {', '.join(VIEWS)}")
    lines = VIEWS[what](core)
    return [line for line in lines if not names or line.split()[0] in names]


def dominant_share(held: Resources, total: Resources) -> Fraction:
    """Return the dominant share, exactly."""
    have = total.amounts
    return max((Fraction(n, have[name]) for name, n in held.amounts.items() if have.get(name)), default=Fraction(0))


def _shares(core: Books) -> list[str]:
    return [
        f"{name}  {dominant_share(framework.allocated, core.total)}  {as_typed(framework.allocated)}"
        for name, framework in core.frameworks.items()
    ]


def _roles(core: Books) -> list[str]:
    return [
        f"{name}  weight {role.weight_milli / 1000:g}  share {dominant_share(role.allocated, core.total)}  {as_typed(role.allocated)}"
        for name, role in sorted(core.roles.items())
    ]


def _agents(core: Books) -> list[str]:
    lines = []
    for name, agent in core.agents.items():
        offered = add_up(offer.resources for offer in agent.offers.values())
        used = add_up(task.needs for task in agent.tasks.values())
        lines.append(f"{name}  free {as_typed(agent.free)}  offered {as_typed(offered)}  used {as_typed(used)}")
    return lines


def _offers(core: Books) -> list[str]:
    return [
        f"{offer.id}  {offer.agent} -> {offer.framework}   {as_typed(offer.resources)}  until {show_duration(offer.expires_us)}"
        for offer in core.offers.values()
    ]


def _tasks(core: Books) -> list[str]:
    return [f"{task.id}  {task.state.value} on {task.agent}  {as_typed(task.needs)}" for task in core.tasks.values()]


def _counts(core: Books) -> list[str]:
    return [
        " ".join([f"{name} ", *(f"{what}={times}" for what, times in framework.counts.items())])
        for name, framework in core.frameworks.items()
    ]


def _time(core: Books) -> list[str]:
    return [show_duration(core.now_us)]


VIEWS: dict[str, Callable[[Books], list[str]]] = {
    "shares": _shares, "roles": _roles, "agents": _agents, "offers": _offers, "tasks": _tasks, "counts": _counts, "time": _time,
}  # fmt: skip
