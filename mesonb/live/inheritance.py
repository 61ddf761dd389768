"""Inheritance: what masters before this one left: the cargo of tasks that still run, and results that nobody has had yet.

Agents hand it over when a leader is new to them. It is kept until the framework registers again; then its tasks are
handed to ``on_registered`` with their arguments, and what ended meanwhile follows as updates. Filled on the master's
loop; ``recall`` is called on the thread of a framework, because unpickling runs whatever its cell defined.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection
from typing import Any

from mesonb.core import events
from mesonb.core.calls import RunningTask
from mesonb.core.records import TaskState
from mesonb.errors import TaskGone
from mesonb.frameworks.base import TaskHandle
from mesonb.live.tasks.cargo import digest_of
from mesonb.live.tasks.inputs import split

#: An event for a framework, with the pickled outcome of a task that ended.
Mail = tuple[events.Event, bytes]


class Inheritance:
    """What one master has inherited and not handed on yet."""

    def __init__(self) -> None:
        self._functions: dict[bytes, bytes] = {}  #: pickled, by digest
        self._cargo: dict[str, tuple[bytes, bytes]] = {}  #: by task: the digest of its function, its pickled arguments
        self._known: dict[str, tuple[str, RunningTask]] = {}  #: by task: its agent, and what that said of it
        self._kept: dict[str, list[Mail]] = {}  #: by framework

    def bring(self, functions: dict[bytes, bytes], tasks: list[tuple[str, bytes, bytes]]) -> None:
        """Take the cargo that an agent hands over; a function that is not the one of its digest is none."""
        self._functions |= {digest: function for digest, function in functions.items() if digest_of(function) == digest}
        self._cargo |= {task: (digest, arguments) for task, digest, arguments in tasks}

    def lacks(self, tasks: Collection[str]) -> set[str]:
        """Return those of some tasks whose cargo was not handed over."""
        return {task for task in tasks if task not in self._cargo}

    def note(self, agent: str, running: Collection[RunningTask]) -> None:
        """Note what an agent says it runs, as far as its cargo was handed over."""
        self._known |= {task.task: (agent, task) for task in running if task.task in self._cargo}

    def framework_of(self, task: str) -> str:
        """Return whose task it is; nothing if it was handed on already, or is none of these."""
        return self._known[task][1].framework if task in self._known else ""

    def agent_of(self, task: str) -> str:
        """Return where a task runs that was not handed on yet; nothing if it is none of these."""
        return self._known[task][0] if task in self._known else ""

    def recall(self, task: str) -> TaskHandle | None:
        """Return the handle of a task, once; what cannot be read in this kernel says so where it is used."""
        if task not in self._known or task not in self._cargo:
            return None
        known = self._known.pop(task)
        digest, arguments = self._cargo.pop(task)
        agent, found = known
        try:
            function, (args, kwargs) = pickle.loads(self._functions[digest]), pickle.loads(split(arguments)[1])
            because = ""
        except Exception as error:  # noqa: BLE001 - a class that this kernel does not define yet, for one
            because = f"its arguments cannot be read in this kernel: {type(error).__name__}: {error}"
            function, args, kwargs = _unreadable, (), {}
        return TaskHandle(task, function, args, kwargs, found.needs, agent, TaskState.RUNNING, because)

    def keep(self, framework: str, mail: list[Mail]) -> None:
        """Keep for a framework that is not here what it cannot be told otherwise: how its tasks ended."""
        ended = [
            (event, content) for event, content in mail if isinstance(event, events.Updated) and event.state.terminal
        ]
        if ended:
            self._kept.setdefault(framework, []).extend(ended)

    def expect(self, tasks: dict[str, tuple[str, RunningTask]]) -> None:
        """Note tasks, each with its agent, whose cargo is about to be handed over."""
        self._known |= tasks

    def hand_on(self, tasks: Collection[str]) -> tuple[dict[bytes, bytes], list[Any], list[tuple[str, RunningTask]]]:
        """Give away, for another kernel to ``take_on``, what is known of some tasks."""
        ours = [task for task in tasks if task in self._known and task in self._cargo]
        cargo = [(task, *self._cargo.pop(task)) for task in ours]
        functions = {digest: self._functions[digest] for _, digest, _ in cargo}
        return functions, cargo, [self._known.pop(task) for task in ours]

    def take_on(self, functions: dict[bytes, bytes], cargo: list[Any], known: list[tuple[str, RunningTask]]) -> None:
        """Take what a master hands on."""
        self.bring(functions, cargo)
        self._known |= {task.task: (agent, task) for agent, task in known}

    def claim(self, framework: str) -> list[Mail]:
        """Hand over what was kept for a framework."""
        return self._kept.pop(framework, [])

    def kept_tasks(self) -> set[str]:
        """Return the tasks whose end is kept for a framework."""
        return {event.task for mail in self._kept.values() for event, _ in mail if isinstance(event, events.Updated)}

    def forget_all_but(self, frameworks: Collection[str]) -> list[str]:
        """Drop what is known and kept of frameworks that will not come any more; return the tasks whose end was kept."""
        for task in [task for task, (_, known) in self._known.items() if known.framework not in frameworks]:
            del self._known[task]
            self._cargo.pop(task, None)
        gone = [name for name in self._kept if name not in frameworks]
        return [event.task for name in gone for event, _ in self._kept.pop(name) if isinstance(event, events.Updated)]


def _unreadable(*_: Any) -> None:
    raise TaskGone("the function of a task that another kernel launched could not be read here")
