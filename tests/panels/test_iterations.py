"""The iterations panel: curves, pace and what is left, from what frameworks report of themselves."""

import pytest

import mesonb as mb
from mesonb.panels.app import Look
from mesonb.panels.iterations import EACH, NOT_RECORDED, Iterations, reports
from mesonb.panels.iterations_view import POINTS, US, curves, pace, times
from mesonb.panels.view import Palette


class Descent(mb.Framework):
    """Reports an iteration every two seconds."""

    def on_registered(self, tasks):
        self.iteration = 0
        self.descend()

    def descend(self):
        self.iteration += 1
        self.progress(iteration=self.iteration, total=50, loss=1 / self.iteration)
        self.call_later("2s", self.descend)


@pytest.fixture
def descent():
    sim = mb.Simulation(agents=1)
    sim.register(Descent(), name="descent")
    sim.run("20s")
    return sim


def test_the_pace_is_that_of_virtual_time(descent):
    found = pace(reports(descent)["descent"])
    assert (found.iteration, found.total, found.each_us, found.left_us) == (10, 50, 2 * US, 80 * US)


def test_a_curve_for_each_figure_over_iterations(descent):
    assert curves(reports(descent)["descent"]) == {"loss": [(n, 1 / n) for n in range(1, 11)]}


def test_without_iterations_curves_run_over_seconds():
    assert curves([(5 * US, {"accuracy": 0.5}), (7 * US, {"accuracy": 0.75})], began_us=5 * US) == {
        "accuracy": [(0, 0.5), (2, 0.75)]
    }
    assert pace([(5 * US, {"accuracy": 0.5})]).each_us is None
    assert pace([]).iteration is None


def test_iterations_reported_together_took_equal_parts_and_a_new_start_takes_no_time():
    rows = [
        (0, {"iteration": 10}),
        (10, {"iteration": 15}),
        (30, {"iteration": 15}),
        (40, {"iteration": 1}),
        (50, {"iteration": 2}),
    ]
    assert times(rows) == [(15, 2.0), (2, 10.0)]


def test_curves_are_thinned_and_the_newest_stays():
    rows = [(n, {"iteration": n, "loss": n}) for n in range(10_000)]
    points = curves(rows)["loss"]
    assert len(points) <= POINTS and points[-1] == (9999, 9999)


def test_a_chart_comes_with_the_first_report_of_its_figure(descent):
    panel = Iterations(Look(Palette()))
    panel.draw(descent)
    assert list(panel.charts) == ["loss", EACH] == [chart.yaxis[0].axis_label for chart in panel.stack.children]
    assert "10 of 50" in panel.table.text and "1.333 min" in panel.table.text
    descent.drivers["descent"].report({"accuracy": 0.5})
    panel.draw(descent)
    assert "accuracy" in panel.charts


def test_a_recording_says_that_it_holds_no_reports(descent):
    panel = Iterations(Look(Palette()))
    panel.draw(mb.replay(descent.log))
    assert NOT_RECORDED in panel.table.text
