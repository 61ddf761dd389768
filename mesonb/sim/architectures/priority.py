"""Priority bands with preemption, as Borg has them, on one monolithic scheduler (Borg, EuroSys'15, Section 2.5).

Jobs belong to a band: best effort < batch < production < monitoring. The queue is served by band, and a task that finds
no room may evict tasks of lower bands. Inside a band nobody evicts anybody (Borg forbids it for production, to keep one
eviction from causing the next). An evicted task has lost its work: it is queued again and runs its whole time.

Which tasks go: those of the lowest band, and of these the ones that started last, because they lose least.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from mesonb.errors import BadValue
from mesonb.sim.architectures.cell import first_fit
from mesonb.sim.architectures.monolithic import PATHS, one_path
from mesonb.sim.architectures.world import Pending, Running, Server, World

#: Bands from the first to be evicted to the last.
BANDS = ("best effort", "batch", "production", "monitoring")
#: The band of a workload of which nothing was said, by its name; "batch" for any other name.
_USUAL = {"service": "production", "production": "production", "monitoring": "monitoring", "best effort": "best effort"}


@dataclass(frozen=True, slots=True)
class Priorities:
    """One queue ordered by band; higher bands evict lower ones."""

    bands: Mapping[str, str] = field(default_factory=dict)  #: by workload
    paths: str = "multi"

    def __post_init__(self) -> None:
        if wrong := [band for band in self.bands.values() if band not in BANDS]:
            raise BadValue(f"no band is called {wrong[0]!r}; bands are {', '.join(BANDS)}")
        if self.paths not in PATHS:
            raise BadValue(f"paths={self.paths!r}; a monolithic scheduler is {' or '.join(PATHS)} path")

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"monolithic {self.paths} priorities"

    def band(self, workload: str) -> int:
        """The rank of a workload's band; more is more important."""
        return BANDS.index(self.bands.get(workload) or _USUAL.get(workload.lower(), "batch"))

    def open(self, world: World) -> _PriorityServer:
        """Set up the scheduler; jobs are submitted to its ``add``."""
        if self.paths == "single":
            world.think = one_path(world.think)
        world.serves.update({workload: ["monolithic"] for workload in world.workloads})
        return _PriorityServer(world, {workload: self.band(workload) for workload in world.workloads})


class _PriorityServer(Server):
    """A scheduler whose queue is ordered by band, and which knows what runs where."""

    def __init__(self, world: World, bands: Mapping[str, int]) -> None:
        super().__init__(world, "monolithic", self._place)
        self.bands = bands
        self.ordered: list[tuple[int, int, Pending]] = []
        self.on_machine: dict[int, list[Running]] = {}  #: one entry a task
        self.running = [0] * len(BANDS)  #: tasks of each band
        self._order = count()
        world.on_end.append(self._ended)

    def waiting(self) -> bool:
        return bool(self.ordered)

    def put(self, pending: Pending) -> None:
        heapq.heappush(self.ordered, (-self.bands[pending.job.workload], next(self._order), pending))

    def next(self) -> Pending:
        return heapq.heappop(self.ordered)[2]

    # -- placing ----------------------------------------------------------------------------------------------------

    def _place(self, pending: Pending) -> tuple[int, bool]:
        job = pending.job
        machines = first_fit(self.world.cell, pending.left, job.cpus_milli, job.mem_bytes, self.world.dice)
        if len(machines) < pending.left:
            machines += self._make_room(pending, pending.left - len(machines))
        if machines:
            pending.left -= len(machines)
            running = self.world.start(pending, machines)
            self.running[self.bands[job.workload]] += len(machines)
            for machine in machines:
                self.on_machine.setdefault(machine, []).append(running)
        return len(machines), False

    def _make_room(self, pending: Pending, tasks: int) -> list[int]:
        """Evict lower bands until so many tasks have room, or nobody is left to evict."""
        job, made = pending.job, list[int]()
        if not any(self.running[: self.bands[job.workload]]):
            return made
        open_to_us = [machine for machine in self.on_machine if self._reclaimable(machine, pending)]
        while open_to_us and len(made) < tasks:
            at = int(self.world.dice.random() * len(open_to_us))
            machine = open_to_us[at]
            if self._reclaimable(machine, pending):
                self._evict_until_it_fits(machine, pending)
                self.world.cell.take(machine, job.cpus_milli, job.mem_bytes)
                made.append(machine)
            else:
                open_to_us[at] = open_to_us[-1]
                open_to_us.pop()
        return made

    def _lower(self, machine: int, pending: Pending) -> list[Running]:
        bands, mine = self.bands, self.bands[pending.job.workload]
        return [running for running in self.on_machine[machine] if bands[running.pending.job.workload] < mine]

    def _victims(self, machine: int, pending: Pending) -> list[Running]:
        """Whom to evict first, second, ..."""
        lower = self._lower(machine, pending)
        return sorted(lower, key=lambda running: (self.bands[running.pending.job.workload], -running.since_us))

    def _reclaimable(self, machine: int, pending: Pending) -> bool:
        cpus, mem = self.world.cell.free_cpus[machine], self.world.cell.free_mem[machine]
        for running in self._lower(machine, pending):
            cpus += running.pending.job.cpus_milli
            mem += running.pending.job.mem_bytes
        return cpus >= pending.job.cpus_milli and mem >= pending.job.mem_bytes

    def _evict_until_it_fits(self, machine: int, pending: Pending) -> None:
        for victim in self._victims(machine, pending):
            if self.world.cell.fits(machine, pending.job.cpus_milli, pending.job.mem_bytes):
                return
            self.on_machine[machine].remove(victim)
            self.running[self.bands[victim.pending.job.workload]] -= 1
            self.world.evict(victim, machine)
            victim.pending.left += 1
            if victim.pending.left == 1:  # it was whole, so nobody has it queued
                self.put(victim.pending)

    def _ended(self, running: Running) -> None:
        if running.pending.job.workload not in self.bands:
            return  # what fills the cell beforehand belongs to no band and is never evicted
        self.running[self.bands[running.pending.job.workload]] -= len(running.machines)
        for machine in running.machines:
            self.on_machine[machine].remove(running)
