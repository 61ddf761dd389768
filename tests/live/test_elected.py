"""Masters elected by a real ZooKeeper: one leads, the next adopts what runs when it is killed, and one that was stopped is fenced."""

import re
import signal
import subprocess
import sys
import threading

import pytest

import mesonb as mb
from mesonb.errors import BadValue, Unreachable
from mesonb.live import election
from tests.helpers import ROOT, wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, wait_and_return
from tests.live.test_cluster import cluster

pytest.importorskip("kazoo", reason='kazoo is not installed; the extra is "mesonb[zookeeper]"')
pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]  # the first time, ZooKeeper is fetched

NAME = "elected"


class Elected:
    """A process that stands for election, and what it has said so far."""

    def __init__(self, zk: str) -> None:
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mesonb", "master", "--name", NAME, "--agents", "1", "--election", zk],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        threading.Thread(target=lambda: self.said.extend(iter(self.process.stdout.readline, "")), daemon=True).start()

    def last(self, words: str) -> bool:
        return bool(self.said) and re.search(words, self.said[-1]) is not None


LEADS, STANDS_BY = r"\d agents?, \d+ tasks?", "stands by"


@pytest.fixture
def stand(zookeeper, request):
    """Start masters, one after another, so that the first leads."""
    standing: list[Elected] = []

    def start(words: str) -> Elected:
        one = Elected(f"zk://{zookeeper.hosts}/{request.node.name}?session=1s")
        standing.append(one)
        wait_for(lambda: one.last(words), 40, f"the master number {len(standing)} to say {words}")
        return one

    yield start
    for one in standing:
        one.process.kill()
        one.process.wait()
    for local in cluster.running_clusters(NAME):
        local.stop()


def test_the_next_adopts_what_runs_and_whoever_was_stopped_is_fenced(stand, tmp_path) -> None:
    """The leader is stopped and resumed, then the next one killed; the task of another kernel runs through it all."""
    first, second = stand(LEADS), stand(STANDS_BY)
    with mb.connect(name=NAME) as kernel:
        lab = kernel.register(mb.Queue(needs=SMALL), name="lab")
        run = lab.submit(wait_and_return, 5, str(tmp_path / "go"))
        wait_for(lambda: run.task and run.task.running, 20, "the task to run")
        first.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: second.last(LEADS), 20, "the second to lead")
        first.process.send_signal(signal.SIGCONT)
        wait_for(
            lambda: any("another master" in line for line in first.said), 20, "the first to hear that it was replaced"
        )
        wait_for(lambda: first.last(STANDS_BY), 40, "the first to stand again")
        assert second.last(LEADS)
        assert lab.submit(double, 2).result(60) == 4
        second.process.kill()
        wait_for(lambda: first.last(LEADS), 20, "the first to lead again")
        (tmp_path / "go").touch()
        assert run.result(60) == 5
        assert run.losses == 0
        assert lab.submit(double, 3).result(60) == 6


def test_the_epoch_is_zookeepers_and_closing_lets_the_next_lead(zookeeper, stand) -> None:
    zk = f"zk://{zookeeper.hosts}/epochs"
    for _ in range(2):
        one = election.election(zk)  # two terms that nobody of this cluster has seen
        one.stand("earlier", lambda _: None, lambda _: None)
        one.resign()
    with mb.Master(agents=1, name=NAME, election=zk) as master:
        assert master.leads
        assert master.core.settings.epoch == 3
        follower = Elected(zk)
        try:
            wait_for(lambda: follower.last(STANDS_BY), 40, "the follower to stand by")
            assert master.register(mb.Queue(needs=SMALL), name="lab").submit(double, 4).result(60) == 8
            master.close()
            wait_for(lambda: follower.last(LEADS), 20, "the follower to lead, sooner than a session ends")
            with pytest.raises(BadValue, match="this master is closed"):
                master.register(mb.Queue(), name="late")
        finally:
            follower.process.kill()
            follower.process.wait()


def test_no_election_is_held_where_none_can_be(monkeypatch) -> None:
    monkeypatch.setattr(election, "CONNECT_S", 0.3)
    with pytest.raises(BadValue, match="zk://host:2181/mesonb"):
        mb.Master(agents=1, name="nowhere", election="etcd://host")
    with pytest.raises(Unreachable, match="no ZooKeeper answers at 127.0.0.1:9"):
        mb.Master(agents=1, name="nowhere", election="zk://127.0.0.1:9/mesonb")
    with mb.Master(agents=1, name="nowhere") as master:
        assert master.leads
    master.close(cluster=True)
