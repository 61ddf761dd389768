"""Agent: what somebody declares of one agent, beside its resources: the same for a simulation and for a local cluster.

The books' own record of an agent is ``records.Agent``; here is only what is said of it before it joins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mesonb.core.calls import AgentJoined
from mesonb.core.resources import Resources
from mesonb.core.units import parse_duration
from mesonb.errors import BadValue


@dataclass(frozen=True, slots=True)
class Agent:
    """What an agent has, and what it is for.

    ``attributes`` are what frameworks may ask for (``constraints``). ``reserved`` parts are offered to no role but theirs;
    nothing is offered until ``min_offer`` is free (of several: until one of them is). Tasks on the ``short`` part, or with
    none named on all of it, are killed after ``max_task``.

    >>> agent = Agent(Resources(cpus=4, ports="31000-31009"), attributes={"rack": "r1"}, max_task="1min")
    >>> agent.joined("agent-1").max_task_us
    60000000
    """

    resources: Resources
    attributes: Mapping[str, str] = field(default_factory=dict)
    reserved: Mapping[str, Resources] = field(default_factory=dict)
    min_offer: Resources | Sequence[Resources] = ()
    short: Resources | None = None
    max_task: float | str = 0

    def __post_init__(self) -> None:
        several = [*self.reserved.values(), *self._least, *([self.short] if self.short is not None else [])]
        for part in (self.resources, *several):
            if not isinstance(part, Resources) or not part:
                raise BadValue(f"{part!r} is no part of an agent; write mb.Resources(cpus=4, mem='16GB')")
        if not parse_duration(self.max_task) and self.short:
            raise BadValue(f"{self.short} is kept for short tasks; say how long they may take: max_task='30s'")

    @property
    def _least(self) -> tuple[Resources, ...]:
        return (self.min_offer,) if isinstance(self.min_offer, Resources) else tuple(self.min_offer)

    def joined(self, name: str) -> AgentJoined:
        """Return the call with which it joins, under a name."""
        attributes = tuple((attribute, str(value)) for attribute, value in self.attributes.items())
        reserved, max_task_us = tuple(self.reserved.items()), parse_duration(self.max_task)
        return AgentJoined(name, self.resources, attributes, reserved, self._least, (), max_task_us, self.short)


def agent_of(said: object) -> Agent:
    """Take an agent, or its resources alone; BadValue for anything else."""
    if isinstance(said, Agent):
        return said
    if not isinstance(said, Resources) or not said:
        raise BadValue(
            f"{said!r} is no agent; give its resources: mb.Resources(cpus=4, mem='16GB'), or an mb.Agent(...)"
        )
    return Agent(said)
