"""Frameworks in several roles: each offer is for one of them, and is charged to that one (Apache Mesos's MULTI_ROLE).

In the books such a framework has a *branch* in each further role: a record of its own, called ``name@role``, with its own
place in the order, its own offers, filters and tasks, so every rule about roles holds with no special case. Rule: branches
are the books' affair. What a framework says is brought to its branches here, and what they are told is told to it, with
the role that an offer is for; nobody else ever says or hears such a name. A role that it leaves keeps its tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mesonb.core import calls, events
from mesonb.core.books import Settings, Wrong, add_up
from mesonb.core.events import Event
from mesonb.core.records import Agent, Framework
from mesonb.core.registering import Registering
from mesonb.core.resources import Resources


class Branches(Registering):
    """The books, with frameworks in several roles."""

    __slots__ = ("families",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.families: dict[str, list[str]] = {}  #: of each framework in several roles, the names of its branches

    def family(self, name: str) -> list[Framework]:
        """Return the records of a framework: its own, and those of its branches."""
        names = [name, *self.families.get(name, ())]
        return [self.frameworks[one] for one in names if one in self.frameworks]

    def allocated_to(self, name: str) -> Resources:
        """Return what a framework holds in all its roles."""
        return add_up(record.allocated for record in self.family(name))

    # -- in and out of roles ----------------------------------------------------------------------------------------

    def check_subscribe(self, call: calls.Subscribe) -> None:
        """Raise Wrong if no framework could register so."""
        super().check_subscribe(call)
        if "@" in call.framework:
            raise Wrong(f"{call.framework!r} cannot be a name: '@' divides a framework from one of its roles")
        for role in call.roles:
            self.check_role(role)

    def _register(self, call: calls.Subscribe) -> list[Event]:
        roles = dict.fromkeys((call.role, *call.roles))
        home = self.frameworks.get(call.framework)
        if len(roles) == 1 and call.framework not in self.families:
            return super()._register(call)
        first = home.role if home and home.role in roles else call.role
        out = super()._register(replace(call, role=first))
        wanted = {f"{call.framework}@{role}": role for role in roles if role != first}
        for name in [name for name in self.families.get(call.framework, ()) if name not in wanted]:
            out += self._retire(self.frameworks[name])
        self._enlarge(call.framework, wanted)
        for name, role in wanted.items():
            joined = super()._register(replace(call, framework=name, role=role))
            out += [event for event in joined if not isinstance(event, events.Subscribed)]
        self._tidy_up(call.framework)
        tasks = tuple(task for record in self.family(call.framework) for task in record.all_tasks)
        return [replace(event, tasks=tasks) if isinstance(event, events.Subscribed) else event for event in out]

    def _retire(self, branch: Framework) -> list[Event]:
        """Leave a role: nothing is offered for it any more, and what runs there runs on."""
        out: list[Event] = [
            self._rescind(offer, "its framework left the role") for offer in list(branch.offers.values())
        ]
        branch.leaving = True
        self.away.pop(branch.name, None)
        self.activate(branch, wants=False)
        self.forget_if_gone(branch)
        return out

    def forget_if_gone(self, framework: Framework) -> None:
        """Strike out a record that has left and whose last task has ended."""
        super().forget_if_gone(framework)
        if framework.name not in self.frameworks:
            self._tidy_up(owner_of(framework.name))

    def _enlarge(self, name: str, branches: Iterable[str]) -> None:
        self.families[name] = list(dict.fromkeys([*self.families.get(name, ()), *branches]))

    def _tidy_up(self, name: str) -> None:
        if name in self.families:
            here = self.families[name] = [branch for branch in self.families[name] if branch in self.frameworks]
            if not here:
                del self.families[name]

    def disconnect(self, framework: Framework) -> list[Event]:
        """Offer a framework nothing, in any of its roles, until it registers again."""
        return [event for record in self._all(framework) for event in super(Branches, self).disconnect(record)]

    def unregister(self, framework: Framework) -> list[Event]:
        """Let a framework leave all its roles; its tasks are killed."""
        return [event for record in self._all(framework) for event in super(Branches, self).unregister(record)]

    def _all(self, framework: Framework) -> list[Framework]:
        """A framework with its branches; a branch alone, as when its time is over."""
        return self.family(framework.name) if framework.name in self.families else [framework]

    def _adopt(self, agent: Agent, found: calls.RunningTask) -> list[Event]:
        """Believe an agent what it runs: in the role in which it was launched, if its framework is, or may be, in that."""
        home, branch = self.frameworks.get(found.framework), f"{found.framework}@{found.role}"
        if home and home.role != found.role and (home.name in self.away or branch in self.frameworks):
            self._enlarge(home.name, [branch])
            out = super()._adopt(agent, replace(found, framework=branch))
            self._tidy_up(home.name)
            return out
        return super()._adopt(agent, found)

    # -- what a framework says, and is told ---------------------------------------------------------------------------

    def for_branches(self, call: calls.Call) -> list[Any]:
        """Bring what a framework in several roles says to the branches that it is about."""
        name = getattr(call, "framework", "")
        if "@" in name:
            raise Wrong(f"no framework is called {name!r}; say {owner_of(name)!r}, and in which roles")
        if name not in self.families:
            return [call]
        match call:
            case calls.Accept() | calls.Decline():
                return [self._about(call, name, (self.offers.get(offer) for offer in call.offers))]
            case calls.AcceptAll():
                offers = [self.offers.get(offer) for part in call.parts for offer in part.offers]
                whole = self._about(call, name, offers)
                return [replace(whole, parts=tuple(replace(part, framework=whole.framework) for part in call.parts))]
            case calls.AcceptInverse() | calls.DeclineInverse():
                return [self._about(call, name, (self.inverses.get(inverse) for inverse in call.inverses))]
            case calls.KillTask():
                return [self._about(call, name, [self.tasks.get(call.task) or self.ahead.get(call.task)])]
            case calls.LaunchNext():
                return [self._about(call, name, [self.tasks.get(call.after)])]
            case calls.Suppress() | calls.Revive():
                return [replace(call, framework=record.name) for record in self._in_roles(name, call.roles)]
            case calls.By():
                return self.for_branches(self.said_by(call))
            case calls.Reconcile():
                return self._questions(call)
            case calls.Acknowledge():
                ended = [(task, self.unacknowledged.get(task)) for task in call.tasks]
                return [calls.Acknowledge(one.update.framework if one else name, (task,)) for task, one in ended]
            case _:
                return [call]

    def _about(self, call: Any, name: str, things: Iterable[Any]) -> Any:
        """Address a call to the branch that holds what it is about; Wrong if several do."""
        holders = dict.fromkeys(thing.framework for thing in things if thing is not None)
        if len(holders) > 1:
            raise Wrong(
                f"an answer is for one role; these are of {', '.join(self._role(holder) for holder in holders)}"
            )
        holder = next(iter(holders), name)
        return replace(call, framework=holder) if owner_of(holder) == name else call

    def _role(self, name: str) -> str:
        return self.frameworks[name].role

    def _in_roles(self, name: str, roles: tuple[str, ...]) -> list[Framework]:
        records = {record.role: record for record in self.family(name) if not record.leaving}
        if unknown := [role for role in roles if role not in records]:
            raise Wrong(f"{name} is not in the role {unknown[0]!r}; it is in {', '.join(records)}")
        return [records[role] for role in roles] if roles else list(records.values())

    def _questions(self, call: calls.Reconcile) -> list[calls.Call]:
        if not call.tasks:
            return [replace(call, framework=record.name) for record in self.family(call.framework) if record.tasks]
        live = [(task, self.tasks.get(task) or self.ahead.get(task)) for task in call.tasks]
        mine = [(task, known.framework if known else "") for task, known in live]
        return [
            calls.Reconcile(holder if owner_of(holder) == call.framework else call.framework, (task,))
            for task, holder in mine
        ]

    def gathered(self, told: list[Event]) -> list[Event]:
        """Tell frameworks what their branches were told: with the role where it matters, and of an agent's end once."""
        out, gone = [], set[Event]()
        for event in map(self._told, told):
            if not (isinstance(event, events.AgentGone) and event in gone):
                out.append(event)
                gone.add(event)
        return out

    def _told(self, event: Any) -> Event:
        name = getattr(event, "framework", "")
        owner = owner_of(name)
        told: Event = event
        if owner in self.families and isinstance(event, events.OfferMade | events.Launch):
            told = replace(event, framework=owner, role=self._role(name))
        elif owner != name:
            told = replace(event, framework=owner)
        return told


def owner_of(name: str) -> str:
    """Return whose branch this is; a framework's own name is its own.

    >>> owner_of("sweep@research"), owner_of("sweep")
    ('sweep', 'sweep')
    """
    return name.partition("@")[0]


def framework_of(task: str) -> str:
    """Return whose task it is, by its id; epoch and incarnation follow the name.

    >>> [framework_of(task) for task in ("lab/task-1", "lab.2/task-1", "a.b.2.7/task-1", "lab")]
    ['lab', 'lab', 'a.b', 'lab']
    """
    return re.sub(r"(\.\d+){1,2}$", "", task.partition("/")[0]) if "/" in task else task
