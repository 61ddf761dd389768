"""Large boards in a real JupyterLab: the heat map's zoom, names and stories; and that what is drawn bit by bit is the picture."""

import re

import pytest

from tests.browser.lab import Notebook, browser_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

#: Three thousand agents of which some tasks end now and then, and ninety that are tiles.
SIMULATE = """
import time
import mesonb as mb

def cluster(agents):
    sim = mb.Simulation(agents=agents, seed=1)
    sim.runs_for(time.sleep, lambda seconds: seconds, execute=False)
    for number, name in enumerate(["sweep", "etl", "nightly"]):
        queue = sim.register(mb.Queue(needs=mb.Resources(cpus=1 + number, mem="4GB")), name=name, role=f"role-{number}")
        queue.map(time.sleep, [1 + n % 9 for n in range(agents)])
    return sim.run("1s")

large, small = cluster(3000), cluster(90)
"""
PASS = "for _ in range(12):\n    {}.run('400ms'); time.sleep(0.1)\n{}.pause(); {}.run('2s'); None"
CELLS = {
    "set up": SIMULATE,
    "large": "large",
    "time of large": PASS.replace("{}", "large"),
    "end of large": "large.resume(); large.run('1h'); large.snapshot().task_count",
    "small": "from IPython.display import clear_output; small",
    "time of small": PASS.replace("{}", "small"),
}
CELL = {name: number for number, name in enumerate(CELLS)}
AT = {"x": 200, "y": 150}
PIXELS = "document.querySelector('.mesonb .agents').toDataURL()"
#: Boards look again at the theme, and draw everything, when the page's own looks change.
DRAW_ALL_ANEW = "document.body.classList.toggle('looked-at')"
CLEAR = "window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"


@pytest.fixture(scope="module")
def notebook(lab, chromium_path):
    with browser_page(chromium_path) as page:
        opened = Notebook(page, lab, "heat", list(CELLS.values()))
        opened.run_to_end(CELL["set up"])
        yield opened


def show(notebook: Notebook, which: str) -> None:
    notebook.page.evaluate(CLEAR)
    notebook.run_to_end(CELL[which])
    notebook.until(lambda: notebook.board().get("state") == "live", 30, f"the board of {which} is live")
    notebook.page.locator(".mesonb .agents").scroll_into_view_if_needed()


@pytest.fixture
def heat(notebook):
    """The heat map, of which all is shown, with nothing pointed at."""
    if "cells" not in notebook.board():
        show(notebook, "large")
        notebook.until(lambda: "cells" in notebook.board(), 20, "a heat map is drawn")
    notebook.page.locator(".mesonb .agents").focus()
    notebook.page.keyboard.press("0")
    notebook.until(lambda: zoom(notebook) == 1, 5, "all is shown")
    return notebook


def zoom(notebook: Notebook) -> float:
    return float(notebook.board()["zoom"])


def told(notebook: Notebook) -> str:
    return notebook.page.locator(".mesonb .told").inner_text()


def agent_told(notebook: Notebook) -> str:
    return (re.match(r"agent-\d+", told(notebook)) or [""])[0]


def test_more_agents_than_tiles_are_a_heat_map_that_says_what_it_shows(heat):
    assert heat.board()["cells"] == "3000"
    assert heat.page.get_by_role("img", name=re.compile("^3,000 agents as a heat map: sweep runs")).count() == 1


def test_hovering_names_an_agent_and_a_click_tells_its_story(heat):
    agents = heat.page.locator(".mesonb .agents")
    agents.hover(position=AT)
    heat.until(lambda: agent_told(heat), 5, "an agent's name")
    assert "4 cpus, 16 GB mem" in told(heat) and "% filled" in told(heat)
    name = agent_told(heat)
    agents.click(position=AT)
    story = heat.page.locator(".mesonb .story")
    heat.until(
        lambda: story.inner_text().startswith(f"{name} runs") or f"{name} runs" in story.inner_text(), 5, "a story"
    )
    assert "running for" in story.inner_text()
    task = story.locator("table .name").first
    told_of = task.inner_text()
    task.click()
    heat.until(lambda: f"{told_of} is running on {name}" in story.inner_text(), 5, "the story of a task of its")
    heat.page.locator(".mesonb tbody .name", has_text="sweep").first.click()
    heat.until(lambda: "sweep has" in story.inner_text(), 5, "the story of a framework")
    story.get_by_role("button", name="close").click()
    assert not story.is_visible()


