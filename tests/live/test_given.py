"""What a task was given: it sees its ports, its gpus and who it is; no gpu of this machine is used: agents declare some."""

import os

import pytest

import mesonb as mb
from mesonb.core.resources import Resources
from mesonb.errors import NotThere
from mesonb.live.limits import gpus
from tests.helpers import wait_for
from tests.live.tasks import SHOWN, known, shown_to_a_program

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def master():
    agents = [
        mb.Resources(cpus=4, mem="1GB", gpus=2, ports="31000-31003", disks={"sda", "sdb"}),
        mb.Resources(cpus=4, mem="1GB", gpus=1),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHOWN, "GPU-a,GPU-b,GPU-c")
        made = mb.Master(agents=agents, name="given")
    yield made
    made.close(cluster=True)


@pytest.fixture
def queue(master):
    made = master.register(mb.Queue(needs=mb.Resources(cpus=0.1)), name="given")
    yield made
    master.unregister(made)


def test_a_task_knows_who_it_is(master, queue):
    run = queue.submit(known)
    task, variables = run.result(60)
    assert (task.task, task.framework, task.role, task.agent) == (run.task.id, "given", "*", run.task.agent)
    assert task.needs == mb.Resources(cpus=0.1)
    assert (task.ports, task.devices) == ([], ())
    assert variables == {"MESONB_TASK": None, "PORT": None, "MESONB_PORTS": None, SHOWN: ""}  # it asked for no gpu


def test_whoever_asks_for_any_two_ports_sees_which(master, queue):
    runs = [queue.submit(known, needs=mb.Resources(cpus=0.1, ports=n)) for n in (2, 1)]
    (two, variables), (one, _) = [run.result(60) for run in runs]
    assert len(two.ports) == 2
    assert {*two.ports, *one.ports} <= set(range(31000, 31004))
    assert two.needs.which["ports"] == runs[0].task.needs.which["ports"]
    assert variables["PORT"] == str(two.ports[0])
    assert variables["MESONB_PORTS"] == ",".join(map(str, two.ports))
    assert variables["MESONB_TASK"] == runs[0].task.id
    assert queue.submit(known, needs=mb.Resources(cpus=0.1)).result(60)[1]["PORT"] is None  # the next task has none


def test_a_command_sees_the_same(master, queue):
    line = "echo $MESONB_TASK $MESONB_FRAMEWORK $MESONB_AGENT $PORT $MESONB_PORTS $MESONB_DISKS x$CUDA_VISIBLE_DEVICES"
    run = queue.shell(line, needs=mb.Resources(cpus=0.1, ports=[31002], named={"disks": 1}))
    assert run.result(60) == 0
    wait_for(lambda: run.output().lines, 10, "what it printed")
    assert run.output().lines == [f"{run.task.id} given agent-1 31002 31002 sda x"]
    run = queue.shell("echo $CUDA_VISIBLE_DEVICES", needs=mb.Resources(cpus=0.1, gpus=2))
    assert run.result(60) == 0
    wait_for(lambda: run.output().lines, 10, "what it printed")
    assert run.output().lines == ["GPU-a,GPU-b"]


def test_tasks_that_run_at_once_see_different_gpus_and_the_next_has_them_again(master, queue, tmp_path):
    for turn in range(2):
        marks = [tmp_path / f"{turn}-{number}" for number in range(3)]
        needs = mb.Resources(cpus=0.1, gpus=1)
        runs = [queue.submit(shown_to_a_program, str(mark), 0, needs=needs) for mark in marks]
        wait_for(lambda runs=runs: all(run.task and run.task.running for run in runs), 20, "three tasks at once")
        for mark in marks:
            mark.touch()
        seen = {run.task.agent: set() for run in runs}
        for run in runs:
            seen[run.task.agent] |= set(run.result(60))
        assert seen == {"agent-1": {"GPU-a", "GPU-b"}, "agent-2": {"GPU-c"}}


def test_a_task_with_a_gpu_leaves_no_process_that_has_opened_it(master, queue):
    pid = queue.submit(os.getpid, needs=mb.Resources(cpus=0.1, gpus=1)).result(60)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 10, "its process to be gone")  # noqa: PTH110


def test_outside_of_a_task_it_says_where_to_ask():
    with pytest.raises(NotThere, match="this process runs none"):
        mb.current()


def test_devices_are_whole_or_parts_of_shared_ones_and_come_back():
    held = gpus.Gpus(["0", "1"])
    assert held.give(1, 250) == held.give(2, 750) == ("0",)
    assert held.give(3, 1000) == ("1",)
    assert held.give(3, 1000) == ("1",)  # asked twice, given once
    held.over(1)
    held.over(2)
    assert held.give(4, 1000) == ("0",)
    for number in (3, 4):
        held.over(number)
    assert held.give(5, 2000) == ("0", "1")


def test_names_are_those_of_the_environment_then_numbers(monkeypatch):
    monkeypatch.setenv(SHOWN, "GPU-x, GPU-y")
    assert gpus.names(1) == ["GPU-x"]
    assert gpus.names(2.5) == ["GPU-x", "GPU-y", "2"]
    monkeypatch.delenv(SHOWN)
    monkeypatch.setenv("PATH", "")
    assert gpus.names(2) == ["0", "1"]
    assert gpus.names(Resources(cpus=4).gpus) == []


def test_nvidia_smi_is_asked_where_there_is_one(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1" = --query-gpu=uuid ] && echo GPU-1 && echo GPU-2\n')
    program.chmod(0o700)
    monkeypatch.delenv(SHOWN, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.names(2) == ["GPU-1", "GPU-2"]
    program.write_text("#!/bin/sh\nexit 9\n")
    assert gpus.names(2) == ["0", "1"]
