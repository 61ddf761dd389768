"""Holdings: what an agent holds for tasks and their frameworks beside running them.

Values that a task was given as Dask futures, until it ends; large results, until nobody wants them; sandboxes, for a
while; the stores of frameworks, until they leave. It answers what tasks ask: what is wrong with that is raised in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask

from mesonb.core.branches import owner_of
from mesonb.core.resources import Resources
from mesonb.core.units import parse_bytes
from mesonb.live.limits import gpus
from mesonb.live.tasks import here
from mesonb.live.tasks.current import of_plain
from mesonb.live.tasks.inputs import Inputs
from mesonb.live.tasks.publishing import Publisher
from mesonb.live.tasks.sandbox import Sandboxes
from mesonb.live.tasks.store import Answer, Stores
from mesonb.live.wire.comms import LEADER
from mesonb.live.wire.plain import opened

if TYPE_CHECKING:
    from mesonb.live.agent import Agent
    from mesonb.live.table import Task


class Holdings:
    """The holdings of one agent; on the loop of its Dask worker."""

    def __init__(self, agent: Agent, folder: Path) -> None:
        self._agent = agent
        self.inputs = Inputs(agent.worker)
        self.results = Publisher(agent.worker, agent.agent, agent.id)
        self.sandboxes = Sandboxes(folder, agent.agent, partial(agent._send_to, LEADER))
        self.stores = Stores(_store_bytes(agent.joins.total), self._answer)
        devices = gpus.names(agent.joins.total.gpus)
        self.gpus = gpus.Gpus(devices)
        self.variables = gpus.visible([]) if devices else {}  #: for whoever asks for no gpu: none is seen

    @property
    def frameworks(self) -> list[str]:
        """For whom something is held that outlasts their tasks."""
        return sorted(self.results.frameworks | self.stores.frameworks)

    def asked(self, number: int, question: bytes) -> tuple[bytes, int | None] | None:
        """Answer what a task asks, or later."""
        try:
            said = self._said(number, opened(question, "question of a task"))
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked
            said = error, None
        return said and (here.answered(said[0]), said[1])

    def over(self, task: Task) -> None:
        """A task has ended; of most there is nothing to let go."""
        if not task.holds:
            return
        self.inputs.over(task.number)
        self.sandboxes.over(task.id)
        self.stores.over(task.number)
        self.gpus.over(task.number)

    def left(self, frameworks: Iterable[str]) -> None:
        """Let go of everything of frameworks that have left."""
        for framework in frameworks:
            self.results.left(framework)
            self.stores.left(framework)

    async def close(self) -> None:
        """Let go of everything: the agent leaves."""
        self.inputs.close()
        self.sandboxes.close()
        self.stores.close()
        await self.results.close()

    def _said(self, number: int, question: tuple[Any, ...]) -> Answer | None:
        task, executors = self._agent.by_number[number], self._agent.executors
        task.holds = True
        match question:
            case ("input", key):
                return self._input(number, key)
            case ("sandbox",):
                path, around = str(self.sandboxes.make(task.id)), executors.warden.isolation.wrap(())
                return (path, of_plain(self._current(task)).variables, around), None
            case ("current",):
                return self._current(task), None
            case ("local", *what):
                return self.stores.ask(task.about[0], number, executors.warden.running[number], tuple(what))
            case _:
                raise ValueError(f"{question[0]!r} is no question")

    def _input(self, number: int, key: Any) -> Answer | None:
        fd = self.inputs.descriptor(key)
        if fd is None:
            fetching = asyncio.ensure_future(self.inputs.fetch(number, [key]))
            fetching.add_done_callback(lambda _: self._fetched(number, key, fetching))
            return None
        return None, fd

    def _fetched(self, number: int, key: Any, fetching: asyncio.Future[None]) -> None:
        if not fetching.cancelled():
            error = fetching.exception()
            self._answer(number, (error, None) if error else (None, self.inputs.descriptor(key)))

    def _current(self, task: Task) -> tuple[str, str, str, str, dict[str, int | str], tuple[str, ...]]:
        """Say of a task what it asks about itself."""
        framework, role, needs, _ = task.about
        devices = self.gpus.give(task.number, int(needs.get("gpus", 0)))
        return task.id, owner_of(framework), role, self._agent.agent, needs, devices

    def _answer(self, number: int, said: Answer) -> None:
        self._agent.executors.answer(number, here.answered(said[0]), said[1])


def _store_bytes(total: Resources) -> int:
    """How much tasks may keep on an agent, all together: half of its memory, unless Dask's configuration says."""
    most = dask.config.get("mesonb.local-most", None)
    return parse_bytes(most) if most is not None else total.mem // 2
