"""The notebook: what a session looks like as the last line of a cell, and ``session.watch``.

Beside ``mesonb.magics`` the only file that asks IPython anything. ``install`` is called by ``import mesonb``, so nothing
heavy is imported here before something is shown.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Any
from urllib.parse import urlencode

from mesonb import cards
from mesonb.errors import BadValue
from mesonb.session import Session

#: The panels there are: the board, and charts with the height that each is given in a cell, in pixels.
CHARTS = {
    "shares": 330,
    "timeline": 480,
    "offers": 640,
    "frameworks": 300,
    "allocation": 520,
    "iterations": 480,
    "events": 480,
    "use": 320,
    "locality": 340,
    "output": 480,
    "steer": 400,
    "hand": 560,
}
PANELS = ("board", *CHARTS)


def install() -> None:
    """Give every session its looks."""
    Session.__repr__ = describe  # type: ignore[method-assign, assignment]
    Session._repr_mimebundle_ = show  # type: ignore[attr-defined]
    Session._ipython_display_ = display  # type: ignore[attr-defined]
    Session.watch = watch  # type: ignore[attr-defined]
    Session.export = export  # type: ignore[attr-defined]
    Session.begun = staticmethod(serve)
    Session.called = staticmethod(called)
    Session.rewound = staticmethod(rewound)
    Session.moved = staticmethod(moved)
    cards.install()


def load_ipython_extension(shell: Any) -> None:
    """Give a notebook ``%mesos`` and ``%%framework``: what ``%load_ext mesonb`` calls."""
    from mesonb.magics import load

    load(shell)


def called(session: Session) -> str:
    """Return the name that the notebook's cells have for a session, or the usual one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    names = dict(getattr(shell, "user_ns", {}))
    usual = "sim" if session.kind == "simulation" else session.kind
    found = [name for name, value in names.items() if value is session and not name.startswith("_")]
    return usual if usual in found else next(iter(found), usual)


def rewound(session: Session) -> Session:
    """Open what a session has recorded so far; one that began with an allocator of the user's own, with another of its class."""
    from mesonb.sim.replay import Replay, known_allocator

    with session.reading():
        log, handed = session.log.copy(), {**session.core.handed}
        handed.setdefault(type(session.core.allocator).__name__, session.core.allocator)
    own = None if known_allocator(log.allocator) or log.allocator not in handed else type(handed[log.allocator])()
    return Replay(log, own, [type(module)() for module in handed.values()])


def moved(recording: Session, how: str, amount: Any) -> dict[str, Any]:
    """Go to a moment of a recording, and say where that is."""
    from mesonb.panels import moments

    return moments.seek(recording, amount) if how == "seek" else moments.move(recording, amount)


def serve(_session: Session) -> None:
    """Serve this kernel's panels, where a Jupyter server would list them; a session works as well without.

    At once, not on another thread: two threads that import at a time may see half a module.
    """
    if "MESONB_BASE_URL" not in os.environ or not in_kernel():
        return
    try:
        from mesonb.panels.server import panel_server

        panel_server(kernel_id())
    except Exception as error:  # noqa: BLE001 - said, and nothing else stops
        warnings.warn(f"panels are not served: {type(error).__name__}: {error}", stacklevel=2)


def describe(session: Session) -> str:
    """Say in one line what a session holds."""
    from mesonb.panels import still

    return still.text(session.id, session.snapshot())


def show(session: Session, **_asked: Any) -> dict[str, Any]:
    """Return the session's board, for whoever displays it: live where somebody looks, and a still picture for anyone else."""
    from mesonb.panels import still
    from mesonb.panels.feed import picture

    bundle = {"text/plain": describe(session), "text/html": still.html(session.id, picture(session))}
    return _live_board(session) | bundle if attended() else bundle


def display(session: Session) -> None:
    """Display the board in JupyterLab or Jupyter Notebook: its still picture, which the file keeps, and the live one after it.

    Two outputs: of one that holds both, a notebook opened without its kernel shows neither, as the widget comes first and is
    not there. Raises NotImplementedError elsewhere, which IPython takes to mean that ``_repr_mimebundle_`` says it all.
    """
    if "MESONB_BASE_URL" not in os.environ or not attended():
        raise NotImplementedError
    from IPython.display import publish_display_data

    from mesonb.panels.saved import board_still

    for shown in ({"text/html": board_still(session)}, _live_board(session)):
        publish_display_data({**shown, "text/plain": describe(session)})  # type: ignore[no-untyped-call]


def _live_board(session: Session) -> dict[str, Any]:
    from mesonb.panels.board import board_of
    from mesonb.panels.server import panel_server

    bundle: dict[str, Any] = board_of(session, panel_server(kernel_id()))._repr_mimebundle_()[0]  # type: ignore[index]
    return bundle


def watch(session: Session, panel: str = "board") -> Session | Chart:
    """Return a panel of this session, to be the last line of a cell: ``master.watch("shares")``."""
    if panel not in PANELS:
        raise BadValue(f"no panel is called {panel!r}; there are {', '.join(PANELS)}")
    return session if panel == "board" else Chart(session, panel)


def export(session: Session, path: str, title: str = "") -> str:
    """Write what a session did to one HTML file that plays it with no kernel, and return its path."""
    from mesonb.panels.export import write_player
    from mesonb.panels.moments import can_travel

    if not can_travel(session):
        raise BadValue("the kernel that holds this master has its log, and can export it: master.export(...)")
    return str(write_player(session, path, title))


class Chart:
    """A panel over time: a live Bokeh app, served by the kernel's panel server through Jupyter's own."""

    def __init__(self, session: Session, panel: str) -> None:
        self._session, self._panel = session, panel

    def __repr__(self) -> str:
        return f"<{self._panel} of {describe(self._session)[1:]}"

    def _repr_html_(self) -> str:
        from mesonb.panels import saved

        if "MESONB_BASE_URL" not in os.environ or not attended():
            return saved.chart_still(self._session, self._panel)
        from mesonb.panels.server import panel_server

        query = urlencode({"session": self._session.id})
        source = f"{panel_server(kernel_id()).prefix}/{self._panel}?{query}"
        return saved.chart(self._session, self._panel, source, CHARTS[self._panel])


def in_kernel() -> bool:
    """Whether this runs in a Jupyter kernel, where widgets have somebody to talk to."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def attended() -> bool:
    """Whether somebody may look at what a cell shows while this kernel runs.

    Who executes a notebook to convert it (nbconvert, papermill) says that nobody can type either; Voila does so too, but has
    a page open.
    """
    if not in_kernel():
        return False
    shell = sys.modules["IPython"].get_ipython()
    return "VOILA_BASE_URL" in os.environ or bool(getattr(shell.kernel, "_allow_stdin", True))


def kernel_id() -> str:
    """Return the id that the Jupyter server knows this kernel by; it stands in the name of its connection file."""
    from ipykernel.connect import get_connection_file

    found = re.search(r"kernel-([\w-]+)\.json$", get_connection_file())
    return found.group(1) if found else ""
