"""Wire: how a frame travels. One message is a header length (uint32), JSON padded to four bytes, then the agents.

All little-endian, as browsers read typed arrays. What seldom changes (``names``) is sent only to who has not seen it; of
the rest, a receiver that has a frame is sent what changed ``since``: a patch of the head, and the agents that changed.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from mesonb.panels.view import Frame

_LENGTH = struct.Struct("<I")
#: What every head has, changed or not.
_ALWAYS = ("kind", "at_us", "steps")


class Encoder:
    """Encodes frames for one receiver; it remembers what that receiver has."""

    def __init__(self) -> None:
        self.count = 0
        self._last: Frame | None = None

    def encode(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Return the head and the agents that bring the receiver up to date."""
        last, self._last, self.count = self._last, frame, self.count + 1
        names = {"names": frame.names} if last is None or frame.names != last.names else {}
        changed = frame.since(last) if last else None
        if last is None or changed is None:
            return {**frame.head, **names, "frame": self.count}, frame.data
        always = {name: frame.head[name] for name in _ALWAYS}
        head = {**always, **patch(last.head, frame.head), **names, "frame": self.count, "since": self.count - 1}
        return head, changed

    def message(self, frame: Frame, extra: dict[str, Any] | None = None) -> bytes:
        """Encode a frame as one message."""
        head, data = self.encode(frame)
        return pack({**head, **(extra or {})}, data)

    def forget(self) -> None:
        """Send the next frame whole."""
        self._last = None


def patch(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Say what to change in a head: as JSON merge patch has it, and a list of records by position.

    >>> patch({"a": 1, "b": [{"c": 1}, {"c": 2}], "d": 1}, {"a": 1, "b": [{"c": 1}, {"c": 3}]})
    {'b': {'1': {'c': 3}}, 'd': None}
    """
    said = {name: _changed(old.get(name), value) for name, value in new.items() if old.get(name) != value}
    return said | {name: None for name in old if name not in new}


def _changed(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return patch(old, new)
    if _records(old) and _records(new) and len(old) == len(new):
        return patch(dict(_numbered(old)), dict(_numbered(new)))
    return new


def _records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _numbered(records: list[Any]) -> Any:
    return ((str(number), record) for number, record in enumerate(records))


def pack(head: dict[str, Any], data: bytes = b"") -> bytes:
    """Join a head and its agents.

    >>> unpack(pack({"kind": "beat"}))
    ({'kind': 'beat'}, b'')
    """
    written = json.dumps(head, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 4)
    return _LENGTH.pack(len(written)) + written + data


def unpack(message: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a message into its head and its agents."""
    (length,) = _LENGTH.unpack_from(message)
    return json.loads(message[4 : 4 + length]), message[4 + length :]
