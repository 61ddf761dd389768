"""Some steps of a recording as a small table: what ``step()`` of a simulation and of a replay returns."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mesonb.core.log import Step
from mesonb.core.telling import plainly, told
from mesonb.core.units import show_duration


class Steps(list[Step]):
    """Some steps of a log, as a small table."""

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield (time, call, what followed); further events of a call have a row each."""
        for step in self:
            followed = [told(event) or plainly(event) for event in step.events] or [""]
            yield show_duration(step.now_us), plainly(step.call), followed[0]
            yield from (("", "", line) for line in followed[1:])

    def __repr__(self) -> str:
        rows = list(self.rows())
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        return (
            "\n".join(f"{time:>{widths[0]}}  {call:<{widths[1]}}  {line}".rstrip() for time, call, line in rows)
            or "nothing"
        )

    def _repr_html_(self) -> str:
        cells = ("".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) for row in self.rows())
        return f"<table><tr><th>time</th><th>call</th><th>what followed</th></tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
