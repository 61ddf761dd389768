"""FastDRF grants what DRF grants, in the same order, and leaves to it what it does not take."""

from random import Random

import pytest

pytest.importorskip("numba", reason="numba is optional: pip install 'mesonb[fast]'")

from mesonb.core import calls
from mesonb.core.books import Settings
from mesonb.core.master import MasterCore
from mesonb.core.resources import Resources
from mesonb.fast import FastDRF
from mesonb.fast.drf import WORTH_IT, decide, one_line

KINDS = [Resources(cpus=4, mem="16GiB"), Resources(cpus=8, mem="32GiB"), Resources(cpus=16, mem="64GiB", gpus=1)]


def both(seed: int, roles: int, frameworks: int, agents: int = 2 * WORTH_IT) -> list[MasterCore]:
    """Drive two cores through the same full cycles, with weights, refusals and tasks; compare every answer."""
    plain, fast, dice = MasterCore(Settings(), None), MasterCore(Settings(), FastDRF()), Random(seed)
    sent: list[calls.Call] = [calls.SetWeight(f"role-{n}", dice.choice((1000, 2000, 3500))) for n in range(roles)]
    sent += [calls.Subscribe(f"f{n:03}", f"role-{n % roles}") for n in range(frameworks)]
    sent += [calls.AgentJoined(f"agent-{n}", dice.choice(KINDS)) for n in range(agents)]
    for now_us in range(4):
        for call in [*sent, calls.Tick()]:
            assert plain.step(call, now_us) == fast.step(call, now_us)
        assert plain.next_deadline() == fast.next_deadline()
        sent = [answer(offer, dice) for offer in plain.offers.values() if dice.random() < 0.9]
    assert plain.offers == fast.offers
    return [plain, fast]


def answer(offer, dice) -> calls.Call:
    if dice.random() < 0.7:
        return calls.Decline(offer.framework, (offer.id,), dice.choice((0, 0, 10**9)))
    return calls.Accept(
        offer.framework, (offer.id,), (calls.TaskInfo(f"{offer.id}/t", Resources(cpus=dice.choice((0.5, 1)))),), 0
    )


@pytest.mark.parametrize(("roles", "frameworks"), [(1, 70), (40, 40), (130, 130), (3, 9)])
def test_the_same_grants(roles, frameworks) -> None:
    _, fast = both(roles, roles, frameworks)
    assert (one_line(fast) is None) == (1 < roles < frameworks)


def test_amounts_that_doubles_do_not_hold_are_left_to_plain_python() -> None:
    core = MasterCore(Settings(), FastDRF())
    core.step(calls.Subscribe("f"), 0)
    for number, size in enumerate((2**53 + 1, 2)):
        core.step(calls.AgentJoined(f"agent-{number}", Resources.of({"mem": size})), 0)
    assert decide(core, list(core.agents.values()), one_line(core)) is None
