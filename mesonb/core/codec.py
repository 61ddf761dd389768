"""Calls, events and settings as plain data and back: what the log's lines hold.

Rule: it goes by the fields of the dataclasses, so a new call or a new field needs nothing here. ``Tick()`` is
``{"Tick":{}}``; a field that has its default is left out, so a recording can be read after a field was added. Nothing
but the kinds of ``mesonb.core`` is ever built, whatever a file says.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from mesonb.core import books, calls, events, records
from mesonb.core.resources import Resources
from mesonb.errors import LogError

_KINDS: dict[str, type] = {
    name: kind
    for module in (calls, events, records, books)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, Enum))
}


def write(thing: object) -> str:
    """Write plain data, with whatever the core knows in it, as one line of JSON."""
    return _JSON.encode(thing)


def build(plain: Any) -> Any:
    """Build what was written; LogError where it speaks of something that this mesonb does not know."""
    if isinstance(plain, list):
        return tuple([build(part) for part in plain])
    if not isinstance(plain, dict):
        return plain
    ((name, content),) = plain.items()
    if name == "Resources":
        return Resources.of_plain(content)
    kind = _KINDS.get(name)
    if kind is None:
        raise LogError(
            f"the recording speaks of {name!r}, which this mesonb does not know; it was written by another one"
        )
    if issubclass(kind, Enum):
        return kind(content)
    try:
        return kind(**{field: build(value) for field, value in content.items()})
    except TypeError as error:
        raise LogError(f"the recording's {name} cannot be built: {error}; it was written by another mesonb") from None


def _plain(thing: object) -> dict[str, Any]:
    """Show JSON's encoder one thing that it does not know; it asks again for what is inside."""
    if isinstance(thing, Resources):
        return {"Resources": thing.plain()}
    if isinstance(thing, Enum):
        return {type(thing).__name__: thing.value}
    kind: type = type(thing)
    written = {}
    for name, default in _fields(kind):
        value = getattr(thing, name)
        if value is not default and value != default:
            written[name] = value
    return {kind.__name__: written}


@cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    """Return the names of a dataclass's fields, each with its default or a mark that it has none."""
    assert is_dataclass(kind) and kind.__name__ in _KINDS, (
        f"{kind.__name__} is no kind of mesonb.core that a log may hold"
    )
    return tuple((field.name, field.default if field.default is not MISSING else MISSING) for field in fields(kind))


_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_plain)
