"""Frameworks, the pure half: one row each, and since when one that may want something has held nothing.

Rule: rows come from a snapshot; only the starvation clock needs the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mesonb.core import calls, events
from mesonb.core.log import Step
from mesonb.core.snapshot import FrameworkRow, Snapshot
from mesonb.panels.view import running

ENDINGS = ("finished", "failed", "killed", "lost")


class LastHeld:
    """When each framework last held something: an offer, or a task."""

    def __init__(self) -> None:
        self.at_us: dict[str, int] = {}

    def read(self, steps: Iterable[Step]) -> LastHeld:
        """Take in what happened."""
        for step in steps:
            if name := getattr(step.call, "framework", ""):
                self._note(step.call, name, step.now_us)
            for event in step.events:
                match event:
                    case events.OfferMade() | events.Launch() | events.Updated() | events.Rescinded():
                        self.at_us[event.framework] = step.now_us
                    case _:
                        pass
        return self

    def _note(self, call: calls.Call, name: str, now_us: int) -> None:
        """An offer was held until its answer; whoever registers begins to wait."""
        if isinstance(call, calls.Accept | calls.AcceptAll | calls.Decline | calls.Revive) or name not in self.at_us:
            self.at_us[name] = now_us


@dataclass(frozen=True, slots=True)
class Row:
    """One framework."""

    framework: str
    role: str
    weight: float
    share: float  #: dominant share of its tasks
    offered: float  #: and of what it is offered
    running: int
    queued: int | None  #: None: it does not say
    ended: Mapping[str, int]
    offers_made: int
    hungry_us: int | None  #: how long it has held nothing at all, though it wants offers; None: it holds something
    state: str


def rows(snapshot: Snapshot, held: LastHeld, queued: Mapping[str, int], now_us: int) -> list[Row]:
    """One row for each framework of the snapshot, in order of registration; time may have passed since the snapshot's last call."""
    weights = {role.role: role.weight_milli / 1000 for role in snapshot.roles}
    return [
        Row(
            row.framework, row.role, weights.get(row.role, 1.0), row.task_share, max(0.0, row.share - row.task_share),
            running(row.counts), queued.get(row.framework), {how: row.counts.get(how, 0) for how in ENDINGS},
            row.counts.get("offers_made", 0),
            _hungry_us(row, now_us, held.at_us.get(row.framework)),
            "leaving" if row.leaving else "suppressed" if row.suppressed else "",
        )
        for row in snapshot.frameworks
    ]  # fmt: skip


def _hungry_us(row: FrameworkRow, now_us: int, last_us: int | None) -> int | None:
    if row.allocated or row.suppressed or row.leaving or last_us is None:
        return None
    return max(0, now_us - last_us)
