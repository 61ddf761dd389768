"""The board on the ipykernels that mesonb's own environment does not have: older ones decide otherwise who hears a click.

Each is installed beside, by version and hash, and the board's tests are run again with kernels of that version.
"""

import os
import subprocess
import sys

import pytest

from tests.browser.lab import KERNEL_PATH
from tests.helpers import ROOT

LOCKS = ROOT / "tests" / "data" / "ipykernels"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
#: Where ipykernel 6 handles messages of widgets: on the thread of the cell. What needs more there is not promised.
NOT_ON_6 = ["--deselect", "tests/browser/test_board.py::" + "_".join(
    "test without the server extension the board goes on by comm even while busy".split()
)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["6.31.0", "7.3.0"])
def test_the_board_works_on_ipykernel(version, tmp_path):
    lock = str(LOCKS / f"{version}.txt")
    subprocess.run([*PIP, "--no-deps", "--require-hashes", "--target", str(tmp_path), "-r", lock], check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/browser/test_board.py", *(NOT_ON_6 if version[0] == "6" else [])],
        cwd=ROOT, env={**os.environ, KERNEL_PATH: str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
