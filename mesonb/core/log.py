"""The call log: every call with its time and what followed, to save, load, replay, and compare.

One line a step, JSON with a checksum: ``{"crc":"5d0a91c2","now":1500,"call":["Tick"],"events":[...]}``. The first line
is a header: version, settings, allocator. A torn last line (a crash while writing) is dropped; any other damage is an
error that names the line. Same calls, same bytes: ``digest`` is what two runs are compared by.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.errors import LogError

VERSION = 1
#: The most steps that one log holds; recording stops there and says so, so that a forgotten kernel does not fill memory.
STEPS_KEPT = 1_000_000

_KINDS = {kind.__name__: kind for module in (calls, events) for kind in vars(module).values() if isinstance(kind, type)}


@dataclass(frozen=True, slots=True)
class Step:
    """One call, when it came, and the events that followed."""

    now_us: int
    call: calls.Call
    events: tuple[events.Event, ...]


class Log:
    """The steps of one master, in order, from its making on."""

    def __init__(self, settings: Settings, allocator: str = "DRF") -> None:
        self.settings = settings
        self.allocator = allocator
        self.steps: list[Step] = []
        self.full = False  #: STEPS_KEPT was reached; what came after is not here

    def record(self, call: calls.Call, now_us: int, followed: list[events.Event]) -> None:
        """Note a step."""
        if len(self.steps) < STEPS_KEPT:
            self.steps.append(Step(now_us, call, tuple(followed)))
        else:
            self.full = True

    def lines(self) -> Iterator[str]:
        """Write the log, line by line."""
        header = {"mesonb": VERSION, "allocator": self.allocator, "settings": _plain(self.settings)}
        yield _sealed(header)
        for step in self.steps:
            yield _sealed(
                {"now": step.now_us, "call": _plain(step.call), "events": [_plain(event) for event in step.events]}
            )

    def digest(self) -> str:
        """The same for the same run, and for no other."""
        seal = hashlib.sha256()
        for line in self.lines():
            seal.update(line.encode())
        return seal.hexdigest()

    def save(self, path: str) -> None:
        """Write the log to a file."""
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - core knows no paths beyond this one door
            file.writelines(line + "\n" for line in self.lines())

    @classmethod
    def load(cls, path: str) -> Log:
        """Read a log from a file; LogError says which line cannot be read and why."""
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as above
            return cls.parse(file)

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Log:
        """Read a log from its lines."""
        written = [line for line in lines if line.strip()]
        if not written:
            raise LogError("the recording is empty; it should begin with a header line")
        header = _opened(written[0], 1)
        if header.get("mesonb") != VERSION:
            raise LogError(f"the recording is of version {header.get('mesonb')}; this mesonb reads version {VERSION}")
        log = cls(_built(header["settings"]), header["allocator"])
        for number, line in enumerate(written[1:], start=2):
            try:
                step = _opened(line, number)
            except LogError:
                if number == len(written) and not line.endswith("\n"):
                    break  # torn by a crash while it was written
                raise
            followed = tuple(_built(event) for event in step["events"])
            log.steps.append(Step(step["now"], _built(step["call"]), followed))
        return log

    def replay(
        self, core: MasterCore | None = None, watch: Callable[[MasterCore, Step], Any] | None = None
    ) -> MasterCore:
        """Send every call again, and return the core that results; LogError names the first step that differs."""
        core = core or MasterCore(self.settings)
        for number, step in enumerate(self.steps, start=1):
            followed = tuple(core.step(step.call, step.now_us))
            if followed != step.events:
                raise LogError(
                    f"step {number} differs: {step.call} gave {list(followed)}, the recording has {list(step.events)}"
                )
            if watch:
                watch(core, step)
        return core


def first_difference(one: Log, other: Log) -> str | None:
    """Say where two recordings part, or None where they are the same."""
    for number, (ours, theirs) in enumerate(zip(one.lines(), other.lines(), strict=False)):
        if ours != theirs:
            return f"line {number + 1}:\n  {ours}\n  {theirs}"
    if len(one.steps) != len(other.steps):
        return f"one has {len(one.steps)} steps, the other {len(other.steps)}"
    return None


# -- plain data and back --------------------------------------------------------------------------------------------


def _plain(thing: Any) -> Any:
    if isinstance(thing, Resources):
        return {"Resources": dict(thing.amounts)}
    if isinstance(thing, TaskState):
        return {"TaskState": thing.value}
    if isinstance(thing, tuple | list):
        return [_plain(part) for part in thing]
    if hasattr(thing, "__dataclass_fields__"):
        return {type(thing).__name__: {field.name: _plain(getattr(thing, field.name)) for field in fields(thing)}}
    return thing


def _built(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(_built(part) for part in plain)
    if not isinstance(plain, dict):
        return plain
    ((kind, content),) = plain.items()
    if kind == "Resources":
        return Resources.of(content)
    if kind == "TaskState":
        return TaskState(content)
    if kind == "Settings":
        return Settings(**{name: _built(value) for name, value in content.items()})
    if kind not in _KINDS:
        raise LogError(
            f"the recording speaks of {kind!r}, which this mesonb does not know; it was written by a newer one"
        )
    return _KINDS[kind](**{name: _built(value) for name, value in content.items()})


def _sealed(content: dict[str, Any]) -> str:
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return f'{{"crc":"{zlib.crc32(body.encode()):08x}",{body[1:]}'


def _opened(line: str, number: int) -> dict[str, Any]:
    line = line.rstrip("\n")
    crc, body = line[8:16], "{" + line[18:]
    try:
        if f"{zlib.crc32(body.encode()):08x}" != crc:
            raise ValueError("its checksum does not match")
        content = json.loads(body)
    except ValueError as error:
        raise LogError(f"line {number} of the recording cannot be read: {error}") from None
    assert isinstance(content, dict)
    return content
