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
