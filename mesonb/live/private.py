"""A private Dask cluster inside a share: its workers are tasks, each on an offer that was accepted for it.

All of Dask is there: p2p shuffle, spill, dashboard, ``scale`` and ``adapt``, which ask for offers and give them back. Its
scheduler lives in this kernel and ends with it; the workers then leave by themselves. A worker that is killed, for one by
revocation, is to Dask a worker that left; one that is lost with its agent is started again elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Callable
from typing import Any

from distributed import Scheduler, Worker
from distributed.core import Status
from distributed.deploy.spec import ProcessInterface, SpecCluster
from distributed.security import Security

from mesonb.core.resources import Resources
from mesonb.frameworks.queue import Queue, Run
from mesonb.live.wire.tls import encrypted, temporary
from mesonb.session import Session

#: What a worker takes that nobody said more of.
WORKER = Resources(cpus=1, mem="500MB")
#: A worker that is given back may take so long to leave by itself.
LEAVE_S = 1.0


def work(address: str, name: Any, nthreads: int, memory_bytes: int, security: Security | None = None) -> None:
    """Be a Dask worker until its scheduler lets it go; this is the task."""

    async def live() -> None:
        with tempfile.TemporaryDirectory(prefix="mesonb-dask-") as folder:
            async with Worker(
                address, name=name, nthreads=nthreads, memory_limit=memory_bytes, dashboard=False, local_directory=folder,
                security=security,
            ) as worker:  # fmt: skip
                await worker.finished()

    asyncio.run(live())


class ShareWorker(ProcessInterface):
    """One worker, as the cluster sees it: asked for, there, or gone."""

    def __init__(self, scheduler: str, *, name: Any, queue: Queue, security: Security | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._scheduler, self._name, self._queue, self._security = scheduler, name, queue, security
        self._run: Run | None = None

    async def start(self) -> None:
        """Ask for it; it comes when there is an offer, so nobody waits here."""
        needs = self._queue.needs or WORKER
        nthreads, memory_bytes = max(1, round(needs.cpus)), needs.amounts.get("mem", 0)
        loop = asyncio.get_running_loop()
        self._run = self._queue.submit(work, self._scheduler, self._name, nthreads, memory_bytes, self._security)
        self._run._future.add_done_callback(lambda _: _quietly(loop, self._gone))
        await super().start()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Give it back: Dask has told it to leave; one that does not is killed."""
        if self._run and self._run.task:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._event_finished.wait(), LEAVE_S)
        if self._run:
            self._run.cancel()
        await super().close()  # type: ignore[no-untyped-call]

    def _gone(self) -> None:
        self.status = Status.closed
        self._event_finished.set()


class PrivateCluster(SpecCluster):
    """A Dask cluster whose workers come and go with offers; ``session.dask`` makes one."""

    def __init__(
        self, queue: Queue, leave: Callable[[], None], workers: int, host: str | None, security: Security | None = None
    ) -> None:
        self._leave = leave
        secured = {"security": security, "protocol": "tls://"} if security else {}
        scheduler = {"cls": Scheduler, "options": {"host": host, "port": 0, "dashboard_address": ":0", **secured}}
        worker = {"cls": ShareWorker, "options": {"queue": queue, "security": security}}
        super().__init__(  # type: ignore[no-untyped-call]
            scheduler=scheduler, worker=worker, name=queue.name, silence_logs=logging.WARNING, security=security
        )
        self.scale(workers)  # type: ignore[no-untyped-call]

    async def _close(self) -> None:
        await super()._close()  # type: ignore[no-untyped-call]
        self._leave()


class Clusters(Session):
    """A session on real agents, which can host Dask clusters."""

    address: str  #: of the Dask scheduler whose workers are the agents
    given_up = ""  #: why it has given up, once it has: nothing comes from there any more

    def _have_ready(self, *modules: str) -> None:
        """Have agents import now what tasks are about to need, where this session may ask them to."""

    def dask(
        self, name: str = "dask", *, needs: Resources | None = None, workers: int = 0, role: str = "*", host: str | None = None
    ) -> PrivateCluster:  # fmt: skip
        """Start a private Dask cluster in a share; each worker takes ``needs``, and ``scale`` or ``adapt`` ask for more.

        ``host`` is where agents reach this kernel; by default a cluster on this machine is reached at loopback. Where the
        agents' cluster is reached by TLS, this one is too, with a certificate of its own that nobody else has.
        """
        self._have_ready(__name__)
        queue = self.register(Queue(needs or WORKER), name, role)
        if host is None and "127.0.0.1" in self.address:
            host = "127.0.0.1"
        security = temporary() if encrypted(self.address) else None
        return PrivateCluster(queue, lambda: self.unregister(queue), workers, host, security)


def _quietly(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call a function on a loop, unless that has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function)
