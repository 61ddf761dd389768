"""FastDRF: the decisions of a whole DRF cycle in one compiled call, the same grants in the same order.

The kernel keeps the clients of one line sorted by (share, allocations, path) in an array, and moves whoever was given
something. It takes cycles in which each agent goes whole to one framework, and whose order is one line: all frameworks
in one role, or each in a role of its own. Amounts are divided by what they have in common; where a number would not
fit a double exactly, or a rule may cut an offer, or few agents changed, plain DRF decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

import numba
import numpy as np
from numpy.typing import NDArray

from mesonb.core.allocator import DRF, View
from mesonb.core.books import each
from mesonb.core.order import Client
from mesonb.core.pacing import Pacing
from mesonb.core.records import Agent, Grant

Ints = NDArray[np.int64]
#: Of each agent, the row of what is free there; those rows; what clients hold; what it is divided by; counts; bits; who may.
Filled = tuple[Ints, Ints, Ints, Ints, Ints, Ints, NDArray[np.uint64]]
#: Below this many agents plain Python is done before the arrays are filled.
WORTH_IT = 500
#: Integers up to here are exact as doubles, and so is the order of their quotients.
EXACT = 2**53


class FastDRF(DRF):
    """Dominant resource fairness, decided in compiled code where that is worth it."""

    def cycle(self, view: View) -> Iterator[Grant]:
        """Yield the grants that DRF would yield."""
        core = view._core
        agents = [agent for agent in core.agents.values() if agent.free] if len(core.dirty) >= WORTH_IT else []
        line = one_line(core) if len(agents) >= WORTH_IT and _plain(core) else None
        agents = list(view.agents_with_room()) if line else []
        owners = decide(core, agents, line) if line else None
        if owners is None or line is None:
            yield from super().cycle(view)
            return
        takers = [core.by_bit[client.bits] for client in line]
        for agent, owner in zip(agents, owners.tolist(), strict=True):
            if owner >= 0:
                yield Grant(agent, takers[owner], agent.free)
            else:
                assert view.next_in_line(agent) is None, f"the kernel found no taker for {agent.name}"


def one_line(core: Pacing) -> list[Client] | None:
    """Return the clients whose order decides, by path; None where more than one line does."""
    places = [key[3] for key in core.order.root.line or ()]
    if len(places) == 1 and places[0].seats:
        clients = [key[3] for key in places[0].line or ()]
    elif all(place.seats and place.line and len(place.line) == 1 for place in places):
        clients = places
    else:
        return None
    return sorted(clients, key=lambda client: client.path)


def decide(core: Pacing, agents: list[Agent], line: list[Client]) -> Ints | None:
    """Return for each agent who of the line gets it, or -1; None where doubles would not be exact."""
    filled = arrays(core, agents, line)
    return None if filled is None else kernel(*filled)


def arrays(core: Pacing, agents: list[Agent], line: list[Client]) -> Filled | None:
    """Lay out what the kernel needs; agents with the same free resources share one row."""
    names, kinds = list(core.order.total), {id(agent.free): agent.free for agent in agents}
    free = [[part._amounts.get(name, 0) for name in names] for part in kinds.values()]
    held = [[client.held.get(name, 0) for name in names] for client in line]
    totals = [core.order.total[name] for name in names]
    common = [gcd(total, *(row[i] for row in free), *(row[i] for row in held)) for i, total in enumerate(totals)]
    scale = [
        [total // part * client.weight_milli for total, part in zip(totals, common, strict=True)] for client in line
    ]
    if max(map(max, scale)) >= EXACT:
        return None
    row_of = {kind: number for number, kind in enumerate(kinds)}
    rows = np.array([row_of[id(agent.free)] for agent in agents], dtype=np.int64)
    counts = np.array([client.allocations for client in line], dtype=np.int64)
    bits = np.array([client.bits.bit_length() - 1 for client in line], dtype=np.int64)
    whole = [
        np.array([[n // part for n, part in zip(row, common, strict=True)] for row in part_of])
        for part_of in (free, held)
    ]
    return rows, whole[0], whole[1], np.array(scale, dtype=np.int64), counts, bits, _allowed(core, agents)


def _allowed(core: Pacing, agents: list[Agent]) -> NDArray[np.uint64]:
    """Return who may have each agent, a row of words, one bit a framework."""
    words = (core.active.bit_length() + 63) // 64 or 1
    rows = b"".join(_taker_bits(core, agent).to_bytes(8 * words, "little") for agent in agents)
    return np.frombuffer(rows, dtype="<u8").reshape(len(agents), words)


def _taker_bits(core: Pacing, agent: Agent) -> int:
    wanted = core.open_to(agent)
    for bit in each(wanted & agent.filtered):
        if not core.portion(agent, core.by_bit[bit]):
            wanted &= ~bit
    return wanted


def _plain(core: Pacing) -> bool:
    return not (core.bounded or core.optimistic or any(framework.terms for framework in core.frameworks.values()))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba ships no types
def kernel(
    rows: Ints, free: Ints, held: Ints, scale: Ints, counts: Ints, bits: Ints, allowed: NDArray[np.uint64]
) -> Ints:
    """Give each agent to the first of the order that may have it, and move that one back."""
    clients, resources = held.shape
    held, counts = held.copy(), counts.copy()
    share = np.zeros(clients)
    for c in range(clients):
        for r in range(resources):
            share[c] = max(share[c], held[c, r] / scale[c, r])
    order = np.arange(clients, dtype=np.int32)
    for i in range(1, clients):
        _sink_back(order, i, share, counts)
    owners = np.full(len(rows), -1)
    for a in range(len(rows)):
        for at in range(clients):
            c = order[at]
            if (allowed[a, bits[c] >> 6] >> np.uint64(bits[c] & 63)) & np.uint64(1):
                owners[a] = c
                counts[c] += 1
                for r in range(resources):
                    held[c, r] += free[rows[a], r]
                    share[c] = max(share[c], held[c, r] / scale[c, r])
                end = _end_of_those_before(order, at + 1, c, share, counts)
                for i in range(at, end):
                    order[i] = order[i + 1]
                order[end] = c
                break
    return owners


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # as above
def _end_of_those_before(order: Ints, low: int, c: int, share: NDArray[np.float64], counts: Ints) -> int:
    """Return the place of the last client, from ``low`` on, that comes before this one."""
    high = len(order)
    while low < high:
        middle = (low + high) // 2
        if _before(order[middle], c, share, counts):
            low = middle + 1
        else:
            high = middle
    return low - 1


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]  # as above
def _before(one: int, other: int, share: NDArray[np.float64], counts: Ints) -> bool:
    if share[one] != share[other]:
        return bool(share[one] < share[other])
    if counts[one] != counts[other]:
        return bool(counts[one] < counts[other])
    return one < other


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # as above
def _sink_back(order: Ints, i: int, share: NDArray[np.float64], counts: Ints) -> None:
    """Insert the i-th client where it belongs among those before it."""
    c = order[i]
    while i > 0 and _before(c, order[i - 1], share, counts):
        order[i] = order[i - 1]
        i -= 1
    order[i] = c
