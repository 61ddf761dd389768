"""Whose turn it is: roles and frameworks as a tree, each line of it kept sorted by weighted dominant share.

A ``Client`` is a role, or a framework in its role. Clients with one parent form a line: the smallest share first, then
the fewest allocations so far, then the path, as in Apache Mesos. An allocation counts for a client and for all above
it; the count is never reset by a release. A role that has frameworks and roles below it keeps its own frameworks on a
place named ``.`` among those roles.

Rule: every change only marks what it made stale; ``settle`` puts that right when somebody asks. So an offer costs two
bisections, whatever the number of frameworks (docs/decisions/010).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from math import inf

from mesonb.core.resources import Resources

#: (weighted share, allocations, path, client): paths differ, so clients themselves are never compared.
Key = tuple[float, int, str, "Client"]


#: From so many stale keys on, whole lines are sorted.
MANY = 20


class Client:
    """One place in the order: what is held there and below, and who waits there."""

    __slots__ = ("allocations", "bits", "held", "key", "line", "parent", "path", "scale", "seats", "weight_milli")

    def __init__(self, path: str, parent: Client | None = None, bits: int = 0, *, leaf: bool = False) -> None:
        self.path = path
        self.parent = parent
        self.weight_milli = 1000
        #: Exact amounts, its own and those below. A framework alone in its place has one account with it.
        self.held: dict[str, int] = {}
        self.scale: Mapping[str, float] = {}  #: by resource, what an amount is divided by: the total times the weight
        self.allocations = 0
        self.bits = bits  #: the frameworks at and below this place, one bit each
        self.seats = False  #: frameworks wait here, rather than roles
        self.line: list[Key] | None = None if leaf else []  #: who waits here, sorted; None: a framework itself
        self.key: Key = (0.0, 0, path, self)

    def __repr__(self) -> str:
        return f"<{self.path}: share {self.key[0]:.4f}, {self.allocations} allocations>"

    def own_account(self) -> None:
        """Begin an account of its own: a framework alone in its place had one with it."""
        if self.parent is not None and self.held is self.parent.held:
            self.held = self.held.copy()

    def above(self) -> Iterator[Client]:
        """Yield this client and those above it, without the root."""
        client = self
        while client.parent is not None:
            yield client
            client = client.parent


class Order:
    """The tree of clients, over the totals that shares are of."""

    def __init__(self, excluded: frozenset[str] = frozenset()) -> None:
        self.root = Client("")
        self.places: dict[str, Client] = {}  #: of roles, by path
        self.weights: dict[str, int] = {}
        self.excluded = excluded  #: resources that count for no share
        self.names: tuple[str, ...] = ()  #: of all resources there are; every client has an amount and a scale of each
        self.total: Mapping[str, int] = {}
        self._scales: dict[int, Mapping[str, float]] = {}  #: by weight
        self.stale: dict[Client, None] = {}  #: whose key is out of date
        self.all_stale = False

    # -- who is there ---------------------------------------------------------------------------------------------

    def seat(self, path: str) -> Client:
        """Return the place where the frameworks of a role wait; it is made, with those above it, if there is none."""
        parent, parts = self.root, path.split("/")
        for depth in range(1, len(parts) + 1):
            prefix = "/".join(parts[:depth])
            if prefix not in self.places:
                if parent.seats:
                    self._seat_apart(parent)
                self.places[prefix] = self._add(parent, prefix)
            parent = self.places[prefix]
        if not parent.line:
            parent.seats = True
        return parent if parent.seats else self._apart(parent)

    def unseat(self, path: str) -> None:
        """Forget a role's place, where nobody waits any more, and the places above it that only led there."""
        place = self.places[path]
        dot = self.places.pop(f"{path}/.", None)
        if dot:
            self._remove(dot)
        place.seats = False
        while place.parent is not None and not place.line:
            parent = place.parent
            self._remove(place)
            del self.places[place.path]
            place = parent
            self._seat_again(place)

    def attach(self, client: Client, seat: Client) -> None:
        """Let a framework, with all it holds, wait with others of its role."""
        client.parent = seat
        for key in _line(seat):
            key[3].own_account()
        self._scale(client)
        insort(_line(seat), client.key)
        self._neighbours_changed(seat)
        for place in seat.above():
            place.bits |= client.bits
        self._charge(client, client.held.items(), seat)
        if len(_line(seat)) == 1:
            client.held = seat.held
        self.stale[client] = None

    def detach(self, client: Client) -> None:
        """Take a framework, with all it holds, out of its line; its own account stays with it."""
        seat = client.parent
        assert seat is not None, f"{client} stands in no line"
        self._remove(client)
        client.own_account()
        for place in seat.above():
            place.bits &= ~client.bits
        self._charge(client, [(name, -n) for name, n in client.held.items()], seat)
        client.parent = None

    def weigh(self, path: str, weight_milli: int) -> None:
        """Give a role a weight, now and when it has a place."""
        self.weights[path] = weight_milli
        if place := self.places.get(path):
            place.weight_milli = weight_milli
            self._scale(place)
            self.stale[place] = None

    def _add(self, parent: Client, path: str) -> Client:
        client = Client(path, parent)
        client.weight_milli = self.weights.get(path, 1000)
        self._scale(client)
        insort(_line(parent), client.key)
        self._neighbours_changed(parent)
        return client

    def _remove(self, client: Client) -> None:
        assert client.parent is not None
        line = _line(client.parent)
        del line[bisect_left(line, client.key)]
        self.stale.pop(client, None)

    def _apart(self, place: Client) -> Client:
        dot = f"{place.path}/."
        if dot not in self.places:
            self.places[dot] = self._add(place, dot)
        return self.places[dot]

    def _seat_apart(self, place: Client) -> None:
        """A role with frameworks gets a role below it: its frameworks wait on a place of their own from now on."""
        waiting = _line(place)
        place.seats, place.line = False, []
        dot = self._apart(place)
        dot.line, dot.held, dot.allocations, dot.bits = waiting, dict(place.held), place.allocations, place.bits
        for key in waiting:
            key[3].own_account()
            key[3].parent = dot
        self.stale[dot] = None

    def _seat_again(self, place: Client) -> None:
        """The last role below is gone: the frameworks wait on the role's own place again."""
        dot = self.places.get(f"{place.path}/.")
        if dot and len(_line(place)) == 1:
            del self.places[dot.path]
            self.stale.pop(dot, None)
            place.seats, place.line = True, dot.line
            for key in _line(dot):
                key[3].parent = place

    def _charge(self, client: Client, amounts: Iterable[tuple[str, int]], seat: Client) -> None:
        for place in seat.above():
            for name, n in amounts:
                place.held[name] = place.held.get(name, 0) + n
            self.stale[place] = None

    # -- what they hold -------------------------------------------------------------------------------------------

    def allot(self, client: Client, amounts: Resources) -> None:
        """Let a client, and all above it, hold more, as one allocation."""
        if self.stale or self.all_stale:
            self.settle()
        items, parent = amounts._amounts.items(), client.parent
        if parent is not None and client.held is parent.held:  # alone in its place: one account, and nobody to pass
            client.allocations += 1
            client, parent = parent, parent.parent
        while parent is not None:
            held, key, client.allocations = client.held, client.key, client.allocations + 1
            line: list[Key] = parent.line  # type: ignore[assignment]  # a parent has a line
            if len(line) == 1:
                for name, n in items:
                    held[name] += n
            else:
                scale, share = client.scale, key[0]
                for name, n in items:
                    held[name] = has = held[name] + n
                    if (part := has / scale[name]) > share:
                        share = part
                index = 0 if line[0] is key else bisect_left(line, key)
                del line[index]
                client.key = key = (share, client.allocations, client.path, client)
                insort(line, key, index)
            client, parent = parent, parent.parent

    def charge(self, client: Client, amounts: Resources, *, counted: bool = False) -> None:
        """Let a client, and all above it, hold more; ``counted`` if this is an allocation."""
        while client.parent is not None:
            held = client.held
            if held is not client.parent.held:
                for name, n in amounts._amounts.items():
                    held[name] = held.get(name, 0) + n
            client.allocations += counted
            if len(client.parent.line) > 1:  # type: ignore[arg-type]  # a parent has a line
                self.stale[client] = None
            client = client.parent

    def uncharge(self, client: Client, amounts: Resources) -> None:
        """Let a client, and all above it, hold less."""
        items, parent = amounts._amounts.items(), client.parent
        if parent is not None and client.held is parent.held:  # alone in its place: one account
            client, parent = parent, parent.parent
        while parent is not None:
            held = client.held
            for name, n in items:
                held[name] -= n
            if len(parent.line) > 1:  # type: ignore[arg-type]  # a parent has a line
                self.stale[client] = None
            client, parent = parent, parent.parent

    def set_total(self, total: Resources) -> None:
        """Take shares of another total."""
        self.names = tuple(total.amounts)
        self.total = {name: n for name, n in total.amounts.items() if name not in self.excluded}
        self._scales = {}
        self.all_stale = True

    @property
    def shared(self) -> Resources:
        """What shares are of: the total, without what counts for nobody's."""
        return Resources.of(self.total)

    # -- whose turn it is -----------------------------------------------------------------------------------------

    def share(self, client: Client) -> float:
        """Return the dominant share divided by the weight in thousandths: one division of integers a resource."""
        scale, largest = client.scale, 0.0
        for name, n in client.held.items():
            if n and (share := n / scale[name]) > largest:
                largest = share
        return largest

    def first(self, wanted: int) -> Client | None:
        """Return the framework whose turn it is among those with a bit in ``wanted``."""
        if self.stale or self.all_stale:
            self.settle()
        client, line = None, self.root.line
        while line:
            client = line[0][3]
            if not client.bits & wanted:
                for key in line:
                    if key[3].bits & wanted:
                        client = key[3]
                        break
                else:
                    return None
            line = client.line
        return client

    def walk(self, client: Client | None = None) -> Iterator[Client]:
        """Yield every framework in order."""
        self.settle()
        client = client or self.root
        if client.line is None:
            yield client
        else:
            for key in list(client.line):
                yield from self.walk(key[3])

    def settle(self) -> None:
        """Put every stale key right, and its client where it belongs."""
        if self.all_stale:
            self.all_stale = False
            self.stale.clear()
            self._sort(self.root)
            return
        if len(self.stale) > MANY:
            self._sort_again()
            return
        for client in self.stale:
            scale, largest, before = client.scale, 0.0, client.key
            for name, n in client.held.items():  # share(), once for every task that ends
                if n and (share := n / scale[name]) > largest:
                    largest = share
            if largest != before[0] or client.allocations != before[1]:
                line: list[Key] = client.parent.line  # type: ignore[union-attr, assignment]  # who is stale stands in one
                del line[bisect_left(line, before)]
                client.key = key = (largest, client.allocations, client.path, client)
                insort(line, key)
        self.stale.clear()

    def _sort_again(self) -> None:
        """Put many stale keys right: to sort a line once is cheaper than to look for so many places in it."""
        parents = {client.parent: None for client in self.stale}
        for client in self.stale:
            client.key = (self.share(client), client.allocations, client.path, client)
        self.stale.clear()
        for parent in parents:
            assert parent is not None, "who is stale stands in a line"
            parent.line = sorted([key[3].key for key in _line(parent)])

    def _sort(self, client: Client) -> None:
        if client.line is not None:
            for key in client.line:
                below = key[3]
                self._scale(below)
                below.key = (self.share(below), below.allocations, below.path, below)
                self._sort(below)
            client.line = sorted(key[3].key for key in client.line)

    def _scale(self, client: Client) -> None:
        weight_milli = client.weight_milli
        if weight_milli not in self._scales:
            self._scales[weight_milli] = {name: self.total.get(name, inf) * weight_milli for name in self.names}
        client.scale = self._scales[weight_milli]
        for name in self.names:
            client.held.setdefault(name, 0)

    def _neighbours_changed(self, parent: Client) -> None:
        """A lone client's key is not kept up to date; from its second on, a line's keys are."""
        if len(_line(parent)) == 2:
            self.stale |= {key[3]: None for key in _line(parent)}


def _line(place: Client) -> list[Key]:
    assert place.line is not None, f"{place} is a framework; nobody waits under it"
    return place.line
