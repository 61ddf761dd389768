"""Storms: whatever goes wrong, the books balance at every step, and in the calm everybody gets done.

Rule: what a storm found stays here, as a story of a few lines, or as its seed with a sentence. `make storm` runs many more.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import replace

import pytest

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.records import TaskState
from mesonb.errors import BadValue
from mesonb.sim import storm as storms
from mesonb.sim import weather
from mesonb.sim.checkers import Checkers
from mesonb.sim.faults import Faults
from mesonb.sim.storm import StormFailed, storm


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_fault_at_once(seed):
    passed = storm(seed, agents=20, until="1m", frameworks=4, faults=Faults())
    assert passed.figures["chores"] > 40
    assert len(passed.faults) > 10


def test_a_seed_that_nobody_chose(random_seed):
    storm(random_seed, until="1m")


def test_no_fault_at_all_loses_nothing():
    passed = storm(5, agents=10, until="1m", faults=Faults.none())
    assert passed.faults == {}
    figures = passed.figures
    assert figures["launched"] == figures["finished"] == figures["chores"] > 0
    assert figures["lost"] == figures["killed"] == figures["failed"] == 0


@pytest.mark.parametrize("fault", Faults.__slots__)
def test_each_fault_alone_really_happens(fault):
    """With one fault made likely, it strikes, and the storm still ends well."""
    often = {"agent_crash", "agent_silent", "agent_slow", "leaves"}
    faults = Faults.only(fault, 0.02 if fault in often else 0.1)
    if fault == "answers_late":
        faults = replace(faults, answers_late=1, hoards=0.5)  # an offer must expire before its answer can be late
    passed = storm(3, agents=5, until="1m", frameworks=3, faults=faults)
    assert passed.faults[fault] > 0


def test_tasks_are_taken_back_while_they_are_staging():
    passed = storm(3, agents=5, until="1m", frameworks=3, faults=Faults.only("revoked_staging", 0.2))
    assert passed.figures["revoked"] == passed.faults["revoked_staging"] > 5
    assert passed.figures["killed"] > 0


def test_ten_thousand_agents_join_at_once(monkeypatch):
    """Frameworks that decline nearly all they are offered are offered each of them."""
    monkeypatch.setattr(weather, "OFTEN_MANY", 1)
    faults = replace(Faults.only("many_agents", 0.15), declines=0.95)
    passed = storm(1, agents=20, until="10s", frameworks=3, faults=faults)
    assert passed.faults["many_agents"] > 0
    assert passed.figures["offers_made"] > 10_000


def test_storms_are_of_every_kind():
    """Optimistic and not, in batches and at once, with gangs: each within the first few seeds."""
    kinds, gangs = set(), 0
    for seed in range(1, 12):
        one = storms._Storm(seed, 3, 10**7, 4, Faults.none(), None)
        one.weather_it()
        settings = one.rough.core.settings
        kinds |= {settings.concurrency, bool(settings.allocation_interval_us), settings.allocate_on_recovery}
        gangs += sum(isinstance(step.call, calls.AcceptAll) for step in one.rough.log.steps)
    assert kinds == {"optimistic", "pessimistic", True, False}
    assert gangs


def test_one_seed_is_one_storm_in_every_process():
    command = [sys.executable, "-m", "mesonb.cli", "storm", "--seed", "12", "--until", "1m"]
    printed = [
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True
        ).stdout
        for salt in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert "seed 12 digest" in printed[0]


def test_a_failure_prints_the_line_that_shows_it_again(monkeypatch, capsys):
    def broken(self, core, call, followed):
        assert not isinstance(call, calls.Accept), "found something"

    monkeypatch.setattr(Checkers, "after", broken)
    with pytest.raises(StormFailed, match="found something(.|\n)*mesonb storm --seed 8123 --agents 3 --until 12m"):
        storm(8123, agents=3, until="12m")
    parser = argparse.ArgumentParser()
    storms.add_arguments(parser)
    assert storms.run(parser.parse_args(["--seed", "4", "--agents", "2", "--until", "10s"])) == 1
    assert "seed 4 FAILED" in capsys.readouterr().out


def test_a_probability_is_a_probability():
    with pytest.raises(BadValue, match="lost=2 is not a probability"):
        Faults(lost=2)
    with pytest.raises(BadValue, match="0 is too few"):
        storm(1, agents=0)
    parser = argparse.ArgumentParser()
    storms.add_arguments(parser)
    with pytest.raises(BadValue, match="--runs 0 --processes 1: both are 1 or more"):
        storms.run(parser.parse_args(["--runs", "0"]))


def test_the_checkers_see_what_is_wrong():
    """Books that were tampered with, and events that cannot be, are found: a checker that never fails checks nothing."""
    simulation = mb.Simulation(agents=1)
    simulation.register(mb.Framework(), name="f")
    simulation.run("1s")
    agent = next(iter(simulation.core.agents.values()))

    def told(*followed):
        onlooker = Checkers()
        onlooker.after(simulation.core, calls.Tick(), [])
        onlooker.after(simulation.core, calls.Tick(), list(followed))

    launch = events.Launch(agent.name, "f", "t", mb.Resources(cpus=1))
    for wrong, match in [
        ([launch, launch], "launched a second time"),
        ([events.Rescinded("f", "offer-9", "")], "is not outstanding"),
        ([events.Updated("f", "t", TaskState.FINISHED)], "never launched"),
        (
            [launch, events.Updated("f", "t", TaskState.LOST), events.Updated("f", "t", TaskState.FINISHED)],
            "went from lost",
        ),
        ([launch], "0 tasks in the books, 1 were launched"),
    ]:
        with pytest.raises(AssertionError, match=match):
            told(*wrong)
    agent.free -= mb.Resources(cpus=1)
    with pytest.raises(AssertionError, match="agent-1: 3 cpus"):
        Checkers().after(simulation.core, calls.AgentLost(agent.name), [])


@pytest.mark.timeout(400)
def test_two_hundred_storms():
    """What `make storm N=200` runs: each with its own cluster, faults and rough links."""
    command = [sys.executable, "-m", "mesonb.cli", "storm", "--runs", "200", "--processes", "2"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    failed = found.stdout[found.stdout.find("FAILED") :][:1000]
    assert found.stdout.endswith("200 of 200 storms weathered\n"), failed
    assert found.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_hundred_agents_for_twelve_minutes():
    assert storm(8123, agents=300, until="12m").figures["chores"] > 10_000


# -- what storms found, told in a few lines --------------------------------------------------------------------------


class Diary(mb.Framework):
    """Notes which callback is called when; may suppress itself at once, or launch."""

    needs = mb.Resources(cpus=1)

    def __init__(self, shy=False, busy=False):
        self.shy, self.busy, self.notes = shy, busy, []

    def on_registered(self, tasks):
        self.notes.append("registered")
        if self.shy:
            self.suppress()

    def on_offers(self, offers):
        self.notes.append("offers")
        if self.busy:
            self.busy = False
            offers[0].launch(print)

    def on_update(self, task):
        self.notes.append(task.state.value)


def test_a_suppress_on_its_way_does_not_silence_the_code_that_took_over():
    simulation = mb.Simulation(agents=1, latency="10ms")
    simulation.register(Diary(shy=True), name="f")
    simulation.run("15ms")  # its suppress has been sent and has not arrived
    successor = simulation.register(Diary(), name="f")
    simulation.run("1s")
    assert successor.notes == ["registered", "offers"]


def test_offers_made_to_dead_code_do_not_reach_the_code_that_took_over():
    simulation = mb.Simulation(agents=1, latency="10ms")
    simulation.register(Diary(), name="f")
    simulation.run("5ms")  # an offer has been made and has not arrived
    successor = simulation.register(Diary(), name="f")
    simulation.run("1s")
    assert successor.notes == ["registered", "offers"]


def test_an_agent_that_dies_with_a_launch_on_its_way_loses_the_task_and_no_more():
    simulation = mb.Simulation(agents=1, latency="10ms")
    simulation.runs_for(print, "1s")
    framework = simulation.register(Diary(busy=True), name="f")
    simulation.run("25ms")  # the master has sent the task, the agent has not got it
    simulation.lose_agent("agent-1")
    simulation.run("10s")
    assert (framework.notes.count("lost"), framework.notes.count("running")) == (1, 0)


def test_frameworks_that_ignore_small_offers_are_not_offered_the_same_at_every_turn():
    simulation = mb.Simulation(agents=1, offer_size=mb.Resources(cpus=1, mem="4GB"))
    simulation.register(mb.Framework(), name="idle")
    simulation.run("11s")
    assert simulation.core.frameworks["idle"].counts["offers_made"] < 20


def test_no_name_begins_like_the_tasks_of_anothers_second_registration():
    """`sweep.2/task-1` is a task of sweep's second registration; a framework called sweep.2 would never get its own launched."""
    simulation = mb.Simulation(agents=1)
    with pytest.raises(BadValue, match=r"'sweep\.2' cannot be a name: .*write 'sweep-2'"):
        simulation.register(mb.Framework(), name="sweep.2")


def test_a_result_that_is_late_in_virtual_time_is_late_at_once():
    simulation = mb.Simulation(agents=1)
    simulation.runs_for(work := lambda: 1, "1h")
    run = simulation.register(mb.Queue()).submit(work)
    with pytest.raises(TimeoutError, match="no result within 1 min"):
        run.result("1min")
    assert run.result("2h") == 1
