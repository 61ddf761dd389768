"""The board in a cell: a widget whose view is ``static/board.js``, and the comm as second choice of transport.

The view opens a WebSocket through the relay where there is one; else it says hello on the comm, again every two seconds,
and is sent frames there. Rule: on the comm nothing is sent unless a hello came in the last five seconds, because the
Jupyter server keeps whatever a closed browser does not fetch.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from mesonb.panels.commands import obey
from mesonb.panels.feed import palette_of, picture, shares_so_far
from mesonb.panels.server import PanelServer
from mesonb.panels.view import Frame
from mesonb.panels.wire import Encoder
from mesonb.session import Session

STATIC = Path(__file__).parent / "static"
HELLO_WITHIN_S = 5.0


class Board(anywidget.AnyWidget):
    """A live board of one session."""

    _esm = STATIC / "board.js"
    session_id = traitlets.Unicode().tag(sync=True)
    path = traitlets.Unicode().tag(sync=True)  #: of the WebSocket, after the server's base URL
    first_head = traitlets.Dict().tag(sync=True)  #: the picture before any transport works
    first_rows = traitlets.Bytes().tag(sync=True)

    def __init__(self, session: Session, server: PanelServer) -> None:
        frame = picture(session)
        head = {**Encoder().head(frame), "curve": shares_so_far(session)}
        path = f"mesonb/{server.id}/session/{session.id}/ws"
        super().__init__(session_id=session.id, path=path, first_head=head, first_rows=frame.data)
        self._server = server
        self._line: CommLine | None = None
        answer_anywhere(self)
        self.on_msg(self._heard)

    def _heard(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Take a message from the view, on whatever thread the kernel has for it; the loop does the rest."""
        self._server.loop.call_soon_threadsafe(self._take, content)

    def _take(self, content: Any) -> None:
        session = Session.known.get(self.session_id)
        if session is None:
            self.send({"kind": "gone"})
        elif content == {"kind": "hello"}:
            self._hello(session)
        else:
            self.send(obey(session, content))

    def _hello(self, session: Session) -> None:
        if self._line is None or self._line.silent:
            self._line = CommLine(self)
            self._server.feed(session).add(self._line)
        self._line.heard_s = time.monotonic()


class CommLine:
    """Shows frames over the comm while somebody says hello."""

    def __init__(self, board: Board) -> None:
        self.heard_s = time.monotonic()
        self._board = board
        self._encoder = Encoder()

    @property
    def silent(self) -> bool:
        """Whether nobody has said hello for too long."""
        return time.monotonic() - self.heard_s > HELLO_WITHIN_S

    def show(self, frame: Frame) -> None:
        """Send a frame."""
        self._send(self._encoder.head(frame), [frame.data])

    def say(self, message: dict[str, Any]) -> None:
        """Send a small message."""
        self._send(message)

    def _send(self, head: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if self.silent:
            raise ConnectionError("no browser has said hello; the feed lets this line go")
        self._board.send(head, buffers)


def answer_anywhere(widget: anywidget.AnyWidget) -> None:
    """Let the front-end's messages be handled while a cell runs, where ipykernel (7.4 on) would queue them.

    It routes them back to the shell of the cell that opened the comm; the name is private, so its absence is fine.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _data, default: default


def board_of(session: Session, server: PanelServer) -> Board:
    """Return the session's board, the same one each time: its views share a model."""
    board: Board | None = session.__dict__.get("_board")
    if board is None or board.comm is None:
        board = session.__dict__["_board"] = Board(session, server)
    palette_of(session)
    return board
