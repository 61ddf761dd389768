"""Cgroups: one group of processes with limits, whichever way this machine has them: v2, v1, or some of each (hybrid).

A *place* is where one controller (memory, cpu, pids) can be used: the folder of our own cgroup in the hierarchy that
has it. Groups are made inside our own cgroup, never beside it, so whatever limits us limits them as well. A group is
named by the process that made it, so what a killed agent left behind is recognised, and removed by the next.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "mesonb-"
#: The cpu controllers' own scale: the share of one cpu in v1 and in v2, and the period within which a quota is used up.
SHARES_A_CPU, WEIGHT_A_CPU, PERIOD_US = 1024, 100, 100_000
#: Linux accepts no smaller quota, and no share or weight outside these.
QUOTA_LEAST_US, SHARES_LEAST, WEIGHT_LEAST, WEIGHT_MOST = 1000, 2, 1, 10_000
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one controller is used: the folder of our own cgroup, in a hierarchy of version 1 or 2."""

    version: int
    folder: Path


def places(proc: Path = PROC) -> dict[str, Place]:
    """Find every controller that this process has, by name; "" is version 2 itself, with whatever it can without one."""
    own = _own_paths(proc)
    found: dict[str, Place] = {}
    for version, controllers, mount, root in _mounts(proc):
        if version == 2:
            place = Place(2, _within(mount, root, own.get("", "/")))
            found |= dict.fromkeys(["", *_words(place.folder / "cgroup.controllers")], place)
        else:
            found |= {name: Place(1, _within(mount, root, own[name])) for name in controllers if name in own}
    return found


def kind(found: Mapping[str, Place]) -> str:
    """Name what this machine has, by where the controllers that mesonb uses are."""
    versions = {found[name].version for name in ("memory", "cpu", "pids") if name in found}
    unified = "" in found
    return "none" if not found else "v2" if versions == {2} else "hybrid" if unified else "v1"


def _own_paths(proc: Path) -> dict[str, str]:
    """Read which cgroup we are in: by controller for version 1, by "" for version 2."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    rows = [line.split(":", 2) for line in lines]
    return {name: path for _, names, path in rows for name in names.split(",")}


def _mounts(proc: Path) -> Iterable[tuple[int, list[str], Path, str]]:
    """Yield (version, controllers, mount point, the cgroup that is mounted there)."""
    try:
        lines = (proc / "self/mountinfo").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        root, mount = before.split()[3:5]
        system, _, options = after.split(maxsplit=2)
        if system in {"cgroup", "cgroup2"}:
            yield 2 if system == "cgroup2" else 1, options.split(","), Path(mount), root


def _within(mount: Path, root: str, path: str) -> Path:
    """Return our own cgroup's folder; where a container shows only a part of the tree, the top of that part is ours."""
    relative = os.path.relpath(path, root)
    folder = mount / relative
    if relative.startswith("..") or not folder.is_dir():
        return mount
    return folder.parent if folder.name == _aside() else folder


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def enable(place: Place, controller: str) -> None:
    """Let groups inside ours use a controller; version 1 needs nothing. OSError if Linux does not let us.

    Version 2 allows it only where our cgroup holds no process itself, so ours steps into a group of its own. If others
    are in there as well, all stays as it was.
    """
    switches = place.folder / "cgroup.subtree_control"
    if place.version == 1 or controller in _words(switches):
        return
    try:
        switches.write_text(f"+{controller}")
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _step_aside(place.folder, switches, controller)


def _aside() -> str:
    return f"{PREFIX}{os.getpid()}-agent"


def _step_aside(folder: Path, switches: Path, controller: str) -> None:
    aside = folder / _aside()
    aside.mkdir(exist_ok=True)
    (aside / "cgroup.procs").write_text(str(os.getpid()))
    try:
        switches.write_text(f"+{controller}")
    except OSError:
        (folder / "cgroup.procs").write_text(str(os.getpid()))
        aside.rmdir()
        raise


