"""What a master offers, tried where it is and from another kernel: a table. Both do the same, or one says why it does not."""

import contextlib

import pytest

import mesonb as mb
from mesonb.errors import BadValue, NotAllowed, NotThere
from mesonb.live.limits.isolation import Module
from mesonb.live.remote import Remote
from tests.helpers import wait_for
from tests.live.tasks import SHOWN, double, kept_square, known, rest

pytestmark = pytest.mark.live
LITTLE = mb.Resources(cpus=0.5, mem="50MB")


@pytest.fixture(scope="module")
def sessions():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHOWN, "GPU-a")
        master = mb.Master(agents=[mb.Resources(cpus=4, mem="2GB", gpus=1)], name="elsewhere")
    with mb.connect(name="elsewhere") as remote:
        yield {"here": master, "elsewhere": remote}
    master.close(cluster=True)


@contextlib.contextmanager
def queue(session):
    made = session.register(mb.Queue(needs=LITTLE), name="lab")
    yield made
    session.unregister(made)
    session.wait_until(lambda: "lab" not in {row.framework for row in session.snapshot().frameworks})


# -- the table: each returns the same, whoever is asked -------------------------------------------------------------------


def register(session):
    with queue(session) as lab:
        return session.framework("lab") is lab, lab.submit(double, 4).result(60), str(session.explain("lab"))[:3]


def futures(session):
    with session.futures("pool", needs=LITTLE) as pool:
        return list(pool.map(double, range(5)))


def joblib(session):
    import joblib

    with joblib.parallel_config("mesonb", master=session, needs=LITTLE):
        return joblib.Parallel()(joblib.delayed(double)(n) for n in range(5))


def dask(session):
    with (
        session.dask("private", needs=mb.Resources(cpus=1, mem="300MB"), workers=1) as cluster,
        cluster.get_client() as client,
    ):
        found = client.submit(double, 21).result(60)
    session.wait_until(lambda: "private" not in {row.framework for row in session.snapshot().frameworks})
    return found


def shell(session):
    with queue(session) as lab:
        run = lab.shell("echo here; echo more > file; [ $MESONB_FRAMEWORK = lab ]")
        ended, name = run.result(60), run.task.id
        session.wait_until(lambda: session.output(name).lines)
        session.wait_until(lambda: session.sandbox(name).files)
        return ended, session.output(name).lines, name in session.printed(), dict(session.sandbox(name).files)


def gpus(session):
    with queue(session) as lab:
        task, variables = lab.submit(known, needs=mb.Resources(cpus=0.1, gpus=1)).result(60)
        return task.devices, variables[SHOWN]


def store(session):
    with queue(session) as lab:
        return [lab.submit(kept_square, 3).result(60) for _ in range(2)][1]


def large(session):
    with queue(session) as lab:
        return len(lab.submit(bytes, 2_000_000).result(60))


def kill(session):
    with queue(session) as lab:
        run = lab.submit(rest)
        session.wait_until(lambda: run.task and run.task.running)
        session.kill(run.task)
        session.wait_until(lambda: run.done)
        return run.task.state.value


def revoke(session):
    with queue(session) as lab:
        run = lab.submit(rest)
        session.wait_until(lambda: run.task and run.task.running)
        first = run.task.id
        session.revoke(run.task, 0)
        session.wait_until(lambda: run.done or (run.task and run.task.id != first))
        return True


def suppress(session):
    with queue(session) as lab:
        session.suppress(lab)
        hushed = next(row.suppressed for row in session.snapshot().frameworks if row.framework == "lab")
        session.revive(lab)
        return hushed, lab.submit(double, 1).result(60)


def weights(session):
    session.weights["one"], session.priorities["one"] = 3, 2
    session.guarantees["one"], session.limits["one"] = mb.Resources(cpus=1), mb.Resources(cpus=3)
    said = session.weights["one"], session.priorities["one"], session.guarantees["one"], session.limits["one"]
    del session.weights["one"], session.priorities["one"], session.guarantees["one"], session.limits["one"]
    return said, "one" in session.limits


