"""Heat: a large cluster as a map, one cell an agent: its colour says who holds most of it, its depth how full it is.

A cell is one uint32: the framework's number in the lowest byte (255: none, or one that is not shown), then how much is
filled by tasks, then how much is offered, each in 255ths of the fullest resource. Agents stand in the order in which they
joined. Rule: what is sent is what differs from the cells that the receiver has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mesonb.core.snapshot import Snapshot, Spots
from mesonb.panels.view import Frame, Palette, head_of, index_of

NOBODY = 255  # a head lists fewer frameworks
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


def heat_of(
    snapshot: Snapshot, spots: Spots, palette: Palette, complaints: Mapping[str, Any], before: Frame | None = None
) -> Heat:
    """Draw all agents as cells."""
    last = before if isinstance(before, Heat) else None
    same = last is not None and last.snapshot.spots is not None and last.snapshot.spots.agents is spots.agents
    agents = last.names["agents"] if last and same else named(spots)
    head, index = head_of(snapshot, "heat", len(spots.agents), palette), index_of(snapshot)
    return Heat(head, {"agents": agents, "complaints": dict(complaints)}, snapshot, _cells(spots, len(index)), index)


def _cells(spots: Spots, shown: int) -> Cells:
    holder = np.array(spots.holder, np.uint32)
    holder[holder >= min(shown, NOBODY)] = NOBODY
    cells: Cells = holder | _levels(spots.filled) << np.uint32(8) | _levels(spots.offered) << np.uint32(16)
    return cells


def _levels(parts: Sequence[float]) -> Cells:
    """Return parts (0..1) in 255ths; only nothing is 0.

    >>> _levels([0, 0.0001, 1]).tolist()
    [0, 1, 255]
    """
    found = np.array(parts, np.float32)
    return np.clip(np.rint(found * FULL), found > 0, FULL).astype(np.uint32)


def named(spots: Spots) -> dict[str, Any]:
    """Name all agents in few words: runs of counted names, and runs of one size.

    >>> from array import array
    >>> from mesonb import Resources
    >>> sizes = (Resources(cpus=4),) * 4
    >>> named(Spots(("agent-1", "agent-2", "agent-3", "agent-7"), sizes, array("I"), array("f"), array("f")))
    {'runs': [['agent-', 1, 3], ['agent-', 7, 1]], 'sizes': ['4 cpus'], 'sized': [[0, 4]]}
    """
    runs: list[list[Any]] = []
    following = None  #: what the next is called, if it counts on
    for agent in spots.agents:
        if agent == following:
            runs[-1][2] += 1
        else:
            runs.append([*counted(agent), 1])
        prefix, first, length = runs[-1]
        following = None if first is None else f"{prefix}{first + length}"
    words: dict[str, int] = {}
    sized = [[words.setdefault(str(total), len(words)), sum(1 for _ in same)] for total, same in groupby(spots.totals)]
    return {"runs": runs, "sizes": list(words), "sized": sized}


def counted(name: str) -> tuple[str, int | None]:
    """Split the number off the end of a name; None where it has none.

    >>> counted("agent-12"), counted("rack-007"), counted("gpu")
    (('agent-', 12), ('rack-00', 7), ('gpu', None))
    """
    found = _NUMBER.search(name)
    return (name[: found.start()], int(found.group())) if found else (name, None)
