"""Link: how a master reaches a Dask cluster: looks at its versions, brings hub and agents there, and takes the lead.

The Dask client in here is never the default one: it would redirect every ``.compute()`` of the notebook past the
frameworks. Everything runs on the master's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any

from distributed import Client

from mesonb.errors import BadValue, ClusterError, MasterExists, MesonbError, Unreachable
from mesonb.live.agent import Agent
from mesonb.live.wire.comms import Message, Peer, dial
from mesonb.live.wire.hub import Hub
from mesonb.live.wire.tls import reaching
from mesonb.live.wire.versions import check_versions, minor

#: How long a Dask scheduler may take to answer.
REACH_S = 5
#: How long to try to find the hub again after the link was cut.
RELINK_S = 5


class Link:
    """The master's side of one cluster."""

    peer: Peer | None = None
    client: Any = None

    def __init__(
        self, address: str, security: Any, leader_id: str, on_message: Callable[[str, Message], None], kind: str = "leader",
    ) -> None:  # fmt: skip
        self.address, self.security, self.leader_id = address, reaching(address, security), leader_id
        self._on_message = on_message
        self.kind = kind  #: "leader", or until then "standby" (the hub says when) or "candidate" (an election does)
        self._term = 0  #: for which it was elected, where an election elsewhere says who leads
        self.epoch = 0

    async def attach(self, *, ours: bool) -> None:
        """Lead. A cluster that is not ours is looked at first, and its workers become agents."""
        if not ours:  # one of ours has been told apart by its versions, and has hub and agents
            await self._connect()
            await self._check_versions()
            brings = await self._bring(Hub())
        if self.kind != "candidate":
            await self.lead()
        if not ours and brings:
            await self.client.register_plugin(Agent())

    async def _bring(self, hub: Hub) -> bool:
        """Install the hub, unless the scheduler takes no plugins from clients; then it has to have one already."""
        try:
            await self.client.register_plugin(hub)
        except ValueError as error:
            if "explicitly disallowed" not in str(error):
                raise
            if not await self.client.scheduler.mesonb_here():
                raise ClusterError(
                    f"the Dask scheduler at {self.address} takes no plugins (its blocked-handlers), and has no hub: start it with "
                    "dask scheduler --preload mesonb.live.preload"
                ) from error
            return False
        return True

    async def lead(self, term: int = 0) -> None:
        """Ask the hub for the lead, as elected elsewhere for a term, if that is one; MasterExists if somebody else has it."""
        if term:
            self.kind, self._term = "leader", term
        try:
            self.peer = await dial(
                self.address, self.reached_with.get_connection_args("client"),
                {"kind": self.kind, "name": self.leader_id, "id": self.leader_id, "who": _who(), "term": self._term},
                self._on_message, REACH_S,
            )  # fmt: skip
        except MasterExists as error:
            raise MasterExists(
                f"{error} leads the Dask cluster at {self.address} already; mb.connect({self.address!r}) uses it from here, "
                "mb.Master(..., standby=True) waits to follow it, mb.Master(name='mine') starts a local cluster of your own"
            ) from None
        check_versions(f"the hub at {self.address}", self.peer.welcome["versions"])
        self.epoch = self.peer.welcome["epoch"]

    @property
    def reached_with(self) -> Any:
        """The Security that this cluster was reached with."""
        return (self.client or self).security

    @property
    def identity(self) -> str:
        """Who leads here, as no leader of another hub is called."""
        return self.peer.known_as(self.leader_id) if self.peer else ""

    def crowned(self, epoch: int) -> None:
        """Note that the hub lets this master lead, which has stood by."""
        self.kind, self.epoch = "leader", epoch

    def send(self, to: str, *messages: Message) -> None:
        """Send messages to a peer; lost when the link is cut, so whoever needs an answer asks again."""
        if self.peer and messages:
            self.peer.send(to, *messages)

    async def read(self) -> None:
        """Hand on every message until the link is cut."""
        if self.peer:
            await self.peer.read()

    async def relink(self) -> bool:
        """Find the hub again after the link was cut; False if it is gone, or has another leader."""
        for _ in range(RELINK_S * 5):
            with contextlib.suppress(Unreachable):
                try:
                    await self.lead()
                except MesonbError:
                    return False
                return True
            await asyncio.sleep(0.2)
        return False

    @property
    def expected(self) -> int:
        """How many Dask workers there were, each of which becomes an agent."""
        return int(self.peer.welcome["workers"]) if self.peer else 0

    async def close(self) -> None:
        """Give up the lead."""
        if self.peer:
            await self.peer.close()
        if self.client:
            await asyncio.wait_for(self.client.close(), 2)

    async def _connect(self) -> None:
        try:
            self.client = await Client(  # type: ignore[no-untyped-call]
                self.address,
                security=self.security,
                asynchronous=True,
                set_as_default=False,
                timeout=REACH_S,
                name="mesonb",
            )
        except (OSError, ValueError) as error:
            raise Unreachable(
                f"no Dask scheduler answers at {self.address} within {REACH_S} s ({type(error).__name__}: {error}); "
                "check the address and that the cluster runs, or write mb.Master() for a local one"
            ) from error

    async def _check_versions(self) -> None:
        """Compare what must be the same before anything of ours is unpickled over there."""
        scheduler = await self.client.scheduler.versions(packages=["mesonb"])
        workers = await self.client.scheduler.broadcast(msg={"op": "versions", "packages": ["mesonb"]})
        for where, found in {
            "the Dask scheduler": scheduler,
            **{f"worker {at}": found for at, found in workers.items()},
        }.items():
            check_versions(where, {
                "python": minor(found["host"]["python"]),
                "distributed": found["packages"]["distributed"],
            })  # fmt: skip


def address_of(cluster: Any) -> tuple[str, Any]:
    """Return the address and security of a Dask client, a cluster, or an address itself."""
    if isinstance(cluster, str):
        if "://" not in cluster or (cluster.startswith(("tcp://", "tls://")) and not re.search(r":\d+$", cluster)):
            raise BadValue(f'{cluster!r} is not the address of a Dask scheduler; it looks like "tcp://10.0.0.1:8786"')
        return cluster, None
    if isinstance(cluster, Client):
        if cluster.scheduler is None:
            raise Unreachable("this Dask client is closed; make a new one, or write mb.Master() for a local cluster")
        return str(cluster.scheduler.address), cluster.security
    if address := getattr(cluster, "scheduler_address", None):
        return str(address), getattr(cluster, "security", None)
    raise BadValue(
        f'{cluster!r} is not a Dask cluster; give a dask.distributed.Client, its cluster, or "tcp://host:port"'
    )


def _who() -> str:
    return f"process {os.getpid()} on {socket.gethostname()} (since {datetime.now().astimezone():%H:%M})"
