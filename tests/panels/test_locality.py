"""The locality and output panels: what frameworks reported of their launches, and what tasks printed."""

import mesonb as mb
from mesonb.frameworks.output import Output
from mesonb.panels.app import Look
from mesonb.panels.locality import NOT_RECORDED, Locality
from mesonb.panels.output import ALL_LINES, NOT_HERE, Outputs
from mesonb.panels.view import Palette


def read(block):
    return block


def drawn(kind, session, **controls):
    panel = kind(Look(Palette()))
    for name, value in controls.items():
        getattr(panel, name).value_input = value
    panel.draw(session)
    return panel


def test_a_row_and_a_curve_for_each_framework_that_says_where_it_wants_its_tasks():
    sim = mb.Simulation(agents=2)
    sim.runs_for(read, "1s")
    queue = sim.register(mb.Near(patience="2s"), name="hdfs")
    queue.map(read, range(4), near=lambda block: ["agent-1" if block else "agent-nowhere"])
    sim.register(mb.Queue(), name="anywhere")
    sim.run("10s")
    panel = drawn(Locality, sim)
    assert "<td>3</td><td>1</td><td>75%</td>" in panel.table.text
    assert "anywhere" not in panel.table.text
    (line,) = panel.chart.renderers
    assert line.data_source.data["y"][-1] == 75
    assert NOT_RECORDED in drawn(Locality, mb.replay(sim.log)).table.text


class Printed:
    """A session's prints, as a live master has them."""

    kind = "master"

    def __init__(self, outputs):
        self.outputs = outputs

    def printed(self):
        return list(self.outputs)

    def output(self, task):
        return Output(self.outputs[task], 7)


def test_who_printed_last_is_shown_first_and_a_filter_finds_one():
    session = Printed({"sweep/task-1": ["<old>"], "etl/task-2": [f"line {n}" for n in range(1000)]})
    html = drawn(Outputs, session).lines.text
    assert html.index("etl/task-2") < html.index("sweep/task-1")
    assert "&lt;old&gt;" in html and "line 999" in html and "line 993" not in html
    assert "7 bytes before are not kept" in html
    one = drawn(Outputs, session, only="ETL").lines.text
    assert "sweep" not in one and f"the last {ALL_LINES} of 1,000 lines" in one
    assert "Nothing that was printed is of" in drawn(Outputs, session, only="nobody").lines.text


def test_where_nothing_really_runs_it_says_so():
    assert NOT_HERE in drawn(Outputs, mb.Simulation(agents=1)).lines.text
