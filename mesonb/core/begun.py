"""When tasks begin, for whoever reads events: a launch ahead counts from the end of the task that it waited for.

Rule: what a reader gets is what holds something. A task that never began is left out, its end as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mesonb.core import events
from mesonb.core.events import Event
from mesonb.core.records import TaskState


class Begun:
    """What waits, as the events that were read say it.

    >>> ahead, end = events.Launch("a", "f", "n", None, after="t"), events.Updated("f", "t", TaskState.FINISHED)
    >>> other = events.Updated("f", "m", TaskState.RUNNING)
    >>> list(Begun().read([ahead, other, end])) == [other, end, ahead]
    True
    """

    def __init__(self) -> None:
        self._waits: dict[str, events.Launch] = {}  #: by the task before
        self._before: dict[str, str] = {}  #: that task, by the one that waits

    def read(self, followed: Iterable[Event]) -> Iterator[Event]:
        """Yield events in order, each launch when its task holds something."""
        for event in followed:
            if isinstance(event, events.Launch) and event.after:
                self._waits[event.after], self._before[event.task] = event, event.after
            elif isinstance(event, events.Updated) and event.state.terminal:
                yield from self._ended(event)
            else:
                yield event

    def _ended(self, event: events.Updated) -> Iterator[Event]:
        if before := self._before.pop(event.task, ""):
            launch = self._waits.pop(before)
            if event.state is TaskState.LOST:
                return  # it never began
            yield launch
        yield event
        if following := self._waits.pop(event.task, None):
            del self._before[following.task]
            yield following
