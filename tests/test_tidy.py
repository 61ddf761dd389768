"""The house rules that a machine can hold: directions, purity, words, sizes, addresses, waiting.

Rule: a failing line names the file, what is wrong, and what to do about it. How to change a rule: docs/decisions/.
"""

import re
from collections.abc import Iterable

import pytest

from tests import tidy

FILE_LINES = 400
FUNCTION_LINES = 60

CORE = ("mesonb.core", "mesonb.errors")
SHELL = (*CORE, "mesonb.frameworks", "mesonb.session")

#: Arrows between packages; what is not listed (the top: mesonb, mesonb.notebook, mesonb.cli, ...) may import anything.
MAY_SEE: dict[str, tuple[str, ...]] = {
    "mesonb.errors": (),
    "mesonb.core": ("mesonb.errors",),
    "mesonb.frameworks": CORE,
    "mesonb.fast": CORE,
    "mesonb.said": CORE,
    "mesonb.steering": (*CORE, "mesonb.frameworks"),
    "mesonb.stream": CORE,
    "mesonb.session": (*CORE, "mesonb.frameworks", "mesonb.said", "mesonb.steering", "mesonb.stream"),
    "mesonb.sim": SHELL,
    "mesonb.live": SHELL,
    "mesonb.panels": (
        "mesonb.session",
        "mesonb.errors",
        "mesonb.core.snapshot",
        "mesonb.core.units",
        "mesonb.core.resources",
        "mesonb.core.calls",
        "mesonb.core.events",
        "mesonb.core.log",
        "mesonb.core.telling",
        "mesonb.core.begun",  # plain data
    ),
}

#: All that the core may import of the standard library: nothing that knows the time, chance, threads or the world.
PURE = frozenset(
    "__future__ abc array base64 bisect collections contextlib copy dataclasses difflib enum fractions functools hashlib heapq itertools "
    "json math numbers operator re string textwrap types typing zlib mesonb".split()
)
IMPURE_CALLS = frozenset("hash id open print input exec eval".split())

#: The core's one door to the disk: Log.save and Log.load, which open the file they are given.
MAY_OPEN = ("mesonb/core/log.py",)
#: Bytes in memory, never a file: a checkpoint is a pickle that is read with care, and packed steps are this process's own.
MAY_PICKLE = ("mesonb/core/checkpoint.py", "mesonb/core/packed.py")

#: In names: the word not to use, and what to say instead (docs/GLOSSARY.md).
EVERYWHERE = {"slave": "agent", "blacklist": "filter", "whitelist": "filter"}
IN_CORE = EVERYWHERE | {
    "node": "agent", "nodes": "agents", "host": "agent", "hosts": "agents", "worker": "agent", "workers": "agents",
    "coordinator": "master", "app": "framework", "apps": "frameworks", "tenant": "framework", "tenants": "frameworks",
    "policy": "allocator", "balancer": "allocator", "bid": "offer", "bids": "offers", "lease": "offer", "leases": "offers",
    "slot": "offer", "slots": "offers", "backoff": "filter", "quota": "guarantee or limit", "user": "role", "users": "roles",
    "preempt": "revoke", "preempted": "revoked", "preemption": "revocation", "evict": "revoke", "evicted": "revoked",
    "job": "task", "jobs": "tasks", "future": "task", "futures": "tasks", "journal": "log", "slaves": "agents",
}  # fmt: skip

#: Written so that this file does not hold what it looks for.
ADDRESSES = {
    r"py[p]i\.org|pythonhoste[d]\.org|registry\.npmj[s]|registry\.yarnpk[g]|anacond[a]\.org|jsdeliv[r]|unpk[g]\.com|playwright\.azureedg[e]":
        "names a registry or a download host; where packages come from is each machine's own affair",
    r"--(extra-)?index-ur[l]|--find-link[s]|file:/[/]/|direct_ur[l]":
        "says where to install from; name and version are enough",
    r"(?<![\w.\]])/(work|root|opt/pyp[i]|home/\w+|Users/\w+)/[\w.]|(?<![\w.\]])/tm[p]/\w":
        "holds a path of one machine; write it relative to the repository, or use tempfile",
}  # fmt: skip


def none(complaints: Iterable[str]) -> None:
    found = list(complaints)
    assert not found, "\n" + "\n".join(found)


def test_there_is_something_to_read() -> None:
    assert len(tidy.python_files("mesonb/core")) > 5
    assert len(tidy.python_files("tests")) > 2


def test_imports_point_one_way() -> None:
    none(c for path in tidy.python_files("mesonb") for c in tidy.wrong_directions(path, MAY_SEE))


def test_imports_are_spelt_in_full() -> None:
    """A relative import would pass the other tests unseen."""
    none(
        f"{tidy.shown(path)}:{line}: a relative import; write it from mesonb down"
        for path in tidy.python_files("mesonb", "tests")
        for line, name, _ in tidy.imports(path)
        if name.startswith("None.")
    )


def test_the_core_is_pure() -> None:
    core = tidy.python_files("mesonb/core", "mesonb/errors.py")
    pickles = {tidy.ROOT / path for path in MAY_PICKLE}
    none(c for path in core for c in tidy.impure_imports(path, PURE | {"io", "pickle"} if path in pickles else PURE))
    doors = {tidy.ROOT / door for door in MAY_OPEN}
    none(
        c for path in core for c in tidy.impure_calls(path, IMPURE_CALLS - {"open"} if path in doors else IMPURE_CALLS)
    )


