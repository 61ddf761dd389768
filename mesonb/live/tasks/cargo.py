"""Cargo: how a task's function and arguments travel to an agent, and how its outcome comes back.

The core never sees any of it. A function is pickled once per batch of launches and sent once to each agent, by digest;
within one callback a function is taken to stay as it is, between two it is looked at again, because a cell may have
changed what it refers to. What a cell defined travels by value (cloudpickle), the rest by reference.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mesonb.core import calls
from mesonb.core.records import TaskState
from mesonb.core.resources import NOTHING
from mesonb.errors import CannotPickle
from mesonb.frameworks.base import Outcome, TaskHandle
from mesonb.live.tasks import inputs
from mesonb.live.tasks.pickling import pickled

#: The most that the arguments of one task may weigh; they travel through the hub.
ARGUMENTS_MOST = 256_000_000
#: Arguments of these types weigh nothing to speak of.
_SMALL = frozenset({int, float, bool, complex, type(None)})
_NOTHING_GIVEN = pickle.dumps(((), {}), protocol=5)


@dataclass(frozen=True, slots=True)
class Cargo:
    """A function and its arguments, ready to travel."""

    digest: bytes
    function: bytes
    arguments: bytes


class Packer:
    """Packs tasks; knows the functions that it packed since ``fresh`` was called."""

    def __init__(self) -> None:
        self._functions: dict[int, tuple[Callable[..., Any], bytes, bytes]] = {}

    def fresh(self) -> None:
        """Look at functions anew: a callback begins."""
        self._functions.clear()

    def pack(self, task: TaskHandle) -> Cargo:
        """Pack one task; CannotPickle says what cannot travel and what to do about it."""
        known = self._functions.get(id(task.function))
        if known is None:
            content = _dumps(task.function, f"the function {_name(task.function)}")
            known = task.function, digest_of(content), content
            self._functions[id(task.function)] = known
        return Cargo(known[1], known[2], _pack_arguments(task))


def digest_of(function: bytes) -> bytes:
    """Name a pickled function by what it is."""
    return hashlib.blake2b(function, digest_size=16).digest()


def launches_of(call: calls.Call) -> tuple[calls.TaskInfo, ...]:
    """Return what a call launches, in whichever part of it."""
    if isinstance(call, calls.AcceptAll):
        return tuple(task for part in call.parts for task in part.launches)
    if isinstance(call, calls.LaunchNext):
        return (calls.TaskInfo(call.task, NOTHING),)  # it needs what the task before it holds
    return call.launches if isinstance(call, calls.Accept) else ()


def unpack(state: TaskState, content: bytes) -> Outcome | None:
    """Return what a task left behind, if anything."""
    if not content:
        return None
    if state is TaskState.FINISHED:
        return _unpack_result(content)
    _, trace, original = pickle.loads(content)
    return Outcome(error=_original(original), traceback=trace)


def _unpack_result(content: bytes) -> Outcome:
    try:
        return Outcome(pickle.loads(content))
    except Exception as error:  # noqa: BLE001 - a class that the kernel lacks, for one; the task itself went well
        return Outcome(
            error=error, traceback=f"its result cannot be read in this kernel: {type(error).__name__}: {error}"
        )


def _original(content: bytes) -> BaseException | None:
    try:
        return pickle.loads(content) if content else None
    except Exception:  # noqa: BLE001 - the traceback as text has to do
        return None


def _pack_arguments(task: TaskHandle) -> bytes:
    if not task.args and not task.kwargs:
        return _NOTHING_GIVEN
    values = (*task.args, *task.kwargs.values()) if task.kwargs else task.args
    if vast := sum([_bytes_of(value) for value in values if type(value) not in _SMALL]):
        _refuse_if_vast(task, vast)
    try:
        content = pickled((task.args, task.kwargs))
        if inputs.TRACES[0] in content or inputs.TRACES[1] in content:
            content = inputs.pack((task.args, task.kwargs))
    except Exception:
        for place, value in [*enumerate(task.args, start=1), *task.kwargs.items()]:
            _dumps(value, f"argument {place} of {_name(task.function)}")
        raise
    _refuse_if_vast(task, len(content))
    return content


def _refuse_if_vast(task: TaskHandle, size_bytes: int) -> None:
    if size_bytes > ARGUMENTS_MOST:
        raise CannotPickle(
            f"the arguments of {_name(task.function)} weigh {size_bytes / 1e6:.0f} MB, more than {ARGUMENTS_MOST / 1e6:.0f} MB; "
            "put them on the workers, future = client.scatter(data), and give the future in their place; or pass a path, or "
            "make the data where it is needed"
        )


def _bytes_of(value: Any) -> int:
    """How large an argument plainly is, so that what is vast is refused before it is copied even once."""
    if isinstance(value, bytes | bytearray | memoryview | str):
        return len(value)
    size = getattr(value, "nbytes", 0)
    return size if isinstance(size, int) and not hasattr(value, "dask") else 0


def _dumps(thing: Any, what: str) -> bytes:
    try:
        return pickled(thing)
    except Exception as error:
        raise CannotPickle(
            f"{what} cannot be sent to an agent: {error}; open files, locks and connections inside the function instead"
        ) from error


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", None) or repr(function)
