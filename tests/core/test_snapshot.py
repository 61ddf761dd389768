"""A picture taken from the one before it is the same picture; what has not moved is the very same row."""

from random import Random

import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.core.books import Settings
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.core.snapshot import NOBODY, take
from mesonb.testing import Checked, arbitrary_call

SETTINGS = [Settings(), Settings(concurrency="optimistic"), Settings(offer_size=Resources(cpus=1))]


@pytest.mark.parametrize("settings", SETTINGS, ids=["pessimistic", "optimistic", "small offers"])
def test_whatever_was_called_the_picture_from_the_one_before_is_that_of_a_fresh_look(settings, random_seed) -> None:
    core, dice = Checked(settings), Random(random_seed)
    seen = {spots: take(core, 3, spots=spots) for spots in (False, True)}
    for _ in range(600):
        core.step(arbitrary_call(core, dice), core.now_us + dice.randrange(1_000_000))
        for spots, before in seen.items() if dice.random() < 0.5 else ():
            seen[spots] = take(core, 3, before, spots=spots)
            assert seen[spots] == take(core, 3, spots=spots)


class Hold(mb.Framework):
    """Holds every offer."""

    def on_offers(self, offers):
        for offer in offers:
            offer.hold("1h")


def some_cluster(agents: int = 6) -> mb.Simulation:
    sim = mb.Simulation(agents=agents, seed=1)
    sim.runs_for(sum, "1h", execute=False)
    sim.register(mb.Queue(needs=Resources(cpus=4)), name="fill").map(sum, [()] * (agents // 2))
    return sim.run("1s")


def test_a_spot_is_as_full_as_the_resource_of_which_least_is_free() -> None:
    core = Checked()
    core.tell(calls.Subscribe("f"), calls.AgentJoined("agent-1", Resources(cpus=4, mem="4GB", gpus=1)))
    core.tell(
        calls.Accept("f", ("offer-1",), (calls.TaskInfo("t", Resources(cpus=2, mem="1GB")),)), calls.Suppress("f")
    )
    spots = take(core, 0, spots=True).spots
    assert list(spots.filled) == [0.5] and list(spots.offered) == [0.0]


def test_only_what_moved_is_pictured_again() -> None:
    sim = some_cluster()
    before = sim.snapshot()
    sim.lose_agent("agent-1")
    sim.add_agent(Resources(cpus=1), "late")
    after = sim.snapshot(before)
    old = {row.agent: row for row in before.agents}
    assert after == sim.snapshot()
    kept = {row.agent for row in after.agents if row is old.get(row.agent)}
    assert kept == {"agent-2", "agent-3", "agent-4", "agent-5", "agent-6"}
    sim.run("1s")
    moved = [row.agent for row in sim.snapshot(after).agents if row not in after.agents]
    assert moved == ["agent-4"], "the lost task runs again on the first that is free"


def test_a_picture_of_a_later_time_is_no_help_to_a_core_that_went_back() -> None:
    sim, earlier = some_cluster(), mb.Simulation(agents=6)
    later = sim.snapshot()
    assert later.steps > earlier.core.steps
    assert take(earlier.core, before=later) == take(earlier.core)


def test_a_spot_says_how_full_an_agent_is_and_whose_most_of_it_is() -> None:
    sim = mb.Simulation(agents=[Resources(cpus=4, mem="8GB")] * 2, seed=1, offer_timeout=None)
    sim.runs_for(sum, "1h", execute=False)
    for name, cpus in (("small", 0.5), ("large", 2)):
        sim.register(mb.Queue(needs=Resources(cpus=cpus)), name=name).submit(sum, ())
        sim.run("1s")
    sim.register(Hold(), name="hold")
    sim.run("10s")
    picture = take(sim.core, 1, spots=True)
    spots = picture.spots
    assert spots and picture.agents == () and spots.agents == ("agent-1", "agent-2")
    busy = max((0, 1), key=spots.filled.__getitem__)
    assert picture.frameworks[spots.holder[busy]].framework == "large"
    assert spots.filled[busy] == pytest.approx(2.5 / 4)
    assert spots.offered[busy] == pytest.approx(1.5 / 4), "what is left is held by the last"
    assert take(sim.core, 2, spots=True).spots is None, "there is room for all in full"


def test_an_agent_that_holds_nothing_is_nobodys() -> None:
    spots = take(mb.Simulation(agents=2).core, 1, spots=True).spots
    assert spots and set(spots.holder) == {NOBODY} and set(spots.filled) == {0.0}


def test_spots_of_agents_that_only_run_tasks_are_copied_until_they_move() -> None:
    core, cpu = Checked(), Resources(cpus=1)
    core.tell(calls.Subscribe("f"), *(calls.AgentJoined(f"agent-{n}", cpu) for n in (1, 2)))
    core.tell(calls.Accept("f", ("offer-1",), (calls.TaskInfo("t", cpu),)))
    before = take(core, 1, spots=True)
    core.tell(calls.Accept("f", ("offer-2",), (calls.TaskInfo("u", cpu),)), at_us=1)
    after = take(core, 1, before, spots=True)
    assert after == take(core, 1, spots=True)
    assert list(after.spots.filled) == [1, 1] and list(after.spots.holder) == [0, 0]


def test_what_is_too_much_for_one_picture_is_in_the_next_ones_those_that_waited_first() -> None:
    core, cpu = Checked(), Resources(cpus=1)
    core.tell(calls.Subscribe("f"), *(calls.AgentJoined(f"agent-{n}", cpu) for n in range(6)))
    picture = take(core, 1, spots=True)
    for n in range(1, 7):
        core.tell(calls.Accept("f", (f"offer-{n}",), (calls.TaskInfo(f"t{n}", cpu),)), at_us=1)
    seen = []
    for _ in range(4):
        picture = take(core, 1, picture, spots=True, at_once=2)
        seen.append((sum(picture.spots.filled), len(picture.spots.behind)))
        if len(seen) == 1:
            core.tell(calls.TaskUpdate("agent-0", "t1", TaskState.FINISHED), at_us=2)
    assert seen == [(2, 4), (4, 3), (6, 1), (5, 0)], "the first moved again, and is brought up to date last"
    assert picture.spots == take(core, 1, spots=True).spots
