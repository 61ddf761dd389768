"""Several schedulers of one framework, each in a kernel of its own: one speaks for it, and who stands by goes on."""

import pytest
from distributed import Client

import mesonb as mb
from mesonb.core.calls import Disconnect
from mesonb.errors import BadValue
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import cut_agents, double
from tests.live.test_cluster import waiters_elsewhere
from tests.live.test_recovery import Waiters, begun

pytestmark = pytest.mark.live


@pytest.fixture
def remote(master):
    """Return what another kernel sees of the master; here it is another thread, which the hub cannot tell."""
    with mb.connect(name="tests") as made:
        yield made


def test_who_stands_by_goes_on_when_the_kernel_of_the_active_one_is_lost(master, tmp_path):
    """Tasks run on, with their arguments; what ended is told to it; and it hears nothing before."""
    paths = [str(tmp_path / name) for name in "ab"]
    other = waiters_elsewhere(paths, "led")
    begun(tmp_path, 2)
    with mb.connect(name="tests") as cluster, mb.connect(name="tests") as third:
        standby = cluster.register(Waiters(), name="led", standby=True)
        spare = third.register(Waiters(), name="led", standby=True)
        with pytest.raises(BadValue, match="'led' is registered in this kernel already; stand by in another one"):
            cluster.register(Waiters(), name="led", standby=True)
        wait_for(lambda: len(master.core.lines["led"].waiting) == 2, 10, "both to stand by")
        third.unregister(spare)
        wait_for(lambda: len(master.core.lines["led"].waiting) == 1, 10, "one of them to leave")
        assert standby.found == [] and len(master.core.frameworks["led"].tasks) == 2
        other.kill()
        other.wait()
        wait_for(lambda: len(standby.found) == 2, 10, "whoever stands by to go on")
        assert sorted(task.args for task in standby.found) == [(0, paths[0]), (1, paths[1])]
        assert not master.core.away
        for name in "ab":
            (tmp_path / name).touch()
        wait_for(lambda: standby.results == {0: 0, 1: 1}, 10, "what ran on")
    wait_for(lambda: "led" not in master.core.frameworks, 10, "it to leave")


def test_a_kernel_whose_link_is_cut_comes_back_and_its_framework_goes_on(master, remote, tmp_path):
    lab = remote.register(Waiters([(0, str(tmp_path / "a"))]), name="cut")
    begun(tmp_path, 1)
    before = len(master.log.steps)
    with Client(master.address, set_as_default=False) as client:
        client.run_on_scheduler(cut_agents, "kernel")
    wait_for(
        lambda: any(isinstance(step.call, Disconnect) for step in master.log.steps[before:]),
        10,
        "the cut to be heard of",
    )
    wait_for(lambda: len(lab.found) == 1 and "cut" not in master.core.away, 10, "it to register again")
    (tmp_path / "a").touch()
    wait_for(lambda: lab.results == {0: 0}, 10, "what ran on")
    remote.unregister(lab)


def test_whoever_took_over_while_the_link_was_cut_is_not_taken_over_from(master, remote):
    stale = remote.register(mb.Queue(needs=SMALL), name="away")
    wait_for(lambda: "away" in master.core.frameworks, 10, "it to register")
    with mb.connect(name="tests") as cluster:
        fresh = cluster.register(mb.Queue(needs=SMALL), name="away", standby=True)
        wait_for(lambda: master.core.lines["away"].waiting, 10, "the other to stand by")
        with Client(master.address, set_as_default=False) as client:
            client.run_on_scheduler(cut_agents, "kernel", remote._name)
        wait_for(lambda: master.core.lines["away"].active == cluster._name, 10, "the other to go on")
        assert fresh.submit(double, 2).result(60) == 4
        wait_for(lambda: master.core.lines["away"].waiting, 10, "the first to stand by in its turn")
        wait_for(
            lambda: any("goes on when that is lost" in one.error for one in remote.complaints), 10, "it to be told so"
        )
        with Client(master.address, set_as_default=False) as client:
            client.run_on_scheduler(cut_agents, "kernel", cluster._name)
        wait_for(lambda: master.core.lines["away"].active == remote._name, 10, "the first to go on again")
        assert stale.submit(double, 3).result(60) == 6
        remote.unregister(stale)


def test_the_master_s_own_kernel_cannot_stand_by(master):
    with pytest.raises(BadValue, match=r"here each kernel is one: .* mb.connect\(\).register\(..., standby=True\)"):
        master.register(mb.Queue(needs=SMALL), name="lab", standby=True)
