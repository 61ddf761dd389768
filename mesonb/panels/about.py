"""About: what controls read of a session: from its own books, or from the last picture of a master that another kernel holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mesonb.core.snapshot import Snapshot
from mesonb.session import Session


@dataclass(frozen=True, slots=True)
class About:
    """Names that there are, and what is so."""

    paused: bool
    frameworks: list[str]
    roles: Mapping[str, Any]  #: by name, each with its weight, guarantee and limit
    agents: list[str]  #: the first of them
    tasks: list[str]  #: the newest where that is known


def about(session: Session, most: int) -> About:
    """Read it; of agents and tasks so many names at most."""
    picture = session.freshen()
    return _pictured(picture, most) if picture else _booked(session, most)


def _booked(session: Session, most: int) -> About:
    core = session.core
    with session.reading():
        tasks, agents = list(islice(reversed(core.tasks), most)), list(islice(core.agents, most))
        return About(core.paused, list(core.frameworks), dict(core.roles), agents, tasks)


def _pictured(picture: Snapshot, most: int) -> About:
    agents = picture.spots.agents if picture.spots else [row.agent for row in picture.agents]
    tasks = [task.task for row in picture.agents for task in row.tasks]
    roles = {row.role: row for row in picture.roles}
    return About(
        picture.paused, [row.framework for row in picture.frameworks], roles, list(agents[:most]), tasks[:most]
    )
