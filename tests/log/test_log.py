"""The call log: recorded, saved, loaded and replayed to the same bytes; what is damaged is named."""

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mesonb as mb
from mesonb.core import calls, checkpoint, codec, events, log, packed
from mesonb.core.books import Settings
from mesonb.core.checkpoint import Checkpoint
from mesonb.core.invariants import check
from mesonb.core.log import Log, first_difference
from mesonb.core.master import MasterCore
from mesonb.core.snapshot import take
from mesonb.core.units import show_duration
from mesonb.errors import LogError
from tests.helpers import ROOT
from tests.log.sweep import Sweep, train


def run(seed: int = 7, agents: int = 3) -> mb.Simulation:
    """A run with something of everything: offers, filters, an agent lost, a weight changed, a failover."""
    sim = mb.Simulation(agents=agents, seed=seed)
    sim.runs_for(train, lambda rate: 1 + rate, execute=False)
    sim.register(Sweep(range(40)), name="sweep", role="lab")
    sim.register(Sweep(range(25)), name="other")
    sim.run("3s")
    sim.weights["lab"] = 3
    sim.lose_agent("agent-2")
    sim.run("2s")
    sim.register(Sweep(range(5)), name="other")
    return sim.run("40s")


@pytest.fixture(scope="module")
def recorded() -> Log:
    return run().log


# -- to a file and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run.log", "run.log.gz"])
def test_what_is_saved_is_loaded(recorded, tmp_path, name) -> None:
    recorded.save(tmp_path / name)
    loaded = Log.load(tmp_path / name)
    assert loaded.steps == recorded.steps
    assert loaded.settings == recorded.settings
    assert loaded.digest() == recorded.digest()
    assert first_difference(loaded, recorded) is None


def test_compressed_is_a_tenth(recorded, tmp_path) -> None:
    recorded.save(tmp_path / "run.log")
    recorded.save(tmp_path / "run.log.gz")
    assert (tmp_path / "run.log.gz").stat().st_size < (tmp_path / "run.log").stat().st_size / 5


def test_a_log_says_how_long_it_is(recorded) -> None:
    lasted = show_duration(recorded.steps[-1].now_us - recorded.steps[0].now_us)
    assert repr(recorded) == f"<log of {len(recorded.steps):,} calls over {lasted}, begun with DRF>"


def test_a_replay_ends_in_the_same_state(recorded) -> None:
    core = recorded.replay()
    check(core)
    assert take(core) == take(run().core)


@pytest.mark.parametrize("torn", [1, 7, 60])
def test_a_torn_tail_is_dropped(recorded, torn) -> None:
    text = "".join(line + "\n" for line in recorded.lines())
    loaded = Log.parse(text[:-torn].splitlines(keepends=True))
    whole = 0 if torn == 1 else 1  # a line that lacks nothing but its end is whole
    assert loaded.steps == recorded.steps[: len(recorded.steps) - whole]


def test_a_torn_compressed_tail_is_dropped(recorded, tmp_path) -> None:
    path = tmp_path / "run.log.gz"
    recorded.save(path)
    packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) // 2])
    loaded = Log.load(path)
    assert 0 < len(loaded.steps) < len(recorded.steps)
    assert loaded.steps == recorded.steps[: len(loaded.steps)]


@pytest.mark.parametrize("line", [1, 2, 20])
def test_damage_in_the_middle_names_the_line(recorded, line) -> None:
    lines = [text + "\n" for text in recorded.lines()]
    lines[line - 1] = lines[line - 1].replace("0", "9", 1).replace("1", "2", 1)
    with pytest.raises(LogError, match=f"line {line} of the recording"):
        Log.parse(lines)


def test_a_damaged_last_line_with_its_end_is_no_torn_tail(recorded) -> None:
    lines = [text + "\n" for text in recorded.lines()]
    lines[-1] = lines[-1].replace("now", "new")
    with pytest.raises(LogError, match=f"line {len(lines)} .* checksum"):
        Log.parse(lines)


def test_another_version_is_refused(recorded) -> None:
    header, *rest = recorded.lines()
    header = log._sealed({"mesonb": 99, "allocator": "DRF", "settings": Settings()})
    with pytest.raises(LogError, match="of version 99; this mesonb reads version 1"):
        Log.parse([header, *rest])


