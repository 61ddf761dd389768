"""What people type into a panel's boxes: amounts of resources, and the arguments of a function."""

from __future__ import annotations

import ast
import re
from typing import Any

from mesonb.core.resources import Resources
from mesonb.errors import BadValue

_KNOWN = ("cpus", "mem", "disk", "gpus")
_PART = re.compile(r"\s*([\w-]+)\s*[=:]\s*([^,;=:]+?)\s*(?:[,;]|(?=\s[\w-]+\s*[=:])|$)")


def amounts(text: str) -> Resources:
    """Read amounts as people type them; nothing is no amount at all.

    >>> amounts("cpus=4, mem=8GB"), amounts("cpus=4 mem=8 GB"), amounts("")
    (Resources(cpus=4, mem='8 GB'), Resources(cpus=4, mem='8 GB'), Resources())
    """
    given: dict[str, str] = {}
    rest = text.strip()
    while rest:
        found = _PART.match(rest)
        if not found:
            raise BadValue(f"{text!r} is no amount; write it like cpus=4, mem=8GB")
        given[found[1]], rest = found[2], rest[found.end() :].strip()
    plain = {name: amount for name, amount in given.items() if name in _KNOWN}
    named: dict[str, Any] = {name: amount for name, amount in given.items() if name not in _KNOWN}
    return Resources(**plain, named=named)  # type: ignore[arg-type]  # it reads numbers from text, and says what is none


def written(amount: Resources | None) -> str:
    """Write amounts so that they can be read again.

    >>> written(Resources(cpus=4, mem="8GB")), written(None)
    ('cpus=4, mem=8 GB', '')
    """
    words = str(amount).split(", ") if amount else []
    parts = zip(amount or (), words, strict=True)
    return ", ".join(f"{name}={word.rsplit(' ', 1)[0]}" for name, word in parts)


def arguments(text: str) -> tuple[Any, ...]:
    """Read a function's arguments, as one would write them between its brackets: plain values only.

    >>> arguments("0.1, 'a', [1, 2]"), arguments("")
    ((0.1, 'a', [1, 2]), ())
    """
    if not text.strip():
        return ()
    try:
        return tuple(ast.literal_eval(f"({text},)"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise BadValue(f"{text!r} are no plain arguments; write them as in a call: 0.1, 'a', [1, 2]") from None
