"""The same workload under several architectures, side by side: ``compare(workload, architectures=[...])``.

The result shows itself as a table, in text and in a notebook; ``figure()`` draws it with Bokeh, which is imported only
there. Every architecture is given the same jobs, machines, decision times and seeds; a figure over several seeds is the
mean over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesonb.core.allocator import Allocator
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue
from mesonb.sim.architectures.monolithic import Monolithic
from mesonb.sim.architectures.omega import Omega
from mesonb.sim.architectures.peragent import TwoLevel
from mesonb.sim.architectures.run import Architecture, Case, measure
from mesonb.sim.architectures.twolevel import TwoLevel2011
from mesonb.sim.architectures.world import Think
from mesonb.sim.table import as_html, as_text
from mesonb.sim.workload import Job, read_csv

if TYPE_CHECKING:
    from bokeh.models import GridPlot

Time = float | str
#: Jobs, or the table they stand in.
Jobs = Sequence[Job] | str | Path


def usual() -> list[Architecture]:
    """The four of Omega's paper: what is compared when nothing is said."""
    return [Monolithic("single"), Monolithic("multi"), TwoLevel2011(), Omega()]


def compare(
    workload: Jobs,
    architectures: Iterable[Architecture] | None = None,
    *,
    allocators: Iterable[Allocator] = (),
    machines: int | Sequence[Resources] = 1000,
    cpus: float = 4,
    mem: float | str = "16GB",
    prefill: Jobs = (),
    t_job: Time | Mapping[str, Time] = 0.1,
    t_task: Time | Mapping[str, Time] = 0.005,
    until: Time | None = None,
    seed: int = 1,
    seeds: int = 1,
) -> Comparison:
    """Run a workload under each architecture and return the measures as a table.

    ``allocators`` compares allocation modules: each stands for today's two-level form with it; given alone, nothing else
    is compared. With neither, the four of Omega's paper are.

    ``machines`` is how many there are of ``cpus`` and ``mem`` each, or the machines themselves. ``prefill`` fills the
    cell beforehand. A scheduler decides for ``t_job`` + ``t_task`` x tasks on each job: one time for all, or by workload
    (others keep 0.1 s and 5 ms). ``until`` ends the run (else the first whole minute after the last submission);
    ``seeds`` counts upwards from ``seed``.
    """
    if seeds < 1:
        raise BadValue(f"seeds={seeds}; at least one run is needed to compare anything")
    given = case(workload, machines, cpus, mem, prefill, t_job, t_task, until)
    compared = [*(architectures or ()), *(TwoLevel(allocator) for allocator in allocators)] or usual()
    runs = range(seed, seed + seeds)
    rows = [mean_of([measure(architecture, given, one) for one in runs]) for architecture in compared]
    return Comparison(rows, given, seeds)


def case(
    workload: Jobs,
    machines: int | Sequence[Resources],
    cpus: float,
    mem: float | str,
    prefill: Jobs,
    t_job: Time | Mapping[str, Time],
    t_task: Time | Mapping[str, Time],
    until: Time | None,
) -> Case:
    """Read what people write into what every architecture is given."""
    jobs = _jobs(workload)
    if not jobs:
        raise BadValue("the workload holds no jobs, so there is nothing to compare")
    names = sorted({job.workload for job in jobs})
    job_us, task_us = _by_workload("t_job", t_job, names, 100_000), _by_workload("t_task", t_task, names, 5_000)
    think = {name: Think(job_us[name], task_us[name]) for name in names}
    return Case(jobs, _machines(machines, cpus, mem), think, _jobs(prefill), _end(until))


@dataclass(slots=True)
class Comparison:
    """Measures of each architecture: ``rows`` are plain dictionaries, one an architecture."""

    rows: list[dict[str, Any]]
    case: Case = field(repr=False)
    seeds: int = 1

    def __getitem__(self, architecture: str) -> dict[str, Any]:
        for row in self.rows:
            if row["architecture"] == architecture:
                return row
        raise KeyError(
            f"{architecture!r} was not compared; there are {', '.join(row['architecture'] for row in self.rows)}"
        )

    def lines(self) -> list[list[str]]:
        """The table as people read it: a line an architecture and workload, the header first."""
        return [list(_COLUMNS)] + [_line(row, workload) for row in self.rows for workload in row["jobs"]]

    def __repr__(self) -> str:
        return as_text(self.lines())

    def _repr_html_(self) -> str:
        return as_html(self.lines())

    def figure(self) -> GridPlot:
        """Four bar charts with Bokeh: busyness, conflicts, wait to the first attempt, jobs placed."""
        from mesonb.sim.compare_figure import draw  # Bokeh is slow to import and not needed for the table

        return draw(self.rows)


_COLUMNS = (
    "architecture", "workload", "busyness", "conflicts", "wait first", "wait full", "placed", "abandoned", "cpus used", "cpus locked",
)  # fmt: skip


def _line(row: dict[str, Any], workload: str) -> list[str]:
    return [
        row["architecture"],
        workload,
        _show(row["busyness"][workload], "{:.3f}"),
        _show(row["conflict_fraction"][workload], "{:.3f}"),
        _show(row["wait_first_s"][workload], "{:.2f} s"),
        _show(row["wait_full_s"][workload], "{:.2f} s"),
        f"{row['placed'][workload]:g} of {row['jobs'][workload]:g}",
        f"{row['abandoned'][workload]:g}",
        f"{row['utilisation']['cpus']:.1%}",
        f"{row['locked_share']:.1%}",
    ]


def _show(value: float | None, how: str) -> str:
    return "-" if value is None else how.format(value)


def mean_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row for several seeds: numbers are means over the runs that have them, words must be equal.

    >>> mean_of([{"name": "a", "busy": {"x": 0.25}}, {"name": "a", "busy": {"x": 0.75}}])
    {'name': 'a', 'busy': {'x': 0.5}}
    """
    return {key: _mean([row[key] for row in rows]) for key in rows[0]} if len(rows) > 1 else dict(rows[0])


def _mean(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return mean_of(values)
    numbers = [value for value in values if isinstance(value, int | float)]
    return sum(numbers) / len(numbers) if numbers else values[0]


def _jobs(jobs: Jobs) -> Sequence[Job]:
    return read_csv(jobs) if isinstance(jobs, str | Path) else jobs


def _machines(machines: int | Sequence[Resources], cpus: float, mem: float | str) -> list[tuple[int, int]]:
    listed = [Resources(cpus=cpus, mem=mem)] * machines if isinstance(machines, int) else machines
    if not listed:
        raise BadValue(f"machines={machines!r}; a cell has at least one")
    return [(machine.amounts.get("cpus", 0), machine.mem) for machine in listed]


def _by_workload(what: str, given: Time | Mapping[str, Time], names: Sequence[str], usual_us: int) -> dict[str, int]:
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, parse_duration(given))
    known, out = {name.lower(): name for name in names}, dict.fromkeys(names, usual_us)
    for name, time in given.items():
        if name.lower() not in known:
            raise BadValue(f"{what} names the workload {name!r}; there are {', '.join(names)}")
        out[known[name.lower()]] = parse_duration(time)
    return out


def _end(until: Time | None) -> int:
    if until is None:
        return 0
    end_us = parse_duration(until)
    if not end_us:
        raise BadValue(f"until={until!r} ends the run before it begins; give a time after 0")
    return end_us
