"""The charts that the panel server serves, by the name that ``session.watch`` takes and the address has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bokeh.application import Application

from mesonb.panels.allocation import Allocation
from mesonb.panels.app import Panel, application
from mesonb.panels.events import Events
from mesonb.panels.frameworks import Frameworks
from mesonb.panels.hand import HandPanel
from mesonb.panels.iterations import Iterations
from mesonb.panels.locality import Locality
from mesonb.panels.offers import OffersPanel
from mesonb.panels.output import Outputs
from mesonb.panels.shares import Shares
from mesonb.panels.steer import Steer
from mesonb.panels.timeline import Timeline
from mesonb.panels.use import Use

#: Panels that are drawn as ``mesonb.panels.app`` asks for.
PANELS: dict[str, type[Panel]] = {
    "shares": Shares,
    "timeline": Timeline,
    "offers": OffersPanel,
    "frameworks": Frameworks,
    "allocation": Allocation,
    "iterations": Iterations,
    "events": Events,
    "use": Use,
    "locality": Locality,
    "output": Outputs,
    "steer": Steer,
    "hand": HandPanel,
}
APPS: dict[str, Callable[[], Application]] = {name: partial(application, kind) for name, kind in PANELS.items()}


def applications() -> dict[str, Application]:
    """Each chart under its path."""
    return {f"/{name}": make() for name, make in APPS.items()}
