"""A log that is kept as bytes: it is read like any other, while it grows and forgets, and costs the garbage collector nothing."""

import gc
import itertools
import threading

import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.core.log import Log, Step
from mesonb.core.packed import BLOCK, Packed


def packed(steps: list[Step]) -> Packed[Step]:
    out = Packed(Step._make)
    for step in steps:
        out.append(step)
    return out


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    """Steps of all sorts, and enough of them for several blocks."""
    sim = mb.Simulation(agents=8, seed=3)
    sim.runs_for(len, "30s")
    for name in ("lab", "eng"):
        sim.register(mb.Queue(), name=name, role=name).map(len, ["x"] * 300)
    sim.register(mb.Queue(needs=mb.Resources(cpus=0.5, mem="1MiB")), name="half").map(len, ["x"] * 300)
    sim.run("30min")
    assert len(sim.log.steps) > 5 * BLOCK
    return sim.log.steps


def test_it_reads_as_a_list_does(steps: list[Step]) -> None:
    kept = packed(steps)
    assert repr(kept) == f"<{len(steps):,} records, packed>"
    assert len(kept) == len(steps) and kept == steps and steps == kept and kept != steps[1:]
    assert [kept[n] for n in range(-3, len(steps))] == steps[-3:] + steps
    some = None, 5, BLOCK - 1, BLOCK, 3 * BLOCK + 7, len(steps) + 9, -4
    for begin, end in itertools.product(some, some):
        assert kept[begin:end] == steps[begin:end]
    assert kept[::-7] == steps[::-7]
    with pytest.raises(IndexError, match="none is number 100000"):
        kept[100_000]


def test_it_forgets_from_the_front(steps: list[Step]) -> None:
    kept, left = packed(steps), list(steps)
    for few in (0, 1, BLOCK - 1, BLOCK, 300, BLOCK // 2):
        del kept[:few], left[:few]
        kept.append(steps[few])
        left.append(steps[few])
        assert kept == left and kept[0] == left[0] and kept[-1] == left[-1] and len(kept) == len(left)
        with pytest.raises(IndexError):
            kept[-len(kept) - 1]


def test_a_copy_goes_on_no_more(steps: list[Step]) -> None:
    for length in (0, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK):
        kept = packed(steps[:length])
        twin = kept.copy()
        for step in steps[: 2 * BLOCK]:
            kept.append(step)
        assert twin == steps[:length] and len(kept) == length + 2 * BLOCK


def test_another_thread_reads_while_it_grows_and_forgets() -> None:
    kept, over = Packed(Step._make), threading.Event()

    def go_on() -> None:
        number = 0
        while not over.is_set():
            kept.append(Step(number, calls.Tick(), ()))  # at a time that is its number
            number += 1
            if len(kept) > 4 * BLOCK:
                del kept[: 3 * BLOCK - 5]

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        while not len(kept) or kept[-1].now_us < 100 * BLOCK:
            times = [step.now_us for step in kept]
            assert not times or times == list(range(times[0], times[0] + len(times)))
            times = [step.now_us for step in kept.copy()]
            assert not times or times == list(range(times[0], times[0] + len(times)))
    finally:
        over.set()
        thread.join()


def test_what_is_packed_is_nothing_to_the_garbage_collector(steps: list[Step]) -> None:
    kept = packed(steps)
    ours = {id(block) for block in kept._blocks.values() if isinstance(block, list)}
    assert len(ours) == 1, "the newest"
    assert not any(gc.is_tracked(block) for block in kept._blocks.values() if id(block) not in ours)


def test_a_packed_log_is_saved_replayed_and_let_go_as_any_other(steps: list[Step], tmp_path) -> None:
    sim = mb.Simulation(agents=2, seed=5)
    sim.runs_for(len, "30s")
    sim.register(mb.Queue(), name="lab").map(len, ["x"] * 300)
    sim.run("20min")
    log = Log(sim.core.settings, "DRF", sim.core, packed=True)
    for step in sim.log.steps:
        log.record(step.call, step.now_us, list(step.events))
    assert log.digest() == sim.log.digest()
    log.save(tmp_path / "run.mesonb")
    assert Log.load(tmp_path / "run.mesonb").steps == log.steps
    replay = mb.replay(log)
    assert len(replay.step_to(0).step(BLOCK + 9)) == BLOCK + 9
    half = replay.step_to(len(log.steps) // 2).snapshot()
    assert half == mb.replay(sim.log).step_to(len(log.steps) // 2).snapshot()
