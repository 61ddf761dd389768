"""One run: the cell, the agenda of what happens next, the dice and the books, which every architecture shares.

Rule: an architecture decides who is asked, when, and on which view of the cell; everything that must be alike for the
comparison to be fair is here: decision times, retries, giving up, task ends and the measures.

Decision time is t_job + t_task x tasks still unplaced, so a retry costs less (Omega, Section 4). Tasks of a job that were
placed together end together, so they are one entry in the agenda.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from mesonb.core.units import SECOND_US
from mesonb.errors import BadValue
from mesonb.sim.architectures.cell import Cell, Pool, first_fit
from mesonb.sim.architectures.metrics import Level, SchedulerBooks, WorkloadBooks
from mesonb.sim.workload import Job

#: On whose account the tasks are that fill the cell beforehand.
PREFILL = "(prefill)"
#: A job with tasks left is tried again this much later (the paper's simulator).
RETRY_US = SECOND_US
#: A job is abandoned after so many attempts that placed nothing, or so many in all (Omega, Section 4: "1,000 attempts").
FRUITLESS_ATTEMPTS, ATTEMPTS = 100, 1000


@dataclass(frozen=True, slots=True)
class Think:
    """How long a scheduler decides: so long a job, and so long for each of its tasks."""

    t_job_us: int = 100_000
    t_task_us: int = 5_000

    def of(self, tasks: int) -> int:
        """The decision time for a job with so many tasks to place."""
        return self.t_job_us + self.t_task_us * tasks


@dataclass(slots=True, eq=False)
class Pending:
    """A job on its way through a scheduler."""

    job: Job
    number: int  #: jobs are counted in the order given
    left: int  #: tasks not placed yet
    attempts: int = 0
    whole: bool = False  #: every task has been placed once


@dataclass(slots=True, eq=False)
class Running:
    """Tasks of one job that were placed together: one machine a task."""

    pending: Pending
    machines: list[int]
    since_us: int


@dataclass(slots=True)
class World:
    """The state of one run."""

    cell: Cell
    think: Mapping[str, Think]  #: by workload
    dice: Random
    until_us: int
    now_us: int = 0
    store: Cell | Pool = field(init=False)  #: where resources go when a task ends
    filled: list[Running] = field(default_factory=list)  #: what the cell is full of when the run begins
    on_end: list[Callable[[Running], None]] = field(default_factory=list)
    schedulers: dict[str, SchedulerBooks] = field(default_factory=dict)
    serves: dict[str, list[str]] = field(default_factory=dict)  #: by workload, the schedulers that serve it
    workloads: dict[str, WorkloadBooks] = field(default_factory=dict)
    holds: dict[str, list[int]] = field(default_factory=dict)  #: by workload, [cpus, mem] of its running tasks
    used_cpus: Level = field(default_factory=Level)
    used_mem: Level = field(default_factory=Level)
    locked_cpus: Level = field(default_factory=Level)
    events: int = 0
    _agenda: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.store = self.cell

    def at(self, when_us: int, do: Callable[..., None], *args: object) -> None:
        """Do something at a moment; what is due at the same moment happens in the order it was asked for."""
        heapq.heappush(self._agenda, (when_us, next(self._order), do, args))

    def after(self, delay_us: int, do: Callable[..., None], *args: object) -> None:
        """Do something later."""
        self.at(self.now_us + delay_us, do, *args)

    def run(self) -> None:
        """Let everything happen up to the end of the run."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= self.until_us:
            self.now_us, _, do, args = heapq.heappop(agenda)
            self.events += 1
            do(*args)

    # -- jobs -------------------------------------------------------------------------------------------------------

    def submit(self, jobs: Iterable[Job], to: Callable[[Pending], None]) -> None:
        """Put jobs on the agenda; ``to`` is told of each when it is submitted."""
        for number, job in enumerate(jobs):
            self.at(job.submitted_us, self._submitted, Pending(job, number, job.tasks), to)

    def _submitted(self, pending: Pending, to: Callable[[Pending], None]) -> None:
        self.workloads[pending.job.workload].jobs += 1
        to(pending)

    def begin(self, pending: Pending) -> int:
        """An attempt at a job begins; return how long it will be thought about."""
        job = pending.job
        if not pending.attempts:
            self.workloads[job.workload].first_waits_us.append(self.now_us - job.submitted_us)
        pending.attempts += 1
        return self.think[job.workload].of(pending.left)

    def settle(self, pending: Pending, again: Callable[[Pending], None], placed_us: int | None = None) -> None:
        """An attempt is decided: the job is placed (now, unless it is said when), tried again later, or abandoned."""
        books = self.workloads[pending.job.workload]
        if not pending.left:
            if not pending.whole:  # an evicted job is placed again, but counts once
                pending.whole = True
                books.placed += 1
                books.full_waits_us.append((placed_us or self.now_us) - pending.job.submitted_us)
        elif _hopeless(pending):
            books.abandoned += 1
        else:
            self.after(RETRY_US, again, pending)

    # -- tasks ------------------------------------------------------------------------------------------------------

    def start(self, pending: Pending, machines: list[int]) -> Running:
        """Start tasks whose room has been taken; it goes back to the store when they end."""
        self.workloads[pending.job.workload].tasks += len(machines)
        return self._run(pending, machines)

    def _run(self, pending: Pending, machines: list[int]) -> Running:
        running = Running(pending, machines, self.now_us)
        self._use(pending.job, len(machines))
        self.after(pending.job.duration_us, self._ended, running)
        return running

    def _ended(self, running: Running) -> None:
        job, give = running.pending.job, self.store.give
        for machine in running.machines:
            give(machine, job.cpus_milli, job.mem_bytes)
        self._use(job, -len(running.machines))
        for listener in self.on_end:
            listener(running)

    def evict(self, running: Running, machine: int) -> None:
        """Stop one task before its end; its room is free, its work lost."""
        job, books = running.pending.job, self.workloads[running.pending.job.workload]
        running.machines.remove(machine)
        self.store.give(machine, job.cpus_milli, job.mem_bytes)
        self._use(job, -1)
        books.evicted += 1
        books.lost_cpu_us += (self.now_us - running.since_us) * job.cpus_milli

    def _use(self, job: Job, tasks: int) -> None:
        cpus, mem = job.cpus_milli * tasks, job.mem_bytes * tasks
        self.used_cpus.add(cpus, self.now_us)
        self.used_mem.add(mem, self.now_us)
        held = self.holds[job.workload]
        held[0] += cpus
        held[1] += mem

    def fill(self, jobs: Iterable[Job]) -> None:
        """Place what the cell is already full of when the run begins."""
        self.holds[PREFILL] = [0, 0]
        for job in jobs:
            machines = first_fit(self.cell, job.tasks, job.cpus_milli, job.mem_bytes, self.dice)
            if len(machines) < job.tasks:
                raise BadValue(
                    f"prefill, {job}: only {len(machines)} of its tasks find room; give more machines or fill less"
                )
            self.filled.append(self._run(Pending(replace(job, workload=PREFILL), -1, 0), machines))


