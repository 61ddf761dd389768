"""Steering: what an operator does to those who are registered, beside weights, guarantees, limits and the allocator.

The verbs that a cell, a panel's button and the command line share. Rule: each is one call in the log, and what cannot
be meant (a name that is not there, a task that has ended) is said before anything is sent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mesonb.core import calls, events
from mesonb.core.branches import framework_of
from mesonb.core.explain import Explanation
from mesonb.core.resources import Resources
from mesonb.core.snapshot import MaintenanceRow, Snapshot
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, NotThere
from mesonb.frameworks.base import Framework, TaskHandle


class Steering(ABC):
    """The verbs of an operator."""

    _waited_for: dict[int, str]  #: why the master refused calls that somebody waits for, by identity

    @abstractmethod
    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls to the core, in order; callable from any thread."""

    def operate(self, sent: Sequence[calls.Call]) -> None:
        """Send an operator's calls, and come back when they have been taken; BadValue, with why, if one was refused."""
        mine = [id(call) for call in sent]
        self._waited_for.update(dict.fromkeys(mine, ""))
        try:
            self._have_taken(sent)
        finally:
            refused = [because for one in mine if (because := self._waited_for.pop(one, ""))]
        if refused:
            raise BadValue("; ".join(refused))

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Picture the cluster as it is now."""

    @abstractmethod
    def explain(self, name: str, agent: str = "") -> Explanation:
        """Say what stands in the way of whatever is called so; NotThere where nothing is."""

    def pause(self) -> None:
        """Make no more offers; tasks run on."""
        self.operate([calls.Pause()])

    def resume(self) -> None:
        """Make offers again."""
        self.operate([calls.Resume()])

    def cycle(self) -> None:
        """Make one round of offers, and no more: how a paused master is walked through its decisions."""
        self.operate([calls.Resume(), calls.Tick(), calls.Pause()])

    def suppress(self, framework: Framework | str) -> None:
        """Send a framework no offers until it is revived."""
        self.operate([calls.Suppress(self._registered(framework))])

    def revive(self, framework: Framework | str) -> None:
        """Send a framework offers again, and forget its refusals."""
        self.operate([calls.Revive(self._registered(framework))])

    def disconnect(self, framework: Framework | str, scheduler: str = "") -> None:
        """Take a framework's scheduler for lost: the next that stands by goes on, or its tasks run on until it registers again."""
        self.operate([calls.Disconnect(self._registered(framework), scheduler)])

    def kill(self, task: TaskHandle | str) -> None:
        """Kill a task, whoever's it is; its framework is told when it is dead."""
        name = self._live(task)
        self.operate([calls.KillTask(framework_of(name), name)])

    def revoke(self, task: TaskHandle | str, grace: float | str = "10s") -> None:
        """Take a task's resources back: its framework is told at once, and it is killed after a while."""
        self.operate([calls.Revoke(self._live(task), parse_duration(grace))])

    def drain(self, agent: str, grace: float | str = "30s", because: str = "") -> None:
        """Offer nothing of an agent any more, and kill its tasks after a while; their frameworks are told at once."""
        self.operate([calls.Drain(self._agent_called(agent), parse_duration(grace), because)])

    def undrain(self, agent: str) -> None:
        """Offer a draining agent again; what still runs there runs on."""
        self.operate([calls.Undrain(self._agent_called(agent))])

    def reserve(self, agent: str, role: str, resources: Resources, out_of: str = "") -> None:
        """Keep some of what is free on an agent for a role; ``out_of`` a role that contains it refines its reservation."""
        self.operate([calls.Reserve(self._agent_called(agent), role, _some(resources), out_of)])

    def unreserve(self, agent: str, role: str, resources: Resources, out_of: str = "") -> None:
        """Give some of what is free of a reservation back to all, or to the role that it was taken ``out_of``."""
        self.operate([calls.Unreserve(self._agent_called(agent), role, _some(resources), out_of)])

    def maintain(
        self, agent: str, after: float | str = 0, lasts: float | str = 0, grace: float | str = "30s", because: str = ""
    ) -> None:
        """Announce that an agent will be down ``after`` a while, and for how long (0: until ``end_maintenance``).

        Frameworks that run something there are asked at once to leave (``on_inverse_offers``); when it begins, what is still
        there has ``grace`` to end. The agent is offered again when it is over.
        """
        after_us, lasts_us, grace_us = parse_duration(after), parse_duration(lasts), parse_duration(grace)
        self.operate([calls.PlanMaintenance(self._agent_called(agent), after_us, lasts_us, grace_us, because)])

    def end_maintenance(self, agent: str) -> None:
        """Offer an agent again that was under maintenance, or call off what was planned."""
        planned = self.maintenance
        if agent not in planned:
            raise NotThere(f"no maintenance is planned for {agent!r}; there are: {', '.join(planned) or 'none'}")
        self.operate([calls.EndMaintenance(agent)])

    @property
    def maintenance(self) -> dict[str, MaintenanceRow]:
        """The agents that are, or will be, under maintenance, with what those who were asked to leave have answered."""
        return {row.agent: row for row in self.snapshot().maintenance}

    def _have_taken(self, sent: Sequence[calls.Call]) -> None:
        """Send calls, and come back when they have been taken."""
        self.post(sent)

    def _refused(self, event: events.Rejected) -> bool:
        """Tell whoever waits for a call that it was refused; False if nobody does."""
        waits = id(event.call) in self._waited_for
        if waits:
            self._waited_for[id(event.call)] = event.because
        return waits

    def _registered(self, framework: Framework | str) -> str:
        name = framework if isinstance(framework, str) else framework.name
        if name not in (registered := self._names()):
            self.operate([])  # it may have been registered just now
            registered = self._names()
        if name not in registered:
            raise NotThere(f"no framework is called {name!r}; there are: {', '.join(registered) or 'none yet'}")
        return name

    def _names(self) -> list[str]:
        return [row.framework for row in self.snapshot().frameworks]

    def _live(self, task: TaskHandle | str) -> str:
        name = task if isinstance(task, str) else task.id
        found = self.explain(name)
        if "/" not in name:
            raise BadValue(f"{name!r} is not a task; a task is called like 'sweep/task-1'")
        if " has ended: " in found.sentence:
            raise BadValue(f"{found.sentence}; only a live task can be killed or revoked")
        return name

    def _agent_called(self, agent: str) -> str:
        if not self.explain(agent).sentence.startswith(f"{agent} runs "):
            raise BadValue(f"{agent!r} is not an agent; agents are called like 'agent-1'")
        return agent


def _some(resources: Resources) -> Resources:
    if not isinstance(resources, Resources):
        raise BadValue(f"{resources!r} is no amount of resources; write mb.Resources(cpus=1)")
    return resources
