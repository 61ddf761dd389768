"""What goes wrong: workers die, links are cut, callbacks raise or hang, frameworks register again."""

import asyncio
import ctypes
import os
import signal
import threading
import time

import pytest
from distributed import Client

import mesonb as mb
from mesonb.core import calls
from mesonb.core.invariants import check
from mesonb.live import mailbox
from mesonb.live.wire.door import SILENT_S
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.security.strangers import Stranger
from tests.live.tasks import cut_agents, double, lineage, rest, wait_and_return
from tests.live.test_tasks import gone, pids

pytestmark = pytest.mark.live
#: How long a cell holds the interpreter: much longer than a ping, well within what a leader may be silent for.
HELD_S = 2
#: Within what a killed worker's tasks are promised to be told lost.
WITHIN_S = 1


class Again(mb.Framework):
    """Launches one long task; and another one when that is lost."""

    needs = SMALL

    def __init__(self, folder):
        self.folder, self.wanted, self.lost_s, self.launched = folder, 1, None, []

    def on_offers(self, offers):
        for offer in offers:
            while self.wanted and offer.fits(self.needs):
                self.wanted -= 1
                self.launched.append(offer.launch(rest, str(self.folder / str(len(self.launched)))))

    def on_update(self, task):
        if task.lost:
            self.lost_s = time.monotonic()
            self.wanted += 1


def test_a_killed_worker_loses_its_tasks_within_a_second_and_the_framework_gets_new_offers(master, tmp_path):
    again, took_s = master.register(Again(tmp_path), name="again"), []
    while not took_s or (min(took_s) >= WITHIN_S and len(took_s) < 3):  # a laden machine delays some, not all of them
        number = len(took_s)
        child, zygote, worker = pids(tmp_path / str(number))
        struck_s, again.lost_s = time.monotonic(), None
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: again.lost_s, 10, "the task to be reported lost")
        took_s.append(again.lost_s - struck_s)
        assert "Dask worker" in again.launched[number].because
        pids(tmp_path / str(number + 1))  # it runs again, on what is left
        wait_for(lambda: gone(child) and gone(zygote), 10, "the executors to die with their worker")  # noqa: B023
        wait_for(lambda: len(master.snapshot().agents) == 2, 20, "the nanny's new worker to join under the old name")
        assert {row.agent for row in master.snapshot().agents} == {"agent-1", "agent-2"}
    assert min(took_s) < WITHIN_S, took_s
    master.unregister(again)
    with master.lock:
        check(master.core)


def test_a_queue_runs_again_what_was_lost(master, queue, tmp_path):
    runs = [queue.submit(wait_and_return, n, str(tmp_path / "go")) for n in range(4)]
    wait_for(lambda: sum(1 for run in runs if run.task and run.task.running) == 4, 20, "four running tasks")
    os.kill(queue.submit(lineage, needs=mb.Resources(mem="1MB")).result(60)[2], signal.SIGKILL)
    wait_for(lambda: any(run.losses for run in runs), 20, "tasks to be lost")
    (tmp_path / "go").touch()
    assert [run.result(60) for run in runs] == [0, 1, 2, 3]
    assert sum(run.losses for run in runs) >= 1
    wait_for(lambda: len(master.snapshot().agents) == 2, 20, "the replacement to join")


def test_a_link_that_is_cut_is_restored_and_tasks_run_on(master, queue, tmp_path):
    runs = [queue.submit(wait_and_return, n, str(tmp_path / "go")) for n in range(2)]
    wait_for(lambda: all(run.task and run.task.running for run in runs), 20, "running tasks")
    master._thread.call(master._link.peer._comm.abort)
    (tmp_path / "go").touch()
    assert [run.result(60) for run in runs] == [0, 1]
    assert queue.submit(double, 4).result(60) == 8
    assert sum(run.losses for run in runs) == 0


def test_an_agent_whose_link_is_cut_is_unreachable_and_comes_back_with_its_tasks(master, queue, tmp_path):
    run = queue.submit(wait_and_return, "kept", str(tmp_path / "go"))
    wait_for(lambda: run.task and run.task.running, 20, "a running task")
    wait_for(lambda: len(master.core.agents) == 2 and not master.core.unreachable, 20, "both agents, of earlier tests")
    before = len(master.log.steps)

    def heard(kind):
        return [step.call.agent for step in master.log.steps[before:] if isinstance(step.call, kind)]

    with Client(master._link.address, set_as_default=False) as client:
        client.run_on_scheduler(cut_agents)
    wait_for(lambda: {*heard(calls.AgentBack)} == {"agent-1", "agent-2"}, 20, "both agents to be back")
    (tmp_path / "go").touch()
    assert run.result(60) == "kept"
    assert run.losses == 0
    assert sorted(heard(calls.AgentUnreachable)) == sorted(heard(calls.AgentBack))
    assert not heard(calls.AgentJoined), "nobody came anew"
    assert not master.core.unreachable
    with master.lock:
        check(master.core)


