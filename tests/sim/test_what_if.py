"""What if: the recorded demand is found again, and other decisions change what they should and nothing else."""

from collections import Counter
from dataclasses import replace

import pytest

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.allocators import FIFO
from mesonb.core.log import Log
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.errors import BadValue
from mesonb.sim.demand import Demand

ONE = mb.Resources(cpus=1)


def work(number):
    return number


def recorded(time="2min", allocator=None, agents=4, **roles):
    """A day on which two queues wanted more than there was."""
    simulation = mb.Simulation(agents=agents, seed=1, allocator=allocator)
    simulation.runs_for(work, lambda number: 5 + number % 7)
    for name, role in (roles or {"a": "lab", "b": "ops"}).items():
        queue = simulation.register(mb.Queue(needs=ONE), name=name, role=role)
        queue.map(work, range(200))
        simulation.run("7s")
    simulation.run(time)
    return simulation


def test_the_same_decisions_give_the_same_day():
    simulation = recorded("10min")
    table = mb.what_if(simulation.log)
    for framework, was in table.columns["recorded"].items():
        for column in ("run again", "what if"):
            now = table.columns[column][framework]
            assert now.share == pytest.approx(was.share, abs=0.01)
            assert now.wait_s == pytest.approx(was.wait_s, rel=0.03)
            assert now.done_s == pytest.approx(was.done_s, rel=0.03)
            assert now.finished == was.finished > 0


def test_when_a_task_was_wanted_is_found_in_the_log():
    """What was submitted at 30 s, to a queue that had suppressed itself, was wanted at 30 s; the first tasks at once."""
    simulation = mb.Simulation(agents=1, seed=1)
    simulation.runs_for(work, "10s")
    queue = simulation.register(mb.Queue(needs=ONE), name="q")
    queue.map(work, range(6))
    simulation.run("30s")
    queue.map(work, range(2))
    simulation.run("30s")
    spans = list(Demand(simulation.log).spans.values())
    assert [round(span.wanted_us / 1e6) for span in spans] == [0] * 6 + [30] * 2
    assert [round(span.launched_us / 1e6) for span in spans] == [0] * 4 + [10] * 2 + [30] * 2
    assert {span.lasted_us for span in spans} == {10_000_000}


def test_a_weight_shortens_the_waits_of_its_role_and_lengthens_the_others():
    simulation = recorded("10min")
    table = mb.what_if(simulation.log, weights={"ops": 3})
    before, after = table.columns["run again"], table.columns["what if"]
    assert after["b"].wait_s < 0.75 * before["b"].wait_s
    assert after["a"].wait_s > 1.25 * before["a"].wait_s
    assert after["all"].finished == before["all"].finished == 400


def test_another_allocator_decides():
    simulation = recorded("10min")
    table = mb.what_if(simulation.log, allocator=FIFO())
    assert type(table.simulation.core.allocator) is FIFO
    assert table.columns["what if"]["a"].done_s < 0.8 * table.columns["run again"]["a"].done_s
    assert "FIFO had decided in place of DRF: a simulation of the recorded demand, not a recording" in repr(table)


def test_twice_the_agents_take_half_the_time(tmp_path):
    simulation = recorded("10min")
    path = tmp_path / "day.log"
    simulation.log.save(str(path))
    table = mb.what_if(path, agents=8)
    assert len(table.simulation.core.agents) == 8
    assert table.columns["what if"]["all"].done_s == pytest.approx(table.columns["recorded"]["all"].done_s / 2, rel=0.1)
    assert mb.what_if(path, agents=[mb.Resources(cpus=32)]).simulation.core.total.cpus == 32


def test_long_refusals_waste_what_is_there():
    """Frameworks that refuse for a minute what they cannot use now do not get it when they could."""
    simulation = mb.Simulation(agents=2, seed=1)
    simulation.runs_for(work, "10s")

    class Bursts(mb.Framework):
        needs = ONE

        def __init__(self):
            self.todo = 0

        def on_registered(self, tasks):
            for second in range(0, 120, 15):
                self.call_later(second, self.want)

        def want(self):
            self.todo += 4

        def on_offers(self, offers):
            for offer in offers:
                while self.todo and offer.fits(ONE):
                    self.todo -= 1
                    offer.launch(work, 1)

    simulation.register(Bursts(), name="bursts")
    simulation.run("3min")
    table = mb.what_if(simulation.log, filters="1min")
    assert table.columns["what if"]["bursts"].wait_s > table.columns["run again"]["bursts"].wait_s + 5


