"""Gang: several tasks that must run together or not at all (MPI, a parameter server and its workers).

It hoards: offers are held until they are enough for the whole gang, or patience ends and all go back. They are answered
together, so that all is launched or nothing. While it waits,
others cannot use what it holds: that is the price of gangs under offers (Mesos paper, 4.6), and a panel shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle


class Gang(Framework):
    """Runs ``function(rank, size)`` on ``size`` places at once; if one is lost or fails, the others are killed.

    ``patience`` is how long offers are hoarded before all are given back, for a while that is drawn by lot.
    """

    def __init__(
        self, function: Callable[[int, int], Any], size: int, needs: Resources, patience: float | str = "10s"
    ) -> None:
        self.function, self.size, self.needs = function, size, needs
        self.patience_us = parse_duration(patience)
        self.hoard: dict[str, OfferHandle] = {}
        self.members: dict[str, int] = {}  #: rank by task id, of those that have not ended
        self.results: dict[int, Any] = {}
        self.attempts = 0
        self._giving_up_at = -1.0

    @property
    def done(self) -> bool:
        """Whether every member has returned."""
        return len(self.results) == self.size

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Hoard until the gang fits; then launch all of it."""
        if self.members or self.done:
            return
        for offer in offers:
            if offer.fits(self._need()):
                self.hoard[offer.id] = offer
        if sum(offer.left // self._need() for offer in self.hoard.values()) >= self.size:
            self._launch(offers)
        else:
            self._wait(offers)

    def on_rescinded(self, offer: OfferHandle) -> None:
        """One place less."""
        self.hoard.pop(offer.id, None)

    def on_update(self, task: TaskHandle) -> None:
        """Gather results; kill the gang when one of it is gone."""
        if not task.ended or task.id not in self.members:
            return
        rank = self.members.pop(task.id)
        if task.finished:
            self.results[rank] = task.result()
        else:
            for member in self.members:
                self.kill(member)
            self.results = {}
        if not self.members and not self.done:
            self.revive()

    def _need(self) -> Resources:
        assert self.needs is not None
        return self.needs

    def _launch(self, offers: Sequence[OfferHandle]) -> None:
        self.attempts += 1
        for offer in self.hoard.values():
            while len(self.members) < self.size and offer.fits(self._need()):
                task = offer.launch(self.function, len(self.members), self.size, needs=self._need())
                self.members[task.id] = len(self.members)
        asked = {offer.id for offer in offers}
        self.together(offer for offer in self.hoard.values() if offer.launches)
        for offer in self.hoard.values():
            if not offer.launches and offer.id not in asked:
                self.answer(offer)
        self.hoard = {}

    def _wait(self, offers: Sequence[OfferHandle]) -> None:
        for offer in offers:
            if offer.id in self.hoard:
                offer.hold(self.patience_us / 500_000)
        if self.hoard and self._giving_up_at < self.now:
            self._giving_up_at = self.now + self.patience_us / 1_000_000
            self.call_later(self.patience_us / 1_000_000, self._give_up)

    def _give_up(self) -> None:
        back_off_s = self.dice.uniform(0.1, 0.5) * self.patience_us / 1_000_000  # two gangs must not keep in step
        for offer in self.hoard.values():
            offer.decline(back_off_s)
            self.answer(offer)
        self.hoard = {}
