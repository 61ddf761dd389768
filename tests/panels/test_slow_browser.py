"""A browser that does not read: frames are dropped, never queued, and when it reads again it has the newest. Real sockets."""

import asyncio
import socket
from contextlib import closing

import pytest

import mesonb as mb
from mesonb.panels.server import BoardSocket
from mesonb.panels.wire import unpack
from tests.helpers import wait_for_async

DEADLINE_S = 60
SMALL = 4096  # bytes that either end's kernel holds, at most twice that
CHANGES = 40


@pytest.fixture
def little_room(monkeypatch):
    """Let the server's kernel hold little for a browser."""
    as_it_is = BoardSocket.open

    def narrow(self, name):
        self.ws_connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        as_it_is(self, name)

    monkeypatch.setattr(BoardSocket, "open", narrow)


@pytest.mark.usefixtures("little_room")
def test_frames_that_a_slow_browser_has_no_room_for_are_dropped(panels):
    sim = mb.Simulation(agents=600, seed=1)

    async def be_slow():
        with closing(await connect(panels, sim)) as browser:
            board = await wait_for_async(lambda: stuck(panels, sim), DEADLINE_S, "a frame that does not get through")
            for _ in range(CHANGES):
                (sim.resume if sim.core.paused else sim.pause)()
                await wait_for_async(lambda: board.waiting_for(sim), DEADLINE_S, "the newest frame waits")
            held, sent = board.held_bytes, board.encoder.count
            frames = [await next_frame(browser), await next_frame(browser)]
            return held, sent, frames

    held, sent, (first, last) = asyncio.run(be_slow())
    assert sent == 1, "no frame was encoded for it meanwhile"
    assert held < 100_000, "what waits is one frame and no more"
    assert first["frame"] == 1 and (last["frame"], last["since"]) == (2, 1)
    assert last["steps"] == sim.core.steps and last["steps"] >= first["steps"] + CHANGES


class Board:
    """What the server has for one browser."""

    def __init__(self, watcher) -> None:
        self._watcher = watcher
        self.encoder = watcher.encoder

    @property
    def held_bytes(self) -> int:
        return len(self._watcher.ws_connection.stream._write_buffer)

    def waiting_for(self, sim) -> bool:
        return bool(self._watcher.waiting) and self._watcher.waiting.snapshot.steps == sim.core.steps


def stuck(panels, sim):
    """The board whose first frame is on its way and does not arrive."""
    feed = panels._feeds.get(sim.id)
    for watcher in feed._watchers if feed else ():
        if watcher.sending and watcher.ws_connection.stream.writing():
            return Board(watcher)
    return None


async def connect(panels, sim):
    """Open a board's socket as a browser does, with little room; nothing is read yet."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    await asyncio.get_running_loop().run_in_executor(None, small.connect, ("127.0.0.1", panels.connection.port))
    small.sendall(
        f"GET {panels.prefix}/session/{sim.id}/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: token {panels.token}\r\n\r\n".encode()
    )
    small.settimeout(DEADLINE_S)
    return small


async def next_frame(browser):
    """Read messages until a frame comes."""
    while True:
        kind, payload = await asyncio.get_running_loop().run_in_executor(None, _message, browser)
        if kind == BINARY and (head := unpack(payload)[0])["kind"] == "frame":
            return head


BINARY = 2


def _message(browser):
    """Read one message; what comes before the first is the answer to the handshake."""
    first = _exactly(browser, 2)
    if first == b"HT":
        answer = first
        while not answer.endswith(b"\r\n\r\n"):
            answer += _exactly(browser, 1)
        assert b"101" in answer
        return _message(browser)
    size = first[1] & 127
    if size >= 126:
        size = int.from_bytes(_exactly(browser, 2 if size == 126 else 8), "big")
    return first[0] & 15, _exactly(browser, size)


def _exactly(browser, size):
    taken = b""
    while len(taken) < size:
        taken += browser.recv(size - len(taken))
    return taken
