"""Election against a real ZooKeeper: leaders that are killed, stopped and resumed, and an agent that holds a fence."""

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mesonb.errors import BadValue, Unreachable
from mesonb.live import election
from mesonb.live.election import Fence, ZooKeeperElection
from tests.helpers import ROOT, wait_for
from tests.live.zookeeper import ZooKeeper

pytest.importorskip("kazoo", reason='kazoo is not installed; the extra is "mesonb[zookeeper]"')
pytestmark = pytest.mark.timeout(240)  # the first time, ZooKeeper is fetched

SESSION_S = 2.0


class Candidate:
    """A candidate's process, and what it has printed so far."""

    def __init__(self, hosts: str, folder: str, name: str, orders: Path) -> None:
        self.name = name
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("candidate.py"), hosts, folder, name, orders, str(SESSION_S)],
            stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        threading.Thread(target=lambda: self.said.extend(iter(self.process.stdout.readline, "")), daemon=True).start()

    def has(self, word: str) -> bool:
        return any(line.startswith(word) for line in self.said)

    @property
    def epoch(self) -> int:
        return int(next(line for line in self.said if line.startswith("won")).split()[1])


class Agent:
    """Takes orders from whoever sends them, and follows those that its fence admits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fence = Fence()
        self.followed: list[str] = []
        self.refused: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while order := self._socket.recv(100).decode():
            epoch, name = order.split()
            (self.followed if self.fence.admits(int(epoch)) else self.refused).append(name)

    def obeys(self, name: str) -> bool:
        return bool(self.followed) and self.followed[-1] == name


@pytest.fixture
def agent(tmp_path):
    return Agent(tmp_path / "orders")


@pytest.fixture
def stand(zookeeper, agent, request):
    """Start candidates, one after another, so that the first leads."""
    standing: list[Candidate] = []

    def start(name: str) -> Candidate:
        one = Candidate(zookeeper.hosts, f"/{request.node.name}", name, agent.path)
        standing.append(one)
        wait_for(lambda: one.has("stands"), 20, f"{name} stands")
        return one

    yield start
    for one in standing:
        one.process.kill()
        one.process.wait()


def test_the_first_leads_and_the_next_follows_a_kill(stand, agent) -> None:
    first, second = stand("first"), stand("second")
    wait_for(lambda: agent.obeys("first"), 10, "the first leads")
    assert not second.has("won")
    first.process.kill()
    wait_for(lambda: agent.obeys("second"), 10, "the second leads")
    assert second.epoch > first.epoch
    assert agent.refused == []


def test_a_leader_that_was_stopped_and_resumed_is_fenced(stand, agent) -> None:
    """It stops between making sure that it leads and giving an order, which then is the first thing it does."""
    first, second = stand("first"), stand("second")
    wait_for(lambda: agent.obeys("first"), 10, "the first leads")
    first.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: agent.obeys("second"), 10, "the second leads")
    changed = len(agent.followed)
    first.process.send_signal(signal.SIGCONT)
    wait_for(lambda: first.has("lost"), 10, "the first learns that it leads no more")
    wait_for(lambda: agent.refused, 10, "what the first still said is refused")
    assert set(agent.refused) == {"first"}
    assert "first" not in agent.followed[changed:]
    assert not second.has("lost")


@pytest.mark.slow
def test_one_who_was_replaced_stands_again_and_has_a_newer_epoch(stand, agent) -> None:
    first, second = stand("first"), stand("second")
    wait_for(lambda: agent.obeys("first"), 10, "the first leads")
    before = first.epoch
    first.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: agent.obeys("second"), 10, "the second leads")
    first.process.send_signal(signal.SIGCONT)
    wait_for(lambda: first.has("lost"), 10, "the first has lost")
    second.process.kill()
    wait_for(lambda: agent.obeys("first"), 10, "the first leads again")
    assert int(first.said[-1].split()[1]) > second.epoch > before


def test_a_leader_whose_link_is_cut_stops_leading_by_itself(zookeeper, agent, tmp_path) -> None:
    """A ZooKeeper of its own, because it is the one that is stopped."""
    (tmp_path / "other").mkdir()
    other = ZooKeeper(tmp_path / "other")
    told: list[str] = []
    one = ZooKeeperElection(other.hosts, "/cut", SESSION_S)
    try:
        one.stand("one", lambda epoch: told.append(f"won {epoch}"), told.append)
        wait_for(lambda: told == ["won 1"], 10, "it leads")
        other.close()
        wait_for(lambda: len(told) == 2, 10, "it stops leading")
        assert "ZooKeeper" in told[1]
    finally:
        one.resign()
        other.close()


def test_resigning_hands_over_at_once_and_says_nothing(zookeeper) -> None:
    told: dict[str, list[object]] = {"a": [], "b": []}
    a, b = (ZooKeeperElection(zookeeper.hosts, "/resigning", 60.0) for _ in "ab")
    a.stand("a", told["a"].append, told["a"].append)
    wait_for(lambda: told["a"] == [1], 10, "a leads")
    b.stand("b", told["b"].append, told["b"].append)
    assert b.leader() == election.Term(1, "a")
    a.resign()
    wait_for(lambda: told["b"] == [2], 10, "b leads, sooner than a session ends")
    assert b.leader() == election.Term(2, "b")
    b.resign()
    assert told == {"a": [1], "b": [2]}


def test_addresses_are_read_and_wrong_ones_are_answered(zookeeper, monkeypatch) -> None:
    made = election.election(f"zk://{zookeeper.hosts}/clusters/lab/")
    assert made.leader() is None
    made.resign()
    for wrong in ("zookeeper:2181", "zk:///path", "etcd://host/path"):
        with pytest.raises(BadValue, match="zk://host:2181/mesonb"):
            election.election(wrong)
    monkeypatch.setattr(election, "CONNECT_S", 0.3)
    with pytest.raises(Unreachable, match="no ZooKeeper answers at 127.0.0.1:9"):
        election.election("zk://127.0.0.1:9/mesonb")
