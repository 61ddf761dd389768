"""Near: a queue whose runs say where their data are, and wait a while for an offer from there: delay scheduling.

It declines agents that are near none of its runs, until it has launched nothing near for ``patience``; from then on
anything will do, until it launches near again. Nobody but the framework knows what it prefers: filters are all that the
master sees. (Zaharia et al., "Delay scheduling", EuroSys 2010; the Mesos paper, sections 3.5 and 6.1.3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue
from mesonb.frameworks.base import OfferHandle
from mesonb.frameworks.queue import Queue, Run

#: How many of those that wait are looked at for one that is near an offered agent.
LOOKED_AT = 1000
#: A refusal is never shorter, so that what is not wanted does not come straight back.
REFUSED_US = 10_000


class Near(Queue):
    """A queue that waits up to ``patience`` for agents that its runs are ``near`` to."""

    def __init__(self, needs: Resources | None = None, patience: float | str = "5s", retries: int = 3) -> None:
        super().__init__(needs, retries)
        self.patience_us = parse_duration(patience)
        self._waits_since_us = 0  #: when it last launched near, or began to wait for anything

    def submit(
        self, function: Callable[..., Any], /, *args: Any, needs: Resources | None = None, near: Iterable[str] = (),
        **kwargs: Any,
    ) -> Run:  # fmt: skip
        """Run ``function(*args, **kwargs)``, on one of the agents ``near`` if it need not wait too long; none: anywhere."""
        run = Run(self, function, args, kwargs, needs or self._default_needs())
        run.near = _names(near)
        return self._enqueue([run])[0]

    def map(
        self, function: Callable[..., Any], *iterables: Iterable[Any], needs: Resources | None = None,
        near: Callable[..., Iterable[str]] | None = None,
    ) -> list[Run]:  # fmt: skip
        """Run the function once for each item, near the agents that ``near(item)`` names."""
        rows = list(zip(*iterables, strict=False))
        runs = [Run(self, function, args, {}, needs or self._default_needs()) for args in rows]
        if near:
            for run in runs:
                run.near = _names(near(*run.args))
        return self._enqueue(runs)

    # -- callbacks ----------------------------------------------------------------------------------------------------

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Launch what is near; anything, where patience is at an end."""
        with self._lock:
            for offer in offers:
                while run := self._choice(offer):
                    self._waiting.remove(run)
                    self._place(offer, run)
                offer.decline(self._refused_us() / 1_000_000)
            self._rest()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _enqueue(self, runs: list[Run], *, front: bool = False) -> list[Run]:
        """Ask for offers anew: agents refused so far may be what these are near to."""
        driver = self._registered()
        with self._lock:
            if not self._waiting:
                self._waits_since_us = driver.now_us()
            quiet = self._quiet
            super()._enqueue(runs, front=front)
            if not quiet:
                self.revive()
        return runs

    def _choice(self, offer: OfferHandle) -> Run | None:
        """The first that fits and is near, or near nothing; else, if all have waited long enough, the first that fits."""
        fits = (run for run in islice(self._waiting, LOOKED_AT) if offer.fits(run.needs))
        patient = self._left_us() > 0
        first: Run | None = None
        for run in fits:
            if not run.near or offer.agent in run.near:
                return run
            first = first or run
        return None if patient else first

    def _place(self, offer: OfferHandle, run: Run) -> None:
        now_us = self._registered().now_us()
        if run.near:
            is_near = offer.agent in run.near
            self.placed(near=is_near, waited=(now_us - self._waits_since_us) / 1_000_000)
            if is_near:
                self._waits_since_us = now_us
        self._launch(offer, run)

    def _left_us(self) -> int:
        return self._waits_since_us + self.patience_us - self._registered().now_us()

    def _refused_us(self) -> int:
        """For how long an agent that is near nothing is refused: while there is patience; not at all if nothing waits."""
        return max(REFUSED_US, self._left_us()) if self._waiting else 0


def _names(near: Iterable[str]) -> frozenset[str]:
    if isinstance(near, str):
        raise BadValue(f"near={near!r} is one name, not several; write near=[{near!r}]")
    return frozenset(near)
