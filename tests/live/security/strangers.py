"""What speaks to a real hub, and is not what mesonb ships: a peer that says anything, and a wire that overhears.

A ``Stranger`` attaches by the real protocol and then sends whatever a test likes. A ``Wire`` stands between a kernel and
the Dask scheduler, and keeps what passes.
"""

import asyncio
import contextlib
import socket
import threading

from mesonb.live.wire.comms import HUB, LEADER, Peer, dial
from tests.helpers import wait_for_async


class Stranger:
    """A peer that is not to be trusted; ``heard`` is what it was told, without pings."""

    def __init__(self):
        self.heard = []

    @classmethod
    async def attach(cls, at, name="kernel-stranger", kind="kernel", security=None, timeout_s=10, **more):
        made = cls()
        introduction = {"kind": kind, "name": name, "id": name, "who": "a stranger", "key": "its own", **more}
        made.begin(await dial(at, security or {}, introduction, made.note, timeout_s))
        return made

    @classmethod
    def over(cls, comm):
        """Be the peer at one end of a comm that is attached already."""
        made = cls()
        made.begin(Peer(comm, made.note))
        return made

    def begin(self, peer):
        self.peer, self.reading = peer, asyncio.ensure_future(peer.read())

    def note(self, whom, message):
        if message == ("ping",):
            self.peer.send(HUB, ("pong",))
        else:
            self.heard.append((whom, *message))

    def says(self, *messages, to=LEADER):
        self.peer.send(to, *messages)

    async def is_told(self, *beginning):
        """Wait until it is told a message that begins so; return the first."""

        def found():
            return next((m for m in self.heard if m[1 : 1 + len(beginning)] == beginning), None)

        return await wait_for_async(found, 10, f"the stranger to be told {beginning}")

    async def is_refused(self, *words):
        """Wait for a refusal that holds these words."""

        def found():
            said = [m[-1] for m in self.heard if m[1] in ("not allowed", "refused")]
            return next((because for because in said if all(word in because for word in words)), None)

        return await wait_for_async(found, 10, f"a refusal with {words}; there were {self.heard}")


def stranger_at(address, story, **introduction):
    """Run an async story with a stranger that is attached to a hub."""

    async def run():
        stranger = await Stranger.attach(address, **introduction)
        try:
            return await asyncio.wait_for(story(stranger), 60)
        finally:
            await stranger.peer.close()
            stranger.reading.cancel()

    return asyncio.run(run())


class Wire:
    """Passes a TCP connection on, and keeps every byte of it, both ways."""

    def __init__(self, address):
        host, port = address.removeprefix("tcp://").removeprefix("tls://").rsplit(":", 1)
        self._far, self._protocol = (host, int(port)), address.partition("://")[0]
        self.passed = bytearray()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"{self._protocol}://127.0.0.1:{self._listening.getsockname()[1]}"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._far)
                self._open += [near, far]
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, a, b):
        with contextlib.suppress(OSError):
            while chunk := a.recv(65536):
                self.passed += chunk
                b.sendall(chunk)
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._open:
            one.close()
