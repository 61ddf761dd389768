"""``mesonb compare W.csv``: several architectures on one workload, as a table or as one JSON line each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from mesonb.errors import BadValue
from mesonb.sim.architectures import (
    Monolithic,
    Omega,
    Priorities,
    Scored,
    TwoLevel,
    TwoLevel2011,
    least_allocated,
    most_allocated,
    nomad,
)
from mesonb.sim.architectures.run import Architecture
from mesonb.sim.compare import compare, usual
from mesonb.sim.workload import CSV_SAID

#: What ``--architecture`` may name.
NAMED: dict[str, Callable[[], Architecture]] = {
    "monolithic-single": lambda: Monolithic("single"),
    "monolithic-multi": lambda: Monolithic("multi"),
    "priorities": Priorities,
    "least-allocated": lambda: Monolithic(placement=Scored(least_allocated)),
    "most-allocated": lambda: Monolithic(placement=Scored(most_allocated)),
    "nomad": lambda: Monolithic(placement=Scored(nomad)),
    "two-level-2011": TwoLevel2011,
    "two-level": TwoLevel,
    "omega": Omega,
    "omega-coarse": lambda: Omega("coarse"),
    "omega-gang": lambda: Omega(commits="gang"),
    "omega-coarse-gang": lambda: Omega("coarse", "gang"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("workload", help=CSV_SAID)
    parser.add_argument("--prefill", default=(), metavar="CSV", help="what the cell is already full of at the start")
    parser.add_argument("--machines", type=int, default=1000, help="how many machines (default: %(default)s)")
    parser.add_argument("--cpus", type=float, default=4, help="cpus of each (default: %(default)s)")
    parser.add_argument("--mem", default="16GB", help="memory of each (default: %(default)s)")
    for workload in ("service", "batch"):
        parser.add_argument(
            f"--t-job-{workload}", metavar="TIME", help=f"decision time a {workload} job (default: 0.1)"
        )
        parser.add_argument(
            f"--t-task-{workload}", metavar="TIME", help=f"decision time a {workload} task (default: 0.005)"
        )
    parser.add_argument(
        "--until", metavar="TIME", help="end of the run (default: the first minute after the last submission)"
    )
    parser.add_argument(
        "--architecture",
        action="append",
        choices=sorted(NAMED),
        help="one of those to compare; may be repeated (default: four)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the placement dice (default: %(default)s)")
    parser.add_argument(
        "--seeds", type=int, default=1, help="mean over so many seeds, counted from --seed (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON line an architecture instead of a table")


def run(args: argparse.Namespace) -> int:
    """Compare and print; a mistake in the table or the arguments is one line on standard error, and 2."""
    try:
        result = compare(
            args.workload,
            [NAMED[name]() for name in args.architecture] if args.architecture else usual(),
            machines=args.machines,
            cpus=args.cpus,
            mem=args.mem,
            prefill=args.prefill,
            t_job=_given(service=args.t_job_service, batch=args.t_job_batch),
            t_task=_given(service=args.t_task_service, batch=args.t_task_batch),
            until=args.until,
            seed=args.seed,
            seeds=args.seeds,
        )
    except BadValue as error:
        sys.stderr.write(f"mesonb compare: {error}\n")
        return 2
    for line in map(json.dumps, result.rows) if args.json else [repr(result)]:
        sys.stdout.write(f"{line}\n")
    return 0


def _given(**times: str | None) -> dict[str, str]:
    return {workload: time for workload, time in times.items() if time is not None}
