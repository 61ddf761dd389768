"""What seldom happens: long memories are cut, explanations of what is gone, a bit that nobody has."""

import pytest

import mesonb as mb
from mesonb.core import books, calls
from mesonb.core.allocator import Allocator, View
from mesonb.core.books import Settings
from mesonb.core.calls import (
    Accept,
    AgentJoined,
    Decline,
    Drain,
    Pause,
    Resume,
    Revive,
    Revoke,
    RunningTask,
    SetGuarantee,
    SetLimit,
    SetWeight,
    Subscribe,
    Suppress,
    TaskInfo,
    TaskUpdate,
    Undrain,
    Unregister,
)
from mesonb.core.events import Kill, OfferMade
from mesonb.core.explain import explain
from mesonb.core.limits import Why
from mesonb.core.master import MasterCore
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.errors import BadValue, NotThere
from mesonb.testing import Checked

CPU = Resources(cpus=1)


def test_answered_offers_are_forgotten_behind_one_that_is_not() -> None:
    core = Checked(Settings(offer_timeout_us=10**12))
    core.tell(Subscribe("sleepy"), AgentJoined("agent-1", CPU), Suppress("sleepy"), Subscribe("f"))
    core.tell(AgentJoined("agent-2", CPU))
    for now_us in range(1, 300):
        core.tell(*(Decline("f", (offer,), 0) for offer in list(core.frameworks["f"].offers)), at_us=now_us)
    assert len(core.unanswered) < 200


def test_only_the_last_ended_tasks_are_remembered(monkeypatch) -> None:
    monkeypatch.setattr(books, "ENDED_KEPT", 1)
    monkeypatch.setattr(books, "FORGOTTEN_TOGETHER", 1)
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU * 3))
    core.tell(Accept("f", ("offer-1",), tuple(TaskInfo(f"t{n}", CPU) for n in range(3))))
    core.tell(*(TaskUpdate("agent-1", f"t{n}", TaskState.FINISHED) for n in range(3)))
    assert list(core.ended) == ["t1", "t2"]


def test_a_module_without_a_cycle_says_so() -> None:
    core = Checked()
    with pytest.raises(NotImplementedError):
        Allocator().cycle(View(core))
    assert repr(Allocator()) == "Allocator()"


def test_a_question_about_guarantees_leaves_nothing_stale_behind() -> None:
    core = Checked()
    core.tell(SetGuarantee("lab", CPU), Subscribe("f"), Suppress("f"), AgentJoined("agent-1", CPU))
    assert explain(core, "f", "agent-1") and core.surplus() == {"cpus": 0}
    core.step(AgentJoined("agent-2", CPU), 0)
    out = core.tell(Revive("f"))
    assert sum(isinstance(event, OfferMade) for event in out) == 1, "of two cpus one is kept back"


def test_what_is_no_call_is_a_defect_of_the_shell() -> None:
    with pytest.raises(AssertionError, match="'sing'"):
        MasterCore().step("sing", 0)


def test_a_kill_that_was_due_is_forgotten_with_its_task() -> None:
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU),)), Revoke("t", 5), Suppress("f"))
    assert core.next_deadline() == 5
    core.tell(TaskUpdate("agent-1", "t", TaskState.FINISHED), at_us=1)
    assert core.next_deadline() is None and not core.kills_due


def test_a_refusal_that_waited_for_a_batch_may_outlive_its_framework() -> None:
    core = Checked(Settings(allocation_interval_us=10, allocate_on_recovery=False, offer_timeout_us=0))
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU), at_us=1)
    core.tell(Decline("f", ("offer-1",), 1), Pause())
    core.tell(at_us=11)
    assert core.after_batch
    core.tell(Unregister("f"), Subscribe("g"), Resume(), at_us=12)
    assert not core.after_batch and core.frameworks["g"].offers


def test_a_share_is_divided_by_the_weight_of_the_role() -> None:
    core = Checked()
    core.tell(
        Subscribe("f", "lab"),
        SetWeight("lab", 2000),
        AgentJoined("agent-1", CPU),
        AgentJoined("agent-2", CPU),
        Subscribe("g"),
    )
    assert View(core).weighted_share(core.frameworks["f"]) == 0.25  # one of two agents, by a weight of 2


def test_nobody_has_a_bit_that_was_never_given() -> None:
    core = Checked()
    core.tell(Subscribe("f"))
    assert core.order.first(1 << 40) is None
    assert "f" in repr(core.frameworks["f"].client)


def test_tasks_of_an_agent_for_short_ones_keep_their_time_when_draining_ends() -> None:
    core = Checked()
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU, max_task_us=100))
    core.tell(Accept("f", ("offer-1",), (TaskInfo("t", CPU),)))
    core.tell(Drain("agent-1", 10**9), Undrain("agent-1"), at_us=40)
    assert not [event for event in core.tell(at_us=99) if isinstance(event, Kill)]
    assert [event.task for event in core.tell(at_us=100) if isinstance(event, Kill)] == ["t"]


