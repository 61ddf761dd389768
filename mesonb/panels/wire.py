"""Wire: how a frame travels. One message is a header length (uint32), JSON padded to four bytes, then float32 rows.

All little-endian, as browsers read typed arrays. What seldom changes (``names``) is sent only to who has not seen it.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from mesonb.panels.view import Frame

_LENGTH = struct.Struct("<I")


class Encoder:
    """Encodes frames for one receiver; it remembers which names that receiver has."""

    def __init__(self) -> None:
        self._sent: dict[str, Any] | None = None
        self._count = 0

    def head(self, frame: Frame) -> dict[str, Any]:
        """The frame's head, numbered, with its names where this receiver has other ones."""
        self._count += 1
        head = {**frame.head, "frame": self._count}
        if frame.names != self._sent:
            self._sent = head["names"] = frame.names
        return head

    def message(self, frame: Frame, extra: dict[str, Any] | None = None) -> bytes:
        """The whole frame as one message."""
        return pack({**self.head(frame), **(extra or {})}, frame.data)


def pack(head: dict[str, Any], data: bytes = b"") -> bytes:
    """Join a head and its rows.

    >>> unpack(pack({"kind": "beat"}))
    ({'kind': 'beat'}, b'')
    """
    written = json.dumps(head, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 4)
    return _LENGTH.pack(len(written)) + written + data


def unpack(message: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a message into its head and its rows."""
    (length,) = _LENGTH.unpack_from(message)
    return json.loads(message[4 : 4 + length]), message[4 + length :]
