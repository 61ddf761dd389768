"""Which ones: ranges of numbers (ports) and sets of names (disks), for resources that are counted one by one.

Rule: both are immutable, and know the same few things: ``|``, ``-``, ``&``, ``<=``, ``len``, ``first(n)``, and their
text, which ``read`` reads back. What a whole vector does with them is ``items.py``'s.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from numbers import Integral
from typing import Any

from mesonb.errors import BadValue

#: Numbers are smaller than this, so that there are never more of them than can be counted.
TOO_LARGE = 10**15
_STRETCH = re.compile(r"\s*(\d{1,16})\s*(?:-\s*(\d{1,16})\s*)?")
_UNBRACKETED = re.compile(r"\d[\d\s]*[-,][\d\s,-]*")
_NAMES = re.compile(r"\{(.*)\}")
_NAME = re.compile(r"[\w./:@+-]+")


class Ranges:
    """Some whole numbers, kept as the bounds of the stretches that they lie in.

    >>> ports = Ranges.of([(31000, 31009), (31020, 31020)])
    >>> ports, len(ports), 31005 in ports
    ('[31000-31009,31020]', 11, True)
    >>> ports - Ranges.of([(31001, 31030)])
    '[31000]'
    """

    __slots__ = ("bounds",)
    #: Where a stretch begins, where it is over, where the next begins, ...: ascending.
    bounds: tuple[int, ...]

    @classmethod
    def of(cls, stretches: Iterable[tuple[int, int]]) -> Ranges:
        """Build from first and last numbers of stretches, which may overlap."""
        bounds: list[int] = []
        for first, last in sorted(stretches):
            if not 0 <= first <= last:
                raise BadValue(
                    f"[{first}-{last}] is no range; write the smaller number first, from 0 on: [31000-32000]"
                )
            if last >= TOO_LARGE:
                raise BadValue(f"[{first}-{last}] goes too far; numbers in ranges are smaller than {TOO_LARGE:,}")
            if bounds and first <= bounds[-1]:
                bounds[-1] = max(bounds[-1], last + 1)
            else:
                bounds += [first, last + 1]
        return cls._of(tuple(bounds))

    @classmethod
    def _of(cls, bounds: tuple[int, ...]) -> Ranges:
        made = cls.__new__(cls)
        made.bounds = bounds
        return made

    def __or__(self, other: Ranges) -> Ranges:
        return self._merged(other, lambda here, there: here or there)

    def __sub__(self, other: Ranges) -> Ranges:
        return self._merged(other, lambda here, there: here and not there)

    def __and__(self, other: Ranges) -> Ranges:
        return self._merged(other, lambda here, there: here and there)

    def __le__(self, other: Ranges) -> bool:
        return not self - other

    def _merged(self, other: Ranges, keep: Callable[[bool, bool], bool]) -> Ranges:
        """Walk along the bounds of both: a number is kept or not by whether it lies in one, and in the other."""
        ours, theirs = set(self.bounds), set(other.bounds)
        bounds: list[int] = []
        here = there = inside = False
        for at in sorted(ours | theirs):
            here ^= at in ours
            there ^= at in theirs
            if keep(here, there) != inside:
                inside = not inside
                bounds.append(at)
        return self._of(tuple(bounds))

    def first(self, count: int) -> Ranges:
        """Return the smallest ``count`` of them, or all where there are fewer."""
        bounds: list[int] = []
        for begin, end in self.stretches():
            if count <= 0:
                break
            bounds += [begin, min(end, begin + count)]
            count -= end - begin
        return self._of(tuple(bounds))

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Yield where each stretch begins, and where it is over."""
        return zip(self.bounds[::2], self.bounds[1::2], strict=True)

    def __contains__(self, number: int) -> bool:
        return bisect_right(self.bounds, number) % 2 == 1

    def __len__(self) -> int:
        return sum(self.bounds[1::2]) - sum(self.bounds[::2])

    def __iter__(self) -> Iterator[int]:
        return (number for begin, end in self.stretches() for number in range(begin, end))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self.bounds == other.bounds

    def __hash__(self) -> int:
        return hash(self.bounds)

    def __str__(self) -> str:
        parts = (f"{begin}-{end - 1}" if end - begin > 1 else f"{begin}" for begin, end in self.stretches())
        return f"[{','.join(parts)}]"

    def __repr__(self) -> str:
        return repr(str(self))


class Names:
    """Some things by name.

    >>> disks = Names(["sdb", "sda"])
    >>> disks, str(disks), disks.first(1)
    ({'sda', 'sdb'}, '{sda,sdb}', {'sda'})
    """

    __slots__ = ("names",)

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    def __or__(self, other: Names) -> Names:
        return Names(self.names | other.names)

    def __sub__(self, other: Names) -> Names:
        return Names(self.names - other.names)

    def __and__(self, other: Names) -> Names:
        return Names(self.names & other.names)

    def __le__(self, other: Names) -> bool:
        return self.names <= other.names

    def first(self, count: int) -> Names:
        """Return ``count`` of them, in the order of their names."""
        return Names(sorted(self.names)[: max(0, count)])

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.names))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Names) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def __str__(self) -> str:
        return f"{{{','.join(self)}}}"

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}"


def read(name: str, given: Any) -> Ranges | Names | None:
    """Read which ones are meant, as text or as a collection; None where it says no such thing: an amount, perhaps.

    >>> read("ports", "31000-31009, 31020"), read("disks", {"sda"}), read("ports", range(5)), read("ports", 2)
    ('[31000-31009,31020]', {'sda'}, '[0-4]', None)
    """
    if isinstance(given, str):
        return _from_text(name, given)
    if isinstance(given, Ranges | Names):
        return given
    if isinstance(given, range) and given.step == 1:
        return Ranges.of([(given.start, given.stop - 1)] if given.start != given.stop else ())
    if isinstance(given, Collection) and not isinstance(given, bytes):
        if all(isinstance(one, str) for one in given) and not isinstance(given, Mapping):
            return _checked_names(name, given)
        if all(isinstance(one, Integral) and not isinstance(one, bool) for one in given):
            return Ranges.of((int(one), int(one)) for one in given)
        raise BadValue(f'{name}={given!r}: give whole numbers, or names, as {{31000, 31001}} or {{"sda", "sdb"}}')
    return None


def _from_text(name: str, text: str) -> Ranges | Names | None:
    text = text.strip()
    if match := _NAMES.fullmatch(text):
        return _checked_names(name, [part.strip() for part in match[1].split(",") if part.strip()])
    if text.startswith("["):
        if not text.endswith("]"):
            raise BadValue(f"{name}: {text:.40} has no end; write {name}='[31000-31009]'")
        text = text[1:-1]
    elif not _UNBRACKETED.fullmatch(text):
        return None
    return Ranges.of(_stretch(name, part) for part in text.split(",") if part.strip())


def _stretch(name: str, text: str) -> tuple[int, int]:
    match = _STRETCH.fullmatch(text)
    if not match:
        raise BadValue(f"{name}: {text.strip()[:40]!r} is no range; write [31000-31009] or [31000-31009,31020]")
    return int(match[1]), int(match[2] or match[1])


def _checked_names(name: str, given: Iterable[str]) -> Names:
    for one in given:
        if not _NAME.fullmatch(one):
            raise BadValue(f"{name}: {one!r} cannot be a name; use letters, digits and ./:@+-_")
    return Names(given)
