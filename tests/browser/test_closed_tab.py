"""What is left behind when the tab is closed: nothing that grows, in the Jupyter server or the kernel, for ten minutes."""

import time

import psutil
import pytest

from tests.browser.lab import Lab, Notebook, browser_page
from tests.browser.test_board import COUNT_SOCKETS, CUT_SOCKETS
from tests.helpers import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1200)]

#: A simulation whose time passes by itself, so that every frame finds something new.
GO_ON = """
import threading, time
import mesonb as mb
sim = mb.Simulation(agents=200, seed=1)
sim.runs_for(time.sleep, lambda seconds: seconds, execute=False)
sim.register(mb.Queue(needs=mb.Resources(cpus=1, mem="4GB")), name="sweep").map(time.sleep, [1 + n % 40 for n in range(30_000)])
def pass_time():
    while True:
        sim.run("25ms")
        time.sleep(0.025)
threading.Thread(target=pass_time, daemon=True).start()
sim
"""
SETTLED_S, CLOSED_S = 30, 600
#: Twenty frames a second that nobody fetches would be some 30 MB in ten minutes.
GROWN_BYTES = 8_000_000


def test_a_closed_tab_costs_the_server_nothing_by_socket_or_by_comm(tmp_path, chromium_path) -> None:
    lab = Lab(tmp_path)
    try:
        with browser_page(chromium_path) as page:
            watch(page, lab, "by-socket", "ws")
        with browser_page(chromium_path) as page:
            page.add_init_script(COUNT_SOCKETS)
            watch(page, lab, "by-comm", "comm")
        server = psutil.Process(lab.process.pid)
        passes(SETTLED_S, lambda: False)
        before = server.memory_info().rss
        passes(CLOSED_S, lambda: server.memory_info().rss > before + GROWN_BYTES)
        grown = server.memory_info().rss - before
        print(f"the Jupyter server grew by {grown / 1e6:.1f} MB in {CLOSED_S} s")
        assert grown < GROWN_BYTES
        with browser_page(chromium_path) as page:
            watch(page, lab, "again", "ws")
    finally:
        lab.close()


def watch(page, lab: Lab, name: str, transport: str) -> None:
    """Look at a board that has its frames in this way, until the tab is closed."""
    notebook = Notebook(page, lab, name, [GO_ON])
    notebook.run_to_end(0)
    notebook.until(lambda: notebook.board().get("transport") == "ws", 30, "frames by socket")
    if transport == "comm":
        page.evaluate(CUT_SOCKETS)
    notebook.until(lambda: notebook.board().get("transport") == transport, 30, f"frames by {transport}")
    first = notebook.frames()
    notebook.until(lambda: notebook.frames() > first + 20, 30, f"more frames by {transport}")


def passes(lasts_s: float, enough) -> None:
    """Let real time pass, or until there is enough of something."""
    end_s = time.monotonic() + lasts_s
    wait_for(lambda: time.monotonic() > end_s or enough(), lasts_s + 10, "the end of the time")
