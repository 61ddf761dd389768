"""A storm: a cluster under every fault at once for a while, checked at every step; then a calm in which all must end well.

Rule: safety while it storms, liveness when it is over. One seed is one storm, to the byte; a failure prints the line that
runs it again. What a storm prints is its digest and its figures, and nothing of wall-clock time.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from mesonb.core.allocator import Allocator
from mesonb.core.allocators import MODULES
from mesonb.core.master import MasterCore
from mesonb.core.resources import Resources
from mesonb.core.units import SECOND_US, parse_duration, show_duration
from mesonb.errors import BadValue
from mesonb.frameworks.callbacks import untold
from mesonb.sim.faults import Chance, Faults
from mesonb.sim.rough import RoughSimulation
from mesonb.sim.stormy import Ledger, chore
from mesonb.sim.weather import Weather

#: How long, in virtual time, the calm may last before something is said to hang.
CALM = "2h"
#: How much of what the cluster could do until the end of the storm there is to do.
BUSY = 0.5
MOST_CHORES = 20_000
MEAN_CHORE_S = 20.0
ROLES = ("*", "lab", "eng", "ops")


class StormFailed(AssertionError):
    """Something that must hold did not; the message ends with the line that shows it again."""


@dataclass(frozen=True)
class Passed:
    """A storm that was weathered: what it was, and what it came to."""

    seed: int
    digest: str
    figures: dict[str, int]
    faults: dict[str, int]

    def __str__(self) -> str:
        figures = " ".join(f"{name}={n}" for name, n in self.figures.items())
        faults = " ".join(f"{name}={n}" for name, n in sorted(self.faults.items()))
        return f"seed {self.seed} digest {self.digest[:16]}\n  {figures}\n  faults: {faults}"


def storm(
    seed: int,
    agents: int | None = None,
    until: float | str = "3m",
    frameworks: int | None = None,
    faults: Faults | None = None,
    allocator: Allocator | None = None,
) -> Passed:
    """Run one storm and its calm, and return its figures; StormFailed if anything did not hold.

    What is not given is drawn by the seed: the number of agents and frameworks, and which faults are left out.
    """
    if agents is not None and agents < 1:
        raise BadValue(f"a storm needs agents; {agents} is too few")
    again = f"mesonb storm --seed {seed}" + (f" --agents {agents}" if agents else "") + f" --until {until}"
    one = _Storm(seed, agents, parse_duration(until), frameworks, faults, allocator)
    try:
        with untold():
            return one.weather_it()
    except Exception as error:
        now = show_duration(one.rough.now_us())
        raise StormFailed(
            f"{type(error).__name__}: {error}\nat {now}, step {one.rough.checkers.steps}; to see it again:\n  {again}"
        ) from error


class _Storm:
    """One storm: its world, made from its seed."""

    def __init__(
        self,
        seed: int,
        agents: int | None,
        until_us: int,
        frameworks: int | None,
        faults: Faults | None,
        allocator: Allocator | None,
    ) -> None:
        dice = Random(f"{seed}/storm")
        agents = agents or dice.choice((1, 3, 10, 30))
        frameworks = frameworks or dice.randint(1, 6)
        self.seed = seed
        self.until_us = until_us
        self.chance = Chance(faults or Faults().swarm(dice), seed)
        totals = [dice.choice(_MACHINES) for _ in range(agents)]
        self.modules = MODULES | ({type(allocator).__name__: type(allocator)} if allocator else {})
        self.rough = RoughSimulation(
            self.chance,
            {
                "agent_timeout_us": dice.choice((10, 30)) * SECOND_US,
                "failover_timeout_us": dice.choice((5, 600)) * SECOND_US,
                "grace_us": dice.choice((0, 5 * SECOND_US, None)),
            },
            agents=totals,
            seed=seed,
            allocator=allocator,
            offer_timeout=dice.choice(("2s", "10s", "30s")),
            offer_size=dice.choice((None, None, Resources(cpus=1, mem="2GB"))),
            update_retry=dice.choice((0, "3s")),
            concurrency=dice.choice(("pessimistic",) * 3 + ("optimistic",)),
            settle=dice.choice(("incremental", "all")),
            conflict=dice.choice(("fit", "sequence")),
            **dice.choice(_PACING),
        )
        self.rough.runs_for(chore, lambda _, lasts_s, __: lasts_s)
        ledgers = list(_ledgers(dice, frameworks, _chores(totals, until_us)))
        names = {f"agent-{number}": total for number, total in enumerate(totals, start=1)}
        self.weather = Weather(self.rough, ledgers, names)

    def weather_it(self) -> Passed:
        self.weather.begin()
        self.rough.run(self.until_us / SECOND_US)
        self.weather.calm()
        self._wait_for_all()
        self._check_frameworks()
        self.rough.checkers.check_end(self.rough.core)
        return Passed(self.seed, self._replayed(), self._figures(), dict(self.chance.counts))

    def _wait_for_all(self) -> None:
        """Let time pass until every chore is done and every task has ended."""
        ledgers, core = self.weather.ledgers, self.rough.core

        def over() -> bool:
            return not core.tasks and all(ledger.finished for ledger in ledgers)

        if not self.rough._advance(over, parse_duration(CALM)):
            raise AssertionError(f"not over {CALM} after the storm: {'; '.join(self._unfinished())}")
        self.rough.run(60)  # late repeats arrive, and offers end

    def _unfinished(self) -> Iterator[str]:
        for ledger in self.weather.ledgers:
            if not ledger.finished:
                framework = self.rough.core.frameworks.get(ledger.name)
                state = (
                    f"suppressed={framework.suppressed}, {len(framework.offers)} offers"
                    if framework
                    else "not registered"
                )
                yield f"{ledger.name} did {len(ledger.done)} of {len(ledger.lasts_s)} chores ({state})"
        if self.rough.core.tasks:
            yield f"{len(self.rough.core.tasks)} tasks live, such as {next(iter(self.rough.core.tasks.values()))}"

    def _check_frameworks(self) -> None:
        for ledger in self.weather.ledgers:
            assert not ledger.wrong, f"{ledger.name} was told what cannot be: {ledger.wrong[:3]}"
            believed = self.rough.drivers[ledger.name].tasks
            assert not believed, f"{ledger.name} believes that these still run: {list(believed)[:3]}"
        wrong = [
            complaint
            for complaint in self.rough.complaints
            if "Misbehaved" not in complaint.error and complaint.traceback
        ]
        assert not wrong, f"a callback raised, and not on purpose: {wrong[0].traceback}"

    def _replayed(self) -> str:
        """Replay what each master recorded, and return one digest of all."""
        seal = hashlib.sha256()
        for log in [*self.rough.past, self.rough.log]:
            log.replay(MasterCore(log.settings, self.modules[log.allocator]()))
            seal.update(log.digest().encode())
        return seal.hexdigest()

    def _figures(self) -> dict[str, int]:
        checkers = self.rough.checkers
        figures = {
            "agents": len(self.rough.core.agents),
            "frameworks": len(self.weather.ledgers),
            "steps": checkers.steps,
        }
        figures |= {what: checkers.counts[what] for what in _COUNTED}
        return figures | {
            "chores": sum(len(ledger.done) for ledger in self.weather.ledgers),
            "ended_us": self.rough.now_us(),
        }


#: By default whenever something changes; in batches; and as Apache Mesos does.
_PACING: tuple[dict[str, Any], ...] = (
    {}, {}, {}, {"allocation_interval": "1s"}, {"allocation_interval": "1s", "allocate_on_recovery": False},
)  # fmt: skip
_COUNTED = (
    "rejected",
    "offers_made",
    "rescinded",
    "launched",
    "adopted",
    "finished",
    "failed",
    "killed",
    "lost",
    "revoked",
    "repeated",
)
_MACHINES = (
    Resources(cpus=4, mem="16GB"),
    Resources(cpus=4, mem="16GB"),
    Resources(cpus=16, mem="32GB"),
    Resources(cpus=2, mem="4GB"),
)
_NEEDS = (Resources(cpus=1, mem="1GB"), Resources(cpus=0.5, mem="2GB"), Resources(cpus=1), Resources(cpus=1, mem="2GB"))


def _chores(totals: list[Resources], until_us: int) -> int:
    cpus = sum(total.cpus for total in totals)
    return min(MOST_CHORES, max(1, int(BUSY * cpus * until_us / SECOND_US / MEAN_CHORE_S)))


def _ledgers(dice: Random, frameworks: int, chores: int) -> Iterator[Ledger]:
    for number in range(1, frameworks + 1):
        lasts_s = [round(min(dice.expovariate(1 / MEAN_CHORE_S), 300), 6) for _ in range(max(1, chores // frameworks))]
        more = ("both", ROLES[0]) if number % 3 == 0 else ()
        yield Ledger(f"f{number}", dice.choice(ROLES), dice.choice(_NEEDS), lasts_s, more, number % 4 == 0)


# -- the command line -------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("--seed", type=int, default=1, help="which storm (default: %(default)s)")
    parser.add_argument("--agents", type=int, help="how many agents (default: drawn by the seed)")
    parser.add_argument("--until", default="3m", metavar="TIME", help="how long it storms (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=1, help="so many storms, with the seeds from --seed on")
    parser.add_argument("--processes", type=int, default=1, help="how many storms at once")


def run(args: argparse.Namespace) -> int:
    """Run one storm or many, and print each in order of seeds; 1 if any failed."""
    if min(args.runs, args.processes) < 1:
        raise BadValue(f"--runs {args.runs} --processes {args.processes}: both are 1 or more")
    one = partial(_told, agents=args.agents, until=args.until)
    seeds = range(args.seed, args.seed + args.runs)
    failed = 0
    with ProcessPoolExecutor(min(args.processes, args.runs)) as pool:
        for passed, text in pool.map(one, seeds) if args.processes > 1 else map(one, seeds):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
            failed += not passed
    if args.runs > 1:
        sys.stdout.write(f"{args.runs - failed} of {args.runs} storms weathered\n")
    return 1 if failed else 0


def _told(seed: int, agents: int | None, until: str) -> tuple[bool, str]:
    try:
        return True, str(storm(seed, agents, until))
    except StormFailed as error:
        return False, f"seed {seed} FAILED\n{error}"
