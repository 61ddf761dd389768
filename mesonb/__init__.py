"""mesonb: Mesos in a notebook. These are the public names; ``docs/ARCHITECTURE.md`` says how to read the code.

What needs Dask or widgets is imported when it is first asked for, so ``import mesonb`` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mesonb import notebook, parallel
from mesonb.core.allocator import DRF, Allocator
from mesonb.core.allocators import FIFO, Lottery, RoundRobin, StrictPriority, WeightedRandom
from mesonb.core.declared import Agent
from mesonb.core.log import Log
from mesonb.core.resources import Resources
from mesonb.errors import MesonbError
from mesonb.frameworks.base import Framework
from mesonb.frameworks.hand import Hand
from mesonb.frameworks.near import Near
from mesonb.frameworks.queue import Queue
from mesonb.sim.compare import compare
from mesonb.sim.replay import replay
from mesonb.sim.simulation import Simulation
from mesonb.sim.sweep import sweep
from mesonb.sim.what_if import what_if

if TYPE_CHECKING:
    from mesonb.live.master import Master
    from mesonb.live.remote import connect
    from mesonb.live.tasks.current import current
    from mesonb.live.tasks.local import local
    from mesonb.panels.metrics import serve_metrics

__version__ = "0.1.0"
__all__ = [
    "DRF", "FIFO", "Agent", "Allocator",
    "Framework", "Hand", "Log", "Lottery", "Master", "MesonbError", "Near", "Queue", "Resources", "RoundRobin",
    "Simulation", "StrictPriority", "WeightedRandom", "compare", "connect", "current", "local", "replay", "serve_metrics",
    "sweep", "what_if",
]  # fmt: skip

parallel.install()  # joblib.parallel_config("mesonb"), should joblib ever be imported
notebook.install()  # how a session looks as the last line of a cell
_ON_DEMAND = {
    "Master": "mesonb.live.master",
    "connect": "mesonb.live.remote",
    "current": "mesonb.live.tasks.current",
    "local": "mesonb.live.tasks.local",
    "serve_metrics": "mesonb.panels.metrics",
}


load_ipython_extension = notebook.load_ipython_extension  # %load_ext mesonb


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"mesonb has no {name!r}; it has {', '.join(__all__)}")
