"""Optimistic concurrency: the same is offered to several, and settled when the first accepts (Omega's shared state).

Who comes late meets a conflict: what no longer fits is lost, and says so. ``conflict`` says what a conflict is, ``settle``
what becomes of the rest of an accept that meets one. Rule: a gang is launched whole or not at all, whatever ``settle``
says: its parts are judged together before any is carried out (docs/decisions/014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mesonb.core import calls, events
from mesonb.core.ahead import Ahead
from mesonb.core.books import add_up, count
from mesonb.core.events import Event, OfferMade
from mesonb.core.records import Agent, Framework, TaskState
from mesonb.core.resources import NOTHING, Resources, less

#: One accept: the call, whose it is, and the offers that it takes of one agent.
Part = tuple[calls.Accept, Framework, list[OfferMade]]


class Settling(Ahead):
    """The books, and what becomes of offers that were made to several."""

    __slots__ = ()

    def settle(self, parts: Sequence[Part], *, gang: bool) -> list[Event]:
        """Launch what has not been taken since it was offered; the rest is lost to a conflict, and says so."""
        left: dict[str, Resources] = {}  #: by agent, what is free there after what was judged before
        fitting = [self._fitting(part, left) for part in parts]
        short = [
            offers[0].agent
            for fits, (call, _, offers) in zip(fitting, parts, strict=True)
            if len(fits) < len(call.launches)
        ]
        if short and (gang or self.settings.settle == "all"):
            fitting = [[] for _ in parts]
        because = f"conflict: others took what it needs of {', '.join(short)}"
        return [
            event for part, fits in zip(parts, fitting, strict=True) for event in self._carry_out(part, fits, because)
        ]

    def _fitting(self, part: Part, left: dict[str, Resources]) -> list[calls.TaskInfo]:
        """Return what of an accept can still be launched, and take that from what is ``left``."""
        call, _, offers = part
        agent = self.agents[offers[0].agent]
        moved = self.settings.conflict == "sequence" and any(offer.changes != agent.changes for offer in offers)
        fits, free = [], NOTHING if moved else left.get(agent.name, agent.free)
        short = agent.short_free
        for launch in call.launches:
            room = free if launch.short or agent.short is None else less(free, short)
            if launch.needs <= room:
                needs = room.pick(launch.needs)
                free -= needs
                short = less(short, needs) if launch.short else short
                fits.append(launch if needs is launch.needs else replace(launch, needs=needs))
        if not moved:
            left[agent.name] = free
        return fits

    def _carry_out(self, part: Part, fits: list[calls.TaskInfo], because: str) -> list[Event]:
        call, framework, offers = part
        agent = self.agents[offers[0].agent]
        count(framework, "accepted" if call.launches else "declined", len(offers))
        self.spend_offers(agent, framework, offers, NOTHING, tuple(fits))
        if not call.launches:
            self.add_filter(framework, agent.name, add_up(offer.resources for offer in offers), call.refuse_us)
        started = {launch.task for launch in fits}
        lost = [launch for launch in call.launches if launch.task not in started]
        return [
            *self.launched(agent, framework, fits),
            *(self._conflict(framework, launch, because) for launch in lost),
        ]

    def launched(self, agent: Agent, framework: Framework, launches: Sequence[calls.TaskInfo]) -> list[Event]:
        """Tell an agent to run tasks that were entered; where it is kept for short ones, see to their end."""
        if agent.max_task_us:
            for launch in launches:
                self.limit_time(self.tasks[launch.task], agent, agent.max_task_us)
        out: list[Event] = [events.Launch(agent.name, framework.name, task.task, task.needs) for task in launches]
        if agent.closes_us:
            out += self.ask_to_leave(agent, self.windows[agent.name])
        return out

    def _conflict(self, framework: Framework, launch: calls.TaskInfo, because: str) -> Event:
        count(framework, "conflicts")
        self.end_unseen(launch.task, TaskState.LOST)
        return events.Updated(framework.name, launch.task, TaskState.LOST, because)
