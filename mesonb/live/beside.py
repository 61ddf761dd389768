"""Beside: ordinary Dask tasks on the same workers, which no master launches: they keep some cpus, or are counted.

Either way it is a reservation for a role of its own, ``plain-dask``, on each agent, so it is in the books and in the log.
``plain_dask_cpus=1`` reserves so much and never more; ``plain_dask_cpus="counted"`` as much as Dask runs
just now, one cpu a task, which an agent tells within a moment. What a framework holds already is not taken away: the
reservation grows as tasks end, before anybody is offered what they leave. Dask itself is not held back: it runs as many
tasks as its workers have threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from mesonb.core import calls
from mesonb.core.records import Agent
from mesonb.core.resources import NOTHING, Resources
from mesonb.errors import BadValue
from mesonb.live.wire.comms import Message

ROLE = "plain-dask"
COUNTED = "counted"
#: An agent looks so long after Dask began or ended a task: what is over by then is not told.
HELD_S = 0.05


class PlainTasks:
    """An agent's side: tells its master how many ordinary tasks its worker runs."""

    def __init__(self, worker: Any, tell: Callable[[Message], None]) -> None:
        self.running = 0
        self._state, self._tell = worker.state, tell
        self._loop = asyncio.get_running_loop()
        self._planned = False

    def changed(self) -> None:
        """Look soon; called on the worker's loop whenever one of Dask's tasks changes its state."""
        if not self._planned:
            self._planned = True
            self._loop.call_later(HELD_S, self._look)

    def _look(self) -> None:
        self._planned = False
        running = len(self._state.executing)
        if running != self.running:
            self.running = running
            self._tell(("plain", running))


class Beside:
    """The master's side: what to reserve where."""

    def __init__(self, plain_dask_cpus: float | str | None) -> None:
        known = plain_dask_cpus in (None, COUNTED) or isinstance(plain_dask_cpus, int | float)
        if not known or (isinstance(plain_dask_cpus, int | float) and plain_dask_cpus < 0):
            raise BadValue(
                f"plain_dask_cpus={plain_dask_cpus!r}: give how many cpus of each agent ordinary Dask tasks keep, such as 1, "
                'or "counted"'
            )
        self._wanted = plain_dask_cpus
        self._running: dict[str, int] = {}
        self.owed: set[str] = set()  #: agents where tasks hold what should be reserved

    def note(self, agent: str, running: int) -> None:
        """Take down how many ordinary tasks an agent's worker runs."""
        self._running[agent] = running

    def forget(self, agent: str) -> None:
        """Strike out an agent that is gone."""
        self._running.pop(agent, None)
        self.owed.discard(agent)

    def calls(self, agent: Agent) -> Iterator[calls.Call]:
        """Say what to reserve, or to give back, on an agent now."""
        if self._wanted is None:
            return
        total_milli, held_milli = _cpus(agent.total), _cpus(agent.reserved.get(ROLE, NOTHING))
        cpus = self._running.get(agent.name, 0) if self._wanted == COUNTED else float(self._wanted)
        missing = min(total_milli, round(cpus * 1000)) - held_milli
        free_milli = _cpus(agent.free) - sum(map(_cpus, agent.reserved_free.values()))
        more, less = min(missing, free_milli), min(-missing, _cpus(agent.reserved_free.get(ROLE, NOTHING)))
        (self.owed.add if missing > max(0, more) else self.owed.discard)(agent.name)
        if more > 0:
            yield calls.Reserve(agent.name, ROLE, Resources.of({"cpus": more}))
        elif less > 0:
            yield calls.Unreserve(agent.name, ROLE, Resources.of({"cpus": less}))


def _cpus(amounts: Resources) -> int:
    return amounts.amounts.get("cpus", 0)
