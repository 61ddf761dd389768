"""Typed words into calls: by the fields of the call, so that a new call or field can be spoken of at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from mesonb.core import calls
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue

#: Every call there is, by its name.
CALLS = {
    name: kind for name, kind in vars(calls).items() if isinstance(kind, type) and kind.__module__ == calls.__name__
}


#: A comma between amounts, and not within ``[31000-31001,31005]`` or ``{sda,sdb}``.
_COMMA = re.compile(r",(?![^\[{]*[\]}])")


def split_reserved(words: list[str]) -> tuple[list[str], tuple[tuple[str, Resources], ...]]:
    """Take ``cpus(ads)=8`` out of some words: the words without them, and what is reserved for each role."""
    found = [(word, match.groups()) for word in words if (match := re.fullmatch(r"(\w+)\(([^()]+)\)=(.+)", word))]
    by_role: dict[str, dict[str, str]] = {}
    for _, (name, role, amount) in found:
        by_role.setdefault(role, {})[name] = amount
    taken = {word for word, _ in found}
    return [word for word in words if word not in taken], tuple(
        (role, resources(held)) for role, held in by_role.items()
    )


def made(kind: type, words: list[str], order: tuple[str, ...]) -> Any:
    """Build a call: plain words fill the fields in order, ``name=value`` a field, or an amount of resources."""
    plain = [word for word in words if "=" not in word and ":" not in word]
    given = pairs(word for word in words if "=" in word)
    attributes = tuple(tuple(word.split(":", 1)) for word in words if ":" in word and "=" not in word)
    if len(plain) > len(order) and order[-1:] == ("because",):
        plain = [*plain[: len(order) - 1], " ".join(plain[len(order) - 1 :])]
    set_already: dict[str, Any] = {
        name: value(hints(kind)[name], word, name) for name, word in zip(order, plain, strict=False)
    }
    if len(plain) > len(order):
        raise BadValue(f"{kind.__name__} does not take {plain[-1]!r}; it has: {_options(kind)}")
    if attributes:
        set_already["attributes"] = attributes
    return filled(kind, given, **set_already)


def filled(kind: type, given: dict[str, str], **ready: Any) -> Any:
    """Build a record from what was typed: each name is a field without its unit, or else an amount of resources."""
    amounts: dict[str, str] = {}
    held = hints(kind)
    for name, word in given.items():
        if exact := field_of(kind, name):
            ready[exact] = value(held[exact], word, exact)
        else:
            amounts[name] = word
    if amounts:
        vector = next((part for part, hint in held.items() if hint is Resources and part not in ready), None)
        if vector is None:
            raise BadValue(f"{kind.__name__} has no {next(iter(amounts))!r}; it has: {_options(kind)}")
        ready[vector] = resources(amounts)
    if missing := [
        part.name for part in fields(kind) if part.default is part.default_factory is MISSING and part.name not in ready
    ]:
        raise BadValue(f"{kind.__name__} needs {', '.join(missing)}; it has: {_options(kind)}")
    return kind(**ready)


def launch(framework: str, label: str, given: dict[str, str]) -> calls.TaskInfo:
    """Read one task of an accept; its id is given the framework's name in front."""
    task = label if "/" in label else f"{framework}/{label}"
    info: calls.TaskInfo = filled(calls.TaskInfo, given, task=task, **({} if given else {"needs": Resources()}))
    return info


def running(words: Iterable[str]) -> tuple[calls.RunningTask, ...]:
    """Read what an agent says it runs: ``F1.1/t1: cpus=1 state=finished``; whose it is says the id."""
    reply = Reply()
    for word in words:
        reply.take(word)
    found = []
    for task, given in reply.tasks:
        said = {"state": "running", **given}
        framework = re.sub(r"(\.\d+)*/.*", "", task)
        found.append(
            filled(calls.RunningTask, said, task=task, **({} if "framework" in said else {"framework": framework}))
        )
    return tuple(found)


def value(hint: Any, word: str, name: str = "") -> Any:
    """Read one word as what a field holds."""
    if name.endswith("_us"):
        return parse_duration(word)
    if name.endswith("_milli"):
        return round(float(word) * 1000)
    if hint is Resources or hint == Resources | None:
        return resources(dict(part.split(":", 1) for part in _COMMA.split(word) if ":" in part))
    if isinstance(hint, type) and issubclass(hint, Enum):
        states = {member.value: member for member in hint}
        if word not in states:
            raise BadValue(f"{word!r} is not one of: {', '.join(map(str, states))}")
        return states[word]
    if hint is bool:
        return word.lower() in {"yes", "true", "1", "on"}
    if get_origin(hint) is tuple:
        return _several(get_args(hint)[0], word)
    return int(word) if hint is int else float(word) if hint is float else word


def _several(part: Any, word: str) -> tuple[Any, ...]:
    """Read several things: ``a,b``; of resources ``cpus:1|cpus:2,mem:1GB``; of records with parts ``rack:is:r1,gpu:exists:``."""
    if part is Resources:
        return tuple(value(Resources, one) for one in word.split("|") if one)
    if get_origin(part) is not tuple:
        return tuple(one for one in word.split(",") if one)
    length = len(get_args(part))
    rows = [[*one.split(":"), *[""] * length][:length] for one in word.split(",") if one]
    return tuple(tuple(_spoken(cell) for cell in row) for row in rows)


def _spoken(cell: str) -> str:
    """Read a word of a constraint; ``is_not`` stands for what has a space in it."""
    spaced = cell.replace("_", " ")
    return spaced if spaced in calls.CONSTRAINTS else cell


def resources(amounts: dict[str, str]) -> Resources:
    """Read amounts by name, each as it was typed."""
    known = {name: amounts[name] for name in ("cpus", "mem", "disk", "gpus") if name in amounts}
    return Resources(**known, named={name: n for name, n in amounts.items() if name not in known})  # type: ignore[arg-type]  # read as typed


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Read words of the form ``name=value``."""
    out = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise BadValue(f"{word!r} should read name=value")
        out[name] = value
    return out


def field_of(kind: type, name: str) -> str | None:
    """Return the field that a typed name means: itself, or the one with its unit."""
    return next((part for part in (name, f"{name}_us", f"{name}_milli") if part in hints(kind)), None)


@cache
def hints(kind: type) -> dict[str, Any]:
    """Return what each field of a record holds."""
    return get_type_hints(kind)


def _options(kind: type) -> str:
    return ", ".join(f"{re.sub('_(us|milli)$', '', part.name)}=" for part in fields(kind)) or "nothing"


@dataclass
class Reply:
    """What an answer says, read word by word."""

    offers: list[str] = field(default_factory=list)
    by: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    tasks: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    _names_who: bool = False

    def take(self, word: str) -> None:
        """Take in one more word."""
        if self._names_who:
            self.by, self._names_who = word, False
        elif word == "by":
            self._names_who = True
        elif word.endswith(":"):
            self.tasks.append((word[:-1], {}))
        elif "=" not in word:
            self.offers.append(word)
        else:
            name, value = word.split("=", 1)
            (self.options if not self.tasks or field_of(calls.Accept, name) else self.tasks[-1][1])[name] = value
