"""Size: what an agent costs, and so does not offer: the memory of its own processes, which its tasks cannot have.

Where the machine has room for them beside what was declared they take it there, and what was declared is offered to the
byte; and who declares more than the machine has, for a lesson say, means it. ``dask.config``: mesonb.agent-mem says how
much an agent keeps for itself; else it is measured when it begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

import dask
import psutil
from distributed.system import MEMORY_LIMIT

from mesonb.core.calls import AgentJoined
from mesonb.core.resources import Resources, less
from mesonb.core.units import parse_bytes

#: How a cluster of mesonb's own tells a worker how much memory the machine has beside what is declared, for each agent.
BESIDE = "MESONB_AGENT_BESIDE"
#: What the process costs that children are forked from, with what they do not share with it.
ZYGOTE_BYTES = 50_000_000
#: What an agent keeps is rounded up to this, so that agents that are alike are of one size.
STEP_BYTES = 50_000_000


def beside(agents: Iterable[Resources]) -> int:
    """Return how many bytes this machine has for each of its agents beside what they declare."""
    declared = [agent.mem for agent in agents]
    spare = MEMORY_LIMIT - sum(declared)
    return spare // len(declared) if spare >= 0 else MEMORY_LIMIT


def offered(joined: AgentJoined) -> AgentJoined:
    """Take off what the agent in this process keeps for itself, but nothing that is promised to a role or a kind of task."""
    promised = sum(part.mem for _, part in joined.reserved) + (joined.short.mem if joined.short else 0)
    room = max(0, joined.total.mem - promised)
    kept = min(max(0, own_bytes() - int(os.environ.get(BESIDE, "0"))), room)
    return replace(joined, total=less(joined.total, Resources.of({"mem": kept}))) if kept else joined


def own_bytes() -> int:
    """Return how much memory the agent in this process keeps for itself."""
    said = dask.config.get("mesonb.agent-mem", None)
    if said is not None:
        return int(parse_bytes(said))
    beside = 2 if dask.config.get("mesonb.outlive", None) else 1  # the zygote, and its keeper where it has one
    held = int(psutil.Process().memory_info().rss) + beside * ZYGOTE_BYTES
    return -(-held // STEP_BYTES) * STEP_BYTES
