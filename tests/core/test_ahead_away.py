"""Tasks that are launched ahead, when agents, frameworks and masters are away, come back, or speak out of turn."""

from dataclasses import replace
from random import Random

import pytest

from mesonb.core import calls, events
from mesonb.core.begun import Begun
from mesonb.core.books import Settings
from mesonb.core.calls import Accept, AgentJoined, LaunchNext, RunningTask, Subscribe, TaskInfo, TaskUpdate
from mesonb.core.records import TaskState
from mesonb.testing import Checked
from tests.core.test_ahead import CPU, FINISHED, KILLED, LOST, RUNNING, begun, core, ends, never

__all__ = ["core"]  # a fixture


# -- those who are away ---------------------------------------------------------------------------------------------------


def test_an_agent_that_is_lost_never_began_what_waited_there(core) -> None:
    out = core.tell(calls.AgentLost("agent-1", "power"))
    assert [event.task for event in out if isinstance(event, events.Updated)] == ["n", "t"]
    assert never(out) == ["it never began: power"]


def test_an_agent_out_of_sight_goes_on_and_says_so_when_it_is_back(core) -> None:
    core.tell(calls.AgentUnreachable("agent-1"))
    assert never(core.tell(LaunchNext("f", "t", "m"))) == [], "t has a next one already"
    core.tell(calls.AgentBack("agent-1", (_says("t"), _says("n", "t"))))
    assert "n" in core.ahead and not core.ahead["n"].begun
    core.tell(calls.AgentUnreachable("agent-1"))
    out = core.tell(calls.AgentBack("agent-1", (_says("n"),)))
    assert [(event.task, event.state) for event in out if isinstance(event, events.Updated)] == [
        ("t", LOST),
        ("n", RUNNING),
    ]


def test_the_end_of_the_first_is_believed_of_an_agent_out_of_sight(core) -> None:
    core.tell(calls.AgentUnreachable("agent-1"))
    assert [(event.task, event.state) for event in ends(core, "t")] == [
        ("t", FINISHED),
        ("n", TaskState.UNREACHABLE),
    ]


def test_what_an_agent_does_not_know_never_began(core) -> None:
    core.tell(calls.AgentUnreachable("agent-1"))
    assert never(core.tell(calls.AgentBack("agent-1", (_says("t"),)))) == [
        "it never began: the launch of n never arrived"
    ]
    core.tell(LaunchNext("f", "t", "m"), calls.AgentUnreachable("agent-1"))
    out = core.tell(calls.AgentBack("agent-1", (_says("m", "t"),)))
    assert never(out) == ["it never began: the launch of t never arrived"]
    assert events.Kill("agent-1", "m") in out, "it waits for what never comes"


def test_what_was_asked_of_an_agent_out_of_sight_is_asked_again() -> None:
    core = begun(("t1", "t2"))
    core.tell(LaunchNext("f", "t1", "n1"), LaunchNext("f", "t2", "n2"))
    core.tell(calls.KillTask("f", "n1"), calls.Pause(), calls.AgentUnreachable("agent-1"))
    names = [("t1", ""), ("t2", ""), ("n1", "t1"), ("n2", "t2")]
    out = core.tell(calls.AgentBack("agent-1", tuple(_says(*name) for name in names)))
    assert events.Kill("agent-1", "n1") in out and events.Withdraw("agent-1", "n2") in out


def test_nothing_is_withdrawn_where_nobody_hears_it(core) -> None:
    core.tell(calls.AgentUnreachable("agent-1"), Subscribe("g"))
    assert not core.ahead["n"].withdrawn


def test_an_update_that_overtakes_the_end_of_the_first_is_believed(core) -> None:
    assert ends(core, "n", RUNNING) == []
    assert ends(core, "t")[1:] == [events.Updated("f", "n", RUNNING)]
    core.tell(LaunchNext("f", "n", "m"))
    assert ends(core, "m")[:1] == [events.Updated("f", "m", FINISHED)]
    assert not core.ahead and core.frameworks["f"].counts["finished"] == 2
    core.tell(LaunchNext("f", "n", "o"), TaskUpdate("agent-1", "o", RUNNING), TaskUpdate("agent-1", "o", LOST))
    assert core.frameworks["f"].counts["lost"] == 1, "it had begun"


def test_how_it_ended_is_said_until_it_is_acknowledged() -> None:
    core = begun(settings=Settings(update_retry_us=1_000_000))
    core.tell(LaunchNext("f", "t", "n"), TaskUpdate("agent-1", "n", LOST))
    assert core.tell(at_us=1_000_000) == [events.Updated("f", "n", LOST, "it never began: ")]
    assert core.tell(calls.Acknowledge("f", ("n",))) == [events.Acknowledged("agent-1", "n")]


