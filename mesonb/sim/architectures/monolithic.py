"""Monolithic: one scheduler with one queue decides for every job (Omega, EuroSys'13, Section 4.1).

*Single path* runs the same code for all jobs, so the slowest workload's t_job is everyone's. *Multi path* has a fast
path for the others: only the slow workload pays for its thinking, but whoever stands behind it in the queue waits
(head-of-line blocking).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesonb.errors import BadValue
from mesonb.sim.architectures.cell import first_fit
from mesonb.sim.architectures.scoring import Placement, Scored
from mesonb.sim.architectures.world import Pending, Server, Think, World

PATHS = ("single", "multi")


@dataclass(frozen=True, slots=True)
class Monolithic:
    """One queue, one decision at a time, on the real cell."""

    paths: str = "multi"
    placement: Placement = field(default=first_fit)  #: or one of ``scoring``'s

    def __post_init__(self) -> None:
        if self.paths not in PATHS:
            raise BadValue(f"paths={self.paths!r}; a monolithic scheduler is {' or '.join(PATHS)} path")

    @property
    def name(self) -> str:
        """What tables call it."""
        placed = "" if self.placement is first_fit else f" {self.placement}"
        return f"monolithic {self.paths}{placed}"

    def open(self, world: World) -> Server:
        """Set up the scheduler; jobs are submitted to its ``add``."""
        if self.paths == "single":
            world.think = one_path(world.think)
        world.serves.update({workload: ["monolithic"] for workload in world.workloads})

        placement = self.placement.fresh() if isinstance(self.placement, Scored) else self.placement

        def decide(pending: Pending) -> tuple[int, bool]:
            job = pending.job
            machines = placement(world.cell, pending.left, job.cpus_milli, job.mem_bytes, world.dice)
            if machines:
                pending.left -= len(machines)
                world.start(pending, machines)
            return len(machines), False

        return Server(world, "monolithic", decide)


def one_path(think: Mapping[str, Think]) -> dict[str, Think]:
    """The slowest path for everybody.

    >>> one_path({"batch": Think(), "service": Think(t_job_us=10_000_000)})["batch"].t_job_us
    10000000
    """
    slowest = Think(max(t.t_job_us for t in think.values()), max(t.t_task_us for t in think.values()))
    return dict.fromkeys(think, slowest)
