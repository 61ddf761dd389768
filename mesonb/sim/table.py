"""How a small table shows itself: lines of words, the header first, as text and in a notebook."""

import html
from collections.abc import Sequence

Lines = Sequence[Sequence[str]]


def as_text(lines: Lines) -> str:
    """Lay columns out side by side.

    >>> print(as_text([["who", "share"], ["lab", "50%"]]))
    who  share
    lab  50%
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def as_html(lines: Lines, caption: str = "") -> str:
    """Write the same as an HTML table; whatever is in it is escaped."""
    head, *body = lines
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    rows = "".join(f"<tr>{_cells('td', row)}</tr>" for row in body)
    return f"<table>{title}<thead><tr>{_cells('th', head)}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(tag: str, row: Sequence[str]) -> str:
    return "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
