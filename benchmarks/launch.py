"""How fast is a launch? No-op tasks through the whole offer cycle, beside what else would run them on this machine.

Every contender has two worker processes. Rate: a loop of submits, then all results. Latency: one submit and its result,
one after the other. Rounds are interleaved, so that a noisy machine is noisy for all; medians are compared. mesonb and
Dask run on the very same Dask workers; a mesonb task asks for a hundredth of a cpu, as a no-op may, so one offer
takes many. Makespan: tasks of 100 ms, one to a cpu, from the first submit to the last result, so that every one of
mesonb's waits for an offer; and the same with one launched ahead of each that runs, which waits for none. Ray and
ipyparallel take part where they are installed. Every result is checked.

    python benchmarks/launch.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import time
from abc import ABC, abstractmethod
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from statistics import median, quantiles
from typing import Any

import mesonb as mb

LATENCIES = 60
LASTS_S, LONG_TASKS = 0.1, 40


def same(number: int) -> int:
    """Do nothing, checkably."""
    return number


def lasting(number: int) -> int:
    """Take a tenth of a second, checkably; asleep, so that nothing else on the machine makes it longer."""
    time.sleep(LASTS_S)
    return number


class Contender(ABC):
    """One way of running a task: ``submit`` starts it, ``result`` waits for it."""

    name = ""
    burst = 1000  #: tasks in a round; enough for about half a second

    @abstractmethod
    def submit(self, number: int) -> Any:
        """Start ``same(number)``."""

    @abstractmethod
    def close(self) -> None:
        """End everything."""

    def result(self, promise: Any) -> Any:
        """Wait for what it returns."""
        return promise.result()

    def rate(self) -> float:
        """Return tasks per second."""
        began = time.perf_counter()
        promises = [self.submit(number) for number in range(self.burst)]
        results = [self.result(promise) for promise in promises]
        seconds = time.perf_counter() - began
        assert results == list(range(self.burst)), f"{self.name} returned something else"
        return self.burst / seconds

    def latencies_ms(self) -> list[float]:
        """Return how long each of some tasks took, submitted one after the other."""
        out = []
        for number in range(LATENCIES):
            began = time.perf_counter()
            assert self.result(self.submit(number)) == number
            out.append((time.perf_counter() - began) * 1000)
        return out


class Mesonb(Contender):
    """A queue on a master of two agents, of one cpu each."""

    name, burst = "mesonb", 6000

    def __init__(self) -> None:
        self.master = mb.Master(agents=[mb.Resources(cpus=1, mem="1GB")] * 2, name=f"launch-{os.getpid()}")
        self.queue = self.master.register(mb.Queue(needs=mb.Resources(cpus=0.01)), name="bench")
        self.with_ahead = self.master.register(mb.Queue(ahead=1), name="ahead")

    def submit(self, number: int) -> Any:
        return self.queue.submit(same, number)

    def makespan_s(self, *, ahead: bool = False) -> float:
        """Return how long the long tasks took in all, one at a time on each cpu."""
        queue = self.with_ahead if ahead else self.queue
        began = time.perf_counter()
        runs = queue.map(lasting, range(LONG_TASKS), needs=mb.Resources(cpus=1))
        assert [run.result() for run in runs] == list(range(LONG_TASKS))
        return time.perf_counter() - began

    def close(self) -> None:
        for row in self.master.snapshot().frameworks:
            assert row.counts["finished"] == row.counts["launched"], row.counts
        assert not self.master.complaints, self.master.complaints
        self.master.close(cluster=True)


class Dask(Contender):
    """``Client.submit`` on the workers that are mesonb's agents."""

    name, burst = "dask_submit", 400

    def __init__(self, address: str) -> None:
        from distributed import Client

        self.client = Client(address, set_as_default=False)
        self.client.wait_for_workers(2)

    def submit(self, number: int) -> Any:
        return self.client.submit(same, number, pure=False)

    def close(self) -> None:
        self.client.close()


