"""The Jupyter server extension: relays the panel servers of this server's own kernels, same-origin.

A browser comes with Jupyter's own authentication; the relay checks it, looks the panel server up among those whose
kernel this server runs, and passes the request on to its loopback port with the token that only the two know. Rule: only
GET and WebSocket, only 127.0.0.1, only kernels of ours, only the paths of ``PATHS``; anything else is not found.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any
from urllib.parse import urlencode

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, WebSocketHandler, websocket_connect

from mesonb.panels.connection import Connection, everyone, find
from mesonb.panels.module import board_module

#: The only paths that are relayed, after ``/mesonb/<server>``. None can hold a percent sign, so nothing hides in them.
CHART = r"/[a-z]{1,30}"
SOCKETS = rf"/session/[\w-][\w.-]{{0,79}}/ws|{CHART}/ws"
PAGES = rf"{CHART}|/static(?:/[\w-][\w.-]*)+"
SERVER = r"/mesonb/([0-9a-f]{16})"
#: What a browser may be told about an answer.
HEADERS = ("Content-Type", "Cache-Control", "Etag", "Last-Modified")
TIMEOUT_S = 20.0
LISTED_WITHIN_S = 1.0  #: a kernel that takes longer to say what it has is listed as one that does not answer
MESSAGE_BYTES = 20_000_000
GONE = """<!doctype html><meta charset="utf-8"><title>mesonb</title>
<p role="alert" style="font: 14px system-ui, sans-serif">This picture was live; the kernel it showed has gone. Run its cell again.</p>
<script>
let dark = /[?&]theme=dark/.test(location.search);
try { dark ||= parent.document.body.dataset.jpThemeLight === "false"; } catch { /* a page of another origin around it */ }
try { frameElement.closest(".mesonb-chart").classList.add("mesonb-gone"); } catch { /* not in a cell: no picture stands beside it */ }
document.body.style.color = dark ? "#bbb" : "#555";
</script>"""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Tell Jupyter where the extension is."""
    return [{"module": "mesonb.panels.jupyter"}]


def _load_jupyter_server_extension(server_app: Any) -> None:
    """Add the relay, and tell kernels started from now on under which path the browser sees them."""
    base_url = server_app.web_app.settings["base_url"]
    os.environ["MESONB_BASE_URL"] = base_url
    at = url_path_join(base_url, "/").rstrip("/")
    server_app.web_app.add_handlers(
        ".*$",
        [
            (rf"{at}/mesonb/?", Masters),
            (rf"{at}/mesonb/static/board\.js", BoardModule),
            (rf"{at}{SERVER}({SOCKETS})", SocketRelay),
            (rf"{at}{SERVER}({PAGES})", PageRelay),
        ],
    )


class _OwnKernels(JupyterHandler):
    """Finds panel servers, those of this server's kernels alone."""

    auth_resource = "kernels"

    def is_ours(self, connection: Connection) -> bool:
        """Whether this server runs the kernel; the runtime directory is shared with other servers of the same user."""
        return connection.kernel_id in self.kernel_manager

    def sought(self, server_id: str, path: str) -> Connection:
        """Return the panel server asked for, or answer that there is none."""
        connection = find(server_id)
        if connection is None or not self.is_ours(connection):
            raise web.HTTPError(404)
        if self.request.path != f"{connection.prefix}{path}":
            raise web.HTTPError(404)  # the path as it came, not as it was decoded, is what is passed on
        return connection


class BoardModule(JupyterHandler):
    """Serves the JavaScript that draws boards in JupyterLab's sidebar and tabs."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with the module."""
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.finish(board_module())