def test_agents_come_and_go_as_they_did():
    simulation = recorded("10s")
    simulation.lose_agent("agent-2")
    simulation.run("10min")
    table = mb.what_if(simulation.log)
    assert table.columns["recorded"]["all"].lost > 0
    assert table.columns["run again"]["all"].lost > 0
    assert "agent-2" not in table.simulation.core.agents
    assert table.columns["what if"]["all"].finished == 400


def test_what_cannot_be_asked_is_said():
    with pytest.raises(BadValue, match="nothing was launched"):
        mb.what_if(mb.Simulation(agents=1).log)
    simulation = recorded("10s")
    with pytest.raises(BadValue, match="agents=0"):
        mb.what_if(simulation.log, agents=0)

    with pytest.raises(BadValue, match="a ran tasks that need 1 cpu, and none of these agents that it takes has that"):
        mb.what_if(simulation.log, agents=[mb.Resources(cpus=0.5)])
    for nobody in ("Fifo", FIFO, 3):
        with pytest.raises(BadValue, match="is no allocator; write one of DRF,"):
            mb.what_if(simulation.log, allocator=nobody)
    assert "FIFO had decided" in repr(mb.what_if(simulation.log, allocator="FIFO"))

    with pytest.raises(BadValue, match="nobody ran in role 'nobody' in this recording; there are: "):
        mb.what_if(simulation.log, weights={"nobody": 2})
    with pytest.raises(BadValue, match=r"give its log \(session.log\)"):
        mb.what_if(simulation)

    class Own(FIFO):
        pass

    log = recorded("10s", allocator=Own()).log
    with pytest.raises(BadValue, match=r"allocator=Own\(\)"):
        mb.what_if(log)
    assert mb.what_if(log, allocator=Own()).columns.keys() == {"recorded", "what if"}


def test_it_is_a_table_in_a_notebook_too():
    shown = mb.what_if(recorded("10s").log, weights={"ops": 2})._repr_html_()
    assert ">What if the weights were ops=2" in shown
    assert shown.count("<tr>") == 1 + 3 * 7


# -- what is not asked to be different is as recorded ------------------------------------------------------------------


def launches(log):
    """By agent, how many tasks were launched there."""
    told = (event for step in log.steps for event in step.events)
    return Counter(event.agent for event in told if isinstance(event, events.Launch))


class OnRack1(mb.Queue):
    constraints = (("rack", "is", "r1"),)


def racks(**rules):
    """Two racks, of which a queue takes one; it has done forty tasks after five minutes."""
    agents = [mb.Agent(mb.Resources(cpus=4), attributes={"rack": f"r{number}"}) for number in (1, 2)]
    simulation = mb.Simulation(agents=agents, seed=1, **rules)
    simulation.runs_for(work, "5s")
    simulation.register(OnRack1(ONE), name="q").map(work, range(40))
    return simulation.run("5min")


def test_pacing_and_constraints_are_as_recorded():
    simulation = racks(allocation_interval="1s", allocate_on_recovery=False)
    table = mb.what_if(simulation.log)
    assert table.simulation.core.settings == replace(simulation.core.settings, seed=0)
    recorded, again = table.columns["recorded"]["q"], table.columns["run again"]["q"]
    assert again.wait_s == pytest.approx(recorded.wait_s, rel=0.01)
    assert (again.share, again.done_s) == (recorded.share, recorded.done_s)
    assert launches(table.simulation.log) == launches(simulation.log) == {"agent-1": 40}
    assert set(launches(mb.what_if(simulation.log, agents=4).simulation.log)) == {"agent-1", "agent-3"}
    with pytest.raises(BadValue, match=r"q ran tasks that need 1 cpu, and none of these agents that it takes has that"):
        mb.what_if(simulation.log, agents=[mb.Resources(cpus=8)])


def test_an_answer_may_come_too_late_in_the_other_world():
    """A weight that is said while answers are on their way takes the offers back: what was launched on them is wanted again."""
    simulation = mb.Simulation(agents=2, seed=1)
    simulation.runs_for(work, "10s")
    for name in ("a", "b"):
        simulation.register(mb.Queue(needs=ONE), name=name, role=name).map(work, range(8))
    simulation.run("200us")
    simulation.weights["b"] = 3
    simulation.run("1min")
    table = mb.what_if(simulation.log, weights={"a": 2})
    assert any(isinstance(event, events.Rejected) for step in table.simulation.log.steps for event in step.events)
    assert table.columns["what if"]["all"].finished == table.columns["recorded"]["all"].finished == 16


