"""Frames: what one comm may carry. A frame is read only up to a size, and written only as fast as the other end reads.

Dask's own comms trust their other end: they read whatever size is announced, and keep whatever is not read. A hub serves
people who do not know each other, so here both are bounded. Comms without a socket of their own (``inproc``) are not.
"""

from __future__ import annotations

import struct
import time
from typing import Any

from distributed.comm.core import CommClosedError
from distributed.comm.tcp import read_bytes_rw
from distributed.comm.utils import from_frames
from distributed.protocol.utils import unpack_frames
from tornado.iostream import StreamClosedError

_LENGTH = struct.Struct("Q")


class Bad(Exception):
    """What came is no frame, or a larger one than is taken; nothing more can be read of that comm."""


async def read(comm: Any, most_bytes: int) -> Any:
    """Read one message; Bad where it is none or too large, CommClosedError where there is no more. Bad ends the comm."""
    try:
        return await _read(comm, most_bytes)
    except (CommClosedError, Bad):
        raise
    except (StreamClosedError, EOFError, OSError) as error:
        raise CommClosedError(str(error)) from error
    except Exception as error:  # whatever garbage raises where Dask unpacks it
        raise Bad(f"what it sent is no frame: {type(error).__name__}: {error}") from error


async def _read(comm: Any, most_bytes: int) -> Any:
    stream = getattr(comm, "stream", None)
    if stream is None or not hasattr(stream, "read_into"):
        return await comm.read()
    (size,) = _LENGTH.unpack(await stream.read_bytes(_LENGTH.size))
    _check(size, most_bytes)
    frames, missing = unpack_frames(await read_bytes_rw(stream, size), partial=True)
    _check(size + sum(missing), most_bytes)
    for missed in missing:
        frames.append(await read_bytes_rw(stream, missed))
    return await from_frames(frames, comm.deserialize, allow_offload=comm.allow_offload)  # type: ignore[no-untyped-call]


def _check(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise Bad(f"it sent a frame of {size:,} bytes, and {most_bytes:,} is the most that is taken")


async def write(comm: Any, message: Any) -> None:
    """Write one message, and return when it has left; CommClosedError where it cannot."""
    await comm.write(message)
    stream = getattr(comm, "stream", None)
    if stream is not None and hasattr(stream, "read_into"):
        try:
            await stream.write(b"")  # done when all before it is with the operating system
        except StreamClosedError as error:
            raise CommClosedError(str(error)) from error


class Meter:
    """Counts what somebody sends: so much a second, and what was not used is saved up to a bound.

    >>> meter = Meter(rate_s=10, burst=20, now_s=0)
    >>> meter.takes(20, now_s=0), meter.takes(1, now_s=0), meter.takes(9, now_s=1), meter.takes(9, now_s=1)
    (True, False, True, False)
    """

    def __init__(self, rate_s: float, burst: float, now_s: float | None = None) -> None:
        self._rate_s, self._burst, self._left = rate_s, burst, burst
        self._at_s = time.monotonic() if now_s is None else now_s

    def takes(self, cost: float, now_s: float | None = None) -> bool:
        """Whether so much more is within bounds; it is counted if so."""
        now_s = time.monotonic() if now_s is None else now_s
        self._left = min(self._burst, self._left + max(0.0, now_s - self._at_s) * self._rate_s)
        self._at_s = now_s
        if cost > self._left:
            return False
        self._left -= cost
        return True
