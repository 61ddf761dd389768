"""What ``show`` prints in a scenario: the books as they are, one line a thing, in an order that does not change."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from mesonb.core.books import add_up
from mesonb.core.master import MasterCore
from mesonb.core.records import Role
from mesonb.core.resources import Resources
from mesonb.core.snapshot import maintained
from mesonb.core.telling import as_typed
from mesonb.core.units import show_duration
from mesonb.errors import BadValue


def show(core: MasterCore, words: list[str]) -> list[str]:
    """Print one part of the books, or the one thing of it that is named."""
    what, *names = words or [""]
    if what not in VIEWS:
        raise BadValue(f"show what? There are: {', '.join(VIEWS)}")
    lines = VIEWS[what](core)
    return [line for line in lines if not names or line.split()[0] in names]


def dominant_share(held: Resources, total: Resources) -> Fraction:
    """Return the dominant share, exactly."""
    have = total.amounts
    return max(
        (Fraction(n, have[name]) for name, n in held.amounts.items() if have.get(name)),
        default=Fraction(0),
    )


def _shares(core: MasterCore) -> list[str]:
    return [
        f"{name}  {_share(core, framework.allocated)}  {as_typed(framework.allocated)}"
        for name, framework in core.frameworks.items()
    ]


def _roles(core: MasterCore) -> list[str]:
    return [
        f"{name}  weight {role.weight_milli / 1000:g}  share {_share(core, role.allocated)}  {as_typed(role.allocated)}{_rules(role)}"
        for name, role in sorted(core.roles.items())
    ]


def _share(core: MasterCore, held: Resources) -> Fraction:
    return dominant_share(held, core.order.shared)


def _rules(role: Role) -> str:
    """Say what else was said of a role."""
    said = [("guarantee", role.guarantee), ("limit", role.limit), ("reserved", role.reserved)]
    amounts = [f"  {name} {as_typed(amount)}" for name, amount in said if amount]
    return "".join([*amounts, f"  priority {role.priority}"] if role.priority else amounts)


def _agents(core: MasterCore) -> list[str]:
    lines = []
    for name, agent in core.agents.items():
        offered = add_up(offer.resources for offer in agent.offers.values())
        used = add_up(task.needs for task in agent.tasks.values())
        kept = "".join(f"  reserved for {role} {as_typed(held)}" for role, held in agent.reserved.items())
        lines.append(f"{name}  free {as_typed(agent.free)}  offered {as_typed(offered)}  used {as_typed(used)}{kept}")
    return lines


def _offers(core: MasterCore) -> list[str]:
    return [
        f"{offer.id}  {offer.agent} -> {offer.framework}   {as_typed(offer.resources)}  until {show_duration(offer.expires_us)}"
        for offer in core.offers.values()
    ]


def _tasks(core: MasterCore) -> list[str]:
    return [f"{task.id}  {task.state.value} on {task.agent}  {as_typed(task.needs)}" for task in core.tasks.values()]


def _counts(core: MasterCore) -> list[str]:
    return [
        " ".join([f"{name} ", *(f"{what}={times}" for what, times in framework.counts.items())])
        for name, framework in core.frameworks.items()
    ]


def _maintenance(core: MasterCore) -> list[str]:
    lines = []
    for row in (maintained(window) for window in core.windows.values()):
        until = f"until {show_duration(row.end_us)}" if row.end_us else "until somebody says so"
        state = "down" if row.begun else f"down from {show_duration(row.start_us)}"
        answers = "".join(f"  {name}: {answer}" for name, answer in row.answers.items())
        lines.append(f"{row.agent}  {state} {until}{answers}")
    return lines


def _time(core: MasterCore) -> list[str]:
    return [show_duration(core.now_us)]


VIEWS: dict[str, Callable[[MasterCore], list[str]]] = {
    "shares": _shares, "roles": _roles, "agents": _agents, "offers": _offers, "tasks": _tasks, "counts": _counts, "time": _time,
    "maintenance": _maintenance,
}  # fmt: skip
