"""The command line: each command does its work, imports only what it needs, and says what was wrong in one line."""

import json
import subprocess
import sys

import pytest

import mesonb as mb
from mesonb import cli
from mesonb.core.log import Log
from tests.helpers import ROOT

CASE = "agent a cpus=1\nframework F\ntick\n----\noffer-1  a -> F   cpus=1\n"
SMALL = ["simulate", "--agents", "5", "--frameworks", "2", "--until", "1min", "--jobs-every", "5", "--tasks", "4"]


def test_it_lists_its_commands(capsys) -> None:
    assert cli.main([]) == 0
    listed = capsys.readouterr().out
    for name in ("demo", "transcript", "simulate", "compare", "replay"):
        assert f"\n  {name} " in listed


def test_an_unknown_command_is_named(capsys) -> None:
    assert cli.main(["fly"]) == 2
    said = capsys.readouterr().err
    assert "'fly' is no command" in said
    assert "transcript" in said


def test_the_version(capsys) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"mesonb {mb.__version__}\n"


def test_transcript(tmp_path, capsys) -> None:
    path = tmp_path / "case.txt"
    path.write_text(CASE)
    assert cli.main(["transcript", "--expect", str(path)]) == 0
    path.write_text(CASE.replace("-> F", "-> G"))
    assert cli.main(["transcript", "--expect", str(path)]) == 1
    assert "+offer-1  a -> F   cpus=1" in capsys.readouterr().out
    assert cli.main(["transcript", str(path)]) == 0
    assert capsys.readouterr().out == CASE + "\n"
    assert cli.main(["transcript", "--rewrite", str(path)]) == 0
    assert path.read_text() == CASE


