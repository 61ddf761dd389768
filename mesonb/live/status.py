"""Status: what there is to say of each cluster of this user, as plain data: who leads it, and what runs there.

Everything is asked of the master through the hub, as any other kernel would, so it holds for every cluster alike. What
does not answer is a line that says so, and keeps nothing else from being shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from mesonb.core.resources import IN_BYTES, Resources
from mesonb.core.snapshot import Snapshot
from mesonb.errors import MesonbError
from mesonb.live.masters import Known, known, where
from mesonb.live.remote import Remote
from mesonb.live.security.options import Who
from mesonb.live.wire.tls import encrypted

NOBODY: Who = ("", None)


@dataclass(frozen=True, slots=True)
class Cluster:
    """One Dask cluster: the masters of this user that know it, and the picture that its leader gives."""

    address: str
    masters: tuple[Known, ...]
    picture: Snapshot | None
    trouble: str = ""  #: why there is no picture


def clusters(name: str = "", address: str = "", who: Who = NOBODY, security: Any = None) -> list[Cluster]:
    """Look at every cluster of this user (of this name), or at the one at an address; ``security`` where no note has it."""
    masters = [one for one in known(name) if one.here and one.runs]
    found = where(name)
    if address:
        found = {address: found.get(address)}
    return [
        _look(at, (encrypted(at) and security) or noted, who, tuple(one for one in masters if one.address == at))
        for at, noted in found.items()
    ]


def _look(address: str, security: Any, who: Who, masters: tuple[Known, ...]) -> Cluster:
    try:
        with Remote(address, security, *who) as remote:
            return Cluster(address, masters, remote.snapshot())
    except (MesonbError, TimeoutError) as error:
        return Cluster(address, masters, None, str(error) or "its master does not answer")


class Watched:
    """One cluster, looked at again and again over one link."""

    def __init__(self, cluster: Cluster, who: Who = NOBODY, security: Any = None) -> None:
        self._cluster = cluster
        self._remote = Remote(cluster.address, security or where().get(cluster.address), *who)

    def look(self) -> Cluster:
        """Look at it now; what does not answer says so."""
        try:
            return replace(self._cluster, picture=self._remote.snapshot())
        except (MesonbError, TimeoutError) as error:
            return replace(self._cluster, picture=None, trouble=str(error) or "its master does not answer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._remote.close()


def as_data(cluster: Cluster) -> dict[str, Any]:
    """Say it as JSON can: cpus and whatever else is counted as people count them, memory and disk in bytes."""
    return {
        "address": cluster.address,
        "masters": [
            {"name": one.name, "pid": one.pid, "host": one.host, "made_by": one.made_by, "since": _moment(one.since_s)}
            for one in cluster.masters
        ],
        "trouble": cluster.trouble,
        **(_pictured(cluster.picture) if cluster.picture else {}),
    }


def _pictured(picture: Snapshot) -> dict[str, Any]:
    return {
        "paused": picture.paused,
        "total": _amounts(picture.total),
        "free": _amounts(picture.free),
        "tasks": picture.task_count,
        "offers": picture.offer_count,
        "agent_count": picture.agent_count,
        "agents": [
            {"agent": row.agent, "total": _amounts(row.total), "free": _amounts(row.free), "tasks": row.task_count}
            for row in picture.agents
        ],
        "frameworks": [
            {
                "framework": row.framework, "role": row.role, "share": row.share, "task_share": row.task_share,
                "allocated": _amounts(row.allocated), "suppressed": row.suppressed, "counts": dict(row.counts),
                "tasks": [task.task for agent in picture.agents for task in agent.tasks if task.framework == row.framework],
            }
            for row in picture.frameworks
        ],
        "roles": [
            {"role": row.role, "weight": row.weight_milli / 1000, "share": row.share} for row in picture.roles
        ],
    }  # fmt: skip


def _amounts(held: Resources) -> dict[str, int | float]:
    """Write amounts as programs expect them: 2 cpus are 2, half a one is 0.5, memory and disk are bytes.

    >>> _amounts(Resources(cpus=2, mem="2GB", gpus=0.5))
    {'cpus': 2, 'mem': 2000000000, 'gpus': 0.5}
    """
    return {name: n if name in IN_BYTES else n / 1000 if n % 1000 else n // 1000 for name, n in held.amounts.items()}


def _moment(since_s: float) -> str:
    return datetime.fromtimestamp(since_s).astimezone().isoformat(timespec="seconds")
