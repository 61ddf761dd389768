"""Keyboard and reduced motion in a real browser, over all panels, the board and the sidebar.

Tab comes to every control, from above to below, and a ring shows where it is; who wants no motion sees none.
"""

from pathlib import Path

import pytest

import mesonb as mb
from mesonb.panels.apps import PANELS
from tests.browser.lab import Notebook, unreadable
from tests.helpers import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

FOCUS = (Path(__file__).parent / "focus.js").read_text()
RING_PX, CONTRAST = 2, 3  #: WCAG 2: of what marks a control
ROW_PX = 40  #: controls that are so far apart stand in one row; the taller of them begin above
#: Cards that stand beside each other have rows of their own, and so has what scrolls in a box.
ASIDE = ("hand", "events")
#: Whether all parts of a page have their ring: one that is drawn later has it within a moment.
DRESSED = """document.adoptedStyleSheets.length
  && [...document.querySelectorAll("*")].every((part) => !part.shadowRoot || part.shadowRoot.adoptedStyleSheets.length)"""
#: Pictures of an element, one a drawing of the page; without motion they are all the same.
PICTURES = """(canvas) => new Promise((done) => {
  const seen = new Set();
  const look = (left) => { seen.add(canvas.toDataURL()); left ? requestAnimationFrame(() => look(left - 1)) : done(seen.size); };
  look(60);
})"""


@pytest.fixture(scope="module")
def run():
    """Frameworks that run, and one whose offers are held for a person."""
    sim = mb.Simulation(agents=3, seed=1, latency="20ms")
    sim.runs_for(max, "2s", execute=False)
    needs = mb.Resources(cpus=1, mem="2GB")
    sim.register(mb.Queue(needs=needs), name="etl", role="ops").map(max, range(4))
    sim.register(mb.Hand(needs=needs, functions=[max]), name="me", role="people")
    sim.run("1s")
    return sim


def found(page, root="body"):
    return page.evaluate(FOCUS, root)


def tabbed(page, root="body"):
    """Press Tab from before the first control until after the last; return what there is, and where it was."""
    there = found(page, root)["controls"]
    for _ in there:
        page.keyboard.press("Tab")
    return there, page.evaluate("window.stops")


def check(name, there, stops):
    """Every control is come to once, in the order of what is seen, with a ring that is seen."""
    missed = [control["what"] for control in there if control["number"] not in {stop["number"] for stop in stops}]
    assert not missed, f"{name}: Tab never comes to {missed}"
    assert [stop["number"] for stop in stops] == sorted({stop["number"] for stop in stops}), f"{name}: out of order"
    for stop in stops:
        ring = stop["ring"] >= RING_PX and stop["contrast"] >= CONTRAST
        assert ring, f"{name}: no ring is seen on {stop['what']!r}: {stop['ring']} px, contrast {stop['contrast']:.1f}"


def from_above(name, there):
    """A panel is read row by row."""
    for before, after in zip(there, there[1:], strict=False):
        assert after["y"] > before["y"] - ROW_PX, f"{name}: from {before['what']!r} up to {after['what']!r}"


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_tab_comes_to_every_control_of_every_panel_and_nothing_moves_for_who_wishes_so(chart, run, theme, tmp_path):
    moved = {}
    for name in PANELS:
        page = chart(name, run, theme)
        page.get_by_role("button", name="Two moments").wait_for()
        page.wait_for_function(DRESSED)
        there, stops = tabbed(page)
        check(name, there, stops)
        if name not in ASIDE:
            from_above(name, there)
        assert {"Live", "Play", "explain …"} <= {stop["what"].split(" ", 1)[1][:9] for stop in stops}, name
        page.screenshot(path=tmp_path / f"{name}-{theme}.png")
        moved[name] = keeps_its_parts_still(page, name)
    assert any(moved.values()), "otherwise this looks at nothing"


def keeps_its_parts_still(page, name):
    """Say what would move; for who wishes no motion, nothing does."""
    would = found(page)["moving"]
    page.emulate_media(reduced_motion="reduce")
    wait_for(lambda: (page.wait_for_timeout(20), not found(page)["moving"])[1], 15, f"nothing of {name} moves")
    page.emulate_media(reduced_motion="no-preference")
    return would


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_list_of_completions_can_be_read_and_closes_when_the_keyboard_goes_on(chart, run, theme, tmp_path):
    page = chart("steer", run, theme)
    page.get_by_label("task", exact=True).focus()
    completion = page.locator(".bk-menu > div", has_text="etl/task-1")
    completion.wait_for()
    page.screenshot(path=tmp_path / f"menu-{theme}.png")
    assert unreadable(page) == []
    page.keyboard.press("Tab")
    completion.wait_for(state="hidden")


BOARD = """
import mesonb as mb
sim = mb.Simulation(agents=3, seed=1, latency="20ms")
sim.runs_for(max, "1h")
needs = mb.Resources(cpus=1, mem="2GB")
sim.register(mb.Queue(needs=needs), name="etl", role="ops").map(max, range(2))
sim.register(mb.Hand(needs=needs, functions=[max]), name="me", role="people")
sim.run("5s")
sim
"""


def test_board_and_sidebar_are_used_with_the_keyboard_alone_and_keep_still_where_that_is_wished(
    extended, page, tmp_path
):
    notebook = Notebook(page, extended, "manners", [BOARD])
    notebook.run_to_end(0)
    notebook.until(lambda: notebook.board().get("state") == "live", 20, "the board is live")
    board_by_keyboard(notebook, page)
    keeps_still(notebook, page)
    sidebar_by_keyboard(notebook, page)
    assert page.screenshot(path=tmp_path / "keyboard.png")


def board_by_keyboard(notebook, page):
    page.locator(".mesonb .title, .mesonb h3").first.click()
    page.locator(".mesonb .pause").focus()
    page.keyboard.press("Shift+Tab")
    there, stops = tabbed(page, ".mesonb")
    check("board", there, stops)
    page.locator(".mesonb .agents").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    notebook.until(lambda: "agent-1" in page.locator(".mesonb .story").inner_text(), 10, "the story of an agent")


def keeps_still(notebook, page):
    """Offers in flight move, and stop for who wants no motion."""
    agents = page.locator(".mesonb .agents")
    notebook.until(lambda: agents.evaluate(PICTURES) > 1, 20, "offers in flight move")
    page.emulate_media(reduced_motion="reduce")
    notebook.until(lambda: agents.evaluate(PICTURES) == 1, 20, "they keep still")
    assert not found(page, ".mesonb")["moving"]
    assert page.evaluate("document.querySelector('.mesonb').getAnimations({subtree: true}).length") == 0


def sidebar_by_keyboard(notebook, page):
    page.evaluate("window.jupyterapp.commands.execute('mesonb:show')")
    first = page.locator("#mesonb-sidebar .mesonb-name").first
    first.wait_for()
    notebook.until(
        lambda: page.locator("#mesonb-sidebar .mesonb[data-state=live]").count() == 1, 20, "its board is live"
    )
    first.focus()
    page.keyboard.press("Shift+Tab")
    there, stops = tabbed(page, "#mesonb-sidebar")
    check("sidebar", there, stops)
    page.locator("#mesonb-sidebar button", has_text="Shares").first.focus()
    page.keyboard.press("Enter")
    page.locator("#jp-main-dock-panel .lm-TabBar-tabLabel", has_text="hares").wait_for()
