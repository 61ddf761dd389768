"""Steering: every control is one call in the log, acts at once, and says what came of it; bad input changes nothing."""

import threading

import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.errors import BadValue, NotThere
from mesonb.panels import commands
from mesonb.panels.app import Look, Shown
from mesonb.panels.steer import Steer
from mesonb.panels.typed import amounts, arguments, written
from mesonb.panels.view import Palette
from tests.helpers import wait_for
from tests.panels.conftest import train

DEADLINE_S = 60


@pytest.fixture
def steered(cluster):
    panel = Steer(Look(Palette()))
    shown = Shown(cluster, panel)
    panel.again = lambda: (setattr(shown, "_rest_until_s", 0.0), panel.ask(), shown.refresh())
    panel.shown = shown
    return panel


def sent(session, kind):
    return [step.call for step in session.log.steps if isinstance(step.call, kind)]


ACTIONS = [
    ({"do": "pause"}, calls.Pause()),
    ({"do": "resume"}, calls.Resume()),
    ({"do": "cycle"}, calls.Tick()),
    ({"do": "weight", "role": "research", "weight": 3}, calls.SetWeight("research", 3000)),
    ({"do": "guarantee", "role": "ops", "amount": "cpus=2"}, calls.SetGuarantee("ops", mb.Resources(cpus=2))),
    (
        {"do": "limit", "role": "ops", "amount": "mem=8GB, cpus=3"},
        calls.SetLimit("ops", mb.Resources(cpus=3, mem="8GB")),
    ),
    ({"do": "allocator", "name": "Lottery"}, calls.SetAllocator("Lottery")),
    ({"do": "suppress", "framework": "etl"}, calls.Suppress("etl")),
    ({"do": "revive", "framework": "etl"}, calls.Revive("etl")),
    ({"do": "kill", "task": "etl/task-1"}, calls.KillTask("etl", "etl/task-1")),
    ({"do": "revoke", "task": "etl/task-1", "grace": "5s"}, calls.Revoke("etl/task-1", 5_000_000)),
    ({"do": "drain", "agent": "agent-1", "grace": "1min"}, calls.Drain("agent-1", 60_000_000)),
]


@pytest.mark.parametrize(("command", "call"), ACTIONS)
def test_each_action_is_a_call_in_the_log(cluster, command, call):
    ack = commands.obey(cluster, {"id": 1, **command})
    assert ack["ok"], ack
    assert call in sent(cluster, type(call))


WRONG = [
    ({"do": "suppress", "framework": "nobody"}, "no framework is called 'nobody'"),
    ({"do": "kill", "task": "etl/task-99"}, "nothing here is called 'etl/task-99'"),
    ({"do": "kill", "task": "agent-1"}, "is not a task"),
    ({"do": "kill"}, "kill with a text as task"),
    ({"do": "revoke", "task": "etl/task-1", "grace": "soon"}, "soon"),
    ({"do": "drain", "agent": "etl", "grace": "1s"}, "is not an agent"),
    ({"do": "guarantee", "role": "ops", "amount": "lots"}, "write it like cpus=4, mem=8GB"),
    ({"do": "allocator", "name": "Chance"}, "Lottery"),
    ({"do": "weight", "role": "ops", "weight": True}, "a number as weight"),
    ({"do": "speed", "speed": -1}, "is not a speed"),
    ({"do": ["pause"]}, "a panel may ask for pause"),
]


@pytest.mark.parametrize(("command", "because"), WRONG)
def test_bad_input_is_said_and_changes_nothing(cluster, command, because):
    steps = cluster.core.steps
    ack = commands.obey(cluster, command)
    assert not ack["ok"] and because in ack["because"]
    assert cluster.core.steps == steps


def test_what_has_ended_cannot_be_killed(cluster):
    cluster.kill("etl/task-1")
    cluster.run("1s")
    with pytest.raises(BadValue, match="has ended: killed"):
        cluster.kill("etl/task-1")
    with pytest.raises(NotThere):
        cluster.drain("agent-9")


def test_a_revoked_task_is_killed_when_its_time_is_over(cluster):
    cluster.revoke("etl/task-1", grace="5s")
    cluster.run("4s")
    assert "etl/task-1" in cluster.core.tasks
    cluster.run("2s")
    assert "etl/task-1" not in cluster.core.tasks


