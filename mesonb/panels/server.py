"""The panel server: one loopback port a process, on a thread of its own, for every session of the process.

It serves each session's board as a WebSocket (frames out, commands in) and the charts over time as a Bokeh app. The
Jupyter server extension (``mesonb.panels.jupyter``) relays it to the browser, so paths here are those the browser sees.
Rule: whatever comes without the token is refused before it is even routed; a browser cannot have the token, the relay has.
"""

from __future__ import annotations

import asyncio
import atexit
import hmac
import json
import os
import secrets
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Event, Lock, Thread
from typing import Any

from bokeh.server.tornado import BokehTornado
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from mesonb.panels.apps import APPS, applications
from mesonb.panels.asked import respond
from mesonb.panels.connection import Connection, this_process_began
from mesonb.panels.feed import Feed, shares_so_far
from mesonb.panels.listing import listed
from mesonb.panels.turns import TURNS, steady_loop
from mesonb.panels.view import Frame
from mesonb.panels.wire import Encoder
from mesonb.session import Session

#: A session's id, as it stands in a path.
SESSION = r"([\w.-]{1,80})"
#: The longest command that is read.
COMMAND_BYTES = 4096
#: Nobody posts anything; who has no token cannot fill the memory either.
BODY_BYTES = 10_000
START_S = 20.0


class PanelServer:
    """Serves the panels of this process's sessions."""

    def __init__(self, kernel_id: str = "", base_url: str | None = None) -> None:
        self.id = secrets.token_hex(8)
        self.token = secrets.token_urlsafe(32)
        self.kernel_id = kernel_id
        base_url = os.environ.get("MESONB_BASE_URL", "/") if base_url is None else base_url
        self.prefix = f"{base_url.rstrip('/')}/mesonb/{self.id}"
        self.connection: Connection | None = None
        self._feeds: dict[str, Feed] = {}
        self._started = Event()
        self._thread = Thread(target=self._main, name="mesonb-panels", daemon=True)

    def start(self) -> PanelServer:
        """Start the thread, and wait until the port is open."""
        self._thread.start()
        if not self._started.wait(START_S) or self.connection is None:
            raise RuntimeError("the panel server did not start; its traceback is above")
        return self

    def close(self) -> None:
        """Close the port, remove the connection file, end the thread."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=5)

    def feed(self, session: Session) -> Feed:
        """Return the session's feed; on the loop only."""
        self._feeds = {name: feed for name, feed in self._feeds.items() if name in Session.known}
        if session.id not in self._feeds:
            self._feeds[session.id] = Feed(session)
        return self._feeds[session.id]

    def run(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run something on the loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=steady_loop) as runner:
                runner.run(self._serve())
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        application = _Guarded(self)
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(application, max_body_size=BODY_BYTES)
        server.add_sockets(sockets)
        application.initialize(IOLoop.current())
        application.start()
        port = sockets[0].getsockname()[1]
        self.connection = Connection(
            self.id, os.getpid(), this_process_began(), port, self.token, self.kernel_id, self.prefix
        )
        self.connection.write()
        self._started.set()
        try:
            await self._stop.wait()
        finally:
            self.connection.remove()
            server.stop()
            application.stop()


class _Guarded(BokehTornado):
    """The Bokeh server's application, with the boards beside it and the guard in front of everything."""

    def __init__(self, server: PanelServer) -> None:
        self.panels = server
        boards: list[Any] = [
            (rf"/session/{SESSION}/ws", BoardSocket, {"server": server}),
            (r"/sessions", Sessions, {}),
            (r"/metrics", Metrics, {}),
        ]
        super().__init__(
            applications(), prefix=server.prefix, extra_patterns=boards, extra_websocket_origins=[],
            use_index=False, keep_alive_milliseconds=20_000, include_headers=[], include_cookies=[],
            websocket_max_message_size_bytes=1_000_000,
        )  # fmt: skip

    def new_connection(self, protocol: Any, socket: Any, application_context: Any, session: Any) -> Any:
        """Begin to talk with a page of a Bokeh app, which says what it has to say in several small messages."""
        socket.set_nodelay(True)
        connection = super().new_connection(protocol, socket, application_context, session)
        TURNS.look(connection)
        return connection

    def client_lost(self, connection: Any) -> None:
        """Forget a page that was closed."""
        TURNS.leave(connection)
        super().client_lost(connection)

    def find_handler(self, request: Any, **kwargs: Any) -> Any:
        """Route a request that has the token; refuse any other, whatever it asks for."""
        given = request.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode(), f"token {self.panels.token}".encode()):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, Refused)


