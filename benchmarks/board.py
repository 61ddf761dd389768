"""How live is the board, and what does it cost? Frames a second in a real JupyterLab while the kernel is idle, sleeps, or loops.

A headless Chromium shows the board of a live master (real Dask workers, small tasks), of a simulation with 1,000 agents,
and the heat map of one with 50,000. Rounds of idle, sleep and loop are interleaved; medians are compared. In each round
Pause is pressed a few times, and how long its acknowledgement takes is noted; so it is with a button of the steering panel,
a Bokeh page, until the page says what came of it. Then the board of 1,000 agents is compared with a Bokeh panel of the same
content (jupyter_bokeh's BokehModel) and with no panel, in one kernel and one page, in turns.

    python benchmarks/board.py [--rounds 3] [--seconds 3] [--only live 1000 50000 steer peer] [--picture docs/board.png]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cells.board import (
    BUSY,
    FRAMES_OF_PEER,
    LIVE,
    PEER,
    PICTURES,
    SHOW,
    SHOW_PEER,
    SIMULATED,
    STEER,
    STOP_PEER,
    WHO,
)
from tests.browser.lab import ROUND_TRIP, Lab, Notebook, browser_page
from tests.helpers import find_chromium

BUSY_CELLS = {state: number for number, state in enumerate(BUSY, 2)}
PRESSES = 8
#: Lets the page paint for so many milliseconds, and returns the longest time between two paints: how responsive it is.
LONGEST_PAINT = """
(lasts_ms) => new Promise((done) => {
  const end = performance.now() + lasts_ms;
  let last = performance.now(), longest = 0;
  const paint = (now) => {
    longest = Math.max(longest, now - last);
    last = now;
    now < end ? requestAnimationFrame(paint) : done(longest);
  };
  requestAnimationFrame(paint);
})
"""


class Bench:
    """One notebook, its board, and what is measured on them."""

    def __init__(self, notebook: Notebook, seconds: float) -> None:
        self.notebook, self.seconds = notebook, seconds
        self.taken = defaultdict(lambda: defaultdict(list))
        self.bytes: list[int] = []
        notebook.page.on("websocket", self._count_bytes)

    def open(self) -> None:
        self.notebook.run_to_end(0, 180)
        self.notebook.until(
            lambda: self.notebook.board().get("transport") == "ws", 30, "a board that is live by WebSocket"
        )
        self.notebook.until(lambda: self.notebook.frames() > 20, 30, "frames")
        self.meet(1)

    def meet(self, cell: int) -> None:
        """Ask the kernel which process it is, and which thread serves its panels."""
        self.notebook.run_to_end(cell)
        thread, pid = json.loads(self.notebook.output(cell))[0]["text"].split()
        self.thread, self.kernel = int(thread), psutil.Process(int(pid))

    def round(self, state: str, cell: int | None) -> None:
        """Count frames for a while, then press Pause and Resume; the kernel must be in that state all the time."""
        if cell is not None:
            self.notebook.run(cell)
            self.notebook.until_status("busy", 5)
        taken, before = self.taken[state], self.spent()
        frames, began_s = self.notebook.frames(), time.perf_counter()
        taken["paint_ms"].append(self.notebook.page.evaluate(LONGEST_PAINT, 1000 * self.seconds))
        lasted_s = time.perf_counter() - began_s
        taken["fps"].append((self.notebook.frames() - frames) / lasted_s)
        for name, spent_s in self.spent().items():
            taken[name].append(100 * (spent_s - before[name]) / lasted_s)
        taken["control_ms"] += [self._press() for _ in range(PRESSES)]
        assert cell is None or self.notebook.counter(cell) is None, f"the cell ended before the round did ({state})"
        self.notebook.until_status("idle", 60)

    def _press(self) -> float:
        acks = int(self.notebook.board().get("acks", 0))
        self.notebook.page.click(".mesonb .pause")
        self.notebook.until(lambda: int(self.notebook.board().get("acks", 0)) > acks, 5, "an acknowledgement")
        return float(self.notebook.board()["ackMs"])

    def spent(self) -> dict[str, float]:
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
        """Medians by state, and of controls how long the slowest in twenty took."""
        return {
            state: {name: median(values) for name, values in taken.items()} | {"p95_ms": p95(taken["control_ms"])}
            for state, taken in self.taken.items()
        }


def p95(values: list[float]) -> float:
    """How long the slowest in twenty took."""
    return quantiles(values, n=20, method="inclusive")[-1]


def _cpu_s(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:2])
    except psutil.Error:
        return 0.0


def simulated(agents: int, tasks: int) -> str:
    return SIMULATED.replace("AGENTS", str(agents)).replace("TASKS", str(tasks))


def measure(asked: argparse.Namespace, lab: Lab, page: object, kind: str, setup: str, last: str = "pass") -> Bench:
    """Show one board, and count its frames while the kernel is idle, asleep, or in a loop."""
    lasts_s = asked.seconds + 10  # presses take time on a laden machine
    cells = [setup, WHO, *(cell.format(lasts_s) for cell in BUSY.values()), last]
    bench = Bench(Notebook(page, lab, f"board-{kind}", cells), asked.seconds)
    try:
        bench.open()
        for _ in range(asked.rounds):
            for state in ("idle", *BUSY):
                bench.round(state, BUSY_CELLS.get(state))
        if asked.picture and kind == "live":
            page.wait_for_timeout(1500)
            page.locator(".mesonb").screenshot(path=asked.picture)
    finally:
        bench.notebook.run_to_end(4, 120)
    return bench


def report(kind: str, bench: Bench) -> dict[str, float]:
    """Print the table of one board, assert that it was live, and return its ratios."""
    figures = bench.figures()
    print(f"\n{kind}: {median(bench.bytes):,.0f} bytes a frame")
    print(
        "state    frames/s   control ms    p95 ms   panels' thread %   kernel %   browser %  (of one core)   longest wait for a paint ms"
    )
    for state, found in figures.items():
        print(
            f"{state:<8} {found['fps']:>8.1f} {found['control_ms']:>12.1f} {found['p95_ms']:>9.1f} {found['panels_cpu']:>18.1f} "
            f"{found['kernel_cpu']:>10.1f} {found['browser_cpu']:>11.1f} {found['paint_ms']:>20.0f}"
        )
    assert all(found["fps"] > 0.5 for found in figures.values()), "frames came in every state"
    assert all(found["control_ms"] < 1500 for found in figures.values()), "controls were answered in every state"
    return {f"fps_{state}_vs_idle": round(figures[state]["fps"] / figures["idle"]["fps"], 3) for state in BUSY}


# -- beside a Bokeh panel of the same content -------------------------------------------------------------------------

SETUP_CELL, WHO_CELL, PEER_CELL, BOARD, BOKEH, STOP, FRAMES = range(7)


class Comparison:
    """One notebook with nothing in view, then the board, then the peer, again and again."""

    def __init__(self, asked: argparse.Namespace, lab: Lab, page: object) -> None:
        self.seconds, self.page = asked.seconds, page
        self.bytes = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._received))
        cells = [simulated(1000, 40_000), WHO, PEER, SHOW, SHOW_PEER, STOP_PEER, FRAMES_OF_PEER]
        self.notebook = Notebook(page, lab, "board-peer", cells)
        self.bench = Bench(self.notebook, asked.seconds)
        for cell in (SETUP_CELL, PEER_CELL, BOARD):
            self.notebook.run_to_end(cell, 90)
        self.bench.meet(WHO_CELL)
        self.taken = defaultdict(lambda: defaultdict(list))
        for _ in range(asked.rounds):
            self._nothing()
            self._board()
            self._peer()

    def _received(self, payload: object) -> None:
        self.bytes += len(payload)

    def _clear(self) -> None:
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        self.page.wait_for_timeout(1000)

    def _nothing(self) -> None:
        self._clear()
        self._watch("nothing", lambda: 0)

    def _board(self) -> None:
        self.notebook.run_to_end(BOARD)
        self.notebook.until(lambda: self.notebook.frames() > 20, 30, "frames")
        self._watch("board", self.notebook.frames)
        self._clear()

    def _peer(self) -> None:
        self.notebook.run_to_end(BOKEH)
        self.page.wait_for_selector(".jp-OutputArea canvas", timeout=30_000, state="attached")
        self.page.wait_for_timeout(1000)
        self._watch("peer", self._frames_of_peer)
        self.notebook.run_to_end(STOP)
        self._clear()

    def _frames_of_peer(self) -> int:
        self.notebook.run_to_end(FRAMES)
        return int(json.loads(self.notebook.output(FRAMES))[0]["text"])

    def _watch(self, what: str, frames: object) -> None:
        shown, before, began_s, received = frames(), self.bench.spent(), time.perf_counter(), self.bytes
        self.page.wait_for_timeout(1000 * self.seconds)
        lasted_s, spent = time.perf_counter() - began_s, self.bench.spent()
        received = self.bytes - received
        shown = frames() - shown
        taken = self.taken[what]
        for name in ("kernel_cpu", "browser_cpu"):
            taken[name].append(100 * (spent[name] - before[name]) / lasted_s)
        taken["fps"].append(shown / lasted_s)
        taken["bytes"].append(received / max(shown, 1))

    def report(self) -> dict[str, float]:
        """Print the table, assert that both panels were live, and return what the board takes of what the peer takes."""
        figures = {what: {name: median(each) for name, each in taken.items()} for what, taken in self.taken.items()}
        print("\n1,000 agents in view as:   frames/s   bytes a frame   kernel %   browser %  (of one core)")
        for what, found in figures.items():
            print(
                f"{what:<26} {found['fps']:>8.1f} {found['bytes']:>15,.0f} {found['kernel_cpu']:>10.1f} {found['browser_cpu']:>11.1f}"
            )
        nothing, board, peer = (figures[what] for what in ("nothing", "board", "peer"))
        assert board["fps"] > 1 and peer["fps"] > 1, "both were live"
        ratios = {"bytes_vs_bokehmodel": board["bytes"] / peer["bytes"]}
        for name in ("kernel_cpu", "browser_cpu"):
            ratios[f"{name}_vs_bokehmodel"] = max(board[name] - nothing[name], 0) / (peer[name] - nothing[name])
        print(f"the board takes {board['kernel_cpu'] - nothing['kernel_cpu']:.1f} % of a core in the kernel")
        return {name: round(ratio, 3) for name, ratio in ratios.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--picture", help="save a picture of the live board here")
    asked = parser.parse_args()
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Path(home))
        try:
            for part in asked.only:
                with browser_page(find_chromium()) as page:
                    ratios |= PARTS[part](asked, lab, page)
        finally:
            lab.close()
    print(json.dumps({"benchmark": "board", "ratios": ratios}))


def live(asked: argparse.Namespace, lab: Lab, page: object) -> dict[str, float]:
    bench = measure(asked, lab, page, "live", LIVE, "session.close(cluster=True)")
    return report("a live master, 4 agents", bench)


def thousand(asked: argparse.Namespace, lab: Lab, page: object) -> dict[str, float]:
    bench = measure(asked, lab, page, "1000", simulated(1000, 40_000) + SHOW)
    return {f"{name}_1000_agents": ratio for name, ratio in report("a simulation of 1,000 agents", bench).items()}


def fifty_thousand(asked: argparse.Namespace, lab: Lab, page: object) -> dict[str, float]:
    bench = measure(asked, lab, page, "50000", simulated(50_000, 100_000) + SHOW, PICTURES)
    ratios = {f"{name}_50000_agents": ratio for name, ratio in report("a heat map of 50,000 agents", bench).items()}
    whole, changed = json.loads(json.loads(bench.notebook.output(4))[0]["text"])
    print(f"a picture of all agents takes {whole:.0f} ms; of what moved since the one before, {changed:.0f} ms")
    return {**ratios, "changed_vs_whole_picture": round(changed / whole, 3)}


def peer(asked: argparse.Namespace, lab: Lab, page: object) -> dict[str, float]:
    return Comparison(asked, lab, page).report()


def steer(asked: argparse.Namespace, lab: Lab, page: object) -> dict[str, float]:
    """Press a button of the steering panel in each state, and time it until the page says what came of it."""
    lasts_s, taken = asked.seconds + 10, defaultdict(list)
    cells = [simulated(1000, 40_000) + STEER, "pass", *(cell.format(lasts_s) for cell in BUSY.values())]
    notebook = Notebook(page, lab, "board-steer", cells)
    notebook.run_to_end(0, 90)
    buttons = page.frame_locator("iframe[title^='Steer of']").get_by_role("button")
    for _ in range(asked.rounds):
        for state in ("idle", *BUSY):
            if state in BUSY:
                notebook.run(BUSY_CELLS[state])
                notebook.until_status("busy", 5)
            for name in PRESSES // 2 * ("Pause offers", "Resume offers"):
                button = buttons.filter(has_text=name)
                button.wait_for(timeout=30_000)
                taken[state].append(button.evaluate(ROUND_TRIP))
            notebook.until_status("idle", 60)
    print("\nthe steering panel, a Bokeh page\nstate    control ms    p95 ms")
    for state, values in taken.items():
        print(f"{state:<8} {median(values):>10.1f} {p95(values):>9.1f}")
        assert median(values) < 1500, "controls were answered in every state"
    return {f"steer_{state}_vs_idle": round(median(taken[state]) / median(taken["idle"]), 3) for state in BUSY}


PARTS = {"live": live, "1000": thousand, "50000": fifty_thousand, "steer": steer, "peer": peer}


if __name__ == "__main__":
    main()