def test_one_cycle_of_a_paused_master_makes_one_round_of_offers(cluster):
    cluster.pause()
    waiting = cluster.register(mb.Queue(needs=mb.Resources(cpus=1)), name="late", role="ops")
    waiting.map(train, [1])
    cluster.run("1s")
    assert not cluster.drivers["late"].tasks
    cluster.cycle()
    assert cluster.core.paused
    cluster.run("1s")
    assert len(cluster.drivers["late"].tasks) == 1


def test_an_allocator_of_ones_own_can_be_chosen_again():
    class Mine(mb.DRF):
        pass

    sim = mb.Simulation(agents=1, allocator=Mine())
    sim.allocator = "Lottery"
    sim.allocator = "Mine"
    assert isinstance(sim.allocator, Mine) and "Mine" in sim.allocators


# -- the page -----------------------------------------------------------------------------------------------------------


def test_the_page_shows_what_is_so_and_sends_nothing_for_it(steered, cluster):
    steps = cluster.core.steps
    cluster.limits["ops"] = mb.Resources(cpus=6)
    steered.again()
    steered.role.value = "ops"
    steered.again()
    assert (steered.weight.value, steered.limit.value) == ("1", "cpus=6")
    assert steered.framework.options == ["sweep", "etl"] and "etl/task-1" in steered.task.completions
    assert steered.allocator.value == "DRF" and not steered.pause.active
    assert cluster.core.steps == steps + 1, "the limit alone"


def test_the_controls_act_and_say_so(steered, cluster):
    steered.again()
    steered.role.value = "ops"
    steered.again()
    steered.weight.value = "2"
    assert cluster.weights["ops"] == 2 and "weight of ops is 2" in steered.told.text
    steered.guarantee.value = "everything"
    assert "trouble" in steered.told.text and "write it like" in steered.told.text
    steered.pause.active = True
    assert cluster.core.paused
    steered.allocator.value = "FIFO"
    assert type(cluster.allocator).__name__ == "FIFO"
    steered.task.value = "etl/task-2"
    steered.kill._trigger_event(click(steered.kill))
    assert calls.KillTask("etl", "etl/task-2") in sent(cluster, calls.KillTask)


def test_what_is_typed_is_not_written_over_by_what_has_not_changed(steered, cluster):
    """A page drawn late would take what was typed meanwhile out of a box, and the browser would then send nothing."""
    steered.again()
    steered.role.value = "ops"
    steered.again()
    steered.guarantee.value = "cpus=1"
    steered.limit.value = "cpus=x"
    steered.weight.value = "heavy"
    steered.again()
    assert (steered.guarantee.value, steered.limit.value, steered.weight.value) == ("cpus=1", "cpus=x", "heavy")
    steered.limit.value = "cpus=4"
    steered.limit.value = ""
    steered.again()
    assert steered.limit.value == "" and "ops" not in cluster.limits
    cluster.limits["ops"] = mb.Resources(cpus=5)
    steered.again()
    assert (steered.limit.value, steered.weight.value) == ("cpus=5", "heavy")


def test_what_is_changed_back_at_once_is_changed_back_in_its_box(steered, cluster, monkeypatch):
    """Else the box would show what is not so, and typing the same again would send nothing."""
    steered.again()
    steered.role.value = "ops"
    steered.again()
    with monkeypatch.context() as patched:
        patched.setattr(steered, "ask", lambda: cluster.weights.update(ops=1))
        steered.weight.value = "9"
    steered.again()
    assert (cluster.weights["ops"], steered.weight.value) == (1, "1")
    steered.weight.value = "9"
    assert cluster.weights["ops"] == 9


def click(button):
    from bokeh.events import ButtonClick

    return ButtonClick(button)


def test_what_the_master_refuses_later_is_said_on_the_page(steered, cluster):
    cluster.post([calls.KillTask("etl", "etl/task-99")])
    steered.again()
    assert "no live task etl/task-99" in steered.told.text


def test_in_the_past_the_controls_are_off_and_back_in_the_present_they_are_on(steered, cluster):
    assert not any(control.disabled for control in steered._controls)
    travel = steered.shown.travel
    travel.live.active = False
    steered.again()
    assert all(control.disabled for control in steered._controls) and "cannot be changed" in steered.told.text
    travel.live.active = True
    steered.again()
    assert not any(control.disabled for control in steered._controls) and "cannot be changed" not in steered.told.text


