"""The simulator: virtual time around the same core, and what is said when a cell asks for something that makes no sense."""

import _thread
import gc
import os
import signal
import statistics
import subprocess
import sys
import weakref
from random import Random

import pytest

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.invariants import check
from mesonb.errors import BadValue, NoDuration, NotThere
from mesonb.sim import constant, exponential, lognormal, normal, progress, uniform
from tests.helpers import ROOT
from tests.log.sweep import Sweep, train


@pytest.fixture
def sim() -> mb.Simulation:
    sim = mb.Simulation(agents=2, seed=1)
    sim.runs_for(train, "10s")
    return sim


# -- time -------------------------------------------------------------------------------------------------------------


def test_time_passes_as_asked(sim) -> None:
    assert sim.run("1min").now_us() == 60_000_000
    assert sim.run(0.5).now_us() == 60_500_000
    assert sim.run(until="2min").now_us() == 120_000_000
    assert sim.run(until="2min").now_us() == 120_000_000


def test_tasks_last_as_long_as_was_said_and_links_take_their_time() -> None:
    sim = mb.Simulation(agents=1, seed=1, latency="1ms")
    sim.runs_for(train, "10s")
    sim.register(Sweep([3]), name="sweep")
    sim.run("1min")
    at = {
        type(step.call).__name__ + getattr(getattr(step.call, "state", None), "value", ""): step.now_us
        for step in sim.log.steps
    }
    launched = at["Accept"]
    assert at["TaskUpdaterunning"] - launched == 2_000  # to the agent and back
    assert at["TaskUpdatefinished"] - launched == 10_002_000


def test_result_lets_time_pass(sim) -> None:
    queue = sim.register(mb.Queue(), name="queue")
    assert queue.submit(train, 7).result() == 49
    assert 10 <= queue.now < 11


def test_run_until_a_condition(sim) -> None:
    queue = sim.register(mb.Queue(), name="queue")
    runs = queue.map(train, range(16))
    sim.run_until(lambda: runs[-1].done)
    assert 20 <= sim.now_us() / 1e6 < 21  # sixteen tasks on eight cpus
    with pytest.raises(BadValue, match="did not come true within 1min"):
        sim.run_until(lambda: False, "1min")


def test_step_shows_one_call_and_what_followed(sim) -> None:
    sim.register(Sweep([1]), name="sweep")
    tables = []
    while sim.now_us() < 20_000_000:
        tables.append(sim.step())
        assert len(tables[-1]) >= 1
    seen = [type(step.call).__name__ for table in tables for step in table]
    assert seen == [
        type(step.call).__name__ for step in sim.log.steps[3:]
    ]  # two agents and the registration came before
    assert "tick" in repr(tables[0])
    assert "offer-1  agent-1 -> sweep   cpus=4 mem=16GB" in repr(tables[0])
    assert "<td" in tables[0]._repr_html_()


def test_step_says_so_when_nothing_is_left_to_happen() -> None:
    assert repr(mb.Simulation(agents=0).step()) == "nothing"


def test_pause_stops_offers_and_nothing_else(sim) -> None:
    sim.register(Sweep(range(20)), name="sweep")
    sim.run("1s")
    sim.pause()
    sim.run("1min")
    assert sim.snapshot().task_count == 0
    made = sim.snapshot().frameworks[0].counts["offers_made"]
    sim.resume()
    sim.run("1s")
    assert sim.snapshot().frameworks[0].counts["offers_made"] > made


# -- agents -----------------------------------------------------------------------------------------------------------


def test_agents_by_number_by_list_and_by_mix() -> None:
    small, large = mb.Resources(cpus=4, mem="16GB"), mb.Resources(cpus=32, mem="128GB", gpus=1)
    assert mb.Simulation(agents=3).snapshot().agent_count == 3
    assert [row.total for row in mb.Simulation(agents=[small, large]).snapshot().agents] == [small, large]
    mixed = mb.Simulation(agents={small: 900, large: 10})
    assert mixed.snapshot().agent_count == 910
    assert mixed.snapshot().total == small * 900 + large * 10
    assert mb.Simulation(agents=0).snapshot().agent_count == 0


def test_agents_join_and_die_on_the_way(sim) -> None:
    sim.register(Sweep(range(30)), name="sweep")
    sim.run("1s")
    assert sim.add_agent(mb.Resources(cpus=2, mem="4GB"), rack="r1") == "agent-3"
    assert sim.add_agent(mb.Resources(cpus=2, mem="4GB"), name="special") == "special"
    assert sim.core.agents["agent-3"].attributes == (("rack", "r1"),)
    sim.run("1s")
    assert sim.snapshot().task_count == 12
    sim.lose_agent("agent-1")
    sim.run("5min")
    assert sim.framework("sweep").todo == []
    assert sim.snapshot().frameworks[0].counts["finished"] == 30
    check(sim.core)


