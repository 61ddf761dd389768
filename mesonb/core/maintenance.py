"""Maintenance: a time in which an agent is down is announced, and whoever is on it is asked to leave by then.

The asking is an *inverse offer*, one a framework, as in Apache Mesos: accepted it is a promise to be gone in time, declined
it says that this suits badly; either is a hint for the operator and binds nobody. Offers made of the agent meanwhile say
when it closes. At the start the agent is drained, and it is offered again at the end, or when an operator says so. Rule:
a window belongs to the agent's name, so an agent that joins within its own window is closed from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mesonb.core import calls, events
from mesonb.core.books import Settings, Wrong
from mesonb.core.events import Event
from mesonb.core.questions import Questions
from mesonb.core.records import Agent, Framework
from mesonb.core.upkeep import DRAINING

_ALARM = "maintenance"
MAINTENANCE = "it is under maintenance"


@dataclass(slots=True)
class Inverse:
    """One framework that was asked to leave an agent in time."""

    id: str
    framework: str
    agent: str
    answer: str = ""  #: "accepted" or "declined"
    again_us: int = 0  #: declined: it is asked again then; 0: not again


@dataclass(slots=True)
class Window:
    """A time in which an agent is down."""

    agent: str
    start_us: int
    end_us: int  #: 0: until an operator says that it is over
    grace_us: int
    because: str
    begun: bool = False
    inverses: dict[str, Inverse] = field(default_factory=dict)  #: by framework


class Maintenance(Questions):
    """The books, with agents that will be down for a while."""

    __slots__ = ("_inverses_made", "inverses", "windows")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.windows: dict[str, Window] = {}  #: by agent
        self.inverses: dict[str, Inverse] = {}
        self._inverses_made = 0

    # -- what an operator says ------------------------------------------------------------------------------------

    def plan_maintenance(self, agent: Agent, call: calls.PlanMaintenance) -> list[Event]:
        """Announce when an agent will be down; a plan that has not begun yet is replaced."""
        before = self.windows.get(agent.name)
        if before and before.begun:
            raise Wrong(f"{agent.name} is under maintenance already; end that first")
        if agent.closed and agent.name not in self.unreachable:
            raise Wrong(f"{agent.name} takes no tasks already: {agent.closed}")
        if call.after_us < 0 or call.lasts_us < 0 or call.grace_us < 0:
            raise Wrong("a maintenance begins now or later, and neither it nor its grace lasts less than nothing")
        because = call.because or f"{agent.name} will be under maintenance"
        out = self._close_inverses(before, "there is another plan") if before else []
        out += [self._rescind(offer, because) for offer in list(agent.offers.values())]
        start_us = self.now_us + call.after_us
        end_us = start_us + call.lasts_us if call.lasts_us else 0
        window = self.windows[agent.name] = Window(agent.name, start_us, end_us, call.grace_us, because)
        agent.closes_us = start_us
        # As in Apache Mesos, a new plan is a reason to allocate there, whatever the pacing.
        self.dirty[agent.name] = agent
        self._set_alarm()
        return out + self.ask_to_leave(agent, window)

    def undrain(self, agent: Agent) -> list[Event]:
        """Offer a draining agent again; one that is under maintenance besides stays closed until that is over."""
        out = super().undrain(agent)
        window = self.windows.get(agent.name)
        return out + self._begin_maintenance(agent, window) if window and window.begun else out

    def end_maintenance(self, name: str, because: str = "") -> list[Event]:
        """Call a plan off, or say that the agent is up again: it is offered as before."""
        window = self.windows.pop(name, None)
        if window is None:
            raise Wrong(f"no maintenance is planned for {name!r}; there are: {', '.join(self.windows) or 'none'}")
        because = because or f"the maintenance of {name} is over"
        out = self._close_inverses(window, because)
        if agent := self.agents.get(name):
            out += [self._rescind(offer, because) for offer in list(agent.offers.values())]  # they say when it closes
            agent.closes_us = 0
            self.dirty[name] = agent
            if window.begun and self.drained.get(name) != DRAINING:
                self.reopen(agent)
        self._set_alarm()
        return out

    # -- those who are on the agent -------------------------------------------------------------------------------

    def ask_to_leave(self, agent: Agent, window: Window) -> list[Event]:
        """Make an inverse offer to each framework there that has none, or that wanted to be asked again by now."""
        asked: list[Event] = []
        for name in dict.fromkeys(task.framework for task in agent.tasks.values()):
            before = window.inverses.get(name)
            if not window.begun and (before is None or 0 < before.again_us <= self.now_us):
                if before:
                    del self.inverses[before.id]
                asked.append(self._ask(self.frameworks[name], window))
        return asked

    def ask_anew(self, framework: Framework) -> list[Event]:
        """Ask a framework again that has registered again: its scheduler may not know what it was asked."""
        for window in self.windows.values():
            if before := window.inverses.pop(framework.name, None):
                del self.inverses[before.id]
        waiting = [(self.agents[name], window) for name, window in self.windows.items() if name in self.agents]
        return [event for agent, window in waiting for event in self.ask_to_leave(agent, window)]

    def _ask(self, framework: Framework, window: Window) -> Event:
        self._inverses_made += 1
        name = f"{self._offer_prefix.replace('offer', 'inverse', 1)}{self._inverses_made}"
        self.inverses[name] = window.inverses[framework.name] = Inverse(name, framework.name, window.agent)
        lasts_us = window.end_us - window.start_us if window.end_us else 0
        return events.InverseOfferMade(framework.name, name, window.agent, window.start_us, lasts_us, window.because)

    def answer_inverse(self, call: calls.AcceptInverse | calls.DeclineInverse) -> list[Event]:
        """Note what a framework says to being asked."""
        if not call.inverses or len(set(call.inverses)) != len(call.inverses):
            raise Wrong("name each inverse offer once, and at least one")
        for name in call.inverses:
            if name not in self.inverses or self.inverses[name].framework != call.framework:
                raise Wrong(
                    f"{name} is not held by {call.framework}; it was rescinded before, or its maintenance began"
                )
        for name in call.inverses:
            inverse = self.inverses[name]
            inverse.answer, inverse.again_us = "accepted", 0
            if isinstance(call, calls.DeclineInverse):
                inverse.answer = "declined"
                inverse.again_us = self.now_us + call.again_us if call.again_us > 0 else 0
        self._set_alarm()
        return []

    def _close_inverses(self, window: Window, because: str) -> list[Event]:
        gone, window.inverses = window.inverses, {}
        for inverse in gone.values():
            del self.inverses[inverse.id]
        here = [inverse for inverse in gone.values() if inverse.framework in self.frameworks]
        return [events.InverseRescinded(inverse.framework, inverse.id, because) for inverse in here]

    # -- time -----------------------------------------------------------------------------------------------------

    def on_time(self) -> list[Event]:
        """Begin and end what is due, and ask again."""
        out = super().on_time()
        if self.alarms.get(_ALARM, self.now_us + 1) <= self.now_us:
            for window in list(self.windows.values()):
                out += self._advance(window)
            self._set_alarm()
        return out

    def _advance(self, window: Window) -> list[Event]:
        if window.end_us and window.end_us <= self.now_us:
            return self.end_maintenance(window.agent)
        agent = self.agents.get(window.agent)
        if not window.begun and window.start_us <= self.now_us:
            window.begun = True
            out = self._close_inverses(window, f"the maintenance of {window.agent} has begun")
            return out + (self._begin_maintenance(agent, window) if agent else [])
        out = self.ask_to_leave(agent, window) if agent else []
        for inverse in window.inverses.values():
            if inverse.again_us <= self.now_us:
                inverse.again_us = 0  # it has left meanwhile
        return out

    def _begin_maintenance(self, agent: Agent, window: Window) -> list[Event]:
        self.drained.setdefault(agent.name, MAINTENANCE)
        if agent.name not in self.unreachable:
            agent.closed = self.drained[agent.name]
        return self.empty(agent, window.grace_us, window.because)

    def _set_alarm(self) -> None:
        due_us = [due for window in self.windows.values() for due in _times(window)]
        if due_us:
            self.alarms[_ALARM] = min(due_us)
        else:
            self.alarms.pop(_ALARM, None)

    # -- agents that come and go meanwhile --------------------------------------------------------------------------

    def agent_joined(self, call: calls.AgentJoined) -> list[Event]:
        """Enter an agent; one that joins within its window is closed from the beginning."""
        out = super().agent_joined(call)
        if window := self.windows.get(call.agent):
            agent = self.agents[call.agent]
            agent.closes_us = window.start_us
            out += self._begin_maintenance(agent, window) if window.begun else self.ask_to_leave(agent, window)
        return out

    def agent_lost(self, agent: Agent, because: str) -> list[Event]:
        """Strike out an agent; its window stays."""
        window = self.windows.get(agent.name)
        out = self._close_inverses(window, because) if window else []
        return out + super().agent_lost(agent, because)


def _times(window: Window) -> Iterable[int]:
    """When something is due about a window."""
    if not window.begun:
        yield window.start_us
        yield from (inverse.again_us for inverse in window.inverses.values() if inverse.again_us)
    if window.end_us:
        yield window.end_us
