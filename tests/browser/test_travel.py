"""Time travel in a real browser: a panel of a session that goes on looks back, plays, shows two moments, and comes back."""

import pytest

import mesonb as mb
from tests.helpers import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def run():
    sim = mb.Simulation(agents=4, seed=1, latency="20ms")
    sim.runs_for(max, mb.sim.normal("4s", "2s"), execute=False)
    for name, role in (("etl", "ops"), ("sweep", "research")):
        queue = mb.Queue(needs=mb.Resources(cpus=1, mem="2GB"))
        sim.register(queue, name=name, role=role).map(max, range(60))
    sim.run("20s")
    return sim


def press(page, *names):
    for name in names:
        page.get_by_role("button", name=name, exact=True).first.click()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["timeline", "shares"])
def test_a_panel_of_a_session_that_goes_on_looks_back(chart, run, theme, name, tmp_path):
    page = chart(name, run, theme)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_text("live, after call").wait_for(timeout=10_000)
    press(page, "Start")
    page.get_by_text("after call 0 of").wait_for(timeout=15_000)
    press(page, "+ cycle", "Two moments")
    wait_for(lambda: (page.wait_for_timeout(20), page.locator(".bk-Figure").count() == 2)[1], 15, "two charts")
    page.get_by_text("live, after call").wait_for(timeout=10_000)
    page.get_by_role("button", name="put a link to this moment").first.click()
    page.get_by_text("copied: paste it into a cell").wait_for(timeout=5_000)
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.startswith("mb.replay(sim.log).seek(")
    linked = eval(code, {"mb": mb, "sim": run})
    assert 0 < linked.position < len(run.log.steps)
    assert page.screenshot(path=tmp_path / f"travel-{name}-{theme}.png")
    press(page, "Two moments", "Live")
    wait_for(lambda: (page.wait_for_timeout(20), page.locator(".bk-Figure").count() == 1)[1], 15, "one chart")
    page.get_by_text("live, after call").wait_for(timeout=10_000)


def test_the_past_is_played_and_dragged_by_keyboard(chart, run):
    page = chart("timeline", run)
    page.get_by_text("live, after call").wait_for(timeout=10_000)
    page.locator("select").filter(has_text="100 x").select_option(label="10 x")
    press(page, "Start", "Play")
    page.get_by_role("button", name="Pause", exact=True).wait_for(timeout=10_000)
    at = "Bokeh.documents[0].get_model_by_name('moment').value"
    wait_for(lambda: (page.wait_for_timeout(50), page.evaluate(at) > 2)[1], 15, "two seconds have been played")
    press(page, "Pause")
    before = page.evaluate(at)
    page.locator(".noUi-handle").press("ArrowRight")
    wait_for(lambda: (page.wait_for_timeout(50), page.evaluate(at) != before)[1], 15, "the slider is moved by a key")
