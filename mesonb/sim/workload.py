"""Workloads: who submits how many tasks, when, and how big; read from a table or made by ``mesonb.sim.generators``.

A workload is a plain list of ``Job``. Rule: amounts are exact integers (microseconds, thousandths of a cpu, bytes), and
a table is either read whole or refused with the row that is wrong, so nothing runs on half of one.

The table is CSV with the columns ``workload,submitted,tasks,duration,cpus,mem``: times in seconds, cpus and memory a
task, memory in GB (or as people write it: "512MiB"). Rows of one workload stand in the order they are submitted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from mesonb.core.resources import show
from mesonb.core.units import SECOND_US, parse_bytes, parse_duration, show_duration
from mesonb.errors import BadValue

COLUMNS = ("workload", "submitted", "tasks", "duration", "cpus", "mem")
#: What a command says of it; a bare number is seconds, or GB.
CSV_SAID = f"a CSV with the columns {','.join(COLUMNS)}, one job a row: batch,15.6,20,30s,1,2GB"
_GB = 10**9
Amount = TypeVar("Amount", int, Fraction)
#: No number of a table is larger: seconds, tasks, cpus, gigabytes.
LARGEST = 10**9
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Job:
    """Some equal tasks, submitted together."""

    workload: str
    submitted_us: int
    tasks: int
    duration_us: int  #: of each task, from its start
    cpus_milli: int  #: of each task
    mem_bytes: int  #: of each task
    row: int = field(default=0, compare=False)  #: where it stands in its table, for errors; 0 when it was generated

    def __str__(self) -> str:
        where = f"row {self.row}" if self.row else f"the job submitted at {show_duration(self.submitted_us)}"
        return f"{where} ({self.workload}, {self.tasks} tasks)"


def read_csv(path: str | Path) -> list[Job]:
    """Read a table of jobs; the first bad row is an error that names it."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue(f"{path} cannot be read as a workload: {error}") from None
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    _check_columns(path, rows.fieldnames or ())
    jobs = [_job(path, rows.line_num, row) for row in rows]
    if not jobs:
        raise BadValue(f"{path} holds no jobs below its header; one row is e.g. Batch,15.6,119,3.5,1,2")
    _check_order(path, jobs)
    return jobs


