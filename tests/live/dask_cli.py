"""A Dask cluster as people start one by hand: ``dask scheduler`` and ``dask worker``, each a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.helpers import ROOT, wait_for

#: Where a Dask command runs: as it is, or behind ``ip netns exec HOST``.
HERE: Sequence[str] = ()


class DaskCluster:
    """Starts and ends the processes; ``before`` goes in front of their command lines."""

    def __init__(self, folder: Path, *options: str, host: str = "127.0.0.1", before: Sequence[str] = HERE) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        where = ["--host", host, "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file)]
        self._start("scheduler", [*before], "scheduler", *where, *options)
        wait_for(
            lambda: self.file.exists() and self.file.read_text().endswith("}"), 30, "the Dask scheduler to be there"
        )
        self.address = json.loads(self.file.read_text())["address"]

    def worker(self, name: str, *options: str, before: Sequence[str] = HERE) -> subprocess.Popen[bytes]:
        """Start a worker of one thread, in a process session of its own."""
        sizes = [
            "--nthreads",
            "1",
            "--memory-limit",
            "500MB",
            "--no-dashboard",
            "--local-directory",
            str(self.folder / name),
        ]
        return self._start(name, [*before], "worker", self.address, "--name", name, *sizes, *options)

    def _start(self, name: str, before: list[str], *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [*before, sys.executable, "-m", "dask", *words],
                cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self.processes[name]

    def log(self, name: str) -> str:
        """Return what one of them has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        scheduler, *workers = self.processes.values()
        _end(workers)  # first, while somebody is there whom they can tell
        _end([scheduler])


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
