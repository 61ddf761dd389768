"""Saved: the still picture that a cell keeps beside what is live, and which of the two is seen where.

A front end with a kernel shows what is live. One that has only the notebook's file shows the picture: the notebook opened
again without its kernel, nbconvert's HTML, a viewer. Rule: style sheets alone decide, so nothing has to run to see it.
"""

from __future__ import annotations

from html import escape

from mesonb.panels import still
from mesonb.panels.feed import picture
from mesonb.session import Session

#: The picture goes once the board that follows it is drawn; a widget that has lost its model, and says only so, goes as well.
BOARD_STYLE = """<style>
.jp-OutputArea-child:has(.mesonb-saved):has(+ .jp-OutputArea-child .mesonb) { display: none; }
.jp-OutputArea-child:has(.mesonb-saved) + .jp-OutputArea-child > .jupyter-widgets:not(:has(> *)) { display: none; }
</style>"""
#: A page in a page is loaded only where a Jupyter application is around it, and goes once it says itself that its kernel has gone.
CHART_STYLE = """<style>
.mesonb-chart > iframe { display: none; width: 100%; border: 0; background: var(--jp-layout-color0, transparent); }
:is(#main, #rendered_cells) .mesonb-chart:not(.mesonb-gone) > iframe { display: block; }
:is(#main, #rendered_cells) .mesonb-chart:not(.mesonb-gone) > .mesonb-saved { display: none; }
</style>"""


def board_still(session: Session) -> str:
    """Return the picture that stands before a live board, and is seen where that board is not."""
    return f'{BOARD_STYLE}<div class="mesonb-saved">{still.html(session.id, picture(session))}</div>'


def chart_still(session: Session, panel: str) -> str:
    """Return what is seen of a chart where it cannot be live: a picture of the board, and words."""
    said = f"<b>{escape(panel)}</b> is live where a Jupyter server with mesonb runs the kernel. The board when this cell ran:"
    return f'<div class="mesonb-saved"><p>{said}</p>{still.html(session.id, picture(session))}</div>'


def chart(session: Session, panel: str, source: str, height_px: int) -> str:
    """Return a live chart, which is the page at ``source``, with its picture for where there is no such page."""
    title = f"{panel.capitalize()} of {escape(session.id)}"
    frame = f'<iframe src="{escape(source)}" title="{title}" loading="lazy" style="height: {height_px}px"></iframe>'
    return f'{CHART_STYLE}<div class="mesonb-chart">{frame}{chart_still(session, panel)}</div>'
