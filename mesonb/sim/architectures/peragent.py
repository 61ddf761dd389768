"""Two-level offers as today: agent by agent, from the real master (``mesonb.core.master``), several frameworks at once.

Nothing of the master is imitated: machines join as agents, and every offer, launch and task end is a call to the same
``MasterCore`` that runs live, with the same allocators. What differs from 2011 is therefore what differs in Mesos: an
offer is one agent, so frameworks think side by side, and each locks only what it holds.

Two things are short-cuts, both in favour of nobody. A framework would decline at once the agents that its job has no use
for, so these are not offered to it in the first place; and frameworks without a job are not asking, as if suppressed. A
framework thinks about one job at a time, holding its offers meanwhile. It does not think before it is offered something:
a job for which nothing comes in a second makes way for the next, and is asked for again in its turn.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from mesonb.core import calls, events
from mesonb.core.allocator import DRF, Allocator, Grant, View
from mesonb.core.books import Settings
from mesonb.core.master import MasterCore
from mesonb.core.records import Agent, Framework, TaskState
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.sim.architectures.metrics import SchedulerBooks
from mesonb.sim.architectures.world import PREFILL, RETRY_US, Pending, Running, World
from mesonb.sim.workload import Job

#: Apache Mesos rescinds no offer for being old, unless it is told to.
NEVER_US = 10**18


@dataclass(frozen=True, slots=True)
class TwoLevel:
    """One framework a workload, offers agent by agent, shared out by an allocator."""

    allocator: Allocator = field(default_factory=DRF)
    offer_timeout: float | str | None = None  #: an unanswered offer is rescinded after this; None: never

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"two-level {type(self.allocator).__name__}"

    def open(self, world: World) -> _Master:
        """Set up the master, its agents and frameworks; jobs are submitted to the master's ``add``."""
        world.serves.update({workload: [workload] for workload in world.workloads})
        timeout_us = NEVER_US if self.offer_timeout is None else parse_duration(self.offer_timeout)
        return _Master(world, self.allocator, timeout_us)


class _Master:
    """The core, and what a shell does around it."""

    def __init__(self, world: World, allocator: Allocator, timeout_us: int) -> None:
        self.world, self.timeout_us = world, timeout_us
        settings = Settings(seed=world.dice.getrandbits(32), offer_timeout_us=timeout_us)
        self.core = MasterCore(settings, _Asked(allocator, self))
        self.names = [f"agent-{number}" for number in range(1, len(world.cell.machines) + 1)]
        self.machine = {name: number for number, name in enumerate(self.names)}
        self.tasks: dict[Running, list[tuple[str, str]]] = {}  #: what runs: (agent, task) of each
        self.untried = _Hat(range(len(self.names)))  #: machines that may have something free to offer
        self.tried: list[int] = []  #: those of which nobody who asks now has any use
        self.filling: list[Grant] = []  #: what is granted, whoever's turn it is: only before the run begins
        for name, (cpus, mem) in zip(self.names, world.cell.machines, strict=True):
            self.call(calls.AgentJoined(name, Resources.of({"cpus": cpus, "mem": mem})))
        self.frameworks = {workload: _Framework(self, workload) for workload in world.workloads}
        _fill(self)
        world.on_end.append(self._ended)

    def call(self, call: calls.Call) -> list[events.Event]:
        """Tell the core something that it must accept."""
        out = self.core.step(call, self.world.now_us)
        assert not any(isinstance(event, events.Rejected) for event in out), out
        return out

    def add(self, pending: Pending) -> None:
        """Hand a job to its framework."""
        self.frameworks[pending.job.workload].add(pending)

    def cycle(self) -> None:
        """Let the core make offers if anybody asks, and hand them over."""
        if self.asking():
            self.deliver(self.call(calls.Tick()))
            if self.core.again and self.asking():  # the core offers nobody the same agent twice in one instant
                self.world.after(1, self._next_instant)

    def _next_instant(self) -> None:
        self.try_again()
        self.cycle()

    def asking(self) -> list[_Framework]:
        """Frameworks that want offers now."""
        return [framework for framework in self.frameworks.values() if framework.asking]

    def try_again(self) -> None:
        """Somebody asks for something new, so every machine may be of use again."""
        for machine in self.tried:
            self.untried.put(machine)
        self.tried = []

    def deliver(self, said: list[events.Event]) -> None:
        """Hand offers and rescinded offers to their frameworks, which then think."""
        for event in said:
            match event:
                case events.OfferMade():
                    self.frameworks[event.framework].offers[event.offer] = event
                    self.lock(event, 1)
                case events.Rescinded():
                    self.lock(self.frameworks[event.framework].offers.pop(event.offer), -1)
                case _:
                    raise AssertionError(f"a tick makes and rescinds offers, and does not say {event}")
        for framework in self.frameworks.values():
            framework.think()

    def lock(self, offer: events.OfferMade, sign: int) -> None:
        """Book that an offer locks resources, or no longer does."""
        self.world.locked_cpus.add(sign * offer.resources.amounts.get("cpus", 0), self.world.now_us)
        if sign < 0:
            self.untried.put(self.machine[offer.agent])

    def expire(self) -> None:
        """Let the core look at the clock."""
        self.deliver(self.call(calls.Tick()))

    def _ended(self, running: Running) -> None:
        for agent, task in self.tasks.pop(running):
            self.call(calls.TaskUpdate(agent, task, TaskState.FINISHED))
        for machine in running.machines:
            self.untried.put(machine)
        self.cycle()


