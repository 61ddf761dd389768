"""Charts in a real browser: each is drawn, in light and dark, with nothing fetched from elsewhere; recordings are travelled."""

import pytest

import mesonb as mb
from mesonb.panels.apps import PANELS
from mesonb.panels.export import write_player
from mesonb.sim import normal
from tests.browser.lab import Notebook, page_of, unreadable
from tests.helpers import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def train(rate):
    return rate


class Descent(mb.Framework):
    """Reports iterations, and has a mistake in it."""

    def on_registered(self, tasks):
        self.iteration = 0
        for number in range(20):
            self.placed(near=number % 10 > 0, waited="1s")
        self.descend()

    def descend(self):
        self.iteration += 1
        self.progress(iteration=self.iteration, total=60, loss=1 / self.iteration)
        self.call_later("1s", self.descend)

    def on_offers(self, offers):
        raise ValueError("a mistake in a cell")


@pytest.fixture(scope="module")
def run():
    """Three roles on five agents; one agent is lost, two tasks are killed."""
    sim = mb.Simulation(agents=5, seed=1, latency="20ms")
    sim.runs_for(train, normal("8s", "3s"), execute=False)
    for name, role in (("sweep", "research"), ("etl", "ops"), ("lab", "ops")):
        sim.register(mb.Queue(needs=mb.Resources(cpus=1, mem="2GB")), name=name, role=role).map(train, range(60))
    sim.register(Descent(), name="descent", role="science")
    sim.run("20s")
    sim.lose_agent("agent-3")
    for task in list(sim.drivers["lab"].tasks)[:2]:
        sim.drivers["lab"].kill(task)
    sim.run("20s")
    return sim


#: What is to be read on each chart.
READ = {
    "shares": ["live, after call", "Two moments"],
    "timeline": ["sweep", "killed", "4 lost"],
    "offers": ["sent", "accepted", "median answer"],
    "frameworks": ["research", "a mistake in a cell"],
    "allocation": ["next at", "In order of whose turn it is"],
    "iterations": ["of 60", "each takes"],
    "events": ["what followed", "TaskUpdate"],
    "use": ["measured on live agents"],
    "locality": ["near", "waited in vain", "90%"],
    "output": ["Only tasks that really run"],
    "hand": ["Nobody is the scheduler here yet"],
    "steer": ["Pause offers", "Step one call", "guarantee"],
}


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PANELS)
def test_a_chart_is_drawn(chart, run, name, theme, tmp_path):
    page = chart(name, run, theme)
    for words in READ[name]:
        page.get_by_text(words).first.wait_for()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 17, 17)"}[theme]
    picture = page.screenshot(path=tmp_path / f"{name}-{theme}.png")
    assert unreadable(page) == []
    if name not in ("frameworks", "events", "use", "steer", "output", "hand"):
        assert page.locator("canvas").count() >= 1
        assert len(picture) > 15_000, "something is drawn, not a blank page"


def test_a_chart_goes_on_by_itself(chart, run):
    page = chart("events", run)
    run.pause()
    page.get_by_text("pause", exact=True).first.wait_for()
    page.get_by_placeholder("only what has this").fill("agent-3 ")
    page.get_by_text("pause", exact=True).first.wait_for(state="hidden")
    run.resume()


def test_a_recording_is_travelled_by_its_buttons(chart, run):
    replay = mb.replay(run.log)
    page = chart("timeline", replay)
    page.get_by_role("button", name="Start").click()
    page.get_by_text("after call 0 of").wait_for()
    page.get_by_role("button", name="call ›").click()
    page.get_by_text("after call 1 of").wait_for()
    page.get_by_role("button", name="cycle »").click()
    page.get_by_text("after call 1 of").wait_for(state="hidden")
    assert replay.core.offers
    page.get_by_role("button", name="Play", exact=True).click()
    before = replay.now_us()
    until(page, lambda: replay.now_us() > before + 1_000_000, "a second has been played")


def until(page, condition, what):
    """Wait for a condition while the page goes on."""
    return wait_for(lambda: (page.wait_for_timeout(20), condition())[1], 20, what)


def test_an_exported_run_plays_with_no_kernel_and_no_network(browser, run, tmp_path):
    path = write_player(run, tmp_path / "run.html")
    with page_of(browser) as page:
        heard = []
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("console", lambda message: heard.append(message.text))
        page.context.set_offline(True)
        page.goto(f"{path.as_uri()}#t=10")
        until(page, lambda: page.evaluate("document.body.dataset.at") == "10000", "ten seconds are shown")
        until(page, lambda: page.locator("#lines li").count() == 10, "the lines of then")
        assert "sweep" in page.inner_text("#frameworks")
        page.select_option("#speed", "10")
        page.get_by_role("button", name="Play").click()
        until(page, lambda: float(page.evaluate("document.body.dataset.at")) > 15_000, "five seconds have been played")
        page.get_by_role("button", name="Pause").click()
        page.locator("#at").fill("20500")
        box = page.locator("#tasks").bounding_box()
        page.mouse.move(box["x"] + 120, box["y"] + 6)
        until(page, lambda: "launched at" in page.inner_text("#told"), "what the pointer is at")
        assert not heard


LIVE = """
import time
import mesonb as mb

master = mb.Master(agents=[mb.Resources(cpus=2, mem="1GB")] * 2, name="charts")

def work(seconds):
    time.sleep(seconds)

queue = master.register(mb.Queue(needs=mb.Resources(cpus=1, mem="100MB")), name="sweep", role="research")
queue.map(work, [0.2] * 200)
master.watch("timeline")
"""


def said(page):
    """What the timeline in the page says in words; a lab may load the frame again when cells move, and then it is nothing."""
    frame = next((frame for frame in page.frames if "/timeline?" in frame.url), None)
    texts = "[...window.Bokeh?.documents?.[0]?._all_models?.values() ?? []].map(model => model.text).filter(text => text).join(' ')"
    return frame.evaluate(texts) if frame else ""


@pytest.mark.slow
@pytest.mark.live
def test_a_chart_in_a_cell_follows_a_live_master_while_the_kernel_is_busy(page, lab):
    notebook = Notebook(page, lab, "charts", [LIVE, "time.sleep(6)", "master.close(cluster=True)"])
    try:
        notebook.run_to_end(0)
        assert page.locator("iframe[title^='Timeline of']").count() == 1
        notebook.until(lambda: "finished" in said(page), 30, "the chart is drawn")
        notebook.run(1)
        notebook.until_status("busy", 5)
        before = notebook.until(lambda: said(page), 10, "the chart is there while the cell runs")
        notebook.until(lambda: said(page) not in ("", before), 10, "more tasks on the chart")
        assert notebook.counter(1) is None, "the cell runs yet"
        notebook.until(lambda: notebook.counter(1) is not None, 30, "the cell has ended")
    finally:
        notebook.run_to_end(2)
