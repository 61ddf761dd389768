"""What is said of roles (weight, priority, guarantee, limit), as mappings: ``master.weights["lab"] = 3``.

Each is one call, taken before the assignment is over. What was said is read back without picturing the whole cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from mesonb.core import calls
from mesonb.core.records import Role
from mesonb.core.resources import Resources
from mesonb.core.snapshot import RoleRow
from mesonb.errors import BadValue, NotThere

Value = TypeVar("Value")


class Sayer(Protocol):
    """What these mappings need of a session."""

    def operate(self, sent: Sequence[calls.Call]) -> None:
        """Send an operator's calls, and come back when they have been taken."""

    def said_of_roles(self) -> Mapping[str, Role | RoleRow]:
        """Return the roles that there are, by name, each with what is said of it."""


class _Roles(MutableMapping[str, Value], Generic[Value]):
    """One thing that is said of roles, by role."""

    what = plural = ""  #: what it is called in a sentence
    unsaid: Value  #: what ``del`` sets it to

    def __init__(self, session: Sayer) -> None:
        self._session = session

    def _read(self, role: Role | RoleRow) -> Value | None:
        """What is said of a role; None: nothing."""
        raise NotImplementedError

    def _call(self, role: str, value: Value) -> calls.Call:
        """Check a value, and say so; BadValue if it cannot be."""
        raise NotImplementedError

    def _said(self) -> dict[str, Value]:
        roles = self._session.said_of_roles()
        return {name: said for name in sorted(roles) if (said := self._read(roles[name])) is not None}

    def __getitem__(self, role: str) -> Value:
        said = self._said()
        if role not in said:
            raise NotThere(f"no role {role!r} has a {self.what}; roles that have one: {', '.join(said) or 'none yet'}")
        return said[role]

    def __setitem__(self, role: str, value: Value) -> None:
        self._session.operate([self._call(role, value)])

    def __delitem__(self, role: str) -> None:
        self[role] = self.unsaid

    def __iter__(self) -> Iterator[str]:
        return iter(self._said())

    def __len__(self) -> int:
        return len(self._said())

    def __repr__(self) -> str:
        return f"{self.plural} {self._said()}"


class Weights(_Roles[float]):
    """The weights of roles, as numbers: ``master.weights["research"] = 3``."""

    what, plural, unsaid = "weight", "weights", 1.0

    def _read(self, role: Role | RoleRow) -> float:
        return role.weight_milli / 1000

    def _call(self, role: str, weight: float) -> calls.Call:
        if not isinstance(weight, int | float) or not 0.001 <= weight <= 1_000_000:
            raise BadValue(f"{weight!r} is not a weight; a weight is a number from 0.001 to 1,000,000, 1 by default")
        return calls.SetWeight(role, round(weight * 1000))


class Priorities(_Roles[int]):
    """The priorities of roles, for allocators that go by them: ``master.priorities["urgent"] = 1``; 0 by default."""

    what, plural, unsaid = "priority", "priorities", 0

    def _read(self, role: Role | RoleRow) -> int:
        return role.priority

    def _call(self, role: str, priority: int) -> calls.Call:
        if not isinstance(priority, int) or isinstance(priority, bool):
            raise BadValue(
                f"{priority!r} is not a priority; a priority is a whole number, 0 by default, more is sooner"
            )
        return calls.SetPriority(role, priority)


class Amounts(_Roles[Resources]):
    """What is said of roles in resources: ``master.guarantees["lab"] = mb.Resources(cpus=8)``; ``del`` unsays it."""

    unsaid = Resources()

    def __init__(self, session: Sayer, say: type[calls.SetGuarantee | calls.SetLimit], what: str) -> None:
        super().__init__(session)
        self._say, self.what, self.plural = say, what, f"{what}s"

    def _read(self, role: Role | RoleRow) -> Resources | None:
        return getattr(role, self.what) or None

    def _call(self, role: str, amount: Resources) -> calls.Call:
        if not isinstance(amount, Resources):
            raise BadValue(f"{amount!r} is no amount of resources; write mb.Resources(cpus=8)")
        return self._say(role, amount)


class Limits(Amounts):
    """The limits of roles: ``master.limits["lab"] = mb.Resources(cpus=8)``; ``force`` sets one that is passed already."""

    def __init__(self, session: Sayer) -> None:
        super().__init__(session, calls.SetLimit, "limit")

    def force(self, role: str, limit: Resources) -> None:
        """Set a limit though the role may have more: it is given nothing until it has less, and nothing is taken away."""
        call = self._call(role, limit)
        assert isinstance(call, calls.SetLimit)
        self._session.operate([replace(call, force=True)])
