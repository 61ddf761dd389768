"""The events panel: the log in words, newest first, filtered, and bounded however much follows a call."""

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.log import Step
from mesonb.panels.app import Look, Shown
from mesonb.panels.events import Events
from mesonb.panels.events_view import LINES, LOOKED_AT, kinds, rows
from mesonb.panels.view import Palette


def test_the_newest_call_comes_first_with_its_number(cluster):
    cluster.pause()
    first, *_ = rows(cluster.log.steps, 1)
    assert (first.number, first.call, first.followed) == (cluster.core.steps, "pause", ())


def test_what_followed_stands_beside_the_call(cluster):
    cluster.lose_agent("agent-2")
    lost = rows(cluster.log.steps, 1)[0]
    assert lost.call.startswith("agent lost agent=agent-2") and any("lost" in line for line in lost.followed)


def test_a_filter_looks_at_calls_and_at_what_followed(cluster):
    for row in rows(cluster.log.steps, 1, "ETL/task-2"):
        assert "etl/task-2" in row.call + "".join(row.followed)
    assert rows(cluster.log.steps, 1, "etl/task-2") and not rows(cluster.log.steps, 1, "no such thing")


def test_idle_ticks_are_shown_when_asked_for():
    steps = [Step(0, calls.Tick(), ()), Step(1, calls.Pause(), ())]
    assert [row.number for row in rows(steps, 1)] == [2]
    assert [row.number for row in rows(steps, 1, ticks=True)] == [2, 1]


def test_a_call_that_thousands_of_events_follow_has_a_few_lines():
    told = tuple(events.Kill("agent-1", f"f/task-{n}") for n in range(5000))
    (row,) = rows([Step(0, calls.Unregister("f"), told)], 1)
    assert len(row.followed) == LINES + 1 and row.followed[-1] == f"… and {5000 - LINES:,} more"


def test_only_so_many_steps_are_looked_at():
    steps = [Step(0, calls.Pause(), ())] + [Step(n, calls.Resume(), ()) for n in range(LOOKED_AT)]
    assert not rows(steps, 1, "pause") and len(rows(steps, 1)) == 150


def test_calls_and_events_are_counted(cluster):
    counts = kinds(cluster.log.steps)
    assert counts["AgentJoined"] == 3 and counts["Launch"] == 6 and counts["Tick"] > 0


def test_what_people_name_their_frameworks_is_text(cluster):
    cluster.register(mb.Queue(needs=mb.Resources(cpus=1)), name="a.b", role="<b>role</b>")
    panel = Events(Look(Palette()))
    Shown(cluster, panel)
    assert "&lt;b&gt;role" in panel.table.text and "<b>role" not in panel.table.text


def test_a_held_picture_stays_until_it_is_let_go(cluster):
    panel = Events(Look(Palette()))
    shown = Shown(cluster, panel)
    panel.options.active = [1]
    before = panel.table.text
    for active in ([1], []):
        panel.options.active = active
        cluster.pause()
        shown._rest_until_s = 0.0
        shown.refresh()
        assert (panel.table.text == before) == bool(active)
