"""Calls and events in words, one line each: what transcripts record, and what ``step()`` shows.

Rule: a line is for reading, and never read back. What has no words of its own is said by its fields.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum

from mesonb.core import events
from mesonb.core.resources import Resources
from mesonb.core.units import show_duration


def told(event: events.Event) -> str:
    """Say one event in a line; nothing where it only confirms what was just asked for."""
    match event:
        case events.OfferMade():
            closes = f"  until {show_duration(event.closes_us)}" if event.closes_us else ""
            whom = f"{event.framework} in {event.role}" if event.role else event.framework
            return f"{event.offer}  {event.agent} -> {whom}   {as_typed(event.resources)}{closes}{_brief(event)}"
        case events.Launch():
            return f"launch  {event.task} on {event.agent}" + (f" after {event.after}" if event.after else "")
        case events.Kill():
            return f"kill    {event.task} on {event.agent}"
        case events.Withdraw():
            return f"back?   {event.task} from {event.agent}, unless it has begun"
        case events.Superseded():
            return f"over    {event.framework}: {event.scheduler or 'its scheduler'} is told that {event.because}"
        case events.StandsBy():
            return f"waits   {event.framework}: {event.scheduler} stands by, {event.because}"
        case events.Acknowledged():
            return f"known   {event.task} by its framework, {event.agent} may forget it"
        case events.Updated():
            return f"update  {event.task} {event.state.value}" + _because(event.because)
        case events.Rescinded():
            return f"rescind {event.offer} from {event.framework}" + _because(event.because)
        case events.Revoked():
            return f"revoke  {event.task} of {event.framework}, killed at {show_duration(event.kill_us)}" + _because(
                event.because
            )
        case events.InverseOfferMade():
            lasts = f" for {show_duration(event.lasts_us)}" if event.lasts_us else ""
            down = f"{event.agent} is down at {show_duration(event.start_us)}{lasts}"
            return f"{event.inverse}  {event.framework} is asked to leave: {down}" + _because(event.because)
        case events.InverseRescinded():
            return f"rescind {event.inverse} from {event.framework}" + _because(event.because)
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


def plainly(thing: object) -> str:
    """Say a call or an event by its name and those of its fields that say anything.

    >>> plainly(events.Kill("agent-1", "F1/t1"))
    'kill agent=agent-1 task=F1/t1'
    """
    said = ((part, getattr(thing, part.name)) for part in fields(thing))  # type: ignore[arg-type]  # both are dataclasses
    parts = [f"{part.name}={_value(value)}" for part, value in said if part.default is MISSING or value != part.default]
    name = re.sub(r"(?<!^)([A-Z])", r" \1", type(thing).__name__).lower()
    return " ".join([name, *parts])


def as_typed(held: Resources) -> str:
    """Write resources as they are typed in a command.

    >>> as_typed(Resources(cpus=4, mem="4GB"))
    'cpus=4 mem=4GB'
    """
    return " ".join(f"{name}={said.replace(' ', '')}" for name, said in held.words().items()) or "nothing"


def in_words(held: Resources) -> str:
    """Write resources as they are spoken of.

    >>> in_words(Resources(cpus=1, mem="1GB"))
    '1 cpus, 1GB'
    """
    spoken = {name: said.replace(" ", "") for name, said in held.words().items()}
    return ", ".join(value if name == "mem" else f"{value} {name}" for name, value in spoken.items())


def _brief(offer: events.OfferMade) -> str:
    part = f"{as_typed(offer.short)} of it " if offer.short else ""
    return f"   {part}for tasks of at most {show_duration(offer.max_task_us)}" if offer.max_task_us else ""


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
        case _ if is_dataclass(value):
            said = [(part, getattr(value, part.name)) for part in fields(value)]
            return ":".join(_value(has) for part, has in said if part.default is MISSING or has != part.default)
        case _:
            return str(value)
