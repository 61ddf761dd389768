"""How long a service's requests take beside a task that takes all the cpu it can, with and without isolation.

The service gets a request every 10 ms, each of 2 ms of work; its latency is from when the request was due to when it was
answered. The hog asks for one cpu and runs four busy processes for each that there is. *Without* isolation both are
processes of one session, as everything on a Dask worker is. *With* it each is a child of its own, limited by modules of
mesonb.live.limits.isolation. Rounds of all ways are run in turn, and a ratio is the median over the rounds. The paper on Mesos
found +30 % with Linux containers and +550 % without; `hog_latency_vs_alone` is that with cgroups too, or with what works
for anybody where cgroups may not be written.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, median

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesonb.core.resources import Resources
from mesonb.live.limits.isolation import DEFAULT, Isolation, choose

SERVICE = """
import sys, time

def work(count):
    return sum(range(count))

def seconds(count):
    began = time.perf_counter()
    work(count)
    return time.perf_counter() - began

count = int(100_000 * 0.002 / min(seconds(100_000) for _ in range(200)))
print("ready", flush=True)
for line in sys.stdin:
    latencies = []
    due = time.perf_counter()
    for _ in range(int(line)):
        due = max(due + 0.01, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
        work(count)
        latencies.append(time.perf_counter() - due)
    print(*latencies, flush=True)
"""
HOG = """
import os, sys
for _ in range(int(sys.argv[1]) - 1):
    if os.fork() == 0:
        break
else:
    print("ready", flush=True)
while True:
    pass
"""
ONE_CPU = Resources(cpus=1)
#: A way of running both: its modules, and whether each gets a session of its own.
WAYS = {
    "without": (("process",), False),
    "portable": (DEFAULT, True),
    "cgroup": (("process", "cgroup/cpu"), True),
    "bound": (("process", "affinity"), True),
}


def start(body: str, *arguments: str, session: bool) -> subprocess.Popen[str]:
    """Start a Python process and wait until it says that it is ready; it leads a group, so that all of it can be ended."""
    started = subprocess.Popen(
        [sys.executable, "-c", body, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=session, process_group=None if session else 0,
    )  # fmt: skip
    assert started.stdout.readline() == "ready\n", "it did not start"
    return started


def end(started: subprocess.Popen[str], isolation: Isolation) -> None:
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    isolation.release(started.pid)


def latencies(service: subprocess.Popen[str], requests: int) -> list[float]:
    service.stdin.write(f"{requests}\n")
    service.stdin.flush()
    answered = [float(word) for word in service.stdout.readline().split()]
    assert len(answered) == requests, "not every request was answered"
    return answered


def cpu_s(pid: int) -> float:
    """Return what a hog has used so far, all its processes together."""
    members = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(member.cpu_times()[:2]) for member in members)


def measure(way: str, requests: int) -> dict[str, list[float]]:
    """Return latencies of a service alone and then beside a hog: each round compares like with like."""
    names, session = WAYS[way]
    isolation = choose(names)
    service = start(SERVICE, session=session)
    isolation.apply(service.pid, ONE_CPU)
    try:
        alone = latencies(service, requests)
        hog = start(HOG, str(4 * os.cpu_count()), session=session)
        isolation.apply(hog.pid, ONE_CPU)
        try:
            began_s = time.monotonic()
            beside = latencies(service, requests)
            used = cpu_s(hog.pid) / (time.monotonic() - began_s)
        finally:
            end(hog, isolation)
        alone += latencies(service, requests)  # before and after: what else runs on this machine comes and goes
    finally:
        end(service, isolation)
        isolation.close()
    assert used > 0.02, f"the hog used {used:.2f} cpus only: it was none"
    return {"alone": alone, "beside": beside}


def usable(way: str) -> bool:
    """Whether this machine allows the way; what is in the way is printed."""
    isolation = choose(WAYS[way][0])
    isolation.close()
    troubles = [f"{module.name}: {module.says}" for module in isolation.report if not module.applied]
    if troubles:
        print(f"{way:9} left out: {'; '.join(troubles)}")
    return not troubles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--requests", type=int, default=150, help="in each round, three times: alone, beside the hog, alone again"
    )
    arguments, _ = parser.parse_known_args()
    ways = [way for way in WAYS if usable(way)]
    rounds = [{way: measure(way, arguments.requests) for way in ways} for _ in range(arguments.rounds)]
    ratios = {}
    for way in ways:
        means = [fmean(one[way]["beside"]) / fmean(one[way]["alone"]) for one in rounds]
        medians = [median(one[way]["beside"]) / median(one[way]["alone"]) for one in rounds]
        alone_ms = median(median(one[way]["alone"]) for one in rounds) * 1e3
        print(
            f"{way:9} alone {alone_ms:5.2f} ms; beside the hog mean x {median(means):5.2f}, median x {median(medians):5.2f}"
        )
        ratios |= {
            f"hog_latency_vs_alone_{way}": round(median(means), 3),
            f"hog_p50_vs_alone_{way}": round(median(medians), 3),
        }
    best = "cgroup" if "cgroup" in ways else "portable"
    ratios = {"hog_latency_vs_alone": ratios[f"hog_latency_vs_alone_{best}"], **ratios}
    assert ratios["hog_latency_vs_alone"] < ratios["hog_latency_vs_alone_without"], "isolation did not help"
    print(json.dumps({"benchmark": "isolation", "ratios": ratios}))


if __name__ == "__main__":
    main()
