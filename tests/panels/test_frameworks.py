"""The frameworks panel: figures of the snapshot, a clock for who goes hungry, and complaints that cannot be markup."""

import mesonb as mb
from mesonb.panels.app import Look
from mesonb.panels.frameworks import Frameworks, queued
from mesonb.panels.frameworks_view import LastHeld, rows
from mesonb.panels.view import Palette
from tests.panels.conftest import train


def table(session):
    return {
        row.framework: row
        for row in rows(session.snapshot(), LastHeld().read(session.log.steps), queued(session), session.now_us())
    }


def test_a_row_says_what_the_snapshot_says(cluster):
    cluster.weights["research"] = 3
    found = table(cluster)
    assert list(found) == ["sweep", "etl"]
    sweep = found["sweep"]
    assert (sweep.role, sweep.weight, sweep.running, sweep.queued, sweep.hungry_us) == ("research", 3.0, 3, 0, None)
    assert sweep.share == cluster.snapshot().frameworks[0].task_share > 0
    cluster.run("1min")
    assert table(cluster)["sweep"].ended["finished"] == 3 and table(cluster)["sweep"].running == 0


def test_the_clock_of_one_that_wants_and_gets_nothing_runs_until_it_gets_something():
    sim = mb.Simulation(agents=[mb.Resources(cpus=1)])
    sim.runs_for(train, "100s", execute=False)
    sim.register(mb.Queue(needs=mb.Resources(cpus=1)), name="first").map(train, [1])
    sim.run("1s")
    late = sim.register(mb.Queue(needs=mb.Resources(cpus=1)), name="late")
    late.map(train, [2])
    sim.run("60s")
    assert table(sim)["late"].hungry_us == 60_000_000 and table(sim)["late"].queued == 1
    assert table(sim)["first"].hungry_us is None
    sim.run("60s")
    assert table(sim)["late"].hungry_us is None and table(sim)["late"].running == 1


def test_whoever_wants_nothing_does_not_go_hungry(cluster):
    cluster.run("5min")
    assert {row.state for row in table(cluster).values()} == {"suppressed"}
    assert all(row.hungry_us is None for row in table(cluster).values())


def test_what_a_callback_raised_is_shown_as_text_with_its_traceback(cluster):
    class Odd(mb.Framework):
        def on_offers(self, offers):
            raise ValueError("<script>no</script>")

    cluster.register(Odd(), name="odd")
    cluster.run("1min")
    panel = Frameworks(Look(Palette()))
    panel.read(cluster.log.steps)
    panel.draw(cluster)
    assert "&lt;script&gt;no" in panel.complaints.text and "<script>" not in panel.complaints.text
    assert "Traceback" in panel.complaints.text and "in all)" in panel.complaints.text


def test_what_stays_the_same_is_not_written_again(cluster):
    """A traceback that somebody has unfolded stays so."""
    panel = Frameworks(Look(Palette()))
    panel.draw(cluster)
    written = []
    panel.table.on_change("text", lambda _name, _old, _new: written.append("table"))
    panel.complaints.on_change("text", lambda _name, _old, _new: written.append("complaints"))
    panel.draw(cluster)
    assert not written
    cluster.run("1min")
    panel.draw(cluster)
    assert written == ["table"]
