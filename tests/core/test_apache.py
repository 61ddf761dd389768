"""Apache Mesos's own rules: its order and ties, its batches, its triggers, how long its filters last."""

import pytest

from mesonb.core.books import Settings
from mesonb.core.calls import (
    Accept,
    AgentJoined,
    Decline,
    Drain,
    EndMaintenance,
    PlanMaintenance,
    Reserve,
    Resume,
    Revive,
    SetGuarantee,
    SetLimit,
    SetPriority,
    SetWeight,
    Subscribe,
    Suppress,
    TaskInfo,
    TaskUpdate,
    Undrain,
)  # fmt: skip
from mesonb.core.events import OfferMade, Rescinded
from mesonb.core.order import Client, Order
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked

S = 1_000_000
MACHINE = Resources(cpus=4, mem="4GB")
SMALL = Resources(cpus=1, mem="1GB")
APACHE = Settings(allocation_interval_us=S, allocate_on_recovery=False, offer_timeout_us=0)


def offers(out) -> list[tuple[str, str]]:
    return [(event.framework, event.agent) for event in out if isinstance(event, OfferMade)]


# -- pacing ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def core() -> Checked:
    """One agent, offered to f1 half a second after a batch."""
    core = Checked(APACHE)
    core.tell(Subscribe("f1"), at_us=S // 2)
    assert offers(core.tell(AgentJoined("agent-1", MACHINE))) == [("f1", "agent-1")]
    return core


def decline(core, refuse_us) -> list[tuple[str, str]]:
    return offers(core.tell(Decline("f1", tuple(core.offers), refuse_us)))


def test_a_decline_is_no_reason_to_allocate(core) -> None:
    assert decline(core, 0) == []
    assert core.next_deadline() == S
    assert offers(core.tell(at_us=S - 1)) == []
    assert offers(core.tell(at_us=S)) == [("f1", "agent-1")]


def test_a_tasks_end_is_no_reason_to_allocate(core) -> None:
    core.tell(Accept("f1", ("offer-1",), (TaskInfo("f1/t", MACHINE),)))
    assert offers(core.tell(TaskUpdate("agent-1", "f1/t", TaskState.FINISHED))) == []
    assert offers(core.tell(at_us=S)) == [("f1", "agent-1")]


@pytest.mark.parametrize("call", [Subscribe("f0"), Revive("f1"), Subscribe("f1")])
def test_who_comes_or_revives_is_a_reason_to_allocate_everywhere(core, call) -> None:
    core.tell(Decline("f1", tuple(core.offers), 0))
    assert offers(core.tell(call)) == [(call.framework, "agent-1")]


def test_a_new_agent_is_a_reason_to_allocate_there_alone(core) -> None:
    core.tell(Decline("f1", tuple(core.offers), 0))
    assert offers(core.tell(AgentJoined("agent-2", MACHINE))) == [("f1", "agent-2")]


OPERATORS = [
    SetWeight("*", 2000), SetGuarantee("*", SMALL), SetLimit("*", MACHINE), SetPriority("*", 2),
    Reserve("agent-1", "*", SMALL), Suppress("f1"), Resume(),
]  # fmt: skip


@pytest.mark.parametrize("call", OPERATORS, ids=lambda call: type(call).__name__)
def test_what_an_operator_says_is_no_reason_to_allocate(core, call) -> None:
    core.tell(Decline("f1", tuple(core.offers), 0))
    assert offers(core.tell(call)) == []


def test_an_agent_that_is_drained_no_more_waits_for_the_next_batch(core) -> None:
    core.tell(Drain("agent-1"))
    assert offers(core.tell(Undrain("agent-1"))) == []
    assert offers(core.tell(at_us=S)) == [("f1", "agent-1")]


@pytest.mark.parametrize("first", [(), (Decline("f1", ("offer-1",), 0),)], ids=["offered", "declined"])
def test_maintenance_that_is_planned_or_called_off_is_a_reason_to_allocate_there_alone(core, first) -> None:
    core.tell(AgentJoined("agent-2", MACHINE))
    core.tell(Decline("f1", ("offer-2",), 0), *first)
    assert offers(core.tell(PlanMaintenance("agent-1", 60 * S))) == [("f1", "agent-1")]
    rescinded, again = core.tell(EndMaintenance("agent-1"))
    assert isinstance(rescinded, Rescinded) and offers([again]) == [("f1", "agent-1")]
    core.tell(PlanMaintenance("agent-1", 60 * S))
    core.tell(Decline("f1", tuple(core.offers), 0))
    assert offers(core.tell(EndMaintenance("agent-1"))) == [("f1", "agent-1")]


def test_a_filter_lasts_at_least_until_the_next_batch(core) -> None:
    """Declined at 0.5 s for a millisecond: the batch at 1 s still passes it over, that at 2 s does not."""
    decline(core, 1000)
    assert offers(core.tell(at_us=S)) == []
    assert offers(core.tell(at_us=2 * S)) == [("f1", "agent-1")]


def test_a_filter_covers_the_next_batch_even_when_it_ends_with_it(core) -> None:
    core.tell(Decline("f1", tuple(core.offers), 0))
    core.tell(at_us=S)
    assert decline(core, S) == []
    assert offers(core.tell(at_us=2 * S)) == []
    assert offers(core.tell(at_us=3 * S)) == [("f1", "agent-1")]


def test_a_filter_that_ends_in_the_instant_of_a_batch_is_gone_for_it(core) -> None:
    core.tell(Decline("f1", tuple(core.offers), 0))
    core.tell(at_us=S)
    assert decline(core, 5 * S) == []
    assert all(offers(core.tell(at_us=second * S)) == [] for second in range(2, 6))
    assert offers(core.tell(at_us=6 * S)) == [("f1", "agent-1")]


def test_a_filter_is_seen_by_every_run_before_its_end(core) -> None:
    decline(core, 5 * S)
    assert offers(core.tell(AgentJoined("agent-2", MACHINE), at_us=2 * S)) == [("f1", "agent-2")]
    assert offers(core.tell(at_us=5 * S)) == []
    assert offers(core.tell(at_us=6 * S)) == [("f1", "agent-1")]


def test_batches_stop_when_there_is_nothing_to_allocate(core) -> None:
    assert core.next_deadline() is None


def test_a_batch_with_recovery_as_well() -> None:
    core = Checked(Settings(allocation_interval_us=S))
    core.tell(Subscribe("f1"), Subscribe("f2"), AgentJoined("agent-1", MACHINE))
    assert offers(core.tell(Decline("f1", ("offer-1",), 3 * S))) == [("f2", "agent-1")]


# -- order ----------------------------------------------------------------------------------------------------------


def test_agents_in_the_order_that_was_asked_for() -> None:
    orders = {}
    for order in ("changed", "joined", "shuffled"):
        core = Checked(Settings(seed=3, agent_order=order, offer_timeout_us=0))
        names = [f"agent-{number}" for number in (5, 3, 9, 1, 7)]
        core.tell(*(AgentJoined(name, MACHINE) for name in names))
        core.tell(Subscribe("f"))
        core.tell(*(Decline("f", (offer,), 0) for offer in reversed(list(core.offers))))
        orders[order] = [agent for _, agent in offers(core.tell(at_us=1))]
    assert orders["joined"] == names
    assert orders["changed"] == names[::-1]
    assert sorted(orders["shuffled"]) == sorted(names) and orders["shuffled"] not in (names, names[::-1])


def test_ties_go_to_fewer_allocations_and_then_to_the_path() -> None:
    core = Checked()
    core.tell(Subscribe("b"), Subscribe("a"))
    assert offers(core.tell(AgentJoined("agent-1", MACHINE))) == [("a", "agent-1")]
    core.tell(Decline("a", tuple(core.offers)))
    core.tell(Decline("b", tuple(core.offers)))
    assert offers(core.tell(Revive("a"), Revive("b"), at_us=1)) == [("a", "agent-1")]
    assert offers(core.tell(Decline("a", tuple(core.offers), 0))) == [("b", "agent-1")]


def test_a_count_is_not_reset_by_a_release_or_a_pause_of_interest() -> None:
    core = Checked()
    core.tell(Subscribe("a"), AgentJoined("agent-1", MACHINE))
    core.tell(Decline("a", tuple(core.offers)), Suppress("a"))
    core.tell(Subscribe("b"))
    core.tell(Decline("b", tuple(core.offers)))
    core.tell(Subscribe("c"), at_us=1)
    core.tell(Decline("c", tuple(core.offers)), Revive("a"), at_us=2)
    assert [core.frameworks[name].allocations for name in "abc"] == [2, 1, 1]


# -- the sorter -------------------------------------------------------------------------------------------------------


class Sorter:
    """Clients by path, each with one framework, as Apache Mesos's sorter tests speak of them."""

    def __init__(self, **total: float | str) -> None:
        self.order, self.clients = Order(), {}
        self.order.set_total(Resources(**total))

    def add(self, *paths: str) -> None:
        for path in paths:
            self.clients[path] = Client(path, bits=1 << len(self.clients), leaf=True)
            self.order.attach(self.clients[path], self.order.seat(path))

    def remove(self, path: str) -> None:
        self.order.detach(self.clients.pop(path))
        self.order.unseat(path)

    def allocated(self, path: str, **amounts: float) -> None:
        self.order.charge(self.clients[path], Resources(**amounts), counted=True)

    def sort(self) -> list[str]:
        return [client.path for client in self.order.walk()]


def test_shares_then_names() -> None:
    sorter = Sorter(cpus=100, mem="100KB")
    sorter.add("a", "b")
    sorter.allocated("a", cpus=5, mem="5KB")
    sorter.allocated("b", cpus=6, mem="6KB")
    assert sorter.sort() == ["a", "b"]
    sorter.add("c")
    assert sorter.sort() == ["c", "a", "b"]
    sorter.order.weigh("b", 3000)
    assert sorter.sort() == ["c", "b", "a"]


def test_a_branch_is_sorted_by_all_that_it_holds() -> None:
    sorter = Sorter(cpus=100)
    sorter.add("a", "b/c", "b/d")
    sorter.allocated("a", cpus=9)
    sorter.allocated("b/c", cpus=6)
    sorter.allocated("b/d", cpus=4)
    assert sorter.sort() == ["a", "b/d", "b/c"]
    sorter.allocated("a", cpus=2)
    assert sorter.sort() == ["b/d", "b/c", "a"]


def test_a_leaf_becomes_a_parent_and_a_leaf_again() -> None:
    sorter = Sorter(cpus=100)
    sorter.add("a", "b")
    sorter.allocated("a", cpus=10)
    sorter.allocated("b", cpus=11)
    sorter.add("a/x")
    sorter.allocated("a/x", cpus=3)
    assert sorter.sort() == ["b", "a/x", "a"]
    assert sorter.order.places["a"].held["cpus"] == 13_000
    assert sorter.order.places["a/."].held["cpus"] == 10_000
    sorter.order.uncharge(sorter.clients["a/x"], Resources(cpus=3))
    sorter.remove("a/x")
    assert sorter.sort() == ["a", "b"]
    assert set(sorter.order.places) == {"a", "b"}


def test_deep_paths_come_and_go() -> None:
    sorter = Sorter(cpus=10)
    sorter.add("a/b/c/d")
    sorter.add("a/b")
    assert sorter.sort() == ["a/b", "a/b/c/d"]
    sorter.remove("a/b/c/d")
    sorter.remove("a/b")
    assert sorter.sort() == [] and not sorter.order.places


@pytest.mark.parametrize(("not_shared", "next_one"), [((), "plain"), (("gpus",), "taker")])
def test_a_resource_that_is_not_shared_starves_nobody(not_shared, next_one) -> None:
    """One gpu among many agents: whoever takes it holds all gpus there are, and is never offered anything else."""
    core = Checked(Settings(not_shared=not_shared))
    core.tell(Subscribe("taker"), AgentJoined("agent-0", Resources(cpus=1, gpus=1)))
    core.tell(Suppress("taker"), Subscribe("plain"), AgentJoined("agent-1", Resources(cpus=8)))
    core.tell(Revive("taker"), Revive("plain"))
    assert offers(core.tell(AgentJoined("agent-2", Resources(cpus=8)))) == [(next_one, "agent-2")]


# -- minimum sizes ----------------------------------------------------------------------------------------------------


def test_crumbs_are_not_offered() -> None:
    core = Checked(Settings(min_allocatable=(Resources(cpus=0.01), Resources(mem="32MiB"))))
    core.tell(Subscribe("f"))
    assert offers(core.tell(AgentJoined("crumb", Resources(cpus=0.009, mem="31MiB")))) == []
    assert offers(core.tell(AgentJoined("bread", Resources(mem="32MiB")))) == [("f", "bread")]


def test_a_framework_may_ask_for_more_than_the_minimum() -> None:
    core = Checked()
    core.tell(Subscribe("big", min_offer=(Resources(cpus=4),)), Subscribe("small"))
    assert offers(core.tell(AgentJoined("agent-1", SMALL))) == [("small", "agent-1")]
    assert offers(core.tell(AgentJoined("agent-2", MACHINE))) == [("big", "agent-2")]


def test_an_agent_may_wait_until_enough_is_free() -> None:
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("agent-1", MACHINE, min_offer=(Resources(cpus=3),)))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t1", Resources(cpus=2)), TaskInfo("t2", SMALL)), 0))
    assert offers(core.tell(at_us=1)) == []
    assert offers(core.tell(TaskUpdate("agent-1", "t1", TaskState.FINISHED), at_us=2)) == [("f", "agent-1")]


def test_a_weight_of_a_role_without_frameworks_rescinds_nothing() -> None:
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("agent-1", MACHINE))
    assert not [event for event in core.tell(SetWeight("empty", 5000)) if isinstance(event, Rescinded)]
