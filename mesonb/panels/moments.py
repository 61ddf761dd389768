"""Moments: what looking back needs that draws nothing: cycles in a log, opening the past of a session, links to a moment."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, cast

from mesonb.core import events
from mesonb.core.log import Step
from mesonb.errors import BadValue
from mesonb.session import Session

US = 1_000_000
#: A log of so many calls is opened at once; a longer one on a thread, while the panel stays live.
AT_ONCE = 3000


class Recording(Protocol):
    """What can be travelled in: a session that seeks."""

    position: int

    @property
    def ends_us(self) -> int:
        """When the last recorded call was taken."""

    def seek(self, time: float | str) -> Any:
        """Show a time since the start."""

    def step_to(self, steps: int) -> Any:
        """Show the moment after so many calls."""


def can_travel(session: Session) -> bool:
    """Whether a session has a log here to look back in; of a master that another kernel holds, boards ask for each moment."""
    return session.kind != "remote"


def is_recording(session: Session) -> bool:
    """Whether a session shows whatever moment it is asked for itself."""
    return hasattr(session, "seek") and hasattr(session, "step_to")


def next_cycle(steps: Sequence[Step], position: int) -> int:
    """Return how many steps lie before the end of the next cycle that offered something, or the end of the recording."""
    return next((number + 1 for number in range(position, len(steps)) if _offers(steps[number])), len(steps))


def previous_cycle(steps: Sequence[Step], position: int) -> int:
    """Return how many steps lie before the end of the cycle before; 0 where there is none."""
    return next((number + 1 for number in range(position - 2, -1, -1) if _offers(steps[number])), 0)


def _offers(step: Step) -> bool:
    return any(isinstance(event, events.OfferMade) for event in step.events)


def opened(session: Session) -> Future[Session]:
    """Make a recording of the log as it is now: a long one on a thread of its own."""
    future: Future[Session] = Future()
    if len(session.log.steps) <= AT_ONCE:
        _open(session, future)
    else:
        threading.Thread(target=_open, args=(session, future), name="mesonb-past", daemon=True).start()
    return future


def _open(session: Session, future: Future[Session]) -> None:
    try:
        future.set_result(past_of(session))
    except BaseException as error:  # noqa: BLE001 - raised where the past is asked for, and said in the panel
        future.set_exception(error)


def past_of(session: Session) -> Session:
    """Open what a session has recorded so far, as a recording that is nobody else's."""
    past = Session.rewound(session)
    past.past_of = weakref.ref(session)
    return past


def link(session: Session, at_s: float) -> str:
    """Return what to type in a cell to be at a moment."""
    name = Session.called(session)
    return f'{name}.seek("{at_s:.3f}s")' if is_recording(session) else f'mb.replay({name}.log).seek("{at_s:.3f}s")'


def length_s(session: Session) -> float:
    """Return how long there is to look back, in seconds."""
    ends_us = getattr(session, "ends_us", None)
    if ends_us is None:
        ends_us = session.core.now_us
    return float(ends_us - session.log.began_us) / US


def starts_s(session: Session) -> float:
    """Return how far from the start the first moment is that can be looked back at, in seconds: 0 until the log forgets."""
    return float(session.log.starts_us - session.log.began_us) / US


def recording(session: Session) -> Recording:
    """Take a session for what it was found to be."""
    return cast("Recording", session)


# -- the same for a board -------------------------------------------------------------------------------------------------

#: Pasts that boards look at, of one session, and are kept: the newest.
PASTS_KEPT = 4
_MOVES: dict[str, Callable[[Any], int]] = {
    "start": lambda _past: 0,
    "- cycle": lambda past: previous_cycle(past.log.steps, past.position),
    "- call": lambda past: past.position - 1,
    "+ call": lambda past: past.position + 1,
    "+ cycle": lambda past: next_cycle(past.log.steps, past.position),
    "end": lambda past: len(past.log.steps),
}


def look_back(session: Session) -> dict[str, Any]:
    """Open the past of a session, for boards; ``past`` is its id, and empty while a long log is being read."""
    if is_recording(session):
        return {"past": session.id, **where(session)}
    return look_apart(session)


def look_apart(session: Session) -> dict[str, Any]:
    """Open a past that nobody else moves, of a recording too: a second board beside the first shows another moment."""
    past = _opened_here(session) if can_travel(session) else session.look_back()  # type: ignore[attr-defined]
    if past is None:
        return {"past": ""}
    session.__dict__.setdefault("_pasts", deque(maxlen=PASTS_KEPT)).append(past)
    return {"past": past.id, **where(past)}


def _opened_here(session: Session) -> Session | None:
    opening: Future[Session] = session.__dict__.pop("_opening", None) or opened(session)
    if opening.done():
        return opening.result()
    session.__dict__["_opening"] = opening
    return None


def seek(session: Session, to: float) -> dict[str, Any]:
    """Show a time since the start, in seconds."""
    if hasattr(session, "go"):  # its log is the master's, in another kernel
        return dict(session.go("seek", to))
    past = _travelled(session)
    past.seek(min(max(to, starts_s(session)), length_s(session)))
    return where(session)


def move(session: Session, by: str) -> dict[str, Any]:
    """Go by call or by cycle, or to either end."""
    if hasattr(session, "go"):
        return dict(session.go("move", by))
    past = _travelled(session)
    if by not in _MOVES:
        raise BadValue(f"{by!r} is no move; there are {', '.join(_MOVES)}")
    past.step_to(_MOVES[by](past))
    return where(session)


def where(session: Session) -> dict[str, Any]:
    """Say which moment a recording shows, and what to type in a cell to be there."""
    if hasattr(session, "place"):
        return dict(session.place)
    past, at_s = recording(session), (session.now_us() - session.log.began_us) / US
    origin = (session.past_of and session.past_of()) or session
    gone = session.log.forgotten
    place = {"at_s": at_s, "starts_s": starts_s(session), "length_s": length_s(session), "let_go": gone}
    calls = {"position": gone + past.position, "calls": gone + len(session.log.steps)}
    return place | calls | {"code": link(origin, at_s)}


def _travelled(session: Session) -> Recording:
    if not is_recording(session):
        raise BadValue(f"{session.id} goes on; look back first, and travel in its past")
    return recording(session)
