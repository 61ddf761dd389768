"""A cluster started by command line on three hosts, a network between them that is cut and healed, and one over IPv6."""

import os
import socket
from collections import Counter

import pytest
from distributed import Client

import mesonb as mb
from mesonb.core import events
from mesonb.core.invariants import check
from mesonb.core.records import TaskState
from tests.helpers import wait_for
from tests.live.dask_cli import DaskCluster
from tests.live.hosts import Forbidden, Hosts
from tests.live.tasks import double, wait_and_return

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]
NEEDS = mb.Resources(cpus=1)


@pytest.fixture(scope="module")
def hosts():
    try:
        made = Hosts(3)
    except Forbidden as because:
        pytest.skip(str(because))
    yield made
    made.close()


@pytest.fixture
def given(hosts, tmp_path, monkeypatch):
    """The Dask scheduler on the first host, a worker on each of the others; a silent agent is noticed within a second."""
    monkeypatch.setenv("DASK_MESONB__PING", "200ms")
    with DaskCluster(tmp_path, host=hosts.address(1), before=hosts.at(1)) as made:
        for host in (2, 3):
            made.worker(f"host-{host}", before=hosts.at(host))
        with Client(made.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=90)
        yield made


def ends(master):
    """Count how often each task was said to have ended."""
    told = [event for step in master.log.steps for event in step.events if isinstance(event, events.Updated)]
    return Counter(event.task for event in told if event.state.terminal)


def running(queue, folder, name):
    run = queue.submit(wait_and_return, name, str(folder / name))
    wait_for((folder / f"{name}.begun").exists, 30, f"the task {name} to run")
    wait_for(lambda: run.task and run.task.running, 10, "its master to know")
    return run


def test_a_host_that_is_cut_off_is_unreachable_and_back_with_what_ran_and_what_ended_there(hosts, given, tmp_path):
    with mb.Master(given.address) as master:
        lab = master.register(mb.Queue(needs=NEEDS), name="lab")
        runs = {(run := running(lab, tmp_path, name)).task.agent: run for name in ("a", "b")}
        assert set(runs) == {"host-2", "host-3"}, "one on each"
        cut = runs["host-3"]
        hosts.cut(3)
        wait_for(lambda: "host-3" in master.core.unreachable, 20, "the host to be unreachable")
        wait_for(lambda: cut.task.state is TaskState.UNREACHABLE, 5, "the framework to be told")
        (tmp_path / cut.args[0]).touch()  # ends while nobody can hear of it
        assert runs["host-2"].task.running
        assert not cut.done
        hosts.heal(3)
        assert cut.result(60) == cut.args[0]
        wait_for(lambda: "host-3" not in master.core.unreachable, 20, "the host to be back")
        other = runs["host-2"]
        (tmp_path / other.args[0]).touch()
        assert other.result(60) == other.args[0]
        assert [run.losses for run in runs.values()] == [0, 0]
        assert set(ends(master).values()) == {1}
        with master.lock:
            check(master.core)


def test_a_host_that_stays_away_is_given_up_and_what_ran_there_is_not_believed_when_it_is_back(hosts, given, tmp_path):
    with mb.Master(given.address, agent_timeout="2s") as master:
        lab = master.register(mb.Queue(needs=NEEDS), name="lab")
        run = running(lab, tmp_path, "once")
        host, first = int(run.task.agent.removeprefix("host-")), run.task.id
        child = int((tmp_path / "once.begun").read_text().split()[0])
        hosts.cut(host)
        wait_for(
            lambda: run.losses == 1 and run.task and run.task.id != first and run.task.running,
            30,
            "it to run elsewhere",
        )
        assert run.task.agent != f"host-{host}"
        hosts.heal(host)
        wait_for(lambda: f"host-{host}" in master.core.agents, 60, "the host to join again")
        wait_for(lambda: not os.path.exists(f"/proc/{child}"), 20, "what still ran there to be ended")  # noqa: PTH110
        (tmp_path / "once").touch()
        assert run.result(60) == "once"
        assert ends(master) == {first: 1, run.task.id: 1}
        with master.lock:
            check(master.core)


def test_over_ipv6(tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 at loopback: {error}")
    with DaskCluster(tmp_path, host="[::1]") as given:
        assert given.address.startswith("tcp://[::1]:")
        given.worker("six")
        with Client(given.address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=90)
        with mb.Master(given.address) as master, mb.connect(given.address) as kernel:
            assert list(master.core.agents) == ["six"]
            assert kernel.register(mb.Queue(needs=NEEDS), name="lab").submit(double, 4).result(60) == 8
