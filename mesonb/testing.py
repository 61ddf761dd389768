"""The test kit for frameworks and allocators: pretend offers, books checked step by step, arbitrary calls.

A framework needs no master to be tested: ``sweep.on_offers([offer(cpus=4)]); offer.launches``. An allocator is tested by
``Checked``, a core that checks its books after every step, under ``arbitrary_call``s that make sense or do not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum
from itertools import count
from random import Random
from typing import Any

from mesonb.core import calls, events
from mesonb.core.branches import owner_of
from mesonb.core.checkpoint import freeze, thaw
from mesonb.core.invariants import check
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.frameworks.base import OfferHandle

_numbers = count(1)


def offer(
    cpus: float = 1, mem: float | str = "1GB", disk: float | str = 0, gpus: float = 0, agent: str = "agent-1"
) -> OfferHandle:
    """Make a pretend offer, for calling ``on_offers`` with no master.

    >>> pretend = offer(cpus=4, mem="4GB")
    >>> task = pretend.launch(print, "hello", needs=Resources(cpus=1))
    >>> pretend.left
    Resources(cpus=3, mem='4 GB')
    """
    return OfferHandle(f"offer-{next(_numbers)}", agent, Resources(cpus, mem, disk, gpus))


class Checked(MasterCore):
    """A master core that checks its books after every step, and that a rejected call changed nothing."""

    def step(self, call: calls.Call, now_us: int) -> list[events.Event]:
        """Step, then check. (A Tick that is answered with a rejection tells of an allocator that failed.)"""
        was, self.kept_back = (self.now_us, self.steps), None  # what is kept back is counted anew with each step
        before, foreign = freeze(self)
        out = super().step(call, now_us)
        check(self)
        if any(isinstance(event, events.Rejected) for event in out) and call != calls.Tick():
            same = self._as_of(was) == before or digest(self) == digest(thaw(before, foreign))
            assert same, f"{call} was rejected, yet changed the books"
        return out

    def _as_of(self, was: tuple[int, int]) -> bytes:
        """Write the books as they were at another time and step; which is quicker than to tell what they say."""
        now, (self.now_us, self.steps) = (self.now_us, self.steps), was
        written, _ = freeze(self)
        self.now_us, self.steps = now
        return written

    def tell(self, *sent: calls.Call, at_us: int | None = None) -> list[events.Event]:
        """Send calls and then a Tick, all at one time, and return everything that followed."""
        now_us = self.now_us if at_us is None else at_us
        return [event for call in (*sent, calls.Tick()) for event in self.step(call, now_us)]


def digest(core: MasterCore) -> str:
    """Return the same for the same books, and for no others; time and the count of steps are left out."""
    known: dict[int, int] = {}
    left_out = {"now_us", "steps", "settings", "kept_back"}
    books = {name: getattr(core, name) for name in _names(core) if name not in left_out}
    return hashlib.sha256(repr(_plain(books, known)).encode()).hexdigest()


def _plain(thing: Any, known: dict[int, int]) -> Any:
    """Write anything in the books as nested lists, in order; a record met again is named by its number."""
    if thing is None or isinstance(thing, str | int | float | Enum):
        return thing
    if isinstance(thing, Resources):
        return sorted(thing.plain().items())
    if isinstance(thing, Random):
        return thing.getstate()
    if isinstance(thing, dict):
        return [(_plain(key, known), _plain(value, known)) for key, value in thing.items()]
    if isinstance(thing, Iterable):
        return [_plain(part, known) for part in thing]
    if id(thing) in known:
        return f"#{known[id(thing)]}"
    known[id(thing)] = len(known)
    return [type(thing).__name__, *(_plain(getattr(thing, name), known) for name in _names(thing))]


def _names(thing: Any) -> list[str]:
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    return sorted({*slots, *getattr(thing, "__dict__", ())})


# -- arbitrary calls ------------------------------------------------------------------------------------------------

#: A small world, so that calls meet each other.
AGENTS = ("agent-1", "agent-2", "agent-3")
FRAMEWORKS = ("f1", "f2", "f3", "f4")
ROLES = ("*", "lab", "eng", "eng/backend", "eng/web")
STATES = tuple(TaskState)


def arbitrary_resources(dice: Random, largest: int = 4) -> Resources:
    """Return some cpus and memory, sometimes a gpu or a disk, sometimes nothing."""
    amounts = {"cpus": dice.randrange(largest * 2 + 1) * 500, "mem": dice.randrange(largest + 1) * 2**30}
    if dice.random() < 0.2:
        amounts |= {dice.choice(("gpus", "disk", "licences")): dice.randrange(3) * 1000}
    some = Resources.of(amounts)
    return some if dice.random() < 0.6 else some + _arbitrary_items(dice, largest)


def _arbitrary_items(dice: Random, largest: int) -> Resources:
    """Return some ports and disks, by number or by name."""
    ports = sorted(dice.sample(range(31000, 31000 + 2 * largest), dice.randrange(largest + 1)))
    disks = set(dice.sample(("sda", "sdb", "sdc"), dice.randrange(3)))
    numbered = Resources(disks=range(len(disks)))  # where others have names
    return dice.choice(
        (Resources(ports=ports), Resources(ports=len(ports)), Resources(ports=ports, disks=disks), numbered)
    )


def arbitrary_call(core: MasterCore, dice: Random) -> calls.Call:
    """Return any call: most make sense to this core, some do not."""
    return dice.choice(_MAKERS)(core, dice)


def _some(dice: Random, known: Iterable[str], others: Sequence[str]) -> str:
    known = list(known)
    return dice.choice(known) if known and dice.random() < 0.9 else dice.choice(others)


def _framework(core: MasterCore, dice: Random) -> str:
    return _some(dice, core.frameworks, (*FRAMEWORKS, "nobody"))


def _offers(core: MasterCore, dice: Random) -> tuple[str, tuple[str, ...]]:
    """Name some offers of one framework on one agent, or something wrong."""
    if not core.offers or dice.random() < 0.1:
        return _framework(core, dice), tuple(dice.choices([*core.offers, "offer-0"], k=dice.randrange(3)))
    first = core.offers[dice.choice(list(core.offers))]
    name = first.framework if dice.random() < 0.01 else owner_of(first.framework)
    there = [o.id for o in core.offers.values() if (o.agent, o.framework) == (first.agent, first.framework)]
    return name, tuple(dice.sample(there, dice.randrange(1, len(there) + 1)))


def _accept(core: MasterCore, dice: Random) -> calls.Call:
    framework, offers = _offers(core, dice)
    held = sum((core.offers[o].resources for o in offers if o in core.offers), start=Resources())
    launches: list[calls.TaskInfo] = []
    for _ in range(dice.randrange(4)):
        needs = (
            held.cut({name: dice.randrange(n + 1) for name, n in held.amounts.items()}) if dice.random() < 0.5 else held
        )
        if needs <= held:
            held -= needs
        launches.append(
            calls.TaskInfo(
                f"{framework}/task-{core.steps}-{len(launches)}" if dice.random() < 0.95 else "again",
                needs,
                dice.random() < 0.5,
            )
        )
    return calls.Accept(framework, offers, tuple(launches), _refuse_us(dice))


def _accept_all(core: MasterCore, dice: Random) -> calls.Call:
    parts = [part for _ in range(dice.randrange(4)) if isinstance(part := _accept(core, dice), calls.Accept)]
    name = parts[0].framework if parts else "f1"
    fresh = [
        replace(part, launches=tuple(replace(launch, task=f"{launch.task}.{number}") for launch in part.launches))
        for number, part in enumerate(parts)
        if part.framework == name or dice.random() < 0.1
    ]
    return calls.AcceptAll(name, tuple(fresh))


def _upkeep(core: MasterCore, dice: Random) -> calls.Call:
    agent, framework = _some(dice, core.agents, AGENTS), _framework(core, dice)
    return dice.choice((
        calls.Drain(agent, dice.choice((0, 5_000_000))), calls.Undrain(agent), calls.Undrain(agent),
        calls.Revoke(dice.choice([*core.tasks, "no task"]), dice.choice((0, 5_000_000))),
        calls.PlanMaintenance(agent, _while_us(dice), _while_us(dice), _while_us(dice)), calls.EndMaintenance(agent),
        calls.AcceptInverse(*_inverses(core, dice)), calls.DeclineInverse(*_inverses(core, dice), dice.choice((0, 3_000_000))),
        calls.Subscribe(framework, scheduler=dice.choice("ab"), standby=dice.random() < 0.5),
        calls.Disconnect(framework, dice.choice(("a", "b", ""))), calls.By(dice.choice("ab"), calls.Suppress(framework)),
        calls.Acknowledge(framework, tuple(dice.choices([*core.unacknowledged, "no task"], k=2))),
        calls.Reconcile(framework), calls.Reconcile(framework, tuple(dice.choices([*core.tasks, *core.ended, "no task"], k=2))),
    ))  # fmt: skip


def _while_us(dice: Random) -> int:
    return dice.choice((0, 0, 1, 5_000_000, 5_000_000, -1))


def _inverses(core: MasterCore, dice: Random) -> tuple[str, tuple[str, ...]]:
    name = _some(dice, core.inverses, ("inverse-0",))
    held = core.inverses.get(name)
    return (held.framework if held and dice.random() < 0.9 else _framework(core, dice)), (name,)


def _refuse_us(dice: Random) -> int:
    return dice.choice((calls.REFUSE_US, 0, -1, 1, 60_000_000, 10**18))


def _decline(core: MasterCore, dice: Random) -> calls.Call:
    return calls.Decline(*_offers(core, dice), _refuse_us(dice))


def _update(core: MasterCore, dice: Random) -> calls.Call:
    task = _some(dice, [*core.tasks, *core.ahead], ["no task", *list(core.ended)[-3:]])
    known = core.tasks.get(task) or core.ahead.get(task)
    agent = known.agent if known and dice.random() < 0.95 else dice.choice(AGENTS)
    return calls.TaskUpdate(agent, task, dice.choice(STATES), dice.choice(("", "it said so")))


def _joined(core: MasterCore, dice: Random) -> calls.Call:
    total = arbitrary_resources(dice, 8)
    reserved = ((dice.choice(ROLES), arbitrary_resources(dice, 1)),) if dice.random() < 0.3 else ()
    attributes = (("rack", dice.choice("ab")),) if dice.random() < 0.5 else ()
    short = arbitrary_resources(dice, 1) if dice.random() < 0.3 else None
    return calls.AgentJoined(
        dice.choice((*AGENTS, "")), total, attributes, reserved,
        (arbitrary_resources(dice, 2),) if dice.random() < 0.1 else (), _running(core, dice),
        dice.choice((0, 2_000_000)), short,
    )  # fmt: skip


def _running(core: MasterCore, dice: Random) -> tuple[calls.RunningTask, ...]:
    """Say what an agent runs: tasks that are here, that have ended, and that a master before launched."""
    known = dice.sample([*core.tasks, *list(core.ended)[-2:]], dice.randrange(1 + len(core.tasks)))
    others = [f"{name}.0/task-{core.steps}" for name in dice.sample(FRAMEWORKS, dice.randrange(3))]
    states = (TaskState.RUNNING, TaskState.STAGING, TaskState.FINISHED)
    return tuple(
        calls.RunningTask(
            task, task.partition(".")[0].partition("/")[0], arbitrary_resources(dice, 1), dice.choice(ROLES), dice.choice(states),
            0 if task in others else core.settings.epoch,
        )
        for task in [*known, *others]
    ) + _said_to_wait(core, dice, others)  # fmt: skip


def _said_to_wait(core: MasterCore, dice: Random, others: Sequence[str]) -> tuple[calls.RunningTask, ...]:
    """Say what waits on an agent: what was launched ahead here, or by a master before."""
    here = [(following.id, following.after) for following in core.ahead.values() if dice.random() < 0.5]
    before = [(f"{task}-next", dice.choice((task, task, "no task"))) for task in others if dice.random() < 0.7]
    return tuple(
        calls.RunningTask(
            task, task.partition(".")[0].partition("/")[0], arbitrary_resources(dice, 1) + Resources(cpus=0.5),
            state=TaskState.STAGING, epoch=0 if "next-" not in task else core.settings.epoch, after=after,
        )
        for task, after in [*here, *before]
    )  # fmt: skip


def _next(core: MasterCore, dice: Random) -> calls.Call:
    """Launch a task ahead, mostly behind a live task of its framework."""
    after = _some(dice, core.tasks, ("no task", *list(core.ended)[-1:]))
    name = owner_of(core.tasks[after].framework) if after in core.tasks else _framework(core, dice)
    fresh = dice.choice((f"{name}/next-{core.steps}",) * 9 + ("again",))
    return calls.LaunchNext(name if dice.random() < 0.95 else _framework(core, dice), after, fresh)


def _away(core: MasterCore, dice: Random) -> calls.Call:
    agent = _some(dice, core.agents, AGENTS)
    there = core.agents[agent].tasks.values() if agent in core.agents else ()
    kept = tuple(
        calls.RunningTask(t.id, t.framework, t.needs, epoch=core.settings.epoch) for t in there if dice.random() < 0.8
    )
    if dice.random() < 0.7:
        kept += tuple(
            calls.RunningTask(t.next, t.framework, t.needs, epoch=core.settings.epoch, after=dice.choice((t.id, "")))
            for t in there if t.next and dice.random() < 0.8
        )  # fmt: skip
    return dice.choice((
        calls.AgentUnreachable(agent), calls.AgentUnreachable(agent), calls.AgentBack(agent, kept),
        calls.AgentBack(agent, _running(core, dice)), calls.Disconnect(_framework(core, dice)),
    ))  # fmt: skip


def _subscribe(_: MasterCore, dice: Random) -> calls.Call:
    call = calls.Subscribe(dice.choice(FRAMEWORKS), dice.choice(ROLES))
    if dice.random() < 0.7:
        return call
    asked = (("rack", dice.choice((*calls.CONSTRAINTS, "likes")), dice.choice(("a", "[ab]", "["))),)
    terms = replace(call, min_offer=(arbitrary_resources(dice, 2),), constraints=asked if dice.random() < 0.5 else ())
    return replace(terms, capabilities=("gpus",)) if dice.random() < 0.3 else terms


def _of_role(core: MasterCore, dice: Random) -> calls.Call:
    role, agent = dice.choice((*ROLES, "", "eng//x")), _some(dice, core.agents, AGENTS)
    some, out_of = arbitrary_resources(dice), dice.choice(("", "", "eng"))
    return dice.choice((
        calls.SetWeight(role, dice.choice((500, 1000, 3000, 0, -5))),
        calls.SetGuarantee(role, arbitrary_resources(dice, 1)),
        calls.SetLimit(role, some, force=dice.random() < 0.3),
        calls.SetLimit(role, Resources()),
        calls.SetPriority(role, dice.randrange(3)),
        calls.SetAllocator(dice.choice(("DRF", "DRF", "Chaos"))),
        calls.Reserve(agent, role, arbitrary_resources(dice, 1), out_of),
        calls.Unreserve(agent, role, arbitrary_resources(dice, 1), out_of),
    ))  # fmt: skip


_MAKERS: list[Callable[[MasterCore, Random], calls.Call]] = [
    *[_accept] * 8, *[_subscribe] * 3, _decline, _update, _update, _update, _joined, _joined,
    lambda core, dice: calls.AgentLost(_some(dice, core.agents, AGENTS), dice.choice(("", "power"))),
    lambda _, dice: calls.Subscribe(dice.choice((*FRAMEWORKS, "")), dice.choice((*ROLES, ""))),
    _subscribe, _of_role, _accept_all, _upkeep, _away, _away,
    lambda core, dice: calls.Unregister(_framework(core, dice)),
    lambda core, dice: calls.Suppress(_framework(core, dice)),
    lambda core, dice: calls.Revive(_framework(core, dice)),
    lambda core, dice: calls.KillTask(_framework(core, dice), _some(dice, [*core.tasks, *core.ahead], ("no task",))),
    *[_next] * 4,
    lambda _, dice: dice.choice((calls.Pause(), calls.Resume(), calls.Resume(), calls.Resume())),
    *[lambda _, __: calls.Tick()] * 8,
]  # fmt: skip