def _hopeless(pending: Pending) -> bool:
    nothing = pending.left == pending.job.tasks
    return pending.attempts > ATTEMPTS or (nothing and pending.attempts > FRUITLESS_ATTEMPTS)


class Server:
    """One scheduler: a queue, and one decision at a time. What it sees and how it places is the architecture's."""

    def __init__(self, world: World, name: str, decide: Callable[[Pending], tuple[int, bool]]) -> None:
        self.world, self.name, self.decide = world, name, decide
        self.books = world.schedulers[name] = SchedulerBooks()
        self.queue: deque[Pending] = deque()
        self.busy = False

    def add(self, pending: Pending) -> None:
        """Queue a job; an idle scheduler turns to it at once."""
        self.put(pending)
        if not self.busy:
            self._turn()

    def waiting(self) -> bool:
        """Whether any job is queued."""
        return bool(self.queue)

    def put(self, pending: Pending) -> None:
        """Queue a job."""
        self.queue.append(pending)

    def next(self) -> Pending:
        """The job to decide on next, off the queue."""
        return self.queue.popleft()

    def opened(self) -> None:
        """A decision begins (Omega takes its private copy here)."""

    def _turn(self) -> None:
        pending = self.next()
        self.busy = True
        self.opened()
        think_us = self.world.begin(pending)
        self.world.after(think_us, self._decided, pending, think_us)

    def _decided(self, pending: Pending, think_us: int) -> None:
        placed, conflict = self.decide(pending)
        self.books.decided(think_us, placed > 0, conflict)
        self.world.settle(pending, self.add)
        self.busy = False
        if self.waiting():
            self._turn()