# -- how long tasks last ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "mean", "spread"),
    [
        (constant("30s"), 30, 0),
        (uniform("10s", "30s"), 20, 20 / 12**0.5),
        (normal("30s", "5s"), 30, 5),
        (exponential("30s"), 30, 30),
        (lognormal("30s", 0.5), 30 * 2.718281828 ** (0.5**2 / 2), 18.1),
    ],
    ids=repr,
)
def test_distributions_have_their_mean_and_spread(distribution, mean, spread) -> None:
    dice = Random(5)
    drawn = [distribution(dice) for _ in range(20_000)]
    assert min(drawn) >= 0
    assert statistics.fmean(drawn) == pytest.approx(mean, rel=0.03)
    assert statistics.pstdev(drawn) == pytest.approx(spread, rel=0.06)


def finished_at(duration, seed: int = 1) -> list[int]:
    sim = mb.Simulation(agents=5, seed=seed)
    sim.runs_for(train, duration, execute=False)
    sim.register(Sweep(range(20)), name="sweep")
    sim.run("1h")
    return [
        step.now_us
        for step in sim.log.steps
        for event in step.events
        if isinstance(event, events.Updated) and event.state.terminal
    ]


def test_times_by_chance_are_the_same_again() -> None:
    assert finished_at(normal("30s", "10s")) == finished_at(normal("30s", "10s"))
    assert finished_at(normal("30s", "10s")) != finished_at(normal("30s", "10s"), seed=2)
    assert len(set(finished_at(normal("30s", "10s")))) == 20
    assert len(set(finished_at("30s"))) == 1


def test_a_function_of_the_arguments_may_return_any_of_them() -> None:
    times = finished_at(lambda rate: constant(rate) if rate % 2 else f"{rate}s")
    assert [round(time / 1e6) for time in times] == list(range(20))


def test_nobody_said_how_long() -> None:
    sim = mb.Simulation(agents=1)
    sim.register(Sweep([1]), name="sweep")
    with pytest.raises(NoDuration, match=r"sim\.runs_for\(train, '30s'\)"):
        sim.run("1min")
    sim.runs_for(train, "1s")
    sim.run("1min")
    check(sim.core)


# -- what makes no sense --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda sim: sim.run("-5s"), "negative"),
        (lambda sim: sim.run(), "how long, or until when"),
        (lambda sim: sim.run("5s", until="5s"), "how long, or until when"),
        (lambda sim: sim.run(until="30s"), "30s is in the past: it is 1 min since the start"),
        (lambda sim: sim.run("soon"), "'soon' is not a time"),
        (lambda sim: sim.run_until("10min"), "is not a condition; write sim.run_until"),
        (lambda sim: sim.runs_for(train, "soon"), "'soon' is not a time"),
        (lambda sim: sim.runs_for("train", "5s"), "is not a function"),
        (lambda sim: sim.add_agent("large"), "'large' is no agent"),
        (lambda sim: sim.add_agent(mb.Resources()), "is no agent"),
        (lambda _: mb.Simulation(agents=-1), "-1 is not a number of agents"),
        (lambda _: mb.Simulation(agents=2.5), "2.5 is not a number of agents"),
        (lambda _: mb.Simulation(agents=[4]), "4 is no agent"),
        (lambda _: mb.Simulation(agents={mb.Resources(cpus=1): "many"}), "'many' is not a number of agents"),
        (lambda _: exponential(0), "mean=0.0 must be more than zero"),
        (lambda _: normal("-5s", 1), "negative"),
        (lambda _: constant(-1), "negative"),
    ],
)
def test_mistakes_are_explained_and_nothing_is_half_done(sim, mistake, says) -> None:
    sim.run("1min")
    before = (sim.log.digest(), sim.now_us())
    with pytest.raises(BadValue, match=says):
        mistake(sim)
    assert (sim.log.digest(), sim.now_us()) == before


def test_an_agent_that_is_not_here(sim) -> None:
    with pytest.raises(NotThere, match="no agent is called 'agent-9'; there are: agent-1, agent-2"):
        sim.lose_agent("agent-9")


def test_a_duration_that_is_no_time_is_shown_under_its_framework(sim) -> None:
    sim.runs_for(train, lambda rate: "soon", execute=False)
    sim.register(Sweep([1]), name="sweep")
    sim.run("1s")
    assert "how long train lasts is not a time: 'soon'" in sim.complaints[0].error


def test_a_framework_that_never_answers_holds_nobody_up(sim) -> None:
    class Mute(mb.Framework):
        def on_offers(self, offers) -> None:
            for offer in offers:
                offer.hold("1h")

    sim.register(Mute(), name="mute")
    sim.register(Sweep(range(8)), name="sweep")
    sim.run("2min")
    assert sim.snapshot().frameworks[1].counts["finished"] == 8
    check(sim.core)


