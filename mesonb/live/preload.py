"""Preload: a Dask scheduler that brings hub and agents itself, and blocks what would end everybody's tasks.

    dask scheduler --preload mesonb.live.preload

A master then needs to register no plugin there, so ``register_scheduler_plugin`` may be blocked as all the rest
(``mesonb.live.security.blocking``). Its workers need nothing but an installed mesonb.
"""

from __future__ import annotations

from typing import Any

from distributed.protocol.pickle import dumps

from mesonb.live import agent
from mesonb.live.security.blocking import blocked
from mesonb.live.wire import hub


async def dask_setup(scheduler: Any) -> None:
    """Install everything; called by Dask before the scheduler takes anybody in."""
    scheduler.blocked_handlers = blocked()
    await install(scheduler)


async def install(scheduler: Any) -> hub.Hub:
    """Install hub and agents in a scheduler of this process, as if a client had registered them."""
    made = hub.Hub()
    await scheduler.register_scheduler_plugin(made, name=hub.NAME, idempotent=True)
    # Known before the first worker registers: registering it later would set up agents a second time.
    scheduler.worker_plugins[agent.NAME] = dumps(agent.Agent())  # type: ignore[no-untyped-call]
    return made
