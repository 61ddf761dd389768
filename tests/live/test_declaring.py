"""What real agents declare is offered as it was declared: ports, resources of one's own, attributes, parts for short tasks."""

from types import SimpleNamespace

import dask
import pytest
from distributed import Client, LocalCluster

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.errors import BadValue
from mesonb.live import cluster
from mesonb.live.declaring import configured, declaration, written
from tests.helpers import wait_for
from tests.live.tasks import double, rest

CPU = mb.Resources(cpus=1)


class Watcher(mb.Framework):
    """Launches a few tasks wherever it may, and keeps what it was offered."""

    def __init__(self, function, argument, needs, most=2, **terms):
        self.function, self.argument, self.needs, self.most = function, argument, needs, most
        self.seen, self.launched = [], []
        for name, value in terms.items():
            setattr(self, name, value)

    def on_offers(self, offers):
        self.seen += offers
        for offer in offers:
            while len(self.launched) < self.most and offer.fits(self.needs):
                self.launched.append(offer.launch(self.function, self.argument))


@pytest.mark.live
def test_agents_of_a_local_cluster_offer_what_they_declare():
    total = mb.Resources(cpus=2, mem="500MB", ports="31000-31003", named={"licences": 2})
    racked = mb.Agent(
        total, attributes={"rack": "r1"}, reserved={"lab": mb.Resources(ports=1)}, short=CPU, max_task="300ms"
    )
    with mb.Master(agents=[racked, mb.Resources(cpus=1, mem="500MB", gpus=1)], name="declared") as master:
        web = master.register(
            Watcher(
                double, 21, CPU + mb.Resources(ports=2, named={"licences": 1}), 1, constraints=[("rack", "is", "r1")]
            ),
            "web",
        )
        wait_for(lambda: web.launched and web.launched[0].ended, 20, "the task with ports to end")
        assert web.launched[0].result() == 42
        assert str(web.launched[0].needs.which["ports"]) == "[31001-31002]"
        assert {offer.agent for offer in web.seen} == {"agent-1"}
        assert web.seen[0].max_task_us == 300_000 and web.seen[0].short == CPU
        master.unregister(web)
        brief = master.register(Watcher(rest, None, CPU, 1, short_tasks=True, only_agents=["agent-1"]), "brief")
        wait_for(lambda: brief.launched and brief.launched[0].killed, 20, "a short task to have had its time")
        picture = master.snapshot()
        assert picture.total == (total + mb.Resources(cpus=1, mem="500MB", gpus=1)).counted
        assert picture.shared == picture.total.only(["cpus", "mem", "licences", "gpus"])
        with master.lock:
            check(master.core)
        master.close(cluster=True)


@pytest.mark.live
def test_workers_of_any_cluster_offer_what_dask_and_its_configuration_name():
    said = {"mesonb.agent": {"ports": "[32000-32001]", "attributes": {"zone": "north"}}}
    with (
        dask.config.set(said),
        LocalCluster(
            1, threads_per_worker=1, processes=False, dashboard_address=None, resources={"GPU": 1, "keys": 3}
        ) as workers,
        Client(workers, set_as_default=False) as client,
        mb.Master(client) as master,
    ):
        (agent,) = master.core.agents.values()
        assert agent.total.only(["gpus", "keys", "ports"]) == mb.Resources(
            gpus=1, ports="32000-32001", named={"keys": 3}
        )
        assert agent.attributes == (("zone", "north"),)


def worker(**resources):
    return SimpleNamespace(
        state=SimpleNamespace(nthreads=1, total_resources=resources), memory_manager=SimpleNamespace(memory_limit=2**40)
    )


def test_a_configuration_says_all_that_an_agent_can_be(monkeypatch):
    monkeypatch.delenv("MESONB_AGENT", raising=False)
    said = {
        "ports": "31000-31009", "licences": 2, "attributes": {"rack": 7}, "reserved": {"lab": {"cpus": 0.5, "ports": 2}},
        "min-offer": {"cpus": 0.1}, "short": {"cpus": 0.5}, "max-task": "10s",
    }  # fmt: skip
    with dask.config.set({"mesonb.agent": said}):
        joined = declaration(worker(gpu=2), "w")
        halves = [configured(CPU, part, 2).resources for part in range(2)]
    assert joined.total.only(["cpus", "gpus", "ports", "licences"]) == mb.Resources(
        cpus=1, gpus=2, ports="31000-31009", named={"licences": 2}
    )
    assert joined.attributes == (("rack", "7"),) and joined.max_task_us == 10_000_000
    assert joined.reserved == (("lab", mb.Resources(cpus=0.5, ports=2)),)
    assert joined.min_offer == (mb.Resources(cpus=0.1),) and joined.short == mb.Resources(cpus=0.5)
    assert halves[0] == mb.Resources(cpus=1, ports="31000-31004", named={"licences": 1})
    assert halves[1] == mb.Resources(cpus=1, ports="31005-31009", named={"licences": 1})


def test_an_agent_of_a_cluster_of_ours_says_what_the_cluster_was_told(monkeypatch):
    told = mb.Agent(mb.Resources(cpus=1, ports="31000-31001"), attributes={"rack": "r1"}, max_task="10s")
    monkeypatch.setenv("MESONB_AGENT", written([CPU, told])[1])
    assert declaration(worker(), "agent-7") == told.joined("agent-7")


def test_the_agents_of_a_local_cluster_share_what_the_configuration_says_of_the_machine():
    with dask.config.set({"mesonb.agent": {"ports": "31000-31007"}}):
        assert [str(agent.resources.which["ports"]) for agent in cluster.sizes(2)] == ["[31000-31003]", "[31004-31007]"]
        assert cluster.sizes([CPU]) == [CPU]


@pytest.mark.parametrize("said", [{"ports": "many"}, {"attributes": 3}, {"short": {"cpus": 1}}, {"max-task": "soon"}])
def test_a_configuration_that_makes_no_sense_is_named(said):
    with (
        dask.config.set({"mesonb.agent": said}),
        pytest.raises(BadValue, match=r"dask.config says under 'mesonb.agent'"),
    ):
        configured(CPU)


def test_what_is_no_agent_is_refused_before_anything_starts():
    for wrong in ([], ["big"], [mb.Resources()], [mb.Agent(CPU), 3]):
        with pytest.raises(BadValue, match="give a number, or a list"):
            cluster.sizes(wrong)
