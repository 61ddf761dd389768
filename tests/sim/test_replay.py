"""A recording, opened: any moment of it, forward and back, and who held what."""

import random

import pytest

import mesonb as mb
from mesonb.core import calls, seek
from mesonb.core.invariants import check
from mesonb.core.seek import Moments
from mesonb.core.snapshot import take
from mesonb.errors import BadValue, LogError, NotThere
from tests.log.sweep import Sweep, train


@pytest.fixture(scope="module")
def sim() -> mb.Simulation:
    sim = mb.Simulation(agents=8, seed=3)
    sim.runs_for(train, lambda rate: 20 + rate, execute=False)
    sim.register(Sweep(range(300)), name="sweep", role="lab")
    sim.register(Sweep(range(300)), name="other")
    return sim.run("1h")


@pytest.fixture(scope="module")
def replay(sim) -> mb.replay:
    return mb.replay(sim.log)


def test_it_shows_the_end_first(sim, replay) -> None:
    assert replay.kind == "replay"
    assert take(mb.replay(sim.log).core) == take(sim.core)


def test_any_moment_is_what_a_replay_from_the_start_gives(sim, monkeypatch) -> None:
    monkeypatch.setattr(seek, "EVERY", 50)
    moments = Moments(sim.log, every=50)
    pictures = [take(moments.log.start())]
    sim.log.replay(watch=lambda core, step: pictures.append(take(core)))
    for steps in random.Random(1).sample(range(len(sim.log.steps) + 1), 60):
        core = moments.after(steps)
        check(core)
        assert take(core) == pictures[steps]


def test_a_moment_by_its_time(sim) -> None:
    moments = Moments(sim.log)
    assert moments.at(30_000_000).now_us == sim.log.steps[moments.step_at(30_000_000) - 1].now_us
    assert moments.at(-1).now_us == 0


def test_forward_and_back(sim) -> None:
    replay = mb.replay(sim.log)
    replay.step_to(100)
    before = replay.snapshot()
    assert [step.call for step in replay.step(3)] == [step.call for step in sim.log.steps[100:103]]
    assert replay.snapshot().steps == before.steps + 3
    assert len(replay.step(-3)) == 3
    assert replay.snapshot() == before
    assert replay.step_to(-5).position == 0
    assert replay.snapshot().agent_count == 0
    assert replay.step_to(10**9).position == len(sim.log.steps)


def test_seek_by_the_clock(sim, replay) -> None:
    replay.seek("00:00:30")
    assert replay.now_us() <= 30_000_000 < sim.log.steps[replay.position].now_us
    assert replay.seek("00:01").now_us() <= 60_000_000
    assert replay.seek(0.5).snapshot() == replay.seek("500ms").snapshot()
    assert "at" in repr(replay) and "after call" in repr(replay)


def test_who_held_an_agent(replay) -> None:
    rows = replay.seek("00:01:00").holders("agent-7")
    assert len(rows) == 4
    assert {row["framework"] for row in rows} <= {"sweep", "other"}
    assert all(row["state"] == "running" and row["resources"] == str(Sweep.needs) for row in rows)
    with pytest.raises(NotThere, match="no agent is called 'agent-9' at 1 min; there are: agent-1"):
        replay.holders("agent-9")


def test_find_a_step(replay) -> None:
    replay.step_to(0)
    replay.find(lambda step: isinstance(step.call, calls.TaskUpdate) and step.call.state.terminal)
    assert replay.now_us() > 20_000_000
    with pytest.raises(NotThere, match="no step after"):
        replay.find(lambda step: isinstance(step.call, calls.Pause))


def test_what_happened_has_happened(replay) -> None:
    with pytest.raises(BadValue, match="cannot be changed"):
        replay.pause()
    with pytest.raises(BadValue, match="cannot be changed"):
        replay.register(Sweep([1]), name="late")
    with pytest.raises(BadValue, match="cannot be changed"):
        replay.weights["lab"] = 2


def test_charts_have_their_rows(replay) -> None:
    times = [time for time, _ in replay.history.rows]
    assert times == sorted(times)
    assert len(times) > 3
    assert any(shares.get("sweep", 0) > 0.3 for _, shares in replay.history.rows)


def test_a_recording_that_does_not_hold_names_the_step(sim) -> None:
    changed = sim.log.copy()
    changed.steps[40] = changed.steps[40]._replace(events=())
    with pytest.raises(LogError, match="step"):
        mb.replay(changed)


def test_from_a_file_and_while_it_goes_on(tmp_path) -> None:
    sim = mb.Simulation(agents=2, seed=1)
    sim.runs_for(train, "1s", execute=False)
    sim.register(Sweep(range(60)), name="sweep")
    sim.run("3s")
    early = mb.replay(sim.log)
    sim.run("20s")
    assert early.position < len(sim.log.steps)
    sim.log.save(tmp_path / "run.log.gz")
    late = mb.replay(tmp_path / "run.log.gz")
    assert late.snapshot() == sim.snapshot()
    assert late.step_to(early.position).snapshot() == early.snapshot()


def test_an_allocator_of_ones_own_is_given_again() -> None:
    class LastFirst(mb.Allocator):
        def cycle(self, view):
            for agent in view.agents_with_room():
                while hungry := view.wanting(agent):
                    yield view.offer(agent, to=max(hungry, key=lambda framework: framework.name))

    sim = mb.Simulation(agents=2, allocator=LastFirst())
    sim.runs_for(train, "1s", execute=False)
    sim.register(Sweep(range(20)), name="a")
    sim.register(Sweep(range(20)), name="b")
    sim.run("1min")
    with pytest.raises(LogError, match="LastFirst"):
        mb.replay(sim.log)
    assert mb.replay(sim.log, allocator=LastFirst()).snapshot() == sim.snapshot()


def test_memory_is_bounded(sim, monkeypatch) -> None:
    monkeypatch.setattr(seek, "CHECKPOINTS_BYTES", 40_000)
    moments = Moments(sim.log, every=10)
    assert moments.every > 10
    assert moments._bytes <= 40_000
    assert take(moments.after(len(moments))) == take(sim.core)


def test_an_allocator_that_was_swapped_in_is_handed_over_again(sim) -> None:
    class Backwards(mb.Allocator):
        def cycle(self, view):
            for agent in view.agents_with_room():
                while hungry := view.wanting(agent):
                    yield view.offer(agent, to=max(hungry, key=view.turn))

    swapped = mb.Simulation(agents=2, seed=5)
    swapped.runs_for(train, "1s", execute=False)
    swapped.register(Sweep(range(50)), name="a")
    swapped.register(Sweep(range(50)), name="b")
    swapped.run("2s")
    swapped.allocator = Backwards()
    swapped.run("1s")
    swapped.allocator = mb.Lottery()
    swapped.run("1min")
    with pytest.raises(LogError, match="differs"):
        mb.replay(swapped.log)
    assert mb.replay(swapped.log, handed=[Backwards()]).snapshot() == swapped.snapshot()
