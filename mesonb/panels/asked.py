"""Asked: what a board may ask about, and is answered: the story of an agent.

A question is a small dict: ``{"id": 8, "ask": "story", "name": "agent-3"}``. Rule: a question changes nothing; what is not a
question is a command.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

from mesonb.core.units import show_duration
from mesonb.errors import BadValue, MesonbError
from mesonb.panels.commands import obey
from mesonb.panels.remedies import code_of
from mesonb.session import Session

#: Tasks of one agent that are told of; of the others, how many there are.
TASKS_TOLD = 30


def respond(session: Session | None, said: Any) -> dict[str, Any]:
    """Answer a question, or obey a command."""
    if not (isinstance(said, dict) and "ask" in said):
        return obey(session, said)
    ack = {"kind": "ack", "id": said.get("id"), "ok": True}
    try:
        return ack | {"story": _asked(session, said)}
    except MesonbError as error:
        return ack | {"ok": False, "because": str(error)}
    except Exception as error:  # noqa: BLE001 - said in the panel; nothing else stops
        return ack | {"ok": False, "because": f"{type(error).__name__}: {error}"}


def _asked(session: Session | None, said: dict[str, Any]) -> dict[str, Any]:
    if session is None:
        raise BadValue("what this panel showed is gone")
    match said:
        case {"ask": "story", "name": str(name)}:
            return story(session, name)
        case _:
            raise BadValue(f"a panel may ask for the story of a name; not {said!r:.200}")


def story(session: Session, name: str) -> dict[str, Any]:
    """Tell of an agent (or anything else that has a name) in a sentence, with reasons, remedies, and an agent's tasks.

    A reason's ``code`` is its remedy for a cell, "" where that is no code.
    """
    found = session.explain(name)
    reasons = [
        {
            "text": str(replace(reason, example="") if reason.example == name else reason),
            "remedy": reason.remedy,
            "code": code_of(session, reason),
        }
        for reason in found.reasons
    ]
    with session.reading():
        agent, now_us = session.core.agents.get(name), session.core.now_us
        tasks = [
            {
                "task": task.id,
                "framework": task.framework,
                "state": task.state.value,
                "since": show_duration(now_us - task.since_us),
                "needs": str(task.needs),
            }
            for task in islice(agent.tasks.values() if agent else (), TASKS_TOLD)
        ]
        more = len(agent.tasks) - len(tasks) if agent else 0
    return {"sentence": found.sentence, "reasons": reasons, "tasks": tasks, "more": more}