def test_a_page_whose_session_is_gone_says_so(steered):
    steered.session = lambda: None
    steered.send(do="pause")
    assert "is gone" in steered.told.text


# -- time ---------------------------------------------------------------------------------------------------------------


def busy_cell(sim, time="1h"):
    """Run a simulation on another thread, as a cell does while panels steer it."""
    cell = threading.Thread(target=sim.run, args=(time,), daemon=True)
    cell.start()
    return cell


@pytest.fixture
def endless():
    """A simulation in which something happens every virtual second, for ever."""

    class Clock(mb.Framework):
        def on_registered(self, tasks):
            self.strike()

        def strike(self):
            self.progress(struck=self.now)
            self.suppress()
            self.call_later("1s", self.strike)

    sim = mb.Simulation(agents=1)
    sim.register(Clock(), name="clock")
    yield sim
    sim.pace.stop()


def test_a_run_in_a_cell_is_held_stepped_and_let_go(endless):
    endless.pace.speed = 100
    cell = busy_cell(endless, "20s")
    wait_for(lambda: endless.core.steps > 3, DEADLINE_S, "time passes")
    endless.hold()
    held = wait_for(lambda: still(endless), DEADLINE_S, "it stands still")
    assert commands.obey(endless, {"do": "step"})["ok"]
    wait_for(lambda: endless.core.steps == held + 1, DEADLINE_S, "one call was taken")
    endless.pace.speed = None
    endless.play()
    cell.join(DEADLINE_S)
    assert not cell.is_alive() and endless.now_us() >= 20_000_000


def still(sim):
    """Return how many steps were taken if none was for fifty looks, else 0."""
    seen = sim.core.steps
    for _ in range(50):
        sim.pace.allowance(0, 1 << 60)  # waits as a held run does
        if sim.core.steps != seen:
            return 0
    return seen


def test_time_passes_by_itself_at_a_speed_and_gives_way_to_cells(endless):
    endless.play(speed=50)
    wait_for(lambda: endless.now_us() > 5_000_000, DEADLINE_S, "five seconds")
    before = endless.now_us()
    endless.run("100s")  # the cell's run is paced as well
    assert endless.now_us() >= before + 100_000_000
    endless.hold()
    assert not endless.pace.playing
    assert commands.obey(endless, {"do": "step"})["ok"]


def test_pace_changes_nothing_of_what_happens():
    def run(speed):
        sim = mb.Simulation(agents=3, seed=3)
        sim.runs_for(train, mb.sim.normal("3s", "1s"), execute=False)
        sim.register(mb.Queue(), name="q").map(train, range(30))
        sim.pace.speed = speed
        return [(step.call, step.now_us) for step in sim.run("60s").log.steps]

    assert run(None) == run(1000)


def test_what_ends_a_play_is_said_where_it_is_steered(cluster):
    queue = cluster.register(mb.Queue(), name="unsaid")
    queue.map(len, ["no duration was given for len"])
    panel = Steer(Look(Palette()))
    shown = Shown(cluster, panel)
    cluster.play()
    wait_for(lambda: cluster.pace.trouble, DEADLINE_S, "the trouble")
    shown._rest_until_s, panel.stale = 0.0, True
    shown.refresh()
    assert "NoDuration" in panel.trouble.text


def test_a_master_has_no_time_to_steer(cluster):
    recording = mb.replay(cluster.log)
    ack = commands.obey(recording, {"do": "step"})
    assert not ack["ok"] and "only a simulation" in ack["because"]
    assert "cannot be changed" in commands.obey(recording, {"do": "pause"})["because"]


# -- what is typed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["cpus", "cpus=", "=4", "cpus=a", "cpus=4 8", "cpus=-1", "mem=much"])
def test_amounts_that_are_none(text):
    with pytest.raises(BadValue):
        amounts(text)


@pytest.mark.parametrize(
    "amount", [mb.Resources(cpus=0.5, mem="1GiB"), mb.Resources(named={"licences": 3}), mb.Resources()]
)
def test_written_amounts_are_read_again(amount):
    assert amounts(written(amount)) == amount


@pytest.mark.parametrize("text", ["open('x')", "1 +", "x", "__import__('os')", ")("])
def test_arguments_are_plain_values_alone(text):
    with pytest.raises(BadValue, match="plain arguments"):
        arguments(text)