def test_a_framework_that_leaves_takes_along_what_waits(core) -> None:
    assert core.tell(calls.Unregister("f"))[:2] == [events.Kill("agent-1", "n"), events.Kill("agent-1", "t")]
    ends(core, "t", KILLED)
    assert core.tasks["n"].killing and "f" in core.frameworks
    ends(core, "n", KILLED)
    assert "f" not in core.frameworks


def test_a_framework_that_registers_again_is_told_of_what_waits(core) -> None:
    out = core.tell(calls.Disconnect("f"), Subscribe("f"))
    assert next(event for event in out if isinstance(event, events.Subscribed)).tasks == ("t", "n")
    assert [event.state for event in core.tell(calls.Reconcile("f"))] == [TaskState.STAGING, TaskState.STAGING]
    core.tell(Subscribe("g"))
    assert core.tell(calls.Reconcile("g", ("n",)))[0].state is LOST
    assert "n" in core.ahead, "whoever else asks changes nothing"


def test_a_framework_in_several_roles_launches_ahead_where_the_first_runs() -> None:
    core = Checked()
    core.tell(Subscribe("f", "lab", roles=("eng",)), AgentJoined("agent-1", CPU), AgentJoined("agent-2", CPU))
    offers = [offer for offer in core.offers.values() if offer.framework == "f@eng"]
    core.tell(Accept("f", (offers[0].id,), (TaskInfo("t", CPU),), 0))
    core.tell(calls.Suppress("f"), LaunchNext("f", "t", "m"))
    assert core.ahead["m"].framework == "f@eng"
    assert core.tell(calls.Reconcile("f", ("m",)))[0].state is TaskState.STAGING
    assert [type(event) for event in core.tell(calls.KillTask("f", "m"))] == [events.Kill]
    core.tell(Subscribe("f", "lab"))
    assert core.tell(TaskUpdate(core.tasks["t"].agent, "m", KILLED))[0] == events.Updated("f", "m", KILLED)
    assert never(core.tell(LaunchNext("f", "t", "o"))), "it has left that role"


def test_one_of_several_schedulers_launches_ahead_if_it_is_the_active_one() -> None:
    core = Checked()
    core.tell(Subscribe("f", "lab", roles=("eng",), scheduler="a"), AgentJoined("agent-1", CPU))
    offer = next(iter(core.offers.values()))
    core.tell(calls.By("a", Accept("f", (offer.id,), (TaskInfo("t", CPU),), 0)), calls.Suppress("f"))
    assert isinstance(core.step(calls.By("b", LaunchNext("f", "t", "n")), 0)[0], events.Rejected)
    core.tell(calls.By("a", LaunchNext("f", "t", "m")))
    assert list(core.ahead) == ["m"]


def test_a_glance_tells_that_something_is_due_when_others_may_come_first(core) -> None:
    core.tell(at_us=core.now_us + calls.REFUSE_US)
    core.step(calls.Suppress("f"), core.now_us)
    assert core.next_deadline() == core.now_us and not core.nothing_before(core.now_us + 1)
    core.tell()
    assert core.next_deadline() is None


# -- another master -----------------------------------------------------------------------------------------------------


def _says(task, after="", epoch=1, state=RUNNING) -> RunningTask:
    return RunningTask(task, "f", CPU, state=TaskState.STAGING if after else state, epoch=epoch, after=after)


def found(*tasks, framework=True, **agent) -> tuple[Checked, list[events.Event]]:
    core = Checked(Settings(epoch=2))
    if framework:
        core.tell(Subscribe("f"), calls.Suppress("f"))
    return core, core.tell(AgentJoined("agent-1", CPU, tasks=tasks, **agent))


def test_another_master_takes_over_what_waits() -> None:
    core, out = found(_says("t"), _says("n", "t"))
    assert events.Updated("f", "n", TaskState.STAGING) in out
    ends(core, "t")
    assert list(core.tasks) == ["n"]
    assert core.tell(calls.AgentBack("agent-1", (_says("n"),))) == []


def test_a_framework_that_is_not_here_yet_is_told_when_it_comes() -> None:
    core, out = found(_says("t"), _says("n", "t"), framework=False)
    assert not [event for event in out if isinstance(event, events.Updated)]
    told = core.tell(Subscribe("f"))
    assert next(event for event in told if isinstance(event, events.Subscribed)).tasks == ("t", "n")


def test_what_waits_for_nothing_known_is_killed() -> None:
    for tasks in ((_says("n", "t"),), (_says("t"), _says("n", "t"), _says("m", "t"))):
        core, out = found(*tasks)
        assert events.Kill("agent-1", tasks[-1].task) in out
    _, out = found(_says("t"), _says("n", "t"), max_task_us=1)
    assert events.Kill("agent-1", "n") in out
    core, _ = found(_says("t"), _says("n", "t"))
    assert core.tell(AgentJoined("agent-2", CPU, tasks=(_says("n", "t"),)))[0] == events.Kill("agent-2", "n")


