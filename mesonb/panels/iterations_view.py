"""Iterations, the pure half: from what frameworks report of their progress to curves, pace, and when they will be done.

A report is what ``self.progress(iteration=3, total=10, loss=0.2)`` said; ``iteration`` and ``total`` have a meaning
here, anything else is a curve of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

#: Points of a curve, at most; the newest is always among them.
POINTS = 1000
#: Curves of one framework, at most.
CURVES = 6
#: The pace is the median over so many of the newest iterations.
RECENT = 20
US = 1_000_000

Report = tuple[int, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a framework iterates."""

    iteration: float | None
    total: float | None
    each_us: float | None  #: median time of the newest iterations
    left_us: float | None  #: until the total is reached at this pace


def pace(reports: Sequence[Report]) -> Pace:
    """Tell where a framework is, and when it will be through.

    >>> pace([(0, {"iteration": 1, "total": 5}), (2_000_000, {"iteration": 2, "total": 5})])
    Pace(iteration=2, total=5, each_us=2000000.0, left_us=6000000.0)
    """
    last = reports[-1][1] if reports else {}
    iteration, total = last.get("iteration"), last.get("total")
    recent = [took_us for _, took_us in times(reports[-10 * RECENT :])][-RECENT:]
    each_us = float(median(recent)) if recent else None
    left_us = None if each_us is None or total is None or iteration is None else max(0.0, total - iteration) * each_us
    return Pace(iteration, total, each_us, left_us)


def times(reports: Sequence[Report]) -> list[tuple[float, float]]:
    """Return (iteration, microseconds it took) for every step forward; what was reported at once took equal parts."""
    found: list[tuple[float, float]] = []
    at_us, at = 0, None
    for now_us, figures in reports:
        iteration = figures.get("iteration")
        if iteration is None or iteration == at:
            continue
        if at is not None and iteration > at:
            found.append((iteration, (now_us - at_us) / (iteration - at)))
        at_us, at = now_us, iteration
    return found


def curves(reports: Sequence[Report], began_us: int = 0) -> dict[str, list[tuple[float, float]]]:
    """Return a curve for each figure: over iterations where those are counted, over seconds otherwise."""
    counted = any("iteration" in figures for _, figures in reports)
    found: dict[str, dict[float, float]] = {}
    for now_us, figures in reports:
        x = figures.get("iteration") if counted else (now_us - began_us) / US
        for name, value in figures.items():
            if name not in ("iteration", "total") and x is not None and (name in found or len(found) < CURVES):
                found.setdefault(name, {})[x] = value
    return {name: thinned(list(points.items())) for name, points in found.items()}


def thinned(points: Sequence[tuple[float, float]], most: int = POINTS) -> list[tuple[float, float]]:
    """Keep at most so many points, the newest among them.

    >>> thinned([(1, 0.1), (2, 0.2), (3, 0.3)], most=2)
    [(1, 0.1), (3, 0.3)]
    """
    stride = max(1, -(-len(points) // most))
    return list(points[(len(points) - 1) % stride :: stride])
