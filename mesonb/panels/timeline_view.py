"""Timeline, the pure half: from the steps of a log to one bar a task, in lanes, agent by agent.

Rule: the same steps give the same bars. A task whose launch was not read, because the log had forgotten it, begins
where the reading begins. Kept are all live tasks and the newest BARS_KEPT that ended; drawn are BARS_DRAWN at most.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mesonb.core import calls, events
from mesonb.core.begun import Begun
from mesonb.core.log import Step
from mesonb.core.snapshot import Snapshot

BARS_KEPT = 20_000
BARS_DRAWN = 2000
#: Agents that have a row of their own, at most; more would be too thin to read.
AGENTS_SHOWN = 40
#: A bar at least so wide, in parts of the window, carries its framework's letters.
LETTERED = 1 / 40
#: Endings that are marked on the bar's end: what an agent or a task did not choose.
MARKED = ("killed", "failed", "lost")
US = 1_000_000


@dataclass(slots=True)
class Bar:
    """One task, from its launch to its end."""

    task: str
    framework: str
    agent: str
    begun_us: int
    lane: int = 0
    running_us: int | None = None
    ended_us: int | None = None
    state: str = "staging"
    because: str = ""


class Lanes:
    """The lanes of one agent: a task has one of its own while it lives, the lowest that is free."""

    def __init__(self) -> None:
        self.count = 0
        self._free: list[int] = []

    def take(self) -> int:
        """Return the lowest lane that is free."""
        if self._free:
            return heapq.heappop(self._free)
        self.count += 1
        return self.count - 1

    def give_back(self, lane: int) -> None:
        """Free a lane."""
        heapq.heappush(self._free, lane)


class Gantt:
    """All bars so far."""

    def __init__(self) -> None:
        self.live: dict[str, Bar] = {}
        self.ended: deque[Bar] = deque(maxlen=BARS_KEPT)
        self.lanes: dict[str, Lanes] = {}
        self.endings: Counter[str] = Counter()  #: how many tasks ended how
        self.first_us: int | None = None
        self.now_us = 0
        self._agents: list[str] = []
        self._begun = Begun()

    @property
    def agents(self) -> list[str]:
        """Every agent that has run a task, as people count; sorted again only when there are more."""
        if len(self._agents) != len(self.lanes):
            self._agents = sorted(self.lanes, key=natural)
        return self._agents

    def read(self, steps: Iterable[Step]) -> Gantt:
        """Take in what happened."""
        for step in steps:
            self.now_us = step.now_us
            if self.first_us is None:
                self.first_us = step.now_us
            for event in self._begun.read(step.events):
                match event:
                    case events.Launch():
                        self._begin(event.task, event.framework, event.agent, step.now_us)
                    case events.Updated():
                        self._update(event, step)
                    case _:
                        pass
        return self

    def adopt(self, snapshot: Snapshot) -> None:
        """Take in live tasks whose launch was not read: those that have run for long."""
        for agent in snapshot.agents:
            for task in agent.tasks:
                if task.task not in self.live:
                    bar = self._begin(task.task, task.framework, agent.agent, task.since_us)
                    bar.state, bar.running_us = task.state, None if task.state == "staging" else task.since_us

    def _begin(self, task: str, framework: str, agent: str, now_us: int) -> Bar:
        if known := self.live.get(task):
            return known  # adopted before its launch was read
        lane = self.lanes.setdefault(agent, Lanes()).take()
        self.live[task] = Bar(task, framework, agent, now_us, lane)
        return self.live[task]

    def _update(self, event: events.Updated, step: Step) -> None:
        bar = self.live.get(event.task) or self._from_before(event, step.call)
        if bar is None:
            return
        bar.state, bar.because = event.state.value, event.because
        if event.state.terminal:
            bar.ended_us = step.now_us
            self._end(bar)
        elif bar.running_us is None:
            bar.running_us = step.now_us

    def _from_before(self, event: events.Updated, call: calls.Call) -> Bar | None:
        """A task that was launched before the reading began; without its agent's word nobody knows where it runs."""
        if not isinstance(call, calls.TaskUpdate):
            return None
        bar = self._begin(event.task, event.framework, call.agent, self.first_us or 0)
        bar.running_us = bar.begun_us
        return bar

    def _end(self, bar: Bar) -> None:
        del self.live[bar.task]
        self.lanes[bar.agent].give_back(bar.lane)
        self.ended.append(bar)
        self.endings[bar.state] += 1

    def find(self, task: str) -> Bar | None:
        """Return the bar of a task, if it is kept."""
        return (
            self.live.get(task) or next((bar for bar in reversed(self.ended) if bar.task == task), None)
            if task
            else None
        )

    def bars(self) -> Iterator[Bar]:
        """Yield every bar that is kept, those that ended first."""
        yield from self.ended
        yield from self.live.values()


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle to draw: a task while it staged, or while it ran."""

    left_s: float
    right_s: float
    bottom: float
    top: float
    solid: float  #: opacity
    letters: bool  #: wide enough to be written on
    bar: Bar


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a timeline shows of a window of time."""

    agents: list[str]  #: from above
    pieces: list[Piece]
    marks: list[Piece]  #: pieces whose right end is marked
    bars: int  #: how many are drawn
    left_out: int  #: how many more lie in the window
    agents_in_all: int


