"""Hearing: what a master makes of what it hears from hub and agents, and what it says to them.

An agent whose comm is cut, or that is silent, is unreachable: nothing is launched there, so whatever it does not name
when it is back never arrived. A Dask worker that is gone has taken its tasks along. The last update of a task is
acknowledged when its framework has handled it; until then the agent keeps it, for this master or the next.
"""

from __future__ import annotations

import asyncio
import traceback
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mesonb.core import calls, events
from mesonb.core.branches import owner_of
from mesonb.core.calls import RunningTask
from mesonb.core.records import TaskState
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.snapshot import Snapshot
from mesonb.core.upkeep import DRAINING
from mesonb.errors import BadValue, NotThere, VersionMismatch
from mesonb.frameworks.callbacks import Complaint
from mesonb.frameworks.output import Output, Outputs, Sandbox
from mesonb.live.beside import Beside
from mesonb.live.farewells import Farewells
from mesonb.live.guests import Guests
from mesonb.live.inheritance import Inheritance, Mail
from mesonb.live.limits.isolation import Module
from mesonb.live.link import Link
from mesonb.live.missing import Missing
from mesonb.live.private import Clusters
from mesonb.live.roster import Roster
from mesonb.live.schedulers import Schedulers
from mesonb.live.table import About
from mesonb.live.tasks.cargo import Cargo
from mesonb.live.wire.comms import HUB, KERNEL, Message
from mesonb.live.wire.loop import LoopThread
from mesonb.live.wire.plain import well_formed

#: What tasks printed is kept, all together, up to so much.
OUTPUT_BYTES = 64_000_000
#: So much of a complaint is kept, in characters.
COMPLAINT_MOST = 10_000
#: Executors that nobody took over are gone by then.
UNCLAIMED_S = 1.0
#: Of so many commands it is known where they ran.
SANDBOXES_KNOWN = 1000


