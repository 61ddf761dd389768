"""Farewells: which frameworks are gone for good, so that agents forget what they hold for them beyond their tasks.

One that this master knew is gone as soon as its books do not have it any more. One that an agent merely names, because a
master before this one knew it, may still register again, and is given as long as any framework whose kernel is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Farewells:
    """The frameworks for which agents hold something; names and microseconds go in, names come out."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._awaited: dict[str, int] = {}  #: until when

    def knows(self, framework: str) -> None:
        """Note that a framework is here, and has something done."""
        self._known.add(framework)

    def expect(self, frameworks: Iterable[str], until_us: int) -> None:
        """Note frameworks that an agent holds something for."""
        for framework in frameworks:
            self._awaited.setdefault(framework, until_us)

    def gone(self, registered: Collection[str], now_us: int) -> list[str]:
        """Return, once, those that have left.

        >>> farewells = Farewells()
        >>> farewells.knows("lab"); farewells.expect(["old"], 100)
        >>> farewells.gone({"lab"}, 50), farewells.gone({}, 60), farewells.gone({}, 101)
        ([], ['lab'], ['old'])
        """
        gone = self._known.difference(registered)
        self._known -= gone
        for framework, until_us in list(self._awaited.items()):
            if framework in registered:
                self._known.add(framework)
            if framework in registered or now_us > until_us:
                del self._awaited[framework]
                if framework not in registered:
                    gone.add(framework)
        return sorted(gone)
