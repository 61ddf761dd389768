"""The report, and the shares chart it has in common with the live app: what is in the file, and what is not."""

import re

import pytest

import mesonb as mb
from mesonb.panels import report
from mesonb.panels.look import Look
from mesonb.panels.report import mean_share, write_report
from mesonb.panels.shares import Shares
from mesonb.panels.view import Palette


def test_a_report_is_one_file_that_needs_nothing(cluster, tmp_path):
    cluster.run("1min")
    path = write_report(cluster, tmp_path / "report.html", notes={"accuracy": "97 %"})
    page = path.read_text()
    outside = re.sub(r"(?s)(<script[^>]*>).*?</script>", r"\1", page)
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", outside), "nothing is fetched"
    assert "cdn.bokeh.org" not in outside and len(page) < 3_000_000
    assert "Bokeh" in page and "accuracy" in page and "97 %" in page
    assert page.count("<tr style=") == 2


def test_its_table_says_what_the_master_counted(cluster):
    cluster.run("2min")
    table = report.frameworks_table(cluster, cluster.snapshot(), list(cluster.history.rows))
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr style=")[1:]]
    by_name = {row[0]: row for row in cells}
    counts = {row.framework: row.counts for row in cluster.snapshot().frameworks}
    assert set(by_name) == {"sweep", "etl"}
    for name, row in by_name.items():
        assert row[2] == f"{counts[name]['offers_made']:,}" and row[3] == str(counts[name]["accepted"])
        assert row[-4] == str(counts[name]["finished"]) == "3"


def test_complaints_are_in_the_report_with_their_traceback(cluster, tmp_path):
    class Faulty(mb.Framework):
        def on_offers(self, offers):
            raise ValueError("<no rates left>")

    cluster.register(Faulty(), name="faulty")
    cluster.run("1s")
    page = write_report(cluster, tmp_path / "report.html").read_text()
    assert "ValueError: &lt;no rates left&gt;" in page


def test_a_session_in_which_nothing_happened_has_a_report(tmp_path):
    assert write_report(mb.Simulation(agents=1), tmp_path / "empty.html").stat().st_size > 10_000


def test_a_mean_counts_time_not_points():
    rows = [(0, {"a": 0.5}), (1, {"a": 0.5}), (2, {"a": 1.0}), (10, {"a": 0.0})]
    assert mean_share(rows, "a") == pytest.approx(0.9)
    assert mean_share(rows, "b") == 0 == mean_share([], "a")


def test_the_live_chart_takes_in_only_what_is_new(cluster):
    chart = Shares(Look(Palette()))
    chart.draw(cluster)
    lines = {name: len(source.data["at_s"]) for name, source in chart._sources.items()}
    assert set(lines) == {"sweep", "etl"} and all(lines.values())
    chart.draw(cluster)
    assert {name: len(source.data["at_s"]) for name, source in chart._sources.items()} == lines
    cluster.run("1min")
    cluster.history.note(cluster.core)
    chart.draw(cluster)
    newest_s = cluster.history.rows[-1][0] / 1_000_000
    assert {source.data["at_s"][-1] for source in chart._sources.values()} == {newest_s}
    assert all(times == sorted(set(times)) for times in (source.data["at_s"] for source in chart._sources.values()))
