"""What the tasks of one accept get of what they are launched on: which items, where they ask for a number of them."""

from __future__ import annotations

from dataclasses import replace

from mesonb.core.calls import Accept
from mesonb.core.items import assign
from mesonb.core.resources import Resources
from mesonb.core.settings import Wrong


def with_items(call: Accept, held: Resources) -> Accept:
    """Name the items that each task gets; Wrong if two need the same."""
    needs = assign(held, [launch.needs for launch in call.launches])
    if needs is None:
        raise Wrong(f"{', '.join(call.offers)} holds {held}; {_shortage(call, held)}")
    launches = [replace(launch, needs=part) for launch, part in zip(call.launches, needs, strict=True)]
    return replace(call, launches=tuple(launches))


def _shortage(call: Accept, held: Resources) -> str:
    for launch in call.launches:
        if not launch.needs <= held:
            return f"{launch.task} needs {launch.needs}: {held.missing_for(launch.needs)} too much"
    wanted = "; ".join(f"{launch.task} {launch.needs}" for launch in call.launches)
    return f"the tasks cannot all have what they need of it: {wanted}"
