"""Hand: you are the scheduler. Offers are kept until you accept or decline them, in a cell or on the board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mesonb.core.resources import Resources
from mesonb.errors import OfferError
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle

#: Longer than any offer lasts: the master rescinds what is not answered in time.
FOREVER = "365d"


class Hand(Framework):
    """Holds every offer for a person to answer."""

    def __init__(self, needs: Resources | None = None) -> None:
        self.needs = needs
        self.held: dict[str, OfferHandle] = {}
        self.ended: list[TaskHandle] = []

    @property
    def offers(self) -> list[OfferHandle]:
        """The offers that wait for an answer, oldest first."""
        return list(self.held.values())

    def accept(
        self,
        offer: OfferHandle | str,
        function: Callable[..., Any],
        *args: Any,
        needs: Resources | None = None,
        times: int = 1,
    ) -> list[TaskHandle]:
        """Launch a function on an offer, once or several times; what is left goes back."""
        held = self._held(offer)
        tasks = [held.launch(function, *args, needs=needs or self.needs) for _ in range(times)]
        self._answered(held)
        return tasks

    def decline(self, offer: OfferHandle | str, refuse: float | str = "5s") -> None:
        """Give an offer back, and see as much there no sooner than in a while."""
        held = self._held(offer)
        held.decline(refuse)
        self._answered(held)

    def on_offers(self, offers: Sequence[OfferHandle]) -> None:
        """Keep them."""
        for offer in offers:
            self.held[offer.id] = offer
            offer.hold(FOREVER)

    def on_rescinded(self, offer: OfferHandle) -> None:
        """Too late."""
        self.held.pop(offer.id, None)

    def on_update(self, task: TaskHandle) -> None:
        """Remember how its tasks ended."""
        if task.ended:
            self.ended.append(task)

    def _held(self, offer: OfferHandle | str) -> OfferHandle:
        name = offer if isinstance(offer, str) else offer.id
        if name not in self.held:
            raise OfferError(
                f"{name} is not in your hand; it was answered, or rescinded. You hold: {', '.join(self.held) or 'nothing'}"
            )
        return self.held[name]

    def _answered(self, offer: OfferHandle) -> None:
        del self.held[offer.id]
        self.answer(offer)
