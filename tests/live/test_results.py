"""Large results stay where they were made, as Dask futures; Dask futures are arguments; neither goes through the hub."""

import asyncio
import gc
import os
import signal
import threading
import time
import weakref

import dask
import numpy as np
import pytest
from dask._task_spec import Task
from distributed import Client

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.errors import BadValue, CannotPickle, ResultLost, TaskFailed
from mesonb.live.tasks.child import INLINE_MOST
from tests.helpers import wait_for
from tests.live.tasks import Trap, double, lineage, wait_and_return

pytestmark = pytest.mark.live
LARGE = 1_000_000  #: of float64: 8 MB


def ramp(length=LARGE, start=0.0):
    return np.arange(length, dtype=float) + start


def total(array):
    return float(array.sum())


def total_of_all(arrays, more):
    return sum(float(array.sum()) for array in [*arrays, *more.values()])


def overwrite(array):
    array[:] = 0
    return float(array.sum())


def of_a_class_unknown_to_workers():
    """Return something large whose class is a cell's."""
    cell = {"__name__": "__main__"}
    exec("class Model:\n  def __init__(self, w): self.w = w", cell)
    return cell["Model"](ramp())


def trap_with_ballast():
    return Trap(), ramp()


def large_lock():
    return threading.Lock(), ramp()


@pytest.fixture(scope="module")
def client(master):
    """Return a Dask client of the agents' cluster, which is nobody's default."""
    with Client(master.address, set_as_default=False) as made:
        yield made


def held(client):
    """All keys that workers hold."""
    return {key for keys in client.has_what().values() for key in keys}


def most_through_the_hub(client):
    """The largest batch that passed the hub since this was called last."""

    def look(dask_scheduler):
        from mesonb.live.wire.hub import Line

        if not hasattr(Line, "largest"):
            Line.largest, plain = 0, Line.forward

            def forward(line, sender, content):
                Line.largest = max(Line.largest, len(content))
                plain(line, sender, content)

            Line.forward = forward
        largest, Line.largest = Line.largest, 0
        return largest

    return client.run_on_scheduler(look)


def test_a_large_result_is_fetched_when_it_is_asked_for(queue, client):
    most_through_the_hub(client)
    run = queue.submit(ramp)
    assert np.array_equal(run.result(60), ramp())
    assert run.task.outcome.remains.size_bytes > 8 * LARGE
    assert most_through_the_hub(client) < 100_000