def test_what_an_earlier_master_launched_ahead_for_one_that_leaves_is_killed() -> None:
    core, _ = found(_says("t"))
    core.tell(calls.Unregister("f"), calls.AgentUnreachable("agent-1"))
    out = core.tell(calls.AgentBack("agent-1", (_says("t"), _says("n", "t"))))
    assert events.Kill("agent-1", "n") in out


def test_what_ended_in_these_books_waits_for_nothing(core) -> None:
    ends(core, "n", LOST)
    core.tell(calls.AgentUnreachable("agent-1"))
    assert events.Kill("agent-1", "n") in core.tell(calls.AgentBack("agent-1", (_says("t"), _says("n", "t"))))


# -- any of it, in any order ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_busy_cluster_that_launches_ahead_balances_after_every_step(seed) -> None:
    """A small cluster where most calls make sense, so that much is launched ahead, withdrawn and taken over."""
    dice = Random(seed)
    settings = Settings(grace_us=2_000_000, epoch=2, update_retry_us=seed % 2 * 1_000_000)
    core = Checked(settings)
    for name, role in (("f", "*"), ("g", "lab"), ("h", "lab")):
        core.tell(Subscribe(name, role))
    for number in range(3):
        core.tell(AgentJoined(f"agent-{number}", CPU * 3))
    seen = {kind for step in range(250) for kind in map(type, _something(core, dice, step))}
    assert {events.Withdraw, events.Launch} <= seen
    assert sum(framework.counts.get("handed_back", 0) for framework in core.frameworks.values())


def _something(core: Checked, dice: Random, step: int) -> list[events.Event]:
    known = [*core.tasks.values(), *core.ahead.values()]
    task = dice.choice(known) if known else None
    agent = f"agent-{dice.randrange(3)}"
    made: list[calls.Call] = [
        Accept(offer.framework, (offer.id,), (TaskInfo(f"{offer.framework}/{step}", CPU),), 0)
        for offer in list(core.offers.values())[: dice.randrange(3)]
    ]
    if task:
        made.append(TaskUpdate(task.agent, task.id, dice.choice((RUNNING, FINISHED, LOST, KILLED, RUNNING))))
        made.append(LaunchNext(task.framework, task.id, f"{task.framework}/next-{step}"))
    if dice.random() < 0.3:
        kept = core.agents[agent].tasks.values() if agent in core.agents else ()
        said = [RunningTask(t.id, t.framework, t.needs, epoch=2) for t in kept if dice.random() < 0.9]
        said += [
            RunningTask(t.next, t.framework, t.needs, epoch=2, after=dice.choice((t.id, "")))
            for t in kept if t.next and dice.random() < 0.9 and any(one.task == t.id for one in said)
        ]  # fmt: skip
        role = dice.choice(("*", "lab"))
        made.append(dice.choice((
            calls.AgentUnreachable(agent), calls.AgentBack(agent, tuple(said)), calls.Drain(agent, 1_000_000), calls.Undrain(agent),
            calls.Revive(dice.choice("fgh")), calls.Suppress(dice.choice("fgh")), calls.SetGuarantee(role, CPU * dice.randrange(4)),
            calls.SetLimit(role, CPU * dice.randrange(6), force=True), calls.SetWeight(role, dice.choice((500, 4000))), calls.Pause(),
            calls.Resume(), calls.Resume(), calls.AgentLost(agent), AgentJoined(agent, CPU * 3), calls.Subscribe(dice.choice("fgh")),
            calls.SetAllocator(dice.choice(("DRF", "DRF", "FIFO"))),
            *([calls.KillTask(task.framework, task.id), calls.Revoke(task.id, 500_000)] if task else []),
        )))  # fmt: skip
    return core.tell(*made, at_us=core.now_us + dice.randrange(400_000))


def test_readers_of_events_see_a_task_when_it_begins_and_one_that_never_began_not_at_all(core) -> None:
    begun, ahead = Begun(), events.Launch("agent-1", "f", "n", CPU, after="t")
    told = [events.Updated("f", "t", FINISHED)]
    assert list(begun.read([ahead])) == []
    assert list(begun.read(ends(core, "t"))) == [*told, ahead]
    assert (
        list(begun.read([replace(ahead, task="m", after="n"), events.Updated("f", "m", LOST, "it never began")])) == []
    )
    assert list(begun.read([events.Updated("f", "n", FINISHED)])) == [events.Updated("f", "n", FINISHED)]
    early = [replace(ahead, task="o", after="u"), events.Updated("f", "o", KILLED)]
    assert list(begun.read(early)) == early, "it ended before the end of the first was told"
