"""Module: JavaScript that is read in parts and loaded as one text: the board's module, the script of a chart's page.

A widget hands its view over as one text, and nothing in that can import a file beside it; so the parts share their names.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"


@cache
def board_module() -> str:
    """Return the module that draws boards."""
    return _joined("board.js", "tiles.js", "heat.js", "past.js", "fill.js")


def page_script() -> str:
    """Return what runs on a chart's page beside Bokeh."""
    return _joined("fill.js", "page.js")


def _joined(*parts: str) -> str:
    return "\n".join((STATIC / part).read_text(encoding="utf-8") for part in parts)
