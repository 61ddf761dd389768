"""What README promises of its commands and its cell: each is run, and what it prints is read."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

import mesonb as mb
from tests.helpers import wait_for

ROOT = Path(__file__).parents[1]


def test_the_cell_of_the_readme_runs_as_it_stands():
    (cell,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len([line for line in cell.splitlines() if line.strip()]) <= 15
    names = {}
    exec(cell.replace("mb.Master()", 'mb.Simulation(agents=1, seed=1); master.runs_for(train, "1s")'), names)
    names["master"].run("10s")
    counts = names["master"].snapshot().frameworks[0].counts
    assert counts["finished"] == 4
    assert isinstance(names["master"], mb.Simulation)


@pytest.mark.live
def test_the_demo_prints_what_it_promises_and_writes_one_report(tmp_path):
    report = tmp_path / "report.html"
    command = [sys.executable, "-m", "mesonb", "demo", "--rounds", "20", "--report", str(report)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    accuracy = float(re.search(r"accuracy (0\.\d+), [\d.]+ iterations/s", done.stdout)[1])
    assert accuracy > 0.85
    assert re.search(r"sweep +50 trials, best C=[\d.]+ with accuracy 0\.9", done.stdout)
    for name in ("regression", "sweep"):
        assert len(re.findall(rf"^  {name} .*%", done.stdout, re.MULTILINE)) == 1
        assert re.search(rf"^  {name} +\d+ +\d+ +\d+ +\d+ +\d+$", done.stdout, re.MULTILINE)
    page = report.read_text()
    assert "iterations/s" in page
    assert not re.search(r"<(script|link)[^>]+(src|href)=[\"']https?:", page)


def page_at(address: str) -> str:
    """Return a page; nothing where nobody listens yet: Jupyter prints its address just before it does."""
    try:
        with urlopen(address, timeout=100) as answer:
            return answer.read().decode()
    except HTTPError:
        raise
    except URLError:
        return ""


@pytest.mark.live
def test_make_lab_prints_an_address_that_answers(tmp_path):
    printed = subprocess.run(
        ["make", "-n", "lab", "ARGS=--no-browser --port 0"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    recipe = printed.stdout[printed.stdout.index("PATH=") :]
    environment = os.environ | {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = tmp_path / "said"
    with said.open("w") as output:
        lab = subprocess.Popen(
            ["bash", "-c", "exec env " + recipe],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        lesson = r"http://localhost:\d+/lab/tree/notebooks/00-first-offer\.ipynb\?token=\w+"
        address = wait_for(lambda: re.search(lesson, said.read_text()), 60, "the address of the first lesson")[0]
        assert "JupyterLab" in wait_for(lambda: page_at(address), 30, "an answer there")
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(60)
