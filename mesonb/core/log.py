"""The call log: every call with its time and what followed, to save, load, replay, and compare.

One line a step, JSON with a checksum: ``{"crc":"5d0a91c2","now":1500,"call":{"Tick":{}},"events":[...]}``. The first line
is a header: version, settings, allocator. A torn end (a crash while writing) is dropped; any other damage is an error
that names the line. A file whose name ends in ``.gz`` is compressed. Same calls, same bytes: ``digest`` is what two runs
are compared by.

A log holds at most ``kept`` steps. Once it is full it forgets its older half and begins with a checkpoint, the state
of the core at that point; a replay then starts from there, and whoever asks for a moment before is told so. A log that is
written to disk as it grows (mesonb.stream) has all of it there.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple, Protocol, Self

from mesonb.core import calls, codec, events
from mesonb.core.allocators import MODULES
from mesonb.core.books import Settings
from mesonb.core.checkpoint import Checkpoint, Elsewhere
from mesonb.core.master import MasterCore
from mesonb.core.packed import Packed
from mesonb.core.units import show_duration
from mesonb.errors import LogError

VERSION = 1
#: The most steps that one log holds (some 600 bytes each, packed a fifth of that), unless it is said; a live master's holds fewer.
STEPS_KEPT = 1_000_000
GZIP = 31  # zlib's name for the gzip format, whose header holds no time here: same log, same bytes
_CHUNK_BYTES = 1 << 20


class Step(NamedTuple):
    """One call, when it came, and the events that followed."""

    now_us: int
    call: calls.Call
    events: tuple[events.Event, ...]


_step: Callable[[tuple[Any, ...]], Step] = partial(tuple.__new__, Step)  # half the time of Step(...), and record is hot


class Follower(Protocol):
    """Whoever writes a log down as it grows; while it is entered, nothing is forgotten."""

    def catch_up(self) -> None:
        """Write all that was recorded until now."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Log:
    """The steps of one master, in order, the last ``kept`` of them. Given its ``core``, a full log goes on; without one it ends there.

    ``packed``: it keeps them as bytes. That takes some time, which it saves where nobody tells the garbage collector to leave them be.
    """

    def __init__(
        self, settings: Settings, allocator: str = "DRF", core: MasterCore | None = None, kept: int = 0, *, packed: bool = False
    ) -> None:  # fmt: skip
        self.settings = settings
        self.allocator = allocator
        self.steps: list[Step] | Packed[Step] = Packed(Step._make) if packed else []
        self.base: Checkpoint | None = None  #: the state before the first step; None is a new master
        self.forgotten = 0  #: how many steps came before ``base``
        self.kept = kept or STEPS_KEPT  #: how many steps it holds at most, and half of that at least once it was full
        self.full = False  #: it was full and there was no core to go on from; what came after is not here
        self.follower: Follower | None = None  #: who writes the steps down as they come
        self.whole = ""  #: the file that has all the steps, the forgotten ones too, where there is one
        self._began_us: int | None = None
        self._starts_us: int | None = None  #: when ``base`` was so
        self._trims = 0  #: odd while some are being forgotten; whoever copies meanwhile begins again
        self._core = core
        self._middle: Checkpoint | None = None  #: the state between the older half of the steps and the newer
        self._turn_at = self.kept // 2

    @property
    def began_us(self) -> int:
        """When the first step was taken, a forgotten one too: times of a replay count from here."""
        if self._began_us is None:
            return self.steps[0].now_us if self.steps else 0
        return self._began_us

    @property
    def starts_us(self) -> int:
        """The first moment that it can tell of: when it began, or of what it has not forgotten."""
        if not self.forgotten:
            return self.began_us
        if self._starts_us is None:
            return self.steps[0].now_us if self.steps else self.began_us
        return self._starts_us

    def check_kept(self, moment_us: int) -> None:
        """Raise LogError for a moment that was forgotten: it says what is there, and how to keep more."""
        if self.forgotten and moment_us < self.starts_us:
            begins = show_duration(self.starts_us - self.began_us)
            more = (
                f"all of it is in {self.whole}: mb.replay({self.whole!r})"
                if self.whole
                else 'log="run.mesonb" writes all of it to disk, log_steps= keeps more in memory: say it of the next master'
            )
            raise LogError(
                f"this recording begins at {begins}, with call {self.forgotten + 1:,}; what came before was let go, and {more}"
            )

    def __repr__(self) -> str:
        lasted_us = self.steps[-1].now_us - self.began_us if self.steps else 0
        of_them = f", the last {len(self.steps):,} of them kept" if self.forgotten else ""
        all_of_them = f"{self.forgotten + len(self.steps):,} calls over {show_duration(lasted_us)}"
        return f"<log of {all_of_them}{of_them}, begun with {self.allocator}>"

    # -- recording ------------------------------------------------------------------------------------------------

    def record(self, call: calls.Call, now_us: int, followed: list[events.Event]) -> None:
        """Note a step, after the core took it."""
        self.steps.append(_step((now_us, call, tuple(followed))))
        if len(self.steps) >= self._turn_at:
            self._turn()

    def _turn(self) -> None:
        """Half of the log is full: forget the half before it, and keep the state at this point to begin with later."""
        if self._core is None:
            self.full = len(self.steps) >= self.kept
            del self.steps[self.kept :]
            return
        half = self.kept // 2
        if self._middle:
            self.trim(half, self._middle)
        self._middle = Checkpoint.of(self._core)
        self._turn_at = 2 * half

    def trim(self, steps: int, state: Checkpoint) -> None:
        """Forget the first steps; ``state`` is what they led to."""
        with self.follower or nullcontext() as follower:
            if follower:
                follower.catch_up()
            self._trims += 1
            self._began_us = self.began_us
            self._starts_us = self.steps[steps - 1].now_us
            self.base = state
            self.forgotten += steps
            del self.steps[:steps]
            self._trims += 1

    def copy(self) -> Log:
        """Return the log as it is now, which goes on no more; callable while another thread records."""
        while True:
            trims, twin = self._trims, Log(self.settings, self.allocator, kept=self.kept)
            twin.steps = self.steps.copy()
            twin.base, twin.forgotten, twin.whole = self.base, self.forgotten, self.whole
            twin._began_us, twin._starts_us = self._began_us, self._starts_us
            if trims == self._trims and trims % 2 == 0:
                return twin

    # -- to a file and back ---------------------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        """Write the log as it is now, line by line."""
        this = self.copy() if self._core else self  # it may go on, and forget, meanwhile
        yield sealed_header(this)
        yield from map(sealed_step, this.steps)

    def digest(self) -> str:
        """The same for the same run, and for no other."""
        seal = hashlib.sha256()
        for line in self.lines():
            seal.update(line.encode())
        return seal.hexdigest()

    def save(self, path: str) -> None:
        """Write the log to a file; a name that ends in .gz compresses it."""
        path = str(path)
        packer = zlib.compressobj(wbits=GZIP) if path.endswith(".gz") else None
        with open(path, "wb") as file:  # noqa: PTH123 - core knows no paths beyond this one door
            for line in self.lines():
                written = (line + "\n").encode()
                file.write(packer.compress(written) if packer else written)
            if packer:
                file.write(packer.flush())

    @classmethod
    def load(cls, path: str) -> Log:
        """Read a log from a file; LogError says which line cannot be read and why."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - as above
                return cls.parse(_split(_unpacked(iter(partial(file.read, _CHUNK_BYTES), b""))))
        except OSError as error:
            raise LogError(
                f"the recording {path} cannot be opened: {error.strerror}; give the path that it was saved to"
            ) from None

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Log:
        """Read a log from its lines, each with its line end; the last may lack it, and is then dropped if it is torn."""
        numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        number, first = next(numbered, (1, ""))
        if not first:
            raise LogError("the recording is empty; it should begin with a header line")
        log = cls._from_header(_opened(first, number))
        for number, line in numbered:
            try:
                plain = _opened(line, number)
            except LogError:
                if line.endswith("\n"):
                    raise
                break  # torn by a crash while it was written; a line without an end can only be the last
            log.steps.append(Step(plain["now"], codec.build(plain["call"]), codec.build(plain["events"])))
        return log

    @classmethod
    def _from_header(cls, header: dict[str, Any]) -> Log:
        if header.get("mesonb") != VERSION:
            raise LogError(f"the recording is of version {header.get('mesonb')}; this mesonb reads version {VERSION}")
        log = cls(codec.build(header["settings"]), header["allocator"])
        if "checkpoint" in header:
            log.base = Checkpoint.from_text(header["checkpoint"])
            log._began_us, log._starts_us = header["began"], header.get("starts")
            log.forgotten = header["forgotten"]
        return log

    # -- again ----------------------------------------------------------------------------------------------------

    def start(self, core: MasterCore | None = None) -> MasterCore:
        """Return the core that the first step was sent to; ``core`` is a new one, with the allocators that are needed."""
        core = core or MasterCore(self.settings)
        if self.base is None:
            return core
        begun = self.base.restore()
        begun.handed |= core.handed
        if isinstance(begun.allocator, Elsewhere) and type(core.allocator).__name__ not in MODULES:
            begun.allocator = core.allocator
        return begun

    def replay(
        self, core: MasterCore | None = None, watch: Callable[[MasterCore, Step], Any] | None = None
    ) -> MasterCore:
        """Send every call again, and return the core that results; LogError names the first step that differs."""
        core = self.start(core)
        for number, step in enumerate(self.steps, start=1):
            again(core, step, number)
            if watch:
                watch(core, step)
        return core


def again(core: MasterCore, step: Step, number: int) -> None:
    """Send one recorded call to the core; LogError where something else follows than was recorded."""
    followed = tuple(core.step(step.call, step.now_us))
    if followed != step.events:
        raise LogError(
            f"step {number} differs: {step.call} gave {list(followed)}, the recording has {list(step.events)}"
        )


def first_difference(one: Log, other: Log) -> str | None:
    """Say where two recordings part, or None where they are the same."""
    for number, (ours, theirs) in enumerate(zip(one.lines(), other.lines(), strict=False), start=1):
        if ours != theirs:
            return f"line {number}:\n  {ours}\n  {theirs}"
    if len(one.steps) != len(other.steps):
        return f"one has {len(one.steps)} steps, the other {len(other.steps)}"
    return None


def sealed_header(log: Log) -> str:
    """Write the first line of a log."""
    header: dict[str, Any] = {"mesonb": VERSION, "allocator": log.allocator, "settings": log.settings}
    if log.base:
        header |= {"began": log.began_us, "starts": log.starts_us, "forgotten": log.forgotten}
        header["checkpoint"] = log.base.text()
    return _sealed(header)


def sealed_step(step: Step) -> str:
    """Write one step as a line."""
    return _sealed({"now": step.now_us, "call": step.call, "events": step.events})


# -- lines ----------------------------------------------------------------------------------------------------------


def _sealed(content: dict[str, Any]) -> str:
    body = codec.write(content)
    return f'{{"crc":"{zlib.crc32(body.encode()):08x}",{body[1:]}'


def _opened(line: str, number: int) -> dict[str, Any]:
    line = line.rstrip("\n")
    if number == 1 and not line.startswith('{"crc":"'):
        raise LogError(
            f"this is no recording: it begins with {line[:30]!r}; log.save(path) writes one, and so does --save"
        )
    crc, body = line[8:16], "{" + line[18:]
    try:
        if f"{zlib.crc32(body.encode()):08x}" != crc:
            raise ValueError("its checksum does not match")
        content = json.loads(body)
    except ValueError as error:
        raise LogError(f"line {number} of the recording cannot be read: {error}") from None
    assert isinstance(content, dict)
    return content


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Undo compression where there is some; a torn end gives what stands before it."""
    packer = None
    for number, chunk in enumerate(chunks):
        if number == 0 and chunk.startswith(b"\x1f\x8b"):
            packer = zlib.decompressobj(wbits=GZIP)
        try:
            yield packer.decompress(chunk) if packer else chunk
        except zlib.error as error:
            raise LogError(f"the compressed recording is damaged: {error}") from None


def _split(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut into lines, each with its end; bytes that are no text stand out by their checksum."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace") + "\n"
    if rest:
        yield rest.decode(errors="replace")
