"""DRF as it is written down: look at every framework for every agent, take the least share. Slow, and plainly right.

The shipped allocator must grant the same, in the same order. Nothing here uses the master's order, bits or cached
refusals: only what frameworks hold, totals, weights, counts and filters.
"""

from collections.abc import Iterator
from fractions import Fraction

from mesonb.core.allocator import Allocator, Grant, View
from mesonb.core.master import MasterCore
from mesonb.core.records import Agent, Framework
from mesonb.core.resources import NOTHING, Resources


class Oracle(Allocator):
    """Offer each agent with room to whoever is furthest below its weighted share."""

    in_turn = True

    def __init__(self) -> None:
        self.grants: list[tuple[str, str, Resources]] = []

    def cycle(self, view: View) -> Iterator[Grant]:
        core = view._core
        for guaranteed in (True, False):
            for name in {
                **core.dirty,
                **core.agents,
            }:  # all of them: whatever the shipped one passes over wants nothing
                agent = core.agents.get(name)
                while agent and (
                    hungry := [f for f in core.frameworks.values() if may_have(core, agent, f, guaranteed)]
                ):
                    chosen = min(hungry, key=lambda f: turn(core, f))
                    grant = Grant(agent, chosen, portion(core, agent, chosen, guaranteed))
                    self.grants.append((agent.name, chosen.name, grant.resources))
                    yield grant
                if not guaranteed and agent and agent.free and agent.tried_us == core.now_us:
                    for framework in core.frameworks.values():
                        would = any(would_have(core, agent, framework, stage) for stage in (True, False))
                        if agent.tried & framework.client.bits and would:
                            core.again[name] = agent


def may_have(core: MasterCore, agent: Agent, framework: Framework, guaranteed: bool) -> bool:
    tried = agent.tried_us == core.now_us and bool(agent.tried & framework.client.bits)
    return not tried and would_have(core, agent, framework, guaranteed)


def would_have(core: MasterCore, agent: Agent, framework: Framework, guaranteed: bool) -> bool:
    refusal = framework.filters.get(agent.name)
    part = portion(core, agent, framework, guaranteed)
    wants = not framework.suppressed and not framework.leaving and not agent.closed and bool(part)
    return wants and not (refusal and refusal.until_us > core.now_us and part <= refusal.refused)


def portion(core: MasterCore, agent: Agent, framework: Framework, guaranteed: bool) -> Resources:
    """The rules for one pair are asked, not written again: they have examples of their own. Nothing is remembered."""
    core.forget_kept_back()
    role = core.roles[framework.role.split("/")[0]]
    if guaranteed and role.guarantee <= role.consumed:
        return NOTHING
    return core.verdict(agent, framework, guaranteed=guaranteed)[0]


def turn(core: MasterCore, framework: Framework) -> list[tuple[Fraction, int, str]]:
    """Sort by share, count and path at each level: the role's outermost part, the next, ..., the framework."""
    parts, levels = framework.role.split("/"), []
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        inside = [f for f in core.frameworks.values() if f.role == path or f.role.startswith(f"{path}/")]
        levels.append((share(core, inside, path), core.order.places[path].allocations, path))
    own = [f for f in core.frameworks.values() if f.role == framework.role]
    if any(f.role.startswith(f"{framework.role}/") for f in core.frameworks.values()):
        dot = f"{framework.role}/."
        levels.append((share(core, own, dot), core.order.places[dot].allocations, dot))
    return [*levels, (share(core, [framework], ""), framework.allocations, framework.name)]


def share(core: MasterCore, frameworks: list[Framework], role: str) -> Fraction:
    """The dominant share of these together, exactly, by the role's weight."""
    held = sum((held_by(f) for f in frameworks), start=NOTHING)
    weight = core.roles[role].weight_milli if role in core.roles else 1000
    total = core.order.shared.amounts
    return max(
        (Fraction(n * 1000, total[r] * weight) for r, n in held.amounts.items() if r in total), default=Fraction(0)
    )


def held_by(framework: Framework) -> Resources:
    offered = sum((offer.resources for offer in framework.offers.values()), start=NOTHING)
    return sum((task.needs for task in framework.tasks.values()), start=offered)
