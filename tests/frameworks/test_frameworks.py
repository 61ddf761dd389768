"""Frameworks, in virtual time: what their callbacks are given, what their replies become, and what goes wrong."""

import asyncio
import threading

import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.core.invariants import check
from mesonb.errors import BadValue, NoDuration, NotRegistered, NotThere, OfferError, TaskFailed, TaskGone
from mesonb.frameworks.base import OfferHandle
from mesonb.frameworks.iterative import Iterative

SMALL = mb.Resources(cpus=1, mem="1GB")


def double(number):
    return 2 * number


def explode(number):
    raise ZeroDivisionError(f"{number} was too much")


class Doubles(mb.Framework):
    """Double some numbers, one task each."""

    needs = SMALL

    def __init__(self, numbers):
        self.todo = list(numbers)
        self.got = []
        self.lost = 0

    def on_offers(self, offers):
        for offer in offers:
            while self.todo and offer.fits(self.needs):
                offer.launch(double, self.todo.pop(0), needs=self.needs)

    def on_update(self, task):
        if task.lost:
            self.lost += 1
            self.todo.append(task.args[0])
        if task.finished:
            self.got.append(task.result())


@pytest.fixture
def sim():
    simulation = mb.Simulation(agents=2, seed=1)
    simulation.runs_for(double, "10s")
    simulation.runs_for(explode, "1s")
    yield simulation
    check(simulation.core)
    simulation.log.replay()


def test_a_framework_can_be_tried_with_no_master():
    framework = Doubles([1, 2, 3])
    offer = OfferHandle("offer-1", "agent-1", mb.Resources(cpus=2, mem="8GB"))
    framework.on_offers([offer])
    assert [task.args for task in offer.launches] == [(1,), (2,)]
    assert offer.left == mb.Resources(mem="6GB")
    assert framework.todo == [3]


def test_it_runs_all_its_tasks_and_hears_of_each(sim):
    framework = sim.register(Doubles(range(20)), name="doubles", role="lab")
    sim.run("1min")
    assert sorted(framework.got) == [2 * n for n in range(20)]
    assert sim.complaints == []
    assert framework.role == "lab"


def test_an_offer_that_was_not_used_comes_back_after_five_seconds(sim):
    framework = sim.register(Doubles([]), name="idle")
    times = []
    framework.on_offers = lambda offers: times.append(sim.now_us())
    sim.run("11s")
    assert times == [500, 5_001_500, 10_002_500]  # half a millisecond each way


def test_what_is_left_of_a_used_offer_comes_back_at_once(sim):
    one_each = sim.register(Doubles(range(8)), name="one-each")

    def launch_one(offers):
        for offer in offers:
            if one_each.todo:
                offer.launch(double, one_each.todo.pop())

    one_each.on_offers = launch_one
    sim.run("1s")
    assert len(one_each.tasks) == 8


def test_an_agent_that_dies_takes_its_tasks_and_the_framework_runs_them_elsewhere(sim):
    framework = sim.register(Doubles(range(8)), name="doubles")
    sim.run("2s")
    sim.lose_agent("agent-1")
    sim.run("1min")
    assert framework.lost == 4
    assert len(framework.got) == 8


def test_holding_an_offer_asks_again_later(sim):
    times = []

    class Holder(mb.Framework):
        def on_offers(self, offers):
            times.append(round(self.now))
            for offer in offers:
                offer.hold("10s")

    sim.register(Holder())
    sim.run("25s")
    assert sorted(set(times)) == [0, 10, 20]
    assert sim.core.frameworks["holder"].counts == {"offers_made": 2}


def test_registering_a_name_again_keeps_its_tasks(sim):
    sim.register(Doubles(range(3)), name="doubles")
    sim.run("1s")
    handed_over = []
    successor = Doubles([])
    successor.on_registered = handed_over.extend
    sim.register(successor, name="doubles")
    sim.run("20s")
    assert [task.args for task in handed_over] == [(0,), (1,), (2,)]
    assert sorted(successor.got) == [0, 2, 4]


def test_a_callback_that_raises_is_shown_under_its_name_and_stops_nobody(sim):
    class Broken(mb.Framework):
        def on_offers(self, offers):
            raise KeyError("no such rate")

    sim.register(Broken(), name="broken")
    healthy = sim.register(Doubles(range(4)), name="healthy")
    sim.run("30s")
    assert len(healthy.got) == 4
    complaint = sim.complaints[0]
    assert (complaint.framework, complaint.callback) == ("broken", "on_offers")
    assert "no such rate" in complaint.error
    assert "Traceback" in complaint.traceback


