"""Roster: what a master knows of its agents beside the books: whether they fit, and which functions they have already."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import Any

from mesonb.core.resources import Resources
from mesonb.errors import ClusterError, VersionMismatch
from mesonb.live.limits.isolation import Module
from mesonb.live.tasks.cargo import Cargo
from mesonb.live.wire.versions import check_versions

#: How long the agents of a cluster may take to join.
JOIN_S = 30


class Roster:
    """The agents of one master; filled on its loop, waited for from the thread that makes it."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._ids: dict[str, str] = {}  #: tells an agent from the next of its name
        self._functions: dict[str, set[bytes]] = {}  #: which functions each agent has, by digest
        self._refused: dict[str, VersionMismatch] = {}
        self.isolation: dict[str, list[Module]] = {}  #: what became of the modules that each agent was to apply
        self.used: dict[str, dict[str, Resources]] = {}  #: what each agent's tasks use, by task; "" is the agent itself
        self.outlives_us: dict[str, int] = {}  #: how long the executors of an agent wait for another worker
        self._changed = threading.Condition()

    def admit(self, agent: str, about: dict[str, Any]) -> None:
        """Look at an agent that is new here; VersionMismatch if it does not fit."""
        try:
            check_versions(agent, about["versions"])
        except VersionMismatch as error:
            with self._changed:
                self._refused[agent] = error
                self._changed.notify_all()
            raise
        self._ids[agent] = about["id"]
        self.outlives_us[agent] = about.get("outlives_us", 0)
        self.isolation[agent] = [Module(*line) for line in about.get("isolation", ())]
        if warning := _about_stop_button(agent, about):
            self.warnings.append(warning)

    def known_as(self, agent: str) -> str:
        """Return what tells an agent from others that had or will have its name."""
        return self._ids.get(agent, "")

    def is_the_same(self, agent: str, about: dict[str, Any]) -> bool:
        """Whether this is the agent that joined under that name, and not one that took its place."""
        return bool(self._ids.get(agent) == about["id"])

    def enter(self, agent: str) -> None:
        """Take note that an agent is in the books now; which functions reached it is not known any more."""
        with self._changed:
            self._functions[agent] = set()
            self._changed.notify_all()

    def strike(self, agent: str) -> None:
        """Forget an agent that is gone; should it come back, it has no functions."""
        self._functions.pop(agent, None)
        self.used.pop(agent, None)
        self.isolation.pop(agent, None)
        self.outlives_us.pop(agent, None)

    def note_use(self, agent: str, tasks: dict[str, dict[str, int]], itself: dict[str, int]) -> None:
        """Take down what an agent says is really used."""
        self.used[agent] = {task: Resources.of(amounts) for task, amounts in {"": itself, **tasks}.items()}

    def function_for(self, agent: str, cargo: Cargo) -> bytes | None:
        """Return a function that an agent lacks, or nothing: each is sent once."""
        known = self._functions[agent]
        if cargo.digest in known:
            return None
        known.add(cargo.digest)
        return cargo.function

    def wait_for(self, expected: int) -> None:
        """Wait until so many agents are here; raise what kept one out, or ClusterError if some do not come."""
        with self._changed:
            done = self._changed.wait_for(lambda: self._refused or len(self._functions) >= expected, JOIN_S)
        if self._refused:
            raise next(iter(self._refused.values()))
        if not done:
            raise ClusterError(
                f"{expected} Dask workers, but within {JOIN_S} s only these agents joined: {', '.join(self._functions) or 'none'}; "
                "is mesonb installed on every worker? Their logs say why: client.get_worker_logs()"
            )


def _about_stop_button(name: str, about: dict[str, Any]) -> str | None:
    """Say what the stop button would do to a worker that shares the kernel's process group."""
    same_group = (
        about["host"] == socket.gethostname() and about["group"] == os.getpgrp() and about["pid"] != os.getpid()
    )
    if not same_group or sys.platform == "win32":
        return None
    return (
        f"{name} is in the kernel's own process group: the stop button would kill it, with its tasks. Start the cluster with "
        'LocalCluster(preload="import os; os.setpgrp()"), or write mb.Master() for a cluster that lives apart'
    )
