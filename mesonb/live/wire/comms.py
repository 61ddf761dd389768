"""Peer: one end of a dedicated comm to the hub. Everything mesonb says between processes goes through one of these.

A batch on the wire is a list of pairs (whom, bytes): whom it is for on the way to the hub, whom it is from on the way
back. The bytes are a pickled list of messages, each a plain tuple whose first part is its kind; the hub forwards them
unread, and whoever they are for reads them with care (``mesonb.live.wire.plain``). Rules: never put a message on one of
Dask's own streams (one bad message there removes the worker); a message whose handler raises is logged and dropped, and
the next is handled.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from distributed.comm.core import CommClosedError, connect

from mesonb.errors import BadValue, ClusterError, MasterExists, Unreachable, VersionMismatch
from mesonb.live.wire.plain import read
from mesonb.live.wire.tls import encrypted

logger = logging.getLogger("mesonb")

#: Both ends must speak the same; raised whenever a message changes its meaning.
PROTOCOL = 6
#: The hub's own name in a batch, and the leader's.
HUB, LEADER = "", "*leader"
#: The handler that the hub adds to the Dask scheduler.
ATTACH = "mesonb-attach"
#: How the names of kernels begin, and of no other peer: so whoever hears one knows of which kind it is.
KERNEL = "kernel-"

Message = tuple[Any, ...]


def may_be_an_agent(name: str) -> bool:
    """Whether a name is neither the hub's, nor the leader's, nor a kernel's.

    >>> [may_be_an_agent(name) for name in ("agent-1", "", "*leader", "kernel-1")]
    [True, False, False, False]
    """
    return name not in (HUB, LEADER) and not name.startswith(KERNEL)


#: Tells this process from any other that may come under one of its names; the hub tells it to nobody.
KEY = secrets.token_hex(16)
_REFUSALS = {"MasterExists": MasterExists, "Unreachable": Unreachable, "VersionMismatch": VersionMismatch}


class Peer:
    """A comm to the hub, with everything that was said within one turn of the loop sent at once."""

    def __init__(self, comm: Any, on_message: Callable[[str, Message], None]) -> None:
        self.welcome: dict[str, Any] = {}
        self._comm = comm
        self._on_message = on_message
        self._outbox: dict[str, list[Message]] = {}
        self._writing: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing can be said any more."""
        return bool(self._comm.closed())

    def known_as(self, leader_id: str) -> str:
        """Name a leader of this hub as no leader of another hub is named, whatever that one calls itself."""
        return f"{leader_id}@{self.welcome['hub']}"

    def send(self, to: str, *messages: Message) -> None:
        """Send messages to one peer, in order; call it on the loop."""
        self._outbox.setdefault(to, []).extend(messages)
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        try:
            while self._outbox:
                batch, self._outbox = self._outbox, {}
                await self._comm.write([(to, pickle.dumps(messages, protocol=5)) for to, messages in batch.items()])
        except CommClosedError:
            self._outbox.clear()  # whoever needs an answer asks again over the next comm
        finally:
            self._writing = None

    async def read(self) -> None:
        """Hand every message to ``on_message`` until the comm is closed."""
        while True:
            try:
                batch = await self._comm.read()
            except (CommClosedError, EOFError):
                return
            except Exception:
                logger.exception("what the hub sent is no frame; dialling it again")
                self._comm.abort()
                return
            self._open_all(batch)

    def _open_all(self, batch: Any) -> None:
        try:
            for whom, content in batch:
                self._open(whom, content)
        except (TypeError, ValueError) as error:
            logger.warning("what the hub sent is no batch, and was dropped: %s", error)

    def _open(self, whom: str, content: bytes) -> None:
        try:
            messages = read(content)
        except BadValue as error:
            logger.warning("a batch from %r was dropped: %s", whom or "the hub", error)
            return
        for message in messages:
            try:
                self._on_message(whom, message)
            except Exception:
                logger.exception("the message %r from %r was dropped", message[:2], whom or "the hub")

    async def close(self) -> None:
        """Say what was still to be said, and close."""
        if self._writing:
            await asyncio.wait([self._writing], timeout=1)
        await self._comm.close()


async def dial(
    address: str, connection_args: dict[str, Any], introduction: dict[str, Any],
    on_message: Callable[[str, Message], None], timeout_s: float = 10,
) -> Peer:  # fmt: skip
    """Connect to the hub at the address of its Dask scheduler and be introduced there."""
    try:
        comm = await connect(address, timeout=timeout_s, **connection_args)  # type: ignore[no-untyped-call]
        await comm.write(
            {"op": ATTACH, "reply": False, "introduction": {"protocol": PROTOCOL, "key": KEY, **introduction}}
        )
        welcome = await asyncio.wait_for(_until(comm.read()), timeout_s)
    except OSError as error:
        raise Unreachable(
            f"the hub at {address} does not answer: {type(error).__name__} {error}; check that the cluster runs{_tls(address)}, "
            "or write master = mb.Master() for a local one"
        ) from error
    if refusal := welcome.get("refused"):
        await comm.close()
        raise _REFUSALS.get(refusal, ClusterError)(welcome["because"])
    peer = Peer(comm, on_message)
    peer.welcome = welcome
    return peer


def _tls(address: str) -> str:
    return ", and that security= has its certificate" if encrypted(address) else ""


async def _until(reading: Awaitable[Any]) -> Any:
    return await reading
