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


REFUSED = [
    (lambda sim: sim.weights.update({"a//b": 2}), "'a//b' names no role"),
    (lambda sim: sim.limits.update({"eng/web": CPU}), "guarantees and limits belong to outermost roles; say it of 'eng'"),
    (lambda sim: sim.guarantees.update({"lab": mb.Resources(cpus=99)}), "would be 91 cpus more than there is"),
    (lambda sim: sim.reserve("agent-1", "lab", mb.Resources(cpus=50)), "agent-1 has 4 cpus, 16 GB mem free and unreserved"),
    (lambda sim: sim.unreserve("agent-1", "lab", CPU), "nothing is free of what agent-1 has reserved for lab"),
    (lambda sim: sim.undrain("agent-1"), "agent-1 is not draining"),
    (lambda sim: sim.add_agent(CPU, name="agent-1"), "an agent called agent-1 is here already"),
    (lambda _: mb.Simulation(agents=[mb.Agent(CPU, reserved={"lab": CPU + CPU})]), "2 cpus of it cannot be reserved"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "says"), REFUSED, ids=[says[:25] for _, says in REFUSED])
def test_what_the_master_refuses_is_said_where_it_was_asked_for(sim, wrong, says) -> None:
    with pytest.raises(BadValue, match=says):
        wrong(sim)
    assert not sim._waited_for


def test_a_limit_that_is_passed_already_can_be_set_all_the_same(sim) -> None:
    sim.register(mb.Queue(needs=CPU), name="q", role="lab").map(abs, range(3))
    sim.run("1s")
    with pytest.raises(
        BadValue, match=r"lab has 3 cpus already, above that limit; limits\.force\('lab', \.\.\.\) sets it"
    ):
        sim.limits["lab"] = CPU
    sim.limits.force("lab", CPU)
    assert sim.limits["lab"] == CPU and len(sim.core.tasks) == 3
