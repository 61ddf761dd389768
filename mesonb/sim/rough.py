"""A simulation on rough links: messages are lost, late and doubled; agents fall silent; schedulers die.

Rule: a link does what a real one does, and no worse. Between a framework and the master there is one ordered link: what
is late holds up what is behind it, what is lost is sent again. Offers and rescinds may vanish, since a scheduler can die
with them in hand. Launches, kills and updates are sent until they arrive, in any order and perhaps twice, and an agent
ignores what it was told before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mesonb.core import calls, events
from mesonb.frameworks.base import Framework, Outcome
from mesonb.frameworks.driver import Driver
from mesonb.sim.checkers import Checkers
from mesonb.sim.faults import Chance
from mesonb.sim.simulation import Simulation, _SimShell

#: After how long a message that was lost is sent again.
AGAIN_US = 1_000_000
#: The longest that a message is late.
LATE_S = 5.0
#: What a link may drop for good, and what a master may be told twice.
MAY_VANISH = (events.OfferMade, events.Rescinded)
MAY_REPEAT = (calls.Accept, calls.Decline, calls.KillTask)


class RoughSimulation(Simulation):
    """A simulation in which the chance given decides what happens to every message."""

    def __init__(self, chance: Chance, checkers: Checkers, **settings: Any) -> None:
        self.chance = chance
        self.checkers = checkers
        self.down: dict[str, int] = {}  #: dead agents, and which of their deaths this is
        self.silent: set[str] = set()  #: agents that neither hear nor are heard (membership only)
        self.asleep_us: dict[str, int] = {}  #: until when a framework's scheduler takes no message and answers none
        self._deaths: dict[str, int] = {}
        self._started: set[str] = set()  #: tasks that an agent has been told to run (membership only)
        self._link_us: dict[str, int] = {}  #: when the last message on a framework's link to the master arrives
        super().__init__(**settings)

    # -- agents -------------------------------------------------------------------------------------------------------

    def crash(self, agent: str) -> None:
        """Let an agent die; the master has not noticed yet."""
        self._deaths[agent] = self._deaths.get(agent, 0) + 1
        self.down[agent] = self._deaths[agent]
        self.silent.discard(agent)
        self.agents.lose(agent)

    def _step(self, call: calls.Call) -> list[events.Event]:
        followed = super()._step(call)
        self.checkers.after(self.core, call, followed)
        return followed

    # -- master to framework --------------------------------------------------------------------------------------------

    def _mail_to(self, name: str, event: events.Event, outcome: Outcome | None = None) -> None:
        if isinstance(event, MAY_VANISH) and self.chance.strikes("lost"):
            return
        super()._mail_to(name, event, outcome)
        if isinstance(event, events.Updated | events.Rescinded) and self.chance.strikes("twice"):
            self.engine.after(self.chance.while_us(LATE_S), partial(super()._mail_to, name, event, outcome))

    def _open_mail(self, driver: Driver) -> None:
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
        name, arrive = driver.name, partial(self.arrive, driver, sent)
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

    # -- master to agent ------------------------------------------------------------------------------------------------

    def _deliver(self, event: events.Event) -> None:
        if isinstance(event, events.Launch | events.Kill):
            self.engine.after(self.latency_us, partial(self._try_agent, event, self._deaths.get(event.agent, 0)))
        else:
            super()._deliver(event)

    def _try_agent(self, event: events.Launch | events.Kill, death: int) -> None:
        """Hand a message to its agent, or try again; a dead one gets none, and its next life none of the last."""
        if event.agent in self.down or self._deaths.get(event.agent, 0) != death:
            return
        if not self._gets_through(event.agent, partial(self._try_agent, event, death)):
            return
        if isinstance(event, events.Kill):
            self.agents.kill(event)
        elif event.task not in self._started:
            self._started.add(event.task)
            self.agents.launch(event)

    # -- agent to master ------------------------------------------------------------------------------------------------

    def _report(self, update: calls.TaskUpdate, outcome: Outcome | None) -> None:
        self._try_master(update, outcome, self._deaths.get(update.agent, 0))

    def _try_master(self, update: calls.TaskUpdate, outcome: Outcome | None, death: int) -> None:
        if update.agent in self.down or self._deaths.get(update.agent, 0) != death:
            return
        if self._gets_through(update.agent, partial(self._try_master, update, outcome, death)):
            super()._report(update, outcome)

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


class _RoughShell(_SimShell):
    """What a driver sees of a rough simulation."""

    _sim: RoughSimulation

    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls, if this driver's scheduler still lives."""
        if not self.driver.superseded:
            self._sim.send(self.driver, sent)
