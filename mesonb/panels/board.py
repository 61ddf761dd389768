"""The board in a cell: a widget whose view is ``board_module()``, and the comm as second choice of transport.

The view opens a WebSocket through the relay where there is one; else it says hello on the comm, again every two seconds,
and is sent frames there. Rule: on the comm nothing is sent unless a hello came in the last five seconds, because the
Jupyter server keeps whatever a closed browser does not fetch.
"""

from __future__ import annotations

import time
from typing import Any

import anywidget
import traitlets

from mesonb.panels.asked import respond
from mesonb.panels.feed import palette_of, picture, shares_so_far
from mesonb.panels.module import board_module
from mesonb.panels.server import PanelServer
from mesonb.panels.view import Frame
from mesonb.panels.wire import Encoder
from mesonb.session import Session

HELLO_WITHIN_S = 5.0
#: Frames that may be on their way by comm: it holds nothing back by itself, so a slow browser would have them queued.
AHEAD = 60


class Board(anywidget.AnyWidget):
    """A live board of one session."""

    _esm = board_module()
    session_id = traitlets.Unicode().tag(sync=True)
    path = traitlets.Unicode().tag(sync=True)  #: of the WebSocket, after the server's base URL
    first_head = traitlets.Dict().tag(sync=True)  #: the picture before any transport works
    first_rows = traitlets.Bytes().tag(sync=True)

    def __init__(self, session: Session, server: PanelServer) -> None:
        frame = picture(session)
        head = {**Encoder().encode(frame)[0], "curve": shares_so_far(session)}
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
        elif isinstance(content, dict) and content.get("kind") == "hello":
            self._hello(session, content)
        else:
            self.send(respond(session, content))

    def _hello(self, session: Session, said: dict[str, Any]) -> None:
        feed = self._server.feed(session)
        if self._line is None or self._line.silent:
            self._line = CommLine(self)
            feed.add(self._line)
        self._line.hear(said)
        if said.get("lost"):
            self._line.forget()
            feed.show_all(self._line)


class CommLine:
    """Shows frames over the comm while somebody says hello, and never AHEAD of what was seen by more than so many."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._encoder = Encoder()
        self._heard_s = time.monotonic()
        self._seen = 0

    def hear(self, hello: dict[str, Any]) -> None:
        """Take note that somebody is there, and of the last frame that was seen."""
        self._heard_s = time.monotonic()
        seen = hello.get("seen")
        self._seen = max(self._seen, seen) if isinstance(seen, int) and seen <= self._encoder.count else self._seen

    @property
    def silent(self) -> bool:
        """Whether nobody has said hello for too long."""
        return time.monotonic() - self._heard_s > HELLO_WITHIN_S

    def forget(self) -> None:
        """Send the next frame whole: a view came late, or missed one."""
        self._encoder.forget()

    def show(self, frame: Frame) -> None:
        """Send a frame, unless many wait to be seen: a slow browser misses some."""
        if self.silent or self._encoder.count - self._seen < AHEAD:
            self._send(*self._encoder.encode(frame))

    def say(self, message: dict[str, Any]) -> None:
        """Send a small message."""
        self._send(message)

    def _send(self, head: dict[str, Any], data: bytes | None = None) -> None:
        if self.silent:
            raise ConnectionError("no browser has said hello; the feed lets this line go")
        self._board.send(head, None if data is None else [data])


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
