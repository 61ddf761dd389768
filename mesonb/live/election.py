"""Election: who leads, by whatever the masters of one cluster can all reach. ZooKeeper's is here; the hub has its own.

Each term has an epoch, larger than every one before it. A leader learns of its end late (it may have been stopped, or
cut off), so winning is only half of it: whoever takes orders holds a ``Fence``, and takes none of an epoch older than
the newest it has heard of. Without that, two masters would believe themselves leaders for a moment, and be believed.

``hub`` needs nothing, and suits one Dask cluster: when that goes, there is nothing left to lead. ``zk://host:port/path``
outlives any one Dask cluster; it needs a ZooKeeper, and ``pip install "mesonb[zookeeper]"``.
"""

from __future__ import annotations

import logging
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, Unreachable

logger = logging.getLogger("mesonb")

#: Without a word for so long, ZooKeeper takes a leader for dead. A kernel's busiest cell holds everything back for a second or two.
SESSION_S = 6.0
#: How long the first answer may take.
CONNECT_S = 10.0
_FOLDER = "/mesonb"


@dataclass(frozen=True, slots=True)
class Term:
    """Who leads, and which number this reign has."""

    epoch: int
    name: str


class Fence:
    """What an agent holds up to orders: none of an older epoch than the newest passes.

    >>> fence = Fence()
    >>> [fence.admits(epoch) for epoch in (1, 3, 1, 3)]
    [True, True, False, True]
    """

    def __init__(self) -> None:
        self.epoch = 0

    def admits(self, epoch: int) -> bool:
        """Whether an order of this epoch is to be followed; a newer one is remembered."""
        self.epoch = max(self.epoch, epoch)
        return epoch == self.epoch


class Election(ABC):
    """One candidate's part. ``on_won(epoch)`` and ``on_lost(because)`` are called on a thread of the election's own.

    They take turns, and a candidate that has lost goes on standing until it resigns. The epoch won again after a short
    doubt is the same one; after a real loss it is a new one.
    """

    @abstractmethod
    def stand(self, name: str, on_won: Callable[[int], None], on_lost: Callable[[str], None]) -> None:
        """Begin to stand under this name; once only."""

    @abstractmethod
    def leader(self) -> Term | None:
        """Ask who leads now."""

    @abstractmethod
    def resign(self) -> None:
        """Stop standing, let the next lead at once, and close. Says nothing to ``on_lost``."""


class ZooKeeperElection(Election):
    """The lowest of the numbered nodes leads; ZooKeeper removes a node whose session has ended, and never reuses a number.

    So the number of a leader's node is its epoch.
    """

    def __init__(self, hosts: str, folder: str = _FOLDER, session_s: float = SESSION_S) -> None:
        self._folder, self._mark = folder, uuid.uuid4().hex
        self._client = _client(hosts, session_s)
        self._lock = threading.RLock()
        self._name, self._epoch = "", 0
        self._leading = self._resigned = False
        self._on_won: Callable[[int], None] = lambda _: None
        self._on_lost: Callable[[str], None] = lambda _: None
        try:
            self._client.start(timeout=CONNECT_S)
        except self._client.handler.timeout_exception as error:
            self._client.close()
            raise Unreachable(f"no ZooKeeper answers at {hosts} within {CONNECT_S:g} s") from error
        self._client.ensure_path(folder)

    def stand(self, name: str, on_won: Callable[[int], None], on_lost: Callable[[str], None]) -> None:
        assert not self._name, "a candidate stands once"
        self._name, self._on_won, self._on_lost = name, on_won, on_lost
        self._enlist()
        self._client.add_listener(self._link_changed)
        self._client.ChildrenWatch(self._folder, self._look)

    def leader(self) -> Term | None:
        nodes = _in_order(self._client.get_children(self._folder))
        for node in nodes:
            try:
                name, _ = self._client.get(f"{self._folder}/{node}")
            except self._no_node:  # it ended between the two questions
                continue
            return Term(_epoch(node), name.decode())
        return None

    def resign(self) -> None:
        with self._lock:
            self._resigned, self._leading = True, False
        self._client.stop()  # ends the session, and with it the node
        self._client.close()

    @property
    def _no_node(self) -> type[Exception]:
        from kazoo.exceptions import NoNodeError

        return NoNodeError  # type: ignore[no-any-return]

    def _enlist(self) -> None:
        """Have a node; the answer to an earlier try may have been lost, so look before making one."""
        if not self._own(self._client.get_children(self._folder)):
            prefix = f"{self._folder}/{self._mark}-"
            self._client.create(prefix, self._name.encode(), ephemeral=True, sequence=True)

    def _own(self, nodes: Sequence[str]) -> str:
        return next((node for node in nodes if node.startswith(self._mark)), "")

    def _look(self, nodes: Sequence[str]) -> bool:
        """Look who is first; called by kazoo whenever somebody came or went. False ends that."""
        own = self._own(nodes)
        if own and own == _in_order(nodes)[0]:
            self._won(_epoch(own))
        elif self._leading:
            self._lost("its node in ZooKeeper is gone")
        return not self._resigned

    def _link_changed(self, state: str) -> None:
        """Hear how the link to ZooKeeper is; must not wait for it. A leader in doubt leads no longer."""
        if state == "CONNECTED":
            self._client.handler.spawn(self._back)
        else:
            self._lost("its session in ZooKeeper has ended" if state == "LOST" else "its link to ZooKeeper is cut")

    def _back(self) -> None:
        try:
            self._enlist()
            self._look(self._client.get_children(self._folder))
        except Exception:
            if not self._resigned:  # the link was cut again, and the next time it is there this is tried again
                logger.warning("ZooKeeper did not take the candidate %s back", self._name, exc_info=True)

    def _won(self, epoch: int) -> None:
        with self._lock:
            if self._leading or self._resigned or not self._client.connected:
                return
            self._leading, self._epoch = True, epoch
            self._on_won(epoch)

    def _lost(self, because: str) -> None:
        with self._lock:
            if self._leading and not self._resigned:
                self._leading = False
                self._on_lost(because)


def election(address: str) -> Election:
    """Make a candidate for ``zk://host:port,host:port/path``, where ``?session=6s`` may follow: how soon the dead are replaced.

    ``hub`` is the default, and no business of this file.
    """
    parts = urlsplit(address)
    if parts.scheme != "zk" or not parts.netloc:
        raise BadValue(f'{address!r} is no election; write election="zk://host:2181/mesonb", or leave it out')
    session_s = parse_duration(parse_qs(parts.query).get("session", [SESSION_S])[0]) / 1_000_000
    return ZooKeeperElection(parts.netloc, parts.path.rstrip("/") or _FOLDER, session_s)


def _client(hosts: str, session_s: float) -> Any:
    try:
        from kazoo.client import KazooClient
    except ImportError as error:
        raise BadValue('election="zk://..." needs kazoo; install "mesonb[zookeeper]"') from error
    return KazooClient(hosts, timeout=session_s)


def _in_order(nodes: Sequence[str]) -> list[str]:
    return sorted(nodes, key=_epoch)


def _epoch(node: str) -> int:
    """Return the number that ZooKeeper gave a node, from 1 on."""
    return int(node.rpartition("-")[2]) + 1
