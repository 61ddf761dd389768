"""Current: what a task finds out about itself where it runs: its id, its agent, and which ports and gpus it was given.

    def serve():
        port = mb.current().ports[0]
        ...

A command, and what a task starts, finds the same in its environment; ``variables`` makes that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mesonb.core.resources import Resources
from mesonb.errors import NotThere
from mesonb.live.limits.gpus import visible
from mesonb.live.tasks import here


@dataclass(frozen=True, slots=True)
class Current:
    """The task that runs in this process."""

    task: str
    framework: str
    role: str
    agent: str
    needs: Resources  #: with which ones it has, of what is counted one by one
    devices: tuple[str, ...]  #: the gpus that it may use, by the names that CUDA knows

    @property
    def ports(self) -> list[int]:
        """The ports that are this task's, in order."""
        return list(self.needs.which.get("ports", ()))

    @property
    def variables(self) -> dict[str, str]:
        """The same as variables of an environment.

        >>> task = Current("lab/task-1", "lab", "*", "agent-1", Resources(cpus=1, ports=[31000, 31002]), ())
        >>> task.variables["MESONB_PORTS"], task.variables["PORT"]
        ('31000,31002', '31000')
        """
        said = {"MESONB_TASK": self.task, "MESONB_FRAMEWORK": self.framework, "MESONB_AGENT": self.agent}
        for name, items in self.needs.which.items():
            said[f"MESONB_{name.upper()}"] = ",".join(map(str, items))
        if self.ports:
            said["PORT"] = str(self.ports[0])
        return said | (visible(self.devices) if self.devices else {})


def current() -> Current:
    """Return what is known of the task that runs in this process; NotThere outside of an agent."""
    if here.asker() is None:
        raise NotThere(
            "mb.current() is asked in a task, where that runs on an agent; this process runs none: submit the function"
        )
    return of_plain(here.asked("current"))


def of_plain(written: tuple[str, str, str, str, Mapping[str, Any], tuple[str, ...]]) -> Current:
    """Read what an agent answers."""
    task, framework, role, agent, needs, devices = written
    return Current(task, framework, role, agent, Resources.of_plain(needs), devices)
