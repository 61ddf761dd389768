"""Two-level offers as in 2011: the whole free cell, locked for one framework at a time (Mesos, NSDI'11; Omega, Section 4.2).

The allocator collects free resources for a second, takes the framework with the least dominant share of those that ask,
and offers it everything that is free. Until the framework answers, the offer is locked: nobody else sees it. The framework
settles every job it has queued on the offer and answers when it has thought about them all, one after another; then the
tasks start and the rest goes back. So slow decisions lock the cell against everyone. What ends meanwhile is collected for
the next offer, and a busy framework can be sent that one too: it stays locked until the framework comes to it.

Rule: this is the model behind the paper's Figure 7, so it keeps that model's ways, two of which matter when the service
scheduler is very slow. Jobs count as placed, and what is left of them is queued again, when the offer is taken up and not
when it is answered. And a job is tried only on an offer with room for more than one of its tasks: an offer with exactly
that much left is a trap, in which every queued job is thought about in vain (``exact_fit=True`` opens the trap; at a t_job
of 100 s twice as many jobs are placed). One thing is not kept: the released simulator lets a framework answer several
offers at once; here, as in the paper, it answers one at a time.

Apache Mesos no longer works so: today's form offers agent by agent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from mesonb.core.units import SECOND_US
from mesonb.sim.architectures.cell import Pool, first_fit
from mesonb.sim.architectures.metrics import SchedulerBooks
from mesonb.sim.architectures.world import Pending, Running, World

#: Resources are collected for so long before an offer is made, and the allocator itself takes so long to decide.
COLLECT_US, ALLOCATE_US = SECOND_US, 1000


@dataclass(frozen=True, slots=True)
class TwoLevel2011:
    """One framework a workload; one offer of everything, to one of them."""

    #: Less free than this many cpus (but never more than a fortieth of the cell) is not worth an offer.
    min_offer_cpus: float = 100
    #: Whether a job can use an offer that holds room for exactly one of its tasks.
    exact_fit: bool = False

    @property
    def name(self) -> str:
        """What tables call it."""
        return "two-level 2011"

    def open(self, world: World) -> _Allocator:
        """Set up the allocator and its frameworks; jobs are submitted to the allocator's ``add``."""
        world.serves.update({workload: [workload] for workload in world.workloads})
        return _Allocator(world, min(round(self.min_offer_cpus * 1000), world.cell.total_cpus // 40), self.exact_fit)


class _Allocator:
    """Makes the offers."""

    def __init__(self, world: World, least_cpus: int, exact_fit: bool) -> None:
        self.world, self.least_cpus, self.exact_fit = world, least_cpus, exact_fit
        self.free = world.store = Pool.of(world.cell)
        self.frameworks = {workload: _Framework(world, workload, self) for workload in world.workloads}
        self.asking: set[str] = set()  # iterated in the order of names only
        self._collecting = False
        world.on_end.append(self._ended)

    def add(self, pending: Pending) -> None:
        """Hand a job to its framework, which asks for an offer."""
        workload = pending.job.workload
        self.frameworks[workload].queue.append(pending)
        self.asking.add(workload)
        self.collect()

    def _ended(self, running: Running) -> None:
        self.collect()

    def collect(self) -> None:
        """See to it that an offer is considered within a second."""
        if not self._collecting:
            self._collecting = True
            self.world.after(COLLECT_US, self._offer)

    def _offer(self) -> None:
        self._collecting = False
        if self.asking and self.free.cpus and self.free.cpus >= self.least_cpus:
            framework = self.frameworks[min(sorted(self.asking), key=self._share)]
            offer = self.free.all()
            self.world.locked_cpus.add(offer.cpus, self.world.now_us)
            self.world.after(ALLOCATE_US, framework.offered, offer, offer.cpus)

    def _share(self, workload: str) -> float:
        cpus, mem = self.world.holds[workload]
        return max(cpus / self.world.cell.total_cpus, mem / (self.world.cell.total_mem or 1))

    def answered(self, rest: Pool, locked_cpus: int) -> None:
        """An offer came back: what was not used is free again."""
        self.world.locked_cpus.add(-locked_cpus, self.world.now_us)
        self.free.merge(rest)
        self.collect()


#: Tasks that a framework has decided on and will start with its answer: one machine a task.
Launch = tuple[Pending, list[int]]


class _Framework:
    """Answers offers, one at a time, with all the jobs it has queued."""

    def __init__(self, world: World, workload: str, allocator: _Allocator) -> None:
        self.world, self.workload, self.allocator = world, workload, allocator
        self.books = world.schedulers[workload] = SchedulerBooks()
        self.queue: deque[Pending] = deque()
        self.offers: deque[tuple[Pool, int]] = deque()
        self.busy = False

    def offered(self, offer: Pool, locked_cpus: int) -> None:
        """An offer arrives; it waits if another is being answered."""
        self.offers.append((offer, locked_cpus))
        if not self.busy:
            self._answer_next()

    def _answer_next(self) -> None:
        """Settle every job queued now on the oldest offer, and answer when all of it has been thought about."""
        self.busy = True
        (offer, locked_cpus), launches, think_us = self.offers.popleft(), list[Launch](), 0
        while self.queue and offer.cpus and offer.mem:
            pending = self.queue.popleft()
            took_us = self.world.begin(pending)
            launches.append((pending, self._place(pending, offer)))
            self._book(took_us, self.world.now_us + think_us, bool(launches[-1][1]))
            think_us += took_us
        for pending, _ in launches:
            self.world.settle(pending, self.allocator.add, placed_us=self.world.now_us + think_us)
        if not self.queue:
            self.allocator.asking.discard(self.workload)
        self.world.after(think_us, self._answer, offer, locked_cpus, launches)

    def _place(self, pending: Pending, offer: Pool) -> list[int]:
        job, machines = pending.job, list[int]()
        if self.allocator.exact_fit or offer.cpus > job.cpus_milli:
            machines = first_fit(offer, pending.left, job.cpus_milli, job.mem_bytes, self.world.dice)
        pending.left -= len(machines)
        return machines

    def _book(self, took_us: int, from_us: int, placed: bool) -> None:
        """Book the part of a decision that falls inside the run: an offer may take longer than is left of it."""
        inside_us = min(took_us, self.world.until_us - from_us)
        if inside_us > 0:
            self.books.decided(inside_us, placed, False)

    def _answer(self, rest: Pool, locked_cpus: int, launches: list[Launch]) -> None:
        for pending, machines in launches:
            if machines:
                self.world.start(pending, machines)
        self.allocator.answered(rest, locked_cpus)
        self.busy = False
        if self.offers:
            self._answer_next()
