"""Programs that tests need and the machine lacks: Debian's packages, fetched once and unpacked in the user's cache.

Rule: what cannot be had is a reason to skip, said plainly; nothing is installed on the machine.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

FETCH_MOST_S = 120


class Missing(Exception):
    """This machine cannot run it."""


def cached(name: str) -> Path:
    """Return the folder where something that was fetched is unpacked, whether it is there or not."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mesonb" / name


def fetch(what: str, packages: list[str], cache: Path) -> None:
    """Fetch packages and unpack them in a folder, all or nothing."""
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise Missing(f"no {tool} on this machine to fetch Debian's {what} with, and none is installed")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as draft:
        try:
            _run(draft, "apt-get", "-o", "APT::Sandbox::User=root", "download", *packages)
            for package in Path(draft).glob("*.deb"):
                _run(draft, "dpkg", "-x", str(package), "root")
        except (subprocess.SubprocessError, OSError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise Missing(f"Debian's {what} cannot be fetched: {str(said).strip()[-200:]}") from error
        shutil.rmtree(cache, ignore_errors=True)
        (Path(draft) / "root").rename(cache)


def _run(folder: str, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=FETCH_MOST_S)
