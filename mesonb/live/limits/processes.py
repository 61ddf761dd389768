"""Processes: what Linux tells in /proc about one, read without a library because it is read often.

A process that has died meanwhile is a ProcessLookupError or a FileNotFoundError, as Linux says it, or simply nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Weight:
    """What a process weighs at one moment."""

    held_bytes: int  #: memory that it holds by itself: neither files nor what it shares by name
    data_bytes: int  #: what it has reserved for data, used or not


def weigh(pid: int) -> Weight:
    """Weigh a process."""
    return weight(Path(f"/proc/{pid}/statm").read_bytes())


@lru_cache(maxsize=1000)  # a child that has not weighed itself again says the same
def weight(statm: bytes) -> Weight:
    """Read what Linux says in a process's file ``statm``: seven numbers of pages.

    >>> weight(b"9000 700 200 1 0 400 0").held_bytes // _PAGE
    500
    """
    pages = statm.split()
    return Weight((int(pages[1]) - int(pages[2])) * _PAGE, int(pages[5]) * _PAGE)


def birthmark(pid: int) -> str:
    """Tell a process from every other one that had its number: the machine's boot, and when it began; "" if there is none."""
    try:
        began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {began}"
    except OSError:  # it is gone, or this is no Linux
        import psutil  # children import this module, and need no psutil

        return f"{psutil.Process(pid).create_time()}" if psutil.pid_exists(pid) else ""


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
