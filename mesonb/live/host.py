"""Host: the process of a local cluster of mesonb's own: the Dask scheduler with the hub, and a nanny per agent.

It runs in a process session of its own, so neither the stop button nor a restart of the kernel reaches it. Each agent
is a Dask worker in a process of its own; a nanny replaces one that dies. It ends when the hub has seen no master for a
while. Started by ``mesonb.live.cluster`` as ``python -m mesonb.live.host FILE``; FILE holds the plan, and then the facts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny, Scheduler

from mesonb.core import codec
from mesonb.live.declaring import DECLARED
from mesonb.live.limits import gpus
from mesonb.live.limits.processes import birthmark
from mesonb.live.limits.size import BESIDE
from mesonb.live.preload import install
from mesonb.live.security.blocking import ROUTES, blocked
from mesonb.live.wire.tls import security_from


async def main(file: Path) -> None:
    """Start what the plan says, write where it is, and stay until it is over."""
    plan = json.loads(file.with_suffix(".plan").read_text())
    logging.getLogger("distributed").setLevel(logging.WARNING)
    secured: dict[str, Any] = {"security": security_from(plan["tls"]), "protocol": "tls://"} if plan["tls"] else {}
    dask.config.set({"distributed.scheduler.http.routes": ROUTES, "distributed.worker.http.routes": ROUTES})
    scheduler = Scheduler(
        host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0", blocked_handlers=blocked(), **secured
    )  # fmt: skip
    async with scheduler:
        hub = await install(scheduler)
        nannies = [
            _nanny(scheduler, number, {DECLARED: declared, BESIDE: str(plan["beside"]), **shown}, secured)
            for number, (declared, shown) in enumerate(zip(plan["agents"], _gpus_of(plan), strict=True), start=1)
        ]
        async with contextlib.AsyncExitStack() as stack:
            await asyncio.gather(*[stack.enter_async_context(nanny) for nanny in nannies])
            publish(file, {"address": scheduler.address, **identity(), **plan})
            hub.end_when_idle(plan["idle_s"])
            try:
                await _finished(scheduler)
            finally:
                _withdraw(file)


def _nanny(scheduler: Scheduler, number: int, size: dict[str, str], secured: dict[str, Any]) -> Nanny:
    """Make one agent; Dask itself sets it no memory limit: its children hold the memory, not the worker."""
    return Nanny(
        scheduler.address, name=f"agent-{number}", nthreads=1, memory_limit=0, dashboard=False,
        silence_logs=logging.WARNING, env=size, **secured,
    )  # fmt: skip


def _gpus_of(plan: dict[str, Any]) -> list[dict[str, str]]:
    """Divide the gpus of this machine among the agents: by the variable that says which are whose."""
    parts = gpus.divided([codec.build(json.loads(declared)).total.gpus for declared in plan["agents"]])
    return [{gpus.VARIABLES[0]: ",".join(part)} if part else {} for part in parts]


async def _finished(scheduler: Scheduler) -> None:
    """Wait until the scheduler was closed (the hub does so when idle), or somebody says stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    closing = asyncio.ensure_future(scheduler.finished())  # type: ignore[no-untyped-call]
    await asyncio.wait([closing, asyncio.ensure_future(stop.wait())], return_when=asyncio.FIRST_COMPLETED)


def identity() -> dict[str, Any]:
    """Say which process this is, so that no other one is ever taken for it."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "birth": birthmark(os.getpid())}


def _withdraw(file: Path) -> None:
    """Remove the file, if it is still about this cluster."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads(file.read_text())["pid"] == os.getpid():
            file.unlink()


def publish(file: Path, facts: dict[str, Any]) -> None:
    """Write a file that only this user can read, whole or not at all."""
    draft = file.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(facts, out)
    draft.replace(file)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main(Path(sys.argv[1])))
