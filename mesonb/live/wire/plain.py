"""Plain: reads what another process sent, without letting it run anything here.

Messages are pickled tuples. Pickle builds whatever it is told to, so what may be built is listed: plain containers, the
records of the core, and cargo. A task's function, arguments and result are bytes to this file; they
are opened where they belong, in an executor and in the kernel that launched the task. Rule: nothing that came over a
comm is unpickled in any other way, and a call is well formed, or nobody steps a core with it.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from mesonb.core.items import Itemised, vector
from mesonb.core.ranges import Names, Ranges
from mesonb.core.resources import Resources
from mesonb.errors import BadValue, MesonbError

#: Modules whose records may travel; of anything else in them nothing is ever built.
RECORDS = {
    *[f"mesonb.core.{name}" for name in "calls events explain limits ranges records resources snapshot".split()],
    "mesonb.frameworks.output", "mesonb.live.tasks.cargo",
}  # fmt: skip
PLAIN = (Resources, Ranges, Names)
#: The longest text in a call: names, reasons, what a constraint compares with.
TEXT_MOST = 10_000
CONTAINERS = {"builtins": {"set", "frozenset", "bytearray"}, "collections": {"Counter", "deque", "OrderedDict"}}


class _Reader(pickle.Unpickler):
    """Builds records and containers, and looks nothing else up."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that may travel; BadValue for everything else."""
        if (module, name) == ("builtins", "getattr"):  # how pickle spells the class method Resources.of
            return _class_method
        if (module, name) == ("mesonb.core.items", "vector"):
            return vector
        if "." not in name and (module in RECORDS or name in CONTAINERS.get(module, ())):
            found = super().find_class(module, name)
            if module in CONTAINERS or (found.__module__ == module and _is_record(found)):
                return found
        raise BadValue(f"it holds {module}.{name}, which is no part of any message")


def read(content: bytes) -> list[tuple[Any, ...]]:
    """Read a batch of messages; BadValue where it is none, or holds what no message holds."""
    messages = opened(content, "batch of messages")
    if not isinstance(messages, list) or not all(isinstance(message, tuple) and message for message in messages):
        raise BadValue("a batch is a list of messages, each a tuple that begins with its kind")
    return messages


def opened(content: bytes, what: str) -> Any:
    """Read one thing that is made of nothing but what a message may hold; BadValue, which calls it ``what``, for any other."""
    try:
        return _Reader(io.BytesIO(content)).load()
    except MesonbError:
        raise
    except Exception as error:
        raise BadValue(f"it is no {what}: {type(error).__name__}: {error}") from error


def well_formed(record: object) -> bool:
    """Whether every field of a record, and of the records in it, holds what it says it holds."""
    kind: Any = type(record)
    return all(_fits(getattr(record, name, None), wanted) for name, wanted in _hints(kind))


@cache
def _hints(record: Any) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(record)
    return tuple((field.name, hints[field.name]) for field in fields(record))


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind as an annotation spells it; a bool is no number."""
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if parts[-1] is Ellipsis:
            return type(value) is tuple and all(_fits(part, parts[0]) for part in value)
        return type(value) is tuple and len(value) == len(parts) and all(map(_fits, value, parts))
    if get_origin(kind) in (UnionType, Union):
        return any(_fits(value, part) for part in get_args(kind))
    if kind is None:
        return value is None
    if is_dataclass(kind):
        return type(value) is kind and well_formed(value)
    if kind is Resources:
        return type(value) in (Resources, Itemised) and _is_vector(value)
    return type(value) is kind and (kind is not str or len(value) <= TEXT_MOST)


def _is_vector(held: Resources) -> bool:
    """Whether amounts are amounts, and which ones they are says as many."""
    if not all(type(name) is str and type(n) is int and n >= 0 for name, n in held.amounts.items()):
        return False
    return all(
        (_ascending(items) if type(items) is Ranges else type(items) is Names and all(map(_is_text, items.names)))
        and held.amounts.get(name) == 1000 * len(items)
        for name, items in held.which.items()
    )


def _ascending(items: Ranges) -> bool:
    bounds = items.bounds
    return (
        type(bounds) is tuple
        and len(bounds) % 2 == 0
        and all(type(bound) is int for bound in bounds)
        and all(one < next_one for one, next_one in zip(bounds, bounds[1:], strict=False))
    )


def _is_text(name: object) -> bool:
    return type(name) is str


def _is_record(found: Any) -> bool:
    return isinstance(found, type) and (
        is_dataclass(found) or found in PLAIN or issubclass(found, Enum) or hasattr(found, "_fields")
    )


def _class_method(owner: Any, name: str) -> Any:
    if owner is Resources and name == "of":
        return Resources.of
    raise BadValue(f"it asks for {name!r} of {owner!r}, which is no part of any message")