def test_a_small_one_comes_with_the_update(queue, client):
    run = queue.submit(ramp, INLINE_MOST // 8 - 100)
    assert len(run.result(60)) == INLINE_MOST // 8 - 100
    assert run.task.outcome.remains is None
    with pytest.raises(BadValue, match="is small, and here already"):
        run.future(client)


def test_it_can_be_awaited(queue):
    async def cell():
        return await queue.submit(ramp)

    assert len(asyncio.run(asyncio.wait_for(cell(), 60))) == LARGE


def test_plain_dask_uses_it(queue, client):
    future = queue.submit(ramp).future(client)
    assert client.submit(total, future).result(60) == total(ramp())
    assert np.array_equal(client.gather(future), ramp())


def test_it_lives_where_it_was_made_and_a_dask_task_there_copies_nothing(queue, client):
    run = queue.submit(ramp)
    future = run.future(client)
    (worker,) = client.who_has([future])[future.key]
    assert worker == run.task.outcome.remains.mark.address
    address = client.submit(lambda array: array.ctypes.data, future, workers=[worker]).result(60)
    again = client.submit(lambda array, _: array.ctypes.data, future, 1, workers=[worker]).result(60)
    assert address == again


def test_nobody_holds_what_nobody_wants(queue, client):
    run = queue.submit(ramp)
    run.result(60)
    key = run.task.outcome.remains.mark.key
    assert key in held(client)
    future = run.future(client)
    del run
    gc.collect()
    assert client.submit(total, future).result(60) == total(ramp())
    del future
    gc.collect()
    wait_for(lambda: key not in held(client), 10, "the workers to forget the result")


def test_an_end_that_is_told_twice_is_one_result(master, queue, client):
    run = queue.submit(ramp)
    run.result(60)
    remains = run.task.outcome.remains
    assert master.desk.remains(remains.mark.packed()) is remains
    gc.collect()
    assert queue.submit(double, 1).result(60) == 2  # whatever was said to the agent before has arrived
    assert remains.mark.key in held(client)
    assert master.desk.wanted() == {remains.mark.agent: [remains.mark.key]}


def test_what_a_framework_that_left_kept_is_forgotten(master, client):
    leaving = master.register(mb.Queue(), name="leaving")
    run = leaving.submit(ramp)
    run.result(60)
    key = run.task.outcome.remains.mark.key
    assert key in held(client)
    master.unregister(leaving)
    wait_for(lambda: key not in held(client), 10, "the workers to forget the result")
    with pytest.raises(ResultLost, match=f"run {run.task.id} again") as caught:
        run.result(60)
    assert caught.value.task == run.task.id


def test_dask_futures_are_arguments(queue, client):
    most_through_the_hub(client)
    scattered = client.scatter(ramp(start=1))
    computed = client.submit(ramp, LARGE, 2)
    assert queue.submit(total, scattered).result(60) == total(ramp(start=1))
    both = queue.submit(total_of_all, [scattered], more={"deep": computed})
    assert both.result(60) == total(ramp(start=1)) + total(ramp(start=2))
    assert most_through_the_hub(client) < 100_000


def test_a_future_that_is_still_computed_is_waited_for(queue, client):
    slow = client.submit(lambda: time.sleep(0.3) or ramp())  # work
    assert queue.submit(total, slow).result(60) == total(ramp())


def test_a_result_goes_from_agent_to_agent_as_a_future(queue, client):
    """Eight tasks on all agents read what one task made."""
    made = queue.submit(ramp).future(client)
    runs = [queue.submit(total, made) for _ in range(8)]
    assert {run.result(60) for run in runs} == {total(ramp())}


def test_what_a_task_does_to_its_argument_is_its_own_affair(queue, client):
    scattered = client.scatter(ramp())
    assert queue.submit(overwrite, scattered).result(60) == 0
    assert queue.submit(total, scattered).result(60) == total(ramp())


def test_a_future_that_failed_or_is_gone_fails_the_task_and_says_so(master, queue, client):
    failed = client.submit(lambda: 1 / 0)
    with pytest.raises(TaskFailed, match=r"failed when Dask computed it; future.result\(\) says why"):
        queue.submit(total, failed).result(60)
    leaving = master.register(mb.Queue(), name="leaves-too")
    run = leaving.submit(ramp)
    future = run.future(client)
    client.cancel([future], force=True)
    master.unregister(leaving)
    wait_for(lambda: future.key not in held(client), 10, "the workers to forget it")
    with pytest.raises(TaskFailed, match=f"the result of {run.task.id}, is lost .*; run {run.task.id} again"):
        queue.submit(total, future).result(60)
    with master.lock:
        check(master.core)


@pytest.fixture(scope="module")
def lead(_clusters):
    """Return what leads a cluster of one agent, again and again; results that nobody wants are kept for two seconds there."""
    with dask.config.set({"mesonb.result-grace": "2s"}):
        mb.Master(agents=1, name="lone").close()
    return lambda: mb.Master(agents=1, name="lone")


def test_a_worker_that_dies_loses_its_results_and_it_is_said_who_can_make_them_again(lead):
    with lead() as lone:
        queue = lone.register(mb.Queue(), name="dies")
        _, _, worker = queue.submit(lineage).result(60)
        run = queue.submit(ramp)
        run.result(60)
        task = run.task.id
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: queue.submit(lineage).result(60)[2] != worker, 30, "the worker to be replaced")
        with pytest.raises(ResultLost, match=rf"the result of {task} \(8 MB\) was kept by agent-1.*run {task} again"):
            run.result(60)
        again = queue.submit(run.function, *run.args)
        assert len(again.result(60)) == LARGE


def test_the_next_master_finds_what_was_made_while_nobody_led(lead, tmp_path):
    """The mark waits on the agent, as every result does, and the value on its worker."""
    go = tmp_path / "go"
    first = lead()
    old = first.register(mb.Queue(), name="next")
    run = old.submit(ramp_when, str(go))
    wait_for(lambda: run.task and run.task.running, 20, "the task to run")
    first._abandon()
    go.touch()
    with lead() as second:
        keeps = second.register(Keeps(), name="next")
        wait_for(lambda: keeps.got is not None, 20, "the result to be told")
        assert np.array_equal(keeps.got.result(), ramp())


