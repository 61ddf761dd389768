"""Missing: agents of which a new leader has not heard yet, though they are at the cluster, or their executors are.

The hub names them to whoever begins to lead. What another kernel asks about a task that is in nobody's books may be known
to one of these alone, so it is answered when none is missing any more: they have joined, are gone, or their time is over.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from mesonb.core.calls import Reconcile


class Missing:
    """The agents that are missing, until when, and what waits for them; microseconds go in."""

    def __init__(self) -> None:
        self._until_us: dict[str, int] = {}
        self._asked: list[tuple[str, Reconcile]] = []

    def expect(self, agents: dict[str, int], now_us: int, most_us: int) -> None:
        """Wait for these, each as long as is said of it, if anything is, and as for any agent that does not answer at most."""
        for agent, wait_us in agents.items():
            self._until_us[agent] = now_us + min(wait_us or most_us, most_us)

    def came(self, agent: str) -> None:
        """Wait for an agent no more: it is here, or gone for good."""
        self._until_us.pop(agent, None)

    def hold_back(self, kernel: str, call: Reconcile, known: Container[str]) -> Reconcile:
        """Return the part of a question that can be answered now; the rest waits while anybody is missing.

        >>> missing = Missing()
        >>> missing.expect({"agent-1": 5}, 0, 75)
        >>> missing.hold_back("kernel-1", Reconcile("lab", ("lab/task-1", "lab/task-2")), {"lab/task-1"}).tasks
        ('lab/task-1',)
        >>> missing.asked(4), missing.asked(5)
        ([], [('kernel-1', Reconcile(framework='lab', tasks=('lab/task-2',)))])
        """
        rest = tuple(task for task in call.tasks if task not in known)
        if not rest or not self._until_us:
            return call
        self._asked.append((kernel, replace(call, tasks=rest)))
        return replace(call, tasks=tuple(task for task in call.tasks if task in known))

    def asked(self, now_us: int) -> list[tuple[str, Reconcile]]:
        """Return, once, what was held back, if nobody is missing any more: kernels, and what they asked."""
        self._until_us = {agent: until_us for agent, until_us in self._until_us.items() if until_us > now_us}
        if self._until_us or not self._asked:
            return []
        asked, self._asked = self._asked, []
        return asked
