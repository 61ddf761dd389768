"""Inputs: Dask futures as arguments of tasks. Each agent fetches what its tasks need from the workers that have it.

In the arguments of a task stands only which key is meant. What was fetched is held in a parcel for as long as a task here
needs it; children read it without a copy.
"""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import time
from collections import ChainMap
from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle
from distributed import Future
from distributed.utils_comm import gather_from_workers

from mesonb.live.tasks import here, parcel
from mesonb.live.tasks.pickling import pickled_apart
from mesonb.live.tasks.results import task_of

#: Arguments that begin so name their keys first; a pickle never does.
MARK = b"mesonb inputs"
#: In the pickle of every Dask future, and of what stands for one.
TRACES = b"distributed.client", b"mesonb.live.tasks.here"


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Leaves the values of Dask futures to be fetched."""

    def __init__(self, file: io.BytesIO) -> None:
        self.keys: dict[Any, None] = {}
        ours = {Future: self._reduce, here.Input: self._reduce}
        self.dispatch_table = ChainMap(ours, cloudpickle.Pickler.dispatch_table)  # read when the pickler is made
        super().__init__(file, protocol=5)

    def _reduce(self, future: Future[Any] | here.Input) -> tuple[Callable[[Any], Any], tuple[Any]]:
        self.keys[future.key] = None
        return here.fetched, (future.key,)


def pack(thing: Any) -> bytes:
    """Pickle arguments with Dask futures anywhere in them; what ``split`` takes apart."""
    content = io.BytesIO()
    pickler = _Pickler(content)
    pickler.dump(thing)
    if not pickler.keys:
        return content.getvalue()
    named = pickle.dumps(list(pickler.keys), protocol=5)
    return MARK + len(named).to_bytes(4, "little") + named + content.getvalue()


def split(arguments: bytes) -> tuple[list[Any], bytes]:
    """Return which keys some arguments need, and the pickle itself."""
    if not arguments.startswith(MARK):
        return [], arguments
    at = len(MARK) + 4
    end = at + int.from_bytes(arguments[at - 4 : at], "little")
    return pickle.loads(arguments[at:end]), arguments[end:]


#: Such a key may still be on its way to the Dask scheduler; after so long it is not.
GONE = (None, "released", "forgotten")
UNKNOWN_S = 2.0
POLL_MOST_S = 0.5


class Lost(Exception):
    """No worker has the value of an argument."""


class Inputs:
    """The values that the tasks of one agent need, by key; on the loop of its Dask worker."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._held: dict[Any, asyncio.Future[int]] = {}  #: the descriptors of parcels, as soon as they are there
        self._users: dict[Any, set[int]] = {}  #: by key, the tasks that need it

    async def fetch(self, number: int, keys: Sequence[Any]) -> None:
        """Have all that a task needs; Lost if something is nowhere. Call ``over`` when the task has ended."""
        for key in keys:
            self._users.setdefault(key, set()).add(number)
            if key not in self._held:
                self._held[key] = asyncio.ensure_future(self._fetch(key))
        for key in keys:
            await asyncio.shield(self._held[key])

    def descriptor(self, key: Any) -> int | None:
        """Return the parcel of what was fetched; nothing if it was not: the agent before this one has."""
        return self._held[key].result() if key in self._held and self._held[key].done() else None

    def over(self, number: int) -> None:
        """Let go of what only this task needed."""
        for key in [key for key, users in self._users.items() if number in users]:
            self._users[key].discard(number)
            if not self._users[key]:
                del self._users[key]
                self._held.pop(key).add_done_callback(_close)

    def close(self) -> None:
        """Let go of everything."""
        for held in self._held.values():
            held.cancel()
            held.add_done_callback(_close)
        self._held.clear()

    async def _fetch(self, key: Any) -> int:
        value = await self._value(key)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: parcel.wrap(*pickled_apart(value)))

    async def _value(self, key: Any) -> Any:
        """Take it from this worker's own memory, or from another worker's; one that is being computed is waited for."""
        began_s, wait_s = time.monotonic(), 0.02
        while True:
            if key in self._worker.data:
                return self._worker.data[key]
            who_has = await self._worker.scheduler.who_has(keys=[key])
            if who_has.get(key):
                found, _, failed, _ = await gather_from_workers(who_has, rpc=self._worker.rpc, who=self._worker.address)
                if key in found:
                    return found[key]
                if failed:
                    raise Lost(
                        f"its argument {key!r} cannot be read by this Dask worker; is what it is made of installed?"
                    )
            state = (await self._worker.scheduler.get_task_status(keys=[key])).get(key)
            if state == "erred":
                raise Lost(
                    f"its argument, the Dask future {key!r}, failed when Dask computed it; future.result() says why"
                )
            if state in GONE and time.monotonic() - began_s > UNKNOWN_S:
                raise Lost(lost(key))
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, POLL_MOST_S)


def lost(key: Any) -> str:
    """Say that the value of a key is nowhere, and how to have it again."""
    if task := task_of(key):
        return f"its argument, the result of {task}, is lost with the worker that held it; run {task} again"
    return f"its argument, the Dask future {key!r}, is on no worker of this cluster; compute it again"


def _close(held: asyncio.Future[int]) -> None:
    if not held.cancelled() and held.exception() is None:
        os.close(held.result())
