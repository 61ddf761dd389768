"""The committed bundle of the JupyterLab extension: of these sources, the same wherever it is built, and in the wheel.

Rule: nothing here needs Node but the last test, which says plainly why it is left out where there is none.
"""

import json
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers import ROOT

TOOL = runpy.run_path(str(ROOT / "tools" / "labextension.py"))
SOURCE = ROOT / "extensions" / "labextension"
BUILT = TOOL["built"](SOURCE)
PLACE = "share/jupyter/labextensions/mesonb"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_bundle_was_built_from_these_sources() -> None:
    noted = (BUILT / TOOL["BUILT_FROM"]).read_text()
    assert noted == TOOL["fingerprints"](SOURCE), (
        "run `make labextension` (it needs Node), and commit mesonb/labextension"
    )


def test_what_it_loads_is_there_and_small() -> None:
    load = json.loads((BUILT / "package.json").read_text())["jupyterlab"]["_build"]["load"]
    assert (BUILT / load).is_file()
    assert sum(len(content) for content in files(BUILT).values()) < 100_000


def test_the_lock_names_versions_and_hashes_and_no_place() -> None:
    lock = (SOURCE / "yarn.lock").read_text()
    resolutions = [line.split('"')[1] for line in lock.splitlines() if line.startswith("  resolution:")]
    assert len(resolutions) > 100
    elsewhere = [
        name for name in resolutions if "@npm:" not in name and "@workspace:" not in name and "@patch:" not in name
    ]
    assert elsewhere == []
    assert "://" not in lock


def test_the_wheel_places_it_where_jupyterlab_looks(tmp_path) -> None:
    pytest.importorskip("hatchling", reason="the build backend is not installed; `make setup` installs it")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        placed = {name.split(f"/data/{PLACE}/")[1] for name in wheel.namelist() if f"/data/{PLACE}/" in name}
        config = [name for name in wheel.namelist() if name.endswith("jupyter_server_config.d/mesonb.json")]
    assert placed == {*files(BUILT), "install.json"}
    assert config


def test_this_environment_has_it() -> None:
    placed = Path(sys.prefix) / PLACE
    if not Path(sys.prefix).resolve().is_relative_to(ROOT):
        pytest.skip("not running in this tree's .venv")
    assert {name: content for name, content in files(placed).items() if name != "install.json"} == files(BUILT), (
        "run `make setup`"
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_building_it_anew_gives_the_same_bytes(tmp_path) -> None:
    if not shutil.which("node"):
        pytest.skip("Node is not here")
    source = tmp_path / "extensions" / "labextension"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("node_modules", "lib", ".yarn", "*.tsbuildinfo"))
    try:
        TOOL["jlpm"](source, "install", "--immutable")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the packages of yarn.lock cannot be had here: {error}")
    TOOL["build"](source)
    assert files(TOOL["built"](source)) == files(BUILT), "run `make labextension`, and commit mesonb/labextension"
