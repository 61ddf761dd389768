"""DRF's cycle with no go-between: what ``DRF.cycle`` would grant, in the same order, offered at once.

Rule: nothing is decided here that ``Limits`` does not decide. An agent of which nothing special is to be thought of goes
whole to whose turn it is; any other takes the long way, by ``next_in_line``. The oracle in the tests is held against it.
"""

from __future__ import annotations

from mesonb.core.events import Event
from mesonb.core.pacing import Pacing
from mesonb.core.records import Agent
from mesonb.core.resources import NOTHING


def offer_in_turn(core: Pacing) -> list[Event]:
    """Offer each agent with room to whoever is furthest below its weighted share, until nobody wants what is left."""
    made: list[Event] = []
    now_us, wanted, special = core.now_us, core.active, core.bounded or core.optimistic
    first, by_bit, open_offer = core.order.first, core.by_bit, core.open_offer
    in_order = core.settings.agent_order == "changed"
    for agent in list(core.dirty.values()) if in_order else core.agents_in_order():
        free = agent.free
        if not free._amounts:
            continue
        if special or agent.filtered or agent.closed or agent.tried_us == now_us:
            made += _by_the_rules(core, agent)
            continue
        client = first(wanted)
        if client is None:
            break  # nobody wants anything
        framework = by_bit[client.bits]
        if framework.terms:
            made += _by_the_rules(core, agent)
        else:
            made.append(open_offer(agent, framework, free))
    return made


def _by_the_rules(core: Pacing, agent: Agent) -> list[Event]:
    made: list[Event] = []
    while agent.free is not NOTHING and (grant := core.next_in_line(agent)):
        made.append(core.open_offer(grant.agent, grant.framework, grant.resources))
    return made
