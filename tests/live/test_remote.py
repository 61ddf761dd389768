"""Frameworks in another kernel: found, registered, offered, killed with it or outliving it, and given back."""

import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.core.invariants import check
from mesonb.core.snapshot import AGENTS_SHOWN
from mesonb.errors import BadValue, NotThere, Unreachable
from mesonb.live import pictures
from mesonb.panels import listing
from mesonb.panels.app import Look, Shown
from mesonb.panels.feed import picture
from mesonb.panels.steer import Steer
from mesonb.panels.view import Palette
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, rest
from tests.live.test_cluster import _lead_if_free, kernel, waiters_elsewhere
from tests.live.test_recovery import Waiters, begun

pytestmark = pytest.mark.live


@pytest.fixture
def remote(master):
    """Return what another kernel sees of the master; here it is another thread, which the hub cannot tell."""
    with mb.connect(name="tests") as made:
        yield made


def test_a_framework_runs_in_another_kernel_and_closing_gives_back(master):
    other, said = kernel("""
        import os
        import mesonb as mb
        from tests.live.tasks import double, rest
        cluster = mb.connect(name="tests")
        lab = cluster.register(mb.Queue(needs=mb.Resources(cpus=0.5)), name="lab", role="guests")
        print([run.result(60) for run in lab.map(double, range(20))], flush=True)
        waits = lab.submit(rest)
        cluster.wait_until(lambda: waits.task and waits.task.running)
        input()
        cluster.close()
        print("closed", flush=True)
        input()
    """)
    try:
        assert said == str([2 * n for n in range(20)])
        assert master.core.frameworks["lab"].role == "guests"
        wait_for(lambda: len(master.core.frameworks["lab"].tasks) == 1, 20, "its long task")
        print(file=other.stdin, flush=True)
        assert other.stdout.readline() == "closed\n"
        wait_for(lambda: "lab" not in master.core.frameworks, 10, "the framework to have left")
        with master.lock:
            check(master.core)
    finally:
        other.kill()
        other.wait()


def test_the_verbs_work_there(master, remote):
    remote.weights["lab"] = 3
    wait_for(lambda: dict(master.weights).get("lab") == 3, 5, "the weight to be set")
    assert remote.weights["lab"] == 3
    remote.pause()
    wait_for(lambda: remote.snapshot().paused, 5, "the pause")
    remote.resume()
    lab = remote.register(mb.Queue(needs=SMALL), name="lab")
    assert lab.submit(double, 4).result(60) == 8
    assert remote.snapshot().agent_count == 2
    assert "lab" in str(remote.explain("lab"))
    with pytest.raises(NotThere, match="nobody"):
        remote.explain("nobody")
    with pytest.raises(BadValue, match="no agent is large enough"):
        lab.submit(double, 4, needs=mb.Resources(cpus=30))
    assert abs(remote.now_us() - master.now_us()) < 10_000_000, "one clock, as exactly as it was told"


def test_what_the_master_refuses_is_raised_in_either_kernel(master, remote):
    for there in (master, remote):
        with pytest.raises(BadValue, match="guarantees and limits belong to outermost roles; say it of 'eng'"):
            there.limits["eng/web"] = mb.Resources(cpus=1)
        there.limits["eng"] = mb.Resources(cpus=1)
        del there.limits["eng"]
    assert not [complaint for complaint in master.complaints if complaint.callback == "SetLimit"]


def test_a_kernel_dies_and_its_framework_is_taken_over_from_another(master, tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]
    other = waiters_elsewhere(paths, "guest")
    begun(tmp_path, 2)
    other.kill()
    other.wait()
    wait_for(lambda: "guest" in master.core.away, 10, "the framework to be disconnected")
    (tmp_path / "a").touch()  # ends while nobody is there to be told
    wait_for(master.inheritance.kept_tasks, 10, "its result to be kept")
    with mb.connect(name="tests") as cluster:
        guest = cluster.register(Waiters(), name="guest")
        wait_for(lambda: guest.results == {0: 0}, 10, "what ended meanwhile")
        assert [task.args for task in guest.found] == [(1, paths[1])]
        (tmp_path / "b").touch()
        wait_for(lambda: guest.results == {0: 0, 1: 1}, 10, "what ran on")
    wait_for(lambda: not master._unacknowledged, 10, "everything to be acknowledged")


