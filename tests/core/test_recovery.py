"""Who is away and comes back: unreachable agents, disconnected frameworks, and a new master that adopts what runs."""

import pytest

from mesonb.core import events
from mesonb.core.books import Settings
from mesonb.core.calls import (
    Accept,
    AgentBack,
    AgentJoined,
    AgentLost,
    AgentUnreachable,
    Disconnect,
    KillTask,
    Reconcile,
    Revive,
    RunningTask,
    Subscribe,
    TaskInfo,
    TaskUpdate,
    Unregister,
)
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.testing import Checked

CPU, FOUR = Resources(cpus=1), Resources(cpus=4)
S = 1_000_000
OLD = RunningTask("lab/task-1", "lab", CPU, "research", TaskState.RUNNING, epoch=1)


def running() -> Checked:
    """Return a master of epoch 2 with one agent, on which f runs f/t."""
    core = Checked(Settings(epoch=2, agent_timeout_us=10 * S, failover_timeout_us=60 * S))
    made = core.tell(Subscribe("f"), AgentJoined("a", FOUR))
    offer = next(event.offer for event in made if isinstance(event, events.OfferMade))
    core.tell(Accept("f", (offer,), (TaskInfo("f/t", CPU),), refuse_us=0), TaskUpdate("a", "f/t", TaskState.RUNNING))
    core.tell(at_us=1)  # in one instant nobody is offered the same twice
    return core


def told(out, kind=events.Updated):
    return [event for event in out if isinstance(event, kind)]


def states(out):
    return [(event.task, event.state) for event in told(out)]


def mine(task="f/t", **more):
    return RunningTask(task, "f", CPU, epoch=2, **more)


def test_an_unreachable_agent_is_not_offered_and_its_tasks_keep_their_place() -> None:
    core = running()
    out = core.tell(AgentUnreachable("a"))
    assert states(out) == [("f/t", TaskState.UNREACHABLE)]
    assert told(out, events.Rescinded)
    assert not told(core.tell(Subscribe("other")), events.OfferMade)
    assert core.frameworks["f"].in_tasks == CPU
    assert core.next_deadline() == 10 * S + 1


def test_back_in_time_its_tasks_run_and_it_is_offered_again() -> None:
    core = running()
    core.tell(AgentUnreachable("a"))
    out = core.tell(AgentBack("a", (mine(),)), at_us=2)
    assert states(out) == [("f/t", TaskState.RUNNING)]
    assert told(out, events.OfferMade)
    assert core.next_deadline() > 10 * S


def test_what_an_agent_does_not_know_when_it_is_back_is_lost() -> None:
    core = running()
    core.tell(AgentUnreachable("a"))
    assert states(core.tell(AgentBack("a"))) == [("f/t", TaskState.LOST)]


def test_a_kill_that_was_asked_for_while_it_was_away_is_said_again() -> None:
    core = running()
    core.tell(AgentUnreachable("a"))
    core.tell(KillTask("f", "f/t"))
    assert told(core.tell(AgentBack("a", (mine(),))), events.Kill)


def test_after_the_timeout_it_is_lost_and_what_it_still_runs_is_killed_when_it_joins() -> None:
    """Never two runs of one task id both believed."""
    core = running()
    core.tell(AgentUnreachable("a"))
    out = core.tell(at_us=10 * S + 1)
    assert states(out) == [("f/t", TaskState.LOST)]
    assert told(out, events.AgentGone)
    core.tell(TaskUpdate("a", "f/t", TaskState.RUNNING))
    assert not core.tasks
    out = core.tell(AgentJoined("a", FOUR, tasks=(mine(),)))
    assert [event.task for event in told(out, events.Kill)] == ["f/t"]
    assert not core.tasks


def test_a_task_of_ours_is_not_adopted_even_when_its_end_is_forgotten() -> None:
    core = running()
    core.tell(AgentLost("a"))
    core.ended.clear()
    assert told(core.tell(AgentJoined("a", FOUR, tasks=(mine(),))), events.Kill)


def test_a_new_master_adopts_what_agents_run_and_hands_it_over() -> None:
    core = Checked(Settings(epoch=2, failover_timeout_us=60 * S))
    core.tell(AgentJoined("a", FOUR, tasks=(OLD,)))
    assert core.frameworks["lab"].in_tasks == CPU
    assert core.roles["research"].allocated == CPU
    assert "lab" in core.away
    (subscribed,) = told(core.tell(Subscribe("lab", "research")), events.Subscribed)
    assert (subscribed.tasks, subscribed.incarnation, subscribed.epoch) == (("lab/task-1",), 1, 2)
    assert states(core.tell(TaskUpdate("a", "lab/task-1", TaskState.FINISHED))) == [("lab/task-1", TaskState.FINISHED)]


def test_a_framework_that_is_here_already_is_told_what_a_late_agent_runs() -> None:
    core = Checked(Settings(epoch=2))
    core.tell(Subscribe("lab", "research"))
    assert states(core.tell(AgentJoined("a", FOUR, tasks=(OLD,)))) == [("lab/task-1", TaskState.RUNNING)]


def test_what_has_ended_holds_nothing_when_it_is_adopted() -> None:
    core = Checked(Settings(epoch=2))
    done = RunningTask("lab/task-0", "lab", FOUR, "research", TaskState.FINISHED, epoch=1)
    core.tell(AgentJoined("a", FOUR, tasks=(done, OLD)))
    assert core.frameworks["lab"].in_tasks == CPU
    assert core.ended["lab/task-0"] is TaskState.FINISHED


