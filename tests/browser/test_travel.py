"""Time travel in a real browser: a panel of a session that goes on looks back, plays, shows two moments, and comes back."""

import pytest

import mesonb as mb
from tests.browser.lab import BUSY, Notebook, unreadable
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


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["timeline", "shares"])
def test_a_panel_of_a_session_that_goes_on_looks_back(chart, run, theme, name, tmp_path):
    page = chart(name, run, theme)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_text("live, after call").wait_for()
    press(page, "Start")
    page.get_by_text("after call 0 of").wait_for()
    press(page, "cycle »")
    page.get_by_text("after call 0 of").wait_for(state="hidden")  # what is written anew takes the word below with it
    press(page, "Two moments")
    wait_for(lambda: (page.wait_for_timeout(20), page.locator(".bk-Figure").count() == 2)[1], 15, "two charts")
    page.get_by_text("live, after call").wait_for()
    page.get_by_role("button", name="put a link to this moment").first.click()
    page.get_by_text("copied: paste it into a cell").wait_for()
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.startswith("mb.replay(sim.log).seek(")
    linked = eval(code, {"mb": mb, "sim": run})
    assert 0 < linked.position < len(run.log.steps)
    assert page.screenshot(path=tmp_path / f"travel-{name}-{theme}.png")
    press(page, "Two moments", "Live")
    wait_for(lambda: (page.wait_for_timeout(20), page.locator(".bk-Figure").count() == 1)[1], 15, "one chart")
    page.get_by_text("live, after call").wait_for()


def test_the_past_is_played_and_dragged_by_keyboard(chart, run):
    page = chart("timeline", run)
    page.get_by_text("live, after call").wait_for()
    at = "Bokeh.documents[0].get_model_by_name('moment').value"
    press(page, "Start")
    wait_for(lambda: (page.wait_for_timeout(20), page.evaluate(at) == 0)[1], 15, "the start is shown")
    page.get_by_label("how fast it plays").select_option(
        label="0.25 x"
    )  # the end is far away, however late this hears of it
    press(page, "Play")
    wait_for(lambda: (page.wait_for_timeout(20), page.evaluate(at) > 0.2)[1], 15, "some of it has been played")
    press(page, "Pause")
    page.get_by_role("button", name="Play", exact=True).wait_for()
    before = page.evaluate(at)
    page.locator(".noUi-handle").press("ArrowRight")
    wait_for(lambda: (page.wait_for_timeout(50), page.evaluate(at) != before)[1], 15, "the slider is moved by a key")


BOARD = """
import time
import mesonb as mb
pretend = mb.Simulation(agents=4, seed=1, latency="20ms")
pretend.runs_for(max, mb.sim.normal("4s", "2s"), execute=False)
for name, role in (("etl", "ops"), ("sweep", "research")):
    pretend.register(mb.Queue(needs=mb.Resources(cpus=1, mem="2GB")), name=name, role=role).map(max, range(60))
pretend.run("20s")
pretend
"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_under_the_board_there_is_a_past_even_while_a_cell_is_busy(extended, page, tmp_path, theme):
    notebook = Notebook(page, extended, f"past-{theme}", [BOARD, BUSY.format("looked", "time.sleep(0.1)")])
    if theme == "dark":
        page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    notebook.run_to_end(0)
    notebook.until(lambda: notebook.board().get("transport") == "ws", 20, "the board is live")
    look_back(notebook, page)
    assert page.screenshot(path=tmp_path / f"board-past-{theme}.png")
    page.get_by_role("button", name="back to what is so now").click()
    notebook.until(lambda: notebook.board()["state"] == "live", 10, "the board is live again")
    two_moments(notebook, page, tmp_path)
    page.locator(".mesonb tbody .name").first.click()
    page.get_by_text("etl has ").wait_for()
    page.locator(".mesonb").screenshot(path=tmp_path / f"board-why-{theme}.png")
    assert unreadable(page, ".mesonb") == []


def look_back(notebook, page):
    """Go to the start, on, by keyboard, and put a link into a cell, while the kernel sleeps."""
    at = "document.querySelector('.mesonb .past').dataset.at"
    notebook.run(1)
    notebook.until_status("busy", 5)
    page.get_by_role("button", name="to the start").click()
    notebook.until(lambda: page.evaluate(at) == "0.000", 10, "the start is shown")
    notebook.until(lambda: notebook.board()["state"] == "past", 10, "the board says that this is past")
    notebook.until(lambda: "0 tasks" in page.locator(".mesonb header").inner_text(), 10, "nothing ran then")
    page.get_by_role("button", name="on to the next cycle").click()
    notebook.until(lambda: " offers" in page.locator(".mesonb header").inner_text(), 10, "the first offers")
    page.get_by_label("the moment that is shown").press("End")
    notebook.until(lambda: float(page.evaluate(at)) > 15, 10, "near the end")
    page.get_by_role("button", name="back by one call").click()
    page.get_by_role("button", name="put a link to this moment").click()
    notebook.until(
        lambda: any("mb.replay(pretend.log).seek(" in cell for cell in sources(page)), 10, "a link in a cell"
    )
    page.get_by_label("how fast it plays").select_option("5")
    page.get_by_role("button", name="to the start").click()
    notebook.until(lambda: page.evaluate(at) == "0.000", 10, "the start is shown again")
    page.get_by_role("button", name="play from here").click()
    notebook.until(lambda: float(page.evaluate(at)) > 2, 10, "two seconds have been played")
    assert notebook.counter(1) is None, "the cell runs yet"
    notebook.enough("looked")


def two_moments(notebook, page, tmp_path):
    """Show the start beside what is so now; then what is so now alone."""
    page.get_by_role("button", name="show another moment beside this one").click()
    second = page.locator(".mesonb").nth(1)
    second.get_by_role("button", name="to the start").click()
    state = "document.querySelectorAll('.mesonb')[1].dataset.state"
    notebook.until(lambda: page.evaluate(state) == "past", 15, "the second one shows the past")
    assert notebook.board()["state"] == "live"
    notebook.until(lambda: "0 tasks" in second.locator("header").inner_text(), 10, "nothing ran then")
    assert "0 tasks" not in page.locator(".mesonb header").first.inner_text()
    assert second.bounding_box()["y"] == page.locator(".mesonb").first.bounding_box()["y"], "side by side"
    page.screenshot(path=tmp_path / "two-moments.png")
    page.get_by_role("button", name="show another moment beside this one").click()
    notebook.until(lambda: page.locator(".mesonb").count() == 1, 5, "one board is there")


def sources(page):
    return page.evaluate("window.jupyterapp.shell.currentWidget.model.sharedModel.cells.map(cell => cell.source)")
