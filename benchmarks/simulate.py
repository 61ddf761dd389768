"""How fast the simulator is: the Mesos paper's scalability experiment (6.5), beside simpy and a small C++ event loop.

simpy drives the same core and the same frameworks, with a callback for each message and each end of a task, as one writes
it (``MessageByMessage``); driving our own five things a task it must leave the same log to the byte (``OverSimpy``). The C++
loop does the same experiment with none of mesonb in it. All are told per event of the experiment, of which a task takes
eight. Times are CPU seconds of this process; runs alternate, and each figure is the least of its rounds. `--agents 5000`
makes the large cluster smaller; `--seconds 10` measures for less.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from shutil import which
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import simpy

from mesonb.core import events
from mesonb.sim import experiments
from mesonb.sim.engine import Engine
from mesonb.sim.simulation import Simulation

FRAMEWORKS = 200
#: A task's end, word of it to the master and to its framework, an offer, the reply, a launch, word that it runs, twice.
EVENTS_A_TASK = 8
LATENCY_US = 500


class SimpyEngine:
    """The engine's interface over simpy: each due thing is a timeout with one callback."""

    def __init__(self) -> None:
        self.environment = simpy.Environment()
        self.asked = 0

    @property
    def now_us(self) -> int:
        return self.environment.now

    @now_us.setter
    def now_us(self, now_us: int) -> None:
        self.environment._now = now_us

    def after(self, delay_us: int, do: Callable[..., object], *args: Any) -> None:
        self.asked += 1
        self.environment.timeout(max(0, delay_us)).callbacks.append(lambda _: do(*args))

    def at(self, due_us: int, do: Callable[..., object], *args: Any) -> None:
        self.after(due_us - self.environment.now, do, *args)

    @property
    def next_us(self) -> int | None:
        due_us = self.environment.peek()
        return None if due_us == float("inf") else due_us

    @property
    def idle(self) -> bool:
        return self.environment.peek() > self.environment.now

    def run(self, end_us: int, most: int) -> bool:
        environment = self.environment
        for _ in range(most):
            if environment.peek() > end_us:
                return False
            environment.step()
        return True


class NeverIdle(SimpyEngine):
    """Each tick is a thing of its own."""

    idle = False  # type: ignore[assignment]


class OverSimpy(Simulation):
    """The same simulation, and simpy drives it."""

    engine_of: type = SimpyEngine

    def __init__(self, **settings: Any) -> None:
        with mock.patch("mesonb.sim.simulation.Engine", self.engine_of):
            super().__init__(**settings)


class MessageByMessage(OverSimpy):
    """And each message is a thing of its own."""

    engine_of = NeverIdle
    plain_links = False

    def _deliver(self, event: events.Event) -> None:
        if isinstance(event, events.Launch):
            self.engine.after(self.latency_us, self.agents.launch, event)
        else:
            super()._deliver(event)