def test_a_framework_that_never_comes_back_is_ended() -> None:
    core = Checked(Settings(epoch=2, failover_timeout_us=60 * S))
    core.tell(AgentJoined("a", FOUR, tasks=(OLD,)))
    assert [event.task for event in told(core.tell(at_us=60 * S), events.Kill)] == ["lab/task-1"]
    core.tell(TaskUpdate("a", "lab/task-1", TaskState.KILLED))
    assert "lab" not in core.frameworks


def test_a_disconnected_framework_keeps_its_tasks_and_gets_no_offers() -> None:
    core = running()
    assert told(core.tell(Disconnect("f")), events.Rescinded)
    assert "disconnected" in told(core.tell(Revive("f")), events.Rejected)[0].because
    assert not core.offers
    assert list(core.tasks) == ["f/t"]
    out = core.tell(Subscribe("f"), at_us=2)
    assert told(out, events.Subscribed)[0].tasks == ("f/t",)
    assert told(out, events.OfferMade)


def test_what_nobody_knows_when_a_framework_asks_is_lost_for_good() -> None:
    core = running()
    asked = core.tell(Reconcile("f", ("f/t", "f/never")), at_us=10 * S)
    assert states(asked) == [("f/t", TaskState.RUNNING), ("f/never", TaskState.LOST)]
    old = RunningTask("f/never", "f", CPU, epoch=1)
    assert told(core.tell(AgentJoined("b", FOUR, tasks=(old,))), events.Kill)


def test_a_new_master_says_of_nothing_that_it_is_lost_before_agents_had_time_to_come() -> None:
    core = Checked(Settings(epoch=2, recovery_us=10 * S))
    assert not states(core.tell(Subscribe("lab", "research"), Reconcile("lab", ("lab/task-1", "lab/never")), at_us=S))
    assert core.next_deadline() == 11 * S
    assert states(core.tell(AgentJoined("a", FOUR, tasks=(OLD,)), at_us=9 * S)) == [("lab/task-1", TaskState.RUNNING)]
    assert states(core.tell(at_us=11 * S)) == [("lab/never", TaskState.LOST)]
    assert core.tasks.keys() == {"lab/task-1"}


def test_what_a_framework_that_leaves_has_left_running_is_killed_when_it_is_found() -> None:
    core = Checked(Settings(epoch=2))
    core.tell(AgentJoined("a", FOUR, tasks=(OLD,)), Unregister("lab"))
    late = RunningTask("lab/task-2", "lab", CPU, "research", TaskState.RUNNING, epoch=1)
    assert "lab/task-2" in [event.task for event in told(core.tell(AgentJoined("b", FOUR, tasks=(late,))), events.Kill)]


def test_what_has_ended_is_news_once() -> None:
    core = Checked(Settings(epoch=2))
    done = RunningTask("lab/task-0", "lab", FOUR, "research", TaskState.FINISHED, epoch=1)
    core.tell(AgentJoined("a", FOUR, tasks=(done,)), AgentLost("a"))
    assert not told(core.tell(AgentJoined("a", FOUR, tasks=(done,))), events.Updated | events.Kill)


def test_the_first_master_knows_all_there_is() -> None:
    core = Checked(Settings(recovery_us=10 * S))
    assert states(core.tell(Subscribe("f"), Reconcile("f", ("f/never",)))) == [("f/never", TaskState.LOST)]


def test_what_ended_unseen_is_not_said_to_have_never_begun() -> None:
    core = running()
    (told_lost,) = told(core.tell(AgentBack("a")))
    assert told_lost.state is TaskState.LOST and "it ran" in told_lost.because
    core = running()
    core.tell(Accept("f", (next(iter(core.offers)),), (TaskInfo("f/new", CPU),)))
    whys = {event.task: event.because for event in told(core.tell(AgentBack("a", (mine(),))))}
    assert "its launch never arrived" in whys["f/new"] and whys.keys() == {"f/new"}


def test_a_task_that_was_given_up_and_runs_all_the_same_is_killed() -> None:
    core = running()
    core.tell(AgentUnreachable("a"))
    core.tell(AgentBack("a"))
    assert [event.task for event in core.tell(TaskUpdate("a", "f/t", TaskState.RUNNING))] == ["f/t"]
    assert not told(core.tell(TaskUpdate("a", "f/t", TaskState.KILLED)), events.Kill)


@pytest.mark.parametrize("call", [Unregister("lab"), Subscribe("lab")])
def test_whoever_leaves_or_comes_is_not_waited_for(call) -> None:
    core = Checked(Settings(epoch=2, failover_timeout_us=60 * S))
    core.tell(AgentJoined("a", FOUR, tasks=(OLD,)), call)
    assert not core.away


@pytest.mark.parametrize(
    "tasks",
    [
        (OLD, OLD),
        (RunningTask("lab/t", "lab", Resources(cpus=5)),),
        (RunningTask("lab/t", "", CPU),),
        (RunningTask("lab/t", "lab", CPU, "no//role"),),
    ],
)
def test_what_an_agent_cannot_run_is_refused_whole(tasks) -> None:
    core = Checked()
    assert told(core.tell(AgentJoined("a", FOUR, tasks=tasks)), events.Rejected)
    assert not core.agents
    assert not core.frameworks
