"""Processes: what Linux tells in /proc about one, read without a library because it is read often.

A process that has died meanwhile is a ProcessLookupError or a FileNotFoundError, as Linux says it, or simply nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def held_bytes(pid: int) -> int:
    """Read how much memory a process holds by itself: neither files nor memory that it shares by name."""
    pages = Path(f"/proc/{pid}/statm").read_bytes().split()
    return (int(pages[1]) - int(pages[2])) * _PAGE


def data_bytes(pid: int) -> int:
    """Read how much memory a process has reserved for data, used or not."""
    return int(Path(f"/proc/{pid}/statm").read_bytes().split()[5]) * _PAGE


def family(pid: int) -> Iterator[int]:
    """Yield a process and all that it has started; a task may be quicker than we are."""
    yield pid
    for thread in threads(pid):
        for child in _words_of(Path(f"/proc/{pid}/task/{thread}/children")):
            yield from family(int(child))


def threads(pid: int) -> list[int]:
    """List the threads of a process."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - names are all there is to read
    except OSError:
        return []


def _words_of(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
