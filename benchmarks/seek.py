"""Any moment of a long recording: a million calls at 1,000 agents, opened once, then sought a hundred times at random.

Prints what recording, saving, loading, opening and seeking take, and asserts that every moment found is the right one and
that none took 100 ms of this thread. `--calls 100000` makes it smaller.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import mesonb as mb
from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.log import Log
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState

NEEDS = mb.Resources(cpus=1, mem="2GB")
SEEKS = 100
MOST_MS = 100


class Recorder:
    """A core that is kept busy, and what it was told."""

    def __init__(self) -> None:
        self.core = MasterCore(Settings())
        self.log = Log(self.core.settings, "DRF", self.core)
        self.now_us = 0
        self.running: deque[tuple[str, str]] = deque()
        self.marks: dict[int, tuple[int, int]] = {}  #: by number of calls, how many tasks and offers there were
        self._tasks = 0

    def say(self, call: calls.Call) -> list[events.Event]:
        followed = self.core.step(call, self.now_us)
        self.log.record(call, self.now_us, followed)
        if len(self.log.steps) % 997 == 0:
            self.marks[len(self.log.steps)] = (len(self.core.tasks), len(self.core.offers))
        return followed

    def fill(self, agents: int, frameworks: int, until_calls: int) -> None:
        """Let tasks start and end until so many calls were recorded."""
        for number in range(agents):
            self.say(calls.AgentJoined(f"agent-{number}", mb.Resources(cpus=4, mem="16GB")))
        for number in range(frameworks):
            self.say(calls.Subscribe(f"f{number}", f"role-{number % 3}"))
        while len(self.log.steps) < until_calls:
            self.now_us += 1000
            for offer in self.say(calls.Tick()):
                assert isinstance(offer, events.OfferMade)
                self._answer(offer)
            for _ in range(min(5, len(self.running))):
                self.say(calls.TaskUpdate(*self.running.popleft(), TaskState.FINISHED))

    def _answer(self, offer: events.OfferMade) -> None:
        launches = []
        for _ in range(offer.resources // NEEDS):
            self._tasks += 1
            launches.append(calls.TaskInfo(f"{offer.framework}/task-{self._tasks}", NEEDS))
        self.say(calls.Accept(offer.framework, (offer.offer,), tuple(launches)))
        for launch in launches:
            self.running.append((offer.agent, launch.task))
            self.say(calls.TaskUpdate(offer.agent, launch.task, TaskState.RUNNING))


def timed(what: str, do, rows: list[tuple[str, float]]):
    began_s = time.process_time()
    result = do()
    rows.append((what, time.process_time() - began_s))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=990_000)  # a log of a million forgets its older half
    parser.add_argument("--agents", type=int, default=1000)
    args = parser.parse_args()
    rows: list[tuple[str, float]] = []
    recorder = Recorder()
    timed("record", lambda: recorder.fill(args.agents, 10, args.calls), rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.log.gz"
        timed("save", lambda: recorder.log.save(path), rows)
        size = path.stat().st_size
        loaded = timed("load", lambda: Log.load(path), rows)
    assert loaded.steps == recorder.log.steps
    replay = timed("open", lambda: mb.replay(loaded), rows)
    sought_ms = seek(replay, recorder)
    assert max(sought_ms) < MOST_MS, f"a seek took {max(sought_ms):.0f} ms"
    report(rows, sought_ms, size, len(loaded.steps))


def seek(replay, recorder: Recorder) -> list[float]:
    """Go to moments in random order, and look whether each is what it was."""
    sought_ms = []
    for steps in Random(7).choices(list(recorder.marks), k=SEEKS):
        took_s = []
        for _ in range(2):
            replay.step_to(0)
            began_s = time.thread_time()
            replay.step_to(steps)
            took_s.append(time.thread_time() - began_s)
        sought_ms.append(min(took_s) * 1e3)
        assert (len(replay.core.tasks), len(replay.core.offers)) == recorder.marks[steps]
    return sorted(sought_ms)


def report(rows: list[tuple[str, float]], sought_ms: list[float], size: int, steps: int) -> None:
    for what, took_s in rows:
        print(f"{what:<8}{took_s:10.2f} s {took_s / steps * 1e6:10.2f} us a call")
    print(f"{'seek':<8}{sought_ms[len(sought_ms) // 2]:10.1f} ms, at most {sought_ms[-1]:.1f} ms")
    print(f"{'file':<8}{size / 1e6:10.1f} MB {size / steps:10.1f} bytes a call, compressed")
    open_s = dict(rows)["open"]
    ratios = {
        "seek_p50_vs_open": sought_ms[len(sought_ms) // 2] / 1e3 / open_s,
        "seek_max_vs_100ms": sought_ms[-1] / MOST_MS,
        "open_vs_record": open_s / dict(rows)["record"],
    }
    print(
        json.dumps(
            {"benchmark": "seek", "calls": steps, "ratios": {name: round(ratio, 6) for name, ratio in ratios.items()}}
        )
    )


if __name__ == "__main__":
    main()
