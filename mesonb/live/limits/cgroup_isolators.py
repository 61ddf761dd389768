"""The isolation modules that rest on cgroups: a group for each child, in which all that it starts is as well.

Version 2 has one group for all controllers, version 1 one for each; both are named by the child, so the modules need
not know which it is. Choose them before an agent starts its first process: see ``cgroups.enable``.
"""

from __future__ import annotations

import time
from typing import ClassVar

from mesonb.core.resources import Resources
from mesonb.live.limits import cgroups
from mesonb.live.limits.isolator import Isolator, over_memory
from mesonb.live.limits.processes import Weight, family

#: How long an agent that leaves waits for the dead to be gone, so that it can remove their groups.
GONE_MOST_S = 1.0


class Cgroup(Isolator):
    """Keeps each child in a group of one controller."""

    controller: ClassVar[str] = ""

    def __init__(self) -> None:
        self._place: cgroups.Place | None = None
        self._groups: dict[int, cgroups.Group] = {}
        self._applied: dict[int, tuple[Resources, int]] = {}
        self._first: dict[int, int] = {}  #: what each weighed before its first task; none of that is in its group
        self._gone: list[cgroups.Group] = []

    def limit(self, group: cgroups.Group, needs: Resources, left_bytes: int) -> None:
        """Write the limits of one group, in which earlier tasks have left so much memory."""

    def why_not(self) -> str:
        """Make a group, limit it, remove it."""
        found = cgroups.places()
        place = found.get(self.controller)
        if place is None:
            return f"no cgroup of this process ({cgroups.kind(found)}) has the {self.controller} controller"
        cgroups.sweep({self.controller: place})
        try:
            cgroups.enable(place, self.controller)
            probe = cgroups.Group(place, "probe")
            try:
                self.limit(probe, Resources(cpus=1, mem="1GB"), 0)
            finally:
                probe.remove()
        except OSError as error:
            return f"{place.folder} (v{place.version}) does not let us: {error.strerror}"
        self._place = place
        return ""

    def welcome(self, pid: int) -> None:
        assert self._place, "only for modules whose why_not found nothing"
        self._groups[pid] = cgroups.Group(self._place, str(pid))
        self._groups[pid].add(family(pid))

    def apply(self, pid: int, needs: Resources, before: Weight) -> None:
        if pid not in self._groups:
            self.welcome(pid)
        left = before.held_bytes - self._first.setdefault(pid, before.held_bytes)
        if self._applied.get(pid) != (needs, left):
            self.limit(self._groups[pid], needs, max(0, left))
            self._applied[pid] = needs, left

    def release(self, pid: int) -> None:
        self._applied.pop(pid, None)
        self._first.pop(pid, None)
        if group := self._groups.pop(pid, None):
            group.kill()  # what hid from its session by making one of its own is in here still
            self._gone.append(group)
        self._bury()

    def close(self) -> None:
        for pid in list(self._groups):
            self.release(pid)
        deadline_s = time.monotonic() + GONE_MOST_S
        while self._gone and time.monotonic() < deadline_s:
            time.sleep(0.01)
            self._bury()

    def _bury(self) -> None:
        """Remove groups of the dead; Linux may take a moment to agree that nobody is left in one."""
        self._gone = [group for group in self._gone if not group.remove()]


class CgroupMemory(Cgroup):
    """Lets Linux hold a task and all that it started to its memory."""

    name = "cgroup/mem"
    controller = "memory"
    keeps = "Linux ends a task that needs more memory than it asked for, all that it started and the files that it reads included"

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, int] = {}

    def limit(self, group: cgroups.Group, needs: Resources, left_bytes: int) -> None:
        group.limit_memory(needs.mem + left_bytes if needs.mem else 0)

    def check(self, pid: int, because: str = "") -> str:
        group = self._groups.get(pid)
        kills = group.oom_kills() if group else 0
        if kills <= self._seen.get(pid, 0):
            return ""
        self._seen[pid] = kills
        limit = self._applied[pid][0].mem
        return over_memory(limit, limit, ", and it needed more: Linux ended it")

    def release(self, pid: int) -> None:
        super().release(pid)
        self._seen.pop(pid, None)


class CgroupCpu(Cgroup):
    """Weighs tasks, with all that they started, by their cpus."""

    name = "cgroup/cpu"
    yields_to: ClassVar[tuple[str, ...]] = ("cgroup/cpu-hard",)
    controller = "cpu"
    keeps = (
        "when cpus are short, tasks get them in proportion to what they asked for; when others are idle, they get more"
    )

    def limit(self, group: cgroups.Group, needs: Resources, left_bytes: int) -> None:
        group.share_cpu(needs.cpus)


class CgroupCpuHard(CgroupCpu):
    """Gives a task its cpus and never more."""

    name = "cgroup/cpu-hard"
    yields_to = ()
    keeps = "a task, with all that it started, gets no more cpu than it asked for, even if others are idle"

    def limit(self, group: cgroups.Group, needs: Resources, left_bytes: int) -> None:
        super().limit(group, needs, left_bytes)
        group.cap_cpu(needs.cpus)
