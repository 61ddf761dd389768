"""How much do two hundred agents cost one hub and one master? No-op tasks on 2 and on 200 agents, in interleaved rounds.

Two hundred Dask workers do not fit on a laptop, so these agents are light: peers that speak the protocol of a real one
(they join, answer pings, acknowledge, report) and call each task's function themselves. Both clusters have the same two
processes for them, and as many cpus in all, so what differs is the number of agents. Every result is checked.

    python benchmarks/agents.py [--rounds 3] [--agents 200] [--tasks 4000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import pickle
import time
import uuid
from statistics import median
from typing import Any

from distributed import LocalCluster

import mesonb as mb
from mesonb.core import calls
from mesonb.live.tasks.inputs import split
from mesonb.live.wire.comms import HUB, LEADER, Message, Peer, dial
from mesonb.live.wire.versions import ours

PROCESSES = 2
CPUS = 200  #: of each cluster in all
START_S = 120


def same(number: int) -> int:
    """Do nothing, checkably."""
    return number


class LightAgent:
    """One agent that has no executors."""

    def __init__(self, name: str, cpus: float) -> None:
        self.name, self.total = name, mb.Resources(cpus=cpus)
        self.id = uuid.uuid4().hex
        self._functions: dict[bytes, Any] = {}
        self._updates: dict[str, Message] = {}  #: not acknowledged yet
        self._peer: Peer | None = None

    async def stay(self, address: str) -> None:
        """Be an agent until the hub is gone."""
        self._peer = await dial(address, {}, {"kind": "agent", "name": self.name, "address": self.name}, self._take, 30)
        await self._peer.read()

    def _take(self, _: str, message: Message) -> None:
        match message:
            case ("launch", task, digest, function, arguments, _about, _after):
                if function is not None:
                    self._functions[digest] = pickle.loads(function)
                args, kwargs = pickle.loads(split(arguments)[1])
                result = pickle.dumps(self._functions[digest](*args, **kwargs), protocol=5)
                self._updates[task] = ("update", task, "finished", "", result)
                self._say(self._updates[task])
            case ("ack", ended) | ("drop", ended):
                for task in ended:
                    self._updates.pop(task, None)
            case ("ping",):
                self._say(("pong",), to=HUB)
            case ("leader", *_):
                self._say(("join", self._introduction(), []), *self._updates.values())
            case ("left" | "keep" | "let go" | "draining", *_):
                pass  # it holds nothing for anybody, and nobody takes it away
            case _:
                raise ValueError(f"a light agent does not know {message[0]!r}")

    def _introduction(self) -> dict[str, Any]:
        return {
            "id": self.id, "joins": calls.AgentJoined(self.name, self.total), "host": "here", "pid": os.getpid(), "group": os.getpgrp(),
            "isolation": [], "versions": ours(), "leaving": None, "holds": [], "plain": 0,
        }  # fmt: skip

    def _say(self, *messages: Message, to: str = LEADER) -> None:
        assert self._peer
        self._peer.send(to, *messages)


def be_agents(address: str, names: list[str], cpus: float) -> None:
    """Be some agents; a process of its own."""

    async def all_of_them() -> None:
        await asyncio.gather(*(LightAgent(name, cpus).stay(address) for name in names))

    asyncio.run(all_of_them())


class Cluster:
    """A Dask scheduler with no workers, a master, and light agents."""

    def __init__(self, agents: int) -> None:
        self.dask = LocalCluster(n_workers=0, dashboard_address=None, host="127.0.0.1")
        self.master = mb.Master(self.dask)
        names = [f"light-{number}" for number in range(agents)]
        context = multiprocessing.get_context("spawn")
        self.processes = [
            context.Process(target=be_agents, args=(self.dask.scheduler_address, names[n::PROCESSES], CPUS / agents))
            for n in range(PROCESSES)
        ]
        for process in self.processes:
            process.start()
        self.master.wait_until(lambda: self.master.snapshot().agent_count == agents, f"{START_S}s")
        self.queue = self.master.register(mb.Queue(needs=mb.Resources(cpus=0.1)), name="bench")

    def rate(self, tasks: int) -> float:
        """Return tasks a second."""
        began_s = time.perf_counter()
        runs = self.queue.map(same, range(tasks))
        assert [run.result(f"{START_S}s") for run in runs] == list(range(tasks))
        return tasks / (time.perf_counter() - began_s)

    def close(self) -> None:
        """End everything, after a look at the books."""
        counts = self.master.snapshot().frameworks[0].counts
        assert counts["finished"] == counts["launched"] and not self.master.complaints
        self.master.close()
        for process in self.processes:
            process.terminate()
            process.join()
        self.dask.close()


def main() -> None:
    """Run, print a table, and last one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=4000)
    args = parser.parse_args()
    few, many = Cluster(2), Cluster(args.agents)
    try:
        rates: dict[int, list[float]] = {2: [], args.agents: []}
        for number in range(args.rounds + 1):  # the first warms up
            for agents, cluster in ((2, few), (args.agents, many)):
                rate = cluster.rate(args.tasks)
                if number:
                    rates[agents].append(rate)
    finally:
        few.close()
        many.close()
    for agents, found in rates.items():
        print(f"{agents:6} agents {median(found):8.0f} tasks/s   ({args.rounds} rounds of {args.tasks})")
    ratio = median(rates[args.agents]) / median(rates[2])
    print(json.dumps({"benchmark": "agents", "ratios": {f"rate_{args.agents}_agents_vs_2": round(ratio, 3)}}))


if __name__ == "__main__":
    main()
