"""The board in a real JupyterLab, of a live master with real Dask workers, while a cell keeps the kernel busy."""

import re
import time

import pytest

from tests.browser.lab import BUSY, Notebook, browser_page

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.timeout(240)]

SHARE_A_CLUSTER = """
import ctypes, time
import mesonb as mb

master = mb.Master(agents=[mb.Resources(cpus=2, mem="1GB")] * 2, name="board-test")

def work(seconds):
    time.sleep(seconds)

small = mb.Resources(cpus=0.5, mem="100MB")
sweep = master.register(mb.Queue(needs=small), name="sweep", role="research")
etl = master.register(mb.Queue(needs=small), name="etl", role="ops")
for queue in (sweep, etl):
    queue.map(work, [0.03 + 0.01 * (n % 7) for n in range(40_000)])
master
"""
AFTERWARDS = """
print("paused", master.snapshot().paused, "weight", master.weights["research"])
master.resume()
master.weights["research"] = 1
"""
CELLS = {
    "show": SHARE_A_CLUSTER,
    "asleep": BUSY.format("awake", "time.sleep(0.5)"),
    "in a Python loop": BUSY.format("out", "sum(range(1000))"),
    "held by a C call": "ctypes.PyDLL(None).sleep(6)",  # a PyDLL's functions keep the interpreter's lock
    "afterwards": AFTERWARDS,
    "end": "master.close(cluster=True)",
}
CELL = {name: number for number, name in enumerate(CELLS)}
ENOUGH = {"asleep": "awake", "in a Python loop": "out"}
FRAMES, WITHIN_S = 20, 10
#: What the board promises: at least so many frames, and an answer to a click within so long.
FRAMES_A_SECOND, ACK_MS = 10, 200

#: Lets a test close the board's sockets and refuse new ones, as a server without the extension would.
COUNT_SOCKETS = """
const Real = window.WebSocket;
window.__sockets = [];
window.WebSocket = class extends Real {
  constructor(url, ...rest) {
    const ours = String(url).includes('/mesonb/');
    super(ours && window.__refuse ? String(url).replace('/session/', '/nowhere/') : url, ...rest);
    if (ours) window.__sockets.push(this);
  }
};
"""
CUT_SOCKETS = "window.__refuse = true; for (const socket of window.__sockets) socket.close()"


@pytest.fixture(scope="module")
def opened(lab, chromium_path):
    """A notebook whose first cell shares a cluster and shows its board; the cluster ends with the last test."""
    with browser_page(chromium_path) as page:
        page.add_init_script(COUNT_SOCKETS)
        notebook = Notebook(page, lab, "board", list(CELLS.values()))
        try:
            notebook.run_to_end(CELL["show"])
            yield notebook
        finally:
            for name in ENOUGH.values():
                notebook.enough(name)
            notebook.until_status("idle", 30)
            notebook.run_to_end(CELL["end"])


@pytest.fixture
def notebook(opened):
    """The same, with the board live and nothing paused."""
    opened.until_status("idle", 30)
    opened.run_to_end(CELL["afterwards"])
    opened.until(lambda: opened.board().get("state") == "live", 30, "the board is live")
    return opened


def acks(notebook):
    return int(notebook.board().get("acks", 0))


def keep_busy(notebook, how):
    (notebook.lab.notebooks / ENOUGH[how]).unlink(missing_ok=True)
    notebook.run(CELL[how])
    notebook.until_status("busy", WITHIN_S)


def best_rate(notebook):
    """Frames a second over five frames, of the first span that is as quick as is promised; others are slowed by the machine."""
    seen = []
    while len(seen) < 20 and max(seen, default=0) < FRAMES_A_SECOND:
        first, began_s = notebook.frames(), time.monotonic()
        notebook.until(lambda: notebook.frames() >= first + 5, WITHIN_S, "five more frames")  # noqa: B023
        seen.append((notebook.frames() - first) / (time.monotonic() - began_s))
    return max(seen)


def clicks(notebook):
    """How many ms the quickest of some clicks on pause takes until it is acknowledged; the board is paused at the end."""
    took_ms = []
    while len(took_ms) < 3 or (min(took_ms) >= ACK_MS and len(took_ms) < 15):  # pause, resume, pause
        for _ in range(2 if took_ms else 1):
            acked = acks(notebook)
            notebook.page.click(".mesonb .pause")
            notebook.until(lambda: acks(notebook) == acked + 1, WITHIN_S, "the click is acknowledged")  # noqa: B023
            took_ms.append(float(notebook.board()["ackMs"]))
    return min(took_ms)


def still_busy(notebook, how):
    """Whether the cell runs yet; the kernel's own word is no help here, as it says idle after each comm message."""
    return notebook.counter(CELL[how]) is None


@pytest.mark.parametrize("how", [pytest.param("asleep", marks=pytest.mark.slow), "in a Python loop"])
def test_frames_come_and_controls_act_while_the_kernel_is(notebook, how):
    assert notebook.board()["transport"] == "ws"
    keep_busy(notebook, how)
    assert best_rate(notebook) >= FRAMES_A_SECOND
    assert clicks(notebook) < ACK_MS, "a busy machine delays some of the clicks, not all of them"
    notebook.until(lambda: notebook.board()["paused"] == "true", WITHIN_S, "the board says paused")
    acked = acks(notebook)
    weight = notebook.page.get_by_label("Weight of role research", exact=True)
    weight.fill("3")
    weight.press("Enter")
    notebook.until(lambda: acks(notebook) == acked + 1, WITHIN_S, "the weight is acknowledged")
    assert still_busy(notebook, how), "all that happened while it was busy"

    notebook.enough(ENOUGH[how])
    notebook.until(lambda: not still_busy(notebook, how), 30, "the cell has ended")
    notebook.run_to_end(CELL["afterwards"])
    assert "paused True weight 3.0" in notebook.output(CELL["afterwards"])


def test_the_board_says_stale_while_nothing_can_come(notebook):
    """A C call that keeps the interpreter's lock stops every thread of the kernel; the board must not look live."""
    notebook.run(CELL["held by a C call"])
    notebook.until(lambda: notebook.board()["state"] == "stale", 20, "the board says stale")
    assert "2 s" in notebook.page.locator(".mesonb .badge").get_attribute("title")
    notebook.until(lambda: notebook.board()["state"] == "live", 20, "the board is live again")


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


def test_the_saved_notebook_keeps_a_still_picture(notebook):
    output = notebook.output(CELL["show"])
    assert "text/html" in output and "<svg" in output and "text/plain" in output


def test_without_the_server_extension_the_board_goes_on_by_comm_even_while_busy(notebook):
    notebook.page.evaluate(CUT_SOCKETS)
    notebook.until(lambda: notebook.board()["transport"] == "comm", 15, "frames come by comm")
    keep_busy(notebook, "asleep")
    first, acked = notebook.frames(), acks(notebook)
    notebook.until(lambda: notebook.frames() >= first + FRAMES, WITHIN_S, f"{FRAMES} more frames by comm")
    notebook.page.click(".mesonb .pause")
    notebook.until(lambda: acks(notebook) == acked + 1, WITHIN_S, "the pause is acknowledged by comm")
    assert still_busy(notebook, "asleep") and notebook.board()["transport"] == "comm"
    notebook.enough(ENOUGH["asleep"])
    notebook.until(lambda: not still_busy(notebook, "asleep"), 30, "the cell has ended")