def sweep(found: Mapping[str, Place]) -> None:
    """Remove the groups of agents that are gone; one that still holds a process stays, Linux sees to that."""
    for place in set(found.values()):
        for folder in place.folder.glob(f"{PREFIX}*-*"):
            owner = folder.name.removeprefix(PREFIX).split("-")[0]
            if owner.isdecimal() and not (PROC / owner).exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()


class Group:
    """One group in the hierarchy of one controller."""

    def __init__(self, place: Place, name: str) -> None:
        self.version = place.version
        self.folder = place.folder / f"{PREFIX}{os.getpid()}-{name}"
        self.folder.mkdir(exist_ok=True)

    def add(self, pids: Iterable[int]) -> None:
        """Move processes in, with all their threads; what they start from now on is in it too."""
        for pid in pids:
            try:
                (self.folder / "cgroup.procs").write_text(str(pid))
            except ProcessLookupError:
                continue

    def pids(self) -> list[int]:
        """List the processes in it."""
        return [int(pid) for pid in _words(self.folder / "cgroup.procs")]

    def kill(self) -> None:
        """Kill all that is in it: at once where Linux has a file for that (version 2), else one by one."""
        if (self.folder / "cgroup.kill").exists():
            self._write("cgroup.kill", 1)
            return
        killed: set[int] = set()
        while fresh := set(self.pids()) - killed:  # what is born meanwhile as well
            for pid in fresh:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed |= fresh

    def remove(self) -> bool:
        """Remove it; False while Linux still finds a process in it."""
        try:
            self.folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    # -- memory ---------------------------------------------------------------------------------------------------

    def limit_memory(self, mem_bytes: int) -> None:
        """Hold it to so much memory, swap included; 0 is no limit."""
        if self.version == 2:
            self._write("memory.max", mem_bytes or "max")
            self._write_if_there("memory.swap.max", 0 if mem_bytes else "max")
            self._write_if_there("memory.oom.group", 1)  # one cannot go on without the others
        else:
            with contextlib.suppress(OSError):  # memory with swap may never be less than without, so it is lifted first
                self._write_if_there("memory.memsw.limit_in_bytes", -1)
            self._write("memory.limit_in_bytes", mem_bytes or -1)
            self._write_if_there("memory.memsw.limit_in_bytes", mem_bytes or -1)

    def oom_kills(self) -> int:
        """Count how often Linux killed something in it for want of memory."""
        words = _words(self.folder / ("memory.events" if self.version == 2 else "memory.oom_control"))
        return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0

    def memory_bytes(self) -> int:
        """Read how much memory it holds."""
        name = "memory.current" if self.version == 2 else "memory.usage_in_bytes"
        return int((self.folder / name).read_text())

    # -- cpu ------------------------------------------------------------------------------------------------------

    def share_cpu(self, cpus: float) -> None:
        """Weigh it by its cpus against others, when there are not enough for all."""
        if self.version == 2:
            self._write("cpu.weight", min(max(WEIGHT_LEAST, round(cpus * WEIGHT_A_CPU)), WEIGHT_MOST))
        else:
            self._write("cpu.shares", max(SHARES_LEAST, round(cpus * SHARES_A_CPU)))

    def cap_cpu(self, cpus: float) -> None:
        """Hold it to so many cpus even if others are idle; 0 is no cap."""
        quota_us = max(QUOTA_LEAST_US, round(cpus * PERIOD_US))
        if self.version == 2:
            self._write("cpu.max", f"{quota_us if cpus else 'max'} {PERIOD_US}")
        else:
            self._write("cpu.cfs_period_us", PERIOD_US)
            self._write("cpu.cfs_quota_us", quota_us if cpus else -1)

    def _write(self, name: str, value: int | str) -> None:
        (self.folder / name).write_text(str(value))

    def _write_if_there(self, name: str, value: int | str) -> None:
        if (self.folder / name).exists():
            self._write(name, value)
