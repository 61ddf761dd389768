"""ACLs: what each principal may do. Rules in order; the first that speaks of who, what and on what decides.

A rule is ``{"who": ["anna"], "may": "register", "what": ["research", "research/*"]}``, or ``"may_not"``; ``who`` and
``what`` are names or patterns, one or several. What no rule speaks of is refused, and the refusal spells the rule that
would allow it. One's own frameworks may always be seen and ended; the kernel that holds the master may do anything.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mesonb.core import calls
from mesonb.errors import BadValue
from mesonb.live.security.principals import table

#: What a rule may speak of: each action, and what it is done to.
ACTIONS = {
    "register": "role",
    "change": "role",  # its weight, guarantee, limit, priority
    "reserve": "role",
    "see": "role",
    "kill": "principal",  # whose frameworks may be ended, suppressed, taken over by their name; whose tasks killed
    "drain": "agent",  # now, or in a maintenance; and giving it back
    "allocate": "allocator",
    "pause": "offers",
}
OFFERS = "*offers*"  #: what ``pause`` is done to
_KEYS = {"who", "may", "may_not", "what"}


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may, or may not, do one thing to what."""

    who: tuple[str, ...]
    action: str
    what: tuple[str, ...]
    allows: bool

    def speaks_of(self, who: str, action: str, what: str) -> bool:
        """Whether this rule decides the case."""
        return self.action == action and _among(who, self.who) and (action == "pause" or _among(what, self.what))


#: Where principals are named and no ACLs given: everybody may work, nobody may change how others do.
DEFAULT = ({"who": "*", "may": "register", "what": "*"}, {"who": "*", "may": "see", "what": "*"})


class Acls:
    """The rules of one master; ``source`` is what refusals call them."""

    def __init__(self, rules: Iterable[Mapping[str, Any]], source: str = "acls=") -> None:
        self.source = source
        self.rules = [_rule(rule, f"rule {number} of {source}") for number, rule in enumerate(rules, start=1)]

    @classmethod
    def of(cls, given: Sequence[Mapping[str, Any]] | Mapping[str, Any] | str | Path | None) -> Acls:
        """Take rules, or the path of a JSON or TOML file that holds them under ``rules``; nothing is the default."""
        if given is None:
            return cls(DEFAULT, "the default ACLs")
        source = "acls="
        if isinstance(given, str | Path):
            source = str(given)
            try:
                given = table(Path(given), _unchanged(Path(given).expanduser()))
            except (OSError, UnicodeDecodeError) as error:
                raise BadValue(f"{source} cannot be read: {error}") from error
        rules = given.get("rules") if isinstance(given, Mapping) and set(given) == {"rules"} else given
        if not isinstance(rules, list | tuple):
            raise BadValue(f"{source} has to hold a list called rules, and nothing else")
        return cls(rules, source)

    def against(self, who: str, action: str, what: str) -> str:
        """Say why a principal may not do something; nothing if it may."""
        for number, rule in enumerate(self.rules, start=1):
            if rule.speaks_of(who, action, what):
                return (
                    "" if rule.allows else f"{_refusal(who, action, what)}: rule {number} of {self.source} forbids it"
                )
        wanted = f'{{"who": "{who}", "may": "{action}", "what": "{what}"}}'
        return (
            f"{_refusal(who, action, what)}: no rule of {self.source} allows it; whoever holds the master adds {wanted}"
        )

    def allows(self, who: str, action: str, what: str) -> bool:
        """Whether a principal may do something."""
        return not self.against(who, action, what)

    def check_who(self, known: Iterable[str]) -> None:
        """Raise BadValue for a rule about somebody who is not there."""
        names = list(known)
        for number, rule in enumerate(self.rules, start=1):
            if nobody := [who for who in rule.who if not any(fnmatchcase(name, who) for name in names)]:
                raise BadValue(
                    f"rule {number} of {self.source} is about {nobody[0]!r}, but the principals are {', '.join(names)}"
                )


def deed(call: calls.Call) -> tuple[str, str] | None:
    """Return what an operator's call does, and to what; None for a call that no operator makes."""
    match call:
        case calls.SetWeight() | calls.SetGuarantee() | calls.SetLimit() | calls.SetPriority():
            return "change", call.role
        case calls.Reserve() | calls.Unreserve():
            return "reserve", call.role
        case calls.SetAllocator():
            return "allocate", call.name
        case calls.Drain() | calls.Undrain() | calls.PlanMaintenance() | calls.EndMaintenance():
            return "drain", call.agent
        case calls.Pause() | calls.Resume() | calls.Tick():
            return "pause", OFFERS
        case _:
            return None


def _unchanged(path: Path) -> str:
    """Read a file that not just anybody can change."""
    with path.open(encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
            raise BadValue(f"{path} can be changed by everybody, so it rules nobody: chmod o-w {path}")
        return file.read()


def _rule(said: Mapping[str, Any], where: str) -> Rule:
    if (
        not isinstance(said, Mapping)
        or set(said) - _KEYS
        or ("may" in said) == ("may_not" in said)
        or "who" not in said
    ):
        raise BadValue(
            f'{where} has to look like {{"who": "anna", "may": "register", "what": "research"}}, not {said!r}'
        )
    action = said.get("may", said.get("may_not"))
    if action not in ACTIONS:
        raise BadValue(f"{where} speaks of {action!r}; a rule may speak of {', '.join(ACTIONS)}")
    return Rule(_names(said["who"], where), action, _names(said.get("what", "*"), where), "may" in said)


def _names(said: Any, where: str) -> tuple[str, ...]:
    names = (said,) if isinstance(said, str) else tuple(said) if isinstance(said, list | tuple) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise BadValue(f"{where} has to name somebody and something, by a text or a list of texts; not {said!r}")
    return names


def _among(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _refusal(who: str, action: str, what: str) -> str:
    on = "pause or resume offers" if action == "pause" else f"{action} the {ACTIONS[action]} {what!r}"
    if action == "kill":
        on = f"end, steer or take over frameworks of {what!r}"
    elif action == "register":
        on = f"register in the role {what!r}"
    return f"the principal {who!r} may not {on}"
