"""Parcel: a large object in memory that has no name, mapped by whoever is handed its descriptor, and gone with the last.

Linux frees such memory when nobody holds it any more, however they died, so nothing is ever left behind. Arrays lie in it
as they are (pickle protocol 5, out of band) and are not copied by those who read it.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
from collections.abc import Sequence
from typing import Any

#: Linux alone has such memory; elsewhere everything travels as plain bytes.
AVAILABLE = hasattr(os, "memfd_create")
#: Arrays begin at a multiple of this, as vector instructions like it.
ALIGN = 64
#: How much is copied at once; Linux takes no more than 2 GB.
_CHUNK = 1 << 30


def wrap(content: bytes, buffers: Sequence[pickle.PickleBuffer]) -> int:
    """Put a pickle and its buffers into a new parcel; return its descriptor. OSError if there is no memory."""
    parts = [memoryview(content), *[buffer.raw() for buffer in buffers]]
    head = struct.pack(f"<{1 + len(parts)}Q", len(parts), *[part.nbytes for part in parts])
    fd = os.memfd_create("mesonb", os.MFD_CLOEXEC)
    try:
        _write(fd, memoryview(head), 0)
        at = _aligned(len(head))
        for part in parts:
            _write(fd, part, at)
            at = _aligned(at + part.nbytes)
        os.ftruncate(fd, max(at, 1))
    except BaseException:
        os.close(fd)
        raise
    return fd


def opened(fd: int, *, writable: bool) -> Any:
    """Return the object in a parcel. Its arrays are the parcel's memory; what is written to them, where that is allowed, is not.

    The descriptor may be closed afterwards; the memory stays for as long as the object.
    """
    content, *buffers = _parts(fd, mmap.ACCESS_COPY if writable else mmap.ACCESS_READ)
    return pickle.loads(content, buffers=buffers)


def copied(fd: int) -> tuple[bytes, list[bytes]]:
    """Return the pickle and the buffers in a parcel, unread."""
    content, *buffers = _parts(fd, mmap.ACCESS_READ)
    return bytes(content), [bytes(buffer) for buffer in buffers]


def size_of(fd: int) -> int:
    """How many bytes a parcel holds."""
    return os.fstat(fd).st_size


def of_process(pid: int, fd: int) -> int:
    """Open the parcel that another process of this user has open, for itself; OSError if it is gone."""
    return os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)


def _parts(fd: int, access: int) -> list[memoryview]:
    whole = memoryview(mmap.mmap(fd, 0, access=access))
    (count,) = struct.unpack_from("<Q", whole)
    at = _aligned(8 + 8 * count)
    parts = []
    for size in struct.unpack_from(f"<{count}Q", whole, 8):
        parts.append(whole[at : at + size])
        at = _aligned(at + size)
    return parts


def _write(fd: int, part: memoryview, at: int) -> None:
    part = part.cast("B") if part.nbytes else part
    done = 0
    while done < part.nbytes:
        done += os.pwrite(fd, part[done : done + _CHUNK], at + done)


def _aligned(at: int) -> int:
    return -(-at // ALIGN) * ALIGN
