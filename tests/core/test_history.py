"""A row of shares is the exact mean over its span, offers left out."""

import pytest

from mesonb.core.calls import Accept, AgentJoined, AgentLost, Subscribe, TaskInfo, TaskUpdate, Tick
from mesonb.core.history import HISTORY_STEP_US, USED_STEP_US, History
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.core.snapshot import take


def test_a_row_is_the_mean_since_the_row_before() -> None:
    core, history, span_us = MasterCore(), History(), 2 * HISTORY_STEP_US
    for call in (Subscribe("f"), Subscribe("g"), AgentJoined("agent-1", Resources(cpus=4, mem="4GB")), Tick()):
        core.step(call, 0)
    history.note(core)
    assert history.rows[-1] == (0, {"f": 0.0, "g": 0.0}), "what is only offered is nobody's yet"
    core.step(Accept("f", ("offer-1",), (TaskInfo("t", Resources(cpus=1, mem="2GB")),)), 0)
    core.step(TaskUpdate("agent-1", "t", TaskState.FINISHED), span_us // 4)
    core.step(Tick(), HISTORY_STEP_US - 1)
    history.note(core)
    assert len(history.rows) == 1, "too soon for another"
    core.step(Tick(), span_us)
    history.note(core)
    time_us, shares = history.rows[-1]
    assert time_us == span_us and shares["f"] == pytest.approx(0.5 / 4) and shares["g"] == 0
    assert history.of()[-1] == history.of("mem")[-1] == (span_us, shares), "memory is its dominant resource"
    assert history.of("cpus", after_us=0) == [(span_us, {"f": pytest.approx(0.25 / 4), "g": 0})]


def test_shares_that_are_only_seen_are_rows_too_and_not_too_often() -> None:
    history = History()
    for now_us in (0, HISTORY_STEP_US - 1, HISTORY_STEP_US):
        share = now_us / HISTORY_STEP_US
        history.note_seen(now_us, {"f": share}, {"f": {"mem": share}})
    assert list(history.rows) == [(0, {"f": 0.0}), (HISTORY_STEP_US, {"f": 1.0})]
    assert history.of("mem") == list(history.rows)
    assert history.of("cpus", after_us=0) == [(HISTORY_STEP_US, {"f": 0.0})]


def test_what_is_used_is_added_up_by_framework_and_not_too_often() -> None:
    core, history = MasterCore(), History()
    for call in (Subscribe("f"), AgentJoined("agent-1", Resources(cpus=4)), Tick()):
        core.step(call, 0)
    core.step(Accept("f", ("offer-1",), tuple(TaskInfo(task, Resources(cpus=1)) for task in ("t", "u"))), 0)
    half = Resources(cpus=0.5)
    used = {"agent-1": {"t": half, "u": half, "gone": half}}
    history.note_used(0, core, used)
    history.note_used(USED_STEP_US - 1, core, used)
    assert list(history.used) == [(0, {"f": Resources(cpus=1)})]


def test_what_no_agent_has_any_more_is_no_share() -> None:
    core, history = MasterCore(), History()
    for call in (Subscribe("f"), AgentJoined("agent-1", Resources(cpus=4, gpus=1)), Tick()):
        core.step(call, 0)
    core.step(Accept("f", ("offer-1",), (TaskInfo("t", Resources(cpus=1, gpus=1)),)), 0)
    history.note(core)
    assert history.parts[-1] == (0, take(core).parts_in_tasks) == (0, {"f": {"cpus": 0.25, "gpus": 1}})
    core.step(TaskUpdate("agent-1", "t", TaskState.FINISHED), HISTORY_STEP_US)
    core.step(AgentLost("agent-1"), HISTORY_STEP_US)
    core.step(AgentJoined("agent-2", Resources(cpus=2)), HISTORY_STEP_US)
    history.note(core)
    assert history.rows[-1] == (HISTORY_STEP_US, {"f": 0.5})
    assert history.of("gpus")[-1] == (HISTORY_STEP_US, {"f": 0.0})
