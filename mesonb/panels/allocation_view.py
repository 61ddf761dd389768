"""Allocation, the pure half: DRF as water filling, and whose turn it is.

Each framework is a basin as wide as its part of its role's weight, filled as high as its dominant share reaches: share
divided by weight. DRF pours into the lowest basin, roles first. Rule: everything comes from one snapshot; the order is
that of mesonb.core.order, which a test holds it to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from mesonb.core.resources import NOTHING, Resources
from mesonb.core.snapshot import FrameworkRow, Snapshot, dominant_share

#: Basins drawn at most.
BASINS = 60


@dataclass(frozen=True, slots=True)
class Basin:
    """One framework: its width is weight, its height share / weight, so its area is its share."""

    framework: str
    role: str
    left: float
    right: float
    tasks: float  #: how high its tasks alone fill it
    level: float  #: and with what it is offered


@dataclass(frozen=True, slots=True)
class Shore:
    """One role: the level of all that its frameworks hold together."""

    role: str
    left: float
    right: float
    weight: float
    share: float
    level: float


def basins(snapshot: Snapshot) -> tuple[list[Basin], list[Shore]]:
    """Return the basins from left to right, role by role, and the roles' own levels."""
    members: defaultdict[str, list[FrameworkRow]] = defaultdict(list)
    for row in snapshot.frameworks[:BASINS]:
        members[row.role].append(row)
    found, shores, left = [], [], 0.0
    for role in (role for role in snapshot.roles if members[role.role]):
        weight = role.weight_milli / 1000
        shores.append(Shore(role.role, left, left + weight, weight, role.share, role.share / weight))
        for row in members[role.role]:
            width = weight / len(members[role.role])
            found.append(Basin(row.framework, role.role, left, left + width, row.task_share / width, row.share / width))
            left += width
    return found, shores


@dataclass(frozen=True, slots=True)
class Bound:
    """What is said of a role, as the level that its water reaches there: of a limit, by the resource that runs out first."""

    left: float
    right: float
    level: float
    kind: str  #: "guarantee" or "limit"


def bounds(shores: list[Shore], said: Mapping[str, Mapping[str, Resources]], total: Resources) -> list[Bound]:
    """Return the guarantees and limits of the roles drawn; ``said`` is both, by kind and then by role."""
    found = []
    for shore in shores:
        for kind, by_role in said.items():
            if amount := by_role.get(shore.role):
                parts = [n / total.amounts[name] for name, n in amount.amounts.items() if total.amounts.get(name)]
                if parts:
                    share = min(parts) if kind == "limit" else max(parts)
                    found.append(Bound(shore.left, shore.right, share / shore.weight, kind))
    return found


def water_level(shores: list[Shore]) -> float:
    """Where all roles would stand if what is held were spread by weight.

    >>> water_level([Shore("a", 0, 1, 1, 0.5, 0.5), Shore("b", 1, 4, 3, 0.3, 0.1)])
    0.2
    """
    weight = sum(shore.weight for shore in shores)
    return sum(shore.share for shore in shores) / weight if weight else 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """One level of the order: a role on the way to a framework, or the framework in its role."""

    level: float  #: dominant share / weight
    allocations: int
    path: str


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a framework stands in the order."""

    framework: str
    role: str
    places: tuple[Place, ...]  #: from the outermost role to the framework itself
    asks: bool  #: it takes offers now

    @property
    def key(self) -> list[tuple[float, int, str]]:
        """Sorts first whose turn it is."""
        return [(place.level, place.allocations, place.path) for place in self.places]


def turns(snapshot: Snapshot) -> list[Turn]:
    """Return every framework, the one whose turn it is first, as DRF orders them."""
    weights = {role.role: role.weight_milli / 1000 for role in snapshot.roles}
    held: defaultdict[str, Resources] = defaultdict(lambda: NOTHING)
    allocations: defaultdict[str, int] = defaultdict(int)
    paths = {row.framework: _path(row.role, weights) for row in snapshot.frameworks}
    for row in snapshot.frameworks:
        for place in paths[row.framework]:
            held[place] += row.allocated
            allocations[place] += row.counts.get("offers_made", 0)
    places = {
        place: Place(dominant_share(held[place], snapshot.shared) / weights.get(place, 1.0), allocations[place], place)
        for place in held
    }
    found = [
        Turn(
            row.framework, row.role,
            (*(places[place] for place in paths[row.framework]), Place(row.share, row.counts.get("offers_made", 0), row.framework)),
            not (row.suppressed or row.leaving),
        )
        for row in snapshot.frameworks
    ]  # fmt: skip
    return sorted(found, key=lambda turn: turn.key)


def _path(role: str, roles: Mapping[str, float]) -> list[str]:
    """Return the places from the outermost role inwards; a role with roles below it keeps its own frameworks apart."""
    parts = role.split("/")
    inner = any(other.startswith(f"{role}/") for other in roles)
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)] + ([f"{role}/."] if inner else [])


def because(first: Turn, other: Turn) -> str:
    """Say why one stands before another, at the level where they part.

    >>> a = Turn("a", "lab", (Place(0.1, 3, "lab"), Place(0.1, 3, "a")), True)
    >>> b = Turn("b", "ops", (Place(0.25, 1, "ops"), Place(0.25, 1, "b")), True)
    >>> because(a, b)
    'role lab stands at 0.100, role ops at 0.250'
    """
    for ours, theirs in zip(first.places, other.places, strict=False):
        if ours.path == theirs.path:
            continue
        one, two = (f"{_kind(place, turn)} {place.path}" for place, turn in ((ours, first), (theirs, other)))
        if ours.level != theirs.level:
            return f"{one} stands at {ours.level:.3f}, {two} at {theirs.level:.3f}"
        if ours.allocations != theirs.allocations:
            return (
                f"{one} and {two} are level; {one} had {ours.allocations:,} offers so far, {two} {theirs.allocations:,}"
            )
        return f"{one} and {two} are level in all; names decide"
    return "they are the same"


def _kind(place: Place, turn: Turn) -> str:
    return "framework" if place is turn.places[-1] else "role"