def test_registering_a_name_again_takes_over_its_tasks(master, tmp_path):
    class First(mb.Framework):
        needs = SMALL
        task = None

        def on_offers(self, offers):
            if self.task is None:
                self.task = offers[0].launch(wait_and_return, None, str(tmp_path / "go"))

    class Second(mb.Framework):
        needs = SMALL
        found, ended = (), None

        def on_registered(self, tasks):
            self.found = list(tasks)

        def on_update(self, task):
            self.ended = task if task.ended else None

    first = master.register(First(), name="takeover")
    wait_for(lambda: first.task and first.task.running, 20, "the task to run")
    second = master.register(Second(), name="takeover")
    (tmp_path / "go").touch()
    wait_for(lambda: second.ended, 10, "the task to end, told to the new code")
    assert second.found == [first.task] == [second.ended]
    assert second.ended.finished
    master.unregister(second)


def test_callbacks_that_raise_or_hang_stop_nobody(master, queue, monkeypatch):
    monkeypatch.setattr(mailbox, "HUNG_S", 2 * mailbox.SLOW_S)
    release = threading.Event()

    class Raises(mb.Framework):
        needs = SMALL

        def on_offers(self, offers):
            raise KeyError("a typing error in a cell")

    class Hangs(mb.Framework):
        needs = SMALL

        def on_offers(self, offers):
            release.wait(60)

    raises, hangs = master.register(Raises(), name="raises"), master.register(Hangs(), name="hangs")
    try:
        wait_for(lambda: {c.framework for c in master.complaints} >= {"raises", "hangs"}, 10, "two complaints")
        told = {c.framework: c for c in master.complaints}
        assert "KeyError: 'a typing error in a cell'" in told["raises"].error
        assert "on_offers" in told["raises"].traceback
        assert "slow" in told["hangs"].error
        assert "release.wait" in told["hangs"].traceback
        assert [run.result(60) for run in queue.map(double, range(4))] == [0, 2, 4, 6]
    finally:
        release.set()
        master.unregister(raises)
        master.unregister(hangs)


def test_an_allocator_that_raises_is_a_complaint(master, queue):
    class Breaks(mb.Allocator):
        broken = True

        def cycle(self, view):
            if self.broken:
                raise RuntimeError("this allocator is not finished")
            yield from mb.DRF().cycle(view)

    master.allocator = Breaks()
    run = queue.submit(double, 2)
    wait_for(lambda: any("not finished" in c.error for c in master.complaints), 10, "the complaint")
    assert run.result(60) == 4
    master.allocator = mb.DRF()


def test_what_left_leaves_nothing_behind(master):
    """Neither the thread of a framework that has left, nor the cargo of a reply that was refused."""

    class Late(mb.Framework):
        needs = SMALL
        replied = False
        lost = None

        def on_offers(self, offers):
            if not self.replied:
                self.replied = True
                master.weights["*"] = 2  # a change that rescinds what is offered
                master.wait_until(lambda: offers[0].id not in master.core.offers, "10s")
                offers[0].launch(double, b"x" * 100_000)

        def on_update(self, task):
            self.lost = task.because if task.lost else None

    late = master.register(Late(), name="late")
    wait_for(lambda: late.lost, 10, "the late reply to be refused")
    assert not master.cargo
    thread = master._boxes["late"]._thread
    master.unregister(late)
    wait_for(lambda: "late" not in master._boxes, 10, "the master to let it go")
    wait_for(lambda: not thread.is_alive(), 10, "its thread to end")
    again = master.register(mb.Queue(needs=SMALL), name="late")
    assert again.submit(double, 4).result(60) == 8
    master.unregister(again)
    master.weights["*"] = 1


def test_the_stop_button_does_not_reach_the_agents(master, queue):
    """SIGINT goes to the kernel's process group; nothing of the cluster is in it."""
    child, zygote, worker = queue.submit(lineage).result(60)
    ours = os.getpgrp()
    assert ours not in {os.getpgid(pid) for pid in (child, zygote, worker, master.local.pid)}
    assert os.getsid(0) not in {os.getsid(pid) for pid in (child, zygote, worker, master.local.pid)}


def test_a_busy_cell_deposes_nobody(master, queue):
    """C code that does not let go of the interpreter; another master stands by, and would lead if it might."""
    assert HELD_S < SILENT_S
    before = master.core.settings.epoch

    async def story():
        standby = await Stranger.attach(master.address, "waits", "standby")
        ctypes.PyDLL(None).usleep(HELD_S * 1_000_000)  # nothing else runs in this process meanwhile
        standby.says(("still", "here"))
        assert await asyncio.to_thread(queue.submit(double, 4).result, 20) == 8
        await standby.peer.close()
        return [message for message in standby.heard if message[1] == "lead"]

    assert asyncio.run(asyncio.wait_for(story(), 60)) == []
    assert master.leads and not master.given_up and master.core.settings.epoch == before
