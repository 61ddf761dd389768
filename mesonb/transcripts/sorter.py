"""The sorter form of a scenario: clients by path, with weights, and what they hold; no agents, no offers.

It drives the order that the master itself goes by (``mesonb.core.order``): each client is a role with one framework.
"""

from __future__ import annotations

from collections.abc import Callable

from mesonb.core.order import Client, Order
from mesonb.core.resources import NOTHING, Resources
from mesonb.core.telling import as_typed
from mesonb.errors import BadValue
from mesonb.transcripts.views import dominant_share
from mesonb.transcripts.words import pairs, resources


class Sorter:
    """One order of clients, and the commands that change it."""

    def __init__(self) -> None:
        self.order = Order()
        self.total = NOTHING
        self._clients: dict[str, Client] = {}
        self._active: dict[str, bool] = {}

    def do(self, line: str) -> list[str]:
        """Carry out one command, and say what it prints."""
        verb, *words = line.split()
        command: Callable[[list[str]], list[str] | None] | None = getattr(self, f"_do_{verb}", None)
        if command is None:
            known = [name.removeprefix("_do_") for name in dir(self) if name.startswith("_do_")]
            raise BadValue(f"{verb!r} is no command of a sorter; there are: {', '.join(known)}")
        return command(words) or []

    # -- who is there -------------------------------------------------------------------------------------------------

    def _do_client(self, words: list[str]) -> None:
        """Client PATH weight=2"""
        path, given = self._one(words)
        if path in self._clients:
            raise BadValue(f"a client called {path} is here already")
        if "weight" in given:
            self.order.weigh(path, _weight(given["weight"]))
        self._clients[path] = Client(path, bits=1 << len(self._active), leaf=True)
        self._active[path] = True
        self.order.attach(self._clients[path], self.order.seat(path))

    def _do_remove(self, words: list[str]) -> None:
        """Remove PATH"""
        path, client = self._known(words)
        self.order.detach(client)
        self.order.unseat(path)
        del self._clients[path], self._active[path]

    def _do_activate(self, words: list[str]) -> None:
        """Activate PATH"""
        self._active[self._known(words)[0]] = True

    def _do_deactivate(self, words: list[str]) -> None:
        """Deactivate PATH: it keeps what it holds, and is not in the order"""
        self._active[self._known(words)[0]] = False

    def _do_weight(self, words: list[str]) -> None:
        """Weight PATH 2"""
        if len(words) != 2:
            raise BadValue("write: weight PATH 2")
        self.order.weigh(words[0], _weight(words[1]))

    # -- what they hold -----------------------------------------------------------------------------------------------

    def _do_total(self, words: list[str]) -> None:
        """Total cpus=9 mem=18GB: what shares are of"""
        self.total = resources(pairs(words))
        self.order.set_total(self.total)

    def _do_allocate(self, words: list[str]) -> None:
        """Allocate PATH cpus=1 mem=4GB"""
        _, client = self._known(words[:1])
        self.order.allot(client, resources(pairs(words[1:])))

    def _do_release(self, words: list[str]) -> None:
        """Release PATH cpus=1 mem=4GB"""
        path, client = self._known(words[:1])
        amounts, held = resources(pairs(words[1:])), Resources.of(client.held)
        if not amounts <= held:
            raise BadValue(f"{path} holds {held}; it cannot release {amounts}")
        self.order.uncharge(client, amounts)

    # -- the order that results ---------------------------------------------------------------------------------------

    def _do_sort(self, words: list[str]) -> list[str]:
        """sort: the active clients, whose turn it is first"""
        return [
            " ".join(path for path in (client.path for client in self.order.walk()) if self._active[path]) or "nobody"
        ]

    def _do_show(self, words: list[str]) -> list[str]:
        """Show PATH: share, allocations so far, what is held; of all clients where none is named"""
        return [
            f"{path}  {dominant_share(Resources.of(client.held), self.total)}  {client.allocations} allocations"
            f"  {as_typed(Resources.of(client.held))}" + ("" if self._active[path] else "  inactive")
            for path, client in self._clients.items()
            if not words or path in words
        ]

    # -- words --------------------------------------------------------------------------------------------------------

    def _one(self, words: list[str]) -> tuple[str, dict[str, str]]:
        if not words or "=" in words[0]:
            raise BadValue("which client? Write its path: a, or eng/backend")
        return words[0], pairs(words[1:])

    def _known(self, words: list[str]) -> tuple[str, Client]:
        path, _ = self._one(words)
        if path not in self._clients:
            raise BadValue(f"no client is called {path}; there are: {', '.join(self._clients) or 'none'}")
        return path, self._clients[path]


def _weight(typed: str) -> int:
    return round(float(typed) * 1000)