class Hearing(Clusters):
    """The half of a master that speaks with hub and agents; what is no property runs on its loop."""

    _link: Link
    _thread: LoopThread
    cargo: dict[str, Cargo]  #: what was packed and not launched yet, by task
    _own_complaints: Any
    guests: Guests
    waiting: Schedulers
    _beside: Beside

    def _prepare_hearing(self) -> None:
        self.cargo = {}
        self.inheritance = Inheritance()
        self._roster = Roster()
        self._outputs = Outputs(OUTPUT_BYTES)
        self._sandboxes: dict[str, Sandbox] = {}
        self._farewells = Farewells()
        self.missing = Missing()
        self._ready: dict[str, None] = {}  #: modules that agents were asked to import
        self._unacknowledged: dict[str, str] = {}  #: tasks whose end was told to their framework, and their agents
        self._out: dict[str, list[Mail]] = {}
        self._said_about: tuple[Resources, About] = NOTHING, ("", "", {}, 0)

    @abstractmethod
    def _take(self, call: calls.Call, content: bytes = b"") -> None:
        """Step the core, and see to what follows."""

    @abstractmethod
    def _heard(self, whom: str, message: Message) -> None:
        """Take what the hub or an agent says, behind what was posted before."""

    @property
    def used(self) -> dict[str, dict[str, Resources]]:
        """What is really used, at the last look: by agent, then by task; an agent's own part is under ""."""
        return dict(self._roster.used)

    def _measured(self, picture: Snapshot) -> Snapshot:
        known = self._roster.used
        return replace(picture, used={row.agent: known[row.agent] for row in picture.agents if row.agent in known})

    @property
    def isolation(self) -> dict[str, list[Module]]:
        """Which isolation modules each agent applies, and what is in the way of others that were asked for."""
        return dict(self._roster.isolation)

    def output(self, task: str) -> Output:
        """Return what is left of what a task printed: its last lines, and how many bytes came before them."""
        return self._outputs.read(task)

    def sandbox(self, task: str) -> Sandbox:
        """Return the folder that a command runs in, or ran in, on its agent, with its files once that has ended."""
        if task not in self._sandboxes:
            raise NotThere(f"{task!r} has no sandbox that is known here; commands have one: offer.shell(...)")
        return self._sandboxes[task]

    def printed(self) -> list[str]:
        """Return the tasks that printed something, those that did so last at the end."""
        return list(self._outputs)

    # -- from the hub and the agents --------------------------------------------------------------------------------

    def _from_hub(self, message: Message) -> None:
        """Take what the hub, another kernel or an agent says; the hub sees to it that no one speaks as another kind."""
        if message[0] == HUB:
            self._from_the_hub(message[1:])
        elif message[0].startswith(KERNEL):
            self.guests.take(message[0], message[1:])
        else:
            self._from_agent(message)

    def _from_the_hub(self, message: Message) -> None:
        match message:
            case ("handled", tasks):
                self._acknowledge(tasks)
            case ("let go", agent, keys):
                self._link.send(agent, ("let go", keys))
            case ("cut", peer):
                self.guests.gone(peer)
                self._lost_sight(peer, f"the link to {peer} is cut")
            case ("silent", agent):
                self._lost_sight(agent, f"{agent} does not answer")
            case ("gone", agent):
                self._worker_gone(agent, f"the Dask worker of {agent} is gone")
            case ("unclaimed", agent, known_as):
                if agent in self.core.unreachable and self._roster.known_as(agent) == known_as:
                    self._gone(agent, f"no Dask worker came in time to go on with what the one of {agent} had left")
            case ("ping",):
                self._link.send(HUB, ("pong",))
            case ("expected", dict(agents)):
                self.missing.expect(agents, self.now_us(), self.core.settings.agent_timeout_us)
            case ("owners", owners):
                self.guests.gate.owners |= owners
            case ("agentless", worker, what):
                self._complain(worker, f"the Dask worker {worker} {what}; is mesonb installed there? Its log says more")
            case ("said", because):
                self._complain("the hub", because)
            case _:
                raise ValueError(f"{message[:1]} is no message that a master takes from the hub")

    def _from_agent(self, message: Message) -> None:
        match message:
            case (agent, "update", task, state, because, content):
                self._updated(agent, task, TaskState(state), because, content)
            case (agent, "join", about, table):
                self._join(agent, about, table)
            case (agent, "cargo", dict(functions), list(tasks)):
                own = [one for one in tasks if not self._is_elsewhere(one[0], agent)]
                self.inheritance.bring(functions, own)
                self.waiting.came({task for task, _, _ in own})
            case (agent, "used", dict(tasks), dict(itself)) if agent in self.core.agents:
                self._roster.note_use(agent, tasks, itself)
                self._reserve_beside(agent)  # once a second: what was offered then may be free now
                with self.lock:
                    self.history.note_used(self.now_us(), self.core, self._roster.used)
            case (agent, "no agent", str(because)):
                self._complain(agent, f"its Dask worker came, and cannot be an agent: {because}")
            case (agent, "leaving", int(grace_us)):
                self._leaving(agent, grace_us)
            case (agent, "ends"):
                self._roster.outlives_us.pop(agent, None)
            case (agent, "staying"):
                self._staying(agent)
            case (agent, "plain", int(running)):
                self._beside.note(agent, running)
                self._reserve_beside(agent)
            case (_, "used", _, _):
                pass  # it has left meanwhile
            case (agent, "sandbox", str(task), str(path), dict(files)) if not self._is_elsewhere(task, agent):
                self._sandboxes[task] = Sandbox(path, files)
                if len(self._sandboxes) > SANDBOXES_KNOWN:
                    del self._sandboxes[next(iter(self._sandboxes))]
            case (agent, "output", list(printed)):
                for task, start, content in printed:
                    if not self._is_elsewhere(task, agent):
                        self._outputs.put(task, start, content)
            case _:
                raise ValueError(f"{str(message[1])[:40]!r} is no message that a master takes from an agent")

    def _is_elsewhere(self, task: str, agent: str) -> bool:
        """Whether a task is known to be another agent's: what this one says of it is not believed."""
        known = self.core.tasks.get(task) or self.core.ahead.get(task)
        at = known.agent if known else self.inheritance.agent_of(task)
        return at not in ("", agent)

    def _updated(self, agent: str, task: str, state: TaskState, because: str, content: bytes) -> None:
        """Take what an agent reports; it says again how a task ended until that is acknowledged."""
        if task in self._unacknowledged:
            return
        if self._is_elsewhere(task, agent):
            self._complain(agent, f"it says of {task} that it is {state.value}, and another agent runs that")
            return
        if state.terminal:
            self._unacknowledged[task] = agent
            self.cargo.pop(task, None)
        if agent in self.core.agents and (task in self.core.tasks or task in self.core.ahead):
            self._take(calls.TaskUpdate(agent, task, state, because), content)
            if agent in self._beside.owed:
                self._reserve_beside(agent)
        elif state.terminal and (framework := self.inheritance.framework_of(task)):
            self._out.setdefault(framework, []).append((events.Updated(framework, task, state, because), content))
        elif state.terminal:
            self._acknowledge([task])

    def _acknowledge(self, tasks: Sequence[str]) -> None:
        """Let agents forget tasks whose end their framework knows."""
        known: dict[str, list[str]] = {}
        for task in tasks:
            if agent := self._unacknowledged.pop(task, ""):
                known.setdefault(agent, []).append(task)
        for agent, ended in known.items():
            self._link.send(agent, ("ack", ended))

    def _join(self, agent: str, about: dict[str, Any], table: list[tuple[Any, ...]]) -> None:
        """Take an agent in, or back, with what it runs."""
        running = tuple(
            RunningTask(task, framework, Resources.of_plain(needs), role, TaskState(state), epoch, after)
            for task, state, framework, role, needs, epoch, after in table
        )
        joins = replace(about["joins"], agent=agent, tasks=running)
        if not isinstance(joins, calls.AgentJoined) or not well_formed(joins):
            raise BadValue(f"what {agent} says of itself as it joins is not well formed")
        self.inheritance.note(agent, running)
        self._farewells.expect(about["holds"], self.now_us() + self.core.settings.failover_timeout_us)
        if agent in self.core.agents and self._roster.is_the_same(agent, about):
            self._take(calls.AgentBack(agent, running))
        else:
            self._gone(agent, f"another Dask worker called {agent} has come")
            try:
                self._roster.admit(agent, about)
            except VersionMismatch as error:
                self._trouble(agent, error)
                return
            self._take(joins)
        self._roster.enter(agent)
        self.missing.came(agent)
        self._beside.note(agent, about.get("plain", 0))
        self._reserve_beside(agent)
        if about.get("leaving") is not None:
            self._leaving(agent, about["leaving"])
        if self._ready:
            self._link.send(agent, ("preload", list(self._ready)))

    def _leaving(self, agent: str, grace_us: int) -> None:
        """Offer an agent no more, because Dask is to take its worker; it leaves when it hears so and its tasks are over."""
        if agent in self.core.agents and not self.core.agents[agent].closed:
            self._take(calls.Drain(agent, grace_us, f"the Dask worker of {agent} is to be retired"))
        self._link.send(agent, ("draining",))

    def _staying(self, agent: str) -> None:
        if agent in self.core.agents and self.core.agents[agent].closed == DRAINING:
            self._take(calls.Undrain(agent))

    def _reserve_beside(self, agent: str) -> None:
        """Keep on an agent what ordinary Dask tasks are to have there."""
        if known := self.core.agents.get(agent):
            for call in self._beside.calls(known):
                self._take(call)

    def _lost_sight(self, agent: str, because: str) -> None:
        if agent in self.core.agents:
            self._take(calls.AgentUnreachable(agent, because))

    def _worker_gone(self, agent: str, because: str) -> None:
        """Give up an agent, or wait for the worker that takes its executors over, where they go on without one."""
        wait_us = self._roster.outlives_us.get(agent, 0)
        if not wait_us:
            self._gone(agent, because)
            return
        self._lost_sight(agent, f"{because}; what it ran goes on, and waits for the next")
        unclaimed = "unclaimed", agent, self._roster.known_as(agent)
        asyncio.get_running_loop().call_later(wait_us / 1_000_000 + UNCLAIMED_S, self._heard, "", unclaimed)

    def _gone(self, agent: str, because: str) -> None:
        self._roster.strike(agent)
        self.missing.came(agent)
        self._beside.forget(agent)
        if agent in self.core.agents:
            self._take(calls.AgentLost(agent, because))

    def _all_out_of_sight(self) -> None:
        """The link to the hub is cut; each agent says what it runs as soon as it is back, each kernel who it is."""
        self.guests.gate.forget_all()
        for agent in self.core.agents:
            self._lost_sight(agent, "the link to the Dask scheduler is cut")

    # -- to the agents ----------------------------------------------------------------------------------------------

    def _launch(self, event: events.Launch) -> None:
        cargo = self.cargo.pop(event.task)
        self._farewells.knows(event.framework)
        function = self._roster.function_for(event.agent, cargo)
        role = event.role or self.core.frameworks[event.framework].role
        about = self._say_about(event.framework, role, event.needs)
        self._link.send(
            event.agent, ("launch", event.task, cargo.digest, function, cargo.arguments, about, event.after)
        )

    def _say_about(self, framework: str, role: str, needs: Resources) -> About:
        """Say what an agent is to know of a task: one object for tasks that are alike, as pickle writes it once a batch."""
        before, about = self._said_about
        if needs is not before or about[:2] != (framework, role) or about[3] != self.core.settings.epoch:
            about = framework, role, needs.plain(), self.core.settings.epoch
            self._said_about = needs, about
        return about

    def _have_ready(self, *modules: str) -> None:
        self._thread.call(lambda: self._preload(modules))

    def _preload(self, modules: tuple[str, ...]) -> None:
        self._ready |= dict.fromkeys(modules)
        for agent in self.core.agents:
            self._link.send(agent, ("preload", list(self._ready)))

    def _drop_tasks(self, frameworks: Sequence[str]) -> None:
        """End all that some frameworks run or have left behind; they will never ask."""
        kept = self.inheritance.kept_tasks()
        for agent in self.core.agents.values():
            own = [task for task in agent.tasks.values() if owner_of(task.framework) in frameworks]
            tasks = [name for task in own for name in (task.id, task.next) if name]
            tasks += [task for task, at in self._unacknowledged.items() if at == agent.name and task not in kept]
            self._link.send(agent.name, ("drop", tasks))

    def _say_who_left(self) -> None:
        """Have agents forget what they hold for frameworks that are gone."""
        if gone := self._farewells.gone(self.core.frameworks, self.now_us()):
            for agent in self.core.agents:
                self._link.send(agent, ("left", gone))

    def _ask_anew(self) -> None:
        """Answer other kernels about tasks that only missing agents could know of, now that none is missing."""
        for kernel, call in self.missing.asked(self.now_us()):
            self._heard(kernel, ("post", [call], {}))

    # -- mail that nobody takes -------------------------------------------------------------------------------------

    def _keep(self, framework: str, mail: list[Mail]) -> None:
        """Keep results for a framework that may come back; let agents forget those of one that will not."""
        if framework in self.core.frameworks:
            self.inheritance.keep(framework, mail)
        else:
            self._acknowledge([event.task for event, _ in mail if isinstance(event, events.Updated)])

    def _trouble(self, where: str, error: Exception) -> None:
        self._complain(where, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))

    def _complain(self, where: str, error: str, trace: str = "") -> None:
        """Keep a complaint; a text that others have written into may be of any length."""
        self._own_complaints.append(
            Complaint(self.now_us(), "", where, error[:COMPLAINT_MOST], trace[-COMPLAINT_MOST:])
        )
