"""The exported page: its rows are the master's books at each moment, it holds all it needs, and words are never markup."""

import json
import re

import pytest

import mesonb as mb
from mesonb.core.checkpoint import Checkpoint
from mesonb.panels import export_view
from mesonb.panels.export import page
from mesonb.panels.export_view import COUNTED, rows, tallies
from mesonb.panels.view import Palette, running
from tests.panels.conftest import train


@pytest.fixture
def eventful(cluster):
    """A run with a lost agent, a kill and a change of weights."""
    cluster.run("10s")
    cluster.weights["research"] = 2
    cluster.lose_agent("agent-2")
    etl = cluster.drivers["etl"]
    etl.kill(next(iter(etl.tasks)))
    cluster.register(mb.Queue(needs=mb.Resources(cpus=1)), name="late", role="ops").map(train, range(30))
    cluster.run("2min")
    return cluster


def test_each_moment_is_what_a_replay_shows_of_it(eventful):
    """Two ways to the same figures: the page's own books, and the core replayed to that moment."""
    replay = mb.replay(eventful.log)
    moments = list(tallies(eventful.log.copy()))
    for moment in moments[:: len(moments) // 20]:
        snapshot = replay.seek(moment.at_us / 1e6).snapshot()
        for row in snapshot.frameworks:
            counts = dict(zip(COUNTED, moment.counts[row.framework], strict=True))
            assert counts["running"] == running(row.counts), (row.framework, moment.at_us)
            assert counts["offers"] == row.counts.get("offers_made", 0)
            for what in COUNTED[2:]:
                assert counts[what] == row.counts.get(what, 0), what
            assert moment.shares[row.framework] == pytest.approx(row.task_share, abs=1e-4)


def test_a_log_that_has_forgotten_its_beginning_starts_from_its_checkpoint(eventful):
    whole, trimmed = eventful.log.copy(), eventful.log.copy()
    half = len(whole.steps) // 2
    trimmed.trim(half, Checkpoint.of(mb.replay(eventful.log).step_to(half).core))
    last, again = list(tallies(whole))[-1], list(tallies(trimmed))[-1]
    assert again == last


def test_moments_are_evenly_spaced_and_bounded(eventful):
    moments = [moment.at_us for moment in tallies(eventful.log)]
    assert moments == sorted(moments) and len(moments) <= export_view.MOMENTS + 2
    assert moments[-1] == eventful.log.steps[-1].now_us


def test_every_task_is_in_the_page_or_counted_as_left_out(eventful, monkeypatch):
    found = rows(eventful.log.copy(), Palette())
    launched = sum(row.counts.get("launched", 0) for row in eventful.snapshot().frameworks)
    assert len(found["bars"]) == launched and not any(found["left_out"].values())
    monkeypatch.setattr(export_view, "BARS", 5)
    few = rows(eventful.log.copy(), Palette())
    assert len(few["bars"]) == 5 and few["left_out"]["tasks"] == launched - 5
    assert {"lost", "killed"} <= {bar[6] for bar in few["bars"]}, "endings that are marked stay"


def test_the_page_holds_all_it_needs_and_may_load_nothing(eventful):
    html = page(eventful, "A run")
    assert "default-src 'none'" in html
    assert not re.search(r"(src|href)\s*=", html) and "url(" not in html
    held = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.DOTALL).group(1))
    assert [framework["name"] for framework in held["frameworks"]] == ["sweep", "etl", "late"]


def test_names_and_reasons_cannot_end_the_script(cluster):
    cluster.register(mb.Queue(needs=mb.Resources(cpus=1)), name="x", role="</script><script>alert(1)</script>")
    html = page(cluster, "<b>title</b>")
    assert "alert(1)</script>" not in html and "<b>title" not in html


def test_a_run_in_which_nothing_happened_is_a_page_as_well():
    assert "<canvas" in page(mb.Simulation(agents=0), "nothing")


def test_a_session_is_exported_by_its_own_verb(cluster, tmp_path):
    path = cluster.export(str(tmp_path / "run.html"), "My run")
    assert "<h1>My run</h1>" in (tmp_path / "run.html").read_text() and path.endswith("run.html")
