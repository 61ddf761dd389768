"""The whole state of a core as bytes: what a trimmed log begins with, and what ``seek`` starts from.

Rule: ``Checkpoint.of(core).restore()`` answers every call as ``core`` does. The bytes are Python's pickle, read with
care: nothing but the core's own classes and plain containers is ever built, so a recording from a stranger can be opened.

An allocator written in a cell is kept whole within this process. In a file only its place is kept: whoever opens the
recording gives the allocator, and it begins anew there.
"""

from __future__ import annotations

import base64
import io
import pickle
import zlib
from collections.abc import Callable, Iterator
from dataclasses import fields
from operator import attrgetter
from types import FunctionType
from typing import Any

from mesonb.core.allocator import Allocator, Grant, View
from mesonb.core.events import Held, OfferMade
from mesonb.core.items import Itemised
from mesonb.core.master import MasterCore
from mesonb.core.records import Filter, Task
from mesonb.core.resources import Resources
from mesonb.errors import LogError

_OURS = "mesonb.core."
_PLAIN = {
    "builtins": ("set", "frozenset", "object", "bytearray", "int", "float", "str", "bool", "list", "dict", "tuple"),
    "collections": ("deque", "OrderedDict", "Counter", "defaultdict"),
    "fractions": ("Fraction",),
    "random": ("Random",),
}
_NEW: Callable[..., Any] = object().__reduce_ex__(2)[0]  # type: ignore[assignment]  # what pickle itself makes an object with, before its state is set
_FAST = 1  # zlib's level: a checkpoint shrinks fivefold in the time that it took to write


class Checkpoint:
    """One state of one core. What only this process knows stands beside the bytes."""

    def __init__(self, packed: bytes, foreign: list[Any] | None = None) -> None:
        self.packed = packed
        self.foreign = foreign or []  #: the classes and functions of an allocator from elsewhere, by place

    @classmethod
    def of(cls, core: MasterCore) -> Checkpoint:
        """Keep a core's state as it is now. Timers of what has ended say nothing any more, and are dropped on the way."""
        core.timers[:] = sorted(filter(core.timer_speaks, core.timers))  # sorted, so still a heap
        written, foreign = freeze(core)
        return cls(zlib.compress(written, _FAST), foreign)

    def restore(self) -> MasterCore:
        """Make a core in that state."""
        return thaw(zlib.decompress(self.packed), self.foreign)

    def text(self) -> str:
        """Write it for a file, without what other processes cannot know."""
        packed = self.packed
        if self.foreign:
            core = self.restore()
            core.handed = {name: Elsewhere() for name in core.handed}
            if type(core.allocator) in self.foreign:
                core.allocator = Elsewhere()
            packed = Checkpoint.of(core).packed
        return base64.b85encode(packed).decode()

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Read what ``text`` wrote."""
        return cls(base64.b85decode(text))


def freeze(core: MasterCore) -> tuple[bytes, list[Any]]:
    """Write a core's state as it is, and what stands beside the bytes; the core is not touched."""
    file = io.BytesIO()
    writer = _Writer(file)
    writer.dump(core)
    return file.getvalue(), writer.foreign


def thaw(written: bytes, foreign: list[Any]) -> MasterCore:
    """Make a core in the state that ``freeze`` wrote."""
    core = _Reader(io.BytesIO(written), foreign).load()
    if not isinstance(core, MasterCore):
        raise LogError(f"the recording's checkpoint holds a {type(core).__name__}, not the state of a master")
    return core


class Elsewhere(Allocator):
    """Stands for an allocator that a file cannot hold, because its class is not one of mesonb's."""

    def cycle(self, view: View) -> Iterator[Grant]:
        """Say what is missing."""
        raise LogError(
            "this recording was made with an allocator of its own; open it with mb.replay(path, allocator=YourAllocator())"
        )


def _by_parts(record: type) -> Callable[[Any], tuple[type, tuple[Any, ...]]]:
    """Write a record that holds no other one as its class and its parts."""
    parts = attrgetter(*[part.name for part in fields(record)])
    return lambda thing: (record, parts(thing))


_OF_OFFERS = (*(part.name for part in fields(OfferMade)), *Held.__slots__)
_OFFER_PARTS: Callable[[Any], tuple[Any, ...]] = attrgetter(*_OF_OFFERS)


class _Writer(pickle.Pickler):
    """Writes a core; what comes from outside mesonb.core is put in a list instead."""

    #: Pickle's own way with these, which are most of a core, is a third slower.
    dispatch_table = {  # noqa: RUF012 - pickle's own name
        Resources: lambda held: (_NEW, (Resources,), (None, {"_amounts": held.amounts})),
        OfferMade: lambda offer: (_NEW, (OfferMade,), (None, dict(zip(_OF_OFFERS, _OFFER_PARTS(offer), strict=True)))),
        Itemised: lambda held: (_NEW, (Itemised,), (None, {"_amounts": held.amounts, "_which": held.which})),
        **{record: _by_parts(record) for record in (Task, Filter)},
    }

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.foreign: list[Any] = []

    def reducer_override(self, thing: object) -> Any:
        """Write the place of a class or a function from elsewhere, and all else as pickle does."""
        if not isinstance(thing, type | FunctionType) or _known(thing.__module__, thing.__qualname__):
            return NotImplemented
        self.foreign.append(thing)  # met once: pickle remembers what it has written
        return _at_place, (len(self.foreign) - 1,)


class _Reader(pickle.Unpickler):
    """Reads a core, and refuses to look up anything that a core does not hold."""

    def __init__(self, file: io.BytesIO, foreign: list[Any]) -> None:
        super().__init__(file)
        self._foreign = foreign

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of the core, or a plain container."""
        if name == _at_place.__name__:
            return self._foreign.__getitem__
        if not _known(module, name):
            raise LogError(
                f"the recording's checkpoint asks for {module}.{name}, which no master holds; do not trust this file"
            )
        found = super().find_class(module, name)
        if module.startswith(_OURS) and not (isinstance(found, type) and found.__module__.startswith(_OURS)):
            raise LogError(
                f"the recording's checkpoint asks for {module}.{name}, which is no class of a master; do not trust it"
            )
        return found


def _known(module: str, name: str) -> bool:
    """Whether a class of this name may be part of a core; a dotted name could reach anything, so it may not."""
    return "." not in name and (module.startswith(_OURS) or name in _PLAIN.get(module, ()))


def _at_place(place: int) -> Any:
    """Stand in the bytes for whatever the reader's list has at that place."""
    raise NotImplementedError