class _Hat:
    """Numbers to draw from, each in it once; drawing takes out."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._in = list(numbers)
        self._known = set(self._in)  # membership only

    def __bool__(self) -> bool:
        return bool(self._in)

    def put(self, number: int) -> None:
        if number not in self._known:
            self._known.add(number)
            self._in.append(number)

    def draw(self, dice: Random) -> int:
        at = int(dice.random() * len(self._in))
        number, self._in[at] = self._in[at], self._in[-1]
        self._in.pop()
        self._known.discard(number)
        return number


class _Framework:
    """Thinks about one job after another, on offers that it holds."""

    def __init__(self, master: _Master, workload: str) -> None:
        self.master, self.workload = master, workload
        self.books = master.world.schedulers[workload] = SchedulerBooks()
        self.queue: deque[Pending] = deque()
        self.pending: Pending | None = None  #: the job it asks or thinks for
        self.needs = Resources()  #: of one of its tasks
        self.thinking = False
        self.since_us = 0  #: when it began to ask
        self.asking = 0  #: for how many tasks it still wants offers
        self.offers: dict[str, events.OfferMade] = {}
        master.call(calls.Subscribe(workload, workload))

    def add(self, pending: Pending) -> None:
        """Queue a job."""
        self.queue.append(pending)
        if self.pending is None:
            self._ask()
        else:
            self._weary()

    def _ask(self) -> None:
        self.pending, self.since_us = self.queue.popleft(), self.master.world.now_us
        self.needs = needs_of(self.pending.job)
        self.asking = self.pending.left
        self.master.try_again()
        self.master.cycle()
        if not self.thinking:
            self.master.world.after(RETRY_US, self._weary)

    def _weary(self) -> None:
        """Turn to the next job, if no offer has come for this one in the time after which any job is tried again."""
        waited = self.pending and not self.thinking and self.master.world.now_us - self.since_us >= RETRY_US
        if self.pending and waited and self.queue:
            self.queue.append(self.pending)
            self._ask()

    def think(self) -> None:
        """Begin to decide, once there is something to decide on."""
        if self.pending and self.offers and not self.thinking:
            self.asking, self.thinking = 0, True
            world = self.master.world
            think_us = world.begin(self.pending)
            world.after(think_us, self._decided, self.pending, think_us)
            if self.master.timeout_us < think_us:
                world.after(self.master.timeout_us, self.master.expire)

    def _decided(self, pending: Pending, think_us: int) -> None:
        world = self.master.world
        placed = self._answer(pending)
        if placed:
            pending.left -= len(placed)
            running = world.start(pending, [self.master.machine[agent] for agent, _ in placed])
            for machine in running.machines:
                world.cell.take(machine, pending.job.cpus_milli, pending.job.mem_bytes)
            self.master.tasks[running] = placed
        self.books.decided(think_us, bool(placed), False)
        world.settle(pending, self.add)
        self.pending, self.thinking = None, False
        if self.queue:
            self._ask()
        else:
            self.master.cycle()  # what was given back may be what another waits for

    def _answer(self, pending: Pending) -> list[tuple[str, str]]:
        """Launch on each offer as many tasks as it holds; return the (agent, task) of each."""
        placed, stem = list[tuple[str, str]](), f"{self.workload}.{pending.number}.{pending.attempts}"
        for offer in list(self.offers.values()):
            many = min(pending.left - len(placed), offer.resources // self.needs)
            names = [f"{stem}/task-{len(placed) + n}" for n in range(1, many + 1)]
            launches = tuple(calls.TaskInfo(name, self.needs) for name in names)
            self.master.call(calls.Accept(self.workload, (offer.offer,), launches, refuse_us=0))
            self.master.lock(self.offers.pop(offer.offer), -1)
            placed += [(offer.agent, name) for name in names]
        return placed


class _Asked(Allocator):
    """Any allocator, shown only those who ask and what they can use; agents come in random order, as in Mesos."""

    def __init__(self, inner: Allocator, master: _Master) -> None:
        self.inner, self.master = inner, master

    def cycle(self, view: View) -> Iterator[Grant]:
        if self.master.filling:
            return iter(self.master.filling)
        return self.inner.cycle(_AskedView(self.master))


class _AskedView(View):
    """What an allocator sees of a cycle: the master's view, where nobody wants what it has no use for."""

    def __init__(self, master: _Master) -> None:
        super().__init__(master.core)
        self._master, self._may_have = master, self.wanting
        # The view's verbs are attributes, bound to the core for speed, so they are replaced and not overridden.
        vars(self).update(agents_with_room=self._draw, wanting=self._with_use, next_in_line=self._first_with_use)

    def offer(self, agent: Agent, to: Framework) -> Grant:
        grant, asking = super().offer(agent, to), self._master.frameworks[to.name]
        asking.asking = max(0, asking.asking - grant.resources // asking.needs)
        return grant

    def _draw(self) -> Iterator[Agent]:
        master, dice = self._master, self._master.world.dice
        while master.untried and (asking := master.asking()):
            machine = master.untried.draw(dice)
            agent = master.core.agents[master.names[machine]]
            if any(framework.needs <= agent.free for framework in asking):
                yield agent
            if agent.free:
                master.tried.append(machine)

    def _with_use(self, agent: Agent) -> list[Framework]:
        use = {framework.workload for framework in self._master.asking() if framework.needs <= agent.free}
        return [framework for framework in self._may_have(agent) if framework.name in use] if use else []

    def _first_with_use(self, agent: Agent, *, guaranteed: bool = False) -> Grant | None:
        first = min(self._with_use(agent), key=self.turn, default=None)
        return self.offer(agent, first) if first and not guaranteed else None


def needs_of(job: Job, tasks: int = 1) -> Resources:
    """What some tasks of a job need."""
    return Resources.of({"cpus": job.cpus_milli * tasks, "mem": job.mem_bytes * tasks})


def _fill(master: _Master) -> None:
    """Enter into the core's books what the cell is full of already: a machine's share of a prefill job is one task."""
    master.call(calls.Subscribe(PREFILL, PREFILL))
    for number, running in enumerate(master.world.filled):
        tasks = Counter(running.machines)
        needs = {master.names[machine]: needs_of(running.pending.job, many) for machine, many in tasks.items()}
        framework = master.core.frameworks[PREFILL]
        master.filling = [Grant(master.core.agents[agent], framework, held) for agent, held in needs.items()]
        made = [event for event in master.call(calls.Tick()) if isinstance(event, events.OfferMade)]
        for offer in made:
            launch = calls.TaskInfo(f"{PREFILL}.{number}/{offer.agent}", needs[offer.agent])
            master.call(calls.Accept(PREFILL, (offer.offer,), (launch,), refuse_us=0))
        master.filling = []
        master.tasks[running] = [(agent, f"{PREFILL}.{number}/{agent}") for agent in needs]
