"""Frameworks for a storm: they have chores to do, misbehave while they do them, and must be done in the end.

Rule: what a scheduler must not lose is in its ``Ledger``, as it would be in a database; the scheduler itself can die at
any moment, and the next one under its name goes on from the ledger and from the tasks that it is handed over. A chore
may run more than once (its end may have been told to a dead scheduler); it may not be forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mesonb.core import calls
from mesonb.core.resources import Resources
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle
from mesonb.frameworks.inverse import InverseHandle
from mesonb.sim.rough import RoughSimulation

#: For how long a callback sleeps, and offers are held, at most.
SLEEPS_S = 20.0
HOARDS_S = 60.0


class Misbehaved(Exception):
    """What a callback raises on purpose."""


def chore(number: int, _lasts_s: float, fails: bool) -> int:
    """A task's function; some fail."""
    if fails:
        raise Misbehaved(f"chore {number} failed")
    return number


@dataclass(slots=True)
class Ledger:
    """What outlives a framework's schedulers."""

    name: str
    role: str
    needs: Resources
    lasts_s: list[float]  #: of each chore
    more_roles: tuple[str, ...] = ()  #: every third framework is in several
    gangs: bool = False  #: every fourth one answers what arrives together as one call
    done: set[int] = field(default_factory=set)  #: (membership and size only)
    launched: set[str] = field(default_factory=set)  #: tasks of any of its schedulers (membership only)
    ended: set[str] = field(default_factory=set)  #: tasks whose end was told (membership only)
    wrong: list[str] = field(default_factory=list)  #: what should not have been told
    tries: int = 0  #: messages made behind the driver's back, so that their ids differ

    @property
    def finished(self) -> bool:
        """Whether every chore is done."""
        return len(self.done) == len(self.lasts_s)


class Stormy(Framework):
    """One scheduler of a ledger."""

    def __init__(self, ledger: Ledger, simulation: RoughSimulation) -> None:
        self.ledger = ledger
        self.needs = ledger.needs
        self.rough = simulation
        self.chance = simulation.chance
        self.todo: list[int] = []
        self.flying: dict[str, int] = {}  #: chore by task
        self.followed: set[str] = set()  #: tasks that had another launched ahead (membership only)
        self.quiet = False

    # -- callbacks ----------------------------------------------------------------------------------------------------

    def on_registered(self, tasks: Sequence[TaskHandle]) -> None:
        """Go on from the ledger and from what still runs."""
        self.flying = {task.id: task.args[0] for task in tasks}
        flying = set(self.flying.values())
        numbers = range(len(self.ledger.lasts_s))
        self.todo = [number for number in numbers if number not in self.ledger.done and number not in flying]
        self.quiet = False
        self._may_raise()

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Use what fits; misbehave."""
        if self.chance.strikes("sleeps"):
            self.rough.asleep_us[self.name] = self.rough.now_us() + self.chance.while_us(SLEEPS_S)
        for offer in offers:
            if self.chance.strikes("hoards"):
                offer.hold(self.chance.while_us(HOARDS_S) / 1_000_000)
            elif self.chance.strikes("over_asks"):
                self._over_ask(offer)
            elif self.chance.strikes("declines"):
                offer.decline(self.chance.while_us(HOARDS_S) / 1_000_000)
            else:
                self._use(offer)
        if self.ledger.gangs:
            self.together([offer for offer in offers if offer.launches])
        if not self.todo:
            self._rest()
        self._may_raise()

    def on_update(self, task: TaskHandle) -> None:
        """Note what is done; do again what was not."""
        if task.ended:
            self._ended(task)
        elif self.chance.strikes("kills"):
            self.kill(task)
        else:
            self._follow(task)
        self._may_raise()

    def on_inverse_offers(self, offers: Sequence[InverseHandle]) -> None:
        """Leave, or say that it suits badly, or say nothing; every second time it is kept."""
        for number, offer in enumerate(offers, start=len(self.flying)):
            if number % 3 == 1:
                offer.decline(again=self.chance.while_us(SLEEPS_S) / 1_000_000)
            elif number % 3:
                offer.accept()
                for task in [task for task in self.tasks.values() if task.agent == offer.agent and number % 2]:
                    self.kill(task)
        self._may_raise()

    def on_rescinded(self, offer: OfferHandle) -> None:
        """Answer all the same, sometimes: the master must refuse it."""
        if self.chance.strikes("answers_late"):
            self._accept_raw(offer, self.ledger.needs)
        self._may_raise()

    def on_agent_lost(self, agent: str) -> None:
        """Nothing: the tasks there were reported one by one."""
        self._may_raise()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _use(self, offer: OfferHandle) -> None:
        while self.todo and offer.fits(self.ledger.needs):
            number = self.todo.pop()
            fails = self.chance.strikes("fails")
            task = offer.launch(chore, number, self.ledger.lasts_s[number], fails, needs=self.needs)
            self.flying[task.id] = number
            self.ledger.launched.add(task.id)
            self._follow(task)
        if offer.launches and self.chance.strikes("kills"):
            self.kill(offer.launches[0])  # overtaken by nothing: it is behind the accept on the link

    def _follow(self, task: TaskHandle) -> None:
        """Launch a task ahead, sometimes; and kill it before its turn, sometimes."""
        if not self.todo or task.after or task.id in self.followed or not self.chance.strikes("ahead"):
            return
        self.followed.add(task.id)
        number = self.todo.pop()
        following = self.launch_next(task, chore, number, self.ledger.lasts_s[number], self.chance.strikes("fails"))
        self.flying[following.id] = number
        self.ledger.launched.add(following.id)
        if self.chance.strikes("kills"):
            self.kill(following)

    def _ended(self, task: TaskHandle) -> None:
        if task.id in self.ledger.ended:
            self.ledger.wrong.append(f"{task.id} ended a second time, {task.state.value}")
        self.ledger.ended.add(task.id)
        number = self.flying.pop(task.id, None)
        if number is None:  # launched by a scheduler that died before it was told; its chore is to be done again
            if task.id not in self.ledger.launched:
                self.ledger.wrong.append(f"{task.id} ended, and no scheduler of {self.name} launched it")
        elif task.finished and task.outcome:
            self.ledger.done.add(number)
            if task.result() != number:
                self.ledger.wrong.append(f"{task.id} finished, and its result is {task.result()!r}, not {number}")
        else:
            self.todo.append(number)
            if self.quiet:
                self.quiet = False
                self.revive()

    def _rest(self) -> None:
        if not self.quiet:
            self.quiet = True
            self.suppress()

    def _may_raise(self) -> None:
        if self.chance.strikes("raises"):
            raise Misbehaved("on purpose")

    def _over_ask(self, offer: OfferHandle) -> None:
        self._accept_raw(offer, offer.resources + Resources(cpus=1))

    def _accept_raw(self, offer: OfferHandle, needs: Resources) -> None:
        """Send an accept that the driver knows nothing of."""
        self.ledger.tries += 1
        launch = calls.TaskInfo(f"{self.name}/wrong-{self.ledger.tries}", needs)
        self.rough.send(self.rough.drivers[self.name], [calls.Accept(self.name, (offer.id,), (launch,))])
