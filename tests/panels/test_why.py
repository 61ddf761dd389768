"""Why: what is clicked or chosen is explained by the master itself, with the task's story where it has ended."""

import re
from html import unescape

import pytest

import mesonb as mb
from mesonb.panels.allocation import Allocation
from mesonb.panels.app import Look, Shown
from mesonb.panels.apps import PANELS
from mesonb.panels.frameworks import Frameworks
from mesonb.panels.remedies import code_of
from mesonb.panels.timeline import Timeline
from mesonb.panels.view import Palette
from mesonb.session import Session
from tests.panels.conftest import train


def again(shown):
    shown._rest_until_s = 0.0
    shown.refresh()


def test_a_chosen_framework_is_explained_with_its_remedies(cluster):
    big = cluster.register(mb.Queue(needs=mb.Resources(cpus=4)), name="big", role="ops")
    big.map(train, [1])
    cluster.run("100ms")
    for kind in (Frameworks, Allocation):
        panel = kind(Look(Palette()))
        shown = Shown(cluster, panel)
        assert not panel.why.answer.text, "nobody asked"
        assert {"big", "ops"} <= set(panel.why.names.options)
        panel.why.names.value = "big"
        again(shown)
        explained = cluster.explain("big")
        assert explained.reasons
        assert explained.sentence[:20] in panel.why.answer.text
        assert all(
            remedy.split("(")[0].replace("'", "&#x27;") in panel.why.answer.text for remedy in explained.remedies
        )


def test_a_live_task_is_explained_and_an_ended_one_has_its_story(cluster):
    panel = Timeline(Look(Palette()))
    shown = Shown(cluster, panel)
    panel.why._picked.value = "etl/task-1"
    again(shown)
    assert "etl/task-1</button> is running on" in panel.why.answer.text
    cluster.drivers["etl"].kill("etl/task-1")
    cluster.run("2s")
    again(shown)
    assert "killed at" in panel.why.answer.text and "launched at" in panel.why.answer.text


def test_a_name_that_is_gone_is_said_to_be(cluster):
    panel = Frameworks(Look(Palette()))
    shown = Shown(cluster, panel)
    panel.why.choose("<b>nobody</b>")
    again(shown)
    assert not shown.note.visible and "&lt;b&gt;nobody" in panel.why.answer.text


# -- names that are clicked, remedies that are run ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PANELS.values())
def test_every_panel_explains_what_is_chosen(cluster, kind):
    panel = kind(Look(Palette()))
    shown = Shown(cluster, panel)
    assert {"sweep", "research", "agent-1", "etl/task-1"} <= set(panel.why.names.options)
    panel.why._picked.value = "agent-2"
    again(shown)
    assert "agent-2</button> runs" in panel.why.answer.text and not shown.note.visible


def test_names_in_tables_answer_clicks(cluster):
    panel = PANELS["events"](Look(Palette()))
    Shown(cluster, panel)
    assert 'data-why="agent-1"' in panel.table.text and 'data-why="etl/task-1"' in panel.table.text
    table = PANELS["frameworks"](Look(Palette()))
    Shown(cluster, table)
    assert 'data-why="sweep"' in table.table.text and 'data-why="research"' in table.table.text


def test_an_answered_offer_has_its_story(cluster):
    panel = PANELS["offers"](Look(Palette()))
    shown = Shown(cluster, panel)
    panel.why._picked.value = "offer-1"
    again(shown)
    assert re.search(r"agent-\d was offered to \w+ at .*, accepted after", panel.why.answer.text)


class Picky(mb.Framework):
    """Wants offers, and takes none."""


def suppress(sim, big):
    big.suppress()


def pause(sim, big):
    sim.pause()


def limit(sim, big):
    sim.runs_for(train, "1h")
    needs = mb.Resources(cpus=1, mem="1GB")
    sim.register(mb.Queue(needs=needs), name="lab", role="ops").map(train, [1])
    sim.run("10s")
    sim.limits["ops"] = needs