def write_csv(path: str | Path, jobs: Iterable[Job]) -> None:
    """Write jobs as a table that ``read_csv`` reads back equal."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for job in jobs:
            times = [_plain(job.submitted_us, SECOND_US), job.tasks, _plain(job.duration_us, SECOND_US)]
            out.writerow([job.workload, *times, _plain(job.cpus_milli, 1000), _plain(job.mem_bytes, _GB)])


def check_fits(jobs: Iterable[Job], machines: Sequence[tuple[int, int]]) -> None:
    """Refuse a job of which no task fits on any machine; machines are (cpus_milli, mem_bytes)."""
    kinds = sorted(set(machines))
    for job in jobs:
        if not any(job.cpus_milli <= cpus and job.mem_bytes <= mem for cpus, mem in kinds):
            raise BadValue(
                f"{job}: a task needs {show('cpus', job.cpus_milli)} cpus and {show('mem', job.mem_bytes)}, and no machine "
                f"has both; the largest has {_largest(kinds)}. Give larger machines (cpus=, mem=) or leave the job out"
            )


def by_workload(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """Jobs under the name of their workload, names in order."""
    out: dict[str, list[Job]] = {}
    for job in jobs:
        out.setdefault(job.workload, []).append(job)
    return {name: out[name] for name in sorted(out)}


def last_submission_us(jobs: Iterable[Job]) -> int:
    """When the last job is submitted; 0 for no jobs."""
    return max((job.submitted_us for job in jobs), default=0)


# -- one row --------------------------------------------------------------------------------------------------------


def _job(path: Path, line: int, row: dict[str, str]) -> Job:
    try:
        _check_cells(row)
        return Job(
            workload=_name(row["workload"]),
            submitted_us=_seconds("submitted", row["submitted"]),
            tasks=_count(row["tasks"]),
            duration_us=_seconds("duration", row["duration"]),
            cpus_milli=_cpus(row["cpus"]),
            mem_bytes=_mem(row["mem"]),
            row=line,
        )
    except BadValue as error:
        raise BadValue(f"{path}, row {line}: {error}") from None


def _check_cells(row: dict[str, str]) -> None:
    """Refuse a row with more or fewer cells than the header; ``csv`` puts the former under None, and None for the latter."""
    if more := row.get(None):  # type: ignore[call-overload]  # as its documentation says
        raise BadValue(f"there is more than the header has columns: {', '.join(more)}")
    if short := next((name for name in COLUMNS if row[name] is None), None):
        raise BadValue(f"it ends before {short}; it must read {','.join(COLUMNS)}")


def _name(text: str | None) -> str:
    if not (text and text.strip()):
        raise BadValue("the workload has no name; write e.g. Batch or Service")
    return text.strip()


def _number(column: str, text: str | None) -> Fraction:
    if not _DECIMAL.fullmatch((text or "").strip()):
        raise BadValue(f"{column}={text!r} is not a number")
    number = Fraction((text or "").strip())
    if number < 0:
        raise BadValue(f"{column}={text} is negative; it must be zero or more")
    return _bounded(column, text, number, 1)


def _bounded(column: str, text: str | None, amount: Amount, unit: int) -> Amount:
    if amount > LARGEST * unit:
        raise BadValue(f"{column}={text!s:.40} is more than a workload can hold, {LARGEST:,}")
    return amount


def _seconds(column: str, text: str | None) -> int:
    if text and text.strip()[-1:].isalpha():
        return _bounded(column, text, parse_duration(text), SECOND_US)
    return round(_number(column, text) * SECOND_US)


def _count(text: str | None) -> int:
    number = _number("tasks", text)
    if number.denominator != 1 or number < 1:
        raise BadValue(f"tasks={text} is not a whole number of at least 1")
    return int(number)


def _cpus(text: str | None) -> int:
    cpus_milli = round(_number("cpus", text) * 1000)
    if cpus_milli < 1:
        raise BadValue(f"cpus={text} is less than a thousandth of a cpu; a task needs some")
    return cpus_milli


def _mem(text: str | None) -> int:
    if text and text.strip()[-1:].isalpha():
        return _bounded("mem", text, parse_bytes(text), _GB)
    return round(_number("mem", text) * _GB)


# -- the whole table ------------------------------------------------------------------------------------------------


def _check_columns(path: Path, found: Iterable[str]) -> None:
    if len(only := list(found)) == 1 and ";" in only[0]:
        raise BadValue(f"{path}: row 1 reads {only[0][:40]!r}; columns are separated by commas: {','.join(COLUMNS)}")
    found = list(found)
    if twice := [column for column in COLUMNS if found.count(column) > 1]:
        raise BadValue(f"{path}: row 1 has the column {twice[0]} twice; it must read {','.join(COLUMNS)}")
    if missing := [column for column in COLUMNS if column not in found]:
        raise BadValue(
            f"{path}: row 1 lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it must read {','.join(COLUMNS)}"
        )


def _check_order(path: Path, jobs: Iterable[Job]) -> None:
    latest: dict[str, Job] = {}
    for job in jobs:
        before = latest.get(job.workload)
        if before and job.submitted_us < before.submitted_us:
            raise BadValue(
                f"{path}, row {job.row}: {job.workload} submitted at {show_duration(job.submitted_us)}, before row {before.row} "
                f"at {show_duration(before.submitted_us)}; sort each workload's rows by submitted"
            )
        latest[job.workload] = job


def _largest(kinds: Sequence[tuple[int, int]]) -> str:
    cpus, mem = kinds[-1]
    return f"{show('cpus', cpus)} cpus and {show('mem', mem)}"


def _plain(amount: int, unit: int) -> str:
    """An exact decimal, without an exponent.

    >>> _plain(3_492_802, 1_000_000), _plain(2000, 1000)
    ('3.492802', '2')
    """
    whole, part = divmod(amount, unit)
    return f"{whole}.{str(part).zfill(len(str(unit)) - 1)}".rstrip("0").rstrip(".") if part else str(whole)
