"""Builds the JupyterLab extension into mesonb/labextension, and notes what it was built from. `make labextension` calls it.

Rule: versions come from yarn.lock alone; where packages come from is the machine's own affair. The result is committed, so
that only whoever changes extensions/labextension needs Node.
"""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "extensions" / "labextension"
SOURCES = ("src/*.ts", "style/*.css", "package.json", "rspack.config.js", "tsconfig.json", "yarn.lock", ".yarnrc.yml")
BUILT_FROM = "built-from.txt"


def built(source: Path) -> Path:
    """Return where package.json says that the result goes."""
    return source.parent.parent / "mesonb" / "labextension"


def fingerprints(source: Path) -> str:
    """Return one line a source file: its hash and its name."""
    found = sorted(path for pattern in SOURCES for path in source.glob(pattern))
    return "".join(
        f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(source).as_posix()}\n" for path in found
    )


def jlpm(source: Path, *arguments: str) -> None:
    """Run JupyterLab's own yarn, which comes with JupyterLab."""
    tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["jlpm", *arguments], cwd=source, env=tools, check=True)


def build(source: Path) -> None:
    """Compile, bundle, and note the sources."""
    jlpm(source, "build")
    (built(source) / BUILT_FROM).write_text(fingerprints(source))


if __name__ == "__main__":
    jlpm(SOURCE, "install", "--immutable")
    build(SOURCE)
