"""Listing: what a sidebar and a status bar say of a session in one line: its counts, and the share of whoever looks.

Rule: it is asked for once a second on the panels' own loop, so a long step delays no list: counts are read without the
lock, and shares stay as they were when they were read last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from mesonb.core.resources import NOTHING, Resources
from mesonb.core.snapshot import Snapshot, dominant_share
from mesonb.session import Session

#: How long whoever steps the core is waited for.
LOCK_S = 0.02
_last: WeakKeyDictionary[Session, dict[str, Any]] = WeakKeyDictionary()


def listed() -> list[dict[str, Any]]:
    """List the sessions of this process that somebody still holds; what a panel looks back in is its own affair."""
    return [line(session) for session in list(Session.known.values()) if session.past_of is None]


def line(session: Session) -> dict[str, Any]:
    """Describe one session."""
    picture = session.freshen()
    agents = picture.agent_count if picture else len(session.core.agents)
    tasks = picture.task_count if picture else len(session.core.tasks)
    closed = bool(getattr(session, "closed", False))
    shared = _seen(session, picture) if picture else _share(session)
    return {"id": session.id, "kind": session.kind, "closed": closed, "agents": agents, "tasks": tasks, **shared}


def _share(session: Session) -> dict[str, Any]:
    if session.lock.acquire(timeout=LOCK_S):
        try:
            _last[session] = _shared(session)
        finally:
            session.lock.release()
    return _last.get(session, {})


def _shared(session: Session) -> dict[str, Any]:
    """Say what the frameworks of this kernel hold; where it has none, as a recording, what all do."""
    core = session.core
    mine = [name for name in list(session.drivers) if name in core.frameworks]
    held = [core.frameworks[name].in_tasks for name in mine or core.frameworks]
    return {"mine": mine, **largest_part(held, core.order.shared)}


def _seen(session: Session, picture: Snapshot) -> dict[str, Any]:
    """Say the same of a master elsewhere, from its picture; where this kernel has no framework there, it holds nothing."""
    held = {
        row.framework: row.allocated - row.offered for row in picture.frameworks if row.framework in session.drivers
    }
    return {"mine": list(held), **largest_part(held.values(), picture.shared)}


def largest_part(held: Iterable[Resources], total: Resources) -> dict[str, Any]:
    """Say which part of a cluster several frameworks' tasks hold together, and of which resource: the largest part.

    >>> largest_part([Resources(cpus=1, mem="1GB"), Resources(cpus=2)], Resources(cpus=4, mem="8GB"))
    {'share': 0.75, 'of': 'cpus'}
    """
    together, have = sum(held, start=NOTHING), total.amounts
    of = max(have, key=lambda name: together.amounts.get(name, 0) / (have[name] or 1), default="")
    return {"share": round(dominant_share(together, total), 4), "of": of}
