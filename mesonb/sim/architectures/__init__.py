"""Scheduler architectures on one workload: who decides, on which view of the cell, and who waits for whom.

``Monolithic`` (one scheduler), ``Priorities`` (with Borg's bands), ``TwoLevel2011`` and ``TwoLevel`` (Mesos's offers as
they began and as they are) and ``Omega`` (shared state). ``mesonb.sim.compare`` runs them side by side.

Reading order: cell, world, monolithic, omega, twolevel, peragent; then scoring and priority; metrics and run.
"""

from mesonb.sim.architectures.monolithic import Monolithic
from mesonb.sim.architectures.omega import Omega
from mesonb.sim.architectures.peragent import TwoLevel
from mesonb.sim.architectures.priority import Priorities
from mesonb.sim.architectures.scoring import Scored, least_allocated, most_allocated, nomad
from mesonb.sim.architectures.twolevel import TwoLevel2011

__all__ = [
    "Monolithic",
    "Omega",
    "Priorities",
    "Scored",
    "TwoLevel",
    "TwoLevel2011",
    "least_allocated",
    "most_allocated",
    "nomad",
]
