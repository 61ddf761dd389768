"""Store: what the tasks of a framework keep on an agent for those that come after: an agent's side of ``mb.local()``.

Each thing is a parcel, held by the agent: children map it, and Linux frees it when the framework leaves, or the agent ends,
however that happens. Of several tasks that want a thing made once, one is told to make it and the others wait; if it ends
before it has, the next is told. Descriptors go in and out; nothing here reads what is kept.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

from mesonb.core.units import show_bytes
from mesonb.errors import BadValue
from mesonb.live.tasks import parcel

#: An answer to a task, and perhaps a descriptor.
Answer = tuple[Any, int | None]
#: What a task that wants something is told: it is there; it is to be made, by this very task; it is not there.
HERE, MAKE, NONE = "here", "make", "none"


class Stores:
    """The stores of one agent, one a framework; ``answer(number, answer)`` answers tasks that had to wait."""

    def __init__(self, most_bytes: int, answer: Callable[[int, Answer], None]) -> None:
        self._most_bytes = most_bytes
        self._answer = answer
        self._kept: dict[str, dict[str, int]] = {}  #: descriptors, by framework and name
        self._makers: dict[tuple[str, str], int] = {}
        self._waiting: dict[tuple[str, str], deque[int]] = {}

    def ask(self, framework: str, number: int, pid: int, question: tuple[Any, ...]) -> Answer | None:
        """Answer a task; nothing if it has to wait."""
        kept = self._kept.get(framework, {})
        match question:
            case ("get", name):
                return (HERE, kept[name]) if name in kept else (NONE, None)
            case ("put", name, fd):
                self._put(framework, name, parcel.of_process(pid, fd))
                return None, None
            case ("delete", name):
                return self._delete(framework, name), None
            case ("names",):
                return list(kept), None
            case ("once", name):
                return (HERE, kept[name]) if name in kept else self._once((framework, name), number)
            case ("give up", name):
                self._next_maker((framework, name))
                return None, None
            case _:
                raise ValueError(f"{question[0]!r} is no question")

    def over(self, number: int) -> None:
        """A task has ended: it makes nothing any more, and waits for nothing."""
        for waiting in self._waiting.values():
            if number in waiting:
                waiting.remove(number)
        for what in [what for what, maker in self._makers.items() if maker == number]:
            self._next_maker(what)

    def left(self, framework: str) -> None:
        """Forget the store of a framework that has left."""
        for name in list(self._kept.get(framework, ())):
            self._delete(framework, name)

    @property
    def frameworks(self) -> set[str]:
        """Whose things are kept here."""
        return set(self._kept)

    @property
    def size_bytes(self) -> int:
        """How much is kept, of all frameworks."""
        return sum(parcel.size_of(fd) for kept in self._kept.values() for fd in kept.values())

    def close(self) -> None:
        """Forget everything."""
        for framework in list(self._kept):
            self.left(framework)

    def _put(self, framework: str, name: str, fd: int) -> None:
        before = self._kept.get(framework, {}).get(name)
        held, new = self.size_bytes - (parcel.size_of(before) if before is not None else 0), parcel.size_of(fd)
        if held + new > self._most_bytes:
            os.close(fd)
            raise BadValue(
                f"{name!r} has {show_bytes(new)}, and the stores of this agent hold {show_bytes(held)} of {show_bytes(self._most_bytes)}: "
                "keep less, del mb.local()[...] what is not needed, or set mesonb.local-most in Dask's configuration"
            )
        self._delete(framework, name)
        self._kept.setdefault(framework, {})[name] = fd
        self._makers.pop((framework, name), None)
        for number in self._waiting.pop((framework, name), ()):
            self._answer(number, (HERE, fd))

    def _delete(self, framework: str, name: str) -> bool:
        kept = self._kept.get(framework, {})
        fd = kept.pop(name, None)
        if fd is None:
            return False
        os.close(fd)
        if not kept:
            del self._kept[framework]
        return True

    def _once(self, what: tuple[str, str], number: int) -> Answer | None:
        if what in self._makers:
            self._waiting.setdefault(what, deque()).append(number)
            return None
        self._makers[what] = number
        return MAKE, None

    def _next_maker(self, what: tuple[str, str]) -> None:
        self._makers.pop(what, None)
        if waiting := self._waiting.get(what):
            self._makers[what] = waiting.popleft()
            self._answer(self._makers[what], (MAKE, None))
