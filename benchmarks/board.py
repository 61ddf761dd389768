"""How live is the board? Frames a second in a real JupyterLab while the kernel is idle, sleeps, or runs a Python loop.

A headless Chromium shows the board of a live master (real Dask workers, small tasks) and then that of a simulation with
1,000 agents. Rounds of idle, sleep and loop are interleaved; medians are compared. In each round Pause is pressed a few
times, and how long its acknowledgement takes is noted. Cpu is that of the thread that serves panels, and of the browser.

    python benchmarks/board.py [--rounds 3] [--seconds 3] [--picture docs/board.png]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.browser.lab import Lab, Notebook, browser_page
from tests.helpers import find_chromium

LIVE = """
import threading, time
import mesonb as mb
session = mb.Master(agents=[mb.Resources(cpus=4, mem="4GB")] * 4, name="board-benchmark")
def train(seconds):
    time.sleep(seconds)
queues = {}
for name, role, needs, seconds in [
    ("sweep", "research", mb.Resources(cpus=1, mem="1GB"), 0.2),
    ("regression", "research", mb.Resources(cpus=0.5, mem="1GB"), 0.1),
    ("etl", "ops", mb.Resources(cpus=2, mem="512MB"), 0.3),
]:
    queues[name] = session.register(mb.Queue(needs=needs), name=name, role=role)
    queues[name].map(train, [seconds * (0.5 + 0.37 * n % 1) for n in range(10_000)])
session
"""
SIMULATED = """
import threading, time
import mesonb as mb
session = mb.Simulation(agents=1000, seed=1)
session.runs_for(time.sleep, lambda seconds: seconds, execute=False)
for number in range(4):
    queue = session.register(mb.Queue(needs=mb.Resources(cpus=1, mem="4GB")), name=f"framework-{number}", role=f"role-{number % 2}")
    queue.map(time.sleep, [1 + 0.37 * n % 40 for n in range(20_000)])
def pass_time():
    while True:
        with session.lock:
            session.run("50ms")
        time.sleep(0.05)
threading.Thread(target=pass_time, daemon=True).start()
session
"""
WHO = 'print({thread.name: thread.native_id for thread in threading.enumerate()}["mesonb-panels"], __import__("os").getpid())'
BUSY = {
    "sleep": "time.sleep({})",
    "loop": "end = time.monotonic() + {}\nwhile time.monotonic() < end:\n    sum(range(1000))",
}
CLOSE = {"live": "session.close(cluster=True)", "simulated": "pass"}
PRESSES = 4


class Bench:
    """One notebook, its board, and what is measured on them."""

    def __init__(self, notebook: Notebook, seconds: float) -> None:
        self.notebook, self.seconds = notebook, seconds
        self.taken = defaultdict(lambda: defaultdict(list))
        self.bytes: list[int] = []
        notebook.page.on("websocket", self._count_bytes)

    def open(self) -> None:
        self.notebook.run_to_end(0, 90)
        self.notebook.until(
            lambda: self.notebook.board().get("transport") == "ws", 30, "a board that is live by WebSocket"
        )
        self.notebook.until(lambda: self.notebook.frames() > 20, 30, "frames")
        self.notebook.run_to_end(1)
        thread, pid = json.loads(self.notebook.output(1))[0]["text"].split()
        self.thread, self.kernel = int(thread), psutil.Process(int(pid))

    def round(self, state: str, cell: int | None) -> None:
        """Count frames for a while, then press Pause and Resume; the kernel must be in that state all the time."""
        if cell is not None:
            self.notebook.run(cell)
            self.notebook.until_status("busy", 5)
        taken, before = self.taken[state], self._spent()
        frames, began_s = self.notebook.frames(), time.perf_counter()
        self.notebook.page.wait_for_timeout(1000 * self.seconds)
        lasted_s = time.perf_counter() - began_s
        taken["fps"].append((self.notebook.frames() - frames) / lasted_s)
        for name, spent_s in self._spent().items():
            taken[name].append(100 * (spent_s - before[name]) / lasted_s)
        taken["control_ms"] += [self._press() for _ in range(PRESSES)]
        assert cell is None or self.notebook.counter(cell) is None, f"the cell ended before the round did ({state})"
        self.notebook.until_status("idle", 60)

    def _press(self) -> float:
        acks = int(self.notebook.board().get("acks", 0))
        self.notebook.page.click(".mesonb .pause")
        self.notebook.until(lambda: int(self.notebook.board().get("acks", 0)) > acks, 5, "an acknowledgement")
        return float(self.notebook.board()["ackMs"])

    def _spent(self) -> dict[str, float]:
        """Seconds of cpu so far: of the panels' thread, the kernel, the browser."""
        panels = sum(each.user_time + each.system_time for each in self.kernel.threads() if each.id == self.thread)
        browser = [each for each in psutil.Process().children(recursive=True) if "chrom" in each.name()]
        return {"panels_cpu": panels, "kernel_cpu": _cpu_s(self.kernel), "browser_cpu": sum(map(_cpu_s, browser))}

    def _count_bytes(self, socket: object) -> None:
        if "/mesonb/" in socket.url:
            socket.on(
                "framereceived", lambda payload: self.bytes.append(len(payload)) if isinstance(payload, bytes) else None
            )

    def figures(self) -> dict[str, dict[str, float]]:
        """Medians by state."""
        return {state: {name: median(values) for name, values in taken.items()} for state, taken in self.taken.items()}


