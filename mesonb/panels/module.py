"""Module: the board's JavaScript, three files that are read apart and loaded as one module.

A widget hands its view over as one text, and nothing in that can import a file beside it; so the parts share their names.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PARTS = ("board.js", "tiles.js", "heat.js")


@cache
def board_module() -> str:
    """Return the module."""
    return "\n".join((STATIC / part).read_text(encoding="utf-8") for part in PARTS)
