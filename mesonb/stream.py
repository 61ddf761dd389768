"""Stream: a log written to a file as it grows, so that a kernel that dies leaves a recording behind.

A thread of its own looks every EVERY_S at what is new, encodes it and hands it to the operating system; recording itself
costs nothing more. What is on disk can be opened at any time, while it grows too: ``Log.load`` drops the line that a
crash tore. Rule: nothing is overwritten. A file that is there already is kept under another name.
"""

from __future__ import annotations

import atexit
import threading
import weakref
import zlib
from pathlib import Path
from typing import Protocol, Self

from mesonb.core.log import GZIP, Log, sealed_header, sealed_step
from mesonb.errors import BadValue

#: How old what is not on disk yet is at most, if the disk keeps up.
EVERY_S = 0.05
#: So many steps are encoded between two writes, to keep what is held twice small.
AT_ONCE = 10_000


class Recorded(Protocol):
    """Whatever has a log; the log may be exchanged for another, as when a standby master takes the lead."""

    log: Log


class Stream:
    """The file of one session's log. ``catch_up`` writes what is new; callable from any thread."""

    def __init__(self, session: Recorded, path: str | Path) -> None:
        self.path = Path(path)
        self.trouble = ""  #: why nothing is written any more; "": it is
        self._session = weakref.ref(session)
        self._lock = threading.RLock()
        self._over = threading.Event()
        try:
            self._begin(session.log)
        except OSError as error:
            raise BadValue(
                f"the recording cannot be written to {path}: {error.strerror}; give log= a path that can be written"
            ) from None
        self._thread = threading.Thread(target=self._run, name="mesonb-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def catch_up(self) -> None:
        """Write all that was recorded until now."""
        session = self._session()
        with self._lock:
            if self.trouble or self._file.closed:
                return
            try:
                self._write_new()
                if session is not None and session.log is not self._log:
                    self._begin(session.log)
                    self._write_new()
            except (OSError, ValueError) as error:
                self.trouble = f"the recording is not written to {self.path} any more: {error}"

    def close(self) -> None:
        """Write the rest, and end."""
        self._over.set()
        self.catch_up()
        with self._lock:
            self._log.follower = None
            self._file.close()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        """Keep others from writing, and the log from forgetting."""
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            if self._session() is None:
                self.close()
            else:
                self.catch_up()

    def _begin(self, log: Log) -> None:
        """Begin a file for a log; what is there already is kept."""
        if self.path.exists() and self.path.stat().st_size:
            self.path.rename(_free(self.path))
        self._file = self.path.open("wb", buffering=0)
        self._packer = zlib.compressobj(wbits=GZIP) if self.path.suffix == ".gz" else None
        self._log, self._written = log, log.forgotten
        log.follower = self
        log.whole = "" if log.forgotten else str(self.path)
        self._put([sealed_header(log)])

    def _write_new(self) -> None:
        log = self._log
        while new := log.steps[self._written - log.forgotten :][:AT_ONCE]:
            self._put([sealed_step(step) for step in new])
            self._written += len(new)

    def _put(self, lines: list[str]) -> None:
        written = "".join(line + "\n" for line in lines).encode()
        self._file.write(
            self._packer.compress(written) + self._packer.flush(zlib.Z_SYNC_FLUSH) if self._packer else written
        )


def _free(path: Path) -> Path:
    """Return a name like this one that nothing has yet: ``run-1.mesonb``."""
    ends = "".join(path.suffixes)
    number = 1
    while (other := path.with_name(f"{path.name.removesuffix(ends)}-{number}{ends}")).exists():
        number += 1
    return other
