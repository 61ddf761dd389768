"""DRF's cycle with no go-between: what ``DRF.cycle`` would grant, in the same order, offered at once.

Rule: nothing is decided here that ``Limits`` does not decide. An agent of which nothing special is to be thought of goes
whole to whose turn it is; any other takes the long way, by ``next_in_line``. The oracle in the tests is held against it.
"""

from __future__ import annotations

from mesonb.core.books import NEVER_US
from mesonb.core.events import Event, Held, OfferMade
from mesonb.core.pacing import Pacing
from mesonb.core.records import Agent
from mesonb.core.resources import NOTHING


def offer_in_turn(core: Pacing) -> list[Event]:
    """Offer each agent with room to whoever is furthest below its weighted share, until nobody wants what is left."""
    made: list[Event] = []
    now_us, wanted, special = core.now_us, core.active, core.bounded or core.optimistic
    first, allot, by_bit = core.order.first, core.order.allot, core.by_bit
    ends_us, prefix, steps, offers = now_us + core._offers_last_us, core._offer_prefix, core.steps, core.offers
    in_order = core.settings.agent_order == "changed"
    for agent in list(core.dirty.values()) if in_order else core.agents_in_order():
        free = agent.free
        if not free._amounts:
            continue
        if special or agent.filtered or agent.closed or agent.tried_us == now_us or agent.short:
            made += _by_the_rules(core, agent)
            continue
        client = first(wanted)
        if client is None:
            break  # nobody wants anything
        framework = by_bit[client.bits]
        if framework.terms:
            made += _by_the_rules(core, agent)
            continue
        # From here on Books.open_offer, for an agent that goes whole; the call alone would be a tenth of it.
        core._offers_made = number = core._offers_made + 1
        name = f"{prefix}{number}"
        offer = OfferMade(framework.name, name, agent.name, free, ends_us, agent.max_task_us, agent.closes_us)
        noted: Held = offer  # by its own name, because mypy takes a dataclass for all slots that there are
        noted.made_us, noted.reserved, noted.changes = now_us, None, -1
        offers[name] = agent.offers[name] = framework.offers[name] = offer
        allot(client, free)
        agent.free, agent.moved, agent.tried_us, agent.tried = NOTHING, steps, now_us, client.bits
        if ends_us < NEVER_US:
            core.unanswered.append(offer)
        made.append(offer)
    return made


def _by_the_rules(core: Pacing, agent: Agent) -> list[Event]:
    made: list[Event] = []
    while agent.free is not NOTHING and (grant := core.next_in_line(agent)):
        made.append(core.open_offer(grant.agent, grant.framework, grant.resources))
    return made
