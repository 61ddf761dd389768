"""What the world of a what-if is given: its rules, as recorded, and its agents, where others are asked for.

Rule: whatever is not asked to be different is as recorded: the pacing, the smallest offer, racks, reservations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from itertools import cycle, islice
from typing import Any

from mesonb.core import calls, records
from mesonb.core.declared import Agent, agent_of
from mesonb.core.limits import admits
from mesonb.core.resources import Resources
from mesonb.core.settings import Settings
from mesonb.core.units import SECOND_US
from mesonb.errors import BadValue
from mesonb.sim.demand import Demand, Program


def agents_for(demand: Demand, agents: int | Iterable[Resources | Agent] | None) -> list[Agent] | None:
    """Return the agents of another world: so many like the recorded ones, or these; None where the recorded ones come and go."""
    if agents is None:
        return None
    if not isinstance(agents, int):
        return _good_enough(demand, [agent_of(one) for one in agents])
    if agents < 1:
        raise BadValue(f"agents={agents}; at least one is needed to run anything")
    recorded = [_like(call) for _, call in demand.agents if isinstance(call, calls.AgentJoined)]
    return _good_enough(demand, list(islice(cycle(recorded), agents)))


def _like(call: calls.AgentJoined) -> Agent:
    """Return an agent that is as a recorded one was when it joined."""
    return Agent(
        call.total, dict(call.attributes), dict(call.reserved), call.min_offer, call.short, call.max_task_us / SECOND_US
    )


def _good_enough(demand: Demand, agents: list[Agent]) -> list[Agent]:
    """Return the agents; BadValue for a recorded task that could run on none of them, which would be wanted for ever."""
    named = [agent.joined(f"agent-{number}") for number, agent in enumerate(agents, start=1)]
    for name, program in demand.programs.items():
        mine = [call.total for call in named if _admits(program, call)]
        for needs in dict.fromkeys(span.needs for span in program.spans):
            if not any(needs <= total for total in mine):
                raise BadValue(
                    f"{name} ran tasks that need {needs}, and none of these agents that it takes has that; give larger ones, or "
                    "say more of them: mb.Agent(..., attributes={...})"
                )
    return agents


def _admits(program: Program, call: calls.AgentJoined) -> bool:
    """Whether what a framework said when it registered lets it have offers of an agent."""
    return admits(program.subscribe, records.Agent(call.agent, call.total, call.total, 0, call.attributes))


def rules_of(settings: Settings) -> dict[str, Any]:
    """Write a master's settings as people give them: times in seconds, names without their unit."""
    rules: dict[str, Any] = {}
    for one in fields(settings):
        value = getattr(settings, one.name)
        is_time = one.name.endswith("_us") and value is not None
        rules[one.name.removesuffix("_us")] = value / SECOND_US if is_time else value
    return rules
