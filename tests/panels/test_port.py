"""The notebook's port: on loopback alone, deaf to whoever has no token, and giving the token to nobody.

Origins, own kernels and the relay's paths are in test_server.py and test_relay.py.
"""

import asyncio
import os
import socket

import psutil
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from mesonb.panels.apps import APPS
from mesonb.panels.server import BODY_BYTES


def listening(port):
    return [
        c.laddr.ip for c in psutil.Process().net_connections("inet") if c.status == "LISTEN" and c.laddr.port == port
    ]


def own_addresses():
    """Return the addresses of this machine by which others would reach it."""
    found = [one for addresses in psutil.net_if_addrs().values() for one in addresses]
    return [one.address for one in found if one.family == socket.AF_INET and not one.address.startswith("127.")]


async def answer(panels, path, method="GET", body=None, **headers):
    at = f"http://127.0.0.1:{panels.connection.port}{path}"
    asked = HTTPRequest(at, method=method, body=body, headers=headers, allow_nonstandard_methods=True)
    return await AsyncHTTPClient(force_instance=True).fetch(asked, raise_error=False)


def test_it_listens_on_loopback_alone(panels):
    assert listening(panels.connection.port) == ["127.0.0.1"]
    for address in own_addresses():
        with pytest.raises(OSError):
            socket.create_connection((address, panels.connection.port), timeout=2).close()


PATHS = ["", "/", "/sessions", "/metrics", "/session/simulation-1/ws", "/static/js/bokeh.min.js", "/favicon.ico", "/../x",
         *[f"/{app}" for app in APPS], *[f"/{app}/ws" for app in APPS], *[f"/{app}/autoload.js" for app in APPS]]  # fmt: skip


def test_no_path_answers_without_the_token(panels, cluster):
    """Nor with one that is nearly right, nor where a page of another name asks (a name that was pointed at loopback)."""
    nearly = [{}, {"Authorization": panels.token}, {"Authorization": f"token {panels.token}x"},
              {"Authorization": f"Bearer {panels.token}"}, {"Host": "evil.example"}, {"Cookie": f"token={panels.token}"}]  # fmt: skip

    async def ask():
        for path in PATHS:
            for at in (panels.prefix + path, path or "/", f"{panels.prefix}{path}?token={panels.token}"):
                given = [answer(panels, at, **headers) for headers in nearly]
                for found in await asyncio.gather(*given):
                    assert (found.code, found.body) == (403, b"no"), at

    asyncio.run(ask())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
def test_no_other_method_does_anything(panels, cluster, method):
    before = cluster.core.steps
    for headers in ({}, {"Authorization": f"token {panels.token}"}):
        found = asyncio.run(
            answer(panels, f"{panels.prefix}/sessions", method, b"{}" if method == "POST" else None, **headers)
        )
        assert found.code in (403, 405)
    assert cluster.core.steps == before


def test_what_is_posted_is_not_even_read(panels):
    with socket.create_connection(("127.0.0.1", panels.connection.port), timeout=5) as comes:
        comes.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES + 1}\r\n\r\n".encode())
        assert comes.recv(1000) in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_the_token_is_in_its_file_and_nowhere_else(panels):
    """Neither where children of the kernel see it, nor in what is served."""
    assert len(panels.token) >= 43, "256 bits"
    assert not [name for name, value in os.environ.items() if panels.token in value]
    assert panels.token not in " ".join(psutil.Process().cmdline())
    assert panels.token in panels.connection.path.read_text()
    for path in ("/sessions", f"/{next(iter(APPS))}?session=x"):
        found = asyncio.run(answer(panels, panels.prefix + path, Authorization=f"token {panels.token}"))
        assert found.code in (200, 404) and panels.token.encode() not in found.body
        assert panels.token not in str(found.headers)
