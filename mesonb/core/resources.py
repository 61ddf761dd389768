"""Exact vectors of resources: bytes for mem and disk, thousandths of anything else.

Rule: amounts are integers, so books balance with ``==``; a name whose amount is zero is not kept, so two equal
vectors are equal however they came about. Nothing here rounds after construction. What is counted one by one, as ports
are, is ``items.py``'s: such a vector is of a class of its own, and this one pays nothing for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, ClassVar

from mesonb.core.ranges import read
from mesonb.core.units import parse_bytes, show_bytes
from mesonb.errors import BadValue

#: Names measured in bytes; every other resource is counted in thousandths.
IN_BYTES = frozenset({"mem", "disk"})
#: A bare number below this is no number of bytes that anybody means.
LEAST_BYTES = 1000
#: Names that the constructor takes as keywords.
_CONSTRUCTED = ("cpus", "mem", "disk", "gpus", "ports")
_RANK = {name: rank for rank, name in enumerate(_CONSTRUCTED)}
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
    countable resource by its name. ``ports`` are ranges, ``"31000-32000"`` or numbers, and in needs also just how many;
    any other name may hold ranges or a set, too: ``disks={"sda", "sdb"}``.

    >>> machine = Resources(cpus=4, mem="4GB")
    >>> machine - Resources(cpus=2, mem="1GB") - Resources(cpus=1, mem="2GB")
    Resources(cpus=1, mem='1 GB')
    >>> Resources(cpus=1, mem="2GB") <= machine
    True
    """

    __slots__ = ("_amounts", "_which")
    _amounts: dict[str, int]
    _which: dict[str, Any]  #: of an ``Itemised`` vector alone
    itemised: ClassVar[bool] = False  #: whether it knows which ones it has, where they are counted one by one

    def __init__(
        self,
        cpus: float = 0,
        mem: float | str = 0,
        disk: float | str = 0,
        gpus: float = 0,
        named: Mapping[str, Any] | None = None,
        ports: float | str | Iterable[int] = 0,
        **items: Any,
    ) -> None:
        which = {name: found for name, given in {"ports": ports, **(named or {}), **items}.items()
                 if name not in IN_BYTES and (found := read(name, given)) is not None}  # fmt: skip
        if unknown := next((name for name in items if name not in which), None):
            raise BadValue(_unknown(unknown))
        given = {"cpus": cpus, "mem": mem, "disk": disk, "gpus": gpus, "ports": ports, **(named or {})}
        self._amounts = {name: n for name, amount in given.items() if name not in which and (n := _exact(name, amount))}
        if any(which.values()):
            from mesonb.core.items import itemise

            self._amounts |= {name: 1000 * len(found) for name, found in which.items() if found}
            itemise(self, {name: found for name, found in which.items() if found})

    @classmethod
    def of(cls, amounts: Mapping[str, int]) -> Resources:
        """Build from exact amounts: bytes for mem and disk, thousandths of anything else."""
        made = cls.__new__(cls)
        made._amounts = {name: n for name, n in amounts.items() if n}
        return made

    @classmethod
    def of_plain(cls, written: Mapping[str, int | str]) -> Resources:
        """Read what ``plain`` wrote."""
        which = {name: _items(name, text) for name, text in written.items() if isinstance(text, str)}
        if not which:
            return cls.of(written)  # type: ignore[arg-type]  # all are numbers
        from mesonb.core.items import vector

        return vector({name: n for name, n in written.items() if isinstance(n, int)}, which)

    def plain(self) -> dict[str, int | str]:
        """Write it as plain data: exact amounts; as text, which ones, where that is known."""
        return dict(self._amounts)

    @property
    def amounts(self) -> Mapping[str, int]:
        """The exact amounts by name; treat it as read-only."""
        return self._amounts

    @property
    def which(self) -> Mapping[str, Any]:
        """By resource, which ones it has, where they are counted one by one and it knows."""
        return {}

    @property
    def counted(self) -> Resources:
        """The same without which ones: what sums over several agents are made of."""
        return self

    @property
    def measured(self) -> Resources:
        """The part that is not counted one by one: what counts for shares."""
        return self

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
        if other is self:
            return NOTHING
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
        if other is self:
            return True
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
        return needs.less(self)

    def pick(self, needs: Resources) -> Resources:
        """Say which ones are meant, where ``needs`` asks for a number of what is here counted one by one."""
        return needs

    # -- parts; functions below say them in words that read well ----------------------------------------------------

    def less(self, taken: Resources) -> Resources:
        """Take away what there is: never below nothing."""
        gone = taken._amounts
        return Resources.of({name: max(0, n - gone.get(name, 0)) for name, n in self._amounts.items()})

    def shared_part(self, other: Resources) -> Resources:
        """Return what both hold."""
        have = other._amounts
        return Resources.of({name: min(n, have.get(name, 0)) for name, n in self._amounts.items()})

    def cut(self, caps: Mapping[str, int]) -> Resources:
        """Keep at most so much of each, as exact amounts; what is not named comes whole."""
        return Resources.of({name: min(n, caps.get(name, n)) for name, n in self._amounts.items()})

    def only(self, names: Iterable[str]) -> Resources:
        """Return the part of it that has these names."""
        kept = set(names)
        return Resources.of({name: n for name, n in self._amounts.items() if name in kept})

    def words(self) -> Mapping[str, str]:
        """Write each resource for people, those that everybody knows first."""
        return {name: show(name, self._amounts[name]) for name in self._ordered()}

    def _ordered(self) -> list[str]:
        """Name what there is in one order, however this vector came about."""
        return sorted(self._amounts, key=lambda name: (_RANK.get(name, len(_RANK)), name))

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
        return (
            ", ".join(f"{said} {_noun(name, self._amounts[name])}" for name, said in self.words().items()) or "nothing"
        )

    def __repr__(self) -> str:
        which = self.which
        typed = {name: repr(which[name]) if name in which else repr(show(name, n)) if name in IN_BYTES else f"{n / 1000:.15g}"
                 for name in self._ordered() for n in (self._amounts[name],)}  # fmt: skip
        plain = [f"{name}={amount}" for name, amount in typed.items() if name in _CONSTRUCTED]
        if named := ", ".join(f"{name!r}: {amount}" for name, amount in typed.items() if name not in _CONSTRUCTED):
            plain.append(f"named={{{named}}}")
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
        if isinstance(amount, int | float) and 0 < amount < LEAST_BYTES:
            raise BadValue(
                f"{name}={amount!r} is so many bytes; write {name}='{amount:g}GB', or bytes: {name}='{amount:g}B'"
            )
        return parse_bytes(amount)  # says what is wrong with anything else
    try:
        exact = round(Fraction(amount) * 1000)
    except (TypeError, ValueError, OverflowError):
        example = f"{name}=2, or {name}='31000-31009'" if name == "ports" else f"{name}=1 or {name}=0.5"
        raise BadValue(f"{name}={amount!r} is not a number; write {example}") from None
    if exact < 0:
        raise BadValue(f"{name}={amount!r} is negative; an amount is zero or more")
    return exact


def _items(name: str, text: str) -> Any:
    found = read(name, text)
    if found is None:
        raise BadValue(
            f"{name}: {text[:40]!r} says neither which ones nor how many; write '[31000-31009]' or '{{sda,sdb}}'"
        )
    return found


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
    return part if part <= limit else part.cut(limit._amounts)


def less(whole: Resources, taken: Resources) -> Resources:
    """Take away what there is: never below nothing.

    >>> less(Resources(cpus=2), Resources(cpus=3, mem="1GB"))
    Resources()
    """
    return whole.less(taken)


def shared_part(one: Resources, other: Resources) -> Resources:
    """Return what both hold.

    >>> shared_part(Resources(cpus=2, mem="1GB"), Resources(cpus=3))
    Resources(cpus=2)
    """
    return one.shared_part(other)
