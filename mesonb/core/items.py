"""Resources of which some are counted one by one: which ports, which disks, beside how much of the rest.

An ``Itemised`` vector is one of ``Resources`` that also knows which ones it has; its amount of such a resource is their
number. A plain vector with an amount of ports means "so many, any of them": it fits where there are as many, and
taking it away takes the first. ``pick`` says which those are.

Rule: a vector without items never comes here. Python asks the class of the right operand first where that is a subclass,
so plain arithmetic pays nothing for this file. A sum in which one item would be there twice (the ports of two machines)
keeps the number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mesonb.core.resources import Resources

Which = dict[str, Any]  #: by resource, its Ranges or Names (ranges.py)


class Itemised(Resources):
    """Resources that know which ones they are, where they are counted one by one.

    >>> agent = Resources(cpus=4, ports="31000-31009", named={"disks": {"sda", "sdb"}})
    >>> agent - Resources(cpus=1, ports="31000-31001")
    Resources(cpus=3, ports='[31002-31009]', named={'disks': {'sda', 'sdb'}})
    >>> Resources(ports=3) <= agent, agent.pick(Resources(ports=3))
    (True, Resources(ports='[31000-31002]'))
    """

    __slots__ = ()
    itemised = True

    # -- arithmetic -----------------------------------------------------------------------------------------------

    def __add__(self, other: Resources) -> Resources:
        amounts = Resources.__add__(self, other)._amounts
        here, there = self.which, other.which
        which: Which = {}
        for name in {**here, **there}:
            ours: Any = here.get(name)
            theirs: Any = there.get(name)
            if name not in self._amounts or name not in other._amounts:
                which[name] = ours or theirs
            elif type(ours) is type(theirs) and not ours & theirs:
                which[name] = ours | theirs
        return vector(amounts, which)

    __radd__ = __add__

    def __sub__(self, other: Resources) -> Resources:
        return _difference(self, other)

    def __rsub__(self, other: Resources) -> Resources:
        return _difference(other, self)

    def __le__(self, other: Resources) -> bool:
        return _within(self, other)

    def __ge__(self, other: Resources) -> bool:
        return _within(other, self)

    def __floordiv__(self, needs: Resources) -> int:
        return int(needs <= self) if needs.itemised else Resources.__floordiv__(self, needs)

    def __rfloordiv__(self, whole: Resources) -> int:
        return int(self <= whole)

    def __mul__(self, times: int) -> Resources:
        return self if times == 1 else self.counted * times

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itemised) and self._amounts == other._amounts and self._which == other._which

    __hash__ = Resources.__hash__

    # -- parts ----------------------------------------------------------------------------------------------------

    def less(self, taken: Resources) -> Resources:
        """Take away what there is: never below nothing, and of items those alone that are meant."""
        gone = taken.which
        return self._with(
            Resources.less(self, taken),
            lambda name, ours, n: _without(ours, gone[name]) if name in gone else ours - ours.first(len(ours) - n),
        )

    def shared_part(self, other: Resources) -> Resources:
        """Return what both hold."""
        have = other.which
        return self._with(
            Resources.shared_part(self, other),
            lambda name, ours, n: ours - _without(ours, have[name]) if name in have else n,
        )

    def cut(self, caps: Mapping[str, int]) -> Resources:
        """Keep at most so much of each, the first of what is counted one by one; what is not named comes whole."""
        return self._with(Resources.cut(self, caps), lambda _name, _ours, n: n)

    def only(self, names: Iterable[str]) -> Resources:
        """Return the part of it that has these names."""
        return self._with(Resources.only(self, names), lambda _name, _ours, n: n)

    def pick(self, needs: Resources) -> Resources:
        """Say which ones are meant where ``needs`` asks for a number: the first of those that are here."""
        asked = {
            name: _whole(n) for name, n in needs._amounts.items() if name in self._which and name not in needs.which
        }
        picked = {name: self._which[name].first(n) for name, n in asked.items() if n <= len(self._which[name])}
        return vector(needs._amounts, {**needs.which, **picked}) if picked else needs

    @property
    def which(self) -> Mapping[str, Any]:
        """By resource, which ones it has."""
        return self._which

    @property
    def counted(self) -> Resources:
        """How many there are, without which."""
        return Resources.of(self._amounts)

    @property
    def measured(self) -> Resources:
        """The part that is not counted one by one: what counts for shares."""
        return Resources.of({name: n for name, n in self._amounts.items() if name not in self._which})

    def _with(self, part: Resources, choose: Callable[[str, Any, int], Any]) -> Resources:
        """Give items to a part of it whose amounts are known: the first so many, or those that are chosen."""
        which = {}
        for name, ours in self._which.items():
            chosen = choose(name, ours, part._amounts.get(name, 0) // 1000)
            which[name] = ours.first(chosen) if isinstance(chosen, int) else chosen
        return vector(part._amounts, which)

    # -- words ----------------------------------------------------------------------------------------------------

    def words(self) -> Mapping[str, str]:
        """Write each resource for people."""
        return {**Resources.words(self), **{name: str(items) for name, items in self._which.items()}}

    def plain(self) -> dict[str, int | str]:
        """Write it as plain data, which ``Resources.of_plain`` reads."""
        return {**self._amounts, **{name: str(items) for name, items in self._which.items()}}

    def __reduce__(self) -> tuple[object, ...]:
        return vector, (self._amounts, self._which)


def vector(amounts: Mapping[str, int], which: Which) -> Resources:
    """Build from exact amounts and items, whose number is the amount; without any it is a plain vector."""
    counted = Resources.of({**amounts, **{name: 1000 * len(items) for name, items in which.items()}})
    return itemise(counted, {name: items for name, items in which.items() if items})


def itemise(counted: Resources, which: Which) -> Resources:
    """Let a vector know which ones it has."""
    if which:
        counted.__class__ = Itemised
        counted._which = which
    return counted


def assign(whole: Resources, needs: Sequence[Resources]) -> list[Resources] | None:
    """Say which items each of several needs gets out of a whole; None where some would be needed twice.

    Those that name theirs come first, whatever their order; a number is then met by what they leave.
    """
    out = list(needs)
    for number in sorted(range(len(out)), key=lambda number: not out[number].itemised):
        out[number] = whole.pick(out[number])
        if not out[number] <= whole:
            return None
        whole -= out[number]
    return out


def _without(ours: Any, theirs: Any) -> Any:
    """Take some items away from others; numbers and names have none in common."""
    return ours - theirs if type(ours) is type(theirs) else ours


def _difference(whole: Resources, taken: Resources) -> Resources:
    """Take away; a number takes the first. Taking what is not there would be a broken book."""
    which, gone = {}, taken.which
    for name, ours in whole.which.items():
        away = gone.get(name) or ours.first(_whole(taken._amounts.get(name, 0)))
        assert type(away) is type(ours) and away <= ours, f"{whole} - {taken}: not all of these {name} are there"
        which[name] = ours - away
    return vector(Resources.__sub__(whole, taken)._amounts, which)


def _within(part: Resources, whole: Resources) -> bool:
    """Whether one fits inside the other: every item that it names is there, and as much of anything else."""
    have = whole.which
    return Resources.__le__(part, whole) and all(
        type(have.get(name)) is type(items) and items <= have[name] for name, items in part.which.items()
    )


def _whole(amount: int) -> int:
    """Return how many things an amount takes: half a port is one."""
    return -(-amount // 1000)
