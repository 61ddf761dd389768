"""The command line on real clusters: up, a notebook that joins, status, top in a terminal, down; and what is typed wrong."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest
from distributed import LocalCluster

import mesonb as mb
from mesonb import cli
from mesonb.errors import NotThere, Unreachable
from mesonb.live import masters
from mesonb.live.cluster import alive, folder
from tests.helpers import ROOT, wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double, rest

pytestmark = pytest.mark.live


def mesonb(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "mesonb", *words], cwd=ROOT, capture_output=True, text=True, timeout=150, **options
    )


@pytest.fixture(scope="module")
def _brought_down():
    """End at last what the tests of this module left up."""
    yield
    if masters.known("lasting"):
        cli.main(["down", "--name", "lasting"])


@pytest.fixture
def lasting(_brought_down):
    """Return the note of what `mesonb up` started: for an earlier test, or for this one."""
    if not any(one.runs for one in masters.known("lasting")):
        done = mesonb("up", "--name", "lasting", "--agents", "2", "--cpus", "1", "--mem", "1GB")
        assert done.returncode == 0, done.stderr
        assert "mb.connect(name='lasting') joins it" in done.stdout
    return next(one for one in masters.known("lasting") if one.runs)


@pytest.fixture
def sweep(lasting):
    """A queue in this kernel with two long tasks there."""
    with mb.connect(name="lasting") as cluster:
        queue = cluster.register(mb.Queue(needs=mb.Resources(cpus=1)), name="sweep", role="lab")
        runs = queue.map(rest, [None] * 2)
        wait_for(lambda: all(run.task and run.task.running for run in runs), 20, "two running tasks")
        yield queue


def test_up_is_found_by_connect_and_said_once(lasting):
    assert lasting.made_by == "mesonb up"
    assert os.getsid(lasting.pid) != os.getsid(0)
    with mb.connect(name="lasting") as cluster:
        assert cluster.register(mb.Queue(needs=SMALL), name="lab").submit(double, 4).result(60) == 8
    again = mesonb("up", "--name", "lasting", "--agents", "2")
    assert again.returncode == 0
    assert f"up already: process {lasting.pid}" in again.stdout


def test_status_says_who_holds_what(lasting, sweep, capsys):
    assert cli.main(["status", "--name", "lasting", "--json"]) == 0
    (cluster,) = json.loads(capsys.readouterr().out)["clusters"]
    assert cluster["masters"][0]["pid"] == lasting.pid
    assert cluster["agent_count"] == 2
    assert cluster["total"]["cpus"] == 2
    (framework,) = cluster["frameworks"]
    assert (framework["framework"], framework["share"], len(framework["tasks"])) == ("sweep", 1.0, 2)
    assert sum(agent["tasks"] for agent in cluster["agents"]) == cluster["tasks"] == 2
    assert cli.main(["status", lasting.address]) == 0
    drawn = capsys.readouterr().out
    for words in (
        "2 agents, 1 framework, 2 tasks",
        f"process {lasting.pid} (mesonb up)",
        "100%",
        "agent-2",
        "1 of 1 cpus",
    ):
        assert words in drawn


def test_top_shows_what_changes_until_q_is_typed(lasting, sweep):
    ours, theirs = pty.openpty()
    shown = subprocess.Popen(
        [sys.executable, "-m", "mesonb", "top", "--name", "lasting", "--every", "50ms"],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
    )  # fmt: skip
    seen = b""

    def shows(words):
        nonlocal seen
        while select.select([ours], [], [], 0)[0]:
            seen += os.read(ours, 65536)
        return words in seen.decode(errors="replace")

    try:
        wait_for(lambda: shows("2 tasks") and shows("sweep"), 20, "the two tasks to be shown")
        seen = b""
        for task in wait_for(lambda: _tasks_of("sweep"), 5, "their ids"):
            sweep.kill(task)
        wait_for(lambda: shows("2 killed"), 20, "their end to be shown")
        os.write(ours, b"q")
        wait_for(lambda: shows("") and shown.poll() is not None, 10, "it to end")
        assert shown.returncode == 0
    finally:
        shown.kill()
        shown.wait()
        os.close(ours)
        os.close(theirs)


def _tasks_of(name):
    with mb.connect(name="lasting") as cluster:
        return [task.task for agent in cluster.snapshot().agents for task in agent.tasks if task.framework == name]


def test_a_name_is_not_the_beginning_of_another(lasting):
    assert list(masters.where("lasting")) == [lasting.address]
    assert not masters.where("last") and not masters.where("*")
    with pytest.raises(NotThere):
        mb.connect(name="last")


def test_the_master_is_killed_and_up_leads_the_same_cluster_again(lasting):
    os.kill(lasting.pid, signal.SIGKILL)
    wait_for(lambda: not lasting.runs, 10, "it to be dead")
    assert mesonb("down", "--name", "other").returncode == 2, "which touches nothing of this name"
    done = mesonb("up", "--name", "lasting", "--agents", "2", "--cpus", "1", "--mem", "1GB")
    assert done.returncode == 0, done.stderr
    second = next(one for one in masters.known("lasting") if one.runs)
    assert [one.pid for one in masters.known("lasting")] == [lasting.pid, second.pid], (
        "the note of the first has a cluster"
    )
    assert (second.pid != lasting.pid, second.address) == (True, lasting.address)


def test_down_ends_the_master_and_its_cluster_whatever_is_left_of_them(lasting):
    """Where a master was killed before, its note is there as long as its cluster is."""
    local = next(one.local for one in masters.known("lasting"))
    pids = [one.pid for one in masters.known("lasting")] + [local.pid]
    done = mesonb("down", "--name", "lasting")
    assert done.returncode == 0, done.stderr
    assert not [pid for pid in pids if alive(pid)]
    assert not masters.known("lasting")
    again = mesonb("down", "--name", "lasting")
    assert again.returncode == 2
    assert "nothing is up under the name 'lasting'" in again.stderr


def test_a_note_of_a_process_that_is_gone_is_removed_and_one_that_says_nothing_too():
    gone = folder() / "mesonb-gone.note"
    facts = {
        "address": "tcp://127.0.0.1:9",
        "name": "gone",
        "made_by": "kernel",
        "since_s": 0.0,
        "cluster": "",
        "tls": {},
    }
    gone.write_text(
        json.dumps({**facts, "host": os.uname().nodename, "pid": os.getpid(), "birth": "an earlier boot 1"})
    )
    spoiled = folder() / "mesonb-spoiled.note"
    spoiled.write_text("{")
    elsewhere = folder() / "mesonb-elsewhere.note"
    elsewhere.write_text(json.dumps({**facts, "name": "away", "host": "another", "pid": 1, "birth": ""}))
    assert masters.known("gone") == []
    assert not gone.exists()
    assert not spoiled.exists()
    assert elsewhere.exists(), "a home may be shared by machines"
    assert masters.where("away") == {}
    elsewhere.unlink()


def test_nothing_runs(capsys):
    assert cli.main(["status", "--name", "nobody"]) == 1
    assert "`mesonb up` starts one" in capsys.readouterr().out
    assert cli.main(["status", "--name", "nobody", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"clusters": []}


def code_of(words):
    """Run a command; what argparse itself refuses ends by SystemExit."""
    try:
        return cli.main(words)
    except SystemExit as ended:
        return ended.code


@pytest.mark.parametrize(
    ("words", "because"),
    [
        (["status", "tcp://127.0.0.1:9"], "the hub at tcp://127.0.0.1:9 does not answer"),
        (["top", "--name", "nobody"], "mesonb top: it needs a terminal; `mesonb status` prints once"),
        (["top", "--every", "soon"], "'soon' is not a time"),
        (["down", "--name", "nobody"], "nothing is up under the name 'nobody'"),
        (["master", "--scheduler", "10.0.0.1:8786"], 'it looks like "tcp://10.0.0.1:8786"'),
        (["master", "--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler answers at tcp://127.0.0.1:9"),
        (["up", "--scheduler-file", "not-there.json"], "not-there.json is no scheduler file"),
        (["up", "--cpus", "2"], "--cpus and --mem go together"),
        (["up", "--scheduler", "tcp://127.0.0.1:9", "--cpus", "1", "--mem", "1GB"], "has the sizes of its workers"),
        (["up", "--set", "hurry"], "'hurry' is no rule; it looks like agent_timeout=30s"),
        (["up", "--set", "haste=1"], "a master has no setting 'haste'"),
        (["up", "--agents", "0"], "agents=0: a cluster has 1 to 256 agents"),
        (["up", "--agents", "few"], "argument --agents: invalid int value: 'few'; mesonb up --help says what it takes"),
        (["up", "--cpus", "0", "--mem", "1GB"], "--agents, --cpus and --mem of a local cluster are more than zero"),
        (["up", "--plain-dask-cpus", "many"], "plain_dask_cpus='many': give how many cpus"),
        (["up", "--name", "a/b"], "name='a/b': use letters, digits"),
        (["master", "--name", "../x"], "name='../x': use letters, digits"),
        (["status", "nonsense"], "'nonsense' is not the address of a Dask scheduler"),
        (["status", "tcp://nonsense"], "'tcp://nonsense' is not the address of a Dask scheduler"),
        (["down", "--nonsense"], "unrecognized arguments: --nonsense; mesonb down --help says what it takes"),
    ],
)
def test_what_is_typed_wrong_is_one_line_and_2(words, because, capsys, monkeypatch):
    before = masters.known()
    monkeypatch.setattr("mesonb.live.link.REACH_S", 0.5)
    monkeypatch.setattr("mesonb.live.remote.REACH_S", 0.5)
    assert code_of(words) == 2
    said = capsys.readouterr().err
    assert because in said
    assert said.count("\n") == 1
    assert masters.known() == before


def test_a_master_leads_a_given_cluster_a_standby_follows_and_both_end_on_request():
    with LocalCluster(n_workers=1, preload="import os; os.setpgrp()", dashboard_address=None) as given:
        words = ["--scheduler", given.scheduler_address, "--name", "given"]
        first, second = _leading(*words), None
        try:
            assert "1 agent" in first.stdout.readline()
            second = _leading(*words, "--standby")
            assert "stands by" in second.stdout.readline()
            refused = mesonb("master", *words)
            assert refused.returncode == 2
            assert f"process {first.pid} on" in refused.stderr
            with mb.connect(name="given") as cluster:
                run = cluster.register(mb.Queue(needs=SMALL), name="lab").submit(rest, None, 1)
                wait_for(lambda: run.task and run.task.running, 20, "the task to run")
                first.send_signal(signal.SIGTERM)
                assert first.wait(60) == 0
                assert given.scheduler_address in second.stdout.readline()
                assert run.result(60) is None
                assert run.losses == 0
            second.send_signal(signal.SIGINT)
            assert second.wait(60) == 0
            with pytest.raises(Unreachable):
                mb.connect(given.scheduler_address)
        finally:
            for process in filter(None, (first, second)):
                process.kill()
                process.wait()


def _leading(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "mesonb", "master", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_a_master_whose_cluster_goes_away_says_so_and_1():
    with LocalCluster(n_workers=1, preload="import os; os.setpgrp()", dashboard_address=None) as given:
        led = subprocess.Popen(
            [sys.executable, "-m", "mesonb", "master", "--scheduler", given.scheduler_address],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        led.stdout.readline()
    try:
        began_s = time.monotonic()
        assert led.wait(60) == 1, time.monotonic() - began_s
        assert "the Dask scheduler is gone" in led.stderr.read()
    finally:
        led.kill()
        led.wait()
