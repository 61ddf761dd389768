"""Hand: you are the scheduler. Offers are kept until you accept or decline them, in a cell or on the cards of its panel.

``master.register(Hand(needs=..., functions=[train, test]), name="me")``, then ``master.watch("hand")``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mesonb.core.resources import Resources
from mesonb.errors import BadValue, OfferError
from mesonb.frameworks.base import Framework, OfferHandle, TaskHandle

#: Longer than any offer lasts: the master rescinds what is not answered in time.
FOREVER = "365d"


class Hand(Framework):
    """Holds every offer for a person to answer. ``functions`` are those that its panel's cards can launch."""

    def __init__(self, needs: Resources | None = None, functions: Iterable[Callable[..., Any]] = ()) -> None:
        self.needs = needs
        self.functions = {_name(function): function for function in functions}
        self.held: dict[str, OfferHandle] = {}
        self.launched: list[TaskHandle] = []
        self.ended: list[TaskHandle] = []

    @property
    def offers(self) -> list[OfferHandle]:
        """The offers that wait for an answer, oldest first."""
        return list(self.held.values())

    def accept(
        self,
        offer: OfferHandle | str,
        function: Callable[..., Any] | str,
        *args: Any,
        needs: Resources | None = None,
        times: int = 1,
    ) -> list[TaskHandle]:
        """Launch a function, or the one of that name, on an offer, once or several times; what is left goes back."""
        held = self.check(offer, function, needs, times)
        chosen = self.functions[function] if isinstance(function, str) else function
        tasks = [held.launch(chosen, *args, needs=needs or self.needs) for _ in range(times)]
        self.launched += tasks
        self._answered(held)
        return tasks

    def check(
        self,
        offer: OfferHandle | str,
        function: Callable[..., Any] | str,
        needs: Resources | None = None,
        times: int = 1,
    ) -> OfferHandle:
        """Return the offer if all of this can be launched on it; raise OfferError or BadValue if not."""
        held, needs = self.check_held(offer), needs or self.needs
        if isinstance(function, str) and function not in self.functions:
            known = ", ".join(self.functions) or "none: register mb.Hand(functions=[train])"
            raise BadValue(f"this hand has no function called {function!r}; it has {known}")
        if not needs:
            raise BadValue("say what each task takes: needs=mb.Resources(cpus=1)")
        if not isinstance(times, int) or times < 1:
            raise BadValue(f"{times!r} is not a number of tasks; launch one or more")
        if not held.fits(needs * times):
            raise OfferError(f"{held.id} has {held.left} left; {times} x {needs} does not fit")
        return held

    def decline(self, offer: OfferHandle | str, refuse: float | str = "5s") -> None:
        """Give an offer back, and see as much there no sooner than in a while."""
        held = self.check_held(offer)
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

    def check_held(self, offer: OfferHandle | str) -> OfferHandle:
        """Return an offer that it holds; OfferError if it holds it no more."""
        name = offer if isinstance(offer, str) else offer.id
        if name not in self.held:
            raise OfferError(
                f"{name} is not in your hand; it was answered, or rescinded. You hold: {', '.join(self.held) or 'nothing'}"
            )
        return self.held[name]

    def _answered(self, offer: OfferHandle) -> None:
        del self.held[offer.id]
        self.answer(offer)


def _name(function: Callable[..., Any]) -> str:
    if not callable(function):
        raise BadValue(f"{function!r} is not a function; write mb.Hand(functions=[train, test])")
    return getattr(function, "__name__", repr(function))
