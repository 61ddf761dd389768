"""Asking: what a kernel elsewhere asks of the master, and waits for; the verbs are those that the master has itself.

An operator's call comes back when the master has taken it, so that what is read next knows of it; one that the master
will not take is refused here, with the reason. What is asked is answered by ``Guests``; what nobody but the master can
have (its log) is refused by name.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any

from mesonb.core import calls
from mesonb.core.allocator import Allocator
from mesonb.core.allocators import MODULES
from mesonb.core.explain import Explanation
from mesonb.core.resources import Resources
from mesonb.core.snapshot import RoleRow
from mesonb.errors import BadValue, NotThere
from mesonb.frameworks.output import Output, Sandbox
from mesonb.live.limits.isolation import Module
from mesonb.live.pictures import Pictures
from mesonb.live.private import Clusters
from mesonb.live.security.gate import OWN
from mesonb.live.wire.loop import LoopThread

#: How long an answer of the master may take.
ANSWER_S = 5.0


class Asking(Clusters):
    """The half of a ``Remote`` that asks; callable from any thread but its loop's own."""

    _thread: LoopThread
    _pictures: Pictures

    @abstractmethod
    def _ask(self, verb: str, *arguments: Any) -> Coroutine[Any, Any, Any]:
        """Ask the master; what it refuses is raised."""

    def _answer(self, verb: str, *arguments: Any) -> Any:
        """Ask, and wait for the answer."""
        return self._thread.wait_for(self._ask(verb, *arguments), ANSWER_S)

    # -- what it knows ----------------------------------------------------------------------------------------------

    def explain(self, name: str, agent: str = "") -> Explanation:
        """Ask the master why."""
        return self._explained(name, self._answer("explain", name, agent))

    def output(self, task: str) -> Output:
        """Ask the master what a task printed."""
        answer: Output = self._answer("output", task)
        return answer

    def printed(self) -> list[str]:
        """Ask the master which tasks printed something."""
        answer: list[str] = self._answer("printed")
        return answer

    def sandbox(self, task: str) -> Sandbox:
        """Ask the master for the folder that a command runs in, or ran in, on its agent."""
        answer: Sandbox = self._answer("sandbox", task)
        return answer

    def said_of_roles(self) -> dict[str, RoleRow]:
        """Ask the master what is said of roles."""
        return {row.role: row for row in self.snapshot().roles}

    @property
    def used(self) -> dict[str, dict[str, Resources]]:
        """What is really used, of the agents in a picture: by agent, then by task; an agent's own part is under ""."""
        return {agent: dict(amounts) for agent, amounts in (self.snapshot().used or {}).items()}

    @property
    def isolation(self) -> dict[str, list[Module]]:
        """Which isolation modules each agent applies, and what is in the way of others that were asked for."""
        return {agent: [Module(*line) for line in lines] for agent, lines in self._answer("isolation").items()}

    @property
    def leads(self) -> bool:
        """Whether the master is here; it is not."""
        return False

    @property
    def allocator(self) -> Allocator:
        """Who chooses whom to offer to; one of mesonb's own can be set, by name too. NotThere if the master has another one."""
        name: str = self._answer("allocator")
        if name not in MODULES:
            raise NotThere(f"{name!r} allocates, an object in the kernel that holds the master, and not in this one")
        return MODULES[name]()

    @allocator.setter
    def allocator(self, allocator: Allocator | str) -> None:
        self._allocate_by(allocator)

    def _hand_over(self, allocator: Allocator) -> str:
        """An allocator is code that decides for everybody: only mesonb's own travel, by name."""
        if type(allocator) in MODULES.values():
            return type(allocator).__name__
        raise BadValue(
            f"{allocator!r} is an allocator of your own, and is set in the kernel that holds the master: master.allocator = ...; "
            f"from here one of {', '.join(MODULES)} can be"
        )

    def _totals(self) -> list[Resources]:
        return [row.total for row in self.snapshot().agents]

    # -- what it is to do -------------------------------------------------------------------------------------------

    def _have_taken(self, sent: Sequence[calls.Call]) -> None:
        """Send calls, and come back when the master has taken them; NotAllowed for one that no kernel may make."""
        for call in sent:
            if not isinstance(call, OWN | calls.OperatorCall):
                self._answer("may", call)
        self.post(sent)
        self._answer("now_us")  # an answer means that all before it was taken
        self._pictures.outdate()

    def _have_ready(self, *modules: str) -> None:
        """Have agents import what a private Dask cluster needs: nothing else is asked for."""
        self._answer("dask soon")
