"""The house keeps its promises: the lock covers what is declared, the doors are listed, messages name the remedy.

Rule: nothing here installs or downloads anything; `make setup` itself is proven by whoever runs `make test`.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers import ROOT, wait_for

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "constraints.txt").read_text()
PINNED = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", LOCK, re.MULTILINE))


def declared() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in [*project["dependencies"], *extras, *PYPROJECT["build-system"]["requires"]]]


@pytest.mark.parametrize("wanted", declared(), ids=str)
def test_the_lock_holds_what_is_declared(wanted) -> None:
    pinned = PINNED.get(canonicalize_name(wanted.name))
    assert pinned, f"{wanted.name} is in pyproject.toml and not in constraints.txt; run `make lock`"
    assert wanted.specifier.contains(pinned), (
        f"constraints.txt has {pinned}, pyproject.toml wants {wanted}; run `make lock`"
    )


def test_every_pin_has_hashes_and_nothing_else_is_there() -> None:
    line = re.compile(r"#.*|[a-z0-9._-]+==[^ ]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [text for text in LOCK.splitlines() if not line.fullmatch(text)] == []
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert [entry.split("==")[0] for entry in entries if "--hash" not in entry] == []


def test_what_is_installed_is_what_the_lock_says() -> None:
    """Only in the .venv that `make setup` made; elsewhere the developer chose otherwise."""
    if not os.path.realpath(sys.prefix).startswith(str(ROOT)):
        pytest.skip("not running in this tree's .venv")
    names = [requirement.name for requirement in declared()]
    differing = {
        name: version for name in names if (version := distribution(name).version) != PINNED[canonicalize_name(name)]
    }
    assert not differing, f"{differing} differ from constraints.txt; run `make clean setup`"


def test_make_alone_lists_every_door() -> None:
    listed = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    doors = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    missing = [
        door
        for door in doors[1].split()
        if door != "elsewhere" and not re.search(rf"^  make {door} +\w", listed, re.MULTILINE)
    ]
    assert not missing, f"{missing}: give each target in the Makefile a sentence after ##"


def test_ci_and_the_readme_say_the_same() -> None:
    assert (ROOT / ".ci/run").read_text().strip().splitlines()[-1] == "make test"
    assert os.access(ROOT / ".ci/run", os.X_OK)
    readme = (ROOT / "README.md").read_text()
    assert "make test" in readme
    assert "make lab" in readme


def test_the_command_line_points_at_something() -> None:
    module, name = PYPROJECT["project"]["scripts"]["mesonb"].split(":")
    assert callable(getattr(import_module(module), name))


def test_setup_without_a_python_says_what_to_do(tmp_path) -> None:
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    tried = subprocess.run(
        [tmp_path / "tools/setup.sh"], env={**os.environ, "PYTHON": "no-such-python"}, capture_output=True, text=True
    )
    assert tried.returncode == 1
    assert "Python 3.11 or newer" in tried.stderr
    assert "PYTHON=" in tried.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_browser_that_does_not_start_is_named(tmp_path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    tried = subprocess.run(
        [ROOT / "tools/chromium.sh"], env={**os.environ, "MESONB_CHROMIUM": str(broken)}, capture_output=True, text=True
    )
    assert tried.returncode == 1
    assert tried.stdout == ""
    assert str(broken) in tried.stderr


def test_waiting_names_what_it_waited_for() -> None:
    turns = iter([0, 0, "here"])
    assert wait_for(lambda: next(turns), 5, "the third turn") == "here"
    with pytest.raises(AssertionError, match="the moon"):
        wait_for(lambda: None, 0.05, "the moon")
