"""Frameworks that register, and which of several schedulers speaks for one.

A framework may have several schedulers (Mesos paper, 3.6): one is active, the others stand by. Whoever registers takes
over: the one before is told, and its calls are refused; tasks stay. If the active one is lost, the first that stands by is
told to go on, and only where nobody does the framework waits, for its failover timeout. What schedulers share of their
state is their own affair. Rule: a call that says ``By`` whom it is made counts only if that is who is active.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from mesonb.core import calls, events
from mesonb.core.acknowledging import Acknowledging
from mesonb.core.books import Settings, Wrong
from mesonb.core.events import Event
from mesonb.core.records import Framework


@dataclass(slots=True)
class Line:
    """The schedulers of one framework that has, or had, more than one."""

    active: str = ""
    waiting: dict[str, calls.Subscribe] = field(default_factory=dict)  #: by scheduler, in order


class Registering(Acknowledging):
    """The books, with frameworks that register."""

    __slots__ = ("lines",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.lines: dict[str, Line] = {}  #: by framework; one whose only scheduler has no name has none

    # -- several schedulers ---------------------------------------------------------------------------------------

    def subscribe(self, call: calls.Subscribe) -> list[Event]:
        """Let a framework register, or another scheduler of it: it stands by, or it takes over."""
        self.check_subscribe(call)
        before = self.frameworks.get(call.framework)
        led = before is not None and not before.leaving and before.name not in self.away
        if not (call.scheduler or call.framework in self.lines):
            return self._register(call)
        line = self.lines.setdefault(call.framework, Line())
        if call.standby and led and line.active != call.scheduler:
            line.waiting[call.scheduler] = call
            return [events.StandsBy(call.framework, call.scheduler, f"{line.active or 'another'} is active")]
        out: list[Event] = []
        if led and line.active != call.scheduler:
            out.append(events.Superseded(call.framework, line.active, f"{call.scheduler or 'another'} took over"))
        line.active = call.scheduler
        line.waiting.pop(call.scheduler, None)
        return out + self._register(call)

    def lose_scheduler(self, framework: Framework, call: calls.Disconnect) -> list[Event]:
        """Go on without a scheduler: with one that stands by, or with none for a while."""
        line = self.lines.get(framework.name)
        if line is None or framework.leaving:
            return self.disconnect(framework)
        if call.scheduler in line.waiting:
            del line.waiting[call.scheduler]
            return []
        if call.scheduler and call.scheduler != line.active:
            raise Wrong(f"{call.scheduler} is no scheduler of {framework.name}; {self._who(line)}")
        if not line.waiting:
            return self.disconnect(framework)
        _, following = next(iter(line.waiting.items()))
        return [*self.disconnect(framework), *self.subscribe(replace(following, standby=False))]

    def said_by(self, call: calls.By) -> calls.FrameworkCall:
        """Return what one scheduler says for its framework; Wrong if another one is active."""
        line = self.lines.get(call.framework, Line())
        if call.scheduler != line.active:
            raise Wrong(f"{call.scheduler or 'that scheduler'} does not speak for {call.framework}; {self._who(line)}")
        return call.call

    def unregister(self, framework: Framework) -> list[Event]:
        """Let a framework leave, whose tasks are killed; those that stand by need not any more."""
        line = self.lines.pop(framework.name, Line())
        told = [events.Superseded(framework.name, name, "its framework left") for name in line.waiting]
        return [*super().unregister(framework), *told]

    def _who(self, line: Line) -> str:
        return f"{line.active or 'one without a name'} is active; register again to take over"

    # -- one scheduler --------------------------------------------------------------------------------------------

    def _register(self, call: calls.Subscribe) -> list[Event]:
        self.begin()
        framework = self.frameworks.get(call.framework)
        out: list[Event] = []
        if framework is None:
            framework = self.add_framework(call.framework, call.role)
        else:
            out += [self._rescind(offer, "its framework registered again") for offer in list(framework.offers.values())]
            framework.suppressed = framework.leaving = False
            self.drop_filters(framework)
            self.leave_role(framework)
        self.away.pop(call.framework, None)
        self._set_terms(framework, call)
        self.join_role(framework, call.role)
        self.activate(framework, wants=True)
        self.all_changed()
        incarnation = self.incarnations[call.framework] = self.incarnations.get(call.framework, 0) + 1
        epoch, retry = self.settings.epoch, bool(self.settings.update_retry_us)
        out.append(events.Subscribed(framework.name, incarnation, framework.all_tasks, epoch, retry, call.scheduler))
        return [*out, *self.say_again(framework), *self.ask_anew(framework)]

    def check_subscribe(self, call: calls.Subscribe) -> None:
        """Raise Wrong if no framework could register so; a shell asks before it replaces what is registered."""
        if not call.framework:
            raise Wrong("a framework needs a name")
        self.check_role(call.role)
        if call.standby and not call.scheduler:
            raise Wrong("a scheduler that stands by needs a name: scheduler=")
        self._check_terms(call)

    def _set_terms(self, framework: Framework, call: calls.Subscribe) -> None:
        """Keep what it said of offers, if that is anything at all: whoever asks for nothing costs nothing."""
        says = call.min_offer or call.agents or call.constraints or call.capabilities
        framework.terms = call if says else None

    def suppress(self, framework: Framework) -> list[Event]:
        """Make a framework no offers."""
        framework.suppressed = True
        self.activate(framework, wants=False)
        return []

    def revive(self, framework: Framework) -> list[Event]:
        """Make a framework offers again, and forget its refusals."""
        if framework.name in self.away:
            raise Wrong(f"{framework.name} is disconnected; register it again")
        framework.suppressed = False
        self.activate(framework, wants=not framework.leaving)
        self.drop_filters(framework)
        self.all_changed()
        return []

    def _check_terms(self, call: calls.Subscribe) -> None:
        for attribute, asked, value in call.constraints:
            if asked not in calls.CONSTRAINTS:
                known = ", ".join(repr(word) for word in calls.CONSTRAINTS)
                raise Wrong(
                    f"{attribute} {asked!r} {value}: no agent can be asked that; a constraint says one of {known}"
                )
            try:
                re.compile(value if asked == "matches" else "")
            except re.error as error:
                raise Wrong(f"{attribute} matches {value!r}: {error}") from None
