"""What all charts have in common: reading a log as it grows, travelling, pages in either theme, and failing alone."""

import asyncio
import gc

import pytest
from bokeh.events import ButtonClick
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

import mesonb as mb
from mesonb import notebook
from mesonb.core.checkpoint import Checkpoint
from mesonb.panels import commands, moments, reading, travel
from mesonb.panels.app import Look, Page, Panel, Shown
from mesonb.panels.apps import APPS, PANELS
from mesonb.panels.reading import Reader
from mesonb.panels.view import Palette
from mesonb.session import Session
from tests.helpers import wait_for


def at_once(panel):
    panel._rest_until_s = 0.0
    panel.refresh()


def test_every_chart_that_is_served_can_be_watched_and_the_other_way_round():
    assert list(APPS) == list(notebook.CHARTS)


def test_each_step_is_read_once(cluster):
    reader = Reader()
    first = reader.read(cluster)
    assert first.restarted and len(first.steps) == len(cluster.log.steps) == cluster.core.steps
    assert reader.read(cluster) == ([], False, 0)
    cluster.pause()
    (step,) = reader.read(cluster).steps
    assert step == cluster.log.steps[-1]


def test_a_long_log_is_read_from_near_its_end(cluster, monkeypatch):
    monkeypatch.setattr(reading, "STEPS_READ", 5)
    steps, _, skipped = Reader().read(cluster)
    assert list(steps) == cluster.log.steps[-5:] and skipped == cluster.core.steps - 5


def test_a_log_that_forgets_is_read_on_and_what_was_missed_is_said(cluster):
    reader, late = Reader(), Reader()
    reader.read(cluster), late.read(cluster)
    read = cluster.core.steps
    cluster.log.trim(read, Checkpoint.of(cluster.core))
    cluster.pause()
    assert len(reader.read(cluster).steps) == 1
    cluster.log.trim(1, Checkpoint.of(cluster.core))
    cluster.resume()
    fresh = late.read(cluster)
    assert fresh.restarted and fresh.skipped == read + 1 and len(fresh.steps) == 1


def test_going_back_in_a_replay_begins_again(cluster):
    replay, reader = mb.replay(cluster.log), Reader()
    assert len(reader.read(replay).steps) == len(cluster.log.steps)
    replay.step_to(3)
    fresh = reader.read(replay)
    assert fresh.restarted and list(fresh.steps) == cluster.log.steps[:3]
    replay.step(2)
    assert list(reader.read(replay).steps) == cluster.log.steps[3:5]


@pytest.mark.parametrize("kind", PANELS.values(), ids=PANELS)
def test_a_panel_opens_and_goes_on_for_a_simulation_and_a_replay_of_it(cluster, kind):
    live = Shown(cluster, kind(Look(Palette())))
    cluster.lose_agent("agent-2")
    cluster.run("1min")
    at_once(live)
    assert not live.note.visible, live.note.text
    replay = mb.replay(cluster.log)
    again = Shown(replay, kind(Look(Palette(), dark=True)))
    for where in (0, 3, len(cluster.log.steps)):
        replay.step_to(where)
        at_once(again)
        assert not again.note.visible, again.note.text


@pytest.mark.parametrize("kind", PANELS.values(), ids=PANELS)
def test_a_panel_of_nothing_at_all_is_drawn_as_well(kind):
    shown = Shown(mb.Simulation(agents=0), kind(Look(Palette())))
    assert not shown.note.visible, shown.note.text


def test_a_panel_that_raises_says_so_and_is_asked_again(cluster):
    class Broken(Panel):
        fail = True

        def parts(self):
            return []

        def draw(self, session):
            if self.fail:
                raise ValueError("<no> picture")

    shown = Shown(cluster, Broken(Look(Palette())))
    assert shown.note.visible and "&lt;no&gt; picture" in shown.note.text
    shown.panel.fail = False
    at_once(shown)
    assert not shown.note.visible


