"""The operator's verbs as docs/operating.md tells of them: each line is executed, and has done what the page says."""

import doctest
from pathlib import Path

import pytest

import mesonb as mb
from mesonb.core import calls

PAGE = Path(__file__).parents[1] / "docs/operating.md"


class Two(mb.Framework):
    """Launches two long tasks."""

    def __init__(self) -> None:
        self.left = 2

    def on_offers(self, offers) -> None:
        for offer in offers:
            while self.left and offer.fits(mb.Resources(cpus=1)):
                offer.launch(long, needs=mb.Resources(cpus=1))
                self.left -= 1


def long() -> None:
    """Nothing."""


@pytest.fixture
def master() -> mb.Simulation:
    """A simulation, whose verbs are a master's."""
    sim = mb.Simulation(agents=[mb.Resources(cpus=8)] * 2)
    sim.runs_for(long, "1h", execute=False)
    for name in ("lab", "web"):
        sim.register(Two(), name=name, role=name)
    sim.run("1s")
    return sim


def test_every_line_of_the_page_does_what_it_says(master) -> None:
    said = doctest.DocTestParser().get_doctest(
        PAGE.read_text(encoding="utf-8"), {"mb": mb, "master": master}, PAGE.name, str(PAGE), 0
    )
    results = doctest.DocTestRunner().run(said, clear_globs=False)
    assert results.failed == 0 and results.attempted > 20
    core, sent = master.core, {type(step.call) for step in master.log.steps}
    assert sent >= {
        calls.SetWeight, calls.SetGuarantee, calls.SetLimit, calls.SetPriority, calls.Reserve, calls.Unreserve, calls.SetAllocator,
        calls.Suppress, calls.Revive, calls.Pause, calls.Resume, calls.Revoke, calls.KillTask, calls.Unregister, calls.Drain,
        calls.Undrain, calls.PlanMaintenance, calls.EndMaintenance,
    }, "each verb is a call in the log"  # fmt: skip
    assert core.roles["lab"].guarantee == mb.Resources(cpus=4) and core.roles["web"].limit is None
    assert core.agents["agent-1"].reserved == {"lab/night": mb.Resources(cpus=1)}
    assert not any("was refused" in complaint.error for complaint in master.complaints)
    assert not core.drained and not core.windows and not core.paused and type(core.allocator) is mb.DRF


def test_an_idle_queue_says_that_nothing_is_queued(master) -> None:
    queue = master.register(mb.Queue(needs=mb.Resources(cpus=1)), name="q")
    master.run("1s")
    why = master.explain("q")
    assert why.remedies == ("q.map(function, items)",) and "it asked for no offers: nothing is queued" in why.sentence
    assert "nothing is queued" in master.explain("q", "agent-1").sentence
    runs = [queue.submit(long) for _ in range(30)]
    master.run("1s")
    master.suppress("q")
    assert queue.waiting and runs and master.explain("q").remedies == ("q.revive()",), "not of its own will"


def test_what_is_said_of_roles_prints_without_internals(master) -> None:
    assert repr(master.said_of_roles()["lab"]).startswith(
        "Role(name='lab', weight_milli=1000, guarantee=Resources(), limit=None"
    )
    assert "Client" not in repr(master.said_of_roles()) and "Framework" not in repr(master.said_of_roles())


def test_what_comes_back_is_named_in_the_same_order() -> None:
    some = mb.Resources(cpus=1, mem="1GB", gpus=1, named={"b": 1, "a": 1})
    whole = some + some
    for part in (mb.Resources(cpus=2), mb.Resources(mem="2GB"), mb.Resources(named={"b": 2})):
        assert (
            repr(whole - part + part) == repr(whole) == "Resources(cpus=2, mem='2 GB', gpus=2, named={'a': 2, 'b': 2})"
        )
        assert str(whole - part + part) == "2 cpus, 2 GB mem, 2 gpus, 2 a, 2 b"
