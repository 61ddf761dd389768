"""Sandbox: the folder that a command runs in. Listed when it is over, kept for a while, and removed.

``dask.config``: mesonb.sandbox is where an agent puts them (default: beside its Dask worker's own files), mesonb.sandbox-keep
how long one is kept after its command has ended. What an agent that was killed has left there, the next one removes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import dask
import psutil

from mesonb.core.units import parse_duration, show_bytes
from mesonb.live.wire.comms import Message

KEEP = "10 min"
#: The most sandboxes of commands that have ended; and the most files of one that are listed.
KEPT_MOST = 100
LISTED_MOST = 200
#: A disk with less room than this is full: Linux keeps some of it for itself.
FULL_BYTES = 65_536
_PREFIX = "mesonb-sandboxes-"


class Sandboxes:
    """The sandboxes of one agent; on the loop of its Dask worker."""

    def __init__(self, default: Path, agent: str, tell: Callable[[Message], None]) -> None:
        root = Path(dask.config.get("mesonb.sandbox", None) or default)
        root.mkdir(parents=True, exist_ok=True)
        self.folder = folder_of(root, agent, os.getpid())
        self._keep_s = parse_duration(dask.config.get("mesonb.sandbox-keep", KEEP)) / 1_000_000
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._there: dict[str, Path] = {}
        self._over: dict[str, asyncio.TimerHandle] = {}
        for left in root.glob(f"{_PREFIX}*"):
            if not psutil.pid_exists(int(left.name.rpartition("-")[2])):
                self._remove(left)

    def belong(self, folder: Path, tasks: Iterable[str]) -> None:
        """Be those of a process that outlives this one: with the sandboxes of tasks that it runs, and none of others for long."""
        self.folder = folder
        self._there = {task: path for task in tasks if (path := self._path(task)).exists()}
        for over in set(self.folder.glob("*")) - set(self._there.values()):
            self._loop.call_later(self._keep_s, self._remove, over)

    def make(self, task: str) -> Path:
        """Make the sandbox of a command that begins; OSError if the disk is full, for one."""
        path = self._path(task)
        while path.exists():  # another framework's task is spelt so: lab-task/1 and lab/task-1
            path = path.with_name(f"{path.name}+")
        path.mkdir(mode=0o700, parents=True)
        self._there[task] = path
        self._tell(("sandbox", task, str(path), {}))
        return path

    def over(self, task: str) -> None:
        """List the sandbox of a command that has ended, and plan its end."""
        if (path := self._there.get(task)) and task not in self._over:
            self._tell(("sandbox", task, str(path), dict(_listed(path))))
            self._over[task] = self._loop.call_later(self._keep_s, self.remove, task)
            if len(self._over) > KEPT_MOST:
                self.remove(next(iter(self._over)))

    def remove(self, task: str) -> None:
        """Remove one that is over."""
        self._over.pop(task).cancel()
        self._remove(self._there.pop(task))

    def trouble(self, task: str) -> str:
        """Say that the disk is full, where it is: most commands say so themselves, but somewhere in what they print."""
        path = self._there.get(task)
        if path is None:
            return ""
        free = shutil.disk_usage(path).free
        if free > FULL_BYTES:
            return ""
        return (
            f"; the disk of its sandbox {path} is full ({show_bytes(free)} left): write less there, or give the agents a larger "
            "place with dask.config.set({'mesonb.sandbox': '/large/disk'})"
        )

    def close(self) -> None:
        """Remove everything: the agent leaves."""
        for timer in self._over.values():
            timer.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, task: str) -> Path:
        return self.folder / task.replace("/", "-")

    def _remove(self, path: Path) -> None:
        self._loop.run_in_executor(None, shutil.rmtree, path, True)  # it may be large


def folder_of(root: Path, agent: str, pid: int) -> Path:
    """Name the folder of an agent's sandboxes by the process that they end with."""
    return root / f"{_PREFIX}{agent}-{pid}"


def _listed(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the files below a folder, by name, and their bytes; the first LISTED_MOST."""
    count = 0
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            file = Path(folder, name)
            yield str(file.relative_to(path)), file.lstat().st_size
            count += 1
            if count == LISTED_MOST:
                return
