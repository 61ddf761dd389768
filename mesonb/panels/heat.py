"""Heat: a large cluster as a map, one cell an agent: its colour says who holds most of it, its depth how full it is.

A cell is one uint32: the framework's number in the lowest byte (255: none, or one that is not shown), then how much is
filled by tasks, then how much is offered, each in 255ths of the fullest resource. Agents stand in the order in which they
joined. Rule: the cells are a copy of the frame before, brought up to date where a spot is another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, groupby
from operator import is_not
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mesonb.core.snapshot import Snapshot, Spot
from mesonb.panels.view import Frame, Palette, head_of, index_of

NOBODY = 255
FULL = 255
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,14})$")
Cells = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Heat(Frame):
    """A frame of agents as a heat map."""

    every_s: ClassVar[float] = 0.2
    cells: Cells = field(repr=False)
    index: Mapping[str, int] = field(repr=False)  #: the frameworks by number

    @property
    def data(self) -> bytes:
        """One number an agent."""
        return self.cells.astype("<u4").tobytes()

    def since(self, before: Frame) -> bytes | None:
        """Pairs of an agent's place and its number, where they changed; None where all of them are shorter."""
        if not isinstance(before, Heat) or len(before.cells) != len(self.cells) or self.index != before.index:
            return None
        changed = np.flatnonzero(self.cells != before.cells)
        if 2 * len(changed) >= len(self.cells):
            return None
        return np.column_stack((changed, self.cells[changed])).astype("<u4").tobytes()


def heat_of(snapshot: Snapshot, palette: Palette, complaints: Mapping[str, Any], before: Frame | None = None) -> Heat:
    """Draw all agents as cells."""
    spots, index = snapshot.spots, index_of(snapshot)
    head = head_of(snapshot, "heat", len(spots), palette)
    last = before if isinstance(before, Heat) and _same(snapshot, before.snapshot) else None
    agents = last.names["agents"] if last else named(spots)
    names = {"agents": agents, "complaints": dict(complaints)}
    if last and last.index == index:
        cells, old = last.cells.copy(), last.snapshot.spots
        moved = list(compress(range(len(spots)), map(is_not, spots, old)))
        cells[moved] = _cells((spots[number] for number in moved), index, len(moved))
    else:
        cells = _cells(spots, index, len(spots))
    return Heat(head, names, snapshot, cells, index)


def _same(snapshot: Snapshot, before: Snapshot) -> bool:
    """Whether these are the same agents in the same order, given that both pictures are of one core."""
    counts = snapshot.agents_joined, len(snapshot.spots), snapshot.spots[-1].agent
    return bool(before.spots) and counts == (before.agents_joined, len(before.spots), before.spots[-1].agent)


def _cells(spots: Iterable[Spot], index: Mapping[str, int], count: int) -> Cells:
    packed = (
        index.get(framework, NOBODY) | (_level(filled) << 8) | (_level(offered) << 16)
        for _, _, filled, offered, framework, _ in spots
    )
    return np.fromiter(packed, np.uint32, count)


def _level(part: float) -> int:
    """Return a part (0..1) in 255ths; only nothing is 0.

    >>> _level(0), _level(0.0001), _level(1)
    (0, 1, 255)
    """
    return min(FULL, max(1, round(FULL * part))) if part > 0 else 0


def named(spots: Sequence[Spot]) -> dict[str, Any]:
    """Name all agents in few words: runs of counted names, and runs of one size.

    >>> from mesonb import Resources
    >>> named([Spot(f"agent-{n}", Resources(cpus=4), 0, 0, "", 0) for n in (1, 2, 3, 7)])
    {'runs': [['agent-', 1, 3], ['agent-', 7, 1]], 'sizes': ['4 cpus'], 'sized': [[0, 4]]}
    """
    runs: list[list[Any]] = []
    for spot in spots:
        prefix, number = counted(spot.agent)
        if runs and number is not None and runs[-1][0] == prefix and runs[-1][1] + runs[-1][2] == number:
            runs[-1][2] += 1
        else:
            runs.append([prefix, number, 1])
    words: dict[str, int] = {}
    sized = [
        [words.setdefault(str(total), len(words)), sum(1 for _ in same)]
        for total, same in groupby(spots, key=lambda spot: spot.total)
    ]
    return {"runs": runs, "sizes": list(words), "sized": sized}


def counted(name: str) -> tuple[str, int | None]:
    """Split the number off the end of a name; None where it has none.

    >>> counted("agent-12"), counted("rack-007"), counted("gpu")
    (('agent-', 12), ('rack-00', 7), ('gpu', None))
    """
    found = _NUMBER.search(name)
    return (name[: found.start()], int(found.group())) if found else (name, None)
