"""``check(core)``: the books balance. Run after every step in tests; a failure is a defect of mesonb, never of a caller."""

from mesonb.core.acknowledging import Acknowledging
from mesonb.core.books import Books, add_up, each, outermost
from mesonb.core.events import OfferMade
from mesonb.core.maintenance import Maintenance
from mesonb.core.order import Client
from mesonb.core.records import TERMINAL, TaskState
from mesonb.core.resources import NOTHING, Resources


def check(core: Books) -> None:
    """Assert that every resource is in exactly one place and every total is the sum of its parts."""
    for agent in core.agents.values():
        held = _offered(core, agent.offers) + add_up(t.needs for t in agent.tasks.values())
        assert agent.free.which.keys() | held.which.keys() == agent.total.which.keys(), f"{agent.name} lost items"
        assert agent.free + held == agent.total, f"{agent.name}: {agent.free} free + {held} held is not {agent.total}"
    for framework in core.frameworks.values():
        held = _offered(core, framework.offers).counted
        held += add_up(task.needs.counted for task in framework.tasks.values())
        assert framework.allocated == held, f"{framework.name}: {framework.allocated} in the books, {held} held"
        held = add_up(task.needs.counted for task in framework.tasks.values())
        assert framework.in_tasks == held, f"{framework.name}: {framework.in_tasks} in the books, its tasks hold {held}"
        assert core.roles[framework.role].frameworks[framework.name] is framework
        assert framework.tasks or not framework.leaving, f"{framework.name} has left and holds nothing, yet is kept"
    for role in core.roles.values():
        inside = [r for name, r in core.roles.items() if name == role.name or name.startswith(f"{role.name}/")]
        allocated = add_up(framework.allocated for r in inside for framework in r.frameworks.values())
        assert role.allocated == allocated, f"role {role.name}: {role.allocated} in the books, {allocated} held"
    assert core.total == add_up(agent.total.counted for agent in core.agents.values())
    assert core.free == add_up(agent.free.counted for agent in core.agents.values())
    _check_indexes(core)
    _check_away(core)
    _check_filters(core)
    _check_order(core)
    _check_maintenance(core)
    _check_unacknowledged(core)
    _check_reservations(core)
    _check_short(core)
    _check_ahead(core)


def _offered(core: Books, offers: dict[str, OfferMade]) -> Resources:
    """What offers hold: in the optimistic mode nothing, since the same is offered to several."""
    return NOTHING if core.optimistic else add_up(offer.resources for offer in offers.values())


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
    assert core.dying.keys() == {task.id for task in core.tasks.values() if task.killing}
    assert len(core.offers) == sum(len(agent.offers) for agent in core.agents.values())
    assert len(core.tasks) == sum(len(agent.tasks) for agent in core.agents.values())
    if core.settings.offer_timeout_us:
        assert [offer for offer in core.unanswered if offer.id in core.offers] == list(core.offers.values())


def _check_away(core: Books) -> None:
    """Who is away holds no offers; of an agent that is away nobody does."""
    for name in core.unreachable:
        assert core.agents[name].closed and not core.agents[name].offers
        assert all(task.state is TaskState.UNREACHABLE for task in core.agents[name].tasks.values())
    for name in core.away:
        framework = core.frameworks[name]
        assert not framework.offers and not framework.leaving and not core.active & framework.client.bits


def _check_filters(core: Books) -> None:
    """Every filter is known to its agent, ends in time, and blocks only what it refuses."""
    for agent in core.agents.values():
        filtered = {f.client.bits: f.filters[agent.name] for f in core.frameworks.values() if agent.name in f.filters}
        assert agent.filtered == sum(filtered), f"{agent.name}: {agent.filtered:b} in the books"
        for bit in each(agent.blocked):
            assert agent.blocked_of is not None and agent.blocked_of <= filtered[bit].refused
    for framework in core.frameworks.values():
        assert not framework.filters.keys() - core.agents.keys()
        for name, refusal in framework.filters.items():
            end = (refusal.until_us, framework.name)
            assert name in core.ends.get(end, ()) or (*end, name) in core.after_batch
    assert {(until_us, name) for until_us, _, name in core.timers} >= core.ends.keys()


