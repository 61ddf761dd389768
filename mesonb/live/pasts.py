"""Pasts: a connected kernel looks back. The log is the master's, so the master goes to the moment, and sends a picture of it.

Rule: the leading kernel's work for this is bounded. It has one recording for all who ask, made and moved on a thread of its
own, one wish at a time (whoever comes meanwhile is told so), and lets it go when nobody has asked for a while. What may not
be seen of the present is not seen of the past either.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

from mesonb.core import calls, events
from mesonb.core.snapshot import Snapshot
from mesonb.core.units import SECOND_US, parse_duration
from mesonb.errors import BadValue, MesonbError, Unreachable
from mesonb.frameworks.base import Framework
from mesonb.frameworks.driver import Driver
from mesonb.live.asking import Asking
from mesonb.live.pictures import Packed, packed, unpacked
from mesonb.session import Session

#: A recording that was opened so long ago is opened anew for whoever looks back then, and one that nobody looks at let go.
YOUNG_S, IDLE_S = 5.0, 120.0
#: How long the master may take to go to a moment.
MOVED_S = 8.0
#: How long a cell waits for the master to read its recording, and how often it asks.
READ_S, POLL_S = 60.0, 0.05
BUSY = "the master is at another moment for somebody else; ask again"
LET_GO = "the master has let that recording go; go back to live, and look back again"
UNSTEERABLE = "what happened has happened; go back to live to steer"

#: Where a recording is (what ``mesonb.panels.moments.where`` says), and a picture of it.
Shown = tuple[dict[str, Any], Snapshot]


class Pasts:
    """The master's side; everything but ``_work`` is on its loop."""

    def __init__(self, session: Session, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._session, self._loop = session, loop
        self._past: Any = None
        self._trouble: BaseException | None = None  #: why it could not be opened
        self._opened_s = self._asked_s = 0.0
        self._steps = -1  #: of the core, when it was opened
        self._busy = False

    def look(self, how: str, amount: Any, position: int, answer: Callable[[Any], None]) -> None:
        """Fulfil a wish, and answer with what is Shown then, or with what went wrong; None while a recording is being read.

        ``how`` is open, seek (``amount``: seconds) or move (``amount``: by what); ``position`` is where whoever asks is.
        """
        self._asked_s = time.monotonic()
        if self._trouble:
            trouble, self._trouble = self._trouble, None
            answer(trouble)
        elif self._busy:
            answer(None if how == "open" else BadValue(BUSY))
        elif how == "open" and not self._young():
            answer(None)
            self._begin(self._open, self._opened)
        elif self._past is None:
            answer(BadValue(LET_GO))
        else:
            self._begin(lambda: self._go(how, amount, position), answer)

    def _young(self) -> bool:
        same = self._session.core.steps == self._steps
        return self._past is not None and (same or time.monotonic() - self._opened_s < YOUNG_S)

    def _begin(self, work: Callable[[], Any], answer: Callable[[Any], None]) -> None:
        self._busy = True
        threading.Thread(target=self._work, args=(work, answer), name="mesonb-pasts", daemon=True).start()

    def _work(self, work: Callable[[], Any], answer: Callable[[Any], None]) -> None:
        """Do it on this thread, and bring what came of it to the loop."""
        try:
            found = work()
        except Exception as error:  # noqa: BLE001 - answered; nothing else stops
            found = error
        with contextlib.suppress(RuntimeError):  # the master was closed meanwhile
            self._loop().call_soon_threadsafe(self._done, answer, found)

    def _done(self, answer: Callable[[Any], None], found: Any) -> None:
        self._busy = False
        answer(found)

    def _open(self) -> Any:
        self._steps = self._session.core.steps
        return Session.rewound(self._session)

    def _opened(self, found: Any) -> None:
        if isinstance(found, BaseException):
            self._past, self._trouble = None, found
            return
        found.past_of = weakref.ref(self._session)
        self._past, self._opened_s = found, time.monotonic()
        self._loop().call_later(IDLE_S, self._let_go)

    def _let_go(self) -> None:
        idle_s = time.monotonic() - self._asked_s
        if self._past is not None and idle_s < IDLE_S:
            self._loop().call_later(IDLE_S - idle_s, self._let_go)
        else:
            self._past = None

    def _go(self, how: str, amount: Any, position: int) -> Shown:
        past, at = self._past, position - self._past.log.forgotten
        if how == "move" and past.position != at:  # somebody else was shown another moment meanwhile
            past.step_to(at)
        how, amount = ("move", "end") if how == "open" else (how, amount)
        return Session.moved(past, how, amount), past.snapshot(spots=True)


class Elsewhere(Session):
    """What a master that another kernel holds showed at a moment: a board can look at it, and nothing can be changed."""

    kind = "remote"

    def __init__(self, remote: LookingBack, shown: tuple[dict[str, Any], Packed]) -> None:
        self.past_of = weakref.ref(remote)
        super().__init__()
        self._take(shown)

    def go(self, how: str, amount: Any) -> dict[str, Any]:
        """Go to another moment (``seek``, seconds since the start; ``move``, by call or cycle), and say where that is."""
        self._take(self._leader().ask_past(how, amount, self.place["position"]))
        return self.place

    def look_back(self) -> Elsewhere:
        """Return this: it is a past already."""
        return self

    def _leader(self) -> LookingBack:
        remote = self.past_of and self.past_of()
        if remote is None:
            raise BadValue("the connection that this was seen through is gone")
        return cast("LookingBack", remote)

    def _take(self, shown: tuple[dict[str, Any], Packed]) -> None:
        place, picture = shown
        code = f'{Session.called(self._leader())}.moment("{place["at_s"]:.3f}s")'
        self.place: dict[str, Any] = {**place, "code": code}
        self._picture = unpacked(picture, None)
        self.core.steps = self._picture.steps

    # -- Session --------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        """The moment that is shown, by the master's clock."""
        return self._picture.now_us

    def snapshot(self, before: Snapshot | None = None, *, spots: bool = False, at_once: int = 0) -> Snapshot:
        """Return the picture of that moment."""
        return self._picture

    def freshen(self) -> Snapshot | None:
        """Return the same: nothing is newer about the past."""
        return self._picture

    @property
    def unsteerable(self) -> str:
        """What happened has happened."""
        return UNSTEERABLE

    def post(self, sent: Sequence[calls.Call]) -> NoReturn:
        """Refuse."""
        raise BadValue(UNSTEERABLE)

    def _driver(self, framework: Framework, name: str, role: str) -> Driver:
        self.post([])

    def _step(self, call: calls.Call) -> list[events.Event]:
        self.post([call])


class LookingBack(Asking):
    """The half of a ``Remote`` that asks for the past."""

    def moment(self, time_: float | str) -> Elsewhere:
        """Return what the master showed at a time since its start ("41s", or seconds), to be the last line of a cell."""
        seconds, deadline_s = parse_duration(time_) / SECOND_US, time.monotonic() + READ_S
        while (past := self.look_back()) is None:
            if time.monotonic() > deadline_s:
                raise Unreachable(f"the master has not read its recording within {READ_S:.0f} s; ask again")
            time.sleep(POLL_S)
        past.go("seek", seconds)
        return past

    def look_back(self) -> Elsewhere | None:
        """Have the master open what it recorded so far; None while it reads that."""
        shown = self.ask_past("open", None, 0)
        return Elsewhere(self, shown) if shown else None

    def ask_past(self, how: str, amount: Any, position: int) -> Any:
        """Ask for a moment, and wait for it."""
        return self._thread.wait_for(self._ask("moment", how, amount, position), MOVED_S)


def answered(found: Any, seen: Callable[[Snapshot], Snapshot]) -> tuple[bool, Any]:
    """Make an answer for the wire of what ``look`` found: only what may be seen."""
    match found:
        case MesonbError():
            return False, (type(found).__name__, str(found))
        case BaseException():
            return False, ("BadValue", f"the past cannot be shown: {type(found).__name__}: {found}")
        case None:
            return True, None
        case _:
            place, picture = found
            return True, (place, packed(seen(picture), (0, 0)))
