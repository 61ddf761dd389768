"""Table: what an agent knows of each of its tasks; and those that it was given ahead, each to begin the moment that another ends.

Rule: nobody is asked then, and what has begun runs on. A task is withdrawn only while it waits; and whatever ends the one
before it, it begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from mesonb.live.wire.comms import Message

#: What a launch says of its task for later: framework, role, needs as exact amounts, the leader's epoch.
About = tuple[str, str, dict[str, int | str], int]


class Task:
    """One task in the agent's table: kept, with its cargo, until its last update is acknowledged."""

    __slots__ = (
        "about", "after", "arguments", "digest", "holds", "id", "killing", "number", "started", "update", "waits",
    )  # fmt: skip

    def __init__(self, number: int, task: str, digest: bytes, arguments: bytes, about: About) -> None:
        self.number, self.id, self.about = number, task, about
        self.digest, self.arguments = digest, arguments
        self.killing = self.started = False
        self.after = ""  #: it waits for this task to end
        self.holds = False  #: something is held for it (``Holdings``): it was given futures, or has asked
        self.update: Message | None = None  #: its last update, once it has ended
        self.waits: asyncio.Future[None] | None = None  #: what is fetched for it, or published of it

    @property
    def state(self) -> str:
        """What became of it so far."""
        return self.update[2] if self.update else "running" if self.started else "staging"


class Waiting:
    """The tasks that wait on one agent, as its table has them; on the loop of its Dask worker."""

    def __init__(self, tasks: dict[str, Task], begin: Callable[[Task], None]) -> None:
        self._tasks, self._begin = tasks, begin
        self._next: dict[str, str] = {}  #: by the task that runs, the one that waits for its end

    def takes(self, task: Task, after: str) -> bool:
        """Whether a task that is new here waits for another; if that is over it begins now."""
        before = self._tasks.get(after)
        if before is None or before.update is not None:
            return False
        task.after, self._next[after] = after, task.id
        return True

    def over(self, name: str) -> None:
        """A task has ended, or is forgotten: what waited for that begins."""
        task = self._tasks.get(self._next.pop(name, ""))
        if task is not None and task.after == name:
            task.after = ""
            if task.update is None:
                self._begin(task)

    def dropped(self, names: Collection[str]) -> list[str]:
        """Return tasks that are to be dropped in an order in which none begins before it is: those that wait come first."""
        return sorted(names, key=lambda name: not (name in self._tasks and self._tasks[name].after))
