"""Publishing: an agent puts a large result into the memory of its Dask worker, where plain Dask finds it as any other.

The agent's own Dask client holds it until the kernel lets go or dies, the framework leaves, or the worker dies. A result that the
worker cannot read (its class is known to the kernel alone, for one) is published sealed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Container
from typing import Any

import dask
from distributed import Client, Future

from mesonb.core.units import parse_duration
from mesonb.live.tasks import parcel
from mesonb.live.tasks.results import Mark, Sealed, key_of, task_of
from mesonb.live.wire.tls import of_a_client

#: After another master took the lead, the kernels that are left have so long to say which results they want.
GRACE = "30s"


class Publisher:
    """Publishes the results of one agent; on the loop of its Dask worker."""

    def __init__(self, worker: Any, agent: str, agent_id: str) -> None:
        self._worker, self._agent, self._agent_id = worker, agent, agent_id
        self._client: Any = None
        self._lock = asyncio.Lock()
        self._held: dict[str, tuple[str, Future[Any]]] = {}  #: by key: the framework, and what holds it
        self._doubted: set[str] = set()  #: wanted by a kernel that may have gone
        self._grace_s = parse_duration(dask.config.get("mesonb.result-grace", GRACE)) / 1_000_000

    async def publish(self, task: str, framework: str, fd: int) -> Mark:
        """Publish what is in a parcel, which is closed; return where it is."""
        try:
            value, size_bytes = await asyncio.to_thread(_read, fd), parcel.size_of(fd)
        finally:
            os.close(fd)
        key = key_of(task, self._agent_id)
        client = await self._reach()
        told = self._worker.update_data(data={key: value})
        await client.scheduler.update_data(
            who_has={key: [self._worker.address]}, nbytes=told["nbytes"], client=client.id
        )
        self._held[key] = framework, Future(key, client)
        return Mark(key, self._agent, self._worker.address, size_bytes)

    def let_go(self, keys: list[str]) -> None:
        """Hold these no more; plain Dask futures of them do so by themselves."""
        for key in keys:
            self._held.pop(key, None)
            self._doubted.discard(key)

    def doubt(self, told_again: Container[str]) -> None:
        """Another master leads: let go of what nobody says he wants, but for the tasks whose end it is told again."""
        self._doubted |= {key for key in self._held if task_of(key) not in told_again}
        if self._doubted:
            asyncio.get_running_loop().call_later(self._grace_s, self._let_go_of, list(self._doubted))

    def keep(self, keys: list[str]) -> None:
        """A kernel still wants these."""
        self._doubted.difference_update(keys)

    def _let_go_of(self, doubted: list[str]) -> None:
        self.let_go([key for key in doubted if key in self._doubted])

    def left(self, framework: str) -> None:
        """Hold nothing of a framework that has left."""
        self.let_go([key for key, (whose, _) in self._held.items() if whose == framework])

    @property
    def frameworks(self) -> set[str]:
        """Whose results are held here."""
        return {framework for framework, _ in self._held.values()}

    async def close(self) -> None:
        """Let go of everything."""
        self._held.clear()
        if self._client:
            await self._client.close()

    async def _reach(self) -> Any:
        async with self._lock:
            if self._client is None:
                self._client = await Client(  # type: ignore[no-untyped-call]
                    self._worker.scheduler.address, security=of_a_client(self._worker.security), asynchronous=True,
                    set_as_default=False, name=f"mesonb-{self._agent}",
                )  # fmt: skip
        return self._client


def _read(fd: int) -> Any:
    """Read a parcel, which runs what a cell defined; whatever that raises, the result itself is not lost."""
    try:
        return parcel.opened(fd, writable=True)
    except Exception as error:  # noqa: BLE001
        return Sealed(*parcel.copied(fd), f"{type(error).__name__}: {error}")
