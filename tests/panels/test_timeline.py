"""The timeline: bars are what the log says, lanes never overlap, and little is drawn of much."""

import pytest

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.log import Step
from mesonb.core.records import TaskState
from mesonb.panels import reading, timeline_view
from mesonb.panels.app import Look, Shown
from mesonb.panels.timeline import Timeline
from mesonb.panels.timeline_view import BARS_DRAWN, US, Gantt, drawing
from mesonb.panels.view import Palette

ONE = mb.Resources(cpus=1)


def launch(now_us, task, agent="agent-1", framework="f"):
    return Step(now_us, calls.Tick(), (events.Launch(agent, framework, task, ONE),))


def update(now_us, task, state, agent="agent-1", framework="f", because=""):
    call = calls.TaskUpdate(agent, task, state, because)
    return Step(now_us, call, (events.Updated(framework, task, state, because),))


@pytest.fixture
def story():
    """Two tasks on one agent, one after the other killed, and a third that lives."""
    return Gantt().read([
        launch(0, "t1"), update(1 * US, "t1", TaskState.RUNNING), launch(2 * US, "t2"),
        update(5 * US, "t1", TaskState.FINISHED), update(6 * US, "t2", TaskState.KILLED, because="asked for"),
        launch(6 * US, "t3"), update(8 * US, "t3", TaskState.RUNNING),
    ])  # fmt: skip


def test_a_bar_runs_from_launch_to_end_and_staging_is_drawn_apart(story):
    shown = drawing(story, 0, 10 * US)
    spans = {(p.bar.task, p.solid < 0.5): (p.left_s, p.right_s) for p in shown.pieces}
    assert spans == {("t1", True): (0, 1), ("t1", False): (1, 5), ("t2", True): (2, 6), ("t3", True): (6, 8)}


def test_a_kill_is_marked_at_its_end_with_the_reason(story):
    (mark,) = drawing(story, 0, 10 * US).marks
    assert (mark.bar.task, mark.right_s, mark.bar.because) == ("t2", 6, "asked for")


def test_a_lane_is_used_again_once_it_is_free(story):
    lanes = {bar.task: bar.lane for bar in story.bars()}
    assert lanes == {"t1": 0, "t2": 1, "t3": 0} and story.lanes["agent-1"].count == 2


def test_only_the_window_is_drawn_and_bars_are_cut_at_its_edges(story):
    shown = drawing(story, int(5.5 * US), 7 * US)
    assert {(p.bar.task, p.left_s, p.right_s) for p in shown.pieces} == {("t2", 5.5, 6), ("t3", 6, 7)}
    assert {piece.bar.task for piece in drawing(story, 0, 10 * US, only="t3").pieces} == {"t3"}


def test_a_task_launched_before_the_reading_began_is_found_by_its_agents_word():
    gantt = Gantt().read([update(4 * US, "old", TaskState.FINISHED), Step(5 * US, calls.Tick(), ())])
    (bar,) = gantt.bars()
    assert (bar.agent, bar.begun_us, bar.ended_us) == ("agent-1", 4 * US, 4 * US)


def test_a_task_of_a_refused_accept_never_ran_and_has_no_bar():
    lost = Step(0, calls.Accept("f", ("offer-1",)), (events.Updated("f", "t1", TaskState.LOST, "the offer is gone"),))
    assert not list(Gantt().read([lost]).bars())


def test_many_tasks_are_bounded_and_marked_endings_stay():
    steps = [step for n in range(5000) for step in (
        launch(n * 10, f"t{n}"), update(n * 10 + 5, f"t{n}", TaskState.LOST if n == 7 else TaskState.FINISHED),
    )]  # fmt: skip
    shown = drawing(Gantt().read(steps), 0, 5000 * 10)
    assert (shown.bars, shown.left_out) == (BARS_DRAWN, 5000 - BARS_DRAWN)
    assert [mark.bar.task for mark in shown.marks] == ["t7"]


def test_many_agents_are_bounded_and_told_in_the_order_people_count():
    steps = [launch(n, f"t{n}", agent=f"agent-{n}") for n in range(100)]
    shown = drawing(Gantt().read(steps), 0, US)
    assert shown.agents[:11][-2:] == ["agent-9", "agent-10"]
    assert (len(shown.agents), shown.agents_in_all) == (timeline_view.AGENTS_SHOWN, 100)
    assert drawing(Gantt().read(steps), 0, US, only="agent-99").agents == ["agent-99"]


def test_bars_of_a_simulation_are_the_masters_books(cluster):
    """Killed, lost and finished tasks included; no two bars of a lane overlap."""
    cluster.lose_agent("agent-2")
    sweep = cluster.drivers["sweep"]
    sweep.kill(next(iter(sweep.tasks)))
    cluster.run("40s")
    gantt = Gantt().read(cluster.log.steps)
    assert {(b.task, b.agent, b.state) for b in gantt.live.values()} == {
        (task.id, task.agent, task.state.value) for task in cluster.core.tasks.values()
    }
    counts = [row.counts for row in cluster.snapshot().frameworks]
    for ending in ("finished", "killed", "lost"):
        assert gantt.endings[ending] == sum(count.get(ending, 0) for count in counts), ending
    lanes = {}
    for bar in sorted(gantt.bars(), key=lambda bar: bar.begun_us):
        assert lanes.get((bar.agent, bar.lane), 0) <= bar.begun_us
        lanes[bar.agent, bar.lane] = bar.ended_us if bar.ended_us is not None else float("inf")


def test_a_panel_opened_late_shows_tasks_that_have_run_since_before_it_reads(cluster, monkeypatch):
    monkeypatch.setattr(reading, "STEPS_READ", 1)
    panel = Timeline(Look(Palette()))
    shown = Shown(cluster, panel)
    live = {(b.task, b.agent, b.begun_us) for b in panel.gantt.live.values()}
    assert live == {(task.id, task.agent, task.since_us) for task in cluster.core.tasks.values()} and len(live) == 6
    assert set(panel.bars.data["task"]) == {task for task, _, _ in live}
    cluster.run("1min")
    shown._rest_until_s = 0.0
    shown.refresh()
    assert not panel.gantt.live


def test_a_thin_bar_has_no_gap_around_it_that_would_leave_nothing_of_it():
    sim = mb.Simulation(agents=1, seed=1)
    sim.runs_for(max, "100s")
    sim.runs_for(min, "100ms")
    queue = sim.register(mb.Queue(), name="lab")
    queue.submit(max, 1, 2)
    queue.submit(min, 1, 2)
    sim.run("2min")
    panel = Timeline(Look(Palette()))
    Shown(sim, panel)
    bars, background = panel.bars.data, panel.look.background
    gaps = {task for task, edge in zip(bars["task"], bars["edge"], strict=True) if edge == background}
    assert gaps == {"lab/task-1"} and "lab/task-2" in bars["task"]


def test_a_replay_has_the_same_bars_at_its_end(cluster):
    cluster.run("1min")
    again = Gantt().read(mb.replay(cluster.log).log.steps)
    assert list(again.bars()) == list(Gantt().read(cluster.log.steps).bars())
