"""Why, in a real browser: a name is clicked, its story is told, and its remedy goes into a cell, or onto the clipboard."""

import pytest

import mesonb as mb
from tests.browser.lab import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CELL = """
import mesonb as mb
pretend = mb.Simulation(agents=3, seed=1)
pretend.runs_for(max, "8s", execute=False)
pretend.register(mb.Queue(needs=mb.Resources(cpus=1)), name="etl", role="ops").map(max, range(100))
pretend.register(mb.Queue(), name="sweep", role="research")
pretend.run("1s")
pretend.suppress("etl")
pretend.watch("frameworks")
"""


def test_a_remedy_goes_into_a_new_cell_below(extended, page):
    notebook = Notebook(page, extended, "why", [CELL, "print('untouched')"])
    notebook.run_to_end(0)
    frame = page.frame_locator("iframe[title^='Frameworks of']")
    frame.locator("button.chip[title='explain etl']").first.click()
    frame.get_by_text("etl has 12 tasks").wait_for()
    button = frame.get_by_role("button", name="put into a cell: pretend.revive('etl')")
    button.focus()
    page.keyboard.press("Enter")
    frame.get_by_text("it stands in a new cell").wait_for()
    cells = "window.jupyterapp.shell.currentWidget.model.sharedModel.cells.map(cell => cell.source)"
    sources = page.evaluate(cells)
    assert "pretend.revive('etl')" in sources and sources[-1] in ("print('untouched')", "pretend.revive('etl')")
    assert len(sources) == 3, "nothing was written over"
    notebook.run_to_end(sources.index("pretend.revive('etl')"))


#: Where in the chart's element the middle of the longest bar of a timeline lies.
LONGEST_BAR = """() => {
  const models = [...Bokeh.documents[0]._all_models.values()];
  const {data} = models.find((model) => model.type === "GlyphRenderer" && model.glyph.type === "Quad").data_source;
  const {x_scale, y_scale} = Bokeh.index.find_one(models.find((model) => model.type === "Figure")).frame;
  const [left, right, top, bottom] = ["left_s", "right_s", "top", "bottom"].map((name) => Array.from(data.get?.(name) ?? data[name]));
  const lengths = right.map((at, bar) => at - left[bar]), bar = lengths.indexOf(Math.max(...lengths));
  return {x: x_scale.compute((left[bar] + right[bar]) / 2), y: y_scale.compute((top[bar] + bottom[bar]) / 2)};
}"""


@pytest.fixture(scope="module")
def run():
    sim = mb.Simulation(agents=4, seed=1, latency="20ms")
    sim.runs_for(max, "8s", execute=False)
    sim.register(mb.Queue(needs=mb.Resources(cpus=1, mem="2GB")), name="etl", role="ops").map(max, range(40))
    sim.run("12s")
    sim.suppress("etl")
    return sim


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_name_is_explained_and_a_remedy_is_copied_where_there_is_no_notebook(chart, run, theme, tmp_path):
    page = chart("events", run, theme)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("button.name[data-why='agent-2']").first.click()
    page.get_by_text("agent-2 runs").wait_for()
    page.locator("select").first.select_option("etl")
    page.get_by_text("etl has ").wait_for()
    page.get_by_role("button", name="put into a cell: sim.revive('etl')").click()
    page.get_by_text("copied: paste it into a cell").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "sim.revive('etl')"
    assert page.screenshot(path=tmp_path / f"why-{theme}.png")


def test_a_bar_is_clicked(chart, run):
    page = chart("timeline", run)
    place = page.evaluate(LONGEST_BAR)
    canvas = page.locator(".bk-Figure").bounding_box()
    page.mouse.click(canvas["x"] + place["x"], canvas["y"] + place["y"])
    page.get_by_text("launched at").first.wait_for()


BEGIN = """
import mesonb as mb
sim = mb.Simulation(agents=1, seed=1)
sim.runs_for(max, "1h")
lab = sim.register(mb.Queue(), name="lab")
sim
"""


def test_what_is_told_goes_with_the_moment(extended, page):
    notebook = Notebook(page, extended, "told", [BEGIN, "lab.submit(max, 1, 2)\nsim.run('1s')\nNone"])
    notebook.run_to_end(0)
    board = page.locator(".jp-Cell .mesonb")
    board.locator("tbody .name", has_text="lab").click()
    board.locator(".story", has_text="lab has 0 tasks").wait_for()
    notebook.run_to_end(1)
    page.mouse.move(0, 0)
    board.locator(".story", has_text="lab has 1 task and 0 offers").wait_for()
