"""Every event there is can be said in a line, and those that transcripts record are said in the same words."""

import dataclasses

import pytest

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.records import TaskState
from mesonb.core.telling import as_typed, in_words, plainly, told

SOME = mb.Resources(cpus=1.5, mem="2GB")
SAID = [
    (events.OfferMade("F", "offer-1", "a", SOME, 5), "offer-1  a -> F   cpus=1.5 mem=2GB"),
    (events.Updated("F", "F/t", TaskState.LOST, "why"), "update  F/t lost: why"),
    (events.Updated("F", "F/t", TaskState.RUNNING), "update  F/t running"),
    (events.Rescinded("F", "offer-1", "why"), "rescind offer-1 from F: why"),
    (events.AgentGone("F", "a", "why"), "gone    a, F is told: why"),
    (events.Subscribed("F", 1), ""),
    (events.Subscribed("F", 2), "again   F, registration 2"),
    (events.Subscribed("F", 1, ("F/t", "F/u")), "again   F, registration 1, keeps F/t, F/u"),
    (events.Kill("a", "F/t"), "kill    F/t on a"),
    (events.Revoked("F", "F/t", 30_000_000, "why"), "revoke  F/t of F, killed at 30 s: why"),
    (events.Rejected(calls.Tick(), "why"), "rejected  why"),
]


@pytest.mark.parametrize(("event", "line"), SAID, ids=lambda thing: type(thing).__name__)
def test_each_in_its_words(event, line) -> None:
    assert told(event) == line


def test_what_has_no_words_is_said_by_its_fields() -> None:
    @dataclasses.dataclass(frozen=True)
    class SomethingNew:
        agent: str
        held: mb.Resources
        parts: tuple[object, ...]
        state: TaskState = TaskState.RUNNING
        because: str = ""

    new = SomethingNew("a", SOME, (calls.TaskInfo("t", SOME), 7), because="why")
    assert (
        told(new)
        == plainly(new)
        == "something new agent=a held=cpus:1.5,mem:2GB parts=t:cpus:1.5,mem:2GB,7 because=why"
    )
    assert "parts=none" in plainly(SomethingNew("a", SOME, ()))
    assert plainly(SomethingNew("a", SOME, (), TaskState.LOST)).endswith("state=lost")


def test_nothing_is_said_too() -> None:
    assert as_typed(mb.Resources()) == "nothing"
    assert in_words(mb.Resources(disk="1TB", mem="512MiB")) == "512MiB, 1TB disk"
