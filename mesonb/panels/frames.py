"""Frames: agents as tiles while there is room for tiles, as a heat map where there are more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesonb.core.snapshot import Snapshot
from mesonb.panels.heat import heat_of
from mesonb.panels.tiles import tiles_of
from mesonb.panels.view import Frame, Palette


def frame_of(
    snapshot: Snapshot, palette: Palette, complaints: Mapping[str, Any] | None = None, before: Frame | None = None
) -> Frame:
    """Turn a snapshot into a frame; ``complaints`` are the last one of each framework that has any.

    ``before`` is an earlier frame of the same session, and spares the work for all that is still the same.
    """
    if snapshot.spots:
        return heat_of(snapshot, snapshot.spots, palette, complaints or {}, before)
    return tiles_of(snapshot, palette, complaints or {}, before)
