"""What is said of roles is read back; agents are drained; nonsense is answered in words."""

import pytest

import mesonb as mb
from mesonb.core import snapshot
from mesonb.errors import BadValue, NotThere

CPU = mb.Resources(cpus=1)


@pytest.fixture
def sim() -> mb.Simulation:
    sim = mb.Simulation(agents=2)
    sim.runs_for(abs, "1h", execute=False)
    return sim


def test_what_is_said_of_a_role_is_read_back_and_unsaid(sim) -> None:
    sim.weights["lab"], sim.priorities["lab"], sim.guarantees["lab"] = 3, 2, CPU
    assert (sim.weights["lab"], sim.priorities["lab"], sim.guarantees["lab"]) == (3, 2, CPU)
    assert (dict(sim.weights), dict(sim.limits)) == ({"lab": 3.0}, {})
    assert repr(sim.priorities) == "priorities {'lab': 2}"
    del sim.weights["lab"], sim.priorities["lab"], sim.guarantees["lab"]
    assert (sim.weights["lab"], sim.priorities["lab"], len(sim.guarantees)) == (1, 0, 0)
    (row,) = (row for row in sim.snapshot().roles if row.role == "lab")
    assert (row.priority, row.limit, row.guarantee) == (0, None, mb.Resources())


def test_a_weight_is_read_without_picturing_the_cluster(sim, monkeypatch) -> None:
    monkeypatch.setattr(snapshot, "take", lambda *_: pytest.fail("a whole snapshot for one weight"))
    monkeypatch.setattr(type(sim), "snapshot", lambda _: pytest.fail("a whole snapshot for one weight"))
    sim.weights["lab"] = 2
    assert sim.weights["lab"] == 2


def test_the_role_with_the_higher_priority_comes_first(sim) -> None:
    sim.allocator = "StrictPriority"
    sim.priorities["urgent"] = 1
    queues = {role: sim.register(mb.Queue(needs=CPU), name=role, role=role) for role in ("calm", "urgent")}
    runs = {role: queue.map(abs, range(8)) for role, queue in queues.items()}
    sim.run("1s")
    held = {row.framework: row.task_share for row in sim.snapshot().frameworks}
    assert len(runs["urgent"]) == 8 and held == {"calm": 0, "urgent": 1}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda sim: sim.weights.__setitem__("lab", 0), "is not a weight"),
        (lambda sim: sim.priorities.__setitem__("lab", 1.5), "is not a priority"),
        (lambda sim: sim.priorities.__setitem__("lab", True), "is not a priority"),
        (lambda sim: sim.limits.__setitem__("lab", 4), "no amount of resources"),
    ],
)
def test_what_cannot_be_said_of_a_role(sim, wrong, says) -> None:
    with pytest.raises(BadValue, match=says):
        wrong(sim)
    assert not sim.core.roles


def test_a_role_of_which_nothing_was_said(sim) -> None:
    sim.weights["lab"] = 2
    with pytest.raises(NotThere, match="no role 'zoo' has a weight; roles that have one: lab"):
        sim.weights["zoo"]


def test_an_agent_is_drained_and_offered_again(sim) -> None:
    queue = sim.register(mb.Queue(needs=CPU), name="q")
    queue.map(abs, range(8))
    sim.run("1s")
    sim.drain("agent-1", grace="10s", because="a new kernel")
    sim.run("11s")
    assert len(sim.core.agents["agent-1"].tasks) == 0
    assert sim.core.agents["agent-1"].free == sim.core.agents["agent-1"].total
    sim.undrain("agent-1")
    queue.map(abs, range(4))
    sim.run("1s")
    assert len(sim.core.agents["agent-1"].tasks) == 4
    with pytest.raises(NotThere, match="agent-9"):
        sim.drain("agent-9")


def test_a_role_that_nobody_knows_is_not_in_it_and_has_no_weight():
    sim = mb.Simulation(agents=1)
    assert "nobody" not in sim.weights and sim.guarantees.get("nobody") is None
    with pytest.raises(NotThere) as raised:
        sim.weights["nobody"]
    assert str(raised.value).startswith("no role")
