"""The log on disk as it grows: whole at any time, kept when the process is killed, never written over another."""

import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mesonb as mb
from mesonb.core.log import Log
from mesonb.errors import BadValue, LogError
from tests.log.sweep import Sweep, train

#: Runs for ever, and says when it has begun.
FOREVER = """
import mesonb as mb
from tests.log.sweep import Sweep, train
sim = mb.Simulation(agents=3, log={path!r})
sim.runs_for(train, "1s", execute=False)
sim.register(Sweep(range(100_000)), name="sweep")
while True:
    sim.run("10s")
"""


def begun(path: Path, **settings) -> mb.Simulation:
    sim = mb.Simulation(agents=3, log=path, **settings)
    sim.runs_for(train, "1s", execute=False)
    sim.register(Sweep(range(50)), name="sweep")
    return sim


@pytest.mark.parametrize("name", ["run.mesonb", "run.log.gz"])
def test_what_is_on_disk_is_the_log(tmp_path, name) -> None:
    sim = begun(tmp_path / name).run("20s")
    sim.stream.catch_up()
    assert Log.load(tmp_path / name).digest() == sim.log.digest()
    sim.run("20s")
    sim.stream.close()
    assert Log.load(tmp_path / name).digest() == sim.log.digest()
    assert mb.replay(str(tmp_path / name)).position == len(sim.log.steps)


def test_it_is_written_with_nobody_asking(tmp_path) -> None:
    sim = begun(tmp_path / "run.log").run("5s")
    deadline = time.monotonic() + 10
    while len(Log.load(tmp_path / "run.log").steps) < len(sim.log.steps):
        assert time.monotonic() < deadline, "the log is not written as it grows"


@pytest.mark.parametrize("name", ["run.log", "run.log.gz"])
def test_a_killed_process_leaves_a_recording(tmp_path, name) -> None:
    path = tmp_path / name
    process = subprocess.Popen([sys.executable, "-c", FOREVER.format(path=str(path))])
    try:
        deadline = time.monotonic() + 60
        while not (path.exists() and path.stat().st_size > 200_000):
            assert time.monotonic() < deadline and process.poll() is None
    finally:
        process.kill()
        process.wait()
    loaded = Log.load(path)
    assert len(loaded.steps) > 100
    loaded.replay()


def test_a_torn_tail_is_dropped_and_nothing_else(tmp_path) -> None:
    sim = begun(tmp_path / "run.log").run("20s")
    sim.stream.close()
    whole = (tmp_path / "run.log").read_bytes()
    (tmp_path / "run.log").write_bytes(whole[:-30])
    assert Log.load(tmp_path / "run.log").steps == sim.log.steps[:-1]
    (tmp_path / "run.log").write_bytes(whole[: len(whole) // 2] + b"#" + whole[len(whole) // 2 + 1 :])
    with pytest.raises(LogError, match="line .* of the recording cannot be read"):
        Log.load(tmp_path / "run.log")


def test_an_earlier_recording_is_kept(tmp_path) -> None:
    first = begun(tmp_path / "run.log.gz", seed=1).run("5s")
    first.stream.close()
    begun(tmp_path / "run.log.gz", seed=2).stream.close()
    begun(tmp_path / "run.log.gz", seed=3).stream.close()
    seeds = {path.name: Log.load(path).settings.seed for path in tmp_path.iterdir()}
    assert seeds == {"run-1.log.gz": 1, "run-2.log.gz": 2, "run.log.gz": 3}
    assert Log.load(tmp_path / "run-1.log.gz").digest() == first.log.digest()


def test_what_the_log_forgets_in_memory_is_on_disk(tmp_path) -> None:
    sim = begun(tmp_path / "run.log", log_steps=200).run("60s")
    sim.stream.close()
    assert sim.log.forgotten
    loaded = Log.load(tmp_path / "run.log")
    assert len(loaded.steps) == sim.log.forgotten + len(sim.log.steps)
    assert loaded.steps[sim.log.forgotten :] == sim.log.steps


def test_another_log_of_the_same_session_gets_the_file(tmp_path) -> None:
    """A master that stood by takes the lead with new books; what it recorded before is kept."""
    sim = begun(tmp_path / "run.log").run("5s")
    before = sim.log
    sim.log = Log(sim.core.settings)
    sim.stream.close()
    assert Log.load(tmp_path / "run.log").steps == []
    assert Log.load(tmp_path / "run-1.log").digest() == before.digest()


def test_a_session_that_nobody_holds_lets_go_of_its_file(tmp_path) -> None:
    stream = begun(tmp_path / "run.log").stream
    deadline = time.monotonic() + 20
    while not stream._file.closed:
        assert time.monotonic() < deadline, "the thread goes on for a session that is gone"
        gc.collect()


def test_where_it_cannot_be_written_is_said(tmp_path) -> None:
    with pytest.raises(BadValue, match=r"cannot be written to .*give log= a path"):
        mb.Simulation(log=tmp_path / "no" / "where.log")
    sim = begun(tmp_path / "run.log")
    sim.stream._file.close()
    (tmp_path / "full").touch()
    sim.stream._file = (tmp_path / "full").open("rb", buffering=0)  # as a disk that takes no more
    sim.run("5s")
    sim.stream.catch_up()
    assert "is not written to" in sim.complaints[-1].error
    assert len(sim.log.steps) > 10