def test_a_panel_keeps_no_session_alive(cluster):
    sim = mb.Simulation(agents=1)
    shown = Shown(sim, PANELS["timeline"](Look(Palette())))
    del sim
    gc.collect()
    at_once(shown)
    assert "is gone" in shown.note.text


# -- travelling -------------------------------------------------------------------------------------------------------


def test_the_buttons_go_by_call_and_by_cycle(cluster):
    replay = mb.replay(cluster.log)
    steps = replay.log.steps
    first = moments.next_cycle(steps, 0)
    assert any(type(event).__name__ == "OfferMade" for event in steps[first - 1].events)
    second = moments.next_cycle(steps, first)
    assert first < second and moments.previous_cycle(steps, second) == first
    assert moments.previous_cycle(steps, 0) == 0 and moments.next_cycle(steps, len(steps)) == len(steps)


def test_the_slider_shows_where_the_replay_is_and_takes_it_elsewhere(cluster):
    cluster.run("1min")
    replay = mb.replay(cluster.log)
    shown = Shown(replay, PANELS["timeline"](Look(Palette())))
    assert shown.travel.slider.value == pytest.approx((replay.ends_us - replay.log.began_us) / 1e6)
    shown.travel.slider.value = 30.0
    at_once(shown)
    assert replay.now_us() == 30_000_000 and "seek(&quot;30.000s&quot;)" in shown.travel.where.text
    replay.step_to(0)
    at_once(shown)
    assert shown.travel.slider.value == 0


def test_playing_goes_on_at_the_speed_asked_for_and_stops_at_the_end(cluster, monkeypatch):
    cluster.run("1min")
    replay = mb.replay(cluster.log)
    shown, clock = Shown(replay, PANELS["timeline"](Look(Palette()))), [100.0]
    monkeypatch.setattr(travel.time, "monotonic", lambda: clock[0])
    shown.travel.speed.value, shown.travel.play.active = "10", True
    at_once(shown)  # it was at the end: back to the start
    for passed_s, at_us in ((1, 10_000_000), (0.5, 15_000_000)):
        clock[0] += passed_s
        at_once(shown)
        assert replay.now_us() == at_us
    clock[0] += 1000
    at_once(shown)
    assert replay.now_us() == replay.ends_us and not shown.travel.play.active


def shown_live(cluster, name="timeline"):
    shown = Shown(cluster, PANELS[name](Look(Palette())))
    return shown, shown.travel


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_of_a_session_that_goes_on_looks_back_and_comes_back(cluster, name):
    shown, controls = shown_live(cluster, name)
    assert controls.live.active and "live, after call" in controls.where.text
    controls.slider.value = controls.slider.end / 2
    at_once(shown)
    assert not shown.note.visible, shown.note.text
    past = controls.past
    assert past is not None and not controls.live.active and 0 < past.position < len(past.log.steps)
    cluster.pause()
    assert past.position < cluster.core.steps and not past.core.paused, "what goes on does not move the past"
    controls.live.active = True
    at_once(shown)
    assert controls.past is None and "live, after call" in controls.where.text and not shown.note.visible


@pytest.fixture
def moved_on():
    """A cluster whose log has let go how it began."""
    sim = mb.Simulation(agents=2, log_steps=100)
    sim.runs_for(abs, "1s")
    sim.register(mb.Queue(needs=mb.Resources(cpus=1)), name="lab").map(abs, range(200))
    sim.run("20s")
    assert sim.log.forgotten
    return sim


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_looks_back_in_a_window_that_has_moved_on(moved_on, name):
    shown, controls = shown_live(moved_on, name)
    begins_s = moments.starts_s(moved_on)
    at_once(shown)
    assert controls.slider.start == begins_s > 0
    assert f"begins at {begins_s:,.3f} s, with call {moved_on.log.forgotten + 1:,}" in controls.where.text
    controls.slider.value = (begins_s + controls.slider.end) / 2
    at_once(shown)
    assert not shown.note.visible, shown.note.text
    assert 0 < controls.past.position < len(controls.past.log.steps)
    click(controls, "Start")
    at_once(shown)
    assert not shown.note.visible, shown.note.text
    assert controls.past.position == 0 and controls.slider.value == pytest.approx(begins_s)
    assert f"after call {moved_on.log.forgotten:,} of {moved_on.core.steps:,} · the recording" in controls.where.text


