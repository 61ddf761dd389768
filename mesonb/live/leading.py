"""Leading: how a master comes to lead its cluster, stands by until then, and gives up.

The hub lets one master lead, and of those that stand by the one that came first. With an election elsewhere (ZooKeeper)
a master goes to the hub only once it is elected, and says in which term: the hub lets a newer term replace an older one,
never the other way round. Whoever is voted out gives up, as Mesos's masters do: its agents' tasks run on, for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import uuid
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mesonb.core.declared import Agent
from mesonb.core.master import MasterCore
from mesonb.core.resources import Resources
from mesonb.errors import BadValue, ClusterError, Unreachable
from mesonb.live.cluster import Local, find_or_start, sizes
from mesonb.live.election import Election, election
from mesonb.live.hearing import Hearing
from mesonb.live.link import Link, address_of
from mesonb.live.tasks.results import Desk
from mesonb.live.wire.comms import Message
from mesonb.live.wire.loop import LoopThread

#: How long a cluster may take to be looked at and given its plugins.
ATTACH_S = 60
#: How long a cluster may take to end, and a link to close.
GONE_S = 5
#: How long a master waits to see whether it is elected at once; later it is told.
ELECTED_S = 10
CLOSED = "this master is closed; write master = mb.Master() for a new one"
_POLL_S = 0.01


class Leading(Hearing):
    """The half of a master that is about who leads; what is private and no ``_reach`` runs on its loop."""

    closed: bool
    local: Local | None  #: the local cluster, where it is one
    desk: Desk
    _thread: LoopThread
    _stands: bool = False  #: in an election elsewhere
    _election: Election | None = None

    def _reach(
        self, cluster: Any, agents: int | Sequence[Resources | Agent] | None, name: str, kind: str, security: Any = None
    ) -> None:
        """Attach to the cluster; a local one that ends just now is waited for, and another one started."""
        if security is True and cluster is not None:
            raise BadValue("security=True makes a certificate for a local cluster; the one that is given has its own")
        for last in (False, True):
            self.local = find_or_start(sizes(agents), name, security) if cluster is None else None
            address, known = (self.local.address, self.local.security) if self.local else address_of(cluster)
            given = None if isinstance(security, bool) or self.local else security
            self._stands = kind == "candidate"
            self._link = Link(
                address, given or known, f"master-{os.getpid()}-{uuid.uuid4().hex[:8]}", self._heard, kind
            )
            try:
                self._thread.wait_for(self._link.attach(ours=self.local is not None), ATTACH_S)
            except Unreachable:
                if last or not self.local:
                    raise
                self.local.give_up(GONE_S)
            else:
                return

    def _unreach(self) -> None:
        if self._election:
            self._election.resign()
        with contextlib.suppress(Exception):
            self._thread.wait_for(self._link.close(), GONE_S)
            self._thread.wait_for(self.desk.close(), GONE_S)
        self._thread.stop()

    @abstractmethod
    def _turn(self) -> None:
        """Take everything that was posted."""

    @abstractmethod
    def _heard(self, whom: str, message: Message) -> None:
        """Take what the hub or an agent says."""

    @property
    def leads(self) -> bool:
        """Whether this is the master that leads, and not one that stands by."""
        return self._link.kind == "leader"

    @property
    def unsteerable(self) -> str:
        """Why this master decides nothing: it is closed, it has given up, or it stands by."""
        if self.closed:
            return CLOSED
        return self.given_up or ("" if self.leads else "this master stands by: another one leads")

    # -- an election elsewhere ------------------------------------------------------------------------------------

    def _stand(self, address: str) -> None:
        """Stand for election; return when it is known whether this is the first leader."""
        standing = self._election = election(address)
        known = threading.Event()

        def won(term: int) -> None:
            self._thread.call(lambda: asyncio.ensure_future(self._elected(term, known)))

        def lost(because: str) -> None:
            self._thread.call(lambda: asyncio.ensure_future(self._voted_out(because)))

        standing.stand(self._link.leader_id, won, lost)
        deadline_s = time.monotonic() + ELECTED_S
        while not known.wait(_POLL_S) and time.monotonic() < deadline_s:
            if (term := standing.leader()) and term.name != self._link.leader_id:
                return
        if self.given_up:
            raise ClusterError(self.given_up)

    async def _elected(self, term: int, known: threading.Event) -> None:
        """Lead; a newer term may be known there already, and then this one is over."""
        try:
            await self._link.lead(term)
        except ClusterError as error:
            self._give_up(f"it was elected, and cannot lead: {error}")
        else:
            self._crowned(self._link.epoch)
            self._reading = asyncio.ensure_future(self._stay_linked())
        finally:
            known.set()

    async def _voted_out(self, because: str) -> None:
        self._give_up(f"another master may lead now: {because}; make a new master to stand again")
        await self._link.close()

    # -- here -----------------------------------------------------------------------------------------------------

    def _crowned(self, epoch: int) -> None:
        """Lead, after having stood by: with new books, and what was posted meanwhile."""
        self._link.crowned(epoch)
        with self.lock:
            self.core = MasterCore(replace(self.core.settings, epoch=epoch), self.core.allocator)
            self.log = self._new_log(self.log.kept)
        self._turn()

    async def _stay_linked(self) -> None:
        """Read what the hub sends; find it again when the link is cut, or give the agents up."""
        while True:
            await self._link.read()
            if self.closed or self.given_up:
                return
            self._all_out_of_sight()
            self._turn()
            if not await self._link.relink():
                break
        self._give_up("the Dask scheduler is gone, or another master leads; write master = mb.Master() for a new one")

    def _give_up(self, because: str) -> None:
        """Say that nothing comes any more, and let nobody wait for it."""
        self._complain("the hub", because)
        for agent in list(self.core.agents):
            self._gone(agent, "the Dask scheduler is gone")
        self._turn()
        self.given_up = because
        for driver in list(self.drivers.values()):
            driver.call_later(0, partial(driver.left, because))
