"""Spots: every agent of a cluster too large to name every task, in columns: how full it is, and who holds most of it.

Rule: a spot costs a microsecond, most of it for looking up whose an agent's tasks are; so it is made again only when its
agent has moved. It is written flat, because it may be asked for of 50,000 at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from mesonb.core.records import Agent
from mesonb.core.resources import Resources

if TYPE_CHECKING:
    from mesonb.core.master import MasterCore

#: In ``Spots.holder``: no framework.
NOBODY = 0xFFFFFFFF
_framework = attrgetter("framework")


@dataclass(frozen=True, slots=True)
class Spots:
    """Every agent in brief.

    ``filled`` and ``offered`` are parts (0..1) of the resource that is fullest; what is filled is not offered.
    """

    agents: tuple[str, ...]
    totals: tuple[Resources, ...]
    holder: array[int]  #: the framework's place in ``Snapshot.frameworks``; NOBODY where nobody holds anything
    filled: array[float]
    offered: array[float]
    behind: Sequence[
        int
    ] = ()  #: the places of those that have moved and were too many to be pictured again, oldest first


def all_spots(core: MasterCore) -> Spots:
    """Picture all agents."""
    agents = list(core.agents.values())
    nothing = bytes(4 * len(agents))
    names, totals = tuple([agent.name for agent in agents]), tuple([agent.total for agent in agents])
    spots = Spots(names, totals, array("I", nothing), array("f", nothing), array("f", nothing))
    _fill(spots, core, enumerate(agents))
    return spots


def spots_since(core: MasterCore, old: Spots, since: int, at_once: int = 0) -> Spots:
    """Picture those agents again that have moved since a step; at most so many at once, those first that were left before."""
    agents = list(core.agents.values())
    due: Sequence[int] = [place for place, agent in enumerate(agents) if agent.moved > since]
    if old.behind:
        due = list(dict.fromkeys([*old.behind, *due]))
    behind = tuple(due[at_once:]) if at_once else ()
    spots = Spots(old.agents, old.totals, old.holder[:], old.filled[:], old.offered[:], behind)
    _fill(spots, core, [(place, agents[place]) for place in (due[:at_once] if behind else due)])
    return spots


def _fill(spots: Spots, core: MasterCore, moved: Iterable[tuple[int, Agent]]) -> None:
    """Write the spots of agents; nearly every one of them runs tasks of one framework, and has no offer."""
    places, spent = {name: place for place, name in enumerate(core.frameworks)}, not core.optimistic
    holder, filled, offered = spots.holder, spots.filled, spots.offered
    for place, agent in moved:
        tasks = agent.tasks
        if agent.offers:
            name, filled[place], offered[place] = _offered(agent, spent=spent)
        elif not tasks:
            name, filled[place], offered[place] = "", 0.0, 0.0
        else:
            free, least = agent.free._amounts, 1.0  # as _fullest has it, without the call
            for resource, total in agent.total._amounts.items():
                if (left := free.get(resource, 0) / total) < least:
                    least = left
            filled[place], offered[place] = 1 - least, 0.0
            names = {*map(_framework, tasks.values())}
            name = names.pop() if len(names) == 1 else _most(agent, _fullest(agent)[0])
        holder[place] = places.get(name, NOBODY)


def _fullest(agent: Agent) -> tuple[str, float]:
    """Return of which resource least is free, and which part of it is."""
    free, least, resource = agent.free._amounts, 2.0, ""
    for each, total in agent.total._amounts.items():
        if (left := free.get(each, 0) / total) < least:
            least, resource = left, each
    return resource, least


def _offered(agent: Agent, *, spent: bool) -> tuple[str, float, float]:
    """Return who holds most of an agent of which something is offered, how full it is, and how much is offered.

    ``spent`` says that what is offered is taken from what is free.
    """
    resource, left = _fullest(agent)
    have = agent.total._amounts.get(resource, 1)
    offered = sum(offer.resources._amounts.get(resource, 0) for offer in agent.offers.values()) / have
    filled = max(1 - left - offered, 0.0) if spent else 1 - left
    return _most(agent, resource), filled, min(offered, 1 - filled)


def _most(agent: Agent, resource: str) -> str:
    """Return which framework holds most of one resource; of equals, the first to come there."""
    held: dict[str, int] = {}
    for task in agent.tasks.values():
        held[task.framework] = held.get(task.framework, 0) + task.needs._amounts.get(resource, 0)
    for offer in agent.offers.values():
        held[offer.framework] = held.get(offer.framework, 0) + offer.resources._amounts.get(resource, 0)
    return max(held, key=held.__getitem__)
