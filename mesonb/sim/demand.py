"""Demand: what a recording says was wanted, apart from who was given what when.

A log holds launches, not wishes. When a task began to be wanted is inferred: at the last moment before its launch at which
its framework let pass what would have held it (declined it, or left it over), or ended a suppression, or registered. So a
task waits for as long as nothing speaks against it; a framework that declines because it is choosy is taken to want later
than it did. How long a task lasts is as recorded. A task that was lost, or taken back, is left out: its framework ran it
again, as another. What was still waiting when the recording ended is not in it, and so not in the demand. Members of a gang
are wanted one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mesonb.core import calls, events
from mesonb.core.begun import Begun
from mesonb.core.branches import owner_of
from mesonb.core.log import Log, Step
from mesonb.core.records import Role, TaskState
from mesonb.core.remedies import subscribed
from mesonb.core.resources import Resources

#: What becomes of agents; in another history other tasks run there, so none is named.
AgentCall = calls.AgentJoined | calls.AgentLost | calls.AgentUnreachable | calls.AgentBack


@dataclass(slots=True)
class Span:
    """One task of a recording; times are microseconds since its start."""

    task: str
    framework: str
    needs: Resources
    wanted_us: int
    launched_us: int
    began_us: int  #: when it ran; when it was launched, if it never said so
    ended_us: int | None = None
    state: TaskState = TaskState.STAGING
    revoked: bool = False  #: its resources were asked back

    @property
    def in_vain(self) -> bool:
        """Whether it ended through no doing of its own, so that its framework wanted it again."""
        return self.state is TaskState.LOST or (self.revoked and self.state is TaskState.KILLED)

    @property
    def lasted_us(self) -> int:
        """How long it ran; 0 while nobody knows."""
        return max(0, (self.ended_us or self.began_us) - self.began_us)


@dataclass(slots=True)
class Program:
    """One framework of a recording, and what it wanted."""

    subscribe: calls.Subscribe
    since_us: int
    spans: list[Span] = field(default_factory=list)
    refusals: Counter[int] = field(default_factory=Counter)  #: how long it refused for, by how often
    suppresses: bool = False
    suppressed: bool = False
    wants_since_us: int = 0
    let_pass: list[tuple[int, Resources]] = field(default_factory=list)  #: when it let how much pass, the newest last

    def passes(self, now_us: int, resources: Resources) -> None:
        """Note that it let something pass; what was smaller and earlier says no more than this."""
        self.let_pass = [(then_us, less) for then_us, less in self.let_pass if not less <= resources]
        self.let_pass.append((now_us, resources))

    def wanted_us(self, needs: Resources) -> int:
        """Since when it may have wanted a task that it launches now."""
        for then_us, resources in reversed(self.let_pass):
            if needs <= resources:
                return max(then_us, self.wants_since_us)
        return self.wants_since_us

    @property
    def refuse_us(self) -> int:
        """How long it refuses for, mostly."""
        return self.refusals.most_common(1)[0][0] if self.refusals else calls.REFUSE_US


class Demand:
    """All that was wanted in a recording, and what there was to give."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.programs: dict[str, Program] = {}
        self.agents: list[tuple[int, AgentCall]] = []
        self.said: list[tuple[int, calls.Call]] = []  #: by operators
        self.ends_us = log.steps[-1].now_us - log.began_us if log.steps else 0
        self.spans: dict[str, Span] = {}
        self._offers: dict[str, Resources] = {}
        self._begun = Begun()
        self._begin()
        for step in log.steps:
            self._take(step, step.now_us - log.began_us)
        for span in self.spans.values():
            span.ended_us = self.ends_us if span.ended_us is None else span.ended_us
        for program in self.programs.values():
            _join_again(program.spans)

    def _begin(self) -> None:
        """Take in the state that a trimmed log starts from: what ran then was wanted before, and counts from there."""
        if not self.log.base:
            return
        core = self.log.base.restore()
        for agent in core.agents.values():
            reserved = tuple(agent.reserved.items())
            joined = calls.AgentJoined(
                agent.name, agent.total, agent.attributes, reserved, agent.min_offer, (), agent.max_task_us, agent.short
            )
            self.agents.append((0, joined))
        for role in core.roles.values():
            self.said += [(0, call) for call in _said_of(role)]
        for name in dict.fromkeys(map(owner_of, core.frameworks)):
            home, *branches = core.family(name)
            said = replace(subscribed(home), roles=tuple(one.role for one in branches))
            self.programs[name] = Program(said, 0, suppresses=home.suppressed, suppressed=home.suppressed)
        for task in core.tasks.values():
            self._launched(events.Launch(task.agent, owner_of(task.framework), task.id, task.needs), 0)
        self._offers = {offer.id: offer.resources.counted for offer in core.offers.values()}

    def _take(self, step: Step, now_us: int) -> None:
        if not any(isinstance(event, events.Rejected) for event in step.events):
            self._take_call(step.call, now_us)
        for event in self._begun.read(step.events):
            match event:
                case events.OfferMade():
                    self._offers[event.offer] = event.resources.counted  # which ports they were is of another history
                case events.Rescinded():
                    self._offers.pop(event.offer, None)
                case events.Launch():
                    self._launched(event, now_us)
                case events.Revoked() if event.task in self.spans:
                    self.spans[event.task].revoked = True
                case events.Updated() if event.task in self.spans:
                    self._updated(self.spans[event.task], event, now_us)
                case _:
                    pass

    def _take_call(self, call: calls.Call, now_us: int) -> None:
        match call:
            case calls.By():
                self._take_call(call.call, now_us)
            case calls.AgentJoined() | calls.AgentBack():
                self.agents.append((now_us, replace(call, tasks=())))
                self._found(call.tasks, call.agent, now_us)
            case calls.AgentLost() | calls.AgentUnreachable():
                self.agents.append((now_us, call))
            case calls.Subscribe():
                program = self.programs.setdefault(call.framework, Program(call, now_us, wants_since_us=now_us))
                if not call.standby:
                    program.subscribe, program.suppressed = call, False
            case calls.Suppress():
                self.programs[call.framework].suppresses = self.programs[call.framework].suppressed = True
            case calls.Revive():
                self._revived(self.programs[call.framework], now_us)
            case calls.Decline():
                self.programs[call.framework].refusals[call.refuse_us] += 1
                for offer in call.offers:
                    self.programs[call.framework].passes(now_us, self._offers.pop(offer))
            case calls.Accept():
                self._accepted(self.programs[call.framework], call, now_us)
            case calls.AcceptAll():
                for part in call.parts:
                    self._accepted(self.programs[call.framework], part, now_us)
            case call if isinstance(call, calls.OperatorCall) and not isinstance(call, calls.Revoke):
                self.said.append((now_us, call))
            case _:
                pass

    def _found(self, running: Sequence[calls.RunningTask], agent: str, now_us: int) -> None:
        """Take in what an agent ran already: a master before this one launched it."""
        for one in running:
            if not one.state.terminal:
                call = calls.Subscribe(one.framework, one.role)
                self.programs.setdefault(one.framework, Program(call, now_us, wants_since_us=now_us))
                self._launched(events.Launch(agent, one.framework, one.task, one.needs.counted), now_us)

    def _revived(self, program: Program, now_us: int) -> None:
        if program.suppressed:
            program.suppressed, program.wants_since_us = False, now_us

    def _accepted(self, program: Program, call: calls.Accept, now_us: int) -> None:
        """Note the launches, then what was left over: it was let pass after they were chosen."""
        held = sum((self._offers.pop(offer) for offer in call.offers), start=Resources())
        for launch in call.launches:
            needs = launch.needs.counted
            wanted_us = program.wanted_us(needs)
            self.spans[launch.task] = Span(launch.task, call.framework, needs, wanted_us, now_us, now_us)
            program.spans.append(self.spans[launch.task])
            held -= needs
        if held:
            program.passes(now_us, held)

    def _launched(self, event: events.Launch, now_us: int) -> None:
        if event.task not in self.spans:
            span = self.spans[event.task] = Span(event.task, event.framework, event.needs, now_us, now_us, now_us)
            self.programs[event.framework].spans.append(span)

    def _updated(self, span: Span, event: events.Updated, now_us: int) -> None:
        if event.state is TaskState.RUNNING and span.state is TaskState.STAGING:
            span.began_us = now_us
        elif event.state.terminal:
            span.ended_us = now_us
        span.state = event.state


def _join_again(spans: Sequence[Span]) -> None:
    """Take what ran again after it was taken back for wanted since it was wanted first."""
    taken = [span for span in spans if span.revoked and span.in_vain]
    for span in spans:
        first = next((one for one in taken if one.needs == span.needs and _follows(span, one)), None)
        if first:
            taken.remove(first)
            span.wanted_us = first.wanted_us


def _follows(span: Span, first: Span) -> bool:
    return first.ended_us is not None and span.wanted_us >= first.ended_us


def _said_of(role: Role) -> Iterator[calls.OperatorCall]:
    """Say again what operators had said of a role."""
    if role.weight_milli != 1000:
        yield calls.SetWeight(role.name, role.weight_milli)
    if role.guarantee:
        yield calls.SetGuarantee(role.name, role.guarantee)
    if role.limit is not None:
        yield calls.SetLimit(role.name, role.limit, force=True)
    if role.priority:
        yield calls.SetPriority(role.name, role.priority)
