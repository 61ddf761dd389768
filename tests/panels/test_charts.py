"""What all charts have in common: reading a log as it grows, travelling, pages in either theme, and failing alone."""

import asyncio
import gc

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

import mesonb as mb
from mesonb import notebook
from mesonb.core.checkpoint import Checkpoint
from mesonb.panels import reading, travel
from mesonb.panels.app import Look, Panel, Shown
from mesonb.panels.apps import APPS, PANELS
from mesonb.panels.reading import Reader
from mesonb.panels.view import Palette


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
    first = travel.next_cycle(steps, 0)
    assert any(type(event).__name__ == "OfferMade" for event in steps[first - 1].events)
    second = travel.next_cycle(steps, first)
    assert first < second and travel.previous_cycle(steps, second) == first
    assert travel.previous_cycle(steps, 0) == 0 and travel.next_cycle(steps, len(steps)) == len(steps)


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


def test_only_recordings_have_a_slider(cluster):
    assert Shown(cluster, PANELS["timeline"](Look(Palette()))).travel is None


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