def test_a_session_explains_and_says_what_it_does_not_know() -> None:
    sim = mb.Simulation(agents=[mb.Resources(cpus=2, mem="1GB")])
    sim.runs_for(print, "1s", execute=False)
    queue = sim.register(mb.Queue(needs=mb.Resources(cpus=1)), name="q", role="lab")
    runs = queue.map(print, range(3))
    sim.run("500ms")
    task = runs[0].task.id
    assert "running" in sim.explain(task).sentence
    assert "q is not offered agent-1" in sim.explain("q", agent="agent-1").sentence
    assert "runs 2 tasks" in sim.explain("agent-1").sentence
    sim.guarantees["lab"] = mb.Resources(cpus=1)
    assert "guaranteed 1 cpu" in sim.explain("lab").sentence
    sim.run("5s")
    assert "ended: finished" in sim.explain(task).sentence
    assert sim.explain("agent-1").reasons[0].why in {Why.SUPPRESSED, Why.FILTER}
    with pytest.raises(NotThere, match="q"):
        sim.explain("nobody")
    with pytest.raises(NotThere, match="agent-9"):
        sim.explain("q", agent="agent-9")


def test_what_cannot_be_said_of_roles_and_allocators() -> None:
    sim = mb.Simulation()
    with pytest.raises(BadValue, match="no amount"):
        sim.limits["lab"] = 3
    with pytest.raises(BadValue, match="not an allocator"):
        sim.allocator = 3
    sim.limits["lab"] = mb.Resources(cpus=1)
    assert dict(sim.limits) == {"lab": mb.Resources(cpus=1)} and len(sim.limits) == 1 and "lab" in repr(sim.limits)
    del sim.limits["lab"]
    sim.allocator = "FIFO"
    assert type(sim.allocator) is mb.FIFO


def test_a_pair_with_nothing_against_it() -> None:
    core = Checked()
    core.step(Subscribe("f"), 0)
    core.step(AgentJoined("agent-1", CPU), 0)
    assert explain(core, "f", "agent-1").sentence == "f may be offered agent-1, and is next"
    assert explain(core, "f").sentence.endswith("nothing stands in its way")
    assert "there are no agents" in explain(without_agents(), "f").sentence


def without_agents() -> Checked:
    core = Checked()
    core.tell(Subscribe("f"))
    return core


def test_what_one_holds_already_in_the_optimistic_mode() -> None:
    core = Checked(Settings(concurrency="optimistic"))
    core.tell(Subscribe("f"), AgentJoined("agent-1", CPU))
    assert explain(core, "f", "agent-1").reasons[0].why is Why.OWN_OFFER


def test_a_role_that_lacks_some_of_its_guarantee() -> None:
    core = Checked()
    core.tell(AgentJoined("agent-1", CPU), SetGuarantee("lab", CPU))
    assert "lacks 1 cpu" in explain(core, "lab").sentence


def test_how_tasks_ended_of_which_agents_tell_is_forgotten_in_time_too(monkeypatch) -> None:
    monkeypatch.setattr(books, "ENDED_KEPT", 2)
    monkeypatch.setattr(books, "FORGOTTEN_TOGETHER", 1)
    core = Checked(Settings(epoch=2))
    said = tuple(RunningTask(f"f/{n}", "f", Resources(cpus=1), "*", TaskState.FINISHED) for n in range(5))
    core.tell(AgentJoined("agent-1", Resources(cpus=1), tasks=said))
    assert list(core.ended) == ["f/2", "f/3", "f/4"]


@pytest.mark.parametrize(
    ("settings", "calls", "glance"),
    [
        (Settings(), (), True),
        (Settings(allocation_interval_us=1_000), (), False),
        (Settings(), (SetLimit("lab", Resources(cpus=1)),), False),
        (Settings(), (Subscribe("f"), AgentJoined("agent-1", Resources(cpus=1))), True),
    ],
    ids=["nothing", "batches", "limits", "an offer"],
)
def test_a_glance_never_misses_what_is_due(settings, calls, glance) -> None:
    """Where it says that nothing is due before a time, the exact answer is no sooner; room under a limit may open at once."""
    core = Checked(settings)
    core.tell(*calls)
    assert core.nothing_before(1_000) == glance
    assert not glance or (core.next_deadline() or 1_000) >= 1_000


def test_answers_to_offers_are_found_in_whatever_call_holds_them() -> None:
    yes, no = calls.Accept("f", ("offer-1",)), calls.Decline("f", ("offer-2",))
    assert list(calls.answers(no)) == [no]
    assert list(calls.answers(calls.AcceptAll("f", (yes, yes)))) == [yes, yes]
    assert list(calls.answers(calls.By("b", no))) == [no]
    assert list(calls.answers(calls.Tick())) == []
