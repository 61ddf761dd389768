"""Cards of a simulation, answered in a real browser while its time passes by itself; pictures of each theme."""

import pytest

import mesonb as mb

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_the_cards_of_a_simulation_are_drawn_and_answered(chart, tmp_path, theme):
    sim = mb.Simulation(agents=4, seed=1)
    sim.runs_for(max, "2s")
    sim.register(mb.Hand(needs=mb.Resources(cpus=1, mem="1GB"), functions=[max, min]), name="me", role="people")
    sim.run("1s")
    page = chart("hand", sim, theme)
    page.get_by_role("button", name="Accept offer-2", exact=True).wait_for()
    card = page.locator(".bk-Column", has=page.get_by_role("button", name="Accept offer-1", exact=True)).last
    card.get_by_label("arguments").fill("3, 4")
    card.get_by_role("button", name="Accept offer-1", exact=True).click()
    page.get_by_role("button", name="Let time pass").click()
    page.get_by_text("max(3, 4)").first.wait_for()
    page.get_by_text("finished").first.wait_for()
    page.get_by_role("button", name="Stop time").click()
    page.get_by_role("button", name="Let time pass").wait_for()
    assert page.screenshot(path=tmp_path / f"hand-{theme}.png")
    sim.hold()