# -- the stop button, and long runs -----------------------------------------------------------------------------------------


def endless(sim: mb.Simulation) -> None:
    """Register a framework that always has something to do."""

    class Endless(mb.Framework):
        needs = mb.Resources(cpus=1)

        def on_offers(self, offers) -> None:
            for offer in offers:
                while offer.fits(self.needs):
                    offer.launch(train, 1)

    sim.register(Endless(), name="endless")


def test_an_interrupt_leaves_a_state_that_goes_on(sim) -> None:
    endless(sim)
    sim.engine.after(3_600_000_000, lambda: os.kill(os.getpid(), signal.SIGINT))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sim.run("365d")
    assert signal.getsignal(signal.SIGINT) is handler
    stopped_us = sim.now_us()
    assert 3_600_000_000 <= stopped_us < 2 * 3_600_000_000
    check(sim.core)
    sim.log.replay()
    sim.run("1min")
    assert sim.now_us() == stopped_us + 60_000_000
    check(sim.core)
    with pytest.raises(KeyboardInterrupt):
        sim.engine.after(0, _thread.interrupt_main)
        sim.run_until(lambda: False, "1h")


def test_a_long_run_shows_a_bar(sim, monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0)
    monkeypatch.setattr(progress, "_somebody_looks", lambda: True)
    endless(sim)
    sim.run("2h")
    assert "/7200 simulated s" in capsys.readouterr().err


def test_a_short_run_shows_none(sim, capsys) -> None:
    endless(sim)
    sim.run("10min")
    assert capsys.readouterr().err == ""


# -- determinism ----------------------------------------------------------------------------------------------------------


def mixed_run() -> str:
    sim = mb.Simulation(agents={mb.Resources(cpus=4, mem="16GB"): 6, mb.Resources(cpus=16, mem="64GB"): 2}, seed=11)
    sim.runs_for(train, lognormal("20s", 0.7), execute=False)
    for number in range(3):
        sim.register(Sweep(range(100)), name=f"sweep-{number}", role=f"role-{number % 2}")
    sim.run("30s")
    sim.weights["role-0"] = 2
    sim.lose_agent("agent-8")
    return sim.run("10min").log.digest()


def test_the_same_bytes_in_another_process() -> None:
    code = "from tests.sim.test_simulation import mixed_run; print(mixed_run())"
    digests = set()
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout.strip())
    assert digests == {mixed_run()}


def test_stepping_and_running_are_the_same() -> None:
    def prepared() -> mb.Simulation:
        sim = mb.Simulation(agents=3, seed=4)
        sim.runs_for(train, exponential("5s"), execute=False)
        sim.register(Sweep(range(50)), name="sweep")
        return sim

    ran, stepped = prepared(), prepared()
    while stepped.now_us() < 60_000_000:
        stepped.step()
    ran.run(until=stepped.now_us() / 1e6)
    assert isinstance(stepped.log.steps[0].call, calls.AgentJoined)
    assert stepped.log.digest() == ran.log.digest()


def test_what_a_run_throws_away_in_circles_is_collected_while_it_runs():
    """Not all of it at once: it is looked for in a sample of slices until some is found."""
    made = []

    class Circle:
        def __init__(self):
            self.itself = self
            made.append(weakref.ref(self))

    sim = mb.Simulation(agents=1)

    def again():
        Circle()
        sim.engine.after(1, again)

    again()
    sim.run("100ms")
    assert sum(circle() is None for circle in made) > len(made) / 2
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


def test_what_was_frozen_before_a_run_is_frozen_after_it():
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        mb.Simulation(agents=1).run("1s")
        assert gc.get_freeze_count() >= frozen * 0.9
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(("agents", "why"), [(1, "offered to hoarder"), (0, "there are no agents")])
def test_a_result_that_never_comes_says_who_is_in_the_way(agents, why):
    """With no offer timeout, as in Apache Mesos, a framework that never answers keeps an agent for ever."""

    class Hoarder(mb.Framework):
        def on_offers(self, offers):
            for offer in offers:
                offer.hold("1000d")

    simulation = mb.Simulation(agents=agents, offer_timeout=0)
    simulation.register(Hoarder(), name="hoarder")
    simulation.run("1s")
    simulation.runs_for(abs, "1s")
    run = simulation.register(mb.Queue(), name="q").submit(abs, -1)
    with pytest.raises(TimeoutError, match=f"no result within 10 min; it is .* q has 0 tasks.*{why}"):
        run.result("10min")
    with pytest.raises(BadValue, match=f"this result never comes: .*{why}"):
        run.result()
