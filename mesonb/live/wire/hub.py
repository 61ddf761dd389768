"""Hub: the switchboard inside the Dask scheduler, reachable by whoever can reach Dask at all.

Every peer (the master, the agents) has one dedicated comm. The hub forwards batches unread, knows who leads, and tells
the leader what becomes of the others: ``cut`` when the comm of a peer closed, ``gone`` when the Dask worker of an agent
is, ``silent`` when one has answered no ping for a while (a hung process closes no socket). An agent that is heard again
is told of the leader anew, so that it says what it runs. Each leader has an epoch, counted up; what a peer sends that is
not the leader any more is not forwarded as the leader's (fencing). One elected elsewhere names its term, and replaces
whoever leads, but for one of a newer term. A leader whose comm closed, or who has answered no ping for ``SILENT_S``, is
replaced by the next who asks. Agents and kernels speak to the leader alone, and only the leader to them, each under the
one name that it came with; a name is let go only by whoever has it. On a cluster of mesonb's own the hub ends it when
nobody has led for a while.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import Any

import dask
from distributed.comm.core import CommClosedError
from distributed.diagnostics.plugin import SchedulerPlugin

from mesonb.core.units import parse_duration
from mesonb.live.wire.comms import ATTACH, HUB, LEADER, PROTOCOL
from mesonb.live.wire.door import MISSED_MOST, Door
from mesonb.live.wire.frames import Bad
from mesonb.live.wire.leaving import Keeper
from mesonb.live.wire.line import Line
from mesonb.live.wire.plain import read
from mesonb.live.wire.versions import ours

logger = logging.getLogger("mesonb")

NAME = "mesonb-hub"
#: How often everybody is asked whether it is there. ``dask.config``: mesonb.ping.
PING = "1s"
#: A worker that has no agent after so long will have none.
AGENTLESS_S = 10.0


class Hub(SchedulerPlugin):
    """The plugin. Registering it again changes nothing, so every master may."""

    idempotent = True
    name = NAME

    idle_s: float | None = None  #: end the cluster when nobody has led for so long; None: never, it is not ours

    async def start(self, scheduler: Any) -> None:
        """Open the door and begin to listen."""
        self.scheduler = scheduler
        self.lines: dict[str, Line] = {}
        self.leader: Line | None = None
        self.owners: dict[str, str] = {}  #: whose each framework is, as the leaders say, for the next leader
        self._agents: dict[str, str] = {}  #: by the address of their Dask worker
        self.door = Door(self)
        self.epoch = 0
        self.id = secrets.token_hex(16)  #: tells this hub from any other
        self._coming: dict[str, tuple[str, float]] = {}  #: workers without an agent so far, and since when
        self._outlives_us: dict[str, int] = {}  #: how long each agent's executors wait for another worker
        self._awaited: dict[str, float] = {}  #: agents whose executors wait for another worker, and until when
        self.elected = (0, "")  #: term and id of the newest leader that was elected elsewhere
        self.ping_s = parse_duration(dask.config.get("mesonb.ping", PING)) / 1_000_000
        self._unled_s = 0.0
        self.rounds = 0  #: of pings
        self._closing: asyncio.Future[Any] | None = None
        scheduler.handlers[ATTACH] = self.attach
        scheduler.handlers["mesonb_here"] = self.here
        self._keeper = Keeper(scheduler, self._agents)
        self._pinging = asyncio.ensure_future(self._ping())

    async def here(self) -> int:
        """Say that there is a hub, and its protocol; called by whoever may not install one."""
        return PROTOCOL

    def end_when_idle(self, idle_s: float) -> None:
        """From now on, end the cluster when nobody has led for so long."""
        self.idle_s, self._unled_s = idle_s, 0.0

    async def before_close(self) -> None:
        """Stop listening."""
        self._pinging.cancel()
        for line in list(self.lines.values()):
            line.comm.abort()

    # -- a peer comes, speaks, and goes -----------------------------------------------------------------------------

    async def attach(self, comm: Any, introduction: dict[str, Any]) -> None:
        """Serve one peer for as long as its comm lasts; called by the Dask scheduler."""
        ending = {"refused": "Unreachable", "because": "this cluster is ending, because nobody used it; try again"}
        if refusal := ending if self._closing else self.door.refusal(introduction):
            await comm.write(refusal)
            return
        line = Line(introduction["name"], introduction["kind"], comm, introduction)
        self._replace(line)
        await comm.write(self._enter(line))
        try:
            await self._listen(line)
        finally:
            self._leave(line)

    def agent_at(self, address: str) -> str:
        """Return the name of the agent of a Dask worker; nothing where there is none."""
        return self._agents.get(address, "")

    def _replace(self, line: Line) -> None:
        """Let go of whoever had this name, or the lead, before."""
        if before := self.lines.get(line.name):
            self._leave(before)
            before.comm.abort()
        if line.kind == "leader" and (old := self.leader):
            del self.lines[old.name]
            self.leader = None
            old.comm.abort()

    def _enter(self, line: Line) -> dict[str, Any]:
        self.lines[line.name] = line
        if line.kind == "leader":
            self._crown(line)
        elif line.kind == "standby":
            self._crown_a_standby()
        elif line.kind == "agent":
            self._agents[line.about.get("address", "")] = line.name
            self._coming.pop(line.about.get("address", ""), None)
            self._awaited.pop(line.name, None)
            self._outlives_us[line.name] = line.about.get("outlives_us", 0)
        self._announce(line)
        agents = [other.name for other in self.lines.values() if other.kind == "agent"]
        return {
            "hub": self.id,
            "epoch": self.epoch,
            "agents": agents,
            "workers": len(self.scheduler.workers),
            "versions": ours(),
        }

    def _crown(self, line: Line) -> None:
        """Let a master lead from now on."""
        if term := line.about.get("term", 0):
            self.elected = term, line.about["id"]
        self.epoch = max(self.epoch + 1, term)
        self.leader = line
        if self.owners:
            line.say(("owners", self.owners))
        if expected := self._expected():
            line.say(("expected", expected))
        for other in list(self.lines.values()):
            self._announce(other)

    def _expected(self) -> dict[str, int]:
        """Name the agents that a new leader will hear of, and for how many microseconds; 0: as long as it waits for any."""
        now_s = time.monotonic()
        waiting = {name: int((until_s - now_s) * 1e6) for name, until_s in self._awaited.items() if until_s > now_s}
        return dict.fromkeys(self._agents.values(), 0) | waiting

    def _crown_a_standby(self) -> None:
        """Let whoever has stood by for longest lead, if nobody does."""
        waiting = next((line for line in self.lines.values() if line.kind == "standby"), None)
        if waiting and not self.leader:
            waiting.kind = "leader"
            waiting.say(("lead", self.epoch + 1))
            self._crown(waiting)

    def _announce(self, line: Line) -> None:
        """Tell an agent, or another kernel, who leads."""
        if self.leader and line.kind in ("agent", "kernel"):
            line.say(("leader", self.epoch, self.leader.about["id"]))

    def _heard(self, line: Line) -> None:
        """Note that a peer is there; one that was silent says anew what it runs."""
        was_silent = line.missed >= MISSED_MOST
        line.missed = 0
        if was_silent:
            self._announce(line)

    async def _listen(self, line: Line) -> None:
        while True:
            try:
                batch = await line.read()
            except CommClosedError:
                return
            except Bad as bad:
                self.expel(line, str(bad))
                return
            self._heard(line)
            try:
                self._switch(line, batch)
            except (TypeError, ValueError) as error:
                line.say(("not allowed", f"what you sent is no batch, and was dropped: {error}"))

    def expel(self, line: Line, because: str) -> None:
        """Cut a peer off for what it sent, tell the leader, and let its process in again only after a while."""
        self.door.keep_out(line)
        line.cut(because)

    def _switch(self, line: Line, batch: Any) -> None:
        if line.kind == "leader" and line is not self.leader:
            return  # fenced: another leads since
        if not isinstance(batch, list | tuple):
            raise TypeError("it is no list")
        for to, content in batch:
            if not isinstance(to, str) or not isinstance(content, bytes):
                raise TypeError("a batch is pairs of a name and bytes")
            if to == HUB:
                if line is self.leader:
                    self._told(content)
            elif to == LEADER or line is self.leader:
                if target := self.leader if to == LEADER else self.lines.get(to):
                    target.forward(line, content)
            else:
                line.say(("not allowed", f"{line.name} may speak to the leader, and to nobody else"))

    def _told(self, content: bytes) -> None:
        """Take what the leader tells the hub itself."""
        for message in read(content):
            match message:
                case ("owners", dict(owners)):
                    self.owners = owners
                case ("expel", str(name), str(because)) if name in self.lines:
                    self.expel(self.lines[name], because)
                case _:
                    pass  # a pong: that it was heard is all there is to it

    def _leave(self, line: Line) -> None:
        if self.lines.get(line.name) is not line:
            return
        del self.lines[line.name]
        if line is self.leader:
            self.leader = None
            self._crown_a_standby()
        elif self.leader:
            if line.cut_because:
                self.leader.say(("said", f"{line.name} was cut off: {line.cut_because}"))
            self.leader.say(("cut", line.name))

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """Expect an agent; called by the Dask scheduler."""
        self._coming[worker] = str(scheduler.workers[worker].name), time.monotonic()

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Tell the leader that an agent is gone for good; called by the Dask scheduler."""
        if (came := self._coming.pop(worker, None)) and self.leader:
            self.leader.say(("agentless", came[0], "went before it had an agent"))
        name = self._agents.pop(worker, "")
        line = self.lines.get(name)
        replaced = line is not None and line.about.get("address") != worker
        if name and not replaced and (outlives_us := self._outlives_us.pop(name, 0)):
            self._awaited[name] = time.monotonic() + outlives_us / 1e6
        if name and self.leader and not replaced:
            self.leader.say(("gone", name))

    def valid_workers_downscaling(self, scheduler: Any, workers: list[Any]) -> list[Any]:
        """Leave out workers whose tasks Dask does not see; called by the Dask scheduler of an adaptive cluster."""
        return self._keeper.without_tasks(workers)

    def _name_agentless(self, leader: Line) -> None:
        """Tell the leader, once, of workers that have been here for a while and have no agent."""
        for address, (name, since_s) in list(self._coming.items()):
            if time.monotonic() - since_s > AGENTLESS_S:
                del self._coming[address]
                leader.say(("agentless", name, "runs no agent"))

    def _depose(self, line: Line) -> None:
        """Let go of a leader that does not answer, since another stands by."""
        self._leave(line)
        line.comm.abort()

    # -- time -----------------------------------------------------------------------------------------------------

    async def _ping(self) -> None:
        """Ask everybody; time is counted in rounds of this, so that nobody is gone because the hub was stopped, or its clock jumped."""
        while True:
            self.rounds += 1
            for line in list(self.lines.values()):
                line.ping()
                if line.missed == MISSED_MOST and self.leader and line.kind == "agent":
                    self.leader.say(("silent", line.name))
            if (
                self.leader
                and self.door.silent(self.leader)
                and any(line.kind == "standby" for line in self.lines.values())
            ):
                self._depose(self.leader)
            self._unled_s = 0.0 if self.leader else self._unled_s + self.ping_s
            if self.leader:
                self._name_agentless(self.leader)
            elif self.idle_s is not None and self._unled_s > self.idle_s:
                self._closing = asyncio.ensure_future(self.scheduler.close(reason="mesonb-idle"))
                return
            await asyncio.sleep(self.ping_s)
