"""Simulation: the same core and the same frameworks in virtual time, on pretend agents.

Everything happens inside ``run``, ``run_until``, ``step`` or a ``result()`` that must wait; between them time stands
still. Callbacks take no virtual time; messages take ``latency`` each way. Same seed and same cells: same bytes of log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock, RLock, get_ident
from time import monotonic, sleep
from typing import Any, ClassVar

from mesonb.core import calls, events
from mesonb.core.allocator import Allocator
from mesonb.core.books import NEVER_US
from mesonb.core.declared import Agent, agent_of
from mesonb.core.records import TERMINAL
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration, show_duration
from mesonb.errors import BadValue, NotThere
from mesonb.frameworks.base import Framework, Outcome
from mesonb.frameworks.driver import Driver
from mesonb.session import GIVE_WAY_S, Session, log_from, settings_from
from mesonb.sim.agents import Duration, PretendAgents, totals
from mesonb.sim.engine import Engine
from mesonb.sim.pace import TURN_S, US, Pace
from mesonb.sim.progress import Progress
from mesonb.sim.shell import SimShell
from mesonb.sim.steps import Steps

#: While time passes by itself, so many things happen between two looks at the real clock.
FEW = 50
TICK = calls.Tick()
_COMMON = (events.OfferMade, events.Updated)


class Simulation(Session):
    """A pretend cluster. ``agents`` is a number of equal ones, a list of their resources (or of ``mb.Agent``, which say more),
    or a mix: resources to number.

    ``latency`` is how long a message takes, each way, between master, agents and frameworks; ``rules`` are the master's
    settings (``core.settings.Settings``) as people write them, ``offer_timeout="10s"``; ``log=``, a file for the log, and ``log_steps=``.
    """

    kind = "simulation"
    names_schedulers = True
    plain_links: ClassVar[bool] = True  #: every message arrives, once, after the latency

    def __init__(
        self, agents: int | Iterable[Resources | Agent] | Mapping[Resources, int] = 4, seed: int = 0, latency: float | str = "500us",
        allocator: Allocator | None = None, **rules: Any,
    ) -> None:  # fmt: skip
        super().__init__(**log_from(rules), settings=settings_from({"seed": seed, **rules}), allocator=allocator)
        self.seed = seed
        self.latency_us = parse_duration(latency)
        self.engine = Engine()
        self.agents = PretendAgents(self.engine, self.latency_us, self._report, seed)
        self._mail: dict[Driver, list[tuple[events.Event, Outcome | None]]] = {}
        self.pace = Pace()
        self._clock = RLock()  #: held by whoever lets time pass
        self._passing: int | None = None  #: the thread on which time passes
        self._door = (
            Lock()
        )  #: held while ``_passing`` changes, or is read by who would post; never while the core steps
        #: Calls posted, and what was to be done, from other threads meanwhile.
        self._outside: deque[Sequence[calls.Call] | Callable[[], Any]] = deque()
        self._ticks = [NEVER_US]  #: when ticks are planned, the next one last
        self._joined = 0
        self._by_one = False  #: the master takes one call at a time, to be looked at
        self._chart_at = 0  #: after how many steps the charts get their next row
        self.operate([self._next_agent(total) for total in totals(agents)])

    # -- what a simulation has beside the verbs of any master -----------------------------------------------------

    def runs_for(self, function: Callable[..., Any] | str, duration: Duration, *, execute: bool = True) -> None:
        """Say how long tasks of a function last: a time, a distribution, or a function of the task's arguments.

        ``sim.runs_for(train, mesonb.sim.normal("30s", "10s"))`` draws from the simulation's own seeded dice. With ``execute``
        the function really runs, at its virtual end. Commands never do; ``sim.runs_for("./train.sh", "10min")`` is for them.
        """
        self.agents.runs_for(function, duration, execute=execute)

    def run(self, time: float | str | None = None, *, until: float | str | None = None) -> Simulation:
        """Let virtual time pass: so much of it, or until a time since the start."""
        end_us = self._end_us(time, until)
        with self._time_passes(), Progress(self.engine.now_us, end_us) as progress:
            while self._pass_slice(end_us):
                self._look(progress)
            self._look(progress)
        self.engine.now_us = end_us
        self._note_row()
        return self

    def run_until(self, condition: Callable[[], bool], limit: float | str = "365d") -> Simulation:
        """Let virtual time pass until a condition holds; BadValue if it does not within the limit."""
        if not callable(condition):
            raise BadValue(
                f"{condition!r} is not a condition; write sim.run_until(lambda: queue.waiting == 0), or sim.run('10min')"
            )
        if not self._advance(condition, parse_duration(limit)):
            raise BadValue(f"the condition did not come true within {limit}; it is {show_duration(self.now_us())} now")
        return self

    def step(self) -> Steps:
        """Let time pass until one more call reaches the master; return it with what followed, as a small table."""
        self.pace.stop()
        before = self.core.steps
        if not self._clock.acquire(timeout=TURN_S * 5):  # a cell lets time pass, and this is a panel
            self.pace.allow(before + 1)
            return Steps([])
        try:
            with self._time_passes():
                self._by_one = True
                while self.core.steps == before and self.engine.next_us is not None:
                    self.engine.step()
        finally:
            self._by_one = False
            self._clock.release()
        self._raise_trouble()
        return Steps(self.log.steps[-(self.core.steps - before) :] if self.core.steps > before else [])

    def play(self, speed: float | None = None) -> None:
        """Let time pass by itself, with no cell running, or let a run that was held go on.

        ``speed`` is in virtual seconds a real one; without it, the last one, and at first a second is a second.
        """
        if speed is not None:
            self.pace.speed = speed
        self.pace.hold(False)
        if self._passing is None:
            self.pace.play(self)

    def hold(self) -> None:
        """Let time stand still: a run in a cell waits for ``play``, and takes one call with each ``step``."""
        self.pace.stop()
        if self._passing is not None:
            self.pace.hold(True)

    def take_turn(self, speed: float, passed_s: float, turn_s: float) -> None:
        """Let as much virtual time pass as it does at a speed in so many real seconds; for ``Pace`` alone."""
        if not self._clock.acquire(blocking=False):
            return  # a cell lets it pass
        try:
            until_s, end_us = monotonic() + turn_s, self.engine.now_us + int(passed_s * speed * US)
            with self._time_passes():
                while (more := self.engine.run(end_us, FEW)) and monotonic() < until_s:
                    self._take_outside()
                if not more:
                    self.engine.now_us = end_us
            self._raise_trouble()
        finally:
            self._clock.release()

    def wait_until(self, condition: Callable[[], bool], timeout: float | str = "30s") -> None:
        """Let virtual time pass until a condition holds; TimeoutError if it does not in time."""
        if not self._advance(condition, parse_duration(timeout)):
            raise TimeoutError(f"the condition did not come true within {timeout}")

    def add_agent(self, total: Resources | Agent, name: str | None = None, **attributes: str) -> str:
        """Let an agent join, and return its name; ``mb.Agent`` says more of it than its resources."""
        call = self._next_agent(total, name, attributes)
        self.operate([call])
        return call.agent

    def lose_agent(self, name: str, because: str = "") -> None:
        """Let an agent die: its tasks are lost."""
        if name not in self.core.agents:
            raise NotThere(
                f"no agent is called {name!r}; there are: {', '.join(list(self.core.agents)[:10]) or 'none'}"
            )
        self.agents.lose(name)
        self.post([calls.AgentLost(name, because or f"{name} was lost")])

    # -- Session --------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """The virtual time in microseconds."""
        return self.engine.now_us

    def post(self, sent: Sequence[calls.Call]) -> None:
        """Step the core at once: a cell that sets a weight finds it set.

        While time passes on another thread (a panel's button, pressed while a cell runs), between two of its events.
        """
        with self._door:
            if self._passing not in (None, get_ident()):
                self._outside.append(sent)
                return
        self._carry(sent)

    def _carry(self, sent: Sequence[calls.Call]) -> None:
        """Step the core with each call, and send what follows on its way; on the thread on which time passes."""
        self._take(sent)
        self._plan_tick()

    def _take(self, sent: Sequence[calls.Call]) -> None:
        for call in sent:
            for event in self._step(call):
                self._deliver(event)

    def soon(self, name: str, what: str, function: Callable[[], Any]) -> None:
        """Call a function between two things that happen, or at once while time stands still; what it raises is a complaint."""
        driver = self.drivers[name]
        with self._door:
            if self._passing not in (None, get_ident()):
                self._outside.append(lambda: driver.do(what, function))
                return
        driver.do(what, function)

    def _driver(self, framework: Framework, name: str, role: str) -> Driver:
        shell = SimShell(self)
        shell.driver = Driver(framework, name, role, shell, self.seed)
        return shell.driver

    # -- the world ------------------------------------------------------------------------------------------------

    def _advance(self, condition: Callable[[], bool], limit_us: int) -> bool:
        """Let time pass until the condition holds, nothing is due any more, or the limit is reached."""
        end_us = self.engine.now_us + limit_us
        with self._time_passes(), Progress(self.engine.now_us, None) as progress:
            while True:
                most, until_us = self.pace.allowance(self.engine.now_us, self.core.steps)
                for _ in range(most):
                    if condition():
                        return True
                    due_us = self.engine.next_us
                    if due_us is None or due_us > end_us:
                        self._raise_trouble()
                        return False
                    if due_us > until_us:
                        break
                    self.engine.step()
                self._look(progress)

    def _pass_slice(self, end_us: int) -> bool:
        """Do a slice of what is due, as the pace lets it; return whether there may be more."""
        most, until_us = self.pace.allowance(self.engine.now_us, self.core.steps)
        return self.engine.run(min(end_us, until_us), most) or until_us < end_us

    @contextmanager
    def _time_passes(self) -> Iterator[None]:
        """Mark the thread on which time passes; what others post meanwhile waits for ``_take_outside``."""
        with self._clock:
            before, self._passing = self._passing, get_ident()
            if before is None:
                self.pace.hold(False)
            try:
                yield
            finally:
                with self._door:
                    self._passing = before
                self._take_outside()

    def _take_outside(self) -> None:
        while self._outside:
            asked = self._outside.popleft()
            asked() if callable(asked) else self.post(asked)

    def _look(self, progress: Progress) -> None:
        self._take_outside()
        progress.look(self.engine.now_us)
        self._raise_trouble()

    def _raise_trouble(self) -> None:
        """Raise what nobody but the cell that runs the simulation can put right."""
        trouble, self.agents.trouble = self.agents.trouble, None
        if trouble is not None:
            raise trouble

    def _end_us(self, time: float | str | None, until: float | str | None) -> int:
        if (time is None) == (until is None):
            raise BadValue("say how long, or until when: sim.run('10min'), or sim.run(until='10min')")
        if time is not None:
            return self.engine.now_us + parse_duration(time)
        end_us = parse_duration(until or 0)
        if end_us < self.engine.now_us:
            now = show_duration(self.engine.now_us)
            raise BadValue(
                f"{until} is in the past: it is {now} since the start; sim.run({until!r}) adds as much to that"
            )
        return end_us

    def _next_agent(
        self, total: Resources | Agent, name: str | None = None, attributes: Mapping[str, str] | None = None
    ) -> calls.AgentJoined:
        agent = agent_of(total)
        agent = replace(agent, attributes={**agent.attributes, **attributes}) if attributes else agent
        self._joined += 1
        return agent.joined(name or f"agent-{self._joined}")

    def _step(self, call: calls.Call) -> list[events.Event]:
        """Step the core, and record it. Virtual time never goes back, so no clock need be compared."""
        now_us = self.engine.now_us
        with self.lock:
            followed = self.core.step(call, now_us)
            self.log.record(call, now_us, followed)
        if self.looking:
            sleep(GIVE_WAY_S)
        return followed

    def _plan_tick(self) -> None:
        planned_us = self._ticks[-1]
        if planned_us <= self.engine.now_us:
            return  # nothing can be due sooner
        due_us = self.core.next_deadline()
        if due_us is not None and due_us < planned_us:
            self._ticks.append(due_us)  # each is sooner than all that were planned before, so the last is the next
            self.engine.at(due_us, self._tick)

    def _tick(self) -> None:
        """Send a tick if one is due: one that was planned before it was known to be due sooner finds that none is."""
        self._ticks.pop()
        due_us = self.core.next_deadline()
        if due_us is not None and due_us <= self.engine.now_us:
            self._take((TICK,))
            if self.core.steps >= self._chart_at:
                self._note_row()
        self._plan_tick()

    def _note_row(self) -> None:
        """Give the charts a row, if one is due."""
        if self._note_shares():
            self._chart_at = self.core.steps + self.history.steps_apart

    def _deliver(self, event: events.Event) -> None:
        match event:
            case events.OfferMade():
                self._mail_to(event.framework, event)
            case events.Launch():
                self.agents.launch(event, self.latency_us)
            case events.Kill() | events.Withdraw():
                self.engine.after(self.latency_us, self.agents.take_back, event)
            case events.Acknowledged():
                self.acknowledged(event)
            case events.Rejected() if self._refused(event):
                pass  # it is raised where it was asked for
            case events.Rejected():
                self._mail_to(getattr(event.call, "framework", ""), event)
            case _:
                self._mail_to(event.framework, event)

    def acknowledged(self, event: events.Acknowledged) -> None:
        """Let an agent forget how a task ended; one on a link that loses nothing remembers nothing."""

    def _mail_to(self, name: str, event: events.Event, outcome: Outcome | None = None) -> None:
        """Put an event in a framework's mail; what is put there within one instant arrives together.

        That a task runs needs no mail: it arrives alone, unless there is mail already, which it must not overtake.
        """
        driver = self.drivers.get(name) if type(event) in _COMMON else self._listener(event, name)
        if driver is None:
            return
        mail = self._mail.get(driver)
        if mail is None:
            if type(event) is events.Updated and event.state not in TERMINAL and self.plain_links:
                self.engine.after(self.latency_us, driver.updated, event, outcome)
                return
            self._mail[driver] = mail = []
            self.engine.after(self.latency_us, self._open_mail, driver)
        mail.append((event, outcome))

    def _open_mail(self, driver: Driver) -> None:
        driver.handle(self._mail.pop(driver))

    def arrive(self, driver: Driver, sent: Sequence[calls.Call]) -> None:
        """Take a framework's calls, unless other code has registered under its name since: that must not be suppressed by it."""
        if driver.scheduler or self.drivers.get(driver.name) is driver:
            self._take(sent)
            self._turn()

    def _report(self, update: calls.TaskUpdate, outcome: Outcome | None) -> None:
        """Take a task's update from an agent; its outcome travels beside what the core answers."""
        if update.agent not in self.core.agents:
            return  # the agent was lost while this was on its way
        for event in self._step(update):
            if type(event) is events.Updated:
                self._mail_to(event.framework, event, outcome if event.task == update.task else None)
            else:
                self._deliver(event)
        if update.state in TERMINAL:  # any other makes nothing due
            self._turn()

    def _turn(self) -> None:
        """Let the master have its turn now if it wants one and nothing else happens now, and otherwise plan it.

        Either way what happens is the same; a tick that need not wait for its turn costs half.
        """
        core = self.core
        if core.dirty and not core.paused and self.engine.idle and not (self._by_one or self.pace.held):
            for event in self._step(TICK):
                self._deliver(event)
            if core.steps >= self._chart_at:
                self._note_row()
        if not core.nothing_before(self._ticks[-1]):
            self._plan_tick()
