"""How a small table shows itself: lines of words, the header first, as text and in a notebook."""

import html
import re
from collections.abc import Sequence

Lines = Sequence[Sequence[str]]
#: A figure, with or without its unit, or a dash in place of one.
_FIGURE = re.compile(r"[-–+]?[\d,.]*( ?[%\w]{1,4})?")


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
    """Write the same as an HTML table; whatever is in it is escaped. Notebooks have cells end at the right: words begin at the left."""
    head, *body = lines
    words = [not all(_FIGURE.fullmatch(row[number]) for row in body) for number in range(len(head))]
    title = f"<caption style='text-align: left'>{html.escape(caption)}</caption>" if caption else ""
    rows = "".join(f"<tr>{_cells('td', row, words)}</tr>" for row in body)
    return f"<table>{title}<thead><tr>{_cells('th', head, words)}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(tag: str, row: Sequence[str], words: Sequence[bool]) -> str:
    starts = {number: f"<{tag} style='text-align: left'>" for number, is_words in enumerate(words) if is_words}
    return "".join(f"{starts.get(number, f'<{tag}>')}{html.escape(cell)}</{tag}>" for number, cell in enumerate(row))