def test_a_file_of_something_else_is_refused(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary\n")
    with pytest.raises(LogError, match="this is no recording: it begins with "):
        Log.load(tmp_path / "notes.txt")
    (tmp_path / "empty.log").write_text("")
    with pytest.raises(LogError, match="empty"):
        Log.load(tmp_path / "empty.log")
    with pytest.raises(LogError, match="nowhere.log cannot be opened"):
        Log.load(tmp_path / "nowhere.log")


def test_a_kind_that_is_not_known_is_named() -> None:
    with pytest.raises(LogError, match="'Teleport'"):
        codec.build({"Teleport": {}})
    with pytest.raises(LogError, match="AgentLost cannot be built.*colour"):
        codec.build({"AgentLost": {"agent": "a", "colour": "red"}})


# -- every call and every event there is ------------------------------------------------------------------------------

st.register_type_strategy(
    mb.Resources,
    st.dictionaries(st.sampled_from(["cpus", "mem", "licences"]), st.integers(0, 10**12)).map(mb.Resources.of),
)
KINDS = [
    kind
    for module in (calls, events)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_survives_the_file(kind) -> None:
    """A new call or event is covered here as soon as it exists."""

    @settings(max_examples=30)
    @given(st.from_type(kind))
    def there_and_back(thing) -> None:
        line = log._sealed({"now": 0, "call": thing, "events": []})
        assert codec.build(log._opened(line, 1)["call"]) == thing
        block = [log.Step(0, thing, ())]
        assert pickle.loads(packed._pack(block)) == tuple(zip(*block, strict=True))

    there_and_back()


# -- again, and elsewhere ---------------------------------------------------------------------------------------------


def test_the_first_difference_is_named(recorded) -> None:
    changed = recorded.copy()
    step = changed.steps[30]
    changed.steps[30] = step._replace(now_us=step.now_us + 1)
    assert first_difference(recorded, changed).startswith("line 32:")
    shorter = recorded.copy()
    del shorter.steps[50:]
    assert f"one has {len(recorded.steps)} steps, the other 50" in first_difference(recorded, shorter)
    changed.steps[30] = step._replace(events=(events.Kill("agent-1", "ghost"),))
    with pytest.raises(LogError, match="step 31 differs"):
        changed.replay()


def test_seeds_matter_and_times_too(recorded) -> None:
    assert run().log.digest() == recorded.digest()
    assert run(seed=8).log.digest() != recorded.digest()


def test_two_processes_agree_whatever_their_hash_seed() -> None:
    digests = {_digest_elsewhere(hash_seed) for hash_seed in ("0", "1", "4242")}
    assert len(digests) == 1
    assert digests == {run().log.digest()}


def _digest_elsewhere(hash_seed: str) -> str:
    code = "from tests.log.test_log import run; print(run().log.digest())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(ROOT))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- a full log forgets its older half --------------------------------------------------------------------------------


def test_a_full_log_begins_with_a_checkpoint(recorded, tmp_path) -> None:
    core = MasterCore(recorded.settings)
    kept = Log(core.settings, "DRF", core, kept=60)
    for step in recorded.steps:
        kept.record(step.call, step.now_us, core.step(step.call, step.now_us))
    assert 30 <= len(kept.steps) <= 60
    assert kept.forgotten + len(kept.steps) == len(recorded.steps)
    assert kept.steps == recorded.steps[kept.forgotten :]
    assert kept.began_us == recorded.steps[0].now_us

    kept.save(tmp_path / "trimmed.log")
    loaded = Log.load(tmp_path / "trimmed.log")
    assert (loaded.forgotten, loaded.began_us, loaded.starts_us) == (kept.forgotten, kept.began_us, kept.starts_us)
    assert take(loaded.replay()) == take(core)
    check(loaded.replay())


def test_a_full_log_without_its_core_says_so(recorded) -> None:
    kept = Log(recorded.settings, kept=20)
    for step in recorded.steps[:30]:
        kept.record(step.call, step.now_us, list(step.events))
    assert kept.full
    assert kept.steps == recorded.steps[:20]


def test_a_checkpoint_answers_as_its_core_does(recorded) -> None:
    """Taken anywhere along the way, it goes on exactly as the core that it was taken of."""
    states: list[Checkpoint] = []
    recorded.replay(watch=lambda core, step: states.append(Checkpoint.of(core)))
    for number in range(0, len(states), 7):
        core = states[number].restore()
        check(core)
        for step in recorded.steps[number + 1 :]:
            assert tuple(core.step(step.call, step.now_us)) == step.events


def test_a_checkpoint_keeps_an_allocator_of_ones_own() -> None:
    class Backwards(mb.Allocator):
        def __init__(self) -> None:
            self.turns = 0

        def cycle(self, view):
            for agent in view.agents_with_room():
                if hungry := view.wanting(agent):
                    self.turns += 1
                    yield view.offer(agent, to=max(hungry, key=lambda framework: framework.name))

    core = MasterCore(allocator=Backwards())
    for call in (
        calls.Subscribe("a"),
        calls.Subscribe("b"),
        calls.AgentJoined("one", mb.Resources(cpus=1)),
        calls.Tick(),
    ):
        core.step(call, 0)
    twin = Checkpoint.of(core).restore()
    assert type(twin.allocator) is Backwards
    assert twin.allocator.turns == 1
    elsewhere = Checkpoint.from_text(Checkpoint.of(core).text()).restore()
    elsewhere.step(calls.AgentJoined("two", mb.Resources(cpus=1)), 1)
    with pytest.raises(LogError, match="allocator of its own"):
        elsewhere.step(calls.Tick(), 1)


def test_a_checkpoint_from_a_stranger_runs_nothing() -> None:
    import base64
    import pickle
    import zlib

    class Evil:
        def __reduce__(self):
            return eval, ("1/0",)

    packed = base64.b85encode(zlib.compress(pickle.dumps(Evil()))).decode()
    with pytest.raises(LogError, match="builtins.eval.*do not trust"):
        Checkpoint.from_text(packed).restore()
    borrowed = (
        b"cmesonb.core.log\npartial\n(cmesonb.core.log\ncalls\ntR."  # what a core's module imports is no part of a core
    )
    packed = base64.b85encode(zlib.compress(borrowed)).decode()
    with pytest.raises(LogError, match="mesonb.core.log.partial, which is no class of a master"):
        Checkpoint.from_text(packed).restore()
    packed = base64.b85encode(zlib.compress(pickle.dumps(5))).decode()
    with pytest.raises(LogError, match="holds a int"):
        Checkpoint.from_text(packed).restore()


def test_a_trimmed_log_with_allocators_of_ones_own_is_opened_with_them(tmp_path) -> None:
    class LastFirst(mb.Allocator):
        def cycle(self, view):
            for agent in view.agents_with_room():
                while hungry := view.wanting(agent):
                    yield view.offer(agent, to=max(hungry, key=lambda framework: framework.name))

    sim = mb.Simulation(agents=2, seed=1)
    sim.runs_for(train, "1s", execute=False)
    sim.register(Sweep(range(30)), name="a")
    sim.register(Sweep(range(30)), name="b")
    sim.run("1s")
    sim.allocator = LastFirst()
    sim.run("1s")
    steps = len(sim.log.steps)
    sim.log.trim(steps, Checkpoint.of(sim.core))
    sim.run("1min")
    sim.log.save(tmp_path / "trimmed.log")
    loaded = Log.load(tmp_path / "trimmed.log")
    with pytest.raises(LogError, match="allocator of its own"):
        loaded.replay()
    assert take(mb.replay(loaded, allocator=LastFirst()).core) == take(sim.core)


def test_allocators_handed_over_travel_in_memory_and_leave_their_place_in_a_file() -> None:
    class Mine(mb.Allocator):
        def cycle(self, view):
            yield from ()

    core = MasterCore()
    core.handed = {"Mine": Mine(), "Other": Mine()}
    twin = Checkpoint.of(core).restore()
    assert [type(module) for module in twin.handed.values()] == [Mine, Mine]
    elsewhere = Checkpoint.from_text(Checkpoint.of(core).text()).restore()
    assert list(elsewhere.handed) == ["Mine", "Other"]
    assert type(elsewhere.allocator) is type(core.allocator)
    with pytest.raises(NotImplementedError):
        checkpoint._at_place(0)  # it only stands for a place in the bytes


def test_damage_in_a_compressed_recording_is_an_error(recorded, tmp_path) -> None:
    path = tmp_path / "run.log.gz"
    recorded.save(path)
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2 : len(packed) // 2 + 40] = bytes(40)
    path.write_bytes(packed)
    with pytest.raises(LogError, match="damaged|cannot be read"):
        Log.load(path)
