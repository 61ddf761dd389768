"""The relay, inside a real Jupyter server under a hub-like prefix: what it passes on, and all that it does not."""

import asyncio
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.web import RequestHandler
from tornado.websocket import websocket_connect

from mesonb.panels.connection import Connection, this_process_began
from mesonb.panels.jupyter import PAGES, SERVER, SOCKETS, _load_jupyter_server_extension
from mesonb.panels.server import PanelServer
from mesonb.panels.wire import unpack
from tests.helpers import ROOT, wait_for

BASE = "/user/x/"
TOKEN = "of-the-jupyter-server"
START_S, DEADLINE_S = 60, 60


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """A Jupyter server with the extension on, and one kernel; `kernel` is its id."""
    home = tmp_path_factory.mktemp("jupyter")
    own = {
        name: str(home / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    command = [
        sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
        f"--ServerApp.base_url={BASE}", f"--ServerApp.root_dir={home}", f"--IdentityProvider.token={TOKEN}",
        "--ServerApp.jpserver_extensions={'mesonb.panels.jupyter': True}",
    ]  # fmt: skip
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, **own, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)
    try:
        info = home / "JUPYTER_RUNTIME_DIR" / f"jpserver-{process.pid}.json"
        yield wait_for(lambda: _started(process, info, home / "log"), START_S, "a Jupyter server that listens")
    finally:
        process.terminate()
        process.wait(20)


def _started(process, info, log):
    assert process.poll() is None, log.read_text()
    try:
        at = {"port": json.loads(info.read_text())["port"], "runtime": str(info.parent)}
        made = call(at, "api/kernels", method="POST", body="{}")
    except (OSError, ValueError):  # no file yet, half a file, or nobody listens yet
        return None
    return {**at, "kernel": json.loads(made.body)["id"]}


def call(jupyter, path, token=TOKEN, **options):
    return asyncio.run(_call(jupyter, path, token, **options))


async def _call(jupyter, path, token=TOKEN, scheme="http", **options):
    url = f"{scheme}://127.0.0.1:{jupyter['port']}{BASE}{path}"
    headers = {"Authorization": f"token {token}", **options.pop("headers", {})}
    asked = HTTPRequest(url, headers=headers, request_timeout=DEADLINE_S, follow_redirects=False, **options)
    if scheme == "ws":
        return await websocket_connect(asked)
    return await AsyncHTTPClient().fetch(asked, raise_error=False)


@pytest.fixture
def panels(jupyter, monkeypatch):
    """A panel server in this process, for the kernel that the Jupyter server runs."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", jupyter["runtime"])
    server = PanelServer(jupyter["kernel"], base_url=BASE).start()
    yield server
    server.close()


def socket_status(jupyter, path, token=TOKEN, **headers):
    """Open a socket: the code of the refusal, or the first message's kind."""

    async def opened():
        try:
            socket = await _call(jupyter, path, token, scheme="ws", headers=headers)
        except HTTPClientError as refused:
            return refused.code
        message = await asyncio.wait_for(socket.read_message(), DEADLINE_S)
        return unpack(message)[0]["kind"] if isinstance(message, bytes) else message

    return asyncio.run(opened())


def test_a_board_is_relayed_both_ways(jupyter, panels, cluster):
    async def steer():
        socket = await _call(jupyter, f"mesonb/{panels.id}/session/{cluster.id}/ws", scheme="ws")
        first = await asyncio.wait_for(socket.read_message(), DEADLINE_S)
        await socket.write_message(json.dumps({"id": 9, "do": "pause"}))
        while (
            isinstance(message := await asyncio.wait_for(socket.read_message(), DEADLINE_S), bytes)
            or "ack" not in message
        ):
            pass
        return unpack(first), json.loads(message)

    (head, data), ack = asyncio.run(steer())
    assert head["counts"]["tasks"] == 6 and len(data) == 6 * 4 * head["columns"]
    assert ack == {"kind": "ack", "id": 9, "ok": True, "did": "no more offers; tasks run on"}
    assert cluster.snapshot().paused


def test_masters_of_own_kernels_are_listed_without_their_secrets(jupyter, panels, cluster):
    listed = call(jupyter, "mesonb/").body.decode()
    servers = json.loads(listed)["servers"]
    assert [server["kernel_id"] for server in servers] == [jupyter["kernel"]]
    assert cluster.id in {session["id"] for session in servers[0]["sessions"]}
    assert panels.token not in listed and str(panels.connection.port) not in listed


def test_the_shares_page_and_its_resources_are_relayed(jupyter, panels, cluster):
    page = call(jupyter, f"mesonb/{panels.id}/shares?session={cluster.id}")
    assert page.code == 200 and b"cdn.bokeh.org" not in page.body
    script = call(jupyter, f"mesonb/{panels.id}/static/js/bokeh.min.js")
    assert script.code == 200 and len(script.body) > 100_000
    assert panels.token.encode() not in page.body


#: A path of every route that the extension adds, after the base URL, and whether it is a WebSocket.
ROUTES = {
    r"/user/x/mesonb/?": ("mesonb/", False),
    r"/user/x/mesonb/static/board\.js": ("mesonb/static/board.js", False),
    rf"/user/x{SERVER}({SOCKETS})": ("mesonb/{id}/session/{session}/ws", True),
    rf"/user/x{SERVER}({PAGES})": ("mesonb/{id}/shares?session={session}", False),
}


def routes():
    """Return what the extension adds to a Jupyter server."""
    added = []
    app = SimpleNamespace(settings={"base_url": BASE}, add_handlers=lambda _, handlers: added.extend(handlers))
    _load_jupyter_server_extension(SimpleNamespace(web_app=app))
    return added


def test_every_route_answers_whom_jupyter_let_in_and_nobody_else(jupyter, panels, cluster, monkeypatch):
    monkeypatch.setenv("MESONB_BASE_URL", BASE)
    assert [pattern for pattern, _ in routes()] == list(ROUTES), "a route that is new is tried here"
    for path, is_socket in ROUTES.values():
        at = path.format(id=panels.id, session=cluster.id)
        if is_socket:
            assert (socket_status(jupyter, at), socket_status(jupyter, at, token="forged")) == ("frame", 403)
        else:
            assert call(jupyter, at).code == 200, at
            assert call(jupyter, at, token="forged").code in (302, 403), at


def test_a_route_takes_nothing_but_get():
    for pattern, handler in routes():
        for method in ("post", "put", "patch", "delete"):
            assert getattr(handler, method) is RequestHandler._unimplemented_method, (pattern, method)


@pytest.mark.parametrize("token", ["forged", ""])
def test_without_jupyters_own_token_nothing_passes(jupyter, panels, cluster, token):
    assert socket_status(jupyter, f"mesonb/{panels.id}/session/{cluster.id}/ws", token=token) == 403
    for path in ("mesonb/", f"mesonb/{panels.id}/sessions", f"mesonb/{panels.id}/static/js/bokeh.min.js"):
        assert call(jupyter, path, token=token).code in (302, 403)  # 302: to the login page
    assert socket_status(jupyter, f"mesonb/{panels.id}/session/{cluster.id}/ws", token=panels.token) == 403


def test_another_origin_is_refused(jupyter, panels, cluster):
    path = f"mesonb/{panels.id}/session/{cluster.id}/ws"
    # Jupyter lets a request that carries its token come from anywhere, so a browser's own way is tried: a cookie.
    cookie = call(jupyter, f"lab?token={TOKEN}", token="none")
    jar = "; ".join(each.split(";")[0] for each in cookie.headers.get_list("Set-Cookie"))
    assert jar, "the login sets a cookie"
    same = f"http://127.0.0.1:{jupyter['port']}"
    assert socket_status(jupyter, path, token="none", Cookie=jar, Origin=same) == "frame"
    assert socket_status(jupyter, path, token="none", Cookie=jar, Origin="http://evil.example") == 403


@pytest.mark.parametrize(
    "path",
    [
        "{id}/../../api/kernels",
        "{id}/session/../sessions",
        "{id}/static/../../../api/kernels",
        "{id}/static/%2e%2e/%2e%2e/secrets",
        "{id}/static//etc/passwd",
        "{id}/static/js/..%2f..%2fx",
        "{id}/%73essions",
        "{id}//sessions",
        "{id}/sessions/",
        "{id}/",
        "{id}/shares/metadata",
        "{id}/shares/autoload.js",
        "{ID}/sessions",
        "0000000000000000/sessions",
        "../mesonb-{id}/sessions",
        "{id}@evil.example/sessions",
        "{id}:80/sessions",
    ],
)
def test_a_path_outside_the_relay_is_not_found(jupyter, panels, path):
    filled = path.format(id=panels.id, ID=panels.id.upper() if panels.id.upper() != panels.id else "F" * 16)
    answer = call(jupyter, f"mesonb/{filled}")
    assert answer.code in (302, 403, 404)  # 302: Jupyter's own, to the same path without its last slash
    assert answer.code != 302 or answer.headers["Location"].endswith(filled.rstrip("/"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_nothing_but_get_is_relayed(jupyter, panels, method):
    body = "{}" if method in ("POST", "PUT", "PATCH") else None
    answer = call(jupyter, f"mesonb/{panels.id}/sessions", method=method, body=body)
    assert answer.code in (204, 405) and b"simulation" not in answer.body  # 204: Jupyter's own answer to OPTIONS


def test_a_kernel_of_another_server_is_not_found(jupyter, monkeypatch, cluster):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", jupyter["runtime"])
    other = PanelServer("a-kernel-elsewhere", base_url=BASE).start()
    try:
        assert call(jupyter, f"mesonb/{other.id}/sessions").code == 404
        assert socket_status(jupyter, f"mesonb/{other.id}/session/{cluster.id}/ws") == 404
        assert other.id not in call(jupyter, "mesonb/").body.decode()
    finally:
        other.close()


def test_a_forged_connection_file_gets_no_further_than_a_refusal(jupyter, panels):
    """A file with a wrong token for a real port: the far side refuses, and the browser learns nothing."""
    forged = Connection(
        "f" * 16,
        os.getpid(),
        this_process_began(),
        panels.connection.port,
        "guessed",
        jupyter["kernel"],
        f"{BASE}mesonb/{'f' * 16}",
    )
    forged.write()
    try:
        answer = call(jupyter, f"mesonb/{'f' * 16}/sessions")
        assert answer.code == 502 and b"simulation" not in answer.body
    finally:
        forged.remove()


def test_a_panel_server_that_has_gone_is_said_to_be_gone(jupyter, panels):
    panels.close()
    answer = call(jupyter, f"mesonb/{panels.id}/shares")
    assert answer.code == 404 and b"This picture was live" in answer.body


def test_kernels_learn_the_base_url(jupyter):
    kernel = f"api/kernels/{jupyter['kernel']}"
    assert call(jupyter, kernel).code == 200
    found = [
        each for each in psutil.process_iter(["cmdline"]) if jupyter["kernel"] in " ".join(each.info["cmdline"] or ())
    ]
    assert found[0].environ()["MESONB_BASE_URL"] == BASE
