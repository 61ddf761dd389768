"""Blocking: what nobody may ask the Dask scheduler of a cluster that mesonb starts, because it would end everybody's tasks.

Each of these runs code inside the scheduler, or takes workers, plugins and the scheduler itself away from all who share
it: ``client.restart()`` typed in the wrong notebook is the usual way. Dask refuses them (``blocked-handlers``) before
anything of ours is asked. mesonb itself needs none: the process that hosts the scheduler installs hub and agents itself,
and so does ``dask scheduler --preload mesonb.live.preload``.

No boundary against somebody who means it: whoever may submit Dask tasks runs code on its workers (docs/SECURITY.md).
"""

from __future__ import annotations

import dask

#: Runs what it is sent inside the scheduler, or writes where it is told.
RUNS_CODE = ("run_function", "feed", "register_scheduler_plugin", "benchmark_hardware", "dump_cluster_state_to_url")
#: Takes away what others use.
TAKES_AWAY = (
    "restart", "restart_workers", "terminate", "retire_workers", "unregister_scheduler_plugin",
    "register_worker_plugin", "unregister_worker_plugin", "register_nanny_plugin", "unregister_nanny_plugin",
)  # fmt: skip
BLOCKED = (*RUNS_CODE, *TAKES_AWAY)
#: Served over HTTP without any authentication; more than this would show everybody everything.
ROUTES = ["distributed.http.health"]


def blocked() -> list[str]:
    """Return what is blocked: this, or what ``dask.config`` mesonb.blocked-handlers says instead, and what Dask's own says.

    >>> with dask.config.set({"mesonb.blocked-handlers": ["restart"]}):
    ...     blocked()
    ['restart']
    """
    ours = dask.config.get("mesonb.blocked-handlers", BLOCKED)
    return list(dict.fromkeys([*ours, *dask.config.get("distributed.scheduler.blocked-handlers", [])]))