def test_the_slider_follows_a_window_that_moves_on(moved_on):
    shown, controls = shown_live(moved_on, "shares")
    before_s = moments.starts_s(moved_on)
    moved_on.framework("lab").map(abs, range(200))
    moved_on.run("20s")
    at_once(shown)
    assert controls.slider.start == moments.starts_s(moved_on) > before_s


def test_a_board_looks_back_in_a_window_that_has_moved_on(moved_on):
    ack = asked(moved_on, do="look back")
    past, gone = Session.known[ack["past"]], moved_on.log.forgotten
    assert ack["starts_s"] == moments.starts_s(moved_on) and ack["let_go"] == gone
    assert ack["position"] == ack["calls"] == moved_on.core.steps
    there = asked(past, do="seek", to=0)
    assert there["ok"] and there["at_s"] == ack["starts_s"]
    assert asked(past, do="move", by="start")["position"] == gone


def test_a_past_is_stepped_through_and_linked_to(cluster):
    shown, controls = shown_live(cluster)
    click(controls, "« cycle")
    at_once(shown)
    before = controls.past.position
    click(controls, "call ›")
    at_once(shown)
    assert controls.past.position == before + 1
    assert "mb.replay(sim.log).seek(" in controls.where.text and "data-cell=" in controls.where.text


def click(controls, label):
    button = next(button for button in controls._buttons if button.label == label)
    button._trigger_event(ButtonClick(button))


def test_live_is_left_where_it_stands(cluster):
    shown, controls = shown_live(cluster)
    controls.live.active = False
    at_once(shown)
    assert controls.past.position == cluster.core.steps
    cluster.run("1min")
    at_once(shown)
    assert controls.past.position < cluster.core.steps


def test_the_past_cannot_be_steered_and_says_so(cluster):
    panel = PANELS["steer"](Look(Palette()))
    shown = Shown(cluster, panel)
    shown.travel.live.active = False
    at_once(shown)
    panel.send(do="pause")
    assert "cannot be changed" in panel.told.text and not cluster.core.paused


def test_a_long_log_is_opened_on_a_thread_while_the_panel_stays_live(cluster, monkeypatch):
    monkeypatch.setattr(moments, "AT_ONCE", 0)
    shown, controls = shown_live(cluster)
    controls.slider.value = 0.05
    at_once(shown)
    wait_for(lambda: (at_once(shown), controls.past)[1], 10, "the past is open")
    assert controls.past.now_us() == 50_000


def test_an_allocator_of_ones_own_is_looked_back_at(cluster):
    class Mine(mb.DRF):
        pass

    sim = mb.Simulation(agents=2, allocator=Mine())
    sim.register(mb.Queue(), name="q")
    sim.run("1s")
    shown, controls = shown_live(sim)
    controls.slider.value = 0.1
    at_once(shown)
    assert type(controls.past.core.allocator) is Mine, shown.note.text


def test_what_cannot_be_opened_is_said_and_the_panel_stays_live(cluster, monkeypatch):
    shown, controls = shown_live(cluster)
    monkeypatch.setattr(Session, "rewound", staticmethod(lambda _session: 1 / 0))
    controls.slider.value = 0.1
    at_once(shown)
    assert "ZeroDivisionError" in shown.note.text and controls.live.active
    at_once(shown)
    assert not shown.note.visible or controls.past is None


@pytest.mark.parametrize("recorded", [False, True])
def test_two_moments_side_by_side(cluster, recorded):
    session = mb.replay(cluster.log) if recorded else cluster
    page = Page(session, lambda: PANELS["timeline"](Look(Palette())))
    page.first.travel.two.active = True
    assert page.root.children == [page.first.root, page.second.root]
    page.second.travel.slider.value = 0.05
    at_once(page.second)
    page.refresh()
    assert page.second._drawn().now_us() == 50_000 and page.first._drawn().now_us() == session.now_us() > 50_000
    page.first.travel.two.active = False
    assert page.second is None and page.root.children == [page.first.root]


