"""Any calls in any order: the books balance after every step, and a rejected call changes nothing.

``Checked`` asserts both on each step. Two ways here: a hypothesis state machine, which shrinks what it finds, and a
fuzzer, which goes further.
"""

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from mesonb.core import calls, events
from mesonb.core.books import Settings
from mesonb.core.invariants import check
from mesonb.core.master import MasterCore
from mesonb.core.resources import Resources
from mesonb.testing import AGENTS, FRAMEWORKS, ROLES, Checked, arbitrary_call

HALF = Resources(cpus=0.5)


class AnyCalls(RuleBasedStateMachine):
    """Frameworks and agents that do whatever they like, in virtual time."""

    @initialize(size=st.sampled_from([None, Resources(cpus=1, mem="1GiB")]))
    def begin(self, size) -> None:
        self.core = Checked(Settings(seed=1, offer_timeout_us=20_000_000, offer_size=size))
        self.core.tell(calls.Subscribe("f1"), calls.AgentJoined("agent-1", Resources(cpus=4, mem="4GiB")))

    @rule(agent=st.sampled_from(AGENTS), cpus=st.integers(0, 8), lost=st.booleans())
    def agent(self, agent, cpus, lost) -> None:
        self.core.tell(calls.AgentLost(agent) if lost else calls.AgentJoined(agent, Resources(cpus=cpus, mem="2GiB")))

    @rule(framework=st.sampled_from(FRAMEWORKS), role=st.sampled_from(ROLES))
    def subscribe(self, framework, role) -> None:
        self.core.tell(calls.Subscribe(framework, role))

    @rule(framework=st.sampled_from(FRAMEWORKS), kind=st.sampled_from([calls.Suppress, calls.Revive, calls.Unregister]))
    def framework(self, framework, kind) -> None:
        self.core.tell(kind(framework))

    @rule(role=st.sampled_from(ROLES), weight=st.integers(-1, 4))
    def weight(self, role, weight) -> None:
        self.core.tell(calls.SetWeight(role, weight * 500))

    @rule(pick=st.integers(0, 9), parts=st.integers(0, 4), refuse_us=st.sampled_from([0, 1, 5_000_000, -1]))
    def answer(self, pick, parts, refuse_us) -> None:
        offers = list(self.core.offers.values())
        if offers:
            offer = offers[pick % len(offers)]
            tasks = tuple(calls.TaskInfo(f"{offer.id}/{i}", HALF) for i in range(parts))
            self.core.tell(calls.Accept(offer.framework, (offer.id,), tasks, refuse_us))

    @rule(pick=st.integers(0, 9), state=st.sampled_from(calls.TaskState))
    def update(self, pick, state) -> None:
        tasks = [*self.core.tasks.values(), *self.core.ahead.values()]
        if tasks:
            task = tasks[pick % len(tasks)]
            self.core.tell(calls.TaskUpdate(task.agent, task.id, state))

    @rule(pick=st.integers(0, 9))
    def ahead(self, pick) -> None:
        tasks = list(self.core.tasks.values())
        if tasks:
            task = tasks[pick % len(tasks)]
            self.core.tell(calls.LaunchNext(task.framework, task.id, f"{task.id}.{self.core.steps}"))

    @rule(seed=st.integers(0, 2**32))
    def anything(self, seed) -> None:
        self.core.step(arbitrary_call(self.core, Random(seed)), self.core.now_us)

    @rule(later_us=st.sampled_from([0, 1, 1_000_000, 30_000_000]))
    def time(self, later_us) -> None:
        self.core.tell(at_us=self.core.now_us + later_us)

    @rule()
    def deadline(self) -> None:
        due_us = self.core.next_deadline()
        if due_us is not None:
            assert due_us >= self.core.now_us
            self.core.tell(at_us=due_us)


def test_any_calls_leave_the_books_balanced() -> None:
    run_state_machine_as_test(AnyCalls, settings=settings(max_examples=40, stateful_step_count=50))


SETTINGS = [
    Settings(grace_us=2_000_000),
    Settings(allocation_interval_us=1_000_000, allocate_on_recovery=False, agent_order="shuffled"),
    Settings(
        offer_size=Resources(cpus=1), min_allocatable=(Resources(cpus=0.5),), not_shared=("gpus",), gpus_on_request=True
    ),
]


@pytest.mark.parametrize("seed", range(3))
def test_arbitrary_calls_of_a_fixed_seed(seed) -> None:
    fuzz(Checked(SETTINGS[seed]), seed, 800)


def test_arbitrary_calls_of_a_new_seed(random_seed) -> None:
    fuzz(Checked(), random_seed, 800)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_hundred_thousand_arbitrary_calls(random_seed) -> None:
    fuzz(Checked(), random_seed, 100_000)


def fuzz(core: MasterCore, seed: int, times: int) -> None:
    dice = Random(seed)
    kinds = set()
    for _ in range(times):
        due_us = core.next_deadline()
        now_us = due_us if due_us is not None and dice.random() < 0.2 else core.now_us + dice.randrange(1_000_000)
        kinds |= {type(event) for event in core.step(arbitrary_call(core, dice), now_us)}
    check(core)
    assert {events.OfferMade, events.Rejected, events.Launch} <= kinds


class Careless(Checked):
    """Changes something before it looks, and so when it refuses; or puts an equal thing in the place of another."""

    def set_weight(self, call) -> None:
        if call.role == "lab":
            self.incarnations["f"] = self.incarnations.get("f", 0) + 1
        self.ended = dict(self.ended)
        super().set_weight(call)


def test_a_rejected_call_that_changed_anything_is_found_out_and_an_equal_thing_is_no_change() -> None:
    core = Careless()
    core.tell(calls.Subscribe("f", "lab"), calls.SetWeight("eng", 0), calls.SetWeight("lab", 2000))
    with pytest.raises(AssertionError, match="was rejected, yet changed the books"):
        core.tell(calls.SetWeight("lab", 0))
