"""What an isolation module is: one way of keeping tasks within what they asked for.

An ``Isolator`` is given the pid of a child that leads a session of its own, and applies limits to it while it lives,
because a warm child runs one task after another. What a child weighed before its task, with all that earlier ones left
in it, is never charged to the task. Who asked for no memory is not limited in it. All methods are called on one thread.

The order in a child's life: ``welcome`` when it is born; for each task ``apply`` as it begins, ``check`` ten times a
second and once more when it failed or died, ``rest`` when it is over; ``release`` when the child is dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mesonb.core.resources import Resources
from mesonb.core.units import show_bytes
from mesonb.live.limits.processes import Weight


class Isolator:
    """One way of keeping tasks within their needs."""

    name: ClassVar[str] = ""
    #: What it does and what it does not, in one sentence for whoever reads the report.
    keeps: ClassVar[str] = ""
    #: Modules that make this one pointless when they are applied.
    yields_to: ClassVar[tuple[str, ...]] = ()

    def why_not(self) -> str:
        """Try it on this machine; return what is in the way, or nothing."""
        return ""

    def welcome(self, pid: int) -> None:
        """Take in a new child; it may be at work already. OSError if Linux refuses, as below."""

    def apply(self, pid: int, needs: Resources, before: Weight) -> None:
        """Limit a child to what its task asked for, beyond what it weighed before."""

    def check(self, pid: int, because: str = "") -> str:
        """Return how the task broke its limits, or nothing; ``because`` is how it failed or died, if it did."""
        return ""

    def rest(self, pid: int) -> None:
        """Note that the task is over."""

    def release(self, pid: int) -> None:
        """Forget a child that is dead."""

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs this one inside."""
        return list(command)

    def close(self) -> None:
        """Clean up: the agent leaves."""


def over_memory(used_bytes: int, limit_bytes: int, how: str = "") -> str:
    """Say that a task is over its memory.

    >>> over_memory(300_001_000, 256_000_000)
    'over its memory: 300 MB of 256 MB'
    """
    return f"over its memory: {used_bytes / 1e6:.0f} MB of {show_bytes(limit_bytes)}{how}"