def test_shares_of_a_moment_end_there(cluster):
    shown, controls = shown_live(cluster, "shares")
    ends = {name: source.data["at_s"][-1] for name, source in shown.panel._sources.items()}
    assert set(ends) == {"sweep", "etl"}
    controls.slider.value = 0.05
    at_once(shown)
    assert all(max(source.data["at_s"], default=0) <= 0.05 for source in shown.panel._sources.values())
    controls.live.active = True
    at_once(shown)
    assert {name: source.data["at_s"][-1] for name, source in shown.panel._sources.items()} == ends


# -- served -----------------------------------------------------------------------------------------------------------


def page(panels, path):
    address = f"http://127.0.0.1:{panels.connection.port}{panels.prefix}{path}"

    async def fetch():
        return await AsyncHTTPClient().fetch(HTTPRequest(address, headers={"Authorization": f"token {panels.token}"}))

    return asyncio.run(fetch()).body.decode()


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize(("theme", "background"), [("light", "#ffffff"), ("dark", "#111111")])
def test_a_chart_is_served_in_either_theme_with_resources_of_the_server(panels, cluster, name, theme, background):
    html = page(panels, f"/{name}?session={cluster.id}&theme={theme}")
    assert f"background: {background}" in html and f"{cluster.id}: " in html
    assert "cdn.bokeh.org" not in html and "static/js/bokeh" in html


# -- a board's past -------------------------------------------------------------------------------------------------------


def asked(session, **command):
    return commands.obey(session, {"id": 1, **command})


def test_a_board_looks_back_by_commands(cluster):
    ack = asked(cluster, do="look back")
    past = Session.known[ack["past"]]
    assert ack["ok"] and ack["position"] == ack["calls"] == len(cluster.log.steps)
    assert asked(past, do="move", by="start")["position"] == 0
    assert asked(past, do="move", by="+ cycle")["position"] == moments.next_cycle(past.log.steps, 0)
    there = asked(past, do="seek", to=0.05)
    assert there["at_s"] == 0.05 and there["code"] == 'mb.replay(sim.log).seek("0.050s")'
    assert asked(past, do="seek", to=-3)["position"] == moments.recording(past)._moments.step_at(past.log.began_us)
    assert asked(past, do="look back")["past"] == past.id, "a recording is its own past"
    apart = Session.known[asked(past, do="look apart")["past"]]
    asked(apart, do="move", by="start")
    assert apart.position == 0 < past.position, "a second board beside the first shows another moment"


@pytest.mark.parametrize(
    ("command", "because"),
    [
        ({"do": "seek", "to": 1}, "look back first"),
        ({"do": "move", "by": "start"}, "look back first"),
        ({"do": "seek", "to": "soon"}, "a number as to"),
    ],
)
def test_what_goes_on_is_not_moved(cluster, command, because):
    ack = asked(cluster, **command)
    assert not ack["ok"] and because in ack["because"]


def test_a_move_that_is_none_is_named(cluster):
    ack = asked(mb.replay(cluster.log), do="move", by="sideways")
    assert not ack["ok"] and "'sideways' is no move" in ack["because"]


def test_a_long_past_is_opened_meanwhile(cluster, monkeypatch):
    monkeypatch.setattr(moments, "AT_ONCE", 0)
    answer = wait_for(lambda: (ack := asked(cluster, do="look back"))["past"] and ack, 10, "the past is open")
    assert Session.known[answer["past"]].log.steps == cluster.log.steps


def test_few_pasts_are_kept(cluster):
    ids = [asked(cluster, do="look back")["past"] for _ in range(moments.PASTS_KEPT + 2)]
    gc.collect()
    assert [name in Session.known for name in ids] == [False] * 2 + [True] * moments.PASTS_KEPT
