"""Exact vectors of resources: bytes for mem and disk, thousandths of anything else.

Rule: amounts are integers, so books balance with ``==``; a name whose amount is zero is not kept, so two equal
vectors are equal however they came about. Nothing here rounds after construction.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from mesonb.core.units import parse_bytes, show_bytes
from mesonb.errors import BadValue

#: Names measured in bytes; every other resource is counted in thousandths.
IN_BYTES = frozenset({"mem", "disk"})
#: Names that the constructor takes as keywords.
_CONSTRUCTED = ("cpus", "mem", "disk", "gpus")
#: What people type, and the name that is meant.
_MEANT = {
    "cpu": "cpus",
    "core": "cpus",
    "cores": "cpus",
    "memory": "mem",
    "ram": "mem",
    "gpu": "gpus",
    "storage": "disk",
}


class Resources:
    """Some amount of each of several resources, exact and immutable.

    ``cpus`` and ``gpus`` are numbers, ``mem`` and ``disk`` sizes as people write them; ``named`` holds any further
    countable resource by its name.

    >>> machine = Resources(cpus=4, mem="4GB")
    >>> machine - Resources(cpus=2, mem="1GB") - Resources(cpus=1, mem="2GB")
    Resources(cpus=1, mem='1 GB')
    >>> Resources(cpus=1, mem="2GB") <= machine
    True
    """

    __slots__ = ("_amounts",)
    _amounts: dict[str, int]

    def __init__(
        self,
        cpus: float = 0,
        mem: float | str = 0,
        disk: float | str = 0,
        gpus: float = 0,
        named: Mapping[str, float] | None = None,
        **unknown: object,
    ) -> None:
        if unknown:
            raise BadValue(_unknown(next(iter(unknown))))
        given = {"cpus": cpus, "mem": mem, "disk": disk, "gpus": gpus, **(named or {})}
        self._amounts = {name: n for name, amount in given.items() if (n := _exact(name, amount))}

    @classmethod
    def of(cls, amounts: Mapping[str, int]) -> Resources:
        """Build from exact amounts: bytes for mem and disk, thousandths of anything else."""
        made = cls.__new__(cls)
        made._amounts = {name: n for name, n in amounts.items() if n}
        return made

    @property
    def amounts(self) -> Mapping[str, int]:
        """The exact amounts by name; treat it as read-only."""
        return self._amounts

    @property
    def cpus(self) -> float:
        """Cpus as people count them."""
        return self._amounts.get("cpus", 0) / 1000

    @property
    def gpus(self) -> float:
        """Gpus as people count them."""
        return self._amounts.get("gpus", 0) / 1000

    @property
    def mem(self) -> int:
        """Memory in bytes."""
        return self._amounts.get("mem", 0)

    @property
    def disk(self) -> int:
        """Disk in bytes."""
        return self._amounts.get("disk", 0)

    def __add__(self, other: Resources) -> Resources:
        out = self._amounts.copy()
        for name, n in other._amounts.items():
            out[name] = out.get(name, 0) + n
        made = Resources.__new__(Resources)
        made._amounts = out
        return made

    def __sub__(self, other: Resources) -> Resources:
        """Take away; taking more than there is would be a broken book, so it is an assertion."""
        out = self._amounts.copy()
        for name, n in other._amounts.items():
            left = out.get(name, 0) - n
            assert left >= 0, f"{self} - {other}: {name} would be negative"
            if left:
                out[name] = left
            else:
                del out[name]
        made = Resources.__new__(Resources)
        made._amounts = out
        return made

    def __le__(self, other: Resources) -> bool:
        """Whether this fits inside the other in every resource (a partial order)."""
        have = other._amounts
        for name, n in self._amounts.items():
            if n > have.get(name, 0):
                return False
        return True

    def __ge__(self, other: Resources) -> bool:
        return other <= self

    def __floordiv__(self, needs: Resources) -> int:
        """How many times ``needs`` fits in here.

        >>> Resources(cpus=9, mem="18GB") // Resources(cpus=1, mem="4GB")
        4
        """
        if not needs:
            raise BadValue("needs of nothing fit without end; give needs=mb.Resources(cpus=1)")
        return min(self._amounts.get(name, 0) // n for name, n in needs._amounts.items())

    def __mul__(self, times: int) -> Resources:
        return Resources.of({name: n * times for name, n in self._amounts.items()})

    def missing_for(self, needs: Resources) -> Resources:
        """What would have to be added here before ``needs`` fits."""
        return Resources.of({name: max(0, n - self._amounts.get(name, 0)) for name, n in needs._amounts.items()})

    def __bool__(self) -> bool:
        return bool(self._amounts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resources) and self._amounts == other._amounts

    def __hash__(self) -> int:
        return hash(frozenset(self._amounts.items()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._amounts)

    def __reduce__(self) -> tuple[object, ...]:
        return Resources.of, (self._amounts,)

    def __str__(self) -> str:
        return ", ".join(f"{show(name, n)} {_noun(name, n)}" for name, n in self._amounts.items()) or "nothing"

    def __repr__(self) -> str:
        plain = [f"{name}={show(name, n)!r}" if name in IN_BYTES else f"{name}={show(name, n)}"
                 for name, n in self._amounts.items() if name in _CONSTRUCTED]  # fmt: skip
        if named := {name: n / 1000 for name, n in self._amounts.items() if name not in _CONSTRUCTED}:
            plain.append(f"named={named}")
        return f"Resources({', '.join(plain)})"


def show(name: str, amount: int) -> str:
    """Write one exact amount for people.

    >>> show("cpus", 1500), show("mem", 2_000_000_000)
    ('1.5', '2 GB')
    """
    return show_bytes(amount) if name in IN_BYTES else f"{amount / 1000:g}"


def _noun(name: str, amount: int) -> str:
    return name[:-1] if amount == 1000 and name in ("cpus", "gpus") else name


def _exact(name: str, amount: Any) -> int:
    if name in IN_BYTES:
        return parse_bytes(amount)  # says what is wrong with anything else
    try:
        exact = round(Fraction(amount) * 1000)
    except (TypeError, ValueError, OverflowError):
        raise BadValue(f"{name}={amount!r} is not a number; write {name}=1 or {name}=0.5") from None
    if exact < 0:
        raise BadValue(f"{name}={amount!r} is negative; an amount is zero or more")
    return exact


def _unknown(name: str) -> str:
    known = _MEANT.get(name) or next(iter(difflib.get_close_matches(name, _CONSTRUCTED, 1)), None)
    advice = f"did you mean {known}=?" if known else f"for a resource of your own write named={{{name!r}: 1}}"
    return f"no resource is called {name!r}; {advice} (known: {', '.join(_CONSTRUCTED)})"


NOTHING = Resources()


def at_most(part: Resources, limit: Resources) -> Resources:
    """Return as much of ``part`` as a limit lets through; what the limit does not name comes whole.

    >>> at_most(Resources(cpus=4, mem="4GB"), Resources(cpus=1))
    Resources(cpus=1, mem='4 GB')
    """
    if part <= limit:
        return part
    caps = limit.amounts
    return Resources.of({name: min(n, caps.get(name, n)) for name, n in part.amounts.items()})


def less(whole: Resources, taken: Resources) -> Resources:
    """Take away what there is: never below nothing.

    >>> less(Resources(cpus=2), Resources(cpus=3, mem="1GB"))
    Resources()
    """
    gone = taken.amounts
    return Resources.of({name: max(0, n - gone.get(name, 0)) for name, n in whole.amounts.items()})


def shared_part(one: Resources, other: Resources) -> Resources:
    """Return what both hold.

    >>> shared_part(Resources(cpus=2, mem="1GB"), Resources(cpus=3))
    Resources(cpus=2)
    """
    have = other.amounts
    return Resources.of({name: min(n, have.get(name, 0)) for name, n in one.amounts.items()})
