"""Side by side: the table, the figure, the command, and the same answer whatever the hash seed."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mesonb.core.allocator import DRF, Allocator
from mesonb.core.resources import Resources
from mesonb.errors import BadValue
from mesonb.sim import cli_compare
from mesonb.sim.architectures import Monolithic, Omega, TwoLevel2011
from mesonb.sim.compare import compare
from mesonb.sim.generators import prefill
from tests.sim.w2 import JOBS, P2, W2

ROOT = Path(__file__).parents[2]


def hour():
    return [job for job in JOBS if job.submitted_us < 3600 * 10**6]


def command(*words):
    parser = argparse.ArgumentParser()
    cli_compare.add_arguments(parser)
    return cli_compare.run(parser.parse_args([str(word) for word in words]))


# -- compare --------------------------------------------------------------------------------------------------------


def test_the_table_shows_every_architecture_and_workload():
    table = compare(hour(), [Monolithic(), Omega()], prefill=prefill(1000), t_job={"service": 10})
    text, html = repr(table), table._repr_html_()
    assert [line.split("  ")[0] for line in text.splitlines()] == [
        "architecture", "monolithic multi", "monolithic multi", "omega fine incremental", "omega fine incremental",
    ]  # fmt: skip
    assert html.count("<tr>") == 5
    assert table["monolithic multi"]["busyness"]["Batch"] == pytest.approx(0.39, rel=0.1)
    with pytest.raises(KeyError, match="omega fine incremental"):
        table["spark"]


def test_the_figure_has_the_table_in_it():
    table = compare(hour(), [Monolithic(), TwoLevel2011(), Omega()], prefill=prefill(1000), t_job={"service": 10})
    charts = [chart for chart, *_ in table.figure().children]
    assert next(chart.title.text for chart in charts) == "busyness (fraction of the run)"
    for number, name in enumerate(("busyness", "conflict_fraction", "wait_first_s")):
        bars = dict(
            zip(
                (tuple(x) for glyph in charts[number].renderers for x in glyph.data_source.data["x"]),
                (top for glyph in charts[number].renderers for top in glyph.data_source.data["top"]),
                strict=True,
            )
        )
        assert bars == {(row["architecture"], w): row[name][w] or 0 for row in table.rows for w in ("Batch", "Service")}


def test_importing_compare_does_not_import_bokeh():
    code = "import sys, mesonb.sim.compare; assert 'bokeh' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_several_seeds_are_averaged():
    args = {"prefill": prefill(1000), "t_job": {"service": 10}}
    one, two = (
        compare(hour(), [Omega()], seed=seed, **args).rows[0]["conflict_fraction"]["Service"] for seed in (4, 5)
    )
    both = compare(hour(), [Omega()], seed=4, seeds=2, **args).rows[0]
    assert one != two
    assert both["conflict_fraction"]["Service"] == pytest.approx((one + two) / 2)


class FirstCome(Allocator):
    """Everything to whoever registered first."""

    def cycle(self, view):
        for agent in view.agents_with_room():
            while wanting := view.wanting(agent):
                yield view.offer(agent, to=wanting[0])


def test_allocators_are_compared_within_the_two_level_form():
    table = compare(hour(), allocators=[DRF(), FirstCome()], prefill=prefill(1000))
    assert [row["architecture"] for row in table.rows] == ["two-level DRF", "two-level FirstCome"]
    assert table["two-level FirstCome"]["placed"] == table["two-level DRF"]["placed"]
    assert table["two-level DRF"]["placed"]["Batch"] > 600


def test_machines_may_differ():
    machines = [Resources(cpus=64, mem="256GB")] * 20 + [Resources(cpus=2, mem="4GB")] * 100
    row = compare(hour(), [Omega()], machines=machines).rows[0]
    assert row["placed"]["Batch"] > 600


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"machines": 0}, "at least one"),
        ({"cpus": 0.5}, "row 2 .*no machine has both"),
        ({"t_job": {"servise": 1}}, "there are Batch, Service"),
        ({"t_job": -1}, "negative"),
        ({"until": 0}, "before it begins"),
        ({"seeds": 0}, "at least one run"),
        ({"mem": "lots"}, "is not a size"),
        ({"workload": []}, "no jobs"),
    ],
)
def test_a_mistake_is_named_before_anything_runs(wrong, says):
    with pytest.raises(BadValue, match=says):
        compare(**{"workload": hour(), "architectures": [Omega()]} | wrong)


# -- the command ----------------------------------------------------------------------------------------------------


def test_one_json_line_an_architecture(capsys):
    began = time.process_time()
    words = ["--prefill", P2, "--machines", 1000, "--cpus", 4, "--mem", "16GB", "--t-job-service", 10, "--json"]
    assert command(W2, *words) == 0
    assert time.process_time() - began < 15
    rows = {row["architecture"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(rows) == [
        "monolithic single", "monolithic multi", "two-level 2011", "omega fine incremental",
    ]  # fmt: skip
    assert rows["two-level 2011"]["busyness"]["Service"] == pytest.approx(0.330, rel=0.03)
    assert rows["omega fine incremental"]["until_s"] == 21600


def test_a_bad_table_is_one_line_and_exit_2(tmp_path, capsys):
    bad = tmp_path / "bad.csv"
    bad.write_text("workload,submitted,tasks,duration,cpus,mem\nBatch,-1,1,1,1,1\n")
    assert command(bad, "--json") == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert "row 2: submitted=-1 is negative" in out.err
    assert out.err.count("\n") == 1


def test_one_architecture_by_name(capsys):
    assert command(W2, "--prefill", P2, "--until", "10min", "--architecture", "omega-coarse-gang") == 0
    assert "omega coarse gang" in capsys.readouterr().out


def test_hash_seeds_change_nothing():
    code = (
        "from mesonb.sim import compare, generators; from random import Random\n"
        "from mesonb.sim.architectures import *\n"
        "jobs = generators.google_2011(Random(3), '20min', most_cpus=2)\n"
        "every = [*compare.usual(), TwoLevel(), Priorities(), Monolithic(placement=Scored(nomad)), Omega('coarse', 'gang', {'batch': 2})]\n"
        "print(compare.compare(jobs, every, machines=40, t_job={'service': 5}).rows)"
    )
    outs = [
        subprocess.run(
            [sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert outs[0] == outs[1]
    assert outs[0].count("'architecture'") == 8
