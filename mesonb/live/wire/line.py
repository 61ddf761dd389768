"""Line: one attached peer as the hub sees it: what waits for it, and how much of what it sent waits for others.

Rule: what the hub holds is bounded for every peer. Whoever sends faster than the leader reads is read no further until
that has caught up. Whoever does not read what the leader sends it is cut off once too much of that waits: waiting for it
would hold up everybody.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any

from distributed.comm.core import CommClosedError

from mesonb.live.wire import frames
from mesonb.live.wire.comms import HUB, KERNEL

logger = logging.getLogger("mesonb")

#: The largest frame that is taken. A task's arguments are at most a quarter of this.
FRAME_BYTES = 1_000_000_000
#: A peer of which more than this waits for the leader is read no further until it does not.
AHEAD_BYTES = 64_000_000
#: A peer for which more than this waits is cut off.
BEHIND_BYTES = 2_000_000_000
#: How many frames a kernel may send: a second, and at once.
FRAMES_S, FRAMES_BURST = 5_000, 50_000


class Line:
    """One attached peer."""

    def __init__(self, name: str, kind: str, comm: Any, about: dict[str, Any]) -> None:
        self.name, self.kind, self.about = name, kind, about
        self.missed = 0  #: pings since it was last heard
        self.comm = comm
        self.ahead_bytes = 0  #: of what it sent, not yet with whom it is for
        self.behind_bytes = 0  #: of what is for it, not yet sent
        self.cut_because = ""  #: why the hub itself has ended it
        self._outbox: list[tuple[Line | None, str, bytes]] = []
        self._writing: asyncio.Task[None] | None = None
        self._caught_up = asyncio.Event()
        self._meter = frames.Meter(FRAMES_S, FRAMES_BURST)

    @property
    def paused(self) -> bool:
        """Whether it is read no further for now."""
        return self.ahead_bytes > AHEAD_BYTES and self.kind != "leader"

    async def read(self) -> Any:
        """Read what it says next, when it is not too far ahead; CommClosedError or Bad when there is no more."""
        while self.paused and not self.comm.closed():
            self._caught_up.clear()
            await self._caught_up.wait()
        batch = await frames.read(self.comm, FRAME_BYTES)
        if self.name.startswith(KERNEL) and not self._meter.takes(1):
            raise frames.Bad(f"it sent more than {FRAMES_S:,} frames a second for a while")
        return batch

    def forward(self, sender: Line | None, content: bytes) -> None:
        """Send a batch on, of the hub's own if nobody sent it; what gathers while a write is under way goes out together."""
        self._outbox.append((sender, sender.name if sender else HUB, content))
        self.behind_bytes += len(content)
        if sender:
            sender.ahead_bytes += len(content)
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())
        elif self.behind_bytes > BEHIND_BYTES and self.kind != "leader":
            self.cut(f"{self.behind_bytes:,} bytes wait for it, and it does not read them")

    def ping(self) -> None:
        """Ask whether it is there; what it was sent before must have left first, and one that is not read says nothing."""
        if not self.paused:
            self.missed += 1
        if self._writing is None:
            self.say(("ping",))

    def say(self, *messages: tuple[Any, ...]) -> None:
        """Send messages of the hub's own."""
        self.forward(None, pickle.dumps(list(messages), protocol=5))

    def cut(self, because: str) -> None:
        """End it, and say why here; what waits for it is dropped."""
        if not self.cut_because:
            self.cut_because = because
            logger.warning("%s was cut off: %s", self.name, because)
            self.comm.abort()
            self._caught_up.set()
            if self._writing:
                self._writing.cancel()

    async def _write(self) -> None:
        batch: list[tuple[Line | None, str, bytes]] = []
        try:
            while self._outbox:
                batch, self._outbox = self._outbox, []
                await frames.write(self.comm, [(name, content) for _, name, content in batch])
                self._left(batch)
        except CommClosedError:
            pass  # whoever needs an answer asks again over the next comm
        finally:
            self._left(batch)
            self._left(self._outbox)
            self._writing = None

    def _left(self, batch: list[tuple[Line | None, str, bytes]]) -> None:
        """Count what waits no more."""
        for sender, _, content in batch:
            self.behind_bytes -= len(content)
            if sender:
                sender.ahead_bytes -= len(content)
                if not sender.paused:
                    sender._caught_up.set()
        batch.clear()
