"""Remedies as code: what a reason's remedy looks like in a cell, with the name that the session has there.

Rule: only what can be run as it stands is offered; "wait until tasks end" is advice, and stays words.
"""

from __future__ import annotations

import re
from typing import Any

from mesonb.core import calls
from mesonb.session import Session

_CODE = re.compile(r"\bmaster\.(?!register\()\S.*$")


def code_of(session: Session, reason: Any) -> str:
    """Return what to run to remove a reason (``core.explain.Reason``); "" where nothing a cell says would."""
    if session.kind == "replay":
        return ""  # what happened has happened
    name = Session.called(session)
    lines = [_line(name, reason.why.name, call) for call in reason.calls if _here(session, call)]
    if lines and all(lines) and len(lines) == len(reason.calls):
        return "\n".join(lines)
    found = _CODE.search(reason.remedy)
    return found.group().replace("master.", f"{name}.") if found else ""


def _here(session: Session, call: calls.Call) -> bool:
    """Whether a framework that would be registered again is this kernel's."""
    return not isinstance(call, calls.Subscribe) or call.framework in session.drivers


def _line(name: str, why: str, call: calls.Call) -> str:
    match call:
        case calls.Revive():
            return f"{name}.revive({call.framework!r})"
        case calls.Resume():
            return f"{name}.resume()"
        case calls.SetLimit() if not call.limit:
            return f"del {name}.limits[{call.role!r}]"
        case calls.SetGuarantee() if not call.guarantee:
            return f"del {name}.guarantees[{call.role!r}]"
        case calls.EndMaintenance():
            return f"{name}.end_maintenance({call.agent!r})"
        case calls.KillTask():
            return f"{name}.kill({call.task!r})"
        case calls.SetWeight():
            return f"{name}.weights[{call.role!r}] = {call.weight_milli / 1000:g}"
        case calls.Unreserve():
            return f"{name}.unreserve({call.agent!r}, {call.role!r}, mb.{call.resources!r})"
        case calls.Undrain():
            return f"{name}.undrain({call.agent!r})"
        case calls.Subscribe() if not call.capabilities:
            return _again(name, why, call)
        case _:
            return ""


def _again(name: str, why: str, call: calls.Subscribe) -> str:
    """Register a framework again, without what it asked for where that is the reason."""
    dropped = {
        "CONSTRAINT": "again.constraints, again.only_agents = (), ()",
        "TOO_SMALL": "again.min_offer = None",
    }.get(why)
    first = f"again = {name}.framework({call.framework!r})"
    last = f"{name}.register(again, name={call.framework!r}, role={call.role!r})"
    return "\n".join([first, dropped, last] if dropped else [first, last])