def refuse(sim, big):
    sim.run("1s")  # it declines what is too small for it, for 5 s


def guarantee(sim, big):
    sim.guarantees["research"] = mb.Resources(cpus=12, mem="48GB")


def constrain(sim, big):
    big.constraints = (("gpu", "exists", ""),)
    sim.register(big, name="big", role="ops")


def fill(sim, big):
    sim.runs_for(train, "1h")
    sim.register(mb.Queue(needs=mb.Resources(cpus=4, mem="16GB")), name="lab", role="lab").submit(train, 1)
    sim.run("10s")


def drain(sim, big):
    sim.drain("agent-1")


def maintain(sim, big):
    sim.maintain("agent-1")


def reserve(sim, big):
    sim.pause()
    sim.run("40s")
    sim.reserve("agent-1", "lab", sim.core.agents["agent-1"].free)
    sim.resume()


def keep(sim, big):
    class Keeper(mb.Framework):
        def on_offers(self, offers):
            for offer in offers:
                offer.hold("20s")

    sim.register(Keeper(), name="keeper", role="lab")
    sim.run("6s")


HINDRANCES = [
    (suppress, "SUPPRESSED"), (pause, "PAUSED"), (limit, "LIMIT"), (refuse, "FILTER"), (guarantee, "HEADROOM"), (constrain, "CONSTRAINT"),
]  # fmt: skip


@pytest.mark.parametrize(("hinder", "expected"), HINDRANCES)
def test_the_code_of_a_remedy_removes_its_reason(hinder, expected, monkeypatch):
    sim = mb.Simulation(agents=3, seed=1)
    big = sim.register(Picky(), name="big", role="ops")
    sim.register(Picky(), name="sweep", role="research")
    hinder(sim, big)
    sim.run("100ms")
    monkeypatch.setattr(Session, "called", staticmethod(lambda _session: "mine"))
    reason = next(reason for reason in sim.explain("big").reasons if reason.why.name == expected)
    code = code_of(sim, reason)
    assert "mine." in code, reason
    exec(code, {"mine": sim, "mb": mb})
    assert expected not in [left.why.name for left in sim.explain("big").reasons]


@pytest.mark.parametrize(
    ("hinder", "expected"),
    [
        (fill, "NOTHING_FREE"),
        (drain, "AGENT_CLOSED"),
        (maintain, "AGENT_CLOSED"),
        (reserve, "RESERVED"),
        (keep, "TURN"),
    ],
)
def test_the_code_for_one_agent_removes_its_reason_there(hinder, expected, monkeypatch):
    sim = mb.Simulation(agents=1, seed=1)
    big = sim.register(Picky(), name="big", role="ops")
    hinder(sim, big)
    sim.run("100ms")
    monkeypatch.setattr(Session, "called", staticmethod(lambda _session: "mine"))
    (reason,) = sim.explain("big", "agent-1").reasons
    assert reason.why.name == expected
    exec(code_of(sim, reason), {"mine": sim, "mb": mb})
    if expected == "NOTHING_FREE":
        sim.run("5ms")  # the agent is told, and answers
    assert expected not in [left.why.name for left in sim.explain("big", "agent-1").reasons]


def test_the_button_has_the_code_and_advice_has_none(cluster):
    cluster.framework("etl").map(train, range(99))  # an idle queue would say that nothing is queued
    cluster.suppress("etl")
    panel = Frameworks(Look(Palette()))
    shown = Shown(cluster, panel)
    panel.why.choose("etl")
    again(shown)
    cell = re.search(r'data-cell="([^"]*)"', panel.why.answer.text)
    assert unescape(cell[1]) == "sim.revive('etl')"
    recording = mb.replay(cluster.log)
    assert all(code_of(recording, reason) == "" for reason in recording.explain("etl").reasons), (
        "what happened has happened"
    )