def _cpu_s(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:2])
    except psutil.Error:
        return 0.0


def measure(lab: Lab, page: object, kind: str, setup: str, rounds: int, seconds: float, picture: str | None) -> Bench:
    lasts_s = seconds + 10  # presses take time on a laden machine
    cells = [setup, WHO, *(cell.format(lasts_s) for cell in BUSY.values()), CLOSE[kind]]
    bench = Bench(Notebook(page, lab, f"board-{kind}", cells), seconds)
    try:
        bench.open()
        for _ in range(rounds):
            for state, cell in (("idle", None), ("sleep", 2), ("loop", 3)):
                bench.round(state, cell)
        if picture:
            page.wait_for_timeout(1500)
            page.locator(".mesonb").screenshot(path=picture)
    finally:
        bench.notebook.run_to_end(4)
    return bench


def report(kind: str, bench: Bench) -> dict[str, float]:
    """Print the table of one board, assert that it was live, and return its ratios."""
    figures = bench.figures()
    print(f"\n{kind}: {median(bench.bytes):,.0f} bytes a frame")
    print("state    frames/s   control ms   panels' thread %   kernel %   browser %  (of one core)")
    for state, found in figures.items():
        print(
            f"{state:<8} {found['fps']:>8.1f} {found['control_ms']:>12.1f} {found['panels_cpu']:>18.1f} "
            f"{found['kernel_cpu']:>10.1f} {found['browser_cpu']:>11.1f}"
        )
    assert all(found["fps"] > 0.5 for found in figures.values()), "frames came in every state"
    assert all(found["control_ms"] < 1500 for found in figures.values()), "controls were answered in every state"
    return {f"fps_{state}_vs_idle": round(figures[state]["fps"] / figures["idle"]["fps"], 3) for state in BUSY}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--picture", help="save a picture of the live board here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, browser_page(find_chromium()) as page:
        lab = Lab(Path(home))
        try:
            live = measure(lab, page, "live", LIVE, asked.rounds, asked.seconds, asked.picture)
            simulated = measure(lab, page, "simulated", SIMULATED, asked.rounds, asked.seconds, None)
        finally:
            lab.close()
    ratios = report("a live master, 4 agents", live)
    ratios |= {
        f"{name}_1000_agents": ratio for name, ratio in report("a simulation of 1,000 agents", simulated).items()
    }
    print(json.dumps({"benchmark": "board", "ratios": ratios}))


if __name__ == "__main__":
    main()
