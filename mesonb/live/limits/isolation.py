"""Isolation: modules, chosen by name, that keep a task within what it asked for; what could not be applied is said.

What a module must do is in ``isolator.py``; the modules themselves are in ``isolators.py`` and ``cgroup_isolators.py``.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mesonb.core.resources import Resources
from mesonb.errors import BadValue
from mesonb.live.limits import cgroup_isolators, isolators
from mesonb.live.limits.isolator import Isolator
from mesonb.live.limits.processes import Weight, weigh

#: So often a running task is looked at: what fills memory at 2 GB/s gets 200 MB too far.
WATCH_S = 0.1
#: What works for anybody on any Linux, and fails no task for memory that it only reserves.
DEFAULT = ("process", "rss", "autogroup")


@dataclass(frozen=True, slots=True)
class Module:
    """One line of the report: a module that was asked for, and what became of it."""

    name: str
    applied: bool
    says: str  #: what it keeps, or why it is not applied


class Isolation:
    """The modules of one agent, in the order in which they were named."""

    def __init__(self, isolators: Sequence[Isolator], report: Sequence[Module] = ()) -> None:
        self.isolators = list(isolators)
        self._limiting = [one for one in isolators if type(one).apply is not Isolator.apply]
        self._resting = [one for one in isolators if type(one).rest is not Isolator.rest]
        #: Whether anything here limits tasks by what they asked for.
        self.limits = bool(self._limiting)
        self._report = list(report)
        self._refused: Counter[tuple[str, str]] = Counter()

    @property
    def report(self) -> list[Module]:
        """What is applied and what is not, with what Linux refused since."""
        refused = [
            Module(name, False, f"refused {count} times: {why}") for (name, why), count in sorted(self._refused.items())
        ]
        return self._report + refused

    def welcome(self, pid: int) -> None:
        """Take in a new child."""
        for isolator in self.isolators:
            self._try(isolator, isolator.welcome, pid)

    def apply(self, pid: int, needs: Resources, before: Weight | None = None) -> None:
        """Limit a child just as its task begins; it knows best what it weighed before, else it is weighed now."""
        try:
            weight = before or weigh(pid)
        except OSError:
            return  # it has died meanwhile
        for isolator in self._limiting:
            self._try(isolator, isolator.apply, pid, needs, weight)

    def _try(self, isolator: Isolator, step: Callable[..., None], *args: object) -> None:
        try:
            step(*args)
        except (ProcessLookupError, FileNotFoundError):
            return  # it has died meanwhile
        except OSError as error:
            self._refused[isolator.name, error.strerror or str(error)] += 1

    def check(self, pid: int, because: str = "") -> str:
        """Return the first broken limit, or nothing."""
        return next((broken for isolator in self.isolators if (broken := isolator.check(pid, because))), "")

    def rest(self, pid: int) -> None:
        """Note that the child's task is over."""
        for isolator in self._resting:
            isolator.rest(pid)

    def release(self, pid: int) -> None:
        """Forget a child that is dead."""
        for isolator in self.isolators:
            with contextlib.suppress(OSError):
                isolator.release(pid)

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return the command inside everything that has to be around it from its start."""
        for isolator in self.isolators:
            command = isolator.wrap(command)
        return list(command)

    def close(self) -> None:
        """Clean up."""
        for isolator in self.isolators:
            isolator.close()


def choose(names: Sequence[str] = DEFAULT) -> Isolation:
    """Take the modules of these names that this machine allows; the report says what became of each.

    >>> [module.applied for module in choose(["process"]).report]
    [True]
    """
    asked = [_known()[_spelt(name)]() for name in dict.fromkeys(names)]
    troubles = {isolator.name: isolator.why_not() for isolator in asked}
    for isolator in asked:
        stronger = [name for name in isolator.yields_to if not troubles.get(name, "not asked for")]
        if stronger:
            troubles[isolator.name] = f"{stronger[0]} decides instead"
    report = [Module(one.name, not troubles[one.name], troubles[one.name] or one.keeps) for one in asked]
    return Isolation([one for one in asked if not troubles[one.name]], report)


def _known() -> dict[str, type[Isolator]]:
    known: list[type[Isolator]] = [
        isolators.Process, isolators.Rss, isolators.Rlimit, isolators.Affinity, isolators.Autogroup, isolators.Namespaces,
        cgroup_isolators.CgroupMemory, cgroup_isolators.CgroupCpu, cgroup_isolators.CgroupCpuHard,
    ]  # fmt: skip
    return {isolator.name: isolator for isolator in known}


def _spelt(name: str) -> str:
    if name not in _known():
        raise BadValue(f"no isolation module is called {name!r}; there are: {', '.join(_known())}")
    return name
