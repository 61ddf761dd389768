"""The benchmarks run, at a size that says nothing: what they measure is checked by them, and that is what is asked here."""

import json
import subprocess
import sys

import pytest

from tests.helpers import ROOT

SMALL = {
    "agents": "--rounds 1 --agents 10 --tasks 200",
    "cycle": "--rounds 1 --agents 300 --frameworks 10",
    "launch": "--rounds 1",
    "seek": "--calls 4000 --agents 20",
    "simulate": "--rounds 1 --agents 300 --seconds 5",
    "soak": "--tasks 16000",
}


@pytest.mark.slow
@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs_and_says_its_figures_last(name):
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *SMALL[name].split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["benchmark"] == name
