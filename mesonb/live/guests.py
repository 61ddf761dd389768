"""Guests: frameworks that run in other kernels, as the master sees them.

A guest's calls come through the hub in the order in which it made them, and its mail goes back the same way; the books
know no difference. When its kernel is gone it is disconnected: its tasks run on, what ends is kept, and their cargo is
asked back from the agents, for whoever registers under that name next.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mesonb.core import calls, events
from mesonb.core.calls import RunningTask
from mesonb.core.resources import NOTHING
from mesonb.errors import MesonbError
from mesonb.live.cargo import Cargo
from mesonb.live.inheritance import Mail

if TYPE_CHECKING:
    from mesonb.live.master import Master

#: What another kernel may ask of the master, and have answered.
VERBS = ("snapshot", "explain", "now_us", "output", "printed")


class Guest:
    """One registration of a framework in another kernel; to the master it looks as a ``Mailbox`` does."""

    def __init__(self, master: Master, kernel: str, name: str) -> None:
        self.kernel, self.name = kernel, name
        self.unhandled: dict[str, Mail] = {}  #: tasks that ended, until the kernel says that their framework knows
        self._master = master

    def deliver(self, mail: list[Mail]) -> None:
        """Send what one turn of the loop had, with the cargo of tasks that are news to that kernel."""
        named: list[str] = []
        for event, content in mail:
            if isinstance(event, events.Subscribed):
                named += event.tasks
            elif isinstance(event, events.Updated):
                named.append(event.task)
                if event.state.terminal:
                    self.unhandled[event.task] = event, content
        left = self._master.inheritance.hand_on(named)
        self._master._link.send(self.kernel, ("mail", self.name, mail, left))

    def stop(self) -> None:
        """Nothing is needed: a kernel of which nothing is heard stops by itself."""

    def look_for_slow(self) -> None:
        """Its own kernel looks."""


class Guests:
    """The other kernels of one master; everything here runs on its loop."""

    def __init__(self, master: Master) -> None:
        self._master = master

    def post(self, kernel: str, sent: list[calls.Call], cargo: dict[str, Cargo]) -> None:
        """Take the calls of a kernel, with what the tasks launched by them need."""
        self._master.cargo |= cargo
        for call in sent:
            if isinstance(call, calls.Subscribe):
                self._master.expect(call.framework, Guest(self._master, kernel, call.framework))
            elif not self._may(kernel, getattr(call, "framework", "")):
                continue  # somebody else has registered under that name since
            self._master._take(self._unheard(call) if isinstance(call, calls.Reconcile) else call)

    def _unheard(self, call: calls.Reconcile) -> calls.Reconcile:
        """Leave out what has ended: with its result, that is on its way."""
        ended = self._master.core.ended
        return replace(call, tasks=tuple(task for task in call.tasks if task not in ended))

    def _may(self, kernel: str, name: str) -> bool:
        """Whether a kernel speaks for a framework; for none it may always speak."""
        box = self._master._boxes.get(name)
        return not name or (isinstance(box, Guest) and box.kernel == kernel)

    def answer(self, kernel: str, number: int, verb: str, arguments: tuple[Any, ...]) -> None:
        """Answer what a kernel asks the master."""
        assert verb in VERBS, verb
        try:
            answer = True, getattr(self._master, verb)(*arguments)
        except MesonbError as error:
            answer = False, error
        self._master._link.send(kernel, ("answer", number, *answer))

    def handled(self, kernel: str, name: str, tasks: list[str]) -> None:
        """Note that a framework has handled how these tasks ended."""
        box = self._master._boxes.get(name)
        if isinstance(box, Guest) and box.kernel == kernel:
            for task in tasks:
                box.unhandled.pop(task, None)
        self._master._acknowledge(tasks)

    def gone(self, kernel: str) -> None:
        """A kernel is not to be reached any more: its frameworks are disconnected until they register again."""
        for name, box in list(self._master._boxes.items()):
            if isinstance(box, Guest) and box.kernel == kernel:
                del self._master._boxes[name]
                self._ask_back(name, box)
                if name in self._master.core.frameworks:
                    self._master._take(calls.Disconnect(name))

    def _ask_back(self, name: str, box: Guest) -> None:
        """Keep what the kernel has not handled, and have the agents hand over the cargo of all its tasks."""
        master = self._master
        master._keep(name, list(box.unhandled.values()))
        framework = master.core.frameworks.get(name)
        live = framework.tasks.values() if framework else ()
        there = {task.id: (task.agent, RunningTask(task.id, name, task.needs)) for task in live}
        for task in box.unhandled:
            if agent := master._unacknowledged.get(task):
                there[task] = agent, RunningTask(task, name, NOTHING)
        master.inheritance.expect(there)
        for agent in {agent for agent, _ in there.values()}:
            master._link.send(agent, ("hand over", [task for task, (at, _) in there.items() if at == agent]))
