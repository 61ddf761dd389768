"""When the master allocates, and when time itself changes something.

By default a cycle runs once a turn of the shell's loop, over the agents on which something changed. With an
``allocation_interval`` all agents are allocated together, in batches; with ``allocate_on_recovery=False`` as well, that
is Apache Mesos's pacing: between batches only a framework or an agent that comes, or one that revives, is a reason to
allocate, never a decline or a task's end; and a filter lasts at least until the next batch has run.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import attrgetter

from mesonb.core.books import NEVER_US
from mesonb.core.events import Event, OfferMade
from mesonb.core.openings import Openings
from mesonb.core.records import Agent, Framework
from mesonb.core.settings import Settings


class Pacing(Openings):
    """The books, who may be offered what, and when."""

    __slots__ = ("alarms",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.alarms: dict[str, int] = {}  #: when rules that sleep want a turn, by what for

    def next_deadline(self) -> int | None:
        """When time itself will change something: the shell sends a Tick then. None: nothing is pending."""
        if self.doubted:
            return self.now_us
        if not self.paused:
            if self.dirty or (self.bounded_roles and self.on_recovery and self.opened_to()):
                return self.now_us
            if self.again:
                return self.now_us + 1
        while self.timers and not self.timer_speaks(self.timers[0]):
            heapq.heappop(self.timers)
        due_us = self.timers[0][0] if self.timers else NEVER_US
        self.forget_answered()
        if self.unanswered:
            due_us = min(due_us, self.unanswered[0].expires_us)
        if self.unreachable or self.away or self.alarms:
            due_us = min(due_us, *self.unreachable.values(), *self.away.values(), *self.alarms.values())
        while self.kills_due and self.kills_due[0][1] not in self.tasks:
            heapq.heappop(self.kills_due)
        if self.kills_due:
            due_us = min(due_us, self.kills_due[0][0])
        if self.settings.allocation_interval_us and not self.paused and self.active and self.free:
            due_us = min(due_us, self.next_batch_us)
        return max(self.now_us, due_us) if due_us < NEVER_US else None

    def nothing_before(self, planned_us: int) -> bool:
        """Whether a glance tells that nothing is due before a time; if it does not, ``next_deadline`` knows."""
        if self.dirty or self.again or self.timers or self.alarms or self.kills_due or self.unreachable or self.away:
            return False
        if self.doubted:
            return False
        if self.settings.allocation_interval_us or self.bounded_roles:
            return False  # the next batch may be; room may have opened
        return not self.unanswered or self.unanswered[0].expires_us >= planned_us

    def begin_cycle(self) -> bool:
        """Choose the agents of this cycle; return whether it is a batch."""
        if self.again:
            self.dirty |= self.again
            self.again = {}
        interval_us = self.settings.allocation_interval_us
        if not interval_us or self.now_us < self.next_batch_us:
            return False
        self.next_batch_us = (self.now_us // interval_us + 1) * interval_us
        self.dirty = dict(self.agents)
        return True

    def end_cycle(self, *, batch: bool) -> None:
        """Note that a cycle has run; refusals that only lasted for a batch end with it."""
        self.dirty = {}
        if self.bounded_roles:
            self.note_room()
        if self.kept_back is not None:
            self.forget_kept_back()
        if batch:
            self.batches += 1
            ended, self.after_batch = self.after_batch, []
            for until_us, name, agent in ended:
                framework = self.frameworks.get(name)
                if framework and self.ends_at(framework, agent, until_us):
                    self.drop_filter(framework, agent)
                    self.changed(agent)

    def agents_with_room(self, *, guaranteed: bool = False) -> Iterator[Agent]:
        """Yield agents with something free on which something changed, or of which somebody may have more now, in order."""
        for agent in self.agents_in_order():
            if agent.free._amounts:
                yield agent
        if self.bounded_roles and self.on_recovery and self.opened_to(guaranteed=guaranteed):
            others = self._ordered([agent for name, agent in self.agents.items() if name not in self.dirty])
            yield from self.concerned(others, guaranteed=guaranteed)

    def agents_in_order(self) -> list[Agent]:
        """Return the agents on which something changed, in the order that was asked for."""
        return self._ordered(list(self.dirty.values()))

    def _ordered(self, agents: list[Agent]) -> list[Agent]:
        if self.settings.agent_order == "shuffled":
            self.dice.shuffle(agents)
        elif self.settings.agent_order == "joined":
            agents.sort(key=attrgetter("number"))
        return agents

    def expire_filters(self) -> None:
        """Drop the filters whose time has come, and which some batch has seen."""
        while self.timers and self.timers[0][0] <= self.now_us:
            until_us, _, name = heapq.heappop(self.timers)
            framework = self.frameworks.get(name)
            for agent in self.ends.pop((until_us, name), ()):
                if framework and self.ends_at(framework, agent, until_us):
                    self._end_filter(framework, agent, until_us)

    def on_time(self) -> list[Event]:
        """Do what time has made due for the rules that set an alarm, and return what follows; each rule adds its own."""
        return []

    def expired_offers(self) -> Iterator[OfferMade]:
        """Yield the offers that nobody answered in time; whoever asks closes each before the next."""
        self.forget_answered()
        while self.unanswered and self.unanswered[0].expires_us <= self.now_us:
            yield self.unanswered.popleft()
            self.forget_answered()

    def all_changed(self) -> None:
        """Look at every agent with room in the next cycle."""
        self.dirty |= {name: agent for name, agent in self.agents.items() if agent.free._amounts}

    def changed(self, agent: str) -> None:
        """Look at an agent in the next cycle, where something that came back is a reason to."""
        if self.on_recovery:
            self.dirty[agent] = self.agents[agent]

    def _end_filter(self, framework: Framework, agent: str, until_us: int) -> None:
        if self.settings.allocation_interval_us and framework.filters[agent].batches == self.batches:
            self.after_batch.append((until_us, framework.name, agent))
        else:
            self.drop_filter(framework, agent)
            self.changed(agent)
