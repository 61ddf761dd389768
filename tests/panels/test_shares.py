"""Shares over time, with what is said of roles across them."""

import mesonb as mb
from mesonb.panels.look import Look
from mesonb.panels.shares import Shares, said_of_roles
from mesonb.panels.view import Palette


def test_weights_guarantees_and_limits_are_lines_at_their_share_of_the_cluster(cluster):
    assert said_of_roles(cluster.snapshot()) == {0.5: "ops, research by weight"}
    cluster.weights["ops"] = 3
    cluster.guarantees["research"] = mb.Resources(cpus=3)
    cluster.limits["ops"] = mb.Resources(cpus=6, mem="12GB")  # of 12 cpus and 48 GB: memory runs out first
    drawn = {0.25: "research by weight, limit of ops, guarantee of research", 0.75: "ops by weight"}
    assert said_of_roles(cluster.snapshot()) == drawn
    panel = Shares(Look(Palette()))
    panel.draw(cluster)
    assert dict(zip(panel.said.data["level"], panel.said.data["words"], strict=True)) == drawn
    cluster.weights["ops"] = 1
    cluster.limits["ops"] = mb.Resources(cpus=9)
    panel.draw(cluster)
    assert panel.said.data["level"] == [0.25, 0.5, 0.75]


def test_parts_of_one_resource_are_lines_too(cluster):
    cluster.guarantees["research"] = mb.Resources(cpus=3)
    cluster.limits["ops"] = mb.Resources(cpus=6, mem="12GB")
    panel = Shares(Look(Palette()))
    panel.draw(cluster)
    assert panel.of.options == ["dominant share", "cpus", "mem"]
    panel.of.value = "mem"
    panel.draw(cluster)
    assert panel.said.data["words"] == ["limit of ops"] and panel.said.data["level"] == [0.25]
    assert panel.chart.yaxis[0].axis_label == "part of all mem held by its tasks"
    cluster.run("1s")
    panel.draw(cluster)
    drawn = {line.name: line.data_source.data["share"][-1] for line in panel.chart.renderers if line.name}
    assert drawn == cluster.history.of("mem")[-1][1] and set(drawn.values()) == {0.125}, "8 GB of 64"
    panel.of.value = "dominant share"
    panel.draw(cluster)
    assert "ops, research by weight" in panel.said.data["words"]