def test_launches_made_before_a_callback_raised_stand(sim):
    class Halfway(Doubles):
        def on_offers(self, offers):
            offers[0].launch(double, 7, needs=SMALL)
            raise RuntimeError("halfway")

    framework = sim.register(Halfway([]), name="halfway")
    sim.run("12s")
    assert framework.got[0] == 14


def test_more_than_an_offer_holds_is_refused_at_the_line_that_launches():
    offer = OfferHandle("offer-7", "agent-1", SMALL)
    offer.launch(double, 1, needs=SMALL)
    with pytest.raises(OfferError, match=r"offer-7 has nothing left; double needs .* ask offer.fits"):
        offer.launch(double, 2, needs=SMALL)


def test_an_offer_answered_too_late_loses_no_task(sim):
    late = Doubles([5])
    kept = []

    def keep(offers):
        kept.extend(offers)
        for offer in offers:
            offer.hold("40s")

    late.on_offers = keep
    sim.register(late, name="late")
    sim.run("1s")
    driver = late._driver
    kept[0].launch(double, 5, needs=SMALL)
    task = kept[0].launches[0]
    sim.run("31s")  # the offer is rescinded meanwhile
    assert kept[0].id not in driver.offers
    sim.post([calls.Accept("late", (kept[0].id,), (calls.TaskInfo(task.id, SMALL),))])
    sim.run("1s")
    assert "was answered, or rescinded, before" in late._driver.complaints[-1].error


def test_needs_larger_than_any_agent_are_refused_with_the_remedy(sim):
    queue = sim.register(mb.Queue(), name="queue")
    with pytest.raises(
        BadValue, match=r"no agent is large enough for 8 cpus; the largest has 4 cpus.*mb\.Master\(agents="
    ):
        queue.submit(double, 1, needs=mb.Resources(cpus=8))


def test_a_function_of_unknown_length_says_so(sim):
    queue = sim.register(mb.Queue(), name="queue")
    run = queue.submit(sorted, [3, 1])
    with pytest.raises(NoDuration, match=r"sim\.runs_for\(sorted, '30s'\)"):
        run.result()


def test_a_framework_that_is_not_registered_says_how():
    with pytest.raises(NotRegistered, match=r"master\.register"):
        mb.Queue().submit(double, 1)


def test_a_queue_returns_results_in_the_order_of_the_arguments(sim):
    queue = sim.register(mb.Queue(needs=SMALL), name="queue")
    assert [run.result() for run in queue.map(double, range(20))] == [2 * n for n in range(20)]
    assert sim.now_us() < 31_000_000


def test_a_queue_result_carries_the_error_and_its_traceback(sim):
    queue = sim.register(mb.Queue(needs=SMALL), name="queue")
    with pytest.raises(TaskFailed, match="3 was too much") as caught:
        queue.submit(explode, 3).result()
    assert "in explode" in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_queue_can_be_awaited(sim):
    queue = sim.register(mb.Queue(needs=SMALL), name="queue")

    async def cell():
        return await queue.submit(double, 21)

    assert asyncio.run(cell()) == 42


def test_a_queue_runs_again_what_was_lost_but_not_for_ever(sim):
    queue = sim.register(mb.Queue(needs=SMALL, retries=0), name="queue")
    runs = queue.map(double, range(8))
    sim.run("1s")
    sim.lose_agent("agent-2")
    sim.run("20s")
    lost = [run for run in runs if run.losses == 0 and run.task.lost]
    assert len(lost) == 4
    with pytest.raises(TaskGone, match="agent-2 was lost"):
        lost[0].result()


def test_a_run_can_be_cancelled_waiting_or_running(sim):
    queue = sim.register(mb.Queue(needs=SMALL), name="queue")
    runs = queue.map(double, range(9))
    sim.run("1s")
    runs[0].cancel()
    runs[8].cancel()
    for run in (runs[0], runs[8]):
        with pytest.raises(TaskGone):
            run.result()
    assert sim.core.frameworks["queue"].counts["killed"] == 1


def test_an_idle_queue_asks_for_no_offers_and_wakes_at_once(sim):
    queue = sim.register(mb.Queue(needs=SMALL), name="queue")
    sim.run("1min")
    assert sim.snapshot().frameworks[0].suppressed
    before_us = sim.now_us()
    assert queue.submit(double, 1).result() == 2
    assert sim.now_us() - before_us < 10_100_000


