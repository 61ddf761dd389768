"""Usage: the cpu and memory that tasks really use, and what an agent itself costs, looked at once a second by psutil.

Only the executors' own processes are looked at; walking their trees costs a hundred times as much. So what a task
started by itself counts only once it has ended. A rate needs two looks: a task appears at the second one after it
began, and one that is over before that never does. What is *used* is never mixed with what is *allocated*.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import psutil

#: A look at one process costs a quarter of a millisecond, so more often would be felt.
EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Used:
    """What one task (or an agent itself) used: cpus and memory now, and over its life so far."""

    cpus: float  #: on average since the look before
    mem_bytes: int  #: held at the last look
    cpu_s: float  #: since the first look
    peak_bytes: int  #: the most that any look found

    @property
    def amounts(self) -> dict[str, int]:
        """The cpus and memory now, as exact amounts of ``Resources``."""
        return {"cpus": round(self.cpus * 1000), "mem": self.mem_bytes}


@dataclass(slots=True)
class _Track:
    """What is remembered of one task between two looks."""

    process: psutil.Process
    first_cpu_s: float
    cpu_s: float
    at_s: float
    peak_bytes: int


class Usage:
    """Looks at tasks and at the agent; ``clock`` is in seconds."""

    def __init__(self, own: Iterable[int] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self.tasks: dict[str, Used] = {}  #: at the last look
        self.overhead = Used(0, 0, 0, 0)  #: the agent's own processes together
        self.look_s = 0.0  #: how long the last look took
        self._own = {f"own {pid}": pid for pid in own or (os.getpid(),)}
        self._clock = clock
        self._tracks: dict[tuple[str, int], _Track] = {}

    def look(self, running: Mapping[str, int]) -> dict[str, Used]:
        """Look at tasks, given the pid in which each runs, and return what they use."""
        began_s = self._clock()
        everything = {**running, **self._own}
        self._tracks = {key: track for key, track in self._tracks.items() if everything.get(key[0]) == key[1]}
        found = {name: used for name, pid in everything.items() if (used := self._look_at(name, pid))}
        self.overhead = _together([found[name] for name in self._own if name in found])
        self.tasks = {name: used for name, used in found.items() if name not in self._own}
        self.look_s = self._clock() - began_s
        return self.tasks

    def _look_at(self, name: str, pid: int) -> Used | None:
        """Return what was used since the look before; nothing at the first, or if the process is gone."""
        track = self._tracks.get((name, pid))
        try:
            process = track.process if track else psutil.Process(pid)
            cpu_s, mem_bytes = _read(process)
        except psutil.Error:
            return None
        at_s = self._clock()
        if track is None:
            self._tracks[name, pid] = _Track(process, cpu_s, cpu_s, at_s, mem_bytes)
            return None
        used_s, passed_s = cpu_s - track.cpu_s, at_s - track.at_s
        track.cpu_s, track.at_s, track.peak_bytes = cpu_s, at_s, max(track.peak_bytes, mem_bytes)
        cpus = used_s / passed_s if passed_s > 0 else 0.0
        return Used(cpus, mem_bytes, cpu_s - track.first_cpu_s, track.peak_bytes)


def _read(process: psutil.Process) -> tuple[float, int]:
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info()
    return times.user + times.system + times.children_user + times.children_system, memory.rss


def _together(parts: list[Used]) -> Used:
    return Used(
        sum(part.cpus for part in parts), sum(part.mem_bytes for part in parts),
        sum(part.cpu_s for part in parts), sum(part.peak_bytes for part in parts),
    )  # fmt: skip