def test_what_was_wanted_from_the_start_is_not_refused_first():
    """Offers that arrive together with the registration find that something is wanted."""
    simulation = mb.Simulation(agents=1, seed=1)
    simulation.runs_for(work, "10s")
    simulation.run("1.5s")

    class Once(mb.Framework):
        def on_offers(self, offers):
            for offer in offers if not self.tasks else ():
                offer.launch(work, 1, needs=ONE)

    simulation.register(Once(), name="once")
    simulation.run("5s")
    columns = mb.what_if(simulation.log).columns
    assert columns["run again"]["once"].wait_s == pytest.approx(columns["recorded"]["once"].wait_s, abs=0.001)


def test_what_was_taken_back_is_wanted_again_and_counted():
    """A guarantee is met by revocation; without a grace nothing would have been revoked."""
    simulation = mb.Simulation(agents=2, seed=1, grace="5s")
    simulation.runs_for(work, "5min")
    greedy = simulation.register(mb.Queue(ONE), name="greedy")
    runs = greedy.map(work, range(8))
    simulation.run("10s")
    simulation.guarantees["lab"] = mb.Resources(cpus=4)
    simulation.register(mb.Queue(ONE), name="lab", role="lab").map(work, range(4))
    simulation.run("30min")
    assert [run.result() for run in runs] == list(range(8))
    columns = mb.what_if(simulation.log).columns
    assert columns["recorded"]["greedy"].revoked == 4
    for framework, was in columns["recorded"].items():
        assert columns["run again"][framework].revoked == was.revoked
        assert columns["run again"][framework].wait_s == pytest.approx(was.wait_s, abs=0.1)
    assert "tasks revoked" in repr(mb.what_if(simulation.log, agents=4))
    assert mb.what_if(simulation.log, agents=4).columns["what if"]["all"].revoked == 0


def test_a_log_that_was_cut_keeps_what_was_said_before(tmp_path):
    """Weights, terms and roles said before the first call that is kept hold in the world of other decisions."""
    simulation = racks(log_steps=100)
    simulation.weights["*"] = 3
    simulation.limits["ops"] = ONE
    simulation.framework("q").map(work, range(200))
    simulation.run("5min")
    assert simulation.log.base
    table = mb.what_if(simulation.log)
    core = table.simulation.core
    assert (core.roles["*"].weight_milli, core.roles["ops"].limit) == (3000, ONE)
    assert set(launches(table.simulation.log)) == {"agent-1"}


def test_agents_and_schedulers_that_were_away_come_back():
    simulation = recorded("20s")
    simulation.post([calls.AgentUnreachable("agent-2"), calls.Disconnect("a")])
    simulation.run("5s")
    back = tuple(calls.RunningTask(task, "a", ONE) for task in simulation.core.agents["agent-2"].tasks)
    simulation.post([calls.AgentBack("agent-2", back), simulation.drivers["a"].subscription()])
    simulation.run("10min")
    table = mb.what_if(simulation.log)
    assert table.columns["run again"]["all"].finished == table.columns["recorded"]["all"].finished == 400
    assert table.columns["run again"]["all"].lost == 0


def test_gangs_several_roles_and_what_a_master_before_left():
    """Members of a gang are wanted one by one; what an agent ran when it joined was wanted then."""
    core = MasterCore()
    log = Log(core.settings, "DRF", core)
    found = calls.RunningTask("f.1/old", "f", ONE, "lab", epoch=0)

    def tell(now_s, *said):
        for call in said:
            log.record(call, now_s * 10**6, core.step(call, now_s * 10**6))

    tell(0, calls.AgentJoined("a", mb.Resources(cpus=4), tasks=(found,)), calls.Subscribe("f", "lab", roles=("ops",)))
    tell(1, calls.Tick())
    (offer,) = core.offers
    members = tuple(calls.TaskInfo(f"f/{number}", ONE) for number in range(2))
    tell(2, calls.AcceptAll("f", (calls.Accept("f", (offer,), members),)))
    tell(9, *(calls.TaskUpdate("a", task, TaskState.FINISHED) for task in ("f.1/old", "f/0", "f/1")))
    table = mb.what_if(log)
    assert table.columns["recorded"]["f"].finished == table.columns["run again"]["f"].finished == 3
    assert {one.role for one in table.simulation.core.family("f")} == {"lab", "ops"}
    assert not table.simulation.core.tasks