def test_no_order_of_a_set_reaches_an_event() -> None:
    core = tidy.python_files("mesonb/core", "mesonb/frameworks")
    names = tidy.declared_sets(core)
    none(c for path in core for c in tidy.iterated_sets(path, names))


def test_one_word_one_thing() -> None:
    none(c for path in tidy.python_files("mesonb/core") for c in tidy.wrong_words(path, IN_CORE))
    none(c for path in tidy.python_files("mesonb", "tests", "benchmarks") for c in tidy.wrong_words(path, EVERYWHERE))


def test_files_fit_in_one_reading() -> None:
    none(
        f"{tidy.shown(path)}: {lines} lines, more than {FILE_LINES}. Split it along a noun, and give each half its docstring."
        for path in tidy.python_files("mesonb", "tests", "benchmarks", "tools")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES
    )


def test_functions_fit_on_a_screen() -> None:
    none(
        c
        for path in tidy.python_files("mesonb", "tests", "benchmarks")
        for c in tidy.long_functions(path, FUNCTION_LINES)
    )


def test_nothing_names_a_registry_or_a_machine() -> None:
    none(
        f"{tidy.shown(path)}:{number}: {found.group()!r} {why}."
        for path in tidy.project_files()
        if (text := text_of(path)) is not None
        for pattern, why in ADDRESSES.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := re.search(pattern, line))
    )


def text_of(path: tidy.Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_test_sleeps() -> None:
    waits = {tidy.ROOT / "tests/helpers.py"}
    none(c for path in tidy.python_files("tests") if path not in waits for c in tidy.sleeps(path))


# --- the rules themselves: each is shown what it must catch, and what it must let pass ---------------------------------


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Write a piece of Python where a file of the core would stand, and return its path."""
    monkeypatch.setattr(tidy, "ROOT", tmp_path)

    def write(text: str, where: str = "mesonb/core/sample.py") -> tidy.Path:
        path = tmp_path / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        tidy.parsed.cache_clear()
        return path

    yield write
    tidy.parsed.cache_clear()


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("import mesonb.live", 1),
        ("def f():\n    from mesonb.sim.engine import Engine", 1),
        ("from mesonb import core", 0),
        ("from mesonb.errors import BadValue", 0),
        ("from mesonb.core.units import parse_bytes\nimport json", 0),
    ],
)
def test_directions_are_seen(source, text, complaints) -> None:
    assert len(list(tidy.wrong_directions(source(text), MAY_SEE))) == complaints


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("import time", 1),
        ("import random", 1),
        ("from random import shuffle", 1),
        ("from random import Random", 0),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pathlib import Path", 0),
        ("import numpy", 1),
    ],
)
def test_impure_imports_are_seen(source, text, complaints) -> None:
    assert len(list(tidy.impure_imports(source(text), PURE))) == complaints


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("k = hash('a')", 1),
        ("class A:\n    def __hash__(self):\n        return hash(1)", 0),
        ("dice = Random()", 1),
        ("dice = Random(7)", 0),
        ("self.open(3)", 0),
    ],
)
def test_impure_calls_are_seen(source, text, complaints) -> None:
    assert len(list(tidy.impure_calls(source(text), IMPURE_CALLS))) == complaints


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("for x in {1, 2}: pass", 1),
        ("names: set[str] = set()\nfor x in names: pass", 1),
        ("names: set[str] = set()\nfor x in sorted(names): pass", 0),
        ("a = [x for x in self.names]\nself.names: set[int] = set()", 1),
        ("a = sorted(x for x in set(b))", 0),
        ("a = list(set(b))", 1),
        ("for x in [1, 2]: pass", 0),
    ],
)
def test_loops_over_sets_are_seen(source, text, complaints) -> None:
    path = source(text)
    assert len(list(tidy.iterated_sets(path, tidy.declared_sets([path])))) == complaints


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("__slots__ = ()", 0),
        ("class SlaveLost: pass", 1),
        ("def f(next_slot): pass", 1),
        ("free_leases = 3", 1),
        ("@dataclass(slots=True)\nclass Offer: pass", 0),
    ],
)
def test_wrong_words_are_seen(source, text, complaints) -> None:
    assert len(list(tidy.wrong_words(source(text), IN_CORE))) == complaints


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("import time\ntime.sleep(1)", 1),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0.1)", 1),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0)", 0),
        ("def task():\n    time.sleep(5)  # work", 0),
    ],
)
def test_sleeps_are_seen(source, text, complaints) -> None:
    assert len(list(tidy.sleeps(source(text, "tests/test_sample.py")))) == complaints


def test_long_functions_are_seen(source) -> None:
    path = source("def f():\n" + "    pass\n" * 60 + "def g():\n" + "    pass\n" * 59)
    assert [c.split()[1] for c in tidy.long_functions(path, FUNCTION_LINES)] == ["f"]


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("https://py" + "pi.org/simple", True),
        ("pip install --index" + "-url x", True),
        ("log = '/tm" + "p/run.log'", True),
        ("path = '/wor" + "k/main'", True),
        ("docs/wor" + "k/main and src/ro" + "ot/x", False),
        ("the home/page", False),
    ],
)
def test_addresses_are_seen(line, caught) -> None:
    assert any(re.search(pattern, line) for pattern in ADDRESSES) is caught
