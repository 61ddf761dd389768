"""Connection files: how the Jupyter server finds the panel servers of its own kernels.

One file a kernel process in the Jupyter runtime directory, readable by its owner alone: id, pid, port, token, kernel.
Rule: a file is believed only if it is ours, private, well formed, and its process is the one that wrote it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from jupyter_core.paths import jupyter_runtime_dir

#: Ids are made by ``secrets.token_hex(8)``; nothing else is ever looked up.
ID = re.compile(r"[0-9a-f]{16}")
#: How far apart two readings of when a process began may be.
BEGAN_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Connection:
    """One panel server: ``began`` tells its process from a later one with the same pid."""

    id: str
    pid: int
    began: float
    port: int
    token: str
    kernel_id: str
    prefix: str  #: what every path there begins with

    @property
    def path(self) -> Path:
        """Where its file is."""
        return _path(self.id)

    @property
    def alive(self) -> bool:
        """Whether the process that wrote the file is still there."""
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.began) < BEGAN_WITHIN_S)
        except psutil.Error:
            return False

    def write(self) -> None:
        """Write the file, private from its first byte; it must not be there yet."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(asdict(self), file)

    def remove(self) -> None:
        """Remove the file; gone already is as good."""
        self.path.unlink(missing_ok=True)


def find(server_id: str) -> Connection | None:
    """Return the panel server of that id, if its file can be believed and its process lives."""
    if not ID.fullmatch(server_id):
        return None
    connection = _read(_path(server_id))
    return connection if connection and connection.id == server_id and connection.alive else None


def everyone() -> Iterator[Connection]:
    """Yield all panel servers of this user that live; remove the files of those that do not."""
    for path in sorted(Path(jupyter_runtime_dir()).glob("mesonb-*.json")):
        if connection := _read(path):
            if connection.alive:
                yield connection
            else:
                connection.remove()


def this_process_began() -> float:
    """When this process began, as ``alive`` will read it."""
    return float(psutil.Process().create_time())


def _path(server_id: str) -> Path:
    return Path(jupyter_runtime_dir()) / f"mesonb-{server_id}.json"


def _read(path: Path) -> Connection | None:
    """Read a file that only we could have written; anything else is as good as none."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(file) as opened:
            seen = os.fstat(file)
            if seen.st_uid != os.getuid() or stat.S_IMODE(seen.st_mode) & 0o077:
                return None
            return _checked(json.load(opened), path)
    return None


def _checked(said: dict[str, object], path: Path) -> Connection | None:
    connection = Connection(**said)  # type: ignore[arg-type]  # checked on the next lines
    well_formed = (
        isinstance(connection.id, str) and ID.fullmatch(connection.id) and connection.path == path
        and isinstance(connection.pid, int) and isinstance(connection.began, float)
        and isinstance(connection.port, int) and 0 < connection.port < 65536
        and all(isinstance(text, str) for text in (connection.token, connection.kernel_id, connection.prefix))
    )  # fmt: skip
    return connection if well_formed else None
