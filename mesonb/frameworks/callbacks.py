"""Callbacks: whether a class names them rightly, and what they raised, told where its person looks.

Rule: a callback that raises stops nobody, so nobody would notice. The first error of each kind goes with its traceback
to the log "mesonb", which a notebook shows under a cell and a script on its standard error; all are kept for panels.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mesonb.core.units import show_duration
from mesonb.errors import BadValue
from mesonb.frameworks.base import Framework

#: How many complaints are kept; the newest explain the present.
COMPLAINTS_KEPT = 100
#: How many kinds of errors of one registration are told; a message that differs each time is not a kind.
KINDS_TOLD = 20
CALLBACKS = tuple(name for name in vars(Framework) if name.startswith("on_"))
logger = logging.getLogger("mesonb")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A callback that raised, or was slow."""

    at_us: int
    framework: str
    callback: str
    error: str  #: one line
    traceback: str = ""


class Complaints(deque[Complaint]):
    """The newest complaints about one registration; the first of each kind is told."""

    def __init__(self) -> None:
        super().__init__(maxlen=COMPLAINTS_KEPT)
        self._told: set[tuple[str, str]] = set()

    def append(self, complaint: Complaint) -> None:
        """Keep a complaint, and tell it if it is the first of its kind."""
        super().append(complaint)
        kind = (complaint.callback, complaint.error.partition(":")[0])
        if complaint.traceback and kind not in self._told and len(self._told) < KINDS_TOLD:
            self._told.add(kind)
            logger.error(
                "%s, in its %s: %s\n%s", complaint.framework, complaint.callback, complaint.error, complaint.traceback
            )

    def last(self, now_us: int) -> str:
        """Say what the newest is about, how long ago it was and what to do; "" where there is none."""
        if not self:
            return ""
        one, ago = self[-1], show_duration(max(0, now_us - self[-1].at_us))
        again = f"correct it, and register it again with name={one.framework!r}"
        return f"{ago} ago, in its {one.callback}: {one.error} ({again})"


@contextmanager
def untold() -> Iterator[None]:
    """Keep quiet about callbacks that are meant to raise."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def check(framework: Any) -> None:
    """Raise BadValue for what is no framework, or has a misspelt callback that nobody would call.

    >>> class Sweep(Framework):
    ...     def on_offer(self, offers): ...
    >>> check(Sweep())
    Traceback (most recent call last):
    mesonb.errors.BadValue: Sweep has on_offer, which nobody calls; did you mean on_offers?
    """
    if isinstance(framework, type) and issubclass(framework, Framework):
        name = framework.__name__
        raise BadValue(f"{name} is a class; register an object of it: master.register({name}(), name=...)")
    if not isinstance(framework, Framework):
        raise BadValue(f"{framework!r} is not a framework; subclass mb.Framework, or use mb.Queue()")
    for wrong, meant in _misspelt(type(framework)).items():
        raise BadValue(f"{type(framework).__name__} has {wrong}, which nobody calls; did you mean {meant}?")


def _misspelt(kind: type[Framework]) -> dict[str, str]:
    """Find callbacks by nearly the right name, where the right one is not written as well."""
    unknown = (name for name in dir(kind) if name.lower().startswith("on") and name not in CALLBACKS)
    near = {name: get_close_matches(name, CALLBACKS, 1, 0.8) for name in unknown if callable(getattr(kind, name))}
    return {
        name: meant[0]
        for name, meant in near.items()
        if meant and getattr(kind, meant[0]) is getattr(Framework, meant[0])
    }
