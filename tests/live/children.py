"""A real child process that a test tells what to do, as an agent's child is: in a session of its own."""

import subprocess
import sys

import psutil

#: What the child can be told; `hold` really touches what it takes.
BODY = """
import os, subprocess, sys, threading, time
held = []

def hold(mb):
    held.append(b"x" * (mb * 1_000_000))

def spin():
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()

def hide():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True).pid

for line in sys.stdin:
    try:
        print(repr(eval(line)), flush=True)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
"""


class Told:
    """A child that does as it is told, one line at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BODY],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid
        self.ask("0")  # until it has started

    def tell(self, line: str) -> None:
        """Say what to do, and do not wait."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def ask(self, line: str) -> str:
        """Say what to do, and return what it answers; nothing if it died."""
        self.tell(line)
        return self._process.stdout.readline().strip()

    @property
    def cpu_s(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def end(self) -> int:
        """End it if it lives, and return how it ended."""
        self._process.kill()
        return self._process.wait(60)

    def ended(self) -> int:
        """Return how it ended by itself."""
        return self._process.wait(60)