def test_a_bad_scenario_is_one_line_and_2(tmp_path, capsys) -> None:
    path = tmp_path / "case.txt"
    path.write_text("agent a cpus=1\nfly away\n")
    assert cli.main(["transcript", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"mesonb transcript: {path}:2: 'fly' is no command")
    assert said.count("\n") == 1


def test_simulate_prints_a_table_and_saves_a_recording(tmp_path, capsys) -> None:
    saved = tmp_path / "run.log.gz"
    assert cli.main([*SMALL, "--save", str(saved)]) == 0
    table = capsys.readouterr().out
    assert "framework-1" in table
    assert "framework-2" in table
    assert f"digest {Log.load(saved).digest()[:16]}" in table


def test_simulate_without_agents_is_refused(capsys) -> None:
    assert cli.main(["simulate", "--agents", "0"]) == 2
    assert "--agents 0: a workload needs agents" in capsys.readouterr().err


def test_simulate_is_the_same_again(capsys) -> None:
    first = (cli.main([*SMALL, "--json"]), capsys.readouterr().out)
    again = (cli.main([*SMALL, "--json"]), capsys.readouterr().out)
    assert first == again
    rows = [json.loads(line) for line in first[1].splitlines()]
    assert [row["framework"] for row in rows] == ["framework-1", "framework-2"]
    assert all(0 < row["finished"] <= row["submitted"] for row in rows)
    assert cli.main([*SMALL, "--json", "--seed", "2"]) == 0
    assert capsys.readouterr().out != first[1]


def test_simulate_reads_a_table(tmp_path, capsys) -> None:
    table = tmp_path / "jobs.csv"
    table.write_text("workload,submitted,tasks,duration,cpus,mem\nBatch,1,8,10,1,2\nService,0,2,30,2,4\n")
    assert cli.main(["simulate", str(table), "--agents", "2", "--until", "2min", "--json"]) == 0
    rows = {row["framework"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert (rows["Batch"]["finished"], rows["Service"]["finished"]) == (8, 2)
    assert rows["Batch"]["mean wait s"] > 0
    # 10 s of one cpu, and 30 s of two, of eight cpus in two minutes
    assert rows["Batch"]["mean share"] == pytest.approx(8 * 10 / (8 * 120), rel=0.01)
    assert rows["Service"]["mean share"] == pytest.approx(2 * 2 * 30 / (8 * 120), rel=0.01)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("Batch,1,8,10,99,2", "no machine"),
        ("Batch,-1,8,10,1,2", "row 2: submitted=-1 is negative"),
    ],
)
def test_simulate_refuses_a_bad_table(tmp_path, capsys, rows, says) -> None:
    table = tmp_path / "jobs.csv"
    table.write_text(f"workload,submitted,tasks,duration,cpus,mem\n{rows}\n")
    assert cli.main(["simulate", str(table)]) == 2
    assert says in capsys.readouterr().err


def test_simulate_knows_its_allocators(capsys) -> None:
    assert cli.main([*SMALL, "--allocator", "Chaos"]) == 2
    assert "'Chaos'" in capsys.readouterr().err


def test_replay(tmp_path, capsys) -> None:
    saved, other = tmp_path / "run.log", tmp_path / "other.log"
    cli.main([*SMALL, "--save", str(saved)])
    cli.main([*SMALL, "--save", str(other), "--seed", "2"])
    capsys.readouterr()
    assert cli.main(["replay", str(saved), "--at", "00:00:30", "--next", "2", "--digest"]) == 0
    said = capsys.readouterr().out
    assert "at 30 s" in said
    assert Log.load(saved).digest() in said
    assert "5 agents" in said
    assert cli.main(["replay", str(saved), "--at", "30s", "--agent", "agent-2"]) == 0
    assert "running" in capsys.readouterr().out
    assert cli.main(["replay", str(saved), "--diff", str(saved)]) == 0
    assert cli.main(["replay", str(saved), "--diff", str(other)]) == 1
    assert "line 1:" in capsys.readouterr().out
    assert cli.main(["replay", str(tmp_path / "nowhere.log")]) == 2
    assert "nowhere.log cannot be opened" in capsys.readouterr().err


def test_compare_has_its_own_arguments(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["compare", "--help"])
    assert "--machines" in capsys.readouterr().out


def test_as_a_module_and_no_more_is_imported_than_is_needed(tmp_path) -> None:
    (tmp_path / "case.txt").write_text(CASE)
    code = (
        "import sys; from mesonb import cli; code = cli.main(['transcript', '--expect', sys.argv[1]]);"
        "print(code, [name for name in ('distributed', 'bokeh', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "case.txt")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.endswith("0 []\n"), done.stdout + done.stderr
    done = subprocess.run([sys.executable, "-m", "mesonb", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"mesonb {mb.__version__}\n")


@pytest.mark.parametrize(
    ("words", "because"),
    [
        (["simulate", "--agents", "few"], "argument --agents: invalid int value: 'few'; mesonb simulate --help says what it takes"),
        (["simulate", "--frameworks", "0"], "--frameworks 0: a workload is made of more than none"),
        (["simulate", "--duration", "nan"], "--duration nan: a workload is made of more than none"),
        (["simulate", "--jobs-every", "-1"], "--jobs-every -1: a workload is made of more than none"),
        ([*SMALL, "--save", "no/such/folder/x.log"], "no/such/folder/x.log: No such file or directory"),
        (["compare", "w.csv", "--architecture", "nothing"], "invalid choice: 'nothing' (choose from 'least-allocated'"),
        (["compare"], "the following arguments are required: workload"),
        (["storm", "--runs", "many"], "argument --runs: invalid int value: 'many'"),
        (["storm", "--agents", "0"], "a storm needs agents; 0 is too few"),
        (["transcript"], "the following arguments are required: FILE"),
        (["replay"], "the following arguments are required: recording"),
        (["demo", "--rounds", "0"], "--rounds 0: a regression takes 1 or more"),
        (["demo", "--report", "no/such/folder/x.html"], "--report no/such/folder/x.html: there is no folder"),
    ],
)  # fmt: skip
def test_whatever_is_typed_wrong_is_named_in_one_line_and_2(words, because, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(words)
    except SystemExit as ended:  # how argparse ends
        code = ended.code
    assert code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"mesonb {words[0]}: ")
    assert because in said
    assert said.count("\n") == 1


def test_calls_after_a_moment_are_counted_forwards(tmp_path, capsys) -> None:
    saved = tmp_path / "run.log"
    assert cli.main([*SMALL, "--save", str(saved)]) == 0
    assert cli.main(["replay", str(saved), "--next", "-1"]) == 2
    assert "--next -1: calls are counted from here on" in capsys.readouterr().err
