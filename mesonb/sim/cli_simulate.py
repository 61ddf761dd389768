"""``mesonb simulate``: a workload in virtual time, from a table or generated; prints who got what, and how long it waited."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Sequence
from functools import partial
from math import inf
from random import Random
from typing import Any

from mesonb.core.allocators import MODULES
from mesonb.core.resources import Resources
from mesonb.core.units import SECOND_US, parse_bytes, show_duration
from mesonb.errors import BadValue
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle
from mesonb.sim.generators import exponential, generate
from mesonb.sim.replay import known_allocator
from mesonb.sim.simulation import Simulation
from mesonb.sim.workload import CSV_SAID, Job, by_workload, check_fits, read_csv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "workload",
        nargs="?",
        help=f"{CSV_SAID} (default: generated)",
    )
    parser.add_argument("--agents", type=int, default=100, help="how many agents (default: %(default)s)")
    parser.add_argument("--cpus", type=float, default=4, help="cpus of each (default: %(default)s)")
    parser.add_argument("--mem", default="16GB", help="memory of each (default: %(default)s)")
    parser.add_argument(
        "--frameworks", type=int, default=4, help="how many frameworks are generated (default: %(default)s)"
    )
    parser.add_argument(
        "--jobs-every",
        type=float,
        default=10,
        metavar="S",
        help="mean seconds between a framework's jobs (default: %(default)s)",
    )
    parser.add_argument("--tasks", type=float, default=20, help="mean tasks a job (default: %(default)s)")
    parser.add_argument(
        "--duration", type=float, default=30, metavar="S", help="mean seconds a task lasts (default: %(default)s)"
    )
    parser.add_argument("--until", default="10min", metavar="TIME", help="end of the run (default: %(default)s)")
    parser.add_argument(
        "--allocator", default="DRF", help=f"whom to offer to next: {', '.join(MODULES)} (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--save", metavar="FILE", help="save the recording; a name that ends in .gz compresses it")
    parser.add_argument("--json", action="store_true", help="one JSON line a framework instead of a table")


def run(args: argparse.Namespace) -> int:
    """Simulate, and print."""
    allocator = known_allocator(args.allocator)
    if allocator is None:
        raise BadValue(f"no allocator of mesonb is called {args.allocator!r}; it has {', '.join(MODULES)}")
    if args.agents < 1:
        raise BadValue(f"--agents {args.agents}: a workload needs agents to run on, 1 or more")
    if not args.workload:
        _check_generated(args)
    machine = Resources(cpus=args.cpus, mem=args.mem)
    jobs = read_csv(args.workload) if args.workload else _generated(args)
    check_fits(jobs, [(round(args.cpus * 1000), parse_bytes(args.mem))])
    sim = Simulation([machine] * args.agents, seed=args.seed, allocator=allocator)
    sim.runs_for(_work, lambda duration_us: duration_us / SECOND_US, execute=False)
    frameworks = [sim.register(Submitter(mine), name=name, role=name) for name, mine in by_workload(jobs).items()]
    sim.run(args.until)
    _print(sim, frameworks, as_json=args.json)
    if args.save:
        sim.log.save(args.save)
    return 0


def _check_generated(args: argparse.Namespace) -> None:
    """Raise BadValue for a number of which no workload can be made."""
    for name in ("frameworks", "tasks", "duration", "jobs_every"):
        if not 0 < (value := getattr(args, name)) < inf:
            raise BadValue(f"--{name.replace('_', '-')} {value:g}: a workload is made of more than none, and an end")


class Submitter(Framework):
    """Submits jobs at their times, and runs their tasks in order, wherever they fit."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.todo: deque[tuple[float, Job, Resources]] = deque()
        self.submitted = self.started = self.finished = 0
        self.waited_s = 0.0

    def on_registered(self, tasks: Sequence[TaskHandle]) -> None:
        self.suppress()
        for job in self.jobs:
            self.call_later(job.submitted_us / SECOND_US, partial(self._submit, job))

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        for offer in offers:
            while self.todo and offer.fits(self.todo[0][2]):
                submitted, job, needs = self.todo.popleft()
                offer.launch(_work, job.duration_us, needs=needs)
                self.started += 1
                self.waited_s += self.now - submitted
        if not self.todo:
            self.suppress()

    def on_update(self, task: TaskHandle) -> None:
        self.finished += task.finished

    def _submit(self, job: Job) -> None:
        needs = Resources.of({"cpus": job.cpus_milli, "mem": job.mem_bytes})
        self.todo.extend([(self.now, job, needs)] * job.tasks)
        self.submitted += job.tasks
        self.revive()


def _work(duration_us: int) -> None:
    """Stand for any task; it lasts as long as its job says."""


def _generated(args: argparse.Namespace) -> list[Job]:
    dice = Random(args.seed)
    size = exponential(args.tasks), exponential(args.duration)
    return [
        job
        for number in range(1, args.frameworks + 1)
        for job in generate(f"framework-{number}", dice, args.until, exponential(args.jobs_every), *size)
    ]


def _print(sim: Simulation, frameworks: list[Submitter], *, as_json: bool) -> None:
    rows = [_row(sim, framework) for framework in frameworks]
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
        return
    sys.stdout.write("  ".join(f"{name:>{_width(name)}}" for name in rows[0]) + "\n" if rows else "no jobs\n")
    for row in rows:
        sys.stdout.write("  ".join(f"{_text(value):>{_width(name)}}" for name, value in row.items()) + "\n")
    sys.stdout.write(f"\n{len(sim.log.steps)} calls in {show_duration(sim.now_us())}; digest {sim.log.digest()[:16]}\n")


def _row(sim: Simulation, framework: Submitter) -> dict[str, Any]:
    row = next(row for row in sim.snapshot().frameworks if row.framework == framework.name)
    total = sim.core.total.amounts
    held = sim.core.frameworks[framework.name].held_us(sim.now_us())
    return {
        "framework": framework.name,
        "submitted": framework.submitted,
        "finished": framework.finished,
        "waiting": len(framework.todo),
        "mean wait s": framework.waited_s / max(1, framework.started),
        "mean share": max(
            (area / (total[name] * sim.now_us()) for name, area in held.items() if total.get(name)), default=0.0
        ),
        "share now": row.share,
        "offers": row.counts.get("offers_made", 0),
        "accepted": row.counts.get("accepted", 0),
    }


def _width(name: str) -> int:
    return 20 if name == "framework" else max(11, len(name))


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
