"""The allocation panel: areas are shares, and the order is the master's own, nested roles and ties included."""

import pytest

import mesonb as mb
from mesonb.panels.allocation import Allocation
from mesonb.panels.allocation_view import basins, because, bounds, turns, water_level
from mesonb.panels.app import Look
from mesonb.panels.view import Palette
from tests.panels.conftest import train


def test_the_area_of_a_basin_is_the_share_and_roles_lie_side_by_side(cluster):
    cluster.weights["research"] = 3
    snapshot = cluster.snapshot()
    found, shores = basins(snapshot)
    for basin, row in zip(
        sorted(found, key=lambda b: b.framework), sorted(snapshot.frameworks, key=lambda r: r.framework), strict=True
    ):
        assert basin.tasks * (basin.right - basin.left) == pytest.approx(row.task_share)
        assert basin.level * (basin.right - basin.left) == pytest.approx(row.share)
    assert [(shore.role, shore.left, shore.right) for shore in shores] == [("ops", 0, 1), ("research", 1, 4)]
    assert shores[1].level == pytest.approx(shores[1].share / 3)
    assert min(s.level for s in shores) <= water_level(shores) <= max(s.level for s in shores)


def test_guarantees_and_limits_stand_at_the_level_they_mean(cluster):
    cluster.weights["research"] = 2
    cluster.guarantees["research"] = mb.Resources(cpus=3)
    cluster.limits["ops"] = mb.Resources(cpus=6, mem="12GB")
    snapshot = cluster.snapshot()
    _, shores = basins(snapshot)
    found = bounds(shores, {"guarantee": cluster.guarantees, "limit": cluster.limits}, snapshot.total)
    total = snapshot.total.amounts
    assert [(bound.kind, bound.left) for bound in found] == [("limit", 0), ("guarantee", 1)]
    assert found[0].level == min(6000 / total["cpus"], 12 * 10**9 / total["mem"])
    assert found[1].level == 3000 / total["cpus"] / 2
    panel = Allocation(Look(Palette()))
    panel.draw(cluster)
    assert list(panel.bounds.data["kind"]) == ["limit", "guarantee"]


ROLES = ("*", "lab", "eng", "eng/web", "eng/web/ads", "ops")


@pytest.mark.parametrize("seed", range(4))
def test_the_order_is_the_masters_own(seed):
    """Compared with the order that the allocator itself goes by, at many moments of a run with uneven needs and weights."""
    sim = mb.Simulation(agents=6, seed=seed, latency="20ms")
    sim.runs_for(train, "7s", execute=False)
    for number, role in enumerate(ROLES):
        for name in (f"f{number}-a", f"f{number}-b"):
            needs = mb.Resources(cpus=1 + (number + seed) % 2, mem=f"{1 + (number * seed) % 5}GB")
            sim.register(mb.Queue(needs=needs), name=name, role=role).map(train, range(8))
    sim.weights["lab"], sim.weights["eng/web"] = 2, 0.5
    for _ in range(40):
        sim.run("1s")
        assert [turn.framework for turn in turns(sim.snapshot())] == [client.path for client in sim.core.order.walk()]


def test_the_reason_names_the_level_where_two_part():
    sim = mb.Simulation(agents=2)
    sim.runs_for(train, "1min", execute=False)
    busy = sim.register(mb.Queue(needs=mb.Resources(cpus=1)), name="busy", role="lab")
    busy.map(train, range(4))
    sim.run("1s")
    sim.register(mb.Queue(needs=mb.Resources(cpus=1)), name="idle", role="ops")
    first, second = turns(sim.snapshot())
    assert (first.framework, second.framework) == ("idle", "busy")
    assert because(first, second) == "role ops stands at 0.000, role lab at 0.500"


def test_the_panel_says_who_is_next_and_what_it_does_not_know(cluster):
    panel = Allocation(Look(Palette()))
    panel.draw(cluster)
    assert "nobody takes offers now" in panel.told.text  # both queues are empty, and have said so
    later = cluster.register(mb.Queue(needs=mb.Resources(cpus=1)), name="later", role="ops")
    later.map(train, range(100))
    cluster.run("1s")
    panel.draw(cluster)
    assert "<b>later</b>" in panel.told.text and "what DRF would say" not in panel.told.text
