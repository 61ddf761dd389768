"""What tasks print: caught line by line, of grandchildren too, told while they run, bounded, and nobody else's."""

import ctypes
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mesonb as mb
from mesonb.errors import TaskFailed, TaskGone
from mesonb.frameworks.output import ALL_KEPT_BYTES, KEPT_BYTES, Output, Outputs, Tail
from tests.helpers import wait_for
from tests.live.tasks import double, wait_and_return

FLOOD_BYTES = 1_000_000_000


def say(number):
    print("I am", number)
    return number


def say_in_many_ways():
    print("from Python")
    sys.stderr.write("to stderr\n")
    logging.getLogger("training").warning("from logging")
    subprocess.run(["echo", "from a grandchild"], check=True)
    os.write(1, b"past Python\n")


def say_and_wait(path):
    print("half way", end="\nand on")
    wait_and_return(0, path)
    print(" to the end")


def flood(most_bytes=FLOOD_BYTES):
    block = b"the same again and again\n" * 4000
    for _ in range(most_bytes // len(block)):
        os.write(1, block)
    print("it is over")


def flood_for_ever(marker):
    Path(marker).touch()
    flood(1 << 60)


def crash():
    print("before the crash")
    ctypes.string_at(0)


def say_and_fall():
    print("last words")
    sys.stdout.flush()
    os.abort()


# -- by itself ----------------------------------------------------------------------------------------------------------


def test_a_tail_knows_what_it_lacks():
    tail = Tail()
    tail.put(0, b"one\ntwo\n")
    tail.put(4, b"two\nthree\n")  # told again, with more
    assert tail.read() == (["one", "two", "three"], 0)
    tail.put(100, b"ne\nlast")  # something is missing before this
    assert tail.read() == (["last"], 103)
    assert str(tail.read()) == "(103 bytes before this are not kept)\nlast"


def test_a_tail_is_bounded_and_begins_with_a_whole_line():
    tail = Tail()
    for number in range(20_000):
        tail.put(tail.end, b"line %d\n" % number)
    assert len(tail.kept) == KEPT_BYTES
    lines, dropped = tail.read()
    assert lines[-1] == "line 19999"
    assert all(line.startswith("line ") for line in lines)
    assert dropped + sum(len(line) + 1 for line in lines) == tail.end


def test_of_a_progress_bar_the_last_state_is_shown():
    tail = Tail()
    tail.put(0, b"begin\r\n 10 %\r 50 %\r100 %\ndone")
    assert tail.read().lines == ["begin", "100 %", "done"]


def test_outputs_of_many_tasks_are_bounded_together():
    outputs = Outputs()
    for number in range(2 * ALL_KEPT_BYTES // KEPT_BYTES):
        outputs.add(f"t{number}", 0, bytes(KEPT_BYTES))
    assert sum(len(outputs.since(task, 0, KEPT_BYTES)[1]) for task in outputs) <= ALL_KEPT_BYTES
    assert outputs.read("t0") == Output([], 0)


# -- on agents ------------------------------------------------------------------------------------------------------------


@pytest.mark.live
def test_all_that_a_task_prints_is_caught(master, queue):
    run = queue.submit(say_in_many_ways)
    run.result(60)
    lines, dropped = run.output()
    assert lines == ["from Python", "to stderr", "from logging", "from a grandchild", "past Python"]
    assert dropped == 0
    assert master.output(run.task.id) == run.task.output() == run.output()


@pytest.mark.live
def test_each_line_is_its_own_tasks(queue):
    runs = queue.map(say, range(200))
    assert [run.result(60) for run in runs] == list(range(200))
    assert [run.output().lines for run in runs] == [[f"I am {number}"] for number in range(200)]


@pytest.mark.live
def test_it_is_told_while_the_task_runs(queue, tmp_path):
    run = queue.submit(say_and_wait, str(tmp_path / "go"))
    wait_for(lambda: run.output().lines == ["half way", "and on"], 10, "the first line")
    (tmp_path / "go").touch()
    run.result(60)
    assert run.output().lines == ["half way", "and on to the end"]


@pytest.mark.live
def test_what_a_process_said_before_it_died_is_kept(queue):
    run = queue.submit(say_and_fall)
    with pytest.raises(TaskFailed, match="ended by SIGABRT"):
        run.result(60)
    assert run.output().lines[0] == "last words"


@pytest.mark.live
def test_a_crash_says_where(queue):
    with pytest.raises(
        TaskFailed, match=r"ended by SIGSEGV\nlast printed:\nbefore the crash\n[\s\S]*test_output.py.* in crash"
    ):
        queue.submit(crash).result(60)


@pytest.mark.slow
@pytest.mark.live
def test_a_gigabyte_of_output_harms_nobody(queue):
    flooding = queue.submit(flood)
    others = queue.map(double, range(200))
    assert [run.result(60) for run in others] == [2 * number for number in range(200)]
    flooding.result(60)
    lines, dropped = flooding.output()
    assert lines[-1] == "it is over"
    assert set(lines[:-1]) == {"the same again and again"}
    assert dropped + sum(len(line) + 1 for line in lines) == flooding_bytes()


def flooding_bytes():
    block = len(b"the same again and again\n" * 4000)
    return FLOOD_BYTES // block * block + len("it is over\n")


@pytest.mark.live
def test_one_that_floods_is_killed_as_any_other(queue, tmp_path):
    run = queue.submit(flood_for_ever, str(tmp_path / "begun"))
    wait_for((tmp_path / "begun").exists, 20, "the flood to begin")
    wait_for(lambda: run.output().dropped > 10_000_000, 20, "ten megabytes to be dropped")
    run.cancel()
    with pytest.raises(TaskGone, match="killed"):
        run.result(60)


@pytest.mark.live
def test_another_kernel_reads_it_too(master):
    with mb.connect(master.local.address) as remote:
        there = remote.register(mb.Queue(needs=mb.Resources(cpus=1)), name="there")
        run = there.submit(say, 7)
        run.result(60)
        assert remote.output(run.task.id).lines == run.output().lines == ["I am 7"]