def test_what_a_kernel_held_that_is_gone_is_forgotten_and_what_another_holds_is_not(lead):
    """The kernel with the master ends; another one, whose framework goes on, still has its result."""
    first = lead()
    with Client(first.address, set_as_default=False) as client, mb.connect(first.address) as remote:
        theirs, ours = first.register(mb.Queue(), name="theirs"), remote.register(mb.Queue(), name="ours")
        runs = [queue.submit(ramp) for queue in (theirs, ours)]
        keys = [run.result(60) is not None and run.task.outcome.remains.mark.key for run in runs]
        wait_for(lambda: not first._unacknowledged, 10, "the ends to be acknowledged")
        assert held(client) >= set(keys)
        first._abandon()
        with lead():
            wait_for(lambda: keys[0] not in held(client), 20, "what nobody can want any more to be forgotten")
            wait_for(lambda: ours.submit(double, 2).result(60) == 4, 20, "the other kernel to go on")
            assert np.array_equal(runs[1].result(60), ramp())
            remote.close()


def ramp_when(path):
    wait_and_return(0, path)
    return ramp()


class Keeps(mb.Framework):
    """Keeps the last task that finished."""

    got = None

    def on_update(self, task):
        if task.finished:
            self.got = task


def test_a_class_of_a_cell_comes_back_and_what_no_worker_can_read_is_kept_sealed(queue):
    assert np.array_equal(queue.submit(of_a_class_unknown_to_workers).result(60).w, ramp())
    with pytest.raises(ZeroDivisionError, match="8 was too much"):
        queue.submit(trap_with_ballast).result(60)


def test_a_large_result_that_cannot_be_pickled(queue):
    with pytest.raises(TaskFailed, match="its result, a tuple, cannot be sent back"):
        queue.submit(large_lock).result(60)


def test_a_node_of_a_dask_graph_is_an_argument_like_any_other(queue):
    """Dask itself would compute it: nothing of ours may be taken for a part of a graph."""
    node = Task("x", ramp)
    assert queue.submit(type, node).result(60) is Task
    assert queue.submit(lambda kept: kept(), node).result(60).sum() == total(ramp())


class Vast:
    """Says that it is large, and must not be asked for its content."""

    nbytes = 2_000_000_000

    def __reduce__(self):
        raise AssertionError("it was pickled, though it is refused")


def test_a_2_gb_argument_is_refused_before_it_is_copied(queue):
    with pytest.raises(
        CannotPickle, match=r"the arguments of total weigh 2000 MB, more than 256 MB; .*client.scatter\(data\)"
    ):
        queue.submit(total, Vast()).result(60)
    vast = np.lib.stride_tricks.as_strided(np.zeros(1), shape=(250_000_000,), strides=(0,))
    with pytest.raises(CannotPickle, match="weigh 2000 MB"):
        queue.submit(total, vast).result(60)
    assert queue.submit(double, 2).result(60) == 4


def test_another_kernel_fetches_and_lets_go_too(master, client):
    with mb.connect(master.address) as remote:
        there = remote.register(mb.Queue(), name="remote-results")
        run = there.submit(ramp)
        assert np.array_equal(run.result(60), ramp())
        key = run.task.outcome.remains.mark.key
        assert key in held(client)
        gone = weakref.ref(run.task.outcome.remains)
        del run
        gc.collect()
        wait_for(lambda: gone() is None, 5, "nobody here to hold it")
        wait_for(lambda: key not in held(client), 10, "the workers to forget the result")


def test_an_executor_over_a_share_hands_over_the_value(master):
    with master.futures("share-results") as share:
        assert np.array_equal(share.submit(ramp).result(60), ramp())


def test_no_client_became_the_default_one(queue):
    run = queue.submit(ramp)
    run.result(60)
    assert dask.config.get("scheduler", None) is None
    with pytest.raises(BadValue, match="there is no Dask client to make a future for; write future"):
        run.future()
