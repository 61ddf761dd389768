"""The weather of a storm: what happens to agents, schedulers, masters and clocks, second by second; and the calm.

Rule: whatever is taken away comes back by itself after a while, so a storm wears nothing down for good; ``calm`` brings
back all that is left and is the end of every fault.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mesonb.core import calls
from mesonb.core.allocators import MODULES
from mesonb.core.resources import NOTHING, Resources
from mesonb.frameworks.driver import Driver
from mesonb.sim.faults import Faults
from mesonb.sim.rough import RoughSimulation
from mesonb.sim.stormy import Ledger, Stormy

SECOND_US = 1_000_000
#: For how long, at most, things are away.
AGENT_AWAY_S = 60.0
SCHEDULER_AWAY_S = 20.0
PAUSE_S = 10.0
ROLE_S = 60.0
GRACE_S = 20.0
PLANNED_S = 30.0
JUMP_S = 90.0
#: How long an agent may be silent before the master finds that it does not answer.
UNANSWERED_S = 5.0
#: When, after a failover, the last agent and framework that live have found the new master; and when what nobody knows is lost.
FOUND_S = 10.0
RECONCILED_S = 20.0
#: How many times longer tasks last on a slow agent.
SLOW = 3.0
#: How many agents join at once, and how often it is so many; else it is as many as there are.
MANY = 10_000
OFTEN_MANY = 0.05
#: For how long, at most, agents stay that join by the many at once.
SURGE_STAYS_S = 30.0


class Weather:
    """What goes on around a rough simulation."""

    def __init__(self, rough: RoughSimulation, ledgers: list[Ledger], totals: dict[str, Resources]) -> None:
        self.rough = rough
        self.chance = rough.chance
        self.ledgers = ledgers
        self.totals = totals  #: agents that come back when they are lost
        self._surges = 0
        self._over: list[Callable[[], None]] = []  #: what must still be put right when the storm ends
        self.stormy = True

    def begin(self) -> None:
        """Register everybody, and let the first second pass."""
        for ledger in self.ledgers:
            self._register(ledger)
        self.rough.engine.after(SECOND_US, self._second)

    def calm(self) -> None:
        """End every fault, and put right what is still wrong."""
        self.chance.faults = Faults.none()
        self.stormy = False
        while self._over:
            self._over.pop()()

    # -- one second -----------------------------------------------------------------------------------------------------

    def _second(self) -> None:
        if not self.stormy:
            return
        self._to_agents()
        self._to_schedulers()
        self._to_the_master()
        self.rough.engine.after(SECOND_US, self._second)

    def _later(self, longest_s: float, do: Callable[[], object]) -> None:
        """Put something right after a while, or when the storm is over, whichever is first."""
        once = _Once(do)
        self._over.append(once)
        self.rough.engine.after(self.chance.while_us(longest_s), once)

    # -- agents ---------------------------------------------------------------------------------------------------------

    def _to_agents(self) -> None:
        up = [name for name in self.totals if name not in self.rough.down]
        for name in self.chance.struck("agent_crash", up):
            self._crash(name)
        for name in self.chance.struck("agent_silent", up):
            self._silence(name)
        for name in self.chance.struck("agent_slow", up):
            self.rough.agents.slow[name] = SLOW
            self._later(AGENT_AWAY_S, partial(self.rough.agents.slow.pop, name, None))
        if self.chance.strikes("many_agents"):
            self._many([name for name in up if name not in self.rough.down])

    def _many(self, up: list[str]) -> None:
        if self.chance.dice.random() < 0.5:
            for name in self.chance.dice.sample(up, self.chance.dice.randint(0, len(up))):
                self._crash(name)
            return
        self._surges += 1
        many = MANY if self.chance.dice.random() < OFTEN_MANY else len(self.totals)
        fresh = [f"surge-{self._surges}.{number}" for number in range(1, many + 1)]
        self.rough.post([calls.AgentJoined(name, next(iter(self.totals.values()))) for name in fresh])
        self._later(SURGE_STAYS_S, partial(self._withdraw, fresh))

    def _withdraw(self, agents: list[str]) -> None:
        for name in agents:
            self.rough.crash(name)
            self._notice(name, self.rough.down[name])

    def _crash(self, name: str) -> None:
        """Die; be given up at once, or after not having answered for a while; come back some day with nothing."""
        self.rough.crash(name)
        death = self.rough.down[name]
        if self.chance.dice.random() < 0.5:
            self._notice(name, death)
        else:
            self.rough.engine.after(int(UNANSWERED_S * SECOND_US), partial(self._miss, name, death))
        self._later(AGENT_AWAY_S, partial(self._return, name, death))

    def _notice(self, name: str, death: int) -> None:
        if self.rough.down.get(name) == death and name in self.rough.core.agents:
            self.rough.post([calls.AgentLost(name, f"{name} died")])

    def _miss(self, name: str, death: int) -> None:
        """The master finds that an agent does not answer; whether it died or is only silent, it cannot know."""
        gone = name in self.rough.silent or (death and self.rough.down.get(name) == death)
        if gone and name in self.rough.core.agents:
            self.rough.post([calls.AgentUnreachable(name)])

    def _return(self, name: str, death: int) -> None:
        """Join again, with nothing running; if nobody had noticed the death, it is noticed now."""
        if self.rough.down.get(name) != death:
            return
        self._notice(name, death)
        del self.rough.down[name]
        self.rough.greet(name)

    def _silence(self, name: str) -> None:
        if name in self.rough.silent or name in self.rough.down:
            return
        self.rough.silent.add(name)
        self.rough.engine.after(int(UNANSWERED_S * SECOND_US), partial(self._miss, name, 0))
        self._later(AGENT_AWAY_S, partial(self._speak, name))

    def _speak(self, name: str) -> None:
        """Be heard again: an agent that was missed says what it runs, whether it is still in the books or not."""
        if name in self.rough.silent:
            self.rough.silent.discard(name)
            self.rough.greet(name)

    # -- schedulers -------------------------------------------------------------------------------------------------------

    def _to_schedulers(self) -> None:
        for ledger in self.ledgers:
            if self.rough.drivers[ledger.name].superseded:
                continue  # dead already
            if self.chance.strikes("scheduler_failover"):
                self.rough.drivers[ledger.name].superseded = True
                if self.chance.dice.random() < 0.5 and ledger.name in self.rough.core.frameworks:
                    self.rough.post([calls.Disconnect(ledger.name)])
                self._later(SCHEDULER_AWAY_S, partial(self._register, ledger))
            elif ledger.name in self.rough.core.frameworks and self.chance.strikes("leaves"):
                self.rough.unregister(ledger.name)
                self.rough.drivers[ledger.name].superseded = True
                self._later(SCHEDULER_AWAY_S, partial(self._register, ledger))
            elif self.chance.strikes("cell_rerun"):
                self._register(ledger)

    def _register(self, ledger: Ledger) -> None:
        self.rough.asleep_us.pop(ledger.name, None)
        roles = [ledger.role, *ledger.more_roles]
        self.rough.register(Stormy(ledger, self.rough), name=ledger.name, role=roles)

    # -- the master and its operators ---------------------------------------------------------------------------------------

    def _to_the_master(self) -> None:
        if self.chance.strikes("clock_jump"):
            self.rough.engine.jump(self.chance.while_us(JUMP_S))
        if self.chance.strikes("master_failover"):
            self._fail_over()
        if self.chance.strikes("new_weight"):
            role = self.chance.dice.choice(self.ledgers).role
            self.rough.weights[role] = self.chance.dice.choice((0.5, 1, 2, 10))
        if self.chance.strikes("new_allocator"):
            self.rough.post([calls.SetAllocator(self.chance.dice.choice(sorted(MODULES)))])
        self._to_roles()
        if self.chance.strikes("drain") and self.rough.core.agents:
            name = self.chance.dice.choice(list(self.rough.core.agents))
            self.rough.post([calls.Drain(name, self.chance.while_us(GRACE_S))])
            self._later(AGENT_AWAY_S, partial(self._undrain, name))
        if self.chance.strikes("maintenance") and self.rough.core.agents:
            name = self.chance.dice.choice(list(self.rough.core.agents))
            after_us, lasts_us = self.chance.while_us(PLANNED_S), self.chance.while_us(AGENT_AWAY_S)
            self.rough.post([calls.PlanMaintenance(name, after_us, lasts_us, self.chance.while_us(GRACE_S))])
            self._later(2 * AGENT_AWAY_S, partial(self._end_maintenance, name))
        if self.chance.strikes("pause") and not self.rough.core.paused:
            self.rough.pause()
            self._later(PAUSE_S, self.rough.resume)

    def _to_roles(self) -> None:
        """Give a role a guarantee or a limit of up to half the cluster, for a while."""
        dice, total = self.chance.dice, self.rough.core.total
        for fault, make in (("revocation", calls.SetGuarantee), ("new_limit", calls.SetLimit)):
            if self.chance.strikes(fault):
                role = dice.choice(self.ledgers).role
                some = Resources.of({name: dice.randrange(1 + n // 2) for name, n in total.amounts.items()})
                self.rough.post([make(role, some)])
                self._later(ROLE_S, partial(self.rough.post, [make(role, NOTHING)]))

    def _end_maintenance(self, name: str) -> None:
        if name in self.rough.core.windows:
            self.rough.post([calls.EndMaintenance(name)])

    def _undrain(self, name: str) -> None:
        agent = self.rough.core.agents.get(name)
        if agent and agent.closed:
            self.rough.post([calls.Undrain(name)])

    def _fail_over(self) -> None:
        """Another master leads: agents and schedulers find it one after another; what none of them knows is lost."""
        rough = self.rough
        rough.fail_over()
        for name in rough.machines:
            self._later(FOUND_S, partial(rough.greet, name))
        for driver in rough.drivers.values():
            self._later(FOUND_S, partial(rough.subscribe_again, driver))
            rough.engine.after(int(RECONCILED_S * SECOND_US), partial(self._reconcile, driver, tuple(driver.tasks)))

    def _reconcile(self, driver: Driver, believed: tuple[str, ...]) -> None:
        """Ask what became of the tasks that a scheduler believed to run when the master failed."""
        if asked := [task for task in believed if task in driver.tasks]:
            self.rough.send(driver, [calls.Reconcile(driver.name, tuple(asked))])


class _Once:
    """Does something the first time that it is called."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do: Callable[[], object] | None = do

    def __call__(self) -> None:
        do, self._do = self._do, None
        if do:
            do()