def test_the_wheel_zooms_where_the_pointer_is_once_the_map_has_the_focus(heat):
    agents = heat.page.locator(".mesonb .agents")
    agents.hover(position=AT)
    agents.evaluate("(canvas) => canvas.blur()")
    heat.page.mouse.wheel(0, -1)
    heat.until(lambda: "click the map first" in told(heat), 5, "how to zoom")
    assert zoom(heat) == 1
    agents.focus()
    agents.hover(position={"x": AT["x"], "y": AT["y"] + 1})
    heat.until(lambda: agent_told(heat), 5, "an agent's name")
    name = agent_told(heat)
    for _ in range(6):
        heat.page.mouse.wheel(0, -60)
    heat.until(lambda: zoom(heat) > 4, 5, "it is zoomed")
    agents.hover(position={"x": AT["x"] + 1, "y": AT["y"]})
    heat.until(lambda: agent_told(heat) == name, 5, "what was under the pointer is there still")


@pytest.mark.slow
def test_a_map_that_is_zoomed_is_dragged_and_dragging_is_no_click(heat):
    agents, mouse = heat.page.locator(".mesonb .agents"), heat.page.mouse
    for _ in range(2):
        heat.page.get_by_role("button", name="Zoom in").click()
    heat.until(lambda: zoom(heat) == 4, 5, "it is zoomed")
    agents.hover(position=AT)
    heat.until(lambda: agent_told(heat), 5, "an agent's name")
    name, box = agent_told(heat), agents.bounding_box()
    mouse.down()
    mouse.move(box["x"] + AT["x"] - 80, box["y"] + AT["y"] - 40, steps=4)
    mouse.up()
    assert not heat.page.locator(".mesonb .story").is_visible()
    agents.hover(position={"x": AT["x"] - 80, "y": AT["y"] - 41})
    heat.until(lambda: agent_told(heat) == name, 5, "it moved with the pointer")
    heat.page.get_by_role("button", name="Show all agents").click()
    heat.until(lambda: zoom(heat) == 1, 5, "all is shown")


@pytest.mark.slow
def test_a_map_of_another_width_shows_the_same_middle(heat):
    agents = heat.page.locator(".mesonb .agents")
    for _ in range(3):
        heat.page.get_by_role("button", name="Zoom in").click()
    heat.until(lambda: zoom(heat) == 8, 5, "it is zoomed")
    wide = agents.bounding_box()["width"]
    name = in_the_middle(heat)
    heat.page.evaluate("document.querySelector('.mesonb').style.width = '600px'")  # where it stands in no outer column
    heat.until(lambda: agents.bounding_box()["width"] != wide, 5, "another width")
    heat.until(lambda: in_the_middle(heat) == name, 5, f"{name} in the middle still")
    assert zoom(heat) == 8
    heat.page.evaluate("document.querySelector('.mesonb').style.width = ''")
    heat.until(lambda: agents.bounding_box()["width"] == wide, 5, "the width it had")


def in_the_middle(heat) -> str:
    heat.page.mouse.move(0, 0)
    heat.until(lambda: not told(heat), 5, "nothing is pointed at")
    heat.page.locator(".mesonb .agents").hover()
    heat.until(lambda: agent_told(heat), 5, "an agent's name")
    return agent_told(heat)


def test_keys_walk_zoom_and_tell(heat):
    keyboard = heat.page.keyboard
    heat.page.mouse.move(0, 0)
    heat.until(lambda: not told(heat), 5, "nothing is pointed at")
    keyboard.press("ArrowRight")
    heat.until(lambda: agent_told(heat) == "agent-1", 5, "the first agent")
    keyboard.press("ArrowRight")
    heat.until(lambda: agent_told(heat) == "agent-2", 5, "the second")
    keyboard.press("+")
    heat.until(lambda: zoom(heat) > 1, 5, "it is zoomed")
    keyboard.press("Enter")
    story = heat.page.locator(".mesonb .story")
    heat.until(lambda: "agent-2 runs" in story.inner_text(), 5, "its story")


def same_when_drawn_anew(notebook: Notebook) -> None:
    """Nothing must be left of what was there before: the picture is that which is drawn in one go."""
    page = notebook.page
    page.mouse.move(0, 0)
    frames = notebook.frames()
    notebook.until(lambda: "paused" in notebook.page.locator(".mesonb .badge").inner_text(), 10, "the last frame")
    assert frames > 3
    page.wait_for_function(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    before = page.evaluate(PIXELS)
    page.evaluate(DRAW_ALL_ANEW)
    page.wait_for_function(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    assert page.evaluate(PIXELS) == before


@pytest.mark.slow
def test_a_heat_map_drawn_bit_by_bit_is_the_picture_and_empties_in_the_end(heat):
    heat.run_to_end(CELL["time of large"])
    same_when_drawn_anew(heat)
    heat.run_to_end(CELL["end of large"])
    heat.page.locator(".mesonb .agents").focus()
    heat.page.keyboard.press("ArrowRight")
    heat.until(lambda: told(heat).endswith("free"), 5, "an agent with nothing on it")


@pytest.mark.slow
def test_tiles_drawn_bit_by_bit_are_the_picture(notebook):
    show(notebook, "small")
    notebook.run_to_end(CELL["time of small"])
    same_when_drawn_anew(notebook)
