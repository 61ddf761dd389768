"""Offers, the pure half: the flight of each offer from its making to its answer, and what they add up to.

Rule: the same steps give the same flights. Counts are of all that was read; flights are kept of the newest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mesonb.core import calls, events
from mesonb.core.log import Step

FLIGHTS_KEPT = 20_000
FLIGHTS_DRAWN = 1500
#: Into how many equal spans a window is cut.
SPANS = 80
ANSWERS = ("accepted", "declined", "rescinded")
#: Answer times are drawn on a logarithmic axis: an answer within the same instant stands at this.
LEAST_MS = 0.01
US = 1_000_000


@dataclass(slots=True)
class Flight:
    """One offer."""

    offer: str
    framework: str
    agent: str
    made_us: int
    ended_us: int = -1
    how: str = "outstanding"

    @property
    def took_us(self) -> int:
        """How long it was held, once it has ended."""
        return self.ended_us - self.made_us


class Offers:
    """All offers so far."""

    def __init__(self) -> None:
        self.outstanding: dict[str, Flight] = {}
        self.ended: deque[Flight] = deque(maxlen=FLIGHTS_KEPT)
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)  #: by framework: sent, and each answer
        self.first_us: int | None = None
        self.now_us = 0

    def read(self, steps: Iterable[Step]) -> Offers:
        """Take in what happened."""
        for step in steps:
            self.now_us = step.now_us
            if self.first_us is None:
                self.first_us = step.now_us
            for answer in () if _refused(step) else calls.answers(step.call):
                how = "accepted" if isinstance(answer, calls.Accept) else "declined"
                for offer in answer.offers:
                    self._end(offer, how, step.now_us)
            for event in step.events:
                if isinstance(event, events.OfferMade):
                    self.outstanding[event.offer] = Flight(event.offer, event.framework, event.agent, step.now_us)
                    self.counts[event.framework]["sent"] += 1
                elif isinstance(event, events.Rescinded):
                    self._end(event.offer, "rescinded", step.now_us)
        return self

    def _end(self, offer: str, how: str, now_us: int) -> None:
        flight = self.outstanding.pop(offer, None)
        if flight is None:
            return  # it was made before the reading began
        flight.ended_us, flight.how = now_us, how
        self.ended.append(flight)
        self.counts[flight.framework][how] += 1

    @property
    def known_from_us(self) -> int:
        """From when on every flight is kept."""
        full = len(self.ended) == FLIGHTS_KEPT
        return max(self.first_us or 0, self.ended[0].ended_us if full else 0)


def _refused(step: Step) -> bool:
    return any(isinstance(event, events.Rejected) for event in step.events)


@dataclass(frozen=True, slots=True)
class Row:
    """One framework's offers in figures."""

    framework: str
    sent: int
    accepted: int
    declined: int
    rescinded: int
    outstanding: int
    oldest_us: int | None  #: how long the oldest unanswered one has waited
    median_us: int | None  #: of the kept answers
    slowest_us: int | None


def rows(offers: Offers) -> list[Row]:
    """Add up each framework's offers, in order of their first."""
    took: defaultdict[str, list[int]] = defaultdict(list)
    for flight in offers.ended:
        if flight.how != "rescinded":
            took[flight.framework].append(flight.took_us)
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    for flight in offers.outstanding.values():
        waiting[flight.framework].append(offers.now_us - flight.made_us)
    return [_row(name, count, sorted(took[name]), waiting[name]) for name, count in offers.counts.items()]


def _row(name: str, count: Counter[str], took: Sequence[int], waiting: Sequence[int]) -> Row:
    return Row(
        name, count["sent"], count["accepted"], count["declined"], count["rescinded"], len(waiting), max(waiting, default=None),
        took[len(took) // 2] if took else None, took[-1] if took else None,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the charts show of a window."""

    edges_us: list[int]  #: of the spans; one more than there are spans
    ended: dict[str, list[int]]  #: by answer: how many in each span
    sent: list[int]
    outstanding: list[int]  #: at the end of each span
    flights: list[Flight]  #: the newest that ended in the window
    left_out: int


def drawing(offers: Offers, from_us: int, until_us: int) -> Drawing:
    """Count what happened in each span of the window."""
    from_us = max(from_us, offers.known_from_us)
    width_us = max(1, -(-(until_us - from_us) // SPANS))
    edges = [from_us + number * width_us for number in range(SPANS + 1)]
    flights = [flight for flight in offers.ended if flight.ended_us >= from_us]
    made = sorted([f.made_us for f in flights] + [f.made_us for f in offers.outstanding.values()])
    gone = sorted(flight.ended_us for flight in flights)
    inside = [flight for flight in flights if flight.ended_us <= edges[-1]]
    ended = {how: _counted([f.ended_us for f in inside if f.how == how], edges) for how in ANSWERS}
    outstanding = [bisect_right(made, edge) - bisect_right(gone, edge) for edge in edges[1:]]
    return Drawing(
        edges, ended, _counted(made, edges), outstanding, inside[-FLIGHTS_DRAWN:], max(0, len(inside) - FLIGHTS_DRAWN)
    )


def _counted(times_us: Iterable[int], edges: Sequence[int]) -> list[int]:
    """Count the times in each span; the last span includes its end."""
    counts, width_us = [0] * SPANS, edges[1] - edges[0]
    for time_us in times_us:
        if edges[0] <= time_us <= edges[-1]:
            counts[min((time_us - edges[0]) // width_us, SPANS - 1)] += 1
    return counts
