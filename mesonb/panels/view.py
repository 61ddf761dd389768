"""View: from a snapshot to what a board shows. Pure: the same snapshot and palette give the same frame.

A frame is a small head (counts, frameworks, roles: JSON) and one float32 buffer: a row for each piece of an agent that
is taken. Allocated to tasks, offered and free are told apart everywhere; what is free is what no row covers.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mesonb.core.snapshot import AgentRow, FrameworkRow, Snapshot

#: Okabe and Ito's colours, told apart by nearly everybody; black is left out, for dark themes.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
#: The eighth framework has the first one's colour again, with another hatching.
HATCHES = ("plain", "stripes", "dots", "cross")
#: Resources shown on an agent's tile; more would be too thin to read.
RESOURCES_SHOWN = 4
#: Up to so many agents a row is one task; beyond, one framework's tasks on that agent.
DETAILED_AGENTS = 64
#: Agents drawn at most; the counts speak of all.
AGENTS_DRAWN = 1000
FRAMEWORKS_SHOWN = 64
#: What the third number of a row says.
RUNNING, STAGING, UNREACHABLE, OFFERED = range(4)
_KINDS = {"running": RUNNING, "staging": STAGING, "unreachable": UNREACHABLE}
#: Numbers before the fractions of a row: agent, framework, kind, how many.
COLUMNS = 4
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


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture: ``head`` changes with every frame, ``names`` seldom, ``rows`` are the buffer."""

    head: dict[str, Any]
    names: dict[str, Any]
    rows: array[float] = field(repr=False)

    @property
    def data(self) -> bytes:
        """The rows as little-endian float32."""
        if sys.byteorder == "big":
            swapped = array("f", self.rows)
            swapped.byteswap()
            return swapped.tobytes()
        return self.rows.tobytes()


def frame_of(snapshot: Snapshot, palette: Palette, complaints: Mapping[str, Any] | None = None) -> Frame:
    """Turn a snapshot into a frame; ``complaints`` are the last one of each framework that has any."""
    frameworks = snapshot.frameworks[:FRAMEWORKS_SHOWN]
    for row in frameworks:
        palette[row.framework]
    resources = list(snapshot.total)[:RESOURCES_SHOWN]
    agents = sorted(snapshot.agents[:AGENTS_DRAWN], key=lambda agent: _natural(agent.agent))
    index = {row.framework: number for number, row in enumerate(frameworks)}
    rows = array("f")
    for number, agent in enumerate(agents):
        for piece in _pieces(agent, index, detailed=len(agents) <= DETAILED_AGENTS):
            rows.extend(
                (number, piece.framework, piece.kind, piece.count, *_fractions(piece.amounts, agent, resources))
            )
    names = {"agents": list(_named(agents)), "complaints": dict(complaints or {})}
    return Frame(_head(snapshot, frameworks, resources, len(agents), palette), names, rows)


def _named(agents: Iterable[AgentRow]) -> Iterator[list[str]]:
    """Each agent with its size in words; most agents are of few sizes, so each size is put in words once."""
    written: dict[int, str] = {}
    for agent in agents:
        size = written.get(id(agent.total))
        if size is None:
            size = written[id(agent.total)] = str(agent.total)
        yield [agent.agent, size]


@lru_cache(maxsize=4 * AGENTS_DRAWN)
def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Order names as people do: agent-2 before agent-10."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name))


def _head(
    snapshot: Snapshot, frameworks: Sequence[FrameworkRow], resources: list[str], drawn: int, palette: Palette
) -> dict[str, Any]:
    return {
        "kind": "frame",
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
        "columns": COLUMNS + len(resources),
        "used": [_parts(snapshot, name) for name in resources],
        "frameworks": [framework_row(row, palette[row.framework]) for row in frameworks],
        "roles": [
            {"role": row.role, "weight": row.weight_milli / 1000, "share": round(row.share, 4)}
            for row in snapshot.roles
        ],
    }


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


# -- the pieces of an agent -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Piece:
    framework: int
    kind: int
    count: int
    amounts: Mapping[str, int]


def _pieces(agent: AgentRow, index: Mapping[str, int], *, detailed: bool) -> Iterable[_Piece]:
    """Tasks first, by framework, then offers: pieces of one colour lie beside each other."""
    pieces: Iterable[_Piece] = _singles(agent, index)
    return sorted(pieces if detailed else _merged(pieces), key=_order)


def _order(piece: _Piece) -> tuple[bool, int]:
    return piece.kind == OFFERED, piece.framework


def _singles(agent: AgentRow, index: Mapping[str, int]) -> Iterator[_Piece]:
    other = len(index)  # a framework beyond those shown: drawn grey
    for task in agent.tasks:
        yield _Piece(index.get(task.framework, other), _KINDS.get(task.state, RUNNING), 1, task.needs.amounts)
    for offer in agent.offers:
        yield _Piece(index.get(offer.framework, other), OFFERED, 1, offer.resources.amounts)
    if agent.task_count > len(agent.tasks):
        yield _Piece(other, RUNNING, agent.task_count - len(agent.tasks), _unnamed(agent))


def _unnamed(agent: AgentRow) -> dict[str, int]:
    """Add up what the tasks hold that the snapshot only counts."""
    left = agent.total - agent.free
    for held in (*(offer.resources for offer in agent.offers), *(task.needs for task in agent.tasks)):
        left -= held
    return dict(left.amounts)


def _merged(pieces: Iterable[_Piece]) -> Iterable[_Piece]:
    merged: dict[tuple[int, int], _Piece] = {}
    for piece in pieces:
        if (known := merged.get(key := (piece.framework, piece.kind))) is None:
            merged[key] = _Piece(*key, piece.count, dict(piece.amounts))
            continue
        known.count += piece.count
        held: dict[str, int] = known.amounts  # type: ignore[assignment]  # its own copy, made above
        for name, amount in piece.amounts.items():
            held[name] = held.get(name, 0) + amount
    return merged.values()


def _fractions(amounts: Mapping[str, int], agent: AgentRow, resources: Iterable[str]) -> Iterator[float]:
    total = agent.total.amounts
    return (amounts.get(name, 0) / total[name] if total.get(name) else 0.0 for name in resources)


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
