"""One offer that becomes one task, in one function: what nearly every accept is, and none of what is special about others.

Rule: nothing is decided here that ``MasterCore._accept`` does not decide, and nothing is said to be wrong here. An accept
of which anything is special, or wrong, is left as it is, for the long way; the transcripts and the state machine in the
tests go both. It is written flat because it is taken a hundred thousand times a second: as ten small functions it cost
twice as much.
"""

from __future__ import annotations

from mesonb.core.calls import Accept
from mesonb.core.events import Event, Launch
from mesonb.core.records import Task, TaskState
from mesonb.core.resources import Resources
from mesonb.core.settling import Settling


def launch_one(core: Settling, call: Accept) -> list[Event] | None:
    """Turn one offer into one task and the rest of it into free resources; None if that is not all there is to it."""
    framework = core.frameworks.get(call.framework)
    if framework is None or len(call.offers) != 1 or len(call.launches) != 1 or core.optimistic:
        return None
    name, launch = call.offers[0], call.launches[0]
    offer, task, needs = framework.offers.get(name), launch.task, launch.needs
    if (
        offer is None
        or not task
        or task in core.tasks
        or task in core.ended
        or task in core.ahead
        or type(needs) is not Resources
    ):
        return None
    agent, held = core.agents[offer.agent], offer.resources
    if agent.max_task_us or agent.closes_us or agent.reserved or held.itemised:
        return None
    if needs is not held and not (needs._amounts and needs <= held):
        return None
    del core.offers[name], agent.offers[name], framework.offers[name]
    if core.unanswered:
        core.forget_answered_at_times()
    agent.changes += 1
    agent.moved = core.steps
    if needs is not held and (left := held - needs)._amounts:
        core.give_back(agent, framework, left)
        if call.refuse_us:
            core.add_filter(framework, agent.name, left, call.refuse_us)
    now_us, offset_us, tallies = core.now_us, framework.offset_us, framework.tallies
    entered = Task(task, framework.name, agent.name, needs, TaskState.STAGING, now_us)
    core.tasks[task] = agent.tasks[task] = framework.tasks[task] = entered  # its offer has paid for it
    for resource, n in needs._amounts.items():
        offset_us[resource] += n * now_us
    tallies["accepted"] += 1
    tallies["launched"] += 1
    if not agent.free._amounts and core.dirty:
        core.dirty.pop(agent.name, None)  # no cycle has anything to look at there
    return [Launch(agent.name, framework.name, task, needs)]
