"""Shared state: every scheduler sees the whole cell and claims optimistically (Omega, EuroSys'13, Sections 3.4 and 5).

A scheduler takes a private copy of the cell, thinks, places on the copy, and commits its claims in one transaction. What
others claimed meanwhile decides whether they stand:

- ``conflicts="fine"``: a claim conflicts if the machine no longer has room (Section 5.2, fine-grained);
  ``"coarse"``: if anybody claimed on that machine since the copy, room or not (its sequence number moved).
- ``commits="incremental"``: claims without a conflict stand and the rest is tried again; ``"gang"``: all or nothing,
  for the job and for the transaction.

Several schedulers may share one workload's jobs (Section 5.1, Figure 13). An attempt of which anything conflicted counts
as failed and its thinking as wasted, though some of its tasks may run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mesonb.errors import BadValue
from mesonb.sim.architectures.cell import Cell, Copy, Journal, first_fit
from mesonb.sim.architectures.world import Pending, Server, World

CONFLICTS = ("fine", "coarse")
COMMITS = ("incremental", "gang")


@dataclass(frozen=True, slots=True)
class Omega:
    """One scheduler a workload (or several) on shared state."""

    conflicts: str = "fine"
    commits: str = "incremental"
    schedulers: Mapping[str, int] = field(default_factory=dict)  #: by workload; one where nothing is said

    def __post_init__(self) -> None:
        if self.conflicts not in CONFLICTS:
            raise BadValue(f"conflicts={self.conflicts!r}; conflict detection is {' or '.join(CONFLICTS)}")
        if self.commits not in COMMITS:
            raise BadValue(f"commits={self.commits!r}; a transaction is {' or '.join(COMMITS)}")
        if wrong := [name for name, many in self.schedulers.items() if many < 1]:
            raise BadValue(f"schedulers[{wrong[0]!r}] must be at least 1")

    @property
    def name(self) -> str:
        """What tables call it."""
        many = "".join(f" {n}x{workload}" for workload, n in self.schedulers.items() if n > 1)
        return f"omega {self.conflicts} {self.commits}{many}"

    def open(self, world: World) -> _Dispatch:
        """Set up the schedulers; jobs are submitted to the dispatch's ``add``."""
        world.cell.journal = Journal()
        servers = {workload: self._servers(world, workload) for workload in world.workloads}
        world.serves.update({workload: [server.name for server in many] for workload, many in servers.items()})
        return _Dispatch(servers)

    def _servers(self, world: World, workload: str) -> list[Server]:
        many = self.schedulers.get(workload, 1)
        return [_OmegaServer(world, f"{workload}-{n}" if many > 1 else workload, self) for n in range(many)]

    def commit(self, cell: Cell, copy: Copy, wanted: list[int], cpus: int, mem: int) -> list[int]:
        """Claim in the real cell what was placed on the copy; return the claims that stand."""
        if self.commits == "gang" and not self._all_stand(cell, copy, wanted, cpus, mem):
            return []
        stand = list[int]()
        for machine in wanted:
            if self._stands(cell, copy, machine, cpus, mem):
                cell.take(machine, cpus, mem)
                stand.append(machine)
        return stand

    def _all_stand(self, cell: Cell, copy: Copy, wanted: list[int], cpus: int, mem: int) -> bool:
        return all(self._stands(cell, copy, machine, cpus * n, mem * n) for machine, n in Counter(wanted).items())

    def _stands(self, cell: Cell, copy: Copy, machine: int, cpus: int, mem: int) -> bool:
        return cell.fits(machine, cpus, mem) and (self.conflicts == "fine" or machine not in copy.claimed)


class _OmegaServer(Server):
    """A scheduler that decides on a private copy."""

    def __init__(self, world: World, name: str, rules: Omega) -> None:
        super().__init__(world, name, self._place)
        self.rules = rules

    def opened(self) -> None:
        assert self.world.cell.journal is not None
        self.world.cell.journal.open(self.name)

    def _place(self, pending: Pending) -> tuple[int, bool]:
        world, job = self.world, pending.job
        copy = Copy(world.cell, self.name)
        wanted = first_fit(copy, pending.left, job.cpus_milli, job.mem_bytes, world.dice)
        if self.rules.commits == "gang" and len(wanted) < pending.left:
            return 0, False
        stand = self.rules.commit(world.cell, copy, wanted, job.cpus_milli, job.mem_bytes)
        if stand:
            pending.left -= len(stand)
            world.start(pending, stand)
        return len(stand), len(stand) < len(wanted)


class _Dispatch:
    """Hands each job to one of its workload's schedulers, in turn."""

    def __init__(self, servers: Mapping[str, list[Server]]) -> None:
        self.servers = servers

    def add(self, pending: Pending) -> None:
        """Give a job to the scheduler whose turn its number is."""
        many = self.servers[pending.job.workload]
        many[pending.number % len(many)].add(pending)
