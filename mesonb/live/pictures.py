"""Pictures: what this kernel last saw of a master elsewhere. A cell waits for a fresh one; panels have them fetched.

Rule: names of many agents travel once. A picture of all agents in brief is asked for with what is known already, and comes
without the names where these are the same agents; here they are put back, the very same, so that panels draw on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from array import array
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from mesonb.core.snapshot import Snapshot, Spots
from mesonb.errors import BadValue, Unreachable
from mesonb.live.wire.loop import LoopThread

#: A picture that is younger is not asked for again.
FRESH_S = 0.1
#: Panels draw what is younger, while a newer one is on its way; a master that takes longer is said to be silent.
SILENT_S = 2.0
SILENT = "the master does not answer: this is its last picture"

#: Which agents a picture is of: how many ever joined, and how many are there.
Agents = tuple[int, int]
#: A picture without its spots, and these: names, sizes, and columns as bytes.
Packed = tuple[Snapshot, tuple[Any, ...] | None]


class Pictures:
    """The last picture of each kind: the first agents with their tasks, or all agents in brief where they are many."""

    def __init__(
        self, thread: LoopThread, ask: Callable[..., Coroutine[Any, Any, Any]], came: Callable[[Snapshot], None]
    ) -> None:
        self._thread, self._ask, self._came = thread, ask, came
        self._kept: dict[bool, tuple[Snapshot, float]] = {}  #: by whether it may be in brief
        self._asked_s = 0.0  #: since when panels wait for one; 0: they do not

    def take(self, *, spots: bool, within_s: float) -> Snapshot:
        """Return a picture that is young enough, or wait for another; Unreachable if the master is silent."""
        if self.silent:
            raise Unreachable(SILENT)
        if not self._young(spots, SILENT_S if spots else FRESH_S):
            return self._thread.wait_for(self._fetched(spots), within_s)
        return self._kept[spots][0]

    def outdate(self) -> None:
        """What a cell saw last is not so any more."""
        self._kept.pop(False, None)

    def freshen(self) -> Snapshot | None:
        """Have a newer one fetched for panels, and return the last that came."""
        if not self._asked_s and not self._young(True, FRESH_S):
            self._asked_s = time.monotonic()
            self._thread.call(self._begin)
        return self._kept[True][0] if True in self._kept else None

    @property
    def silent(self) -> bool:
        """Whether panels have waited too long."""
        return bool(self._asked_s) and time.monotonic() - self._asked_s > SILENT_S

    def forget(self) -> None:
        """Another master leads: what this one showed says nothing."""
        self._kept.clear()

    # -- on the loop --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._fetching = asyncio.ensure_future(self._fetch())

    async def _fetch(self) -> None:
        try:
            with contextlib.suppress(Exception):  # asked again, and said once it has been silent for long
                await self._fetched(True)
        finally:
            self._asked_s = 0.0

    async def _fetched(self, spots: bool) -> Snapshot:
        before = self._kept[spots][0] if spots in self._kept else None
        known = _agents(before) if before and before.spots else (0, 0)
        asked = ("snapshot", spots, *known) if spots else ("snapshot",)
        answer = await self._ask(*asked)
        picture = unpacked(answer, before) if spots else answer
        self._kept[spots] = picture, time.monotonic()
        self._came(picture)
        return picture

    def _young(self, spots: bool, within_s: float) -> bool:
        return spots in self._kept and time.monotonic() - self._kept[spots][1] <= within_s


def packed(picture: Snapshot, known: Agents) -> Packed:
    """Take a picture apart for the wire, which carries no arrays; without names and sizes of agents for who has them."""
    if picture.spots is None:
        return picture, None
    spots = picture.spots
    named = ((), ()) if known == _agents(picture) else (spots.agents, spots.totals)
    columns = (column.tobytes() for column in (spots.holder, spots.filled, spots.offered))
    return replace(picture, spots=None), (*named, *columns)


def unpacked(answer: Packed, before: Snapshot | None) -> Snapshot:
    """Put a picture together again; BadValue where its parts are not of one length."""
    picture, parts = answer
    if parts is None:
        return picture
    agents, totals, *columns = parts
    if not agents and before and before.spots:
        agents, totals = before.spots.agents, before.spots.totals
    holder, filled, offered = (array(code, column) for code, column in zip("Iff", columns, strict=True))
    if {len(agents), len(totals), len(holder), len(filled), len(offered)} != {picture.agent_count}:
        raise BadValue(f"a picture of {picture.agent_count:,} agents came in parts that do not fit together")
    return replace(picture, spots=Spots(agents, totals, holder, filled, offered))


def _agents(picture: Snapshot) -> Agents:
    return picture.agents_joined, picture.agent_count