def test_whoever_lost_a_name_speaks_for_it_no_more(master, remote):
    stale = remote.register(mb.Queue(needs=SMALL), name="taken")
    run = stale.submit(double, 1)
    assert run.result(60) == 2
    fresh = master.register(mb.Queue(needs=SMALL), name="taken")
    assert fresh.submit(double, 2).result(60) == 4
    wait_for(lambda: remote.drivers["taken"].superseded, 5, "the one that lost its name to be told")
    stale.kill(run.task.id)
    remote.close()  # leaves under a name that is another's now
    assert fresh.submit(double, 3).result(60) == 6
    master.unregister(fresh)


@pytest.mark.slow
def test_another_master_takes_the_lead_and_the_framework_goes_on(tmp_path):
    first, said = kernel(
        "import mesonb as mb; master = mb.Master(agents=2, name='moves'); print('leads', flush=True); input()"
    )
    assert said == "leads"
    with mb.connect(name="moves") as cluster:
        lab = cluster.register(mb.Queue(needs=SMALL), name="lab")
        run = lab.submit(rest, None, 3)
        wait_for(lambda: run.task and run.task.running, 20, "the task to run")
        first.kill()
        first.wait()
        with wait_for(lambda: _lead_if_free(agents=2, name="moves"), 10, "the next master") as second:
            wait_for(
                lambda: "lab" in second.core.frameworks and "lab" not in second.core.away, 10, "lab to register again"
            )
            assert run.result(60) is None
            assert run.losses == 0
            assert lab.submit(double, 2).result(60) == 4
    second.close(cluster=True)


def test_nobody_leads():
    with pytest.raises(NotThere, match=r"write mb.Master\(\) in one kernel"):
        mb.connect(name="nobody")


def test_panels_follow_a_master_elsewhere_without_waiting_for_it(master, remote, queue):
    running = queue.submit(rest)
    wait_for(lambda: (seen := remote.freshen()) and seen.task_count == 1, 10, "the task in a picture nobody waited for")
    line = listing.line(remote)
    assert (line["agents"], line["tasks"], line["mine"], line["share"]) == (2, 1, [], 0)
    steer = Shown(remote, Steer(Look(Palette())))
    assert queue.name in steer.panel.framework.options and running.task.id in steer.panel.task.completions
    master.pause()
    wait_for(lambda: remote.freshen().paused, 10, "the pause")
    wait_for(lambda: remote.core.steps == remote.freshen().steps, 5, "the steps, by which panels know of something new")
    assert queue.name in remote.history.rows[-1][1]
    master.resume()


def test_a_master_that_does_not_answer_is_said_to_be_silent_and_asked_on(master, remote, monkeypatch):
    remote.snapshot(spots=True)
    monkeypatch.setattr(pictures, "SILENT_S", 0.2)
    with master.lock:  # as a long step would
        wait_for(lambda: (remote.freshen(), remote.unsteerable)[1], 10, "the word that nobody answers")
        assert remote.unsteerable == pictures.SILENT
        with pytest.raises(Unreachable, match="does not answer"):
            remote.snapshot(spots=True)
    wait_for(lambda: not remote.unsteerable, 10, "the answer")


def test_of_many_agents_panels_show_all_and_their_names_travel_once():
    with mb.Master(agents=1, name="many") as many, mb.connect(name="many") as remote:
        many.post([calls.AgentJoined(f"pretend-{n}", mb.Resources(cpus=2)) for n in range(AGENTS_SHOWN + 200)])
        remote.wait_until(lambda: remote.snapshot().agent_count == AGENTS_SHOWN + 201)
        assert len(remote.snapshot().agents) == AGENTS_SHOWN
        first = remote.snapshot(spots=True)
        assert len(first.spots.agents) == len(first.spots.filled) == AGENTS_SHOWN + 201
        known = first.agents_joined, first.agent_count
        _, (agents, totals, *columns) = remote._thread.wait_for(remote._ask("snapshot", True, *known), 10)
        assert agents == totals == () and [len(column) for column in columns] == [4 * (AGENTS_SHOWN + 201)] * 3
        many.pause()
        wait_for(lambda: remote.freshen().paused, 10, "another picture")
        assert remote.freshen().spots.agents is first.spots.agents
        assert picture(remote).head["counts"]["drawn"] == AGENTS_SHOWN + 201
    many.close(cluster=True)
