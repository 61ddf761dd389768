"""What if: a recorded demand under other decisions, as a simulation; the differences as a table.

    mb.what_if("monday.log", allocator=mb.Lottery())
    mb.what_if(master.log, weights={"research": 3})
    mb.what_if(simulation.log, agents=200)

Rule: it never passes for the recording. The demand is inferred (``demand.py`` says how), so the table has a column that
runs it again under the recorded decisions: what differs between that and the recording is the inference's error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mesonb.core import calls
from mesonb.core.allocator import Allocator
from mesonb.core.allocators import MODULES
from mesonb.core.branches import owner_of
from mesonb.core.declared import Agent
from mesonb.core.log import Log
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.core.units import SECOND_US, parse_duration, show_duration
from mesonb.errors import BadValue
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle
from mesonb.sim.demand import Demand, Program, Span
from mesonb.sim.given import agents_for, rules_of
from mesonb.sim.simulation import Simulation
from mesonb.sim.table import as_html, as_text

#: How long what is wanted may take, at most, to be done in a world of other decisions: so many times the recorded time.
PATIENCE = 20


def what_if(
    recording: Log | str | Path,
    *,
    allocator: Allocator | str | None = None,
    weights: Mapping[str, float] | None = None,
    filters: float | str | None = None,
    agents: int | Iterable[Resources | Agent] | None = None,
    seed: int = 0,
) -> WhatIf:
    """Run a recorded demand again under other decisions, and return the differences.

    ``allocator`` (or one of mesonb's own, by its name) decides in place of the recorded one, ``weights`` hold for these
    roles from the start, ``filters`` is how long each decline lasts, ``agents`` are there from start to end instead of
    those that were: so many like the recorded ones, or these. What is not given is as recorded.
    """
    if not isinstance(recording, Log | str | Path):
        raise BadValue(f"{recording!r} is no recording; give its log (session.log), or the path of one that was saved")
    log = recording if isinstance(recording, Log) else Log.load(str(recording))
    allocator = _allocator(allocator)
    demand = Demand(log)
    _check_roles(demand, weights or {})
    if not demand.spans:
        raise BadValue("nothing was launched in this recording, so no other decision could have changed anything")
    columns = {"recorded": measure(demand, demand.spans)}
    if log.allocator in MODULES:
        columns["run again"] = _World(demand, MODULES[log.allocator](), seed=seed).measured()
    elif allocator is None:
        raise BadValue(
            f"the recording was made with {log.allocator}, which is not known here; give it: allocator={log.allocator}()"
        )
    module = allocator or MODULES[log.allocator]()
    refuse_us = None if filters is None else parse_duration(filters)
    asked = allocator is not None
    world = _World(demand, module, weights or {}, refuse_us, agents_for(demand, agents), seed, is_asked=asked)
    columns["what if"] = world.measured()
    return WhatIf(columns, world.simulation, _said(log, allocator, weights, filters, agents))


def _check_roles(demand: Demand, weights: Mapping[str, float]) -> None:
    said = (program.subscribe for program in demand.programs.values())
    known = list(dict.fromkeys(role for call in said for role in (call.role, *call.roles)))
    for role in weights:
        if not any(name == role or name.startswith(f"{role}/") for name in known):
            raise BadValue(f"nobody ran in role {role!r} in this recording; there are: {', '.join(known)}")


def _allocator(said: Allocator | str | None) -> Allocator | None:
    if said is None or isinstance(said, Allocator):
        return said
    if said not in MODULES:
        raise BadValue(f"{said!r} is no allocator; write one of {', '.join(MODULES)}, or allocator=YourAllocator()")
    return MODULES[said]()


@dataclass(frozen=True, slots=True)
class Measures:
    """What a run came to: for each framework, and (named "all") for the cluster."""

    share: float  #: the largest mean fraction of any resource, over the recorded time
    wait_s: float  #: mean time from being wanted to being launched
    wait_95_s: float
    finished: int
    lost: int
    revoked: int  #: tasks whose resources were asked back
    done_s: float  #: when the last task ended


class WhatIf:
    """The differences. ``columns[column][framework]`` holds the measures; ``simulation`` is the world of other decisions."""

    def __init__(self, columns: dict[str, dict[str, Measures]], simulation: Simulation, changed: str) -> None:
        self.columns = columns
        self.simulation = simulation
        self.changed = changed

    def lines(self) -> list[list[str]]:
        """The table as people read it, the header first."""
        head = ["framework", "measure", *self.columns, "difference"]
        return [head] + [self._line(name, measure) for name in self.columns["recorded"] for measure in _SHOWN]

    def _line(self, name: str, shown: str) -> list[str]:
        of, show = _SHOWN[shown]
        values = [of(column[name]) for column in self.columns.values()]
        base = values[-2]  # the run under recorded decisions where there is one: like is compared with like
        called = "utilisation" if (name, shown) == ("all", "share") else shown
        return [name, called, *map(show, values), ("+" if values[-1] >= base else "-") + show(abs(values[-1] - base))]

    def __repr__(self) -> str:
        return f"{self._caption()}\n{as_text(self.lines())}"

    def _repr_html_(self) -> str:
        return as_html(self.lines(), self._caption())

    def _caption(self) -> str:
        return f"What if {self.changed}: a simulation of the recorded demand, not a recording."


_SHOWN: dict[str, tuple[Callable[[Measures], float], Callable[[float], str]]] = {
    "share": (lambda of: of.share, lambda share: f"{share:.1%}"),
    "mean wait": (lambda of: of.wait_s, lambda seconds: f"{seconds:.1f} s"),
    "wait of 95%": (lambda of: of.wait_95_s, lambda seconds: f"{seconds:.1f} s"),
    "tasks finished": (lambda of: of.finished, lambda number: f"{number:.0f}"),
    "tasks lost": (lambda of: of.lost, lambda number: f"{number:.0f}"),
    "tasks revoked": (lambda of: of.revoked, lambda number: f"{number:.0f}"),
    "done after": (lambda of: of.done_s, lambda seconds: show_duration(round(seconds * SECOND_US))),
}


# -- the other world --------------------------------------------------------------------------------------------------


class Again(Framework):
    """Wants what a recorded framework wanted, when it did."""

    def __init__(self, program: Program, refuse_us: int | None) -> None:
        self.refuse_s = (program.refuse_us if refuse_us is None else refuse_us) / SECOND_US
        self.suppresses = program.suppresses
        said = program.subscribe
        self.min_offer, self.constraints, self.capabilities = said.min_offer, said.constraints, said.capabilities
        self.only_agents = said.agents
        wanted = [span for span in program.spans if not span.in_vain]
        self.to_come = sorted(wanted, key=lambda span: (span.wanted_us, span.launched_us))
        self.waiting: dict[Resources, deque[Span]] = {}  #: by needs, the longest waiting first
        self.running: dict[str, Span] = {}
        self.origins: dict[str, Span] = {}  #: the recorded task that each of these was once
        self._quiet = False

    def on_registered(self, tasks: Sequence[TaskHandle]) -> None:
        """Plan to want things; what was wanted from the start is wanted now."""
        now_us = round(self.now * SECOND_US)
        times = sorted({span.wanted_us for span in self.to_come if span.wanted_us > now_us})
        self.to_come.reverse()
        self._come(now_us)
        for wanted_us in times:
            self.call_later((wanted_us - now_us) / SECOND_US, partial(self._come, wanted_us))

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Launch what waits wherever it fits, the longest waiting first."""
        for offer in offers:
            while span := self._next_for(offer):
                task = offer.launch(last, span.lasted_us / SECOND_US, needs=span.needs)
                self.running[task.id] = self.origins[task.id] = span
            if not offer.launches:
                offer.decline(self.refuse_s)
        if self.suppresses and not self.waiting and not self._quiet:
            self._quiet = True
            self.suppress()

    def on_update(self, task: TaskHandle) -> None:
        """Want again what was lost, or taken back."""
        span = self.running.pop(task.id, None) if task.ended else None
        if span and (task.lost or (task.revoked and task.killed)):
            self._want([span])

    @property
    def done(self) -> bool:
        """Whether nothing is wanted or running any more."""
        return not (self.to_come or self.waiting or self.running)

    def _next_for(self, offer: OfferHandle) -> Span | None:
        """Take the longest waiting of those that fit."""
        fitting = [queue for needs, queue in self.waiting.items() if offer.fits(needs)]
        if not fitting:
            return None
        queue = min(fitting, key=lambda queue: (queue[0].wanted_us, queue[0].launched_us))
        span = queue.popleft()
        if not queue:
            del self.waiting[span.needs]
        return span

    def _come(self, wanted_us: int) -> None:
        fresh = []
        while self.to_come and self.to_come[-1].wanted_us <= wanted_us:
            fresh.append(self.to_come.pop())
        self._want(fresh)

    def _want(self, spans: list[Span]) -> None:
        for span in spans:
            self.waiting.setdefault(span.needs, deque()).append(span)
        if self._quiet and spans:
            self._quiet = False
            self.revive()


def last(_lasts_s: float) -> None:
    """Take time: all that is known of a recorded task."""


class _World:
    """A simulation of a demand."""

    def __init__(
        self,
        demand: Demand,
        allocator: Allocator,
        weights: Mapping[str, float] | None = None,
        refuse_us: int | None = None,
        agents: list[Agent] | None = None,
        seed: int = 0,
        *,
        is_asked: bool = False,
    ) -> None:
        self.demand = demand
        rules = rules_of(demand.log.settings) | {"seed": seed, "epoch": 1}
        self.simulation = Simulation(agents=agents or [], allocator=allocator, **rules)
        self.simulation.runs_for(last, lambda lasts_s: lasts_s, execute=False)
        for role, weight in (weights or {}).items():
            self.simulation.weights[role] = weight
        for at_us, call in demand.said if agents else [*demand.agents, *demand.said]:
            overruled = isinstance(call, calls.SetWeight) and call.role in (weights or {})
            if not (overruled or (is_asked and isinstance(call, calls.SetAllocator))):
                self.simulation.engine.at(at_us, partial(self._say, call))
        self.programs = {name: Again(program, refuse_us) for name, program in demand.programs.items()}
        for name, program in demand.programs.items():
            self.simulation.engine.at(program.since_us, partial(self._register, name, program))
        self.registered = 0

    def measured(self) -> dict[str, Measures]:
        """Run until all is done, and measure."""
        limit_us = PATIENCE * (self.demand.ends_us + 60 * SECOND_US)
        self.simulation._advance(self._over, limit_us)
        spans = Demand(self.simulation.log).spans
        for framework in self.programs.values():
            for task, origin in framework.origins.items():
                if task in spans:  # else its offer was gone before the answer came, and it was wanted again
                    spans[task].wanted_us = origin.wanted_us
        return measure(self.demand, spans)

    def _over(self) -> bool:
        return self.registered == len(self.programs) and all(program.done for program in self.programs.values())

    def _say(self, call: calls.Call) -> None:
        if isinstance(call, calls.AgentLost):
            self.simulation.agents.lose(call.agent)
        elif isinstance(call, calls.AgentBack):
            call = replace(call, tasks=self._running(call.agent))
        self.simulation.post([call])

    def _running(self, name: str) -> tuple[calls.RunningTask, ...]:
        """Name what an agent that is back runs in this world: it was never away."""
        agent = self.simulation.core.agents.get(name)
        tasks = agent.tasks.values() if agent else ()
        return tuple(calls.RunningTask(task.id, owner_of(task.framework), task.needs) for task in tasks)

    def _register(self, name: str, program: Program) -> None:
        said = program.subscribe
        self.simulation.register(self.programs[name], name=name, role=[said.role, *said.roles])
        self.registered += 1


# -- measuring --------------------------------------------------------------------------------------------------------


def measure(demand: Demand, spans: Mapping[str, Span]) -> dict[str, Measures]:
    """Measure a run: each framework, then all together, by shares of what the recording had to give."""
    capacity = _capacity(demand)
    by_framework = {name: [span for span in spans.values() if span.framework == name] for name in demand.programs}
    return {name: _measures(mine, capacity, demand.ends_us) for name, mine in by_framework.items()} | {
        "all": _measures(list(spans.values()), capacity, demand.ends_us)
    }


def _measures(spans: list[Span], capacity: dict[str, int], ends_us: int) -> Measures:
    waits_s = sorted((span.launched_us - span.wanted_us) / SECOND_US for span in spans if not span.in_vain) or [0.0]
    held: dict[str, int] = {}
    for span in spans:
        until_us = min(ends_us if span.ended_us is None else span.ended_us, ends_us)
        for name, amount in span.needs.amounts.items():
            held[name] = held.get(name, 0) + amount * max(0, until_us - span.launched_us)
    return Measures(
        share=max((area / capacity[name] for name, area in held.items() if capacity.get(name)), default=0.0),
        wait_s=sum(waits_s) / len(waits_s),
        wait_95_s=waits_s[min(len(waits_s) - 1, len(waits_s) * 95 // 100)],
        finished=sum(span.state is TaskState.FINISHED for span in spans),
        lost=sum(span.state is TaskState.LOST for span in spans),
        revoked=sum(span.revoked for span in spans),
        done_s=max((span.ended_us or 0 for span in spans), default=0) / SECOND_US,
    )


def _capacity(demand: Demand) -> dict[str, int]:
    """By resource, amount x microseconds that the recorded agents had."""
    here: dict[str, tuple[int, Resources]] = {}
    area: dict[str, int] = {}

    def leave(agent: str, now_us: int) -> None:
        since_us, total = here.pop(agent)
        for name, amount in total.measured.amounts.items():
            area[name] = area.get(name, 0) + amount * (now_us - since_us)

    for at_us, call in demand.agents:
        if isinstance(call, calls.AgentJoined):
            here[call.agent] = at_us, call.total
        elif call.agent in here:
            leave(call.agent, at_us)
    for agent in list(here):
        leave(agent, demand.ends_us)
    return area


def _said(
    log: Log,
    allocator: Allocator | None,
    weights: Mapping[str, float] | None,
    filters: float | str | None,
    agents: object,
) -> str:
    parts = []
    if allocator:
        parts.append(f"{type(allocator).__name__} had decided in place of {log.allocator}")
    if weights:
        parts.append("the weights were " + ", ".join(f"{role}={weight:g}" for role, weight in weights.items()))
    if filters is not None:
        parts.append(f"each decline lasted {filters}")
    if agents is not None:
        parts.append(f"there were {agents} agents" if isinstance(agents, int) else "the agents were others")
    return " and ".join(parts) or "nothing had been different"
