"""An inverse offer as its framework sees it: it is asked to have left an agent by a time, and may say what it thinks."""

from __future__ import annotations

from dataclasses import dataclass

from mesonb.core.units import parse_duration, show_duration


@dataclass(slots=True, eq=False)
class InverseHandle:
    """One agent that will be down. What a callback writes on it is the framework's reply; nothing written is no reply."""

    id: str
    agent: str
    starts_s: float  #: when the agent goes down, by the framework's own clock (``self.now``)
    lasts_s: float  #: for how long; 0: nobody knows yet
    because: str
    answer: str = ""  #: "accepted" or "declined"
    again_us: int = 0

    def accept(self) -> None:
        """Promise to have left the agent by then."""
        self.answer = "accepted"

    def decline(self, again: float | str = 0) -> None:
        """Say that this suits badly, and perhaps when to be asked again ("5min"; 0: not again). It happens all the same."""
        self.answer, self.again_us = "declined", parse_duration(again)

    def __repr__(self) -> str:
        lasts = f" for {show_duration(round(self.lasts_s * 1_000_000))}" if self.lasts_s else ""
        return f"<{self.id}: {self.agent} is down at {self.starts_s:g} s{lasts}: {self.because}>"
