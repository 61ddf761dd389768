"""Does anything grow? Many no-op tasks through one master, with the memory of master, hub and agents looked at as it goes.

The local cluster of the benchmark has two agents. Memory is the resident size of this process (master, books and log),
of the Dask scheduler (hub) and of the Dask workers (agents) without their executors, each after as many tasks as the
first column says. Growth is what was added between the middle and the end, as a part of what was there in the middle, and
in bytes a task: by then caches are what they will be, and the log in memory is full (``log_steps`` steps) and lets go of the
oldest, if there were tasks enough: 400,000 or more. Every result is checked.

    python benchmarks/soak.py [--tasks 1000000]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time

import psutil

import mesonb as mb

BATCH = 5000
LOOKS = 8
DEADLINE_S = 300


def same(number: int) -> int:
    """Do nothing, checkably."""
    return number


def memory(master: mb.Master) -> dict[str, int]:
    """Return the resident bytes of master, hub and agents."""
    assert master.local
    gc.collect()
    host = psutil.Process(master.local.pid)
    workers = [child for child in host.children() if "spawn_main" in " ".join(child.cmdline())]
    return {
        "master": psutil.Process().memory_info().rss,
        "hub": host.memory_info().rss,
        "agents": sum(worker.memory_info().rss for worker in workers),
    }


def main() -> None:
    """Run, print a row every eighth of the way, and last one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, help="not used here; every benchmark takes it")
    tasks = parser.parse_args().tasks
    master = mb.Master(agents=[mb.Resources(cpus=1, mem="1GB")] * 2, name=f"soak-{os.getpid()}")
    found: list[tuple[int, dict[str, int]]] = []
    began_s = time.perf_counter()
    try:
        queue = master.register(mb.Queue(needs=mb.Resources(cpus=0.01)), name="soak")
        for begin in range(0, tasks, BATCH):
            numbers = range(begin, min(begin + BATCH, tasks))
            assert [run.result(f"{DEADLINE_S}s") for run in queue.map(same, numbers)] == list(numbers)
            if numbers.stop * LOOKS // tasks > begin * LOOKS // tasks:
                found.append((numbers.stop, memory(master)))
                told = "  ".join(f"{name} {size / 1e6:7.1f} MB" for name, size in found[-1][1].items())
                print(f"{numbers.stop:>9,} tasks {time.perf_counter() - began_s:7.0f} s  {told}", flush=True)
        counts = master.snapshot().frameworks[0].counts
        # A callback may be slow, where something else takes the processors; it may not raise.
        raised = [one for one in master.complaints if not one.error.startswith("slow: ")]
        assert counts["finished"] == counts["launched"] == tasks and not raised, (counts, raised)
    finally:
        master.close(cluster=True)
    (middle, before), (end, after) = found[len(found) // 2 - 1], found[-1]
    growth = {f"{name}_from_the_middle": round(after[name] / before[name] - 1, 4) for name in after}
    growth |= {f"{name}_bytes_a_task": round((after[name] - before[name]) / (end - middle), 1) for name in after}
    rate = round(tasks / (time.perf_counter() - began_s))
    print(
        json.dumps({"benchmark": "soak", "tasks": tasks, "rate": rate, "log_steps": master.log.kept, "growth": growth})
    )


if __name__ == "__main__":
    main()
