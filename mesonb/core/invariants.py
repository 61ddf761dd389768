"""``check(core)``: the books balance. Run after every step in tests; a failure is a defect of mesonb, never of a caller."""

from mesonb.core.books import Books, add_up
from mesonb.core.records import TERMINAL


def check(core: Books) -> None:
    """Assert that every resource is in exactly one place and every total is the sum of its parts."""
    for agent in core.agents.values():
        held = add_up(offer.resources for offer in agent.offers.values()) + add_up(
            t.needs for t in agent.tasks.values()
        )
        assert agent.free + held == agent.total, f"{agent.name}: {agent.free} free + {held} held is not {agent.total}"
    for framework in core.frameworks.values():
        held = add_up(offer.resources for offer in framework.offers.values())
        held += add_up(task.needs for task in framework.tasks.values())
        assert framework.allocated == held, f"{framework.name}: {framework.allocated} in the books, {held} held"
        assert core.roles[framework.role].frameworks[framework.name] is framework
        assert framework.tasks or not framework.leaving, f"{framework.name} has left and holds nothing, yet is kept"
    for role in core.roles.values():
        allocated = add_up(framework.allocated for framework in role.frameworks.values())
        assert role.allocated == allocated, f"role {role.name}: {role.allocated} in the books, {allocated} held"
    assert core.total == add_up(agent.total for agent in core.agents.values())
    assert core.free == add_up(agent.free for agent in core.agents.values())
    _check_indexes(core)


def _check_indexes(core: Books) -> None:
    """Offers and tasks are found from every side, and each is live."""
    for offer in core.offers.values():
        assert core.agents[offer.agent].offers[offer.id] is offer
        assert core.frameworks[offer.framework].offers[offer.id] is offer
        assert offer.resources, f"{offer.id} holds nothing"
    for task in core.tasks.values():
        assert core.agents[task.agent].tasks[task.id] is task
        assert core.frameworks[task.framework].tasks[task.id] is task
        assert task.state not in TERMINAL and task.id not in core.ended
    assert len(core.offers) == sum(len(agent.offers) for agent in core.agents.values())
    assert len(core.tasks) == sum(len(agent.tasks) for agent in core.agents.values())
    timed = {name for _, _, name, agent in core.timers if not agent}
    assert timed >= set(core.offers), f"offers without an end: {set(core.offers) - timed}"