class World:
    """The experiment, filled and one second old."""

    def __init__(self, agents: int, kind: type[Simulation] = Simulation, frameworks: int = FRAMEWORKS) -> None:
        self.simulation = kind(agents=[experiments.SLOT * 2] * agents)
        self.simulation.runs_for(experiments.occupy, experiments._lasts, execute=False)
        for number in range(1, frameworks + 1):
            self.simulation.register(experiments.Filler(2 * agents // frameworks), name=f"f{number}")
        self.simulation.run("1s")

    def measure(self, seconds: float) -> tuple[float, int, int]:
        """Run for so long; return CPU seconds, events of the experiment, and ended tasks."""
        ended = experiments._ended(self.simulation)
        began_s = time.process_time()
        self.simulation.run(seconds)
        cpu_s = time.process_time() - began_s
        ended = experiments._ended(self.simulation) - ended
        assert ended > 0.8 * 2 * len(self.simulation.core.agents) * seconds / 30, "the cluster was not kept busy"
        assert not self.simulation.complaints
        return cpu_s, EVENTS_A_TASK * ended, ended


def per_event_s(agents: int, seconds: float, rounds: int) -> float:
    """Return the least CPU time an event."""
    world = World(agents)
    runs = [world.measure(seconds) for _ in range(rounds)]
    return min(cpu_s / n for cpu_s, n, _ in runs)


def beside_simpy(agents: int, seconds: float, rounds: int) -> tuple[float, float]:
    """Return CPU seconds an event of ours and with simpy."""
    same = [World(300, kind) for kind in (Simulation, OverSimpy)]
    assert same[0].measure(20)[2] == same[1].measure(20)[2], "simpy drove another simulation"
    assert same[0].simulation.log.digest() == same[1].simulation.log.digest(), "simpy drove another simulation"
    ours, theirs = World(agents), World(agents, MessageByMessage)
    runs = [(ours.measure(seconds), theirs.measure(seconds)) for _ in range(rounds)]
    assert all(abs(one[2] - other[2]) < 0.1 * one[2] for one, other in runs), "simpy drove another simulation"
    return min(cpu_s / n for (cpu_s, n, _), _ in runs), min(cpu_s / n for _, (cpu_s, n, _) in runs)


def engines_alone(events: int, rounds: int) -> tuple[float, float]:
    """Return CPU seconds an event of both engines when events do nothing but ask for the next: seven messages, one task."""

    def drive(engine: Any) -> float:
        dice, left = Random(1), events

        def hop(hops: int) -> None:
            nonlocal left
            left -= 1
            if left > 0:
                engine.after(LATENCY_US if hops % 8 else 1 + int(dice.random() * 60_000_000), hop, hops + 1)

        for _ in range(10_000):
            engine.after(LATENCY_US, hop, 1)
        began_s = time.process_time()
        while left > 0 and engine.run(10**15, 1000):
            pass
        assert left <= 0, "the events ran out"
        return (time.process_time() - began_s) / events

    pairs = [(drive(Engine()), drive(SimpyEngine())) for _ in range(rounds)]
    return min(ours for ours, _ in pairs), min(theirs for _, theirs in pairs)


def cpp_per_event_s(agents: int, seconds: int, rounds: int) -> float | None:
    """Compile the C++ loop, and let it run the experiment; None where there is no compiler."""
    if which("g++") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/simulate"
        subprocess.run(["g++", "-O2", "-o", program, Path(__file__).with_suffix(".cpp")], check=True)
        times = []
        for _ in range(rounds):
            command = [program, str(agents), str(FRAMEWORKS), "1", str(seconds)]
            _, ended, cpu_s = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            assert int(ended) > 0.8 * 2 * agents * seconds / 30, "the C++ cluster was not kept busy"
            times.append(float(cpu_s) / (EVENTS_A_TASK * int(ended)))
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50_000)
    parser.add_argument("--seconds", type=int, default=60, help="of virtual time on the large cluster")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    alone_s, simpy_alone_s = engines_alone(200_000, asked.rounds)
    ours_s, simpy_s = beside_simpy(min(10_000, asked.agents), 5, asked.rounds)
    small_s = per_event_s(1_000, 20, asked.rounds)
    cpu_s, done, ended = World(asked.agents).measure(asked.seconds)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpp_s = cpp_per_event_s(asked.agents, asked.seconds, asked.rounds)
    print(f"{asked.agents} agents, {FRAMEWORKS} frameworks, {asked.seconds} s of virtual time: {cpu_s:.1f} s of CPU")
    print(f"  {ended} tasks, {done} events, {done / cpu_s:,.0f} events/s; at most {peak_mb:.0f} MB")
    for what, took_s in {
        "an event": cpu_s / done, "an event at 1,000 agents": small_s, "an event at 10,000 agents": ours_s,
        "the same with simpy": simpy_s, "an empty event": alone_s, "an empty event with simpy": simpy_alone_s,
    }.items():  # fmt: skip
        print(f"  {what:30} {took_s * 1e6:8.2f} us")
    ratios = {"events_vs_simpy": simpy_s / ours_s, "engine_alone_vs_simpy": simpy_alone_s / alone_s}
    ratios["cost_50k_vs_1k_per_event"] = cpu_s / done / small_s
    if cpp_s:
        print(f"  {'an event in C++':30} {cpp_s * 1e6:8.2f} us")
        ratios["events_vs_cpp"] = cpp_s / (cpu_s / done)
    ratios = {name: round(ratio, 4) for name, ratio in ratios.items()}
    print(json.dumps({"benchmark": "simulate", "ratios": ratios}))


if __name__ == "__main__":
    main()
