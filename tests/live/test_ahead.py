"""Tasks that are launched ahead, on real agents: who begins without asking, who is handed back, and what is lost when things die."""

import os
import signal

import psutil
import pytest

import mesonb as mb
from mesonb.errors import TaskFailed, TaskGone
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, explode, wait_and_return

pytestmark = pytest.mark.live
WHOLE = mb.Resources(cpus=2)


@pytest.fixture
def ahead(master, request):
    """Return a queue that launches ahead, and fills an agent with each run."""
    made = master.register(mb.Queue(WHOLE, ahead=1), name=request.node.name[:60])
    yield made
    master.unregister(made)


def counts(master, name):
    """Return what a framework did so far."""
    return {row.framework: row.counts for row in master.snapshot().frameworks}[name]


def both_run_and_as_many_wait(master, queue, tmp_path):
    """Fill both agents, with one run behind each; the files that the first two and the next two wait for."""
    ends = [tmp_path / f"end-{number}" for number in range(4)]
    runs = [queue.submit(wait_and_return, number, str(end)) for number, end in enumerate(ends)]
    wait_for(lambda: len(master.core.ahead) == 2, 60, "what was launched ahead")
    wait_for(
        lambda: all((tmp_path / f"end-{number}.begun").exists() for number in (0, 1)), 60, "what was launched ahead"
    )
    return runs, ends


def test_the_next_begins_on_the_same_agent_and_needs_no_offer(master, ahead, tmp_path) -> None:
    runs, ends = both_run_and_as_many_wait(master, ahead, tmp_path)
    assert not any((tmp_path / f"end-{number}.begun").exists() for number in (2, 3)), "an agent has room for one"
    for end in ends:
        end.touch()
    assert [run.result("60s") for run in runs] == [0, 1, 2, 3]
    assert {run.task.agent for run in runs[:2]} == {run.task.agent for run in runs[2:]}
    told = counts(master, ahead.name)
    assert (told["accepted"], told["launched"], told["finished"]) == (2, 4, 4)
    assert not master.complaints


def test_whatever_ends_the_first_the_next_begins(master, ahead, tmp_path) -> None:
    runs, ends = both_run_and_as_many_wait(master, ahead, tmp_path)
    runs[0].cancel()
    pid = int((tmp_path / "end-1.begun").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    for end in ends[2:]:
        end.touch()
    assert [run.result("60s") for run in runs[2:]] == [2, 3]
    with pytest.raises(TaskGone):
        runs[0].result("60s")
    with pytest.raises(TaskFailed, match="SIGKILL"):
        runs[1].result("60s")


def test_one_that_waits_is_killed_and_never_begins(master, ahead, tmp_path) -> None:
    runs, ends = both_run_and_as_many_wait(master, ahead, tmp_path)
    runs[2].cancel()
    with pytest.raises(TaskGone, match="killed"):
        runs[2].result("60s")
    for end in ends:
        end.touch()
    assert [runs[number].result("60s") for number in (0, 1, 3)] == [0, 1, 3]
    assert not (tmp_path / "end-2.begun").exists()


def test_others_who_come_have_what_is_theirs_and_nothing_is_lost(master, ahead, tmp_path) -> None:
    runs, ends = both_run_and_as_many_wait(master, ahead, tmp_path)
    other = master.register(mb.Queue(SMALL), name="other")
    theirs = other.submit(double, 4)
    wait_for(lambda: not master.core.ahead, 60, "what was launched ahead")
    assert counts(master, ahead.name)["handed_back"] == 2
    ends[0].touch()
    assert theirs.result("60s") == 8, "before anything of the first began again"
    for end in ends:
        end.touch()
    assert [run.result("60s") for run in runs] == [0, 1, 2, 3]
    assert all(run.losses == 0 for run in runs)
    master.unregister(other)


def test_many_short_ones_all_end_once(master, ahead) -> None:
    runs = ahead.map(double, range(200))
    assert [run.result("60s") for run in runs] == [2 * number for number in range(200)]
    told = counts(master, ahead.name)
    assert told["launched"] == told["finished"] == 200


def test_a_framework_launches_ahead_with_its_own_results_and_failures(master) -> None:
    class Chain(mb.Framework):
        needs = SMALL

        def __init__(self) -> None:
            self.told = []

        def on_offers(self, offers) -> None:
            if not self.told and not self.tasks:
                first = offers[0].launch(explode, 1)
                self.launch_next(first, double, 21)

        def on_update(self, task) -> None:
            if task.ended:
                self.told.append((task.state.value, task.outcome and task.outcome.value))

    chain = master.register(Chain(), name="chain")
    wait_for(lambda: len(chain.told) == 2, 60, "what was launched ahead")
    assert chain.told == [("failed", None), ("finished", 42)]
    master.unregister(chain)


def test_what_waited_on_a_worker_that_died_runs_elsewhere_and_has_lost_nothing(tmp_path) -> None:
    with mb.Master(agents=[WHOLE], name="ahead-dies") as master:
        queue = master.register(mb.Queue(WHOLE, ahead=1), name="q")
        ends = [tmp_path / name for name in ("first", "second")]
        runs = [queue.submit(wait_and_return, number, str(end)) for number, end in enumerate(ends)]
        wait_for(
            lambda: len(master.core.ahead) == 1 and (tmp_path / "first.begun").exists(), 60, "what was launched ahead"
        )
        worker = int((tmp_path / "first.begun").read_text().split()[2])
        for end in ends:
            end.touch()
        psutil.Process(worker).kill()
        assert [run.result("60s") for run in runs] == [0, 1]
        assert runs[1].losses == 0
        master.close(cluster=True)