def pause(session):
    session.pause()
    stood = session.snapshot().paused
    session.cycle()
    session.resume()
    return stood, session.snapshot().paused


def drain(session):
    agent = session.snapshot().agents[0].agent
    session.drain(agent)
    session.undrain(agent)
    session.maintain(agent, after="1h")
    planned = list(session.maintenance) == [agent]
    session.end_maintenance(agent)
    return planned, session.maintenance


def reserve(session):
    agent = session.snapshot().agents[0].agent
    for verb in (session.reserve, session.unreserve):
        verb(agent, "lab", mb.Resources(cpus=1))
    with pytest.raises(BadValue, match="is not an agent"):
        session.reserve("*", "lab", LITTLE)
    return True


def allocator(session):
    session.allocator = mb.Lottery()
    first = session.allocator
    session.allocator = "DRF"
    return type(first), type(session.allocator)


def used(session):
    session.wait_until(lambda: "" in next(iter(session.used.values()), {}), "20s")
    return True


def isolation(session):
    return {type(line) for lines in session.isolation.values() for line in lines}


def check_needs(session):
    with pytest.raises(BadValue, match="no agent is large enough"):
        session.check_needs(mb.Resources(cpus=99))
    with pytest.raises(NotThere):
        session.explain("nobody")
    return session.complaints


TABLE = {
    register: (True, 8, "lab"),
    futures: [0, 2, 4, 6, 8],
    joblib: [0, 2, 4, 6, 8],
    dask: 42,
    shell: (0, ["here"], True, {"file": 5}),
    gpus: (("GPU-a",), "GPU-a"),
    store: 9,
    large: 2_000_000,
    kill: "killed",
    revoke: True,
    suppress: (True, 2),
    weights: ((3, 2, mb.Resources(cpus=1), mb.Resources(cpus=3)), False),
    pause: (True, False),
    drain: (True, {}),
    reserve: True,
    allocator: (mb.Lottery, mb.DRF),
    used: True,
    isolation: {Module},
    check_needs: [],
}


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("verb", TABLE, ids=lambda verb: verb.__name__)
def test_it_does_the_same(verb, where, sessions):
    assert verb(sessions[where]) == TABLE[verb]


# -- what only one of them has -------------------------------------------------------------------------------------------------


class Mine(mb.DRF):
    """An allocator of somebody's own."""


def test_what_only_the_master_can_do_is_refused_with_the_reason(sessions, tmp_path):
    remote, master = sessions["elsewhere"], sessions["here"]
    assert (master.leads, remote.leads) == (True, False)
    with queue(master), pytest.raises(NotAllowed, match="no kernel may tell the master of Disconnect"):
        remote.disconnect("lab")
    with pytest.raises(BadValue, match="set in the kernel that holds the master"):
        remote.allocator = Mine()
    master.allocator = Mine()
    with pytest.raises(NotThere, match="'Mine' allocates"):
        _ = remote.allocator
    master.allocator = "DRF"
    with pytest.raises(BadValue, match=r"can export it: master.export"):
        remote.export(str(tmp_path / "run.html"))
    with pytest.raises(BadValue, match="nothing was launched in this recording"):
        mb.what_if(remote.log)


def test_what_a_private_dask_cluster_needs_is_imported_before_it_is_asked_for(sessions):
    """Asked for from elsewhere too, and nothing else can be."""
    remote, master = sessions["elsewhere"], sessions["here"]
    master._ready.clear()
    remote._have_ready("antigravity")
    wait_for(lambda: list(master._ready) == ["mesonb.live.private"], 10, "the agents to be told")


def test_every_public_name_of_a_master_is_there_as_well():
    """A new verb of masters is one of connections too, or it is said here why not."""
    only_here = set()
    public = {name for name in dir(mb.Master) if not name.startswith("_")} - {"address"}  # that is no property there
    assert {name for name in public if not hasattr(Remote, name)} == only_here
