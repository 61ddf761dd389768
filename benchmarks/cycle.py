"""How fast the core allocates at 50,000 agents and 200 frameworks, beside a C++ tournament tree and naive Python.

Every engine must grant the same agents to the same frameworks. Times are of this thread; each is the least of several
rounds, the peers' rounds in between. `--agents 5000` makes it smaller; `--no-freeze` leaves the garbage collector as it is.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from shutil import which

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.explain import summary, why_not
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources

GIB = 2**30
#: Four kinds of agent: thousandths of cpus, GiB of memory, thousandths of gpus.
KINDS = [(4000, 16, 0), (8000, 32, 0), (16000, 64, 1000), (32000, 64, 4000)]
WEIGHTS = [1000, 2000, 4000]
NAMES = ("cpus", "mem", "gpus")


def machine(kind: tuple[int, int, int]) -> Resources:
    cpus, mem, gpus = kind
    return Resources.of({"cpus": cpus, "mem": mem * GIB, "gpus": gpus})


class World:
    """A core in which every framework already holds something, and every agent is free."""

    def __init__(self, agents: int, frameworks: int) -> None:
        dice = Random(1)
        self.core = MasterCore(Settings(offer_timeout_us=0))
        self.frameworks = [f"f{i:04}" for i in range(frameworks)]
        self.weights = {name: dice.choice(WEIGHTS) for name in self.frameworks}
        for name in self.frameworks:
            self._hold(name, machine((dice.randrange(1, 64) * 500, dice.randrange(1, 100), 0)))
        self.say(calls.Revive(name) for name in self.frameworks)
        self.kinds = [dice.choice(KINDS) for _ in range(agents)]
        bundles = {kind: machine(kind) for kind in KINDS}
        self.say(calls.AgentJoined(f"agent-{i}", bundles[kind]) for i, kind in enumerate(self.kinds))

    def _hold(self, name: str, held: Resources) -> None:
        self.say(
            [
                calls.SetWeight(name, self.weights[name]),
                calls.Subscribe(name, name),
                calls.AgentJoined(f"prior-{name}", held),
            ]
        )
        (offer,) = self.tick()
        self.say([calls.Accept(name, (offer.offer,), (calls.TaskInfo(f"{name}/prior", held),)), calls.Suppress(name)])

    def say(self, sent: Iterable[calls.Call]) -> None:
        for call in sent:
            self.accepted(self.core.step(call, self.core.now_us))

    def tick(self) -> list[events.OfferMade]:
        return [e for e in self.core.step(calls.Tick(), self.core.now_us + 1) if isinstance(e, events.OfferMade)]

    def accepted(self, followed: list[events.Event]) -> None:
        assert not any(isinstance(event, events.Rejected) for event in followed), followed

    def give_back(self, made: list[events.OfferMade]) -> None:
        self.say(calls.Decline(event.framework, (event.offer,), 0) for event in made)

    def timed_cycle(self) -> tuple[float, list[events.OfferMade]]:
        now_us, step, tick = self.core.now_us + 1, self.core.step, calls.Tick()
        start = time.thread_time()
        followed = step(tick, now_us)
        took_s = time.thread_time() - start
        return took_s, [event for event in followed if isinstance(event, events.OfferMade)]


def full(world: World, rounds: int) -> tuple[float, list[str]]:
    """Return the time of a cycle in which every agent is free, and to whom each went the first time."""
    times, owners = [], []
    for _ in range(rounds):
        took_s, made = world.timed_cycle()
        assert len(made) == len(world.kinds), f"{len(made)} offers of {len(world.kinds)} agents"
        owners = owners or [event.framework for event in made]
        times.append(took_s)
        world.give_back(made)
    return min(times), owners


def launch_all(world: World, made: list[events.OfferMade], tasks: dict[str, list[str]]) -> None:
    """Run two tasks on every offer, so that nothing is free."""
    for event in made:
        half = Resources.of({name: n // 2 for name, n in event.resources.amounts.items()})
        launches = tuple(
            calls.TaskInfo(f"{event.offer}/{i}", needs) for i, needs in enumerate((half, event.resources - half))
        )
        world.say([calls.Accept(event.framework, (event.offer,), launches, 0)])
        tasks[event.agent] = [launch.task for launch in launches]


def dirty(world: World, rounds: int) -> tuple[float, float]:
    """Return the time of a cycle in which one agent in a hundred is free, and what all agents and their tasks weigh."""
    tasks: dict[str, list[str]] = {}
    launch_all(world, world.timed_cycle()[1], tasks)
    dice, times = Random(2), []
    for _ in range(rounds):
        some = dice.sample(sorted(tasks), len(tasks) // 100)
        world.say(calls.TaskUpdate(agent, task, TaskState.FINISHED) for agent in some for task in tasks[agent])
        took_s, made = world.timed_cycle()
        assert len(made) == len(some)
        times.append(took_s)
        launch_all(world, made, tasks)
    return min(times), lifecycle(world, tasks)


def lifecycle(world: World, tasks: dict[str, list[str]], times: int = 10_000) -> float:
    """Return the time in which one task ends, its half agent is offered, taken, and the next task runs."""
    core, now_us = world.core, world.core.now_us
    places = Random(3).sample(sorted(tasks), min(times, len(tasks)))
    tick, spent = calls.Tick(), 0.0
    for agent in places:
        ended = calls.TaskUpdate(agent, tasks[agent][0], TaskState.FINISHED)
        start = time.thread_time()
        core.step(ended, now_us)
        (made,) = core.step(tick, now_us := now_us + 1)
        spent += time.thread_time() - start
        assert isinstance(made, events.OfferMade)
        taken = calls.Accept(made.framework, (made.offer,), (calls.TaskInfo(f"{made.offer}/0", made.resources),), 0)
        runs = calls.TaskUpdate(agent, f"{made.offer}/0", TaskState.RUNNING)
        start = time.thread_time()
        launched = core.step(taken, now_us)
        updated = core.step(runs, now_us)
        spent += time.thread_time() - start
        assert isinstance(launched[0], events.Launch) and isinstance(updated[0], events.Updated)
    return spent / len(places) - 2 * clock_s()


def clock_s(times: int = 10_000) -> float:
    """Return what it takes to read the clock, which is no small part of a step."""
    start = time.thread_time()
    for _ in range(times):
        time.thread_time()
    return (time.thread_time() - start) / times


def filtered(world: World, rounds: int) -> float:
    """Return the time of a full cycle in which half of all pairs of framework and agent are refused."""
    dice, core = Random(4), world.core
    for agent in core.agents.values():
        if agent.free:
            for framework in dice.sample(world.frameworks, len(world.frameworks) // 2):
                core.add_filter(core.frameworks[framework], agent.name, agent.total, 10**12)
    return full(world, rounds)[0]


def explained(world: World, rounds: int) -> tuple[float, float]:
    """Return the time to count all reasons of one framework, and the time of one pair of framework and agent."""
    core, times = world.core, []
    for name in world.frameworks[:rounds]:
        start = time.thread_time()
        found = summary(core, core.frameworks[name])
        times.append(time.thread_time() - start)
        assert sum(reason.count for reason in found) == len(core.agents)
    pairs = list(zip(core.frameworks.values(), core.agents.values(), strict=False))
    start = time.thread_time()
    reasons = [why_not(core, framework, agent) for framework, agent in pairs]
    assert all(reasons)
    return min(times), (time.thread_time() - start) / len(pairs)


def cpp_tree(world: World, rounds: int) -> tuple[float, list[str]] | None:
    """Compile the C++ tree, and let it allocate the same; None where there is no compiler."""
    if which("g++") is None:
        return None
    core = world.core
    divisors = {"cpus": 1, "mem": GIB, "gpus": 1}

    def row(held: Resources) -> list[int]:
        return [held.amounts.get(name, 0) // divisors[name] for name in NAMES]

    numbers = [rounds, len(world.frameworks), len(NAMES), len(world.kinds), *row(core.total)]
    numbers += [world.weights[name] for name in world.frameworks]
    numbers += [core.frameworks[name].allocations for name in world.frameworks]
    numbers += [n for name in world.frameworks for n in row(core.frameworks[name].allocated)]
    numbers += [n for kind in world.kinds for n in kind]
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/tree"
        source = Path(__file__).with_suffix(".cpp")
        subprocess.run(["g++", "-O2", "-o", program, source], check=True)
        out = subprocess.run(
            [program], input=" ".join(map(str, numbers)), capture_output=True, text=True, check=True
        ).stdout.split()
    return int(out[0]) / 1e9, [world.frameworks[int(i)] for i in out[1:]]


def compiled(world: World, rounds: int) -> tuple[float, float, list[str]] | None:
    """Let the numba kernel decide the same; return its time, that with its arrays filled, and the owners."""
    try:
        from mesonb.fast import drf
    except ImportError:
        return None
    line, core = drf.one_line(world.core), world.core
    agents = [agent for agent in core.agents.values() if agent.free]
    assert line is not None
    filled = drf.arrays(core, agents, line)
    assert filled is not None
    drf.kernel(*filled)  # compiled now
    times, wholes = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        owners = drf.kernel(*filled)
        times.append(time.perf_counter() - start)
    for _ in range(min(rounds, 2)):
        start = time.perf_counter()
        drf.decide(core, agents, line)
        wholes.append(time.perf_counter() - start)
    return (
        min(times),
        min(wholes),
        [core.by_bit[line[i].bits].name if not line[i].seats else line[i].path for i in owners],
    )


def naive(world: World, agents: int) -> tuple[float, list[str]]:
    """Allocate some agents by looking at every framework for each; return the time that all would take."""
    core, total = world.core, world.core.total.amounts
    held = {name: dict(core.frameworks[name].allocated.amounts) for name in world.frameworks}
    given = {name: core.frameworks[name].allocations for name in world.frameworks}

    def turn(name: str) -> tuple[float, int, str]:
        weight = world.weights[name]
        return max(n / (total[r] * weight) for r, n in held[name].items()), given[name], name

    owners = []
    start = time.thread_time()
    for kind in world.kinds[:agents]:
        name = min(world.frameworks, key=turn)
        for resource, n in machine(kind).amounts.items():
            held[name][resource] = held[name].get(resource, 0) + n
        given[name] += 1
        owners.append(name)
    return (time.thread_time() - start) * len(world.kinds) / agents, owners


def weight_of(make: Callable[[], World]) -> float:
    """Return the bytes that a world with two tasks on every agent takes."""
    tracemalloc.start()
    world = make()
    launch_all(world, world.timed_cycle()[1], {})
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50_000)
    parser.add_argument("--frameworks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-freeze", action="store_true")
    return parser.parse_args()


def main() -> None:
    asked = read_arguments()
    world = World(asked.agents, asked.frameworks)
    if not asked.no_freeze:
        gc.collect()
        gc.freeze()
        gc.set_threshold(700, 10, 1_000_000)  # and no full collection within a cycle
    peer = cpp_tree(world, asked.rounds)
    kernel = compiled(world, asked.rounds)
    naive_s, plain = naive(world, min(asked.agents, 1_000))
    full_s, owners = full(world, asked.rounds)
    assert owners[: len(plain)] == plain, "naive Python grants differently"
    assert peer is None or owners == peer[1], "the C++ tree grants differently"
    assert kernel is None or owners == kernel[2], "the numba kernel grants differently"
    filtered_s = filtered(World(asked.agents, asked.frameworks), asked.rounds)
    dirty_s, lifecycle_s = dirty(world, 4 * asked.rounds)  # so short that whatever else runs here shows more
    explain_s, pair_s = explained(world, asked.rounds)
    rows = {"full cycle": full_s, "naive Python (extrapolated)": naive_s}
    rows |= {
        "1 % of agents dirty": dirty_s,
        "half of pairs filtered": filtered_s,
        "all reasons of one framework": explain_s,
    }
    print(
        f"{asked.agents} agents, {asked.frameworks} frameworks, garbage collector {'as it is' if asked.no_freeze else 'frozen'}"
    )
    for what, took_s in rows.items():
        print(f"  {what:30} {took_s * 1000:10.2f} ms")
    print(f"  {'one task, from end to running':30} {lifecycle_s * 1e6:10.2f} us")
    ratios = {
        "dirty1pct_vs_full": dirty_s / full_s,
        "filtered50_vs_full": filtered_s / full_s,
        "naive_vs_full": naive_s / full_s,
    }
    ratios["explain_vs_full"] = explain_s / full_s
    print(f"  {'the reason of one pair':30} {pair_s * 1e6:10.2f} us")
    if peer:
        print(f"  {'C++ tournament tree':30} {peer[0] * 1000:10.2f} ms")
        ratios["full_vs_cpp_tree"] = full_s / peer[0]
        if kernel:
            print(
                f"  {'numba kernel':30} {kernel[0] * 1000:10.2f} ms, {kernel[1] * 1000:.0f} ms with its arrays filled"
            )
            ratios["numba_vs_cpp_tree"] = kernel[0] / peer[0]
        else:
            print("  numba kernel: not measured, numba is not installed (pip install 'mesonb[fast]')")
    else:
        print("  C++ tournament tree: not measured, there is no g++ here")
    values = {"lifecycle_us": lifecycle_s * 1e6, "full_ms": full_s * 1000}
    values["memory_mb"] = weight_of(lambda: World(asked.agents, asked.frameworks)) / 1e6
    print(f"  {'memory, with two tasks an agent':30} {values['memory_mb']:10.1f} MB")
    figures = {
        "ratios": {k: round(v, 4) for k, v in ratios.items()},
        "values": {k: round(v, 3) for k, v in values.items()},
    }
    print(json.dumps({"benchmark": "cycle", **figures}))


if __name__ == "__main__":
    main()
