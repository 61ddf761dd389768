"""Sweep: one function at every combination of some parameters, over all cores, as a table.

    def run(agents, offer_size):
        simulation = mb.Simulation(agents=agents, offer_size=offer_size, seed=1)
        ...
        return {"done": simulation.now_us() / 1e6, "share": ...}

    mb.sweep(run, agents=[100, 1000], offer_size=[None, mb.Resources(cpus=1)])

Rule: a row holds its parameters and what the function returned, in the order of the parameters, whichever core was first.
The function travels to its process by value, so one from a notebook cell will do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from typing import Any

import cloudpickle

from mesonb.errors import BadValue
from mesonb.sim.table import as_html, as_text


class Table(list[dict[str, Any]]):
    """Rows that show themselves, in text and in a notebook."""

    def lines(self) -> list[list[str]]:
        """The table as people read it, the header first."""
        columns = list(dict.fromkeys(name for row in self for name in row))
        return [columns] + [[_shown(row.get(name, "")) for name in columns] for row in self]

    def __repr__(self) -> str:
        return as_text(self.lines())

    def _repr_html_(self) -> str:
        return as_html(self.lines())


def sweep(run: Callable[..., Any], processes: int | None = None, **parameters: Iterable[Any]) -> Table:
    """Call ``run`` with every combination of the parameters; what it returns (a dictionary, or one value) is the row's rest."""
    for name, values in parameters.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise BadValue(f"{name}={values!r} is one value; a sweep wants several: {name}=[{values!r}]")
    points = [dict(zip(parameters, values, strict=True)) for values in product(*map(list, parameters.values()))]
    if not points:
        raise BadValue("there is nothing to sweep over: some parameter has no values")
    processes = min(processes or os.cpu_count() or 1, len(points))
    if processes == 1:
        return Table(_row(point, run(**point)) for point in points)
    packed = [cloudpickle.dumps(partial(run, **point)) for point in points]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return Table(_row(point, result) for point, result in zip(points, pool.map(_called, packed), strict=True))


def _called(packed: bytes) -> Any:
    return cloudpickle.loads(packed)()


def _row(point: dict[str, Any], result: Any) -> dict[str, Any]:
    return point | (result if isinstance(result, dict) else {"result": result})


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