def _check_maintenance(core: Books) -> None:
    """Whoever was asked to leave an agent was asked once, before its window; an agent in its window takes no tasks."""
    assert isinstance(core, Maintenance)
    asked = {inverse.id: inverse for window in core.windows.values() for inverse in window.inverses.values()}
    assert asked == core.inverses
    for name, window in core.windows.items():
        assert not (window.begun and window.inverses)
        if agent := core.agents.get(name):
            assert agent.closes_us == window.start_us
            assert not window.begun or (agent.closed and not agent.offers)
            staying = {task.framework for task in agent.tasks.values()}
            assert window.begun or staying <= window.inverses.keys()


def _check_unacknowledged(core: Books) -> None:
    """Only of what has ended an acknowledgement is awaited, and the alarm is set to the first to be said again."""
    assert isinstance(core, Acknowledging)
    dues = [one.again_us for one in core.unacknowledged.values()]
    assert dues == sorted(dues) and core.alarms.get("acknowledgement") == (dues[0] if dues else None)
    assert not core.unacknowledged.keys() & core.tasks.keys()


def _check_order(core: Books) -> None:
    """The order holds every framework once, in lines that are sorted, and knows what each place holds."""
    waiting = {client.bits: client for client in core.order.walk()}
    assert waiting == {framework.client.bits: framework.client for framework in core.frameworks.values()}
    _check_place(core, core.order.root)


def _check_place(core: Books, place: Client) -> None:
    if place.line is not None:
        below = [key[3] for key in place.line]
        assert place.line == sorted(place.line) and all(client.parent is place for client in below)
        assert place.bits == sum(client.bits for client in below) or place is core.order.root
        held = add_up(Resources.of(client.held) for client in below)
        assert place is core.order.root or Resources.of(place.held) == held, (
            f"{place} holds {place.held}, those in it {held}"
        )
        for client in below:
            assert len(below) == 1 or client.key == (core.order.share(client), client.allocations, client.path, client)
            _check_place(core, client)


def _check_short(core: Books) -> None:
    """What is kept for short tasks is free, or in the offers and tasks that took it."""
    for agent in core.agents.values():
        holders = [*agent.tasks.values(), *(() if core.optimistic else agent.offers.values())]
        taken = add_up(one.short or NOTHING for one in holders)
        assert agent.short_free + taken == (agent.short or NOTHING), f"{agent.name} lost some of {agent.short}"
        assert agent.short_free <= agent.free, f"{agent.name}: {agent.short_free} of {agent.free}"


def _check_reservations(core: Books) -> None:
    """What is reserved is part of the agent, and is free or in the offers and tasks that took it."""
    reserved, used = dict.fromkeys(core.roles, NOTHING), dict.fromkeys(core.roles, NOTHING)
    for agent in core.agents.values():
        taken = [offer.reserved or {} for offer in agent.offers.values()]
        taken += [task.reserved or {} for task in agent.tasks.values()]
        for name, part in agent.reserved.items():
            in_use = add_up(parts.get(name, NOTHING) for parts in taken)
            assert part == agent.reserved_free.get(name, NOTHING) + in_use, f"{agent.name} lost some of {name}'s {part}"
            reserved[outermost(name)] += part.counted
            used[outermost(name)] += in_use.counted
        assert all(name in agent.reserved for parts in taken for name in parts)
        assert add_up(agent.reserved_free.values()) <= agent.free, (
            f"{agent.name}: {agent.reserved_free} of {agent.free}"
        )
    for role in core.roles.values():
        assert (role.reserved, role.reserved_used) == (reserved[role.name], used[role.name]), role


def _check_ahead(core: Books) -> None:
    """What was launched ahead holds nothing, waits for a live task of its framework, and is known from every side."""
    assert {task.next for task in core.tasks.values() if task.next} == core.ahead.keys()
    assert sum(len(framework.ahead) for framework in core.frameworks.values()) == len(core.ahead)
    for following in core.ahead.values():
        before = core.tasks[following.after]
        assert before.next == following.id and before.agent == following.agent
        assert before.framework == following.framework
        assert core.frameworks[following.framework].ahead[following.id] is following
        assert following.id not in core.tasks and following.id not in core.ended