class Masters(_OwnKernels):
    """Lists the panel servers of own kernels, with their sessions."""

    @web.authenticated
    @authorized("read")  # type: ignore[untyped-decorator]  # Jupyter's
    async def get(self) -> None:
        """Answer with what a sidebar needs; no token, no port."""
        ours = [connection for connection in everyone() if self.is_ours(connection)]
        self.finish(json.dumps({"servers": await asyncio.gather(*map(self._described, ours))}))

    async def _described(self, connection: Connection) -> dict[str, Any]:
        """Describe one panel server; its sessions are null while its kernel's interpreter is held by a C call."""
        known = {"server": connection.id, "kernel_id": connection.kernel_id, "path": connection.prefix}
        try:
            answer = await _fetch(connection, "/sessions", timeout_s=LISTED_WITHIN_S)
            return {**known, **json.loads(answer.body)}
        except (OSError, HTTPClientError, ValueError):
            return {**known, "sessions": None}


class PageRelay(_OwnKernels):
    """Relays one GET."""

    @web.authenticated
    @authorized("read")  # type: ignore[untyped-decorator]  # Jupyter's
    async def get(self, server_id: str, path: str) -> None:
        """Pass the request on, and the answer back."""
        try:
            connection = self.sought(server_id, path)
            answer = await _fetch(connection, path, self.request.query_arguments)
        except (OSError, HTTPClientError, web.HTTPError) as error:
            self.set_status(getattr(error, "status_code", 502))
            self.finish(GONE)
            return
        self.set_status(answer.code)
        for name in HEADERS:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        self.finish(answer.body)


class SocketRelay(WebSocketMixin, WebSocketHandler, _OwnKernels):
    """Relays one WebSocket, message by message, both ways."""

    far: WebSocketClientConnection | None = None

    def set_default_headers(self) -> None:
        """Set none: they make no sense for a WebSocket."""

    @ws_authenticated
    @authorized("execute")  # type: ignore[untyped-decorator]  # Jupyter's
    async def get(self, server_id: str, path: str) -> None:  # type: ignore[override]
        """Connect to the far side before the browser is told yes."""
        connection = self.sought(server_id, path)
        try:
            self.far = await websocket_connect(
                _request(connection, path), subprotocols=self._subprotocols(), max_message_size=MESSAGE_BYTES
            )
        except (OSError, HTTPClientError) as error:
            raise web.HTTPError(502) from error
        await super().get(server_id, path)

    def open(self, *args: str) -> None:
        """Begin to pass on what the far side sends, both ways at once: small messages do not wait for company."""
        super().open(*args)
        assert self.far is not None and self.far.protocol is not None
        for side in (self, self.far.protocol):
            side.set_nodelay(True)
        self.pump = asyncio.ensure_future(self._from_far())  # held here, so that it is not collected

    async def _from_far(self) -> None:
        """Pass messages on one at a time: a slow browser slows the far side down, which then drops frames."""
        assert self.far is not None
        try:
            while (message := await self.far.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        except WebSocketClosedError:
            return
        self.close()

    async def on_message(self, message: str | bytes) -> None:
        """Pass on what the browser sends."""
        if self.far:
            await self.far.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        """Close the far side as well."""
        if self.far:
            self.far.close()

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Agree to what the far side agreed to."""
        return self.far.selected_subprotocol if self.far else None

    def _subprotocols(self) -> list[str] | None:
        """Read what the browser proposes; Bokeh's own session token travels there."""
        proposed = self.request.headers.get("Sec-WebSocket-Protocol", "")
        return [name.strip() for name in proposed.split(",")] if proposed else None


def _request(
    connection: Connection, path: str, arguments: dict[str, list[bytes]] | None = None, timeout_s: float = TIMEOUT_S
) -> HTTPRequest:
    """Build the request to the loopback port; nothing of the browser's headers goes along."""
    query = f"?{urlencode(arguments, doseq=True)}" if arguments else ""
    scheme = "ws" if path.endswith("/ws") else "http"
    return HTTPRequest(
        f"{scheme}://127.0.0.1:{connection.port}{connection.prefix}{path}{query}",
        headers={"Authorization": f"token {connection.token}"}, follow_redirects=False,
        connect_timeout=timeout_s, request_timeout=timeout_s,
    )  # fmt: skip


async def _fetch(
    connection: Connection, path: str, arguments: dict[str, list[bytes]] | None = None, timeout_s: float = TIMEOUT_S
) -> Any:
    return await AsyncHTTPClient().fetch(_request(connection, path, arguments, timeout_s))
