"""Gpus: which devices a task may see. Amounts are the core's; which device that is, each agent says of its own.

The names are those of ``CUDA_VISIBLE_DEVICES`` where that is set, as dask-cuda and batch systems set it; else what
``nvidia-smi`` lists; else 0, 1, 2 and so on. An agent has the first of them, as many as it has gpus.
Rule: tasks that run at the same time share a device only where each asked for a part of one.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

#: What programs look at to see which devices are theirs.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
#: So long ``nvidia-smi`` may take.
ASK_S = 10.0
WHOLE = 1000


class Gpus:
    """The devices of one agent, and which task has how much of which, in thousandths."""

    def __init__(self, names: Sequence[str]) -> None:
        self._free = dict.fromkeys(names, WHOLE)
        self._held: dict[int, dict[str, int]] = {}

    def give(self, number: int, milli: int) -> tuple[str, ...]:
        """Return the devices of a task that asked for so much: whole ones, and a part of one that is shared already.

        >>> gpus = Gpus(["0", "1", "2"])
        >>> gpus.give(1, 500), gpus.give(2, 2000), gpus.give(3, 500)
        (('0',), ('1', '2'), ('0',))
        """
        if milli and number not in self._held:
            self._held[number] = self._choose(milli)
            for name, part in self._held[number].items():
                self._free[name] -= part
        return tuple(self._held.get(number, ()))

    def over(self, number: int) -> None:
        """A task has ended."""
        for name, part in self._held.pop(number, {}).items():
            self._free[name] += part

    def _choose(self, milli: int) -> dict[str, int]:
        """Take whole devices where there are nobody's, and the fullest one that has room for what is left."""
        whole, part = divmod(milli, WHOLE)
        freest = sorted(self._free, key=lambda name: -self._free[name])
        chosen = dict.fromkeys(freest[:whole], WHOLE)
        others = freest[whole:]
        if part and others:
            roomy = [name for name in others if self._free[name] >= part]
            chosen[min(roomy, key=self._free.__getitem__) if roomy else others[0]] = part
        return chosen


def visible(devices: Sequence[str]) -> dict[str, str]:
    """Return the variables that show these devices and no others.

    >>> visible(["0", "2"])["CUDA_VISIBLE_DEVICES"]
    '0,2'
    """
    return dict.fromkeys(VARIABLES, ",".join(devices))


def names(gpus: float) -> list[str]:
    """Name as many devices as an agent of this process has gpus."""
    count = math.ceil(gpus)
    if not count:
        return []
    said = os.environ.get(VARIABLES[0])
    known = [name.strip() for name in said.split(",") if name.strip()] if said else _listed()
    return known[:count] + [str(number) for number in range(len(known), count)]


def divided(amounts: Sequence[float], listed: Callable[[float], list[str]] = names) -> list[list[str]]:
    """Divide the devices of this machine among its agents, in order.

    >>> divided([1, 0, 2], lambda gpus: ["a", "b", "c"])
    [['a'], [], ['b', 'c']]
    """
    left = listed(sum(math.ceil(gpus) for gpus in amounts))
    parts = []
    for gpus in amounts:
        parts.append(left[: math.ceil(gpus)])
        left = left[math.ceil(gpus) :]
    return parts


def _listed() -> list[str]:
    """Ask ``nvidia-smi`` for the devices of this machine, by names that no setting changes the order of."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = [program, "--query-gpu=uuid", "--format=csv,noheader"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=ASK_S, check=True)
        return said.stdout.split()
    return []
