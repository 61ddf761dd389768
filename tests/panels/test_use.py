"""The use panel: held and used apart, the busiest agents first, and where nothing is measured that is said."""

import mesonb as mb
from mesonb.panels.app import Look
from mesonb.panels.use import AGENTS, NOT_MEASURED, NOT_YET, Use, rows
from mesonb.panels.view import Palette
from tests.panels.conftest import train


def test_held_used_and_the_agents_own_part_are_told_apart(cluster):
    agent = cluster.snapshot().agents[0]
    tasks = [task.task for task in agent.tasks]
    used = {agent.agent: {tasks[0]: mb.Resources(cpus=0.5, mem="3GB"), "": mb.Resources(mem="100MB")}}
    by_name = {row.resource: row for row in rows(cluster.snapshot(), used)}
    held = sum(task.needs.amounts["mem"] for task in agent.tasks)
    assert (by_name["mem"].allocated, by_name["mem"].used, by_name["mem"].itself) == (held, 3 * 10**9, 10**8)
    assert (by_name["cpus"].used, by_name["cpus"].total) == (500, agent.total.amounts["cpus"])


def test_only_so_many_agents_are_shown_and_they_are_the_busiest():
    sim = mb.Simulation(agents=AGENTS + 10)
    sim.runs_for(train, "1min", execute=False)
    names = [agent.agent for agent in sim.snapshot().agents]
    used = {name: {"t": mb.Resources(cpus=number / 100)} for number, name in enumerate(names, start=1)}
    found = [row.agent for row in rows(sim.snapshot(), used)]
    assert found == names[-AGENTS:]


def test_where_nothing_is_measured_that_is_said(cluster):
    panel = Use(Look(Palette()))
    panel.draw(cluster)
    assert NOT_MEASURED in panel.table.text
    cluster.used = {}
    panel.draw(cluster)
    assert NOT_YET in panel.table.text
    agent = cluster.snapshot().agents[0]
    cluster.used = {agent.agent: {"x": mb.Resources(mem="16GB")}}
    panel.draw(cluster)
    assert "16 GB" in panel.table.text and "#D55E00" in panel.table.text
