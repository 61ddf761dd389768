"""Whatever is said of an agent, or asked of one, is within reach of a plain Framework class in a simulation."""

import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.core.declared import agent_of
from mesonb.core.invariants import check
from mesonb.errors import BadValue

CPU = mb.Resources(cpus=1)


def work(*_) -> None:
    """Nothing."""


class Watcher(mb.Framework):
    """Launches one task an offer, as it is told to, and keeps what it was offered."""

    def __init__(self, needs=CPU, most=99, **terms) -> None:
        self.needs, self.most, self.seen, self.launched = needs, most, [], []
        for name, value in terms.items():
            setattr(self, name, value)

    def on_offers(self, offers) -> None:
        self.seen += offers
        for offer in offers:
            if len(self.launched) < self.most and offer.fits(self.needs):
                self.launched.append(offer.launch(work))


def simulated(*agents, **rules) -> mb.Simulation:
    sim = mb.Simulation(agents=list(agents), **rules)
    sim.runs_for(work, "1min", execute=False)
    return sim


def agents_offered(framework) -> set[str]:
    return {offer.agent for offer in framework.seen}


def test_attributes_and_every_term_of_a_framework_count() -> None:
    sim = simulated(
        mb.Agent(CPU * 4, attributes={"rack": "a", "gpu": "yes"}), mb.Agent(CPU * 2, attributes={"rack": "b"}), CPU * 4
    )
    terms = {
        "rack": {"constraints": [("rack", "is", "a")]}, "any": {"constraints": [("rack", "exists", "")]},
        "not": {"constraints": [("rack", "is not", "a")]}, "like": {"constraints": [("rack", "matches", "[b-z]")]},
        "only": {"only_agents": ["agent-3"]}, "large": {"min_offer": CPU * 3}, "one": {"min_offer": [CPU * 9, CPU * 3]},
    }  # fmt: skip
    watchers = {name: sim.register(Watcher(most=0, **given), name) for name, given in terms.items()}
    sim.run("1min")
    assert {name: agents_offered(watcher) for name, watcher in watchers.items()} == {
        "rack": {"agent-1"}, "any": {"agent-1", "agent-2"}, "not": {"agent-2", "agent-3"}, "like": {"agent-2"},
        "only": {"agent-3"}, "large": {"agent-1", "agent-3"}, "one": {"agent-1", "agent-3"},
    }  # fmt: skip


def test_gpus_on_request_are_for_those_who_say_that_they_can() -> None:
    sim = simulated(mb.Resources(cpus=1, gpus=1), gpus_on_request=True)
    can, cannot = sim.register(Watcher(most=0, capabilities=["gpus"]), "can"), sim.register(Watcher(most=0), "cannot")
    sim.run("10s")
    assert can.seen and not cannot.seen


def test_a_named_resource_is_asked_for_shared_and_booked_like_any() -> None:
    sim = simulated(mb.Resources(cpus=8, named={"licences": 3}), mb.Resources(cpus=8, named={"licences": 1.5}))
    needs = mb.Resources(cpus=1, named={"licences": 1})
    watcher = sim.register(Watcher(needs), "w")
    sim.run("30s")
    assert [task.agent for task in watcher.launched] == ["agent-1", "agent-2", "agent-1", "agent-1"]
    row = sim.snapshot().frameworks[0]
    assert row.task_share == 4 / 4.5 and row.allocated == needs * 4 + (row.offered)
    assert sim.explain("w", "agent-2").sentence
    check(sim.core)
    with pytest.raises(BadValue, match="no agent is large enough for 1 cpu, 4 licences"):
        sim.register(Watcher(mb.Resources(cpus=1, named={"licences": 4})), "v")


def test_ports_reach_the_task_that_asked_for_them() -> None:
    sim = simulated(mb.Resources(cpus=4, ports="31000-31003"), mb.Resources(cpus=4, ports="31000-31003"))
    watcher = sim.register(Watcher(mb.Resources(cpus=1, ports=2)), "web")
    sim.run("30s")
    assert [str(task.needs.which["ports"]) for task in watcher.launched] == [
        "[31000-31001]",
        "[31000-31001]",
        "[31002-31003]",
        "[31002-31003]",
    ]
    with pytest.raises(BadValue, match=r"\[80\] ports"):
        sim.register(mb.Queue(mb.Resources(ports=[80])), "v")


def test_a_queue_asks_for_ports_too() -> None:
    sim = simulated(mb.Resources(cpus=2, ports="31000-31001"))
    queue = sim.register(mb.Queue(mb.Resources(cpus=1, ports=1)), "q")
    runs = [queue.submit(work), queue.submit(work)]
    assert [run.result() for run in runs] == [None, None]
    assert [run.task.needs.which["ports"].first(1) for run in runs] == [run.task.needs.which["ports"] for run in runs]


def test_parts_of_agents_are_declared_and_short_tasks_end_in_time() -> None:
    sim = simulated(mb.Agent(CPU * 3, short=CPU, max_task="10s"))
    long, brief = sim.register(Watcher(), "long"), sim.register(Watcher(short_tasks=True), "brief")
    sim.run("20s")
    assert {offer.max_task_us for offer in long.seen + brief.seen} == {10_000_000}
    assert all(not task.ended for task in long.launched)
    killed = [task for task in brief.launched if task.killed]
    assert killed and sim.now_us() < 60_000_000
    check(sim.core)


def test_reservations_and_minimum_sizes_are_declared_and_changed_while_it_runs() -> None:
    sim = simulated(mb.Agent(CPU * 4, reserved={"lab": CPU * 2}, min_offer=CPU * 2), CPU)
    other = sim.register(Watcher(most=0), "other")
    sim.run("10s")
    assert {(offer.agent, offer.resources.cpus) for offer in other.seen} == {("agent-1", 2), ("agent-2", 1)}
    sim.unreserve("agent-1", "lab", CPU)
    sim.reserve("agent-2", "lab", CPU)
    sim.run("30s")
    assert ("agent-1", 3) in {(offer.agent, offer.resources.cpus) for offer in other.seen}
    assert sim.core.agents["agent-1"].reserved == {"lab": CPU}
    with pytest.raises(BadValue, match="no amount of resources"):
        sim.reserve("agent-1", "lab", 2)


def test_an_agent_may_join_later_under_a_name() -> None:
    sim = simulated()
    assert sim.add_agent(mb.Agent(CPU, attributes={"rack": "a"}), "new", zone="z") == "new"
    assert sim.core.agents["new"].attributes == (("rack", "a"), ("zone", "z"))


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (lambda: mb.Agent(4), "no part of an agent"),
        (lambda: mb.Agent(CPU, reserved={"lab": 1}), "no part of an agent"),
        (lambda: mb.Agent(CPU, short=CPU), "say how long"),
        (lambda: mb.Agent(CPU, max_task="soon"), "not a time"),
        (lambda: agent_of("big"), "no agent"),
        (lambda: agent_of(mb.Resources()), "no agent"),
        (lambda: mb.Simulation(agents=["big"]), "no agent"),
    ],
)
def test_what_is_no_agent_is_said_to_be_none(said, says) -> None:
    with pytest.raises(BadValue, match=says):
        said()


def test_one_of_several_minimum_sizes_is_enough() -> None:
    joined = mb.Agent(CPU * 4, min_offer=[CPU, CPU * 2]).joined("a")
    assert joined == calls.AgentJoined("a", CPU * 4, min_offer=(CPU, CPU * 2))
