"""Declaring: what an agent says that it has, and what it is for.

An agent of a cluster of mesonb's own says what the cluster was told (``DECLARED``, in its environment). A worker of any
other Dask cluster is as large as Dask takes it, has what ``dask worker --resources "GPU=1 licences=3"`` names, and what
``dask.config`` says under ``mesonb.agent`` there: ports, other resources by name, ``attributes``, ``reserved``,
``min_offer``, ``short`` and ``max_task``. The agents of a local cluster that are not declared one by one share that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import dask
import distributed

from mesonb.core import codec
from mesonb.core.calls import AgentJoined
from mesonb.core.declared import Agent, agent_of
from mesonb.core.items import vector
from mesonb.core.resources import Resources
from mesonb.errors import BadValue

#: How a cluster of mesonb's own tells a worker what it declares.
DECLARED = "MESONB_AGENT"
#: Where ``dask.config`` says what an agent has beside cpus and memory.
CONFIG = "mesonb.agent"
#: What Dask's users call gpus.
_GPUS = ("gpu", "gpus")


def declaration(worker: Any, name: str) -> AgentJoined:
    """Say with what a worker joins as an agent."""
    if DECLARED in os.environ:
        joined = codec.build(json.loads(os.environ[DECLARED]))
        assert isinstance(joined, AgentJoined)
        return replace(joined, agent=name)
    return configured(whole_of(worker) + _of_dask(worker)).joined(name)


def written(agents: Sequence[Resources | Agent]) -> list[str]:
    """Write what agents declare, each as the text that ``declaration`` reads; they are named by their number."""
    return [codec.write(agent_of(agent).joined(f"agent-{number}")) for number, agent in enumerate(agents, start=1)]


def configured(total: Resources, part: int = 0, parts: int = 1) -> Agent:
    """Add what ``dask.config`` says of agents; one of several on this machine gets its part of the further resources."""
    said = dict(dask.config.get(CONFIG, None) or {})
    said = {str(name).replace("-", "_"): value for name, value in said.items()}
    try:
        purposes = {
            "attributes": dict(said.pop("attributes", {})),
            "reserved": {role: Resources(named=held) for role, held in dict(said.pop("reserved", {})).items()},
            "max_task": said.pop("max_task", 0),
            **{name: Resources(named=said.pop(name)) for name in ("min_offer", "short") if name in said},
        }
        return Agent(total + _part(Resources(named=said), part, parts), **purposes)
    except (BadValue, TypeError, ValueError) as error:
        raise BadValue(f"dask.config says under {CONFIG!r} what no agent can be: {error}") from None


def _part(whole: Resources, part: int, parts: int) -> Resources:
    """Return one of so many equal parts; ports and other items go to one each, in order."""
    which = {
        name: (items - items.first(len(items) // parts * part)).first(len(items) // parts)
        for name, items in whole.which.items()
    }
    return vector({name: n // parts for name, n in whole.amounts.items()}, which)


def whole_of(worker: Any) -> Resources:
    """Take a worker of any other cluster as large as Dask takes it."""
    threads = worker.state.nthreads
    memory = getattr(worker.memory_manager, "memory_limit", None) or distributed.system.MEMORY_LIMIT
    return Resources(cpus=threads, mem=int(memory))


def _of_dask(worker: Any) -> Resources:
    named: Mapping[str, float] = worker.state.total_resources
    return Resources(named={"gpus" if name.lower() in _GPUS else name: n for name, n in named.items()})
