"""The board in a real JupyterLab, of a live master with real Dask workers, while a cell keeps the kernel busy."""

import re

import pytest

from tests.browser.lab import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.timeout(240)]

SHARE_A_CLUSTER = """
import time
import mesonb as mb

master = mb.Master(agents=[mb.Resources(cpus=2, mem="1GB")] * 2, name="NAME")

def work(seconds):
    time.sleep(seconds)

small = mb.Resources(cpus=0.5, mem="100MB")
sweep = master.register(mb.Queue(needs=small), name="sweep", role="research")
etl = master.register(mb.Queue(needs=small), name="etl", role="ops")
for queue in (sweep, etl):
    queue.map(work, [0.05] * 20_000)
master
"""
BUSY = {
    "asleep": "time.sleep(12)",
    "in a Python loop": "end = time.monotonic() + 12\nwhile time.monotonic() < end:\n    sum(range(1000))",
}
AFTERWARDS = 'print("paused", master.snapshot().paused, "weight", master.weights["research"])'
END = "master.close(cluster=True)"
FRAMES, FRAMES_WITHIN_S = 25, 5
ACK_WITHIN_S = 1.5


@pytest.fixture
def notebook(page, lab, request):
    """A notebook whose first cell shares a cluster and shows its board; the cluster ends with the test."""
    busy = BUSY[request.param]
    name = re.sub(r"\W+", "-", request.node.name).strip("-")[-40:]
    cells = [SHARE_A_CLUSTER.replace("NAME", name), busy, AFTERWARDS, END]
    opened = Notebook(page, lab, name, cells)
    try:
        opened.run_to_end(0)
        opened.until(lambda: opened.board().get("transport") == "ws", 30, "the board is live by WebSocket")
        yield opened
    finally:
        opened.run_to_end(3)


def acks(notebook):
    return int(notebook.board().get("acks", 0))


def keep_busy(notebook):
    notebook.run(1)
    notebook.until_status("busy", 5)


def still_busy(notebook):
    """Whether the cell runs yet; the kernel's own word is no help here, as it says idle after each comm message."""
    return notebook.counter(1) is None


@pytest.mark.parametrize("notebook", list(BUSY), indirect=True)
def test_frames_come_and_controls_act_while_the_kernel_is(notebook):
    keep_busy(notebook)
    first = notebook.frames()
    notebook.until(lambda: notebook.frames() >= first + FRAMES, FRAMES_WITHIN_S, f"{FRAMES} more frames")
    assert still_busy(notebook)

    notebook.page.click(".mesonb .pause")
    notebook.until(lambda: acks(notebook) == 1, ACK_WITHIN_S, "the pause is acknowledged")
    notebook.until(lambda: notebook.board()["paused"] == "true", ACK_WITHIN_S, "the board says paused")
    assert still_busy(notebook)

    weight = notebook.page.get_by_label("Weight of role research", exact=True)
    weight.fill("3")
    weight.press("Enter")
    notebook.until(lambda: acks(notebook) == 2, ACK_WITHIN_S, "the weight is acknowledged")
    assert still_busy(notebook)

    notebook.until_status("idle", 20)
    notebook.run_to_end(2)
    assert "paused True weight 3.0" in notebook.output(2)


@pytest.mark.parametrize("notebook", ["asleep"], indirect=True)
def test_what_the_board_shows_is_what_the_master_has(notebook):
    page = notebook.page
    assert page.get_by_role("img", name=re.compile("^2 agents")).count() == 1
    frameworks = page.locator(".mesonb tbody tr").all_inner_texts()
    assert len(frameworks) == 2
    assert re.search(r"S\s+sweep", frameworks[0]) and re.search(r"E\s+etl", frameworks[1])
    assert "2 agents" in page.locator(".mesonb header").inner_text()
    page.locator(".mesonb .agents").focus()
    page.keyboard.press("ArrowRight")
    notebook.until(lambda: "cpus" in page.locator(".mesonb .told").inner_text(), 5, "an agent's contents in words")


@pytest.mark.parametrize("notebook", ["asleep"], indirect=True)
def test_with_its_server_extension_gone_the_board_goes_on_by_comm_even_while_busy(notebook):
    """Cut the WebSocket, and refuse every new one: what is left is the widget's comm."""
    cut = "for (const s of window.__sockets) s.close(); window.__refuse = true"
    notebook.page.add_init_script(COUNT_SOCKETS)
    notebook.page.reload()
    notebook.ready()
    notebook.run_to_end(0)
    notebook.until(lambda: notebook.board().get("transport") == "ws", 30, "the board is live by WebSocket")
    notebook.page.evaluate(cut)
    notebook.until(lambda: notebook.board()["transport"] == "comm", 15, "frames come by comm")
    keep_busy(notebook)
    first = notebook.frames()
    notebook.until(lambda: notebook.frames() >= first + FRAMES, FRAMES_WITHIN_S, f"{FRAMES} more frames by comm")
    before = acks(notebook)
    notebook.page.click(".mesonb .pause")
    notebook.until(lambda: acks(notebook) == before + 1, ACK_WITHIN_S, "the pause is acknowledged by comm")
    assert still_busy(notebook) and notebook.board()["transport"] == "comm"


#: Lets a test close a page's board sockets and refuse new ones, as a server without the extension would.
COUNT_SOCKETS = """
const Real = window.WebSocket;
window.__sockets = [];
window.WebSocket = class extends Real {
  constructor(url, ...rest) {
    super(String(url).includes('/mesonb/') && window.__refuse ? String(url).replace('/session/', '/nowhere/') : url, ...rest);
    if (String(url).includes('/mesonb/')) window.__sockets.push(this);
  }
};
"""
