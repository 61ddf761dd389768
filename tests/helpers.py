"""Events of a kind; and waiting for a condition, with a deadline: the only place where a test may let real time pass.

Rule: a test never sleeps. In virtual time it advances the clock; in real time it names what it waits for. A deadline says
that something does not come, never how quick it is: it is chosen for a machine with nothing else to do, and a laden one
is given `PATIENCE` times as long.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.01
PATIENCE = 4
#: No wait is made longer than this: a test's own timeout would say less than the wait does.
PATIENT_S = 100


def patient(deadline_s: float) -> float:
    """Return the deadline on a machine that has much else to do."""
    return max(deadline_s, min(PATIENCE * deadline_s, PATIENT_S))


def kinds(events: Iterable[Any], kind: Any) -> list[Any]:
    """Return the events of a kind, or of several, in order."""
    return [event for event in events if isinstance(event, kind)]


def wait_for(condition: Callable[[], Any], deadline_s: float, what: str) -> Any:
    """Return the first true value of `condition()`, or fail after a patient `deadline_s`, naming `what` was waited for."""
    deadline_s = patient(deadline_s)
    deadline = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {deadline_s} s still not: {what} (last looked like {value!r})")
        time.sleep(POLL_S)
    return value


async def wait_for_async(condition: Callable[[], Any], deadline_s: float, what: str) -> Any:
    """Do as `wait_for` does, while the event loop goes on."""
    deadline_s = patient(deadline_s)
    deadline = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {deadline_s} s still not: {what} (last looked like {value!r})")
        await asyncio.sleep(POLL_S)
    return value


def find_chromium() -> str:
    """Return the path of a Chromium that starts, never installing one."""
    if path := os.environ.get("MESONB_CHROMIUM"):
        return path
    found = subprocess.run(
        [ROOT / "tools" / "chromium.sh"], env={**os.environ, "MESONB_MAY_INSTALL": "no"}, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()
