"""One workload under one architecture, from start to end, and what came out of it as plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from mesonb.core.units import SECOND_US
from mesonb.sim.architectures.cell import Cell
from mesonb.sim.architectures.metrics import SchedulerBooks, WorkloadBooks, mean_s, percentile_s, ratio
from mesonb.sim.architectures.world import Pending, Think, World
from mesonb.sim.workload import Job, check_fits, last_submission_us

#: A run ends with the first whole minute after the last submission, unless it is told otherwise.
_MINUTE_US = 60 * SECOND_US


class Entrance(Protocol):
    """Where an architecture takes jobs in."""

    def add(self, pending: Pending) -> None: ...


class Architecture(Protocol):
    """How a cell is shared between workloads."""

    @property
    def name(self) -> str: ...
    def open(self, world: World) -> Entrance: ...


@dataclass(frozen=True, slots=True)
class Case:
    """What every architecture is given alike."""

    jobs: Sequence[Job]
    machines: Sequence[tuple[int, int]]  #: (cpus_milli, mem_bytes) of each
    think: Mapping[str, Think]  #: by workload
    prefill: Sequence[Job] = field(default=())
    until_us: int = 0  #: 0: the first whole minute after the last submission

    def end_us(self) -> int:
        """When a run ends."""
        return self.until_us or (last_submission_us(self.jobs) // _MINUTE_US + 1) * _MINUTE_US


def play(architecture: Architecture, case: Case, seed: int) -> World:
    """Run a case; the world is returned as it stands at the end."""
    check_fits([*case.jobs, *case.prefill], case.machines)
    world = World(Cell(case.machines), case.think, Random(seed), case.end_us())
    for workload in sorted({job.workload for job in case.jobs}):
        world.workloads[workload] = WorkloadBooks()
        world.holds[workload] = [0, 0]
    world.fill(case.prefill)
    world.submit(case.jobs, architecture.open(world).add)
    world.run()
    return world


def measure(architecture: Architecture, case: Case, seed: int) -> dict[str, object]:
    """Run a case; return its measures, by workload where they differ between workloads."""
    return summary(architecture.name, play(architecture, case, seed)) | {"seed": seed}


def summary(name: str, world: World) -> dict[str, object]:
    """The measures of a run (mesonb.sim.architectures.metrics says what each means); times are in seconds."""
    until_us, cell = world.until_us, world.cell

    def jobs(read: Callable[[WorkloadBooks], object]) -> dict[str, object]:
        return {workload: read(books) for workload, books in world.workloads.items()}

    def schedulers(read: Callable[[list[SchedulerBooks]], object]) -> dict[str, object]:
        return {w: read([world.schedulers[name] for name in names]) for w, names in sorted(world.serves.items())}

    return {
        "architecture": name,
        "until_s": until_us / SECOND_US,
        "busyness": schedulers(lambda many: _share(many, lambda b: b.useful_us + b.wasted_us, until_us)),
        "fruitless": schedulers(lambda many: _share(many, lambda b: b.fruitless_us, until_us)),
        "conflict_fraction": schedulers(
            lambda many: ratio(sum(b.conflicted for b in many), sum(b.succeeded for b in many))
        ),
        "wait_first_s": jobs(lambda books: mean_s(books.first_waits_us)),
        "wait_first_p90_s": jobs(lambda books: percentile_s(books.first_waits_us, 90)),
        "wait_full_s": jobs(lambda books: mean_s(books.full_waits_us)),
        "wait_full_p90_s": jobs(lambda books: percentile_s(books.full_waits_us, 90)),
        "jobs": jobs(lambda books: books.jobs),
        "placed": jobs(lambda books: books.placed),
        "abandoned": jobs(lambda books: books.abandoned),
        "tasks": jobs(lambda books: books.tasks),
        "evicted": jobs(lambda books: books.evicted),
        "lost_cpu_s": jobs(lambda books: books.lost_cpu_us / 1000 / SECOND_US),
        "utilisation": {
            "cpus": world.used_cpus.mean(until_us, cell.total_cpus),
            "mem": world.used_mem.mean(until_us, cell.total_mem),
        },
        "locked_share": world.locked_cpus.mean(until_us, cell.total_cpus),
    }


def _share(many: list[SchedulerBooks], read: Callable[[SchedulerBooks], int], until_us: int) -> float:
    """The mean over a workload's schedulers of some of their time, as a share of the run."""
    return sum(map(read, many)) / (until_us * len(many))