class Countdown(Iterative):
    def __init__(self, rounds):
        super().__init__(needs=SMALL)
        self.rounds, self.sums = rounds, []

    def work(self):
        return [(double, (n,)) for n in range(3)]

    def combine(self, results):
        self.sums.append(results)
        return self.round < self.rounds


def test_an_iterative_framework_gathers_each_round_in_order(sim):
    framework = sim.register(Countdown(4))
    assert framework.wait() == 4
    assert framework.sums == [[0, 2, 4]] * 4


def test_an_iterative_framework_survives_the_loss_of_an_agent(sim):
    framework = sim.register(Countdown(3))
    sim.run("12s")
    sim.lose_agent("agent-1")
    assert framework.wait() == 3
    assert framework.sums == [[0, 2, 4]] * 3


def test_an_iterative_framework_ends_with_the_error_of_a_task(sim):
    class Doomed(Countdown):
        def work(self):
            return [(explode, (1,)), (double, (2,))]

    framework = sim.register(Doomed(2))
    with pytest.raises(TaskFailed, match="1 was too much"):
        framework.wait()


def test_what_another_thread_posts_while_time_passes_comes_between_two_events(sim):
    seen = []

    class Presses(mb.Framework):
        """Presses a button on another thread, as a panel does, from within an event."""

        def on_offers(self, offers):
            if not seen:
                steps = sim.core.steps
                button = threading.Thread(target=sim.pause)
                button.start()
                button.join()
                seen.append(sim.core.steps == steps and not sim.core.paused)

    sim.register(Presses())
    sim.run("1min")
    assert seen == [True]
    assert sim.core.paused


def test_results_that_came_while_a_cell_was_run_again_reach_the_new_code(sim):
    sim.register(Doubles(range(3)), name="doubles")
    sim.run("9999ms")
    old = sim.drivers["doubles"]
    sim.wait_until(lambda: sim.core.frameworks["doubles"].counts.get("finished") == 3)
    assert len(old.tasks) == 3  # the news is on its way
    successor = sim.register(Doubles([]), name="doubles")
    sim.run("1s")
    assert sorted(successor.got) == [0, 2, 4]


def test_a_role_that_cannot_be_is_refused_and_what_is_registered_stays(sim):
    first = sim.register(mb.Queue(needs=SMALL), name="queue")
    with pytest.raises(BadValue, match="'a//b' names no role"):
        sim.register(mb.Queue(needs=SMALL), name="queue", role="a//b")
    assert first.submit(double, 4).result() == 8


def test_sys_exit_in_a_callback_is_a_complaint_like_any_other(sim):
    class Leaves(mb.Framework):
        def on_offers(self, offers):
            raise SystemExit("enough")

    sim.register(Leaves())
    sim.run("1s")
    assert "enough" in sim.complaints[0].error


def test_a_lost_run_waits_for_an_agent_that_is_large_enough(sim):
    sim = mb.Simulation(agents=[mb.Resources(cpus=8), mb.Resources(cpus=2)])
    sim.runs_for(double, "10s")
    queue = sim.register(mb.Queue(needs=mb.Resources(cpus=4)), name="queue")
    run = queue.submit(double, 5)
    sim.run("1s")
    sim.lose_agent("agent-1")
    sim.run("1min")
    assert (run.done, queue.waiting, sim.complaints) == (False, 1, [])
    sim.add_agent(mb.Resources(cpus=4))
    assert run.result() == 10


@pytest.mark.parametrize("leave", ["replaced", "unregistered"])
def test_promises_that_nobody_will_keep_are_broken(sim, leave):
    queue = sim.register(mb.Queue(needs=SMALL), name="queue")
    runs = queue.map(double, range(10))
    sim.run("1s")
    if leave == "replaced":
        sim.register(mb.Queue(needs=SMALL), name="queue")
    else:
        sim.unregister("queue")
    sim.run("1min")
    for run in runs:
        with pytest.raises(TaskGone, match=f"{leave}|registered as 'queue'"):
            run.result()


def test_unregistering_a_name_that_nobody_has_says_so(sim):
    with pytest.raises(NotThere, match="no framework is called 'nobody'"):
        sim.unregister("nobody")


def test_needs_are_held_against_every_agent_however_many_there_are():
    many = mb.Simulation(agents=[mb.Resources(cpus=1)] * 1500 + [mb.Resources(cpus=8)])
    many.check_needs(mb.Resources(cpus=8))
