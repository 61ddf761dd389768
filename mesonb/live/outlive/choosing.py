"""Choosing: whether an agent's executors die with its Dask worker, as they do by default, or outlive it.

``dask.config``: mesonb.outlive is how long they wait for the replacement of a worker that is gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dask

from mesonb.core.units import parse_duration
from mesonb.live.limits.isolation import DEFAULT, choose
from mesonb.live.outlive.keeper import Plan
from mesonb.live.outlive.kept import Kept, place
from mesonb.live.table import Task
from mesonb.live.tasks.executors import Executors
from mesonb.live.tasks.inputs import split
from mesonb.live.tasks.sandbox import folder_of

if TYPE_CHECKING:
    from mesonb.live.agent import Agent
    from mesonb.live.wire.comms import Message

OUTLIVE = "mesonb.outlive"
#: What a task is likely to need; imported once, in the zygote.
PRELOAD = ("cloudpickle", "numpy")


def outlives_us() -> int:
    """How long the executors of agents in this process wait for another worker, in microseconds; 0: they end with this one."""
    said = dask.config.get(OUTLIVE, None)
    return parse_duration(said) if said else 0


async def executors_of(agent: Agent, folder: Path) -> tuple[Executors, Kept | None]:
    """Start the executors of an agent, or take over those that outlived the worker before; the latter are returned twice."""
    modules = dask.config.get("mesonb.preload", PRELOAD)
    isolation = dask.config.get("mesonb.isolation", DEFAULT)
    warm, holdings = round(agent.joins.total.cpus), agent.holdings
    if not outlives_us():
        return Executors(
            folder, warm, modules, agent._said, agent._died, choose(isolation), agent._printed, holdings.asked,
            holdings.variables,
        ), None  # fmt: skip
    identity = agent.id, agent.joins, holdings.sandboxes.folder.parent
    plan = Plan(
        identity, place(agent.secret, agent.agent), agent.secret, outlives_us() / 1_000_000, warm, modules, isolation,
        holdings.variables,
    )  # fmt: skip
    kept = Kept(plan, agent._said, agent._died, agent._printed, holdings.asked, lambda number: _about(agent, number))
    await kept.open()
    agent.id, agent.joins, _ = kept.identity
    return kept, kept  # type: ignore[return-value]  # it is used in the same way


def _about(agent: Agent, number: int) -> Message:
    """Describe a task for the agent after this one, beside its function and arguments."""
    task = agent.by_number[number]
    head = task.arguments[: len(task.arguments) - len(split(task.arguments)[1])]
    return task.id, head, task.about


def take_over(agent: Agent, kept: Kept) -> None:
    """Enter into an agent's table what its executors run already, and what has ended there and no master knows of."""
    agent._count, agent.leader_id = kept.highest, kept.leader_id
    for number, (digest, arguments, name, head, about), begun in kept.found:
        task = agent.tasks[name] = agent.by_number[number] = Task(number, name, digest, head + arguments, about)
        task.started = begun
    agent.holdings.sandboxes.belong(folder_of(kept.identity[2], agent.agent, kept.pid), list(agent.tasks))
    kept.listen()
