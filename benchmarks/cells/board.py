"""What ../board.py runs in notebooks: clusters to look at, ways to be busy, and the peer, a Bokeh panel of the same content.

Nothing here runs by itself.
"""

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

#: AGENTS pretend agents whose time passes by itself, in steps so short that each frame finds something new.
SIMULATED = """
import threading, time
import mesonb as mb
session = mb.Simulation(agents=AGENTS, seed=1)
session.runs_for(time.sleep, lambda seconds: seconds, execute=False)
for number in range(4):
    queue = session.register(mb.Queue(needs=mb.Resources(cpus=1, mem="4GB")), name=f"framework-{number}", role=f"role-{number % 2}")
    queue.map(time.sleep, [1 + 0.37 * n % 40 for n in range(TASKS)])
def pass_time():
    while True:
        session.run("12ms")
        time.sleep(0.012)
threading.Thread(target=pass_time, daemon=True).start()
"""
SHOW = "session"
STEER = "session.watch('steer')"

#: The agents' pieces as quads, the frameworks as a table, the shares as lines, brought up to date 20 times a second on a
#: loop of its own, as a careful person would do it: columns of numpy arrays, each replaced once a frame.
PEER = """
import asyncio
import numpy as np
from bokeh.io import output_notebook
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, DataTable, Div, TableColumn
from bokeh.plotting import figure
from bokeh.resources import INLINE
from jupyter_bokeh import BokehModel
from mesonb.panels.feed import picture
output_notebook(resources=INLINE, hide_banner=True)

class Peer:
    def __init__(self):
        self.frames, self.before, self.going = 0, None, True
        self.loop = asyncio.new_event_loop()
        self.quads = ColumnDataSource(self.pieces())
        rows = self.before.head["frameworks"]
        self.columns = ("name", "running", "share", "offers_made", "accepted", "declined")
        self.rows = ColumnDataSource(self.table())
        self.lines = ColumnDataSource({"at": [], **{each["name"]: [] for each in rows}})
        self.counts = Div(text=self.said())
        chart = figure(width=480, height=480, toolbar_location=None, x_axis_type=None, y_axis_type=None, output_backend="canvas")
        chart.quad(left="left", right="right", bottom="bottom", top="top", color="colour", line_color=None, source=self.quads)
        shares = figure(width=330, height=120, toolbar_location=None)
        for each in rows:
            shares.step("at", each["name"], source=self.lines, color=each["colour"])
        table = DataTable(source=self.rows, columns=[TableColumn(field=name) for name in self.columns], width=330, height=150)
        self.view = BokehModel(column(self.counts, row(chart, column(table, shares))), combine_events=True)
        threading.Thread(target=self.main, daemon=True).start()

    def pieces(self):
        self.before = picture(session, self.before)
        rows = np.array(self.before.rows, "f4").reshape(-1, self.before.head["columns"])
        agent, part = rows[:, 0], rows[:, 4:].max(axis=1)
        filled = np.cumsum(part)
        first = np.r_[True, agent[1:] != agent[:-1]]
        below = (filled - part) - np.maximum.accumulate(np.where(first, filled - part, 0))
        x, y = agent % 31, agent // 31
        colours = np.array([each["colour"] for each in self.before.head["frameworks"]] + ["#8c8c8c"])
        return {
            "left": x, "right": x + np.float32(0.9), "bottom": (-y + 0.9 * below).astype("f4"),
            "top": (-y + 0.9 * (below + part)).astype("f4"), "colour": colours[rows[:, 1].astype(int)],
        }

    def table(self):
        return {name: [each[name] for each in self.before.head["frameworks"]] for name in self.columns}

    def said(self):
        counts = self.before.head["counts"]
        return f"{counts['agents']} agents, {counts['tasks']} tasks, {counts['offers']} offers, {self.before.head['at_us'] / 1e6:.1f} s"

    def main(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.go_on())

    async def go_on(self):
        due_s = self.loop.time()
        while self.going:
            self.quads.data = self.pieces()
            self.rows.data = self.table()
            shares = {each["name"]: [each["share"]] for each in self.before.head["frameworks"]}
            self.lines.stream({"at": [self.before.head["at_us"] / 1e6], **shares}, 240)
            self.counts.text = self.said()
            self.frames += 1
            due_s = max(due_s + 0.05, self.loop.time() + 0.005)
            await asyncio.sleep(due_s - self.loop.time())
"""
SHOW_PEER = "peer = Peer()\npeer.view"
STOP_PEER = "peer.going = False\npeer.view.close()\nprint(peer.frames)"
FRAMES_OF_PEER = "print(peer.frames)"

WHO = 'print({thread.name: thread.native_id for thread in threading.enumerate()}["mesonb-panels"], __import__("os").getpid())'
BUSY = {
    "sleep": "time.sleep({})",
    "loop": "end = time.monotonic() + {}\nwhile time.monotonic() < end:\n    sum(range(1000))",
}

#: How long pictures take: of all agents, and of what moved while 200 ms passed.
PICTURES = """
import json
from statistics import median
def took_ms(before=None):
    began_s = time.perf_counter()
    picture = session.snapshot(before, spots=True)
    return 1000 * (time.perf_counter() - began_s), picture
whole, changed, before = [], [], None
for _ in range(10):
    took, _ = took_ms()
    whole.append(took)
    _, before = took_ms(before)
    time.sleep(0.2)
    took, before = took_ms(before)
    changed.append(took)
print(json.dumps([median(whole), median(changed)]))
"""
