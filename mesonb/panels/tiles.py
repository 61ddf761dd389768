"""Tiles: each agent as bars of what its tasks and offers hold, in float32 rows; what is free is what no row covers.

A row is (agent, framework, kind, how many, then the fraction of each resource). Rule: the rows of an agent that has not
changed are the very array of the frame before, so a frame costs what has changed, here and on the wire.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesonb.core.snapshot import AgentRow, Snapshot
from mesonb.panels.view import Frame, Palette, head_of, index_of, resources_of

#: Up to so many agents a row is one task; beyond, one framework's tasks on that agent.
DETAILED_AGENTS = 64
#: Agents drawn at most; the counts speak of all.
AGENTS_DRAWN = 1000
#: What the third number of a row says; EMPTY stands alone, for an agent that holds nothing any more.
RUNNING, STAGING, UNREACHABLE, OFFERED, EMPTY = range(5)
_KINDS = {"running": RUNNING, "staging": STAGING, "unreachable": UNREACHABLE}
#: Numbers before the fractions of a row: agent, framework, kind, how many.
COLUMNS = 4


@dataclass(frozen=True)
class Places:
    """Where agents are drawn: in the order in which people count."""

    of: tuple[int, ...]  #: by place in the snapshot
    named: list[list[str]]  #: by place on the board: the agent and its size in words


@dataclass(frozen=True)
class Tiles(Frame):
    """A frame of agents as tiles."""

    parts: tuple[array[float], ...] = field(repr=False)  #: the rows of each agent, as drawn
    basis: tuple[Any, ...] = field(repr=False)  #: what the numbers in the rows mean
    places: Places = field(repr=False)

    @property
    def rows(self) -> array[float]:
        """The rows of all agents."""
        return array("f", b"".join(self.parts))

    @property
    def data(self) -> bytes:
        """The rows of all agents, as float32."""
        return _packed(self.parts)

    def since(self, before: Frame) -> bytes | None:
        """The rows of agents that changed, each whole; None where all rows mean something else."""
        if not isinstance(before, Tiles) or self.basis != before.basis or self.places is not before.places:
            return None
        pairs = enumerate(zip(self.parts, before.parts, strict=True))
        return _packed(part or self._empty(place) for place, (part, old) in pairs if part is not old)

    def _empty(self, place: int) -> array[float]:
        return array("f", (place, 0, EMPTY, *[0] * (self.head["columns"] - 3)))


def tiles_of(snapshot: Snapshot, palette: Palette, complaints: Mapping[str, Any], before: Frame | None = None) -> Tiles:
    """Draw the first agents as tiles."""
    agents, resources, index = snapshot.agents[:AGENTS_DRAWN], resources_of(snapshot), index_of(snapshot)
    head = head_of(snapshot, "tiles", len(agents), palette) | {"columns": COLUMNS + len(resources)}
    basis = (tuple(index), tuple(resources), len(agents) <= DETAILED_AGENTS)
    last = before if isinstance(before, Tiles) else None
    places = last.places if last and _same(agents, last.snapshot.agents) else _places(agents)
    names = {"agents": places.named, "complaints": dict(complaints)}
    if last and last.places is places and last.basis == basis:
        parts, moved = list(last.parts), _moved(agents, last.snapshot.agents)
    else:
        parts, moved = [array("f")] * len(agents), list(range(len(agents)))
    for number in moved:
        place = places.of[number]
        part = _part(place, agents[number], index, resources, detailed=basis[2])
        if part != parts[place]:
            parts[place] = part
    return Tiles(head, names, snapshot, tuple(parts), basis, places)


def _moved(agents: Sequence[AgentRow], before: Sequence[AgentRow]) -> list[int]:
    return [number for number, (row, old) in enumerate(zip(agents, before, strict=False)) if row is not old]


def _same(agents: Sequence[AgentRow], before: Sequence[AgentRow]) -> bool:
    """Whether these are the same agents, of the same sizes, in the same order."""
    return len(agents) == len(before[:AGENTS_DRAWN]) and all(
        row is old or (row.agent == old.agent and row.total == old.total)
        for row, old in zip(agents, before, strict=False)
    )


def _places(agents: Sequence[AgentRow]) -> Places:
    ordered = sorted(range(len(agents)), key=lambda number: _natural(agents[number].agent))
    of = [0] * len(agents)
    for place, number in enumerate(ordered):
        of[number] = place
    return Places(tuple(of), [[agents[number].agent, str(agents[number].total)] for number in ordered])


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Order names as people do: agent-2 before agent-10."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name))


def _packed(parts: Iterable[array[float]]) -> bytes:
    joined = b"".join(parts)
    if sys.byteorder == "big":
        swapped = array("f", joined)
        swapped.byteswap()
        return swapped.tobytes()
    return joined


# -- the pieces of an agent -------------------------------------------------------------------------------------------


def _part(
    place: int, agent: AgentRow, index: Mapping[str, int], resources: Sequence[str], *, detailed: bool
) -> array[float]:
    rows = array("f")
    for piece in _pieces(agent, index, detailed=detailed):
        rows.extend((place, piece.framework, piece.kind, piece.count, *_fractions(piece.amounts, agent, resources)))
    return rows


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
