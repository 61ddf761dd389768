"""Calls and events in words, one line each: what transcripts record, and what ``step()`` shows.

Rule: a line is for reading, and never read back. What has no words of its own is said by its fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from html import escape

from mesonb.core import events
from mesonb.core.log import Step
from mesonb.core.resources import Resources
from mesonb.core.resources import show as shown
from mesonb.core.units import show_duration


class Steps(list[Step]):
    """Some steps of a log, as a small table."""

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield (time, call, what followed); further events of a call have a row each."""
        for step in self:
            followed = [told(event) or plainly(event) for event in step.events] or [""]
            yield show_duration(step.now_us), plainly(step.call), followed[0]
            yield from (("", "", line) for line in followed[1:])

    def __repr__(self) -> str:
        rows = list(self.rows())
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        return (
            "\n".join(f"{time:>{widths[0]}}  {call:<{widths[1]}}  {line}".rstrip() for time, call, line in rows)
            or "nothing"
        )

    def _repr_html_(self) -> str:
        cells = ("".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) for row in self.rows())
        return f"<table><tr><th>time</th><th>call</th><th>what followed</th></tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


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
        case _ if is_dataclass(value):
            return ":".join(_value(getattr(value, part.name)) for part in fields(value))
        case _:
            return str(value)
