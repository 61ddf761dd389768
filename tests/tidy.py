"""Reading the tree for test_tidy: the files, their syntax trees, and what is found there, as sentences.

Rule: every function yields complaints as `path:line: what is wrong; what to do`, so that each test asks for none.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def project_files() -> tuple[Path, ...]:
    """Return every file that git tracks or would track, so that a new file is looked at before it is committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return tuple(path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file())


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below any of these folders."""
    return [path for path in project_files() if path.suffix == ".py" and shown(path).startswith(folders)]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), shown(path))


def module_name(path: Path) -> str:
    """Return `mesonb.core.master` for mesonb/core/master.py.

    >>> module_name(ROOT / "mesonb/core/__init__.py")
    'mesonb.core'
    """
    return shown(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, imported name, only for types?) for every import, those inside functions too."""
    for_types = {id(inner) for node in ast.walk(parsed(path)) if _guards_types(node) for inner in ast.walk(node)}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in for_types
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}", id(node) in for_types


def _guards_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


# --- which package may import which ------------------------------------------------------------------------------------


def wrong_directions(path: Path, may_see: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the imports that point against the arrows; `may_see` maps a package to what it may import of mesonb."""
    name = module_name(path)
    package = owner(name, may_see)
    if package is None:
        return
    for line, imported, _ in imports(path):
        ours = imported == "mesonb" or imported.startswith("mesonb.")
        if ours and not any(is_within(imported, seen) for seen in (package, *may_see[package])):
            yield (
                f"{shown(path)}:{line}: {package} imports {imported}; it may see only {', '.join(may_see[package]) or 'itself'}. "
                f"Move what both need down to one of those, or hand it in as an argument."
            )


def owner(name: str, packages: dict[str, tuple[str, ...]]) -> str | None:
    """Return the longest listed package that holds the module, or nothing for a module that may see everything."""
    return max((package for package in packages if is_within(name, package)), key=len, default=None)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


# --- purity ------------------------------------------------------------------------------------------------------------


def impure_imports(path: Path, allowed: frozenset[str]) -> Iterator[str]:
    """Yield imports of the core that are neither allowed nor for type hints alone."""
    for line, imported, for_types in imports(path):
        if imported.split(".")[0] in allowed or for_types or imported == "random.Random":
            continue
        yield (
            f"{shown(path)}:{line}: the core imports {imported}. Time, chance and I/O are arguments: take `now_us` or a seeded "
            f"`dice` from the caller, and let a shell (mesonb.live, mesonb.sim) do what touches the world."
        )


def impure_calls(path: Path, forbidden: frozenset[str]) -> Iterator[str]:
    """Yield calls whose result differs between processes, or that touch the world; `Random()` is one that seeds itself."""
    excused = {id(inner) for node in ast.walk(parsed(path)) if _named(node, "__hash__") for inner in ast.walk(node)}
    for node in ast.walk(parsed(path)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)) or id(node) in excused:
            continue
        if node.func.id in forbidden or (node.func.id == "Random" and not node.args):
            yield (
                f"{shown(path)}:{node.lineno}: the core calls {node.func.id}(), which gives different answers in another process "
                f"or touches the world. Use a name, a counter or a seeded dice; print and open belong to a shell."
            )


def _named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == name


def iterated_sets(path: Path, set_names: frozenset[str]) -> Iterator[str]:
    """Yield loops over a set, whose order changes with PYTHONHASHSEED: literals, set(...), and names declared as sets."""
    calm = {id(g) for node in ast.walk(parsed(path)) if _forgets_order(node) for g in ast.walk(node)}
    for node in ast.walk(parsed(path)):
        for looped in _looped_over(node):
            if id(node) not in calm and _is_set(looped, set_names):
                yield (
                    f"{shown(path)}:{looped.lineno}: loops over the set {ast.unparse(looped)}, whose order differs between "
                    f"processes. Write sorted(...), or keep a dict, whose order is the order of insertion."
                )


def _looped_over(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.For | ast.comprehension):
        return [node.iter]
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"list", "tuple", "iter", "enumerate"}
    ):
        return node.args[:1]
    return []


def _forgets_order(node: ast.AST) -> bool:
    """Tell whether this expression's value does not depend on the order of what is inside it."""
    if isinstance(node, ast.SetComp):
        return True
    names = {"sorted", "set", "frozenset", "len", "any", "all", "sum"}
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _is_set(node: ast.expr, set_names: frozenset[str]) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"set", "frozenset"}
    named = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
    return isinstance(node, ast.Set | ast.SetComp) or named in set_names


def declared_sets(paths: list[Path]) -> frozenset[str]:
    """Return the names annotated as sets anywhere in these files."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.AnnAssign) and re.match(r"(frozen)?set\b", ast.unparse(node.annotation)):
                found.add(ast.unparse(node.target).split(".")[-1])
    return frozenset(found)


# --- words -------------------------------------------------------------------------------------------------------------


def wrong_words(path: Path, say: dict[str, str]) -> Iterator[str]:
    """Yield the names given here (not names used) that hold a word for which the glossary has another."""
    for line, name in given_names(path):
        for word in words(name) if not name.startswith("__") else []:  # Python's own
            if better := say.get(word):
                yield f'{shown(path)}:{line}: the name "{name}" says "{word}"; docs/GLOSSARY.md says {better}. Rename it.'


def given_names(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parsed(path)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def words(name: str) -> list[str]:
    """Split an identifier into words.

    >>> words("_SlaveLost"), words("next_slot"), words("fooBar2")
    (['slave', 'lost'], ['next', 'slot'], ['foo', 'bar'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


# --- sizes -------------------------------------------------------------------------------------------------------------


def long_functions(path: Path, most_lines: int) -> Iterator[str]:
    """Yield functions of more lines than `most_lines`, docstring and all."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, Function) and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > most_lines:
            yield f"{shown(path)}:{node.lineno}: {node.name} has {lines} lines, more than {most_lines}. Give its parts names."


# --- waiting -----------------------------------------------------------------------------------------------------------

WORK_MARK = re.compile(r"#\s*work\b")


def sleeps(path: Path) -> Iterator[str]:
    """Yield calls of sleep that are not marked as a task's own work."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(parsed(path)):
        if _is_sleep(node) and not WORK_MARK.search(lines[(node.end_lineno or node.lineno) - 1]):
            yield (
                f"{shown(path)}:{node.lineno}: a test sleeps. Wait for a condition: wait_for(condition, deadline_s, what) from "
                f"tests.helpers, or advance the clock. If this is the work of a task on an agent, end the line with `# work`."
            )


def _is_sleep(node: ast.AST) -> bool:
    """Tell whether this is a call of anything named sleep, but for `sleep(0)`, which only yields the turn."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "sleep" and not _is_zero(node)


def _is_zero(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
