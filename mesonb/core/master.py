"""The only function that changes the books: ``MasterCore.step(call, now_us) -> events``.

What it may not know: clocks, threads, Dask, widgets. Same state, call and time: same events. A call that makes no
sense is answered with ``Rejected`` and leaves the books untouched; the books are integers and always balance
(``invariants.check``). THE OFFER CYCLE is ``_cycle``: something is free, the allocator says whose turn it is, it is
offered; offered counts as allocated. Shells send a ``Tick`` once per turn of their loop, and sleep until
``next_deadline()`` when nothing else happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from mesonb.core import calls, events
from mesonb.core.allocator import DRF, Allocator, Grant, View
from mesonb.core.allocators import MODULES
from mesonb.core.books import Settings, Wrong, add_up, count
from mesonb.core.branches import owner_of
from mesonb.core.calls import Accept, TaskUpdate, Tick
from mesonb.core.events import Event, OfferMade
from mesonb.core.launches import with_items
from mesonb.core.records import FORWARD, TERMINAL, Agent, Framework, TaskState
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.settling import Settling
from mesonb.core.single import launch_one
from mesonb.core.turns import offer_in_turn
from mesonb.core.units import show_duration


class MasterCore(Settling):
    """The master's rules: one method a call, over the books that it inherits."""

    __slots__ = ("handed",)

    def __init__(self, settings: Settings | None = None, allocator: Allocator | None = None) -> None:
        super().__init__(settings or Settings())
        self.allocator = allocator or DRF()
        self.handed: dict[str, Allocator] = {}  #: allocators from elsewhere that ``SetAllocator`` may name
        self._rules_changed()

    def step(self, call: calls.Call, now_us: int) -> list[Event]:
        """Take one call at one time (microseconds, never backwards) and return what follows from it, in order."""
        if now_us > self.now_us:  # noqa: PLR1730 - max() is a call
            self.now_us = now_us
        self.steps += 1
        if self.kept_back is not None:
            self.forget_kept_back()
        try:
            if self.families:
                return self.gathered(self._answer_for_branches(call))
            kind = type(call)  # what comes a hundred thousand times a second is not looked for in the table of contents
            if kind is TaskUpdate:
                return self._task_update(call)  # type: ignore[arg-type]  # its type was looked at once, not three times
            if kind is Tick:
                return self._tick()
            if kind is Accept:
                return launch_one(self, call) or self._accept(call)  # type: ignore[arg-type]  # as above
            out = self._answer(call)
        except Wrong as wrong:
            return [events.Rejected(call, str(wrong)), *self._lost_in(call, str(wrong))]
        return self.gathered(out) if self.families else out

    def _answer_for_branches(self, call: calls.Call) -> list[Event]:
        return [event for part in self.for_branches(call) for event in self._answer(part)]

    def _answer(self, call: calls.Call) -> list[Event]:
        match call:
            case calls.TaskUpdate():
                return self._task_update(call)
            case calls.Tick():
                return self._tick()
            case calls.Accept():
                return self._accept(call)
            case calls.AcceptAll():
                return self._accept_all(call)
            case calls.LaunchNext():
                return self._launch_next(call)
            case calls.Decline():
                return self._decline(call)
            case calls.Subscribe():
                return self.subscribe(call)
            case calls.Unregister():
                return self.unregister(self._framework(call.framework))
            case calls.Disconnect():
                return self.lose_scheduler(self._framework(call.framework), call)
            case calls.By():
                return self._answer(self.said_by(call))
            case calls.Suppress():
                return self.suppress(self._framework(call.framework))
            case calls.Revive():
                return self.revive(self._framework(call.framework))
            case calls.KillTask():
                return self._kill_task(call)
            case calls.Reconcile():
                return self.reconcile(self._framework(call.framework), call)
            case calls.AgentJoined():
                return self.agent_joined(call)
            case calls.AgentLost():
                return self.agent_lost(self._agent(call.agent), call.because or f"{call.agent} was lost")
            case calls.AgentUnreachable():
                return self.agent_unreachable(self._agent(call.agent), call.because)
            case calls.AgentBack():
                return self.agent_back(self._agent(call.agent), call.tasks)
            case calls.Acknowledge():
                return self.acknowledge(call)
            case calls.AcceptInverse() | calls.DeclineInverse():
                return self.answer_inverse(call)
            case _:
                return self._operate(call)

    def _operate(self, call: calls.OperatorCall) -> list[Event]:
        match call:
            case calls.SetWeight():
                return self._set_weight(call)
            case calls.SetGuarantee():
                return self.set_guarantee(call)
            case calls.SetLimit():
                return self.set_limit(call)
            case calls.SetPriority():
                return self.set_priority(call)
            case calls.Reserve():
                return self.reserve(call)
            case calls.Unreserve():
                return self.unreserve(call)
            case calls.SetAllocator():
                return self._set_allocator(call)
            case calls.Drain():
                return self.drain(self._agent(call.agent), call)
            case calls.Undrain():
                return self.undrain(self._agent(call.agent))
            case calls.Revoke():
                return self.revoke(call)
            case calls.PlanMaintenance():
                return self.plan_maintenance(self._agent(call.agent), call)
            case calls.EndMaintenance():
                return self.end_maintenance(call.agent)
            case calls.Pause():
                return self._pause(paused=True)
            case calls.Resume():
                return self._pause(paused=False)
            case _:
                assert_never(call)

    # -- the offer cycle ------------------------------------------------------------------------------------------

    def _tick(self) -> list[Event]:
        out: list[Event] = []
        if self.timers:
            self.expire_filters()
        if self.unanswered and self.unanswered[0].expires_us <= self.now_us:
            waited = show_duration(self.settings.offer_timeout_us)
            out += [self._rescind(offer, f"not answered within {waited}") for offer in self.expired_offers()]
        if self.unreachable or self.away:
            out += self.end_overdue()
        if self.alarms:
            out += self.on_time()
        if not self.paused:
            out = out + self._cycle() if out else self._cycle()
        if self.ahead or self.doubted:
            out = out + self.look_ahead()
        if self.kills_due or self.bounded_roles:
            out += self.take_back()
        return out

    def _cycle(self) -> list[Event]:
        """Offer what is free, to whom the allocator says, until nobody wants what is left."""
        batch = bool(self.again or self.settings.allocation_interval_us) and self.begin_cycle()
        if type(self.allocator) is DRF and not self.bounded_roles:
            made = offer_in_turn(self)
        elif type(self.allocator).__module__.startswith(("mesonb.core.", "mesonb.fast.")):
            made = self._open(self.allocator.cycle(View(self)))
        else:
            made = self._guarded_cycle(self.allocator)
        if batch or self.bounded_roles or self.kept_back is not None:
            self.end_cycle(batch=batch)
        else:
            self.dirty = {}  # all there is to the end of an ordinary cycle
        return made

    def _guarded_cycle(self, allocator: Allocator) -> list[Event]:
        """Run an allocator from elsewhere: what it grants is checked; if it fails, DRF goes on where it stopped."""
        made: list[Event] = []
        try:
            for grant in allocator.cycle(View(self)):
                self._check_grant(grant)
                made.append(self.open_offer(grant.agent, grant.framework, grant.resources))
        except Exception as error:  # noqa: BLE001 - whatever a notebook cell may raise stops nobody
            self.allocator = DRF()
            because = f"{type(allocator).__name__} failed, so DRF allocates now: {type(error).__name__}: {error}"
            made += [
                *self._open(self.allocator.cycle(View(self))),
                events.Rejected(calls.Tick(), because),
            ]
        return made

    def _open(self, grants: Iterable[Grant]) -> list[Event]:
        return [self.open_offer(grant.agent, grant.framework, grant.resources) for grant in grants]

    def _check_grant(self, grant: Grant) -> None:
        agent, framework = grant.agent, grant.framework
        if self.agents.get(agent.name) is not agent or self.frameworks.get(framework.name) is not framework:
            raise Wrong(f"it granted {agent.name} to {framework.name}; not both are here")
        parts = (self.portion(agent, framework, guaranteed=guaranteed) for guaranteed in (False, True))
        if not grant.resources or not any(grant.resources <= part for part in parts):
            raise Wrong(f"it granted {framework.name} {grant.resources} of {agent.name}, of which it may not have that")
        grant.resources = agent.free.pick(grant.resources)

    # -- frameworks -----------------------------------------------------------------------------------------------

    def _accept(self, call: calls.Accept) -> list[Event]:
        framework, offers, held, needed = self._checked(call)
        if self.optimistic:
            return self.settle([(call, framework, offers)], gang=False)
        if held.itemised:
            call = with_items(call, offers, held)
            needed = add_up(launch.needs for launch in call.launches)
        agent = self.agents[offers[0].agent]
        left = NOTHING if needed is held else held - needed
        framework.tallies["accepted" if call.launches else "declined"] += len(offers)
        self.spend_offers(agent, framework, offers, left, call.launches)
        if left._amounts and call.refuse_us:
            self.add_filter(framework, agent.name, left, call.refuse_us)
        if not agent.free._amounts:
            self.dirty.pop(agent.name, None)  # no cycle has anything to look at there
        return self.launched(agent, framework, call.launches)

    def _accept_all(self, call: calls.AcceptAll) -> list[Event]:
        """Check every part before any is carried out: then none can fail."""
        if not call.parts or any(part.framework != call.framework for part in call.parts):
            raise Wrong(f"a gang is one or more accepts of {call.framework}")
        self._check_tasks(tuple(launch for part in call.parts for launch in part.launches))
        self._offers_of(self._framework(call.framework), tuple(offer for part in call.parts for offer in part.offers))
        checked = [self._checked(part)[:2] for part in call.parts]
        if self.optimistic:
            return self.settle([(part, *whose) for part, whose in zip(call.parts, checked, strict=True)], gang=True)
        return [event for part in call.parts for event in self._accept(part)]

    def _launch_next(self, call: calls.LaunchNext) -> list[Event]:
        framework = self._framework(call.framework)
        self._check_new(call.task)
        return self.launch_after(framework, call)

    def _decline(self, call: calls.Decline) -> list[Event]:
        framework = self._framework(call.framework)
        for offer in self._offers_of(framework, call.offers):
            self.close_offer(offer)
            self.add_filter(framework, offer.agent, offer.resources, call.refuse_us)
            count(framework, "declined")
        return []

    def _kill_task(self, call: calls.KillTask) -> list[Event]:
        task = self._framework(call.framework).tasks.get(call.task)
        if task is None and call.task in self.frameworks[call.framework].ahead:
            return [self.kill_next(self.ahead[call.task])]
        if task is None:
            raise Wrong(f"{call.framework} has no live task {call.task}; it may have ended already")
        return [self._kill(task)]

    # -- agents ---------------------------------------------------------------------------------------------------

    def _task_update(self, call: calls.TaskUpdate) -> list[Event]:
        task = self.tasks.get(call.task)
        if task is None:
            if call.task in self.ended:
                return self.heard_again(call)
            if call.task in self.ahead:
                return self.update_next(self.ahead[call.task], call)
            raise Wrong(f"no task is called {call.task!r}")
        if task.agent != call.agent:
            raise Wrong(f"{call.task} runs on {task.agent}, not on {call.agent}")
        state = call.state
        if state in TERMINAL:
            return self._end(task, state, call.because)
        if state not in FORWARD[task.state]:
            return []
        if task.agent in self.unreachable:
            return []  # what it says counts when it is back, and has said what it runs
        return [self._enter_state(task, state, call.because)]

    # -- operators ------------------------------------------------------------------------------------------------

    def _set_weight(self, call: calls.SetWeight) -> list[Event]:
        self.set_weight(call)
        if not self.order.places.get(call.role):
            return []
        return [self._rescind(offer, f"the weight of {call.role} changed") for offer in list(self.offers.values())]

    def _set_allocator(self, call: calls.SetAllocator) -> list[Event]:
        if call.name not in self.handed and call.name not in MODULES:
            known = ", ".join([*MODULES, *self.handed])
            raise Wrong(f"no allocator is called {call.name!r}; there are {known}; hand over one of your own first")
        self.allocator = self.handed[call.name] if call.name in self.handed else MODULES[call.name]()
        self.all_changed()
        return []

    def _pause(self, *, paused: bool) -> list[Event]:
        self.paused = paused
        return self.withdraw_all("the master is paused") if paused else []

    # -- what several calls share ---------------------------------------------------------------------------------

    def _lost_in(self, call: calls.Call, because: str) -> list[Event]:
        """Every task of a rejected accept ends as lost, so that no framework loses work silently."""
        parts = call.parts if isinstance(call, calls.AcceptAll) else (call,)
        named = [launch.task for part in parts if isinstance(part, calls.Accept) for launch in part.launches]
        named += [call.task] if isinstance(call, calls.LaunchNext) else []
        name = getattr(call, "framework", "")
        if name not in self.frameworks or owner_of(name) != name:
            return []
        fresh = {task: None for task in named if not self._is_known(task)}
        return [events.Updated(name, task, TaskState.LOST, because) for task in fresh]

    def _is_known(self, task: str) -> bool:
        return task in self.tasks or task in self.ended or task in self.ahead

    # -- checks: each raises Wrong before anything was changed -------------------------------------------------------

    def _checked(self, call: calls.Accept) -> tuple[Framework, list[OfferMade], Resources, Resources]:
        framework = self._framework(call.framework)
        offers, launches = self._offers_of(framework, call.offers), call.launches
        held = offers[0].resources
        needed = launches[0].needs if len(launches) == 1 else add_up([launch.needs for launch in launches])
        if len(offers) > 1:
            self._check_agent(offers)
            held = add_up([offer.resources for offer in offers])
        self._check_tasks(launches)
        if held.itemised or self.agents[offers[0].agent].short is not None:
            with_items(call, offers, held)
        if needed is not held:
            self._check_fit(offers, held, needed)
        return framework, offers, held, needed

    def _offers_of(self, framework: Framework, ids: tuple[str, ...]) -> list[OfferMade]:
        if not ids or (len(ids) > 1 and len(set(ids)) != len(ids)):
            raise Wrong("name each offer once, and at least one")
        try:
            return [framework.offers[offer] for offer in ids]
        except KeyError as gone:
            held = f"{gone.args[0]} is not held by {framework.name}"
            raise Wrong(f"{held}; it was answered, or rescinded, before") from None

    def _check_agent(self, offers: list[OfferMade]) -> None:
        if len({offer.agent for offer in offers}) > 1:
            raise Wrong("an accept takes offers of one agent only; answer each agent on its own")

    def _check_tasks(self, launches: tuple[calls.TaskInfo, ...]) -> None:
        seen: set[str] = set()
        for launch in launches:
            name = launch.task
            self._check_new(name, used=name in seen)
            if not launch.needs._amounts:
                raise Wrong(f"{name} needs nothing; give needs=mb.Resources(cpus=1)")
            seen.add(name)

    def _check_new(self, name: str, *, used: bool = False) -> None:
        if not name:
            raise Wrong("a task needs an id")
        if used or self._is_known(name):
            raise Wrong(f"a task called {name!r} was launched before; ids are never used again")

    def _check_fit(self, offers: list[OfferMade], held: Resources, needed: Resources) -> None:
        if not needed <= held:
            names = ", ".join(offer.id for offer in offers)
            raise Wrong(f"{names} holds {held}, the tasks need {needed}: {held.missing_for(needed)} too much")

    def _framework(self, name: str) -> Framework:
        if name not in self.frameworks:
            raise _unknown("framework", name, self.frameworks)
        return self.frameworks[name]

    def _agent(self, name: str) -> Agent:
        if name not in self.agents:
            raise _unknown("agent", name, self.agents)
        return self.agents[name]


def _unknown(kind: str, name: str, known: Iterable[str]) -> Wrong:
    return Wrong(f"no {kind} is called {name!r}; there are: {', '.join(list(known)[:10]) or 'none'}")
