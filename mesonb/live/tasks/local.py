"""Local: what the tasks of one framework keep on the agent where they run, for those that come after.

    def train(rate):
        data = mb.local().once("data", load)     # the first task on each agent loads it, the others find it
        ...

Arrays are shared: each task reads the same memory, and may not write to it. Everything else is a copy of each reader's own.
It is kept until the framework leaves, or the agent ends; outside of an agent (in a cell, in a simulation) as long as the
process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from mesonb.errors import BadValue
from mesonb.live.tasks import here, parcel
from mesonb.live.tasks.pickling import pickled_apart
from mesonb.live.tasks.store import HERE, MAKE


class Local(MutableMapping[str, Any]):
    """The store of a task's framework on its agent, by names."""

    def __init__(self, asker: here.Asker) -> None:
        self._asker = asker

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what is kept under a name; if there is nothing, make it: one task of an agent does, the others wait for it."""
        said, fd = self._asker.ask("local", "once", _named(name))
        if said != MAKE:
            return _opened(fd)
        try:
            self[name] = make()
        except BaseException:
            self._asker.ask("local", "give up", name)
            raise
        return self[name]

    def __getitem__(self, name: str) -> Any:
        said, fd = self._asker.ask("local", "get", _named(name))
        if said != HERE:
            raise KeyError(name)
        return _opened(fd)

    def __setitem__(self, name: str, thing: Any) -> None:
        fd = parcel.wrap(*pickled_apart(thing))
        try:
            self._asker.ask("local", "put", _named(name), fd)
        finally:
            os.close(fd)

    def __delitem__(self, name: str) -> None:
        if not self._asker.ask("local", "delete", _named(name))[0]:
            raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return f"<what this framework keeps here: {', '.join(self) or 'nothing'}>"

    def _names(self) -> list[str]:
        names: list[str] = self._asker.ask("local", "names")[0]
        return names


class Own(dict[str, Any]):
    """The same outside of any agent."""

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what is kept under a name, made if there is nothing."""
        if _named(name) not in self:
            self[name] = make()
        return self[name]


#: What is kept outside of any agent.
_OWN = Own()


def local() -> Local | Own:
    """Return what the tasks of this framework keep on this agent; a mapping with names, and ``once(name, make)``."""
    asker = here.asker()
    return _OWN if asker is None else Local(asker)


def _named(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise BadValue(f"{name!r:.100} is not a name; write mb.local()['data'] = ...")
    return name


def _opened(fd: int | None) -> Any:
    assert fd is not None
    try:
        return parcel.opened(fd, writable=False)
    finally:
        os.close(fd)
