"""Checkers: what must hold whatever happens. Most after every step, the dear ones now and then, the rest at the end.

Rule: an onlooker keeps books of its own, from calls and events alone, and compares: the core's word is not evidence for
itself. A failure is a defect of mesonb, and so an assertion.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from mesonb.core import calls, events
from mesonb.core.branches import owner_of
from mesonb.core.invariants import check
from mesonb.core.master import MasterCore
from mesonb.core.records import FORWARD, TaskState
from mesonb.core.resources import NOTHING, Resources

#: Every so many steps, or as many as there are agents, all the books are added up; after the others only those of whom the
#: step speaks are compared.
FULL_EVERY = 500


class Checkers:
    """The books of an onlooker."""

    def __init__(self) -> None:
        self.states: dict[str, TaskState] = {}  #: every task that was ever launched, or refused
        self.live: dict[str, events.Launch] = {}  #: launched and not ended
        self.ahead: dict[str, events.Launch] = {}  #: launched ahead, by the task that each waits for
        self.offers: dict[str, events.OfferMade] = {}  #: made, and neither answered nor rescinded
        self.held: defaultdict[str, Resources] = defaultdict(lambda: NOTHING)  #: by frameworks, in tasks and offers
        self.given: defaultdict[str, Resources] = defaultdict(lambda: NOTHING)  #: of agents, in tasks and offers
        self.steps = 0
        self.optimistic = False  #: offers hold nothing
        self.counts: Counter[str] = Counter()  #: what happened, under this master and those before it
        self._launched: set[str] = set()  #: (membership only)
        self._asked: set[str] = set()  #: tasks of which an answer may be outstanding (membership only)
        self._offered: set[str] = set()  #: (membership only)

    def after(self, core: MasterCore, call: calls.Call, followed: list[events.Event]) -> None:
        """Check one step."""
        self.steps += 1
        if any(isinstance(event, events.Rejected) for event in followed):
            self.counts["rejected"] += 1
        elif isinstance(call, calls.AgentJoined | calls.AgentBack):
            self._adopt(core, call)
        elif isinstance(call, calls.Reconcile):
            self._asked |= set(call.tasks)
        else:
            for offer in [offer for answer in calls.answers(call) for offer in answer.offers]:
                self._close(offer)
        for event in followed:
            if isinstance(call, calls.Reconcile) or (isinstance(call, calls.Tick) and self._answers(event)):
                self._agree(event)
            elif self._repeats(core, event):
                self.counts["repeated"] += 1
            else:
                self._follow(event)
        if isinstance(call, calls.AgentJoined | calls.AgentBack):
            self._believe(core, call)
        self._compare(
            core,
            dict.fromkeys(_names((call, *followed), "agent")),
            dict.fromkeys(_names((call, *followed), "framework")),
        )
        if self.steps % max(FULL_EVERY, len(core.agents)) == 0:
            self.check_all(core)

    def check_all(self, core: MasterCore) -> None:
        """Compare everything."""
        check(core)
        assert list(core.offers) == list(self.offers), (
            "the outstanding offers are not those that were made and not ended"
        )
        differing = sorted(set(self.live) ^ set(core.tasks))
        assert not differing, f"live by the events and not in the books, or the reverse: {differing[:5]}"
        self._compare(core, dict.fromkeys(core.agents), dict.fromkeys(map(owner_of, core.frameworks)))

    def check_end(self, core: MasterCore) -> None:
        """After the calm: everything has ended, once, and what was held has come back."""
        self.check_all(core)
        assert not core.tasks, f"tasks that never ended: {list(core.tasks)[:5]}"
        overdue = [offer for offer, made in self.offers.items() if made.expires_us <= core.now_us]
        assert not overdue, f"offers neither answered nor expired: {overdue[:5]}"
        endless = [task for task, state in self.states.items() if not state.terminal]
        assert not endless, f"tasks of which no end was told: {endless[:5]}"

    def successor(self) -> Checkers:
        """An onlooker of the next master: its books begin empty, too."""
        fresh = Checkers()
        fresh.steps, fresh.counts, fresh.optimistic = self.steps, self.counts, self.optimistic
        return fresh

    # -- one event --------------------------------------------------------------------------------------------------------

    def _follow(self, event: events.Event) -> None:
        match event:
            case events.Launch():
                self.counts["launched"] += 1
                assert event.task not in self.states, f"{event.task} is launched a second time"
                self._launched.add(event.task)
                self.states[event.task] = TaskState.STAGING
                if event.after:
                    assert event.after in self.live and event.after not in self.ahead, f"{event} waits for nothing"
                    self.ahead[event.after] = event
                else:
                    self._enter(event)
            case events.Updated():
                self._updated(event)
            case events.OfferMade():
                self.counts["offers_made"] += 1
                assert event.offer not in self._offered, f"{event.offer} is offered a second time"
                self._offered.add(event.offer)
                self.offers[event.offer] = event
                if not self.optimistic:
                    self._take(event.framework, event.agent, event.resources)
            case events.Revoked():
                self.counts["revoked"] += 1
            case events.Rescinded():
                self.counts["rescinded"] += 1
                self._close(event.offer)
            case _:
                pass

    def _enter(self, launch: events.Launch) -> None:
        self.live[launch.task] = launch
        self._take(launch.framework, launch.agent, launch.needs)

    def _believe(self, core: MasterCore, call: calls.AgentJoined | calls.AgentBack) -> None:
        """Note the states of which nobody was told, because their framework is not here."""
        for found in call.tasks:
            if found.task in self.live:
                self.states[found.task] = core.tasks[found.task].state
            elif found.state.terminal and core.ended.get(found.task) is found.state:
                self.states.setdefault(found.task, found.state)

    def _repeats(self, core: MasterCore, event: events.Event) -> bool:
        """Whether this was said before, and has not been acknowledged."""
        said = isinstance(event, events.Updated) and event.task not in self.live and event.task in core.unacknowledged
        return said and self.states.get(event.task) is event.state  # type: ignore[union-attr]  # it is an update

    def _answers(self, event: events.Event) -> bool:
        """Whether this is the late answer to a question, rather than news."""
        return isinstance(event, events.Updated) and event.task not in self.live and event.task in self._asked

    def _agree(self, event: events.Event) -> None:
        """An answer about a task's state is what was told before; of an unknown task, that it is lost."""
        if isinstance(event, events.Updated):
            self._asked.discard(event.task)
            told = self.states.get(event.task, TaskState.LOST)
            assert event.state is told, f"{event.task} is {told.value}, and is said to be {event.state.value}"

    def _adopt(self, core: MasterCore, call: calls.AgentJoined | calls.AgentBack) -> None:
        """Enter the tasks that an agent said it runs and the master believes; one that had ended must not live again."""
        for found in call.tasks:
            if found.state.terminal and core.ended.get(found.task) is found.state:
                self.states.setdefault(found.task, found.state)
            waiting = core.ahead.get(found.task)
            if waiting and waiting.after not in self.ahead:
                launch = events.Launch(call.agent, found.framework, found.task, core.tasks[waiting.after].needs)
                self._follow(replace(launch, after=waiting.after))
                self.counts["adopted"] += 1
            if found.task in core.tasks and found.task not in self.live and not self._takes_over(found.task):
                assert found.task not in self.states, (
                    f"{found.task} was {self.states[found.task].value}, and lives again"
                )
                self._follow(events.Launch(call.agent, found.framework, found.task, found.needs))
                self.counts["launched"] -= 1
                self.counts["adopted"] += 1

    def _takes_over(self, task: str) -> bool:
        return any(launch.task == task for launch in self.ahead.values())

    def _updated(self, event: events.Updated) -> None:
        before = self.states.get(event.task, TaskState.STAGING)
        if event.state is before is TaskState.STAGING and event.task in self._launched:
            return  # what waited when it was adopted waits still
        if event.task in self._launched:
            assert event.state in FORWARD[before], f"{event.task} went from {before.value} to {event.state.value}"
        else:
            assert event.state is TaskState.LOST, f"{event.task} was never launched, and is {event.state.value}"
        self.states[event.task] = event.state
        if event.state.terminal:
            self.counts[event.state.value] += 1
        if event.state.terminal and (launch := self.live.pop(event.task, None)):
            self._give_back(launch.framework, launch.agent, launch.needs)
            if following := self.ahead.pop(event.task, None):
                self._enter(following)
        if event.state.terminal:
            self.ahead = {after: waits for after, waits in self.ahead.items() if waits.task != event.task}

    def _close(self, offer: str) -> None:
        assert offer in self.offers, f"{offer} is answered or rescinded, and is not outstanding"
        made = self.offers.pop(offer)
        if not self.optimistic:
            self._give_back(made.framework, made.agent, made.resources)

    def _take(self, framework: str, agent: str, resources: Resources) -> None:
        self.held[framework] += resources.counted
        self.given[agent] += resources

    def _give_back(self, framework: str, agent: str, resources: Resources) -> None:
        self.held[framework] -= resources.counted
        self.given[agent] -= resources

    # -- comparing --------------------------------------------------------------------------------------------------------

    def _compare(self, core: MasterCore, agents: dict[str, None], frameworks: dict[str, None]) -> None:
        """Whether the core's books say of these agents and frameworks what the onlooker's say."""
        assert len(self.offers) == len(core.offers), (
            f"{len(core.offers)} offers in the books, {len(self.offers)} were made and not ended"
        )
        assert {launch.task for launch in self.ahead.values()} == core.ahead.keys(), "other tasks wait in the books"
        assert len(self.live) == len(core.tasks), (
            f"{len(core.tasks)} tasks in the books, {len(self.live)} were launched and not ended"
        )
        for name in agents:
            given = self.given[name]
            if agent := core.agents.get(name):
                assert agent.free + given == agent.total, (
                    f"{name}: {agent.free} free + {given} given away is not {agent.total}"
                )
            else:
                assert not given, f"{name} is gone, and {given} of it is still given away"
        for name in frameworks:
            held = self.held[name]
            booked = core.allocated_to(name)
            assert booked == held, f"{name}: {booked} in the books, {held} held"


def _names(things: tuple[object, ...], kind: str) -> list[str]:
    return [name for thing in things if (name := getattr(thing, kind, ""))]
