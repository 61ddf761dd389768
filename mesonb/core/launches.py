"""What the tasks of one accept get of what they are launched on: which items, and whether what is kept for short tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mesonb.core.calls import Accept, TaskInfo
from mesonb.core.events import OfferMade
from mesonb.core.items import assign
from mesonb.core.parts import add_up
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.settings import Wrong


def with_items(call: Accept, offers: Sequence[OfferMade], held: Resources) -> Accept:
    """Name the items that each task gets; Wrong if two need the same, or one what is kept for shorter ones."""
    short = add_up(offer.short or NOTHING for offer in offers)
    own = [launch.needs for launch in call.launches if not launch.short]
    lasting = assign(held - short, own)
    if lasting is None:
        kept = f", and {short} of it is kept for short tasks" if short else ""
        raise Wrong(f"{', '.join(call.offers)} holds {held}{kept}; {_shortage(call.launches, held - short)}")
    brief = assign(held - add_up(lasting), [launch.needs for launch in call.launches if launch.short])
    if brief is None:
        raise Wrong(f"{', '.join(call.offers)} holds {held}; {_shortage(call.launches, held)}")
    parts = {False: iter(lasting), True: iter(brief)}
    return replace(call, launches=tuple(replace(one, needs=next(parts[one.short])) for one in call.launches))


def _shortage(launches: Sequence[TaskInfo], held: Resources) -> str:
    for launch in launches:
        if not launch.needs <= held:
            return f"{launch.task} needs {launch.needs}: {held.missing_for(launch.needs)} too much"
    wanted = "; ".join(f"{launch.task} {launch.needs}" for launch in launches)
    return f"the tasks cannot all have what they need of it: {wanted}"
