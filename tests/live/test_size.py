"""How large an agent is: what Dask workers say of themselves, and what the agents' own processes take of it."""

import pytest
from distributed import LocalCluster
from distributed.system import MEMORY_LIMIT

import mesonb as mb
from mesonb.core.resources import Resources, less
from mesonb.errors import BadValue, TaskFailed
from mesonb.live.limits import size
from tests.helpers import wait_for
from tests.live.tasks import double, rest


@pytest.fixture
def costs(monkeypatch):
    """An agent that costs 200 MB."""
    monkeypatch.setattr(size, "own_bytes", lambda: 200_000_000)

    def offers(*agents, **said):
        monkeypatch.setenv(size.BESIDE, str(size.beside(agents)))
        return size.offered(mb.Agent(agents[0], **said).joined("agent-1")).total

    return offers


def memory(part):
    return Resources.of({"cpus": 2000, "mem": int(MEMORY_LIMIT * part)})


def test_what_is_declared_is_offered_whole_where_the_machine_has_room_beside_it(costs):
    assert MEMORY_LIMIT > 3_000_000_000
    one = mb.Resources(cpus=4, mem="1GB")
    assert costs(one, one) == one


def test_an_agents_own_memory_is_not_offered_where_the_machine_has_no_more(costs):
    assert costs(memory(0.5), memory(0.5)).mem == pytest.approx(MEMORY_LIMIT // 2 - 200_000_000, abs=2)
    nearly = Resources.of({"mem": MEMORY_LIMIT // 2 - 50_000_000})
    assert costs(nearly, nearly).mem == pytest.approx(MEMORY_LIMIT // 2 - 200_000_000, abs=2)
    assert costs(memory(0.5), memory(0.5)).cpus == 2


def test_who_declares_more_than_there_is_means_it(costs):
    assert costs(memory(3)) == memory(3)


def test_what_is_promised_to_a_role_stays_promised(costs):
    promised = less(memory(1), mb.Resources(mem="50MB"))
    assert costs(memory(1), reserved={"lab": promised}).mem == promised.mem


def test_a_worker_of_any_other_cluster_offers_what_dask_gives_it_less_its_own(costs, monkeypatch):
    monkeypatch.delenv(size.BESIDE, raising=False)
    joined = mb.Agent(mb.Resources(cpus=1, mem="1GB")).joined("w")
    assert size.offered(joined).total == mb.Resources(cpus=1, mem="800MB")
    small = mb.Agent(mb.Resources(cpus=1, mem="100MB")).joined("w")
    assert size.offered(small).total == mb.Resources(cpus=1)


def test_what_an_agent_keeps_is_measured_or_said(monkeypatch):
    import dask

    assert size.own_bytes() % size.STEP_BYTES == 0
    assert size.own_bytes() > 100_000_000
    with dask.config.set({"mesonb.agent-mem": "1GB"}):
        assert size.own_bytes() == 1_000_000_000


@pytest.mark.live
def test_tasks_are_granted_gpus_of_dask_workers_and_their_use_is_pictured():
    with LocalCluster(
        n_workers=1, threads_per_worker=2, memory_limit="2GB", resources={"GPU": 2, "licence": 1}, dashboard_address=None,
        preload="import os; os.setpgrp()",
    ) as given, mb.Master(given) as master:  # fmt: skip
        (agent,) = master.snapshot().agents
        assert (agent.total.gpus, agent.total.amounts["licence"]) == (2, 1000)
        lab = master.register(mb.Queue(needs=mb.Resources(cpus=0.5, mem="100MB", gpus=1)), name="lab")
        assert [run.result(60) for run in lab.map(double, range(4))] == [0, 2, 4, 6]
        with pytest.raises(BadValue, match="no agent is large enough for .*3 gpus"):
            lab.submit(double, 1, needs=mb.Resources(cpus=1, gpus=3))
        licensed = lab.submit(double, 4, needs=mb.Resources(cpus=1, named={"licence": 1}))
        assert licensed.result(60) == 8
        running = lab.submit(rest)
        used = wait_for(lambda: _used_by(master, running), 20, "its use to be measured")
        assert 0 < used.mem < 200_000_000
        assert master.snapshot().used[agent.agent][""].mem > 50_000_000
        wait_for(lambda: [row for _, row in master.history.used if "lab" in row], 10, "it to be in the history")
        with mb.connect(master.address) as remote:
            assert remote.snapshot().used[agent.agent][running.task.id].mem > 0
        running.cancel()
        with pytest.raises((TaskFailed, mb.MesonbError)):
            running.result(60)


def _used_by(master, run):
    used = master.snapshot().used
    return run.task and next((by_task[run.task.id] for by_task in used.values() if run.task.id in by_task), None)


def test_a_simulation_measures_nothing():
    assert mb.Simulation().snapshot().used is None
