"""The isolation modules: for memory, for cpu, and for what a task can see. Their interface is in ``isolation.py``.

Each keeps its own note of what it applied to which child, and touches Linux only when a task needs something else:
most tasks follow one of their own kind, and then a look into a dictionary is all.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from mesonb.core.resources import Resources
from mesonb.core.units import show_bytes
from mesonb.live.limits import cgroups
from mesonb.live.limits.isolator import Isolator, over_memory
from mesonb.live.limits.processes import Weight, family, threads, weigh

#: One step of nice changes the weight of a process by this factor; 19 steps are all there are.
NICE_STEP, NICE_MOST = 1.25, 19
_ON_LINUX = sys.platform == "linux"


class Process(Isolator):
    """An own process group for each child; the executors see to it."""

    name = "process"
    keeps = "each task runs in a process and session of its own, and is killed with all that it started there"


# -- memory -----------------------------------------------------------------------------------------------------------


class Rss(Isolator):
    """Looks at what a child holds, and tells when it is more than its task asked for."""

    name = "rss"
    keeps = (
        "a task that holds more memory than it asked for is killed within 0.1 s; what its own children hold is not seen"
    )

    def __init__(self) -> None:
        self._before: dict[int, int] = {}
        self._limits: dict[int, int] = {}

    def why_not(self) -> str:
        return "" if _ON_LINUX else "only Linux tells what a process holds by itself"

    def apply(self, pid: int, needs: Resources, before: Weight) -> None:
        self._before[pid], self._limits[pid] = before.held_bytes, needs.mem

    def check(self, pid: int, because: str = "") -> str:
        limit = self._limits.get(pid, 0)
        if not limit or because:
            return ""
        try:
            used = weigh(pid).held_bytes - self._before[pid]
        except OSError:
            return ""  # it has died meanwhile
        return over_memory(used, limit) if used > limit else ""

    def rest(self, pid: int) -> None:
        self._limits.pop(pid, None)

    def release(self, pid: int) -> None:
        self._limits.pop(pid, None)
        self._before.pop(pid, None)


class Rlimit(Isolator):
    """Lets an allocation fail inside the task, which then fails with a MemoryError while its child lives on."""

    name = "rlimit"
    keeps = "an allocation beyond what the task asked for raises MemoryError in it; memory only reserved counts, its children count apart"

    def __init__(self) -> None:
        self._limits: dict[int, int] = {}
        self._soft: dict[int, int] = {}

    def why_not(self) -> str:
        return "" if hasattr(resource, "prlimit") else "only Linux sets limits on a process that runs"

    def apply(self, pid: int, needs: Resources, before: Weight) -> None:
        self._limits[pid] = needs.mem
        soft = before.data_bytes + needs.mem if needs.mem else resource.RLIM_INFINITY
        if self._soft.get(pid, resource.RLIM_INFINITY) == soft:
            return
        for member in family(pid):
            _, hard = resource.prlimit(member, resource.RLIMIT_DATA)
            resource.prlimit(member, resource.RLIMIT_DATA, (soft, hard))
        self._soft[pid] = soft

    def check(self, pid: int, because: str = "") -> str:
        limit = self._limits.get(pid, 0)
        if not limit or "MemoryError" not in because.partition(":")[0]:
            return ""
        return f"over its memory: it asked for more than its {show_bytes(limit)} ({because})"

    def release(self, pid: int) -> None:
        self._limits.pop(pid, None)
        self._soft.pop(pid, None)


# -- cpu --------------------------------------------------------------------------------------------------------------


class Affinity(Isolator):
    """Gives each task as many cores as it asked for, those with the least on them."""

    name = "affinity"
    keeps = "a task runs on as many cores as it asked for and no others; agents on one machine must themselves be bound to different ones"

    def __init__(self) -> None:
        self._cores = sorted(os.sched_getaffinity(0)) if _ON_LINUX else []
        self._load = dict.fromkeys(self._cores, 0.0)
        self._given: dict[int, tuple[list[int], float]] = {}

    def why_not(self) -> str:
        return "" if _ON_LINUX else "only Linux binds a process to cores"

    def apply(self, pid: int, needs: Resources, before: Weight) -> None:
        self.rest(pid)
        count = math.ceil(needs.cpus) or len(self._cores)
        cores = sorted(self._cores, key=lambda core: self._load[core])[:count]
        each = needs.cpus / len(cores)
        for core in cores:
            self._load[core] += each
        self._given[pid] = cores, each
        for member in family(pid):
            for thread in threads(member):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread, cores)

    def rest(self, pid: int) -> None:
        cores, each = self._given.pop(pid, ([], 0.0))
        for core in cores:
            self._load[core] -= each

    def release(self, pid: int) -> None:
        self.rest(pid)


class Autogroup(Isolator):
    """Weighs tasks by their cpus. Plain nice would not: Linux first divides a core among process sessions."""

    name = "autogroup"
    keeps = (
        "when cpus are short, tasks get them in proportion to what they asked for; when others are idle, they get more"
    )
    yields_to = ("cgroup/cpu-hard", "cgroup/cpu")

    def __init__(self) -> None:
        self._machine_cpus = os.cpu_count() or 1
        self._nice: dict[int, int] = {}
        self._wanted: dict[int, int] = {}

    def why_not(self) -> str:
        switch = Path("/proc/sys/kernel/sched_autogroup_enabled")
        if not switch.exists() or switch.read_text().strip() != "1":
            return "this Linux does not group processes by session (sched_autogroup_enabled)"
        if _in_cpu_group():
            return "this process is in a cpu cgroup, within which Linux does not group by session"
        return ""

    def apply(self, pid: int, needs: Resources, before: Weight) -> None:
        self._wanted[pid] = nice_of(needs.cpus, self._machine_cpus)
        self._settle(pid)

    def check(self, pid: int, because: str = "") -> str:
        with contextlib.suppress(OSError):
            self._settle(pid)
        return ""

    def release(self, pid: int) -> None:
        self._nice.pop(pid, None)
        self._wanted.pop(pid, None)

    def _settle(self, pid: int) -> None:
        """Write what is wanted; Linux takes ten a second of those who are not root, so the rest is written later."""
        wanted = self._wanted.get(pid, 0)
        if self._nice.get(pid, 0) == wanted:
            return
        with contextlib.suppress(BlockingIOError):
            Path(f"/proc/{pid}/autogroup").write_text(str(wanted))
            self._nice[pid] = wanted


@lru_cache(maxsize=1000)
def nice_of(cpus: float, machine_cpus: int) -> int:
    """Return the nice value whose weight is to a whole machine's as the cpus are to the machine's.

    >>> nice_of(4, 4), nice_of(1, 4), nice_of(0, 4)
    (0, 6, 19)
    """
    if not cpus:
        return NICE_MOST
    return min(max(0, round(math.log(machine_cpus / cpus, NICE_STEP))), NICE_MOST)


def _in_cpu_group() -> bool:
    """Whether a cgroup other than the topmost schedules us."""
    found = cgroups.places()
    cpu, unified = found.get("cpu"), found.get("")
    if cpu and cpu.version == 1:
        return (cpu.folder.parent / "cpu.shares").exists()
    return unified is not None and any(
        (folder / "cpu.max").exists() for folder in (unified.folder, *unified.folder.parents)
    )


# -- what a task can see ------------------------------------------------------------------------------------------------


class Namespaces(Isolator):
    """Runs commands where they see only their own processes; their end is the end of all that they started."""

    name = "namespaces"
    keeps = "a command sees only its own processes, and none outlives it; Python tasks in warm children are not covered"
    _AROUND: ClassVar[list[str]] = "unshare --user --map-root-user --pid --fork --mount-proc --kill-child --".split()

    def why_not(self) -> str:
        if not shutil.which("unshare"):
            return "there is no unshare; install util-linux"
        tried = subprocess.run([*self._AROUND, "true"], capture_output=True, text=True, timeout=10, check=False)
        return "" if tried.returncode == 0 else f"Linux does not let us: {tried.stderr.strip()}"

    def wrap(self, command: Sequence[str]) -> list[str]:
        return [*self._AROUND, *command]
