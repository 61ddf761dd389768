"""A simulation on rough links: messages are lost, late and doubled; agents fall silent; schedulers die.

Rule: a link does what a real one does, and no worse. From a framework to the master there is one ordered link: what
is late holds up what is behind it, what is lost is sent again. Offers and rescinds may vanish, since a scheduler can die
with them in hand; so may how a task ended, where the core says that again until it is acknowledged. Launches, kills and
updates are sent until they arrive, in any order and perhaps twice, and an agent ignores what it was told before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mesonb.core import calls, events
from mesonb.core.log import Log
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.frameworks.base import Framework, Outcome
from mesonb.frameworks.driver import Driver
from mesonb.sim.checkers import Checkers
from mesonb.sim.faults import Chance
from mesonb.sim.shell import SimShell
from mesonb.sim.simulation import Simulation

#: After how long a message that was lost is sent again.
AGAIN_US = 1_000_000
#: The longest that a message is late.
LATE_S = 5.0
#: How long, at most, a task may run on that is taken back while its launch is on its way.
GRACE_S = 5.0
#: What a link may drop for good, and what a master may be told twice.
MAY_VANISH = (events.OfferMade, events.Rescinded)
MAY_REPEAT = (calls.Accept, calls.AcceptAll, calls.Decline, calls.KillTask)


class RoughSimulation(Simulation):
    """A simulation in which the chance given decides what happens to every message."""

    plain_links = False

    def __init__(self, chance: Chance, timing: Mapping[str, Any], **settings: Any) -> None:
        self.chance = chance
        self.checkers = Checkers()
        self.past: list[Log] = []  #: what the masters before this one recorded
        self.machines: dict[str, Resources] = {}  #: every agent that was ever there
        self.down: dict[str, int] = {}  #: dead agents, and which of their deaths this is
        self.silent: set[str] = set()  #: agents that neither hear nor are heard (membership only)
        self.asleep_us: dict[str, int] = {}  #: until when a framework's scheduler takes no message and answers none
        self._deaths: dict[str, int] = {}
        self._connections: dict[str, int] = {}  #: how often an agent has connected to a master
        self._launches: dict[str, tuple[events.Launch, int]] = {}  #: what an agent was told to run, in which epoch
        self._unheard: dict[str, calls.TaskUpdate] = {}  #: the last word of a task that no master has heard yet
        self._outcomes: dict[str, Outcome] = {}  #: of tasks whose end nobody has acknowledged
        self._link_us: dict[str, int] = {}  #: when the last message on a framework's link to the master arrives
        super().__init__(**settings)
        self.checkers.optimistic = self.core.optimistic
        self.core.settings = self.log.settings = replace(self.core.settings, **timing)

    # -- agents -------------------------------------------------------------------------------------------------------

    def crash(self, agent: str) -> None:
        """Let an agent die; the master has not noticed yet."""
        self._deaths[agent] = self._deaths.get(agent, 0) + 1
        self.down[agent] = self._deaths[agent]
        self.silent.discard(agent)
        self.agents.lose(agent)
        for task, update in list(self._unheard.items()):
            if update.agent == agent:
                del self._unheard[task]

    def greet(self, agent: str) -> None:
        """Let an agent tell the master that it is there, and what it runs."""
        connected = agent in self.core.agents and agent not in self.core.unreachable
        if agent in self.down or agent in self.silent or connected:
            return
        self._connections[agent] = self._connections.get(agent, 0) + 1  # what was sent before this is void
        if agent in self.core.unreachable:
            self.post([calls.AgentBack(agent, self._running(agent))])
        else:
            self.post([calls.AgentJoined(agent, self.machines[agent], tasks=self._running(agent))])

    def _running(self, agent: str) -> tuple[calls.RunningTask, ...]:
        """What an agent runs, and what has ended there without a master having heard of it."""
        waits = {task.id: self.agents.waits_for(agent, task.id) for task in self.agents.of(agent)}
        states = {
            task: TaskState.STAGING if after else TaskState.RUNNING
            for task, after in waits.items()
            if task in self._launches
        }
        states |= {update.task: update.state for update in self._unheard.values() if update.agent == agent}
        return tuple(
            self._found(*self._launches[task], state=state, after=waits.get(task, "")) for task, state in states.items()
        )

    def _found(self, launch: events.Launch, epoch: int, *, state: TaskState, after: str) -> calls.RunningTask:
        return calls.RunningTask(
            launch.task,
            launch.framework,
            launch.needs,
            launch.role or self.drivers[launch.framework].role,
            state,
            epoch,
            after,
        )

    # -- masters ------------------------------------------------------------------------------------------------------

    def fail_over(self) -> None:
        """Let another master lead. It knows nothing; what was on its way from or to the one before is void."""
        settings = replace(self.core.settings, epoch=self.core.settings.epoch + 1)
        self.past.append(self.log)
        with self.lock:
            self.core = MasterCore(settings, type(self.core.allocator)())
            self.log = Log(settings, type(self.core.allocator).__name__, self.core, self.log.kept)
        self.checkers = self.checkers.successor()
        self._mail.clear()
        for agent in self.machines:
            self._connections[agent] = self._connections.get(agent, 0) + 1

    def subscribe_again(self, driver: Driver) -> None:
        """Let a scheduler find the new master."""
        if not driver.superseded:
            self.post([driver.subscription()])

    def _step(self, call: calls.Call) -> list[events.Event]:
        followed = super()._step(call)
        if isinstance(call, calls.AgentJoined):
            self.machines[call.agent] = call.total
        self.checkers.after(self.core, call, followed)
        return followed

    # -- master to framework --------------------------------------------------------------------------------------------

    def _mail_to(self, name: str, event: events.Event, outcome: Outcome | None = None) -> None:
        is_end = isinstance(event, events.Updated) and event.task in self.core.unacknowledged
        if (is_end or isinstance(event, MAY_VANISH)) and self.chance.strikes("lost"):
            return
        if is_end and isinstance(event, events.Updated):
            outcome = outcome or self._outcomes.get(event.task)
        super()._mail_to(name, event, outcome)
        if isinstance(event, events.Updated | events.Rescinded) and self.chance.strikes("twice"):
            self.engine.after(self.chance.while_us(LATE_S), partial(super()._mail_to, name, event, outcome))

    def _open_mail(self, driver: Driver) -> None:
        if driver not in self._mail:
            return  # it was from a master that is gone
        wait_us = self.asleep_us.get(driver.name, 0) - self.now_us()
        if self.chance.strikes("late"):
            wait_us = max(wait_us, self.chance.while_us(LATE_S))
        if wait_us > 0:
            self.engine.after(wait_us, partial(self._open_mail, driver))
        else:
            super()._open_mail(driver)

    # -- framework to master --------------------------------------------------------------------------------------------

    def _driver(self, framework: Framework, name: str, role: str) -> Driver:
        shell = _RoughShell(self)
        shell.driver = Driver(framework, name, role, shell, self.seed)
        return shell.driver

    def send(self, driver: Driver, sent: Sequence[calls.Call]) -> None:
        """Send a framework's calls, in order, however long that takes."""
        name, arrive = driver.name, partial(self._arrive, driver, sent, self.core.settings.epoch)
        leaves_us = max(self.now_us(), self.asleep_us.get(name, 0))
        takes_us = self.latency_us
        if self.chance.strikes("lost"):
            takes_us += AGAIN_US
        if self.chance.strikes("late"):
            takes_us += self.chance.while_us(LATE_S)
        arrives_us = self._link_us[name] = max(leaves_us + takes_us, self._link_us.get(name, 0))
        self.engine.at(arrives_us, arrive)
        if isinstance(sent[0], MAY_REPEAT) and self.chance.strikes("twice"):
            self.engine.at(arrives_us + self.chance.while_us(LATE_S), arrive)

    def _arrive(self, driver: Driver, sent: Sequence[calls.Call], epoch: int) -> None:
        if epoch == self.core.settings.epoch:
            self.arrive(driver, sent)

    # -- master to agent ------------------------------------------------------------------------------------------------

    def _deliver(self, event: events.Event) -> None:
        if isinstance(event, events.Launch | events.Kill | events.Withdraw):
            sent = (event, self.core.settings.epoch, self._connections.get(event.agent, 0))
            self.engine.after(self.latency_us, partial(self._try_agent, *sent))
            if isinstance(event, events.Launch) and self.chance.strikes("revoked_staging"):
                self.engine.after(self.latency_us // 2, partial(self._revoke, event.task))
        else:
            super()._deliver(event)

    def _revoke(self, task: str) -> None:
        found = self.core.tasks.get(task)
        if found and found.state is TaskState.STAGING and not found.killing:
            self.post([calls.Revoke(task, self.chance.while_us(GRACE_S))])

    def _try_agent(self, event: events.Launch | events.Kill | events.Withdraw, epoch: int, connection: int) -> None:
        """Hand a message to its agent, or try again while the connection lasts."""
        if event.agent in self.down or self._connections.get(event.agent, 0) != connection:
            return
        if not self._gets_through(event.agent, partial(self._try_agent, event, epoch, connection)):
            return
        if not isinstance(event, events.Launch):
            self.agents.take_back(event)
        elif event.task not in self._launches:
            self._launches[event.task] = event, epoch
            self.agents.launch(event)

    # -- agent to master ------------------------------------------------------------------------------------------------

    def _report(self, update: calls.TaskUpdate, outcome: Outcome | None) -> None:
        if update.agent in self.down:
            return
        self._unheard[update.task] = update
        if outcome and self.core.settings.update_retry_us:
            self._outcomes[update.task] = outcome
        self._try_master(update, outcome, self._deaths.get(update.agent, 0))

    def _try_master(self, update: calls.TaskUpdate, outcome: Outcome | None, death: int) -> None:
        """Report to whoever is master, or try again: an agent that is not registered now will be, or is dead."""
        if update.agent in self.down or self._deaths.get(update.agent, 0) != death:
            return
        again = partial(self._try_master, update, outcome, death)
        known = update.agent in self.core.agents and update.agent not in self.core.unreachable
        if not known:
            self.engine.after(AGAIN_US, again)
        elif self._gets_through(update.agent, again):
            super()._report(update, outcome)
            if self._unheard.get(update.task) is update and not self._is_kept(update):
                del self._unheard[update.task]

    def _is_kept(self, update: calls.TaskUpdate) -> bool:
        """Whether the agent keeps an update until it is acknowledged, for this master or the next."""
        return bool(self.core.settings.update_retry_us) and update.state.terminal

    def acknowledged(self, event: events.Acknowledged) -> None:
        """Let an agent forget how a task ended; if that is lost, it says so again to the next master."""
        if not self.chance.strikes("lost"):
            self._unheard.pop(event.task, None)
        self._outcomes.pop(event.task, None)

    def _gets_through(self, agent: str, again: Callable[[], object]) -> bool:
        """Whether a message between the master and an agent arrives now; if not, it is tried again, and perhaps if so too."""
        if agent in self.silent or self.chance.strikes("lost"):
            self.engine.after(AGAIN_US, again)
            return False
        if self.chance.strikes("late"):
            self.engine.after(self.chance.while_us(LATE_S), again)
            return False
        if self.chance.strikes("twice"):
            self.engine.after(self.chance.while_us(LATE_S), again)
        return True


class _RoughShell(SimShell):
    """What a driver sees of a rough simulation."""

    _sim: RoughSimulation

    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls, if this driver's scheduler still lives."""
        if not self.driver.superseded:
            self._sim.send(self.driver, sent)
