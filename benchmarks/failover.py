"""How quickly is a master replaced? A cold one beside a fresh Python that connects a Dask Client, and one that stands by.

Cold: a new process makes ``mb.Master()`` on the local cluster that a killed kernel left, with its tasks running, and
ends; the whole life of the process counts. Its peer does the least that any user of Dask does: start Python, connect a
``Client`` to the same Dask scheduler, end. Standing by: from the moment the leader is killed until all agents and tasks
are in the books of the next. Rounds are interleaved; medians are compared; every task must have survived every round.

    python benchmarks/failover.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import mesonb as mb

ROOT = Path(__file__).resolve().parent.parent
TASKS = 8
CLUSTER = 'agents=[mb.Resources(cpus=4, mem="1GB")] * 2, name="failover-benchmark"'
CONNECT = "import sys; from distributed import Client; Client(sys.argv[1], set_as_default=False).close()"
RECOVER = f"""
import os, mesonb as mb
master = mb.Master({CLUSTER})
assert len(master.core.agents) == 2 and len(master.core.tasks) == {TASKS}, master
os._exit(0)
"""
LEAD = f"import mesonb as mb; master = mb.Master({CLUSTER}); print('leads', flush=True); input()"


def sleep(seconds: float) -> None:
    """Do nothing for a while."""
    time.sleep(seconds)


class Sleepers(mb.Framework):
    """Keeps so many tasks running."""

    needs = mb.Resources(cpus=1, mem="1MB")
    left = TASKS

    def on_offers(self, offers: object) -> None:
        """Launch what is left."""
        for offer in offers:  # type: ignore[attr-defined]
            while self.left and offer.fits(self.needs):
                self.left -= 1
                offer.launch(sleep, 600)


def lived(*command: str) -> float:
    """Return how long a process lived, in seconds; it must end well."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, cwd=ROOT)
    return time.perf_counter() - began


def standby() -> float:
    """Kill a leader, and return after how many seconds the master that stands by has all agents and tasks."""
    leader = subprocess.Popen(
        [sys.executable, "-c", LEAD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert leader.stdout
    assert leader.stdout.readline() == "leads\n"
    namespace: dict[str, mb.Master] = {}
    exec(f"import mesonb as mb; master = mb.Master({CLUSTER}, standby=True)", namespace)  # the same cluster as above
    master = namespace["master"]
    leader.kill()
    began = time.perf_counter()
    while len(master.core.tasks) < TASKS or len(master.core.agents) < 2:
        assert time.perf_counter() - began < 10, f"{master} did not take over"
        time.sleep(0.0005)
    seconds = time.perf_counter() - began
    leader.wait()
    master._abandon()  # as a kernel that ends: the tasks run on
    return seconds


def main() -> None:
    """Measure, and print one line of JSON last."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    namespace: dict[str, mb.Master] = {}
    exec(f"import mesonb as mb; master = mb.Master({CLUSTER})", namespace)
    master = namespace["master"]
    assert master.local
    try:
        master.register(Sleepers(), name="sleepers")
        master.wait_until(lambda: sum(task.state.value == "running" for task in master.core.tasks.values()) == TASKS)
        master._abandon()
        cold, connect, hot = [], [], []
        for _ in range(rounds):
            connect.append(lived("-c", CONNECT, master.local.address))
            cold.append(lived("-c", RECOVER))
            hot.append(standby())
    finally:
        master.local.stop()
    figures = {
        "restart_s": median(cold), "client_connect_s": median(connect), "standby_s": median(hot), "standby_worst_s": max(hot),
        "restart_vs_client_connect": median(cold) / median(connect),
    }  # fmt: skip
    print(f"{TASKS} tasks on 2 agents, {rounds} rounds, {os.cpu_count()} cpus")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
