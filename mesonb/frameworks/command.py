"""Command: a shell command as a task; to the core it is a task like any other, and so it is to a simulation.

What travels is a function and its arguments, as for every task. An executor that meets ``shell`` becomes the command
instead of calling it: the task's process is the command's, and its exit status the task's end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from mesonb.errors import BadValue


def shell(line: str, files: Mapping[str, bytes]) -> int:  # noqa: ARG001 - whoever runs the command reads them
    """Stand for a command. Executors become it; where time is pretended it does nothing, and succeeds."""
    return 0


def files_for(line: str, files: Iterable[str | Path]) -> dict[str, bytes]:
    """Read the files that travel with a command: those that are named, and a script of this folder that it begins with.

    Relative names keep their folders, others only their last part. BadValue for what cannot be read here, or would not lie
    within the sandbox.
    """
    if not isinstance(line, str) or not line.strip():
        raise BadValue(f"{line!r} is not a command; write offer.shell('./train.sh --fast', needs=...)")
    first = line.split(maxsplit=1)[0]
    named = [first] if first.startswith("./") and Path(first).is_file() else []
    return dict(_read(Path(file)) for file in dict.fromkeys([*map(str, files), *named]))


def _read(file: Path) -> tuple[str, bytes]:
    name = PurePath(file.name) if file.is_absolute() else PurePath(file)
    if ".." in name.parts:
        raise BadValue(f"{str(file)!r} would not lie within the sandbox; give it as an absolute path")
    try:
        return str(name), file.read_bytes()
    except OSError as error:
        raise BadValue(
            f"{str(file)!r} cannot be sent along: {error.strerror}; files= names files that are here, not on the agents"
        ) from None
