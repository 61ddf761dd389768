"""What the driver of a simulated framework sees of the world: virtual time, and links on which messages take a while."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from mesonb.core import calls
from mesonb.core.units import show_duration
from mesonb.errors import BadValue
from mesonb.frameworks.driver import Driver

if TYPE_CHECKING:
    from mesonb.sim.simulation import Simulation


class SimShell:
    """What a driver sees of a simulation."""

    driver: Driver

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        #: Nothing travels in a simulation; its pretend agents only take note of the task.
        self.encode = simulation.agents.promise
        self.now_us = simulation.now_us
        self.check_needs = simulation.check_needs
        self.output = simulation.output

    def post(self, sent: Sequence[calls.Call]) -> None:
        """Send calls; like any message they take a while to arrive."""
        self._sim.engine.after(self._sim.latency_us, self._sim.arrive, self.driver, sent)

    def wake_at(self, due_us: int) -> None:
        """Wake the driver at that virtual time."""
        self._sim.engine.at(due_us, self.driver.wake)

    def wait(self, future: Future[Any], timeout_us: int | None) -> None:
        """Let virtual time pass until the future is done; TimeoutError if it is not in time."""
        limit_us = 365 * 86_400 * 1_000_000 if timeout_us is None else timeout_us
        if self._sim._advance(future.done, limit_us):
            return
        if timeout_us is not None:
            raise TimeoutError(
                f"no result within {show_duration(timeout_us)}; it is {show_duration(self.now_us())} now{self._why()}"
            )
        raise BadValue(f"this result never comes: nothing is left to happen in the simulation{self._why()}")

    def _why(self) -> str:
        """Say how its framework stands, where it is still there."""
        name = self.driver.name
        return f"; {self._sim.explain(name).sentence}" if name in self._sim.core.frameworks else f"; {name} has left"
