"""Commands: what a panel may ask of a session, by WebSocket, comm, or a widget of a chart; the one table of them.

A command is a small dict: ``{"id": 7, "do": "weight", "role": "lab", "weight": 2}``. Rule: each is answered, with what
was done or why not; each that acts on the master is a call in its log, as a cell's would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mesonb.core.units import parse_duration
from mesonb.errors import BadValue, MesonbError
from mesonb.panels.moments import look_apart, look_back, move, seek
from mesonb.panels.typed import amounts
from mesonb.panels.typed import arguments as read_arguments
from mesonb.session import Session

NUMBER = (int, float)
WORDS = {str: "a text", NUMBER: "a number", (*NUMBER, type(None)): "a number or null"}


@dataclass(frozen=True, slots=True)
class Action:
    """What is done, with which fields of the command, and how it is told afterwards."""

    act: Callable[..., object]
    told: str
    takes: Mapping[str, Any] = field(default_factory=dict)
    anyway: bool = False  #: also where nothing can be steered: it only looks, or says itself why not


def _guarantee(session: Session, role: str, amount: str) -> None:
    session.guarantees[role] = amounts(amount)


def _limit(session: Session, role: str, amount: str) -> None:
    session.limits[role] = amounts(amount)


def _allocator(session: Session, name: str) -> None:
    session.allocator = name


def _speed(session: Session, speed: float | None) -> None:
    _clock(session).pace.speed = speed


def _accept(
    session: Session, framework: str, offer: str, function: str, arguments: str, needs: str, times: float
) -> None:
    hand, amount, given = _hand(session, framework), amounts(needs), read_arguments(arguments)
    count = int(times) if times == int(times) else times
    hand.check(offer, function, amount, count)
    session.soon(framework, "accept", lambda: hand.accept(offer, function, *given, needs=amount, times=count))


def _decline(session: Session, framework: str, offer: str, refuse: str) -> None:
    hand = _hand(session, framework)
    hand.check_held(offer)
    parse_duration(refuse)
    session.soon(framework, "decline", lambda: hand.decline(offer, refuse))


def _hand(session: Session, name: str) -> Any:
    """Return a framework that a person is the scheduler of."""
    framework = session.framework(name)
    if not hasattr(framework, "held"):
        raise BadValue(f"{name} answers its offers itself; only a Hand's can be answered here")
    return framework


def _clock(session: Session) -> Any:
    """Return the session as one whose time can be steered."""
    if not hasattr(session, "pace"):
        raise BadValue(f"the time of {session.id} cannot be steered: only a simulation's can")
    return session


TASK, AGENT, FRAMEWORK, ROLE = {"task": str}, {"agent": str}, {"framework": str}, {"role": str}
GRACE, OFFER = {"grace": str}, {"framework": str, "offer": str}
ACTIONS: dict[str, Action] = {
    "pause": Action(lambda session: session.pause(), "no more offers; tasks run on"),
    "resume": Action(lambda session: session.resume(), "offers are made again"),
    "cycle": Action(lambda session: session.cycle(), "one round of offers was made"),
    "weight": Action(
        lambda session, role, weight: session.weights.update({role: weight}),
        "weight of {role} is {weight}", {**ROLE, "weight": NUMBER},
    ),
    "guarantee": Action(_guarantee, "{role} is guaranteed {amount}", {**ROLE, "amount": str}),
    "limit": Action(_limit, "{role} is limited to {amount}", {**ROLE, "amount": str}),
    "allocator": Action(_allocator, "{name} allocates", {"name": str}),
    "suppress": Action(lambda session, framework: session.suppress(framework), "no offers to {framework}", FRAMEWORK),
    "revive": Action(lambda session, framework: session.revive(framework), "offers to {framework} again", FRAMEWORK),
    "kill": Action(lambda session, task: session.kill(task), "{task} is being killed", TASK),
    "revoke": Action(
        lambda session, task, grace: session.revoke(task, grace), "{task} has {grace} to end", {**TASK, **GRACE}
    ),
    "drain": Action(
        lambda session, agent, grace: session.drain(agent, grace), "{agent} drains; its tasks have {grace}", {**AGENT, **GRACE}
    ),
    "undrain": Action(lambda session, agent: session.undrain(agent), "{agent} is offered again", AGENT),
    "accept": Action(
        _accept, "{times:g} x {function} on {offer}",
        {**OFFER, "function": str, "arguments": str, "needs": str, "times": NUMBER},
    ),
    "decline": Action(_decline, "{offer} declined for {refuse}", {**OFFER, "refuse": str}),
    "play": Action(lambda session: _clock(session).play(), "time passes", anyway=True),
    "hold": Action(lambda session: _clock(session).hold(), "time stands still", anyway=True),
    "step": Action(lambda session: _clock(session).step(), "one call was taken", anyway=True),
    "look back": Action(look_back, "the past is open", anyway=True),
    "look apart": Action(look_apart, "a past of its own is open", anyway=True),
    "seek": Action(seek, "{to} s since the start", {"to": NUMBER}, anyway=True),
    "move": Action(move, "{by}", {"by": str}, anyway=True),
    "speed": Action(_speed, "speed is {speed}", {"speed": (*NUMBER, type(None))}, anyway=True),
}  # fmt: skip


def obey(session: Session | None, command: Any) -> dict[str, Any]:
    """Do what a panel asks, and acknowledge it: ``{"kind": "ack", "id": 7, "ok": True, "did": ...}``, or ``"because"``."""
    ack = {"kind": "ack", "id": command.get("id") if isinstance(command, dict) else None, "ok": True}
    try:
        if session is None:
            raise BadValue("what this panel showed is gone")
        ack |= _do(session, command)
    except MesonbError as error:
        ack |= {"ok": False, "because": str(error)}
    except Exception as error:  # noqa: BLE001 - a panel's mistake is answered, and harms nobody
        ack |= {"ok": False, "because": f"{type(error).__name__}: {error}"}
    return ack


def _do(session: Session, command: Any) -> dict[str, Any]:
    name = command.get("do") if isinstance(command, dict) else None
    action = ACTIONS.get(name) if isinstance(name, str) else None
    if action is None:
        raise BadValue(f"a panel may ask for {', '.join(ACTIONS)}; not {command!r:.200}")
    if session.unsteerable and not action.anyway:
        raise BadValue(session.unsteerable)
    given = {part: _read(name, command, part, kind) for part, kind in action.takes.items()}
    found = action.act(session, **given)
    did = action.told.format(**{part: "nothing" if value == "" else value for part, value in given.items()})
    return {"did": did, **(found if isinstance(found, dict) else {})}


def _read(name: str | None, command: Mapping[str, Any], part: str, kind: Any) -> Any:
    value = command.get(part)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadValue(f"a panel may ask for {name} with {WORDS[kind]} as {part}; not {command!r:.200}")
    return value.strip() if isinstance(value, str) else value
