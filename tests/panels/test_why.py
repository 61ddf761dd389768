"""Why: what is clicked or chosen is explained by the master itself, with the task's story where it has ended."""

import mesonb as mb
from mesonb.panels.allocation import Allocation
from mesonb.panels.app import Look, Shown
from mesonb.panels.frameworks import Frameworks
from mesonb.panels.timeline import Timeline
from mesonb.panels.view import Palette
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
    assert "etl/task-1 is running on" in panel.why.answer.text
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