class Pool(Contender):
    """The standard library's process pool: no cluster, no books."""

    name, burst = "process_pool", 4000

    def __init__(self) -> None:
        self.pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))

    def submit(self, number: int) -> Any:
        return self.pool.submit(same, number)

    def makespan_s(self) -> float:
        """Return how long the long tasks took in all."""
        began = time.perf_counter()
        assert list(self.pool.map(lasting, range(LONG_TASKS))) == list(range(LONG_TASKS))
        return time.perf_counter() - began

    def close(self) -> None:
        self.pool.shutdown()


class Ray(Contender):
    """Ray tasks."""

    name, burst = "ray", 800

    def __init__(self) -> None:
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
        self.ray, self.same = ray, ray.remote(same)

    def submit(self, number: int) -> Any:
        return self.same.remote(number)

    def result(self, promise: Any) -> Any:
        return self.ray.get(promise)

    def close(self) -> None:
        self.ray.shutdown()


class IPyParallel(Contender):
    """ipyparallel's load-balanced view."""

    name, burst = "ipyparallel", 150

    def __init__(self) -> None:
        import ipyparallel

        self.cluster = ipyparallel.Cluster(n=2, log_level=40)
        self.view = self.cluster.start_and_connect_sync().load_balanced_view()

    def submit(self, number: int) -> Any:
        return self.view.apply_async(same, number)

    def result(self, promise: Any) -> Any:
        return promise.get(60)

    def close(self) -> None:
        self.cluster.stop_cluster_sync()


def makespans(ours: Mesonb, pool: Pool, rounds: int) -> dict[str, float]:
    """Return the medians of mesonb's makespan, without and with launching ahead, over that of a process pool, round by round."""
    found: dict[str, list[float]] = {"makespan": [], "makespan_ahead": []}
    for _ in range(rounds):
        bare_s = pool.makespan_s()
        for name, ratios in found.items():
            ratios.append(ours.makespan_s(ahead=name != "makespan") / bare_s)
    return {f"{name}_vs_process_pool": round(median(ratios), 4) for name, ratios in found.items()}


def contenders() -> list[Contender]:
    """Start all that can take part here, mesonb first."""
    ours = Mesonb()
    assert ours.master.local
    out: list[Contender] = [ours, Dask(ours.master.local.address), Pool()]
    for module, made in (("ray", Ray), ("ipyparallel", IPyParallel)):
        if importlib.util.find_spec(module):
            out.append(made())
    return out


def measure(all_of_them: list[Contender], rounds: int) -> dict[str, tuple[float, float, float]]:
    """Return each contender's median rate, and its median and 99th percentile of latency, warm."""
    rates: dict[str, list[float]] = {one.name: [] for one in all_of_them}
    latencies: dict[str, list[float]] = {one.name: [] for one in all_of_them}
    for one in all_of_them:
        one.rate()
    for _ in range(rounds):
        for one in all_of_them:
            rates[one.name].append(one.rate())
            latencies[one.name] += one.latencies_ms()
    return {
        name: (median(rates[name]), median(latencies[name]), quantiles(latencies[name], n=100)[98]) for name in rates
    }


def main() -> None:
    """Run, print a table, and last one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        all_of_them = contenders()
        for one in all_of_them:
            stack.callback(one.close)
        found = measure(all_of_them, rounds)
        ours, pool = (next(one for one in all_of_them if isinstance(one, kind)) for kind in (Mesonb, Pool))
        longer = makespans(ours, pool, rounds)
    print(f"{'':14}{'tasks/s':>10}{'p50 ms':>9}{'p99 ms':>9}   ({rounds} rounds, {os.cpu_count()} cpus)")
    for name, (rate, p50, p99) in found.items():
        print(f"{name:14}{rate:10.0f}{p50:9.2f}{p99:9.2f}")
    rate_of_ours, p50_of_ours, _ = found.pop("mesonb")
    ratios = {f"rate_vs_{name}": round(rate_of_ours / rate, 2) for name, (rate, _, _) in found.items()}
    ratios |= {f"p50_vs_{name}": round(p50_of_ours / p50, 3) for name, (_, p50, _) in found.items()}
    ratios |= longer
    print(json.dumps({"benchmark": "launch", "ratios": ratios}))


if __name__ == "__main__":
    main()