def drawing(gantt: Gantt, from_us: int, until_us: int, only: str = "", origin_us: int = 0) -> Drawing:
    """Draw the bars within a window; ``only`` keeps those whose agent, framework or task has it in its name.

    Where there are too many, marked endings stay and then the newest. Times are seconds since ``origin_us``.
    """
    seen = [
        bar for bar in gantt.bars() if bar.begun_us < until_us and _end_us(bar, gantt) >= from_us and _named(bar, only)
    ]
    everybody = sorted({bar.agent for bar in seen}, key=natural) if only else gantt.agents
    agents = everybody[:AGENTS_SHOWN]
    rows = {agent: len(agents) - 1 - number for number, agent in enumerate(agents)}
    here = [bar for bar in seen if bar.agent in rows]
    drawn = _most_telling(here)
    pieces = [piece for bar in drawn for piece in _pieces(bar, gantt, rows[bar.agent], from_us, until_us, origin_us)]
    marks = [
        piece
        for piece in pieces
        if piece.bar.state in MARKED and _is_last(piece, origin_us) and from_us <= (piece.bar.ended_us or 0)
    ]
    return Drawing(agents, pieces, marks, len(drawn), len(seen) - len(drawn), len(everybody))


def natural(name: str) -> list[tuple[int, str]]:
    """Sort names as people count.

    >>> sorted(["agent-10", "agent-2"], key=natural)
    ['agent-2', 'agent-10']
    """
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _most_telling(bars: Sequence[Bar]) -> list[Bar]:
    if len(bars) <= BARS_DRAWN:
        return list(bars)
    newest_first = sorted(bars, key=lambda bar: (bar.state in MARKED, bar.begun_us), reverse=True)
    return newest_first[:BARS_DRAWN]


def _named(bar: Bar, part: str) -> bool:
    return not part or part in bar.agent or part in bar.framework or part in bar.task


def _end_us(bar: Bar, gantt: Gantt) -> int:
    return gantt.now_us if bar.ended_us is None else bar.ended_us


def _pieces(bar: Bar, gantt: Gantt, row: int, from_us: int, until_us: int, origin_us: int) -> Iterator[Piece]:
    """Yield what staged and what ran; a row is 0.9 high, for all lanes of its agent together."""
    lanes = gantt.lanes[bar.agent].count
    top = row + 0.45 - 0.9 * bar.lane / lanes
    bottom = top - 0.9 / lanes * 0.9
    end_us = max(_end_us(bar, gantt), bar.begun_us)
    ran_us = end_us if bar.running_us is None else bar.running_us
    for begin, end, solid in (
        (bar.begun_us, ran_us, 0.35),
        (ran_us, end_us, 0.5 if bar.state == "unreachable" else 1.0),
    ):
        left, right = max(begin, from_us), min(end, until_us)
        if right > left or (begin == end == end_us and bar.begun_us == end_us):
            wide = right - left >= (until_us - from_us) * LETTERED
            yield Piece(
                (left - origin_us) / US, (right - origin_us) / US, bottom, top, solid, wide and solid >= 0.5, bar
            )


def _is_last(piece: Piece, origin_us: int) -> bool:
    """Whether a piece reaches the end of its task."""
    return piece.bar.ended_us is not None and (piece.bar.ended_us - origin_us) / US == piece.right_s
