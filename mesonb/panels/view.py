"""View: from a snapshot to what a board shows. Pure: the same snapshot and palette give the same frame.

A frame is a small head (counts, frameworks, roles: JSON) and one buffer with the agents: as tiles (``tiles.py``), or as a
heat map where there are more (``heat.py``). Allocated to tasks, offered and free are told apart everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mesonb.core.snapshot import FrameworkRow, Snapshot

#: Okabe and Ito's colours, told apart by nearly everybody; black is left out, for dark themes.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
#: The eighth framework has the first one's colour again, with another hatching.
HATCHES = ("plain", "stripes", "dots", "cross")
#: Resources shown on an agent's tile; more would be too thin to read.
RESOURCES_SHOWN = 4
FRAMEWORKS_SHOWN = 64
_ENDINGS = ("finished", "failed", "killed", "lost")


@dataclass(frozen=True, slots=True)
class Mark:
    """How a framework is drawn everywhere: a colour, a hatching, and a letter or two."""

    colour: str
    hatch: str
    letters: str


class Palette:
    """Gives each framework its mark, in order of first appearance, and never another."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}

    def __getitem__(self, framework: str) -> Mark:
        if framework not in self._marks:
            seen = len(self._marks)
            colour, hatch = COLOURS[seen % len(COLOURS)], HATCHES[seen // len(COLOURS) % len(HATCHES)]
            self._marks[framework] = Mark(colour, hatch, self._letters(framework))
        return self._marks[framework]

    def _letters(self, framework: str) -> str:
        """Find the shortest beginning that nobody has; two characters at most, then a number."""
        taken = {mark.letters for mark in self._marks.values()}
        short = (framework[:1].upper(), framework[:1].upper() + framework[-1:], str(len(self._marks) + 1))
        return next((letters for letters in short if letters not in taken), short[-1])


@dataclass(frozen=True)
class Frame(ABC):
    """One picture: ``head`` changes with every frame, ``names`` seldom; how agents are drawn is a subclass's.

    Frames are told apart by what they hold, so that a receiver that has one is sent only what is another.
    """

    head: dict[str, Any]
    names: dict[str, Any]
    snapshot: Snapshot = field(repr=False)
    every_s: ClassVar[float] = 0.0  #: such frames are not made more often, whatever they cost

    @property
    def behind(self) -> bool:
        """Whether more agents have changed than were brought up to date at once."""
        return bool(self.snapshot.spots and self.snapshot.spots.behind)

    @property
    @abstractmethod
    def data(self) -> bytes:
        """All agents, as the receiver draws them: little-endian numbers of four bytes."""

    @abstractmethod
    def since(self, before: Frame) -> bytes | None:
        """Return the agents that changed since an earlier frame; None where it takes all of them."""


def head_of(snapshot: Snapshot, layout: str, drawn: int, palette: Palette) -> dict[str, Any]:
    """Say all but the agents: counts, totals, frameworks, roles."""
    resources = resources_of(snapshot)
    return {
        "kind": "frame",
        "layout": layout,
        "at_us": snapshot.now_us,
        "steps": snapshot.steps,
        "paused": snapshot.paused,
        "counts": {
            "agents": snapshot.agent_count,
            "tasks": snapshot.task_count,
            "offers": snapshot.offer_count,
            "drawn": drawn,
        },
        "resources": resources,
        "used": [_parts(snapshot, name) for name in resources],
        "frameworks": [framework_row(row, palette[row.framework]) for row in snapshot.frameworks[:FRAMEWORKS_SHOWN]],
        "roles": [
            {"role": row.role, "weight": row.weight_milli / 1000, "share": round(row.share, 4)}
            for row in snapshot.roles
        ],
    }


def resources_of(snapshot: Snapshot) -> list[str]:
    """Return the resources that are shown."""
    return list(snapshot.total)[:RESOURCES_SHOWN]


def index_of(snapshot: Snapshot) -> dict[str, int]:
    """Number the frameworks that are shown, as the head lists them."""
    return {row.framework: number for number, row in enumerate(snapshot.frameworks[:FRAMEWORKS_SHOWN])}


def framework_row(row: FrameworkRow, mark: Mark) -> dict[str, Any]:
    """Say of one framework what a table shows."""
    counts = row.counts
    return {
        "name": row.framework,
        "role": row.role,
        "colour": mark.colour,
        "hatch": mark.hatch,
        "letters": mark.letters,
        "share": round(row.task_share, 4),
        "offered": round(max(0.0, row.share - row.task_share), 4),
        "running": running(counts),
        "offers_made": counts.get("offers_made", 0),
        "accepted": counts.get("accepted", 0),
        "declined": counts.get("declined", 0),
        "rescinded": counts.get("rescinded", 0),
        "ended": {ending: counts[ending] for ending in _ENDINGS if counts.get(ending)},
        "state": "leaving" if row.leaving else "suppressed" if row.suppressed else "",
    }


def running(counts: Mapping[str, int]) -> int:
    """Return how many tasks of a framework have been launched and have not ended.

    >>> running({"launched": 5, "finished": 2, "lost": 1})
    2
    """
    return counts.get("launched", 0) - sum(counts.get(ending, 0) for ending in _ENDINGS)


def _parts(snapshot: Snapshot, name: str) -> list[float]:
    """Split one resource of the whole cluster: in tasks, offered, free; the three add up to 1."""
    total, free = snapshot.total.amounts[name], snapshot.free.amounts.get(name, 0)
    offered = sum(row.offered.amounts.get(name, 0) for row in snapshot.frameworks)
    return [round((total - free - offered) / total, 4), round(offered / total, 4), round(free / total, 4)]


# -- shares over time -------------------------------------------------------------------------------------------------

#: Points of the small curve in the board's header.
CURVE_POINTS = 120


def begun(rows: Sequence[tuple[int, Mapping[str, float]]]) -> Sequence[tuple[int, Mapping[str, float]]]:
    """Leave out the moments before the first framework was there."""
    first = next((number for number, (_, shares) in enumerate(rows) if shares), len(rows))
    return rows[first:]


def curve(rows: Sequence[tuple[int, Mapping[str, float]]], most: int = CURVE_POINTS) -> list[list[Any]]:
    """Thin shares over time to at most so many moments, the newest always among them.

    >>> curve([(0, {"a": 0.5}), (1, {"a": 0.25}), (2, {"a": 1})], most=2)
    [[0, {'a': 0.5}], [2, {'a': 1}]]
    """
    rows = begun(rows)
    if not rows:
        return []
    stride = -(-len(rows) // most)
    kept = rows[(len(rows) - 1) % stride :: stride]
    return [[now_us, {name: round(share, 4) for name, share in shares.items()}] for now_us, shares in kept]
