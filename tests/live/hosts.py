"""Hosts made of network namespaces: each has a network stack, addresses and a cable of its own, which can be cut and healed.

They meet on a bridge where this process has an address too. Rule: all that is made has this process's number in its
name, and is removed at the end.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.helpers import ROOT


class Forbidden(Exception):
    """This machine has no hosts to give: there is no ``ip``, or the kernel says no."""


class Hosts:
    """So many hosts on one network."""

    def __init__(self, count: int) -> None:
        found = subprocess.run([ROOT / "tools" / "iproute2.sh"], capture_output=True, text=True)
        if found.returncode:
            raise Forbidden(found.stderr.strip().rpartition("\n")[2])
        self._ip = Path(found.stdout.strip())
        number = os.getpid()
        self._bridge = f"mesonb{number}"
        self._network = f"10.213.{number % 250}"
        self.names = [f"mesonb-{number}-{host}" for host in range(1, count + 1)]
        self._undo: list[Callable[[], None]] = []
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self.close()
            raise Forbidden(f"the kernel lets nobody make hosts here: {error.stderr.strip()}") from None

    def _make(self) -> None:
        self._run("link", "add", self._bridge, "type", "bridge")
        self._undo.append(lambda: self._run("link", "del", self._bridge))
        self._run("addr", "add", f"{self._network}.254/24", "dev", self._bridge)
        self._run("link", "set", self._bridge, "up")
        for host, name in enumerate(self.names, start=1):
            self._run("netns", "add", name)
            self._undo.append(lambda name=name: self._run("netns", "del", name))
            cable = self._cable(host)
            self._run("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
            self._run("link", "set", cable, "master", self._bridge, "up")
            for words in (["addr", "add", f"{self.address(host)}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
                self._run("-n", name, *words)
            self._run("-n", name, "link", "set", "lo", "up")

    def address(self, host: int) -> str:
        """Return the address of a host; they count from 1."""
        return f"{self._network}.{host}"

    def at(self, host: int) -> Sequence[str]:
        """Return what goes in front of a command that is to run there."""
        return (str(self._ip), "netns", "exec", self.names[host - 1])

    def cut(self, host: int) -> None:
        """Unplug a host: nothing reaches it or comes from it, and nobody is told."""
        self._run("link", "set", self._cable(host), "down")

    def heal(self, host: int) -> None:
        """Plug it in again."""
        self._run("link", "set", self._cable(host), "up")

    def close(self) -> None:
        """Remove the hosts."""
        while self._undo:
            self._undo.pop()()

    def _cable(self, host: int) -> str:
        return f"mb{os.getpid()}-{host}"

    def _run(self, *words: str) -> None:
        subprocess.run([self._ip, *words], check=True, capture_output=True, text=True)
