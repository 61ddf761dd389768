"""Packed: a list that grows at one end, of which all but the newest part is kept as bytes.

A log holds a hundred thousand steps, of some six objects each. As objects they are what Python's garbage collector walks,
again and again, for as long as the log grows: a third of what a launch cost its kernel. As bytes they are nothing to it, and
a fifth as large. Rule: what was put in is never changed; one thread puts in and forgets, any may read meanwhile.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar, overload

from mesonb.core import calls, events

T = TypeVar("T", bound=tuple[Any, ...])
#: So many records are packed together: few enough to be gone before the garbage collector counts them among the old.
BLOCK = 256


class Packed(Sequence[T], Generic[T]):
    """Records, each a tuple that ``make`` makes of its parts: calls, events and plain data."""

    def __init__(self, make: Callable[[Iterable[Any]], T]) -> None:
        self._make = make
        self._blocks: dict[int, list[T] | bytes] = {0: []}  #: by number, counting those that were forgotten
        self._first = self._end = 0  #: which records there are, of all there ever were
        self._opened: tuple[int, list[T]] = (-1, [])  #: the block of bytes that was read last

    def append(self, record: T) -> None:
        """Add a record at the end."""
        number = self._end // BLOCK
        block = self._blocks[number]
        assert isinstance(block, list)
        block.append(record)
        if len(block) < BLOCK:
            self._end += 1
        else:
            self._blocks[number + 1] = []  # before anybody can look for it
            self._end += 1
            self._blocks[number] = _pack(block)

    def copy(self) -> Packed[T]:
        """Return what there is now, as a list of its own; bytes are shared."""
        twin: Packed[T] = Packed(self._make)
        twin._blocks = blocks = self._blocks.copy()  # all else follows from this: it goes on, and forgets, meanwhile
        newest = next(reversed(blocks))
        blocks[newest] = self._open(newest, blocks).copy()
        twin._end = newest * BLOCK + len(blocks[newest])
        twin._first = max(self._first, next(iter(blocks)) * BLOCK)
        if twin._end % BLOCK == 0:
            blocks[twin._end // BLOCK] = []
        return twin

    def __len__(self) -> int:
        return self._end - self._first

    def __iter__(self) -> Iterator[T]:
        return self._between(0, len(self))

    @overload
    def __getitem__(self, key: int) -> T: ...
    @overload
    def __getitem__(self, key: slice) -> list[T]: ...
    def __getitem__(self, key: int | slice) -> T | list[T]:
        if isinstance(key, slice):
            begin, end, stride = key.indices(len(self))
            return list(self._between(begin, end)) if stride == 1 else list(self)[key]
        place = key + (self._first if key >= 0 else self._end)
        if not self._first <= place < self._end:
            raise IndexError(f"there are {len(self)} records, and none is number {key}")
        return self._open(place // BLOCK, self._blocks)[place % BLOCK]

    def __delitem__(self, key: slice) -> None:
        """Forget the first of them, and nothing else."""
        begin, end, _ = key.indices(len(self))
        assert begin == 0, "only what came first is ever forgotten"
        before, self._first = self._first, self._first + end
        for number in range(before // BLOCK, self._first // BLOCK):
            del self._blocks[number]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Packed | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        return f"<{len(self):,} records, packed>"

    def _between(self, begin: int, end: int) -> Iterator[T]:
        blocks = self._blocks.copy()  # first: what is forgotten from here on is read all the same
        place, end = self._first + begin, min(self._first + end, self._end)
        while place < end:
            at, upto = place % BLOCK, min(place % BLOCK + end - place, BLOCK)
            yield from self._open(place // BLOCK, blocks)[at:upto]
            place += upto - at

    def _open(self, number: int, blocks: dict[int, list[T] | bytes]) -> list[T]:
        block = blocks[number]
        if isinstance(block, list):
            return block
        at, opened = self._opened  # at once: another thread may read elsewhere
        if at != number:
            opened = list(map(self._make, zip(*pickle.loads(block), strict=True)))
            self._opened = number, opened
        return opened


def _pack(block: list[Any]) -> bytes:
    file = io.BytesIO()
    _Packer(file, 5).dump(tuple(zip(*block, strict=True)))
    return file.getvalue()


def _by_parts(kind: Any) -> Callable[[Any], tuple[Any, ...]]:
    names = [field.name for field in fields(kind)]
    parts = attrgetter(*names)
    return (lambda thing: (kind, (parts(thing),))) if len(names) == 1 else (lambda thing: (kind, parts(thing)))


class _Packer(pickle.Pickler):
    """Writes calls and events as their classes and parts: pickle's own way with them takes three times as long."""

    dispatch_table = {  # noqa: RUF012 - pickle's own name
        kind: _by_parts(kind)
        for module in (calls, events)
        for kind in vars(module).values()
        if isinstance(kind, type) and is_dataclass(kind) and fields(kind)
    }