class Refused(RequestHandler):
    """What anyone without the token sees."""

    def prepare(self) -> None:
        """Say no, and nothing else."""
        self.set_status(403)
        self.finish("no")


class Sessions(RequestHandler):
    """Lists the sessions of this process, and the charts there are of each."""

    def get(self) -> None:
        """Answer with what ``panels/listing.py`` says of each."""
        self.finish(json.dumps({"sessions": listed(), "panels": list(APPS)}))


class Metrics(RequestHandler):
    """Answers a scrape by Prometheus."""

    def get(self) -> None:
        """Answer with every session's figures."""
        from mesonb.panels import metrics  # a kernel that nobody scrapes does without

        self.set_header("Content-Type", metrics.CONTENT_TYPE)
        self.finish(metrics.exposition())


class BoardSocket(WebSocketHandler):
    """One board in one browser: frames out, never more than one on the way; commands in, each acknowledged."""

    def initialize(self, server: PanelServer) -> None:
        """Take the server it belongs to."""
        self.server = server
        self.encoder = Encoder()
        self.sending = False
        self.waiting: Frame | None = None
        self.feed: Feed | None = None
        self.name = ""

    @property
    def session(self) -> Session | None:
        """What it shows, for as long as somebody else holds it."""
        return Session.known.get(self.name)

    def open(self, name: str) -> None:
        """Begin to show a session."""
        self.name, self.greeted = name, False
        self.set_nodelay(True)  # else an answer waits until the frame before it is known to have arrived: 40 ms
        if session := self.session:
            self.feed = self.server.feed(session)
            self.feed.add(self)
        else:
            self.say({"kind": "gone"})
            self.close(4004, "no such session")

    def on_close(self) -> None:
        """Show it no more."""
        if self.feed:
            self.feed.remove(self)

    def on_message(self, message: str | bytes) -> None:
        """Obey a command."""
        if len(message) > COMMAND_BYTES:
            self.close(1009, "too long")
            return
        try:
            command = json.loads(message)
        except ValueError:
            command = None
        self.say(respond(self.session, command))

    # -- Watcher ------------------------------------------------------------------------------------------------------

    def show(self, frame: Frame) -> None:
        """Send a frame, or keep the newest until the one before it is on its way: a slow browser misses some."""
        self.waiting = frame
        if not self.sending:
            self.sending = True
            self.server.loop.create_task(self._send())

    def say(self, message: dict[str, Any]) -> None:
        """Send a small message as text; a beat only where no frame is on its way, which says as much."""
        if not (self.sending and message.get("kind") == "beat"):
            self.write_message(json.dumps(message))

    async def _send(self) -> None:
        try:
            while self.waiting:
                frame, self.waiting = self.waiting, None
                extra = self._greeting() if not self.greeted else {}
                self.greeted = True
                await self.write_message(self.encoder.message(frame, extra), binary=True)
        except WebSocketClosedError:
            pass
        finally:
            self.sending = False

    def _greeting(self) -> dict[str, Any]:
        session = self.session
        return {"curve": shares_so_far(session)} if session else {}


# -- one a process ------------------------------------------------------------------------------------------------

_lock = Lock()
_server: PanelServer | None = None


def panel_server(kernel_id: str = "") -> PanelServer:
    """Return the panel server of this process, started when first asked for."""
    global _server  # noqa: PLW0603 - there is one a process, and a fork needs its own
    with _lock:
        if _server is None or _server.connection is None or _server.connection.pid != os.getpid():
            _server = PanelServer(kernel_id).start()
            atexit.register(_server.close)
        return _server
