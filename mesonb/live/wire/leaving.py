"""Leaving: Dask takes no worker away under tasks that it cannot see.

To Dask a worker that runs nothing but tasks of mesonb's is idle. So each agent says in its worker's heartbeat how many
it has, and in the Dask scheduler a ``Keeper`` looks at that: an adaptive cluster is offered only workers without any, and
the scheduler is not idle while there is one. Whoever retires a worker all the same (``scale``, a worker's lifetime,
``client.retire_workers``) waits: its agent is offered no more, and leaves when its last task has ended and its master
knows. ``dask.config``: mesonb.retire-grace says after how long its tasks are killed instead; by default they are not.

A cluster object that asks for all of its workers, by name, is closing (or was told ``scale(0)``): it is not held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sized
from typing import Any

import dask

from mesonb.core.units import SECOND_US, parse_duration
from mesonb.live.wire.comms import Message

logger = logging.getLogger("mesonb")

#: How an agent's tasks are named in its worker's heartbeat.
METRIC = "mesonb-tasks"
#: Without ``mesonb.retire-grace``, tasks are given so long: for ever.
NEVER_US = 100 * 365 * 86_400 * SECOND_US
#: How long the master may take to say that it offers an agent no more.
HEARD_S = 2.0
_POLL_S = 0.05


class Departure:
    """An agent's side: it is asked by the Dask scheduler to leave, or to stay after all."""

    def __init__(self, worker: Any, tasks: Sized, tell: Callable[[Message], None]) -> None:
        self.grace_us: int | None = None  #: how long its tasks have, once it is leaving
        self._tasks, self._tell = tasks, tell
        self._known = asyncio.Event()
        worker.metrics[METRIC] = lambda _: len(tasks)
        worker.handlers["mesonb_leave"] = self.leave
        worker.handlers["mesonb_stay"] = self.stay

    async def leave(self) -> None:
        """Take no more tasks; return when the last one is over and acknowledged."""
        grace = dask.config.get("mesonb.retire-grace", None)
        self.grace_us = NEVER_US if grace is None else parse_duration(grace)
        self._known.clear()
        self._tell(("leaving", self.grace_us))
        with contextlib.suppress(TimeoutError):  # without a master nothing is launched either
            await asyncio.wait_for(self._known.wait(), HEARD_S)
        while self._tasks and self.grace_us is not None:  # noqa: ASYNC110 - tasks come and go a thousand times a second
            await asyncio.sleep(_POLL_S)

    async def stay(self) -> None:
        """Take tasks again."""
        self.grace_us = None
        self._tell(("staying",))

    def heard(self) -> None:
        """The master offers this agent no more: what it had launched before has arrived."""
        self._known.set()


class Keeper:
    """The Dask scheduler's side: stands before what takes workers away."""

    def __init__(self, scheduler: Any, agents: Collection[str]) -> None:
        self._scheduler = scheduler
        self._agents = agents  #: the addresses of the workers that have one
        self._retire, self._check_idle = scheduler.retire_workers, scheduler.check_idle
        scheduler.retire_workers = scheduler.handlers["retire_workers"] = self.retire_workers
        scheduler.check_idle = self.check_idle
        if looking := scheduler.periodic_callbacks.get("idle-timeout"):
            looking.callback = self.check_idle

    def without_tasks(self, workers: list[Any]) -> list[Any]:
        """Return those of some workers that may be taken."""
        return [worker for worker in workers if not worker.metrics.get(METRIC)]

    def check_idle(self) -> float | None:
        """Do what the scheduler does to see whether it is idle, unless there are tasks that it does not see."""
        if any(worker.metrics.get(METRIC) for worker in self._scheduler.workers.values()):
            self._scheduler.idle_since = None
            return None
        since: float | None = self._check_idle()
        return since

    async def retire_workers(
        self, workers: list[Any] | None = None, *, names: list[Any] | None = None, close_workers: bool = False,
        remove: bool = True, stimulus_id: str | None = None, **choice: Any,
    ) -> Any:  # fmt: skip
        """Retire workers as the scheduler does, once the tasks of their agents are over."""
        if workers is None and names is None:
            workers, choice = self._scheduler.workers_to_close(**choice), {}
        options = {"close_workers": close_workers, "remove": remove, "stimulus_id": stimulus_id, **choice}
        given = {"names": names} if names is not None else {"workers": workers}
        leaving = self._meant(workers or names or [])
        await asyncio.gather(*[self._ask(address, "mesonb_leave") for address in leaving])
        retired = await self._retire(**given, **options)
        kept = [one for one in leaving if one in self._scheduler.workers and one not in retired]
        if names is not None or set(kept) <= set(workers or []):  # else a cluster object ends them itself, by name
            await asyncio.gather(*[self._ask(address, "mesonb_stay") for address in kept])
        return retired

    def _meant(self, given: list[Any]) -> list[str]:
        """Return the addresses of the agents' workers that are meant, by address or by name; none if all are, by name.

        The workers of one job of a batch system have its name and a number.
        """
        wanted = {str(one) for one in given}
        there = self._scheduler.workers.items()
        by_name = [address for address, worker in there if address not in wanted and _named(str(worker.name), wanted)]
        if by_name and len(by_name) == len(there):
            return []
        return [address for address in self._agents if address in wanted or address in by_name]

    async def _ask(self, address: str, what: str) -> None:
        try:
            await getattr(self._scheduler.rpc(address), what)()
        except OSError:
            logger.info("the worker at %s went before it had left", address)


def _named(name: str, wanted: Collection[str]) -> bool:
    """Whether a worker's name is one of these, or that of a worker of such a job.

    >>> _named("job-1-0", {"job-1"}), _named("job-10", {"job-1"})
    (True, False)
    """
    return name in wanted or any(name.startswith(f"{one}-") for one in wanted)
