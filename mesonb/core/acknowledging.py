"""At-least-once updates: how a task ended is said until its framework has acknowledged it, and kept until then.

On its way such an update may be lost with a link, a scheduler or a master. So the core repeats it every
``update_retry_us``, says it anew to a scheduler that registers again, and tells the agent that it may forget only when
the framework knows. An agent names what nobody acknowledged to whichever master is next, which takes it over. Rule:
repeats change nothing; whoever hears one twice acknowledges it twice. With ``update_retry_us=0`` it is said once.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.events import Event
from mesonb.core.maintenance import Maintenance
from mesonb.core.records import Agent, Framework, TaskState

_ALARM = "acknowledgement"
#: How many updates are repeated at most; of frameworks that acknowledge nothing the oldest are given up.
KEPT = 100_000


@dataclass(slots=True)
class Pending:
    """How a task ended, as long as its framework has not said that it knows."""

    update: events.Updated
    agent: str
    again_us: int


class Acknowledging(Maintenance):
    """The books, and what frameworks have not acknowledged yet."""

    __slots__ = ("unacknowledged",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.unacknowledged: dict[str, Pending] = {}  #: by task, in the order in which they are said again

    def say_until_known(self, update: events.Updated, agent: str) -> None:
        """Note how a task ended, to say it again until its framework acknowledges it."""
        self.unacknowledged[update.task] = Pending(update, agent, self.now_us + self.settings.update_retry_us)
        if len(self.unacknowledged) > KEPT:
            del self.unacknowledged[next(iter(self.unacknowledged))]
        self._set_retry()

    def acknowledge(self, call: calls.Acknowledge) -> list[Event]:
        """Let the agents forget what a framework knows; what it acknowledged before is no news."""
        known = [name for name in dict.fromkeys(call.tasks) if name in self.unacknowledged]
        mine = [name for name in known if self.unacknowledged[name].update.framework == call.framework]
        out: list[Event] = [events.Acknowledged(self.unacknowledged.pop(name).agent, name) for name in mine]
        self._set_retry()
        return [event for event in out if isinstance(event, events.Acknowledged) and event.agent in self.agents]

    def heard_again(self, call: calls.TaskUpdate) -> list[Event]:
        """Tell an agent that says again how a task ended, after that was acknowledged, that it may forget."""
        return super().heard_again(call) + self._may_forget(call.agent, call.task, call.state)

    def found_ended(self, agent: Agent, found: calls.RunningTask, framework: Framework | None) -> list[Event]:
        """Take over how a task ended of which no master has heard, or which nobody has acknowledged."""
        if framework is None:
            return self._may_forget(agent.name, found.task, found.state)
        out = super().found_ended(agent, found, framework)
        if not self.settings.update_retry_us:
            return out
        update = events.Updated(framework.name, found.task, found.state, f"{agent.name} said so when it joined")
        self.say_until_known(update, agent.name)
        return [*out, update] if framework.name not in self.away else out

    def say_again(self, framework: Framework) -> list[Event]:
        """Say to a scheduler that registers how tasks ended of which it, or the one before, has not said that it knows."""
        return [one.update for one in self.unacknowledged.values() if one.update.framework == framework.name]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _may_forget(self, agent: str, task: str, state: TaskState) -> list[Event]:
        known = state.terminal and task not in self.unacknowledged and agent in self.agents
        return [events.Acknowledged(agent, task)] if known and self.settings.update_retry_us else []

    def _set_retry(self) -> None:
        if self.unacknowledged:
            self.alarms[_ALARM] = next(iter(self.unacknowledged.values())).again_us
        else:
            self.alarms.pop(_ALARM, None)

    def on_time(self) -> list[Event]:
        """Say again what was not acknowledged in time; to frameworks that are away when they are back."""
        out = super().on_time()
        if self.alarms.get(_ALARM, self.now_us + 1) <= self.now_us:
            due = [name for name, one in self.unacknowledged.items() if one.again_us <= self.now_us]
            for name in due:
                one = self.unacknowledged.pop(name)
                if one.update.framework in self.frameworks:
                    self.say_until_known(one.update, one.agent)
                    out += [one.update] if one.update.framework not in self.away else []
                elif one.agent in self.agents:
                    out.append(events.Acknowledged(one.agent, name))  # nobody will ever ask
            self._set_retry()
        return out
