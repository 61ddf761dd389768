"""What people get wrong: each gives an error that names the thing and the remedy, and nothing is lost."""

import threading

import pytest

import mesonb as mb
from mesonb.core.invariants import check
from mesonb.errors import BadValue, CannotPickle, MasterExists, NotRegistered, TaskFailed, Unreachable
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double

pytestmark = pytest.mark.live


class Once(mb.Framework):
    """Does one thing with its first offer."""

    needs = SMALL

    def __init__(self, reply):
        self.reply, self.raised, self.updates = reply, None, []

    def on_offers(self, offers):
        reply, self.reply = self.reply, None
        if reply:
            try:
                reply(offers[0])
            except Exception as error:
                self.raised = error
                raise

    def on_update(self, task):
        self.updates.append(task)


@pytest.fixture
def once(master):
    """Register a framework that does one thing with its first offer; look at the books afterwards."""
    made = []

    def register(reply):
        made.append(master.register(Once(reply), name="once"))
        return made[-1]

    yield register
    master.unregister("once")
    wait_for(lambda: "once" not in master.core.frameworks, 10, "the framework to have left")
    with master.lock:
        check(master.core)
        assert not master.core.tasks


def complaint(master, framework, words):
    return wait_for(
        lambda: next((c for c in master.framework(framework)._driver.complaints if words in c.error), None),
        10,
        f"{words!r} as a complaint",
    )


def test_negative_and_unknown_resources():
    with pytest.raises(BadValue, match="cpus=-1 is negative"):
        mb.Resources(cpus=-1)
    with pytest.raises(BadValue, match=r"no resource is called 'cores'; did you mean cpus="):
        mb.Resources(cores=2)


def test_needs_larger_than_any_agent(master, queue):
    for ask in (
        lambda: queue.submit(double, 1, needs=mb.Resources(cpus=3)),
        lambda: master.register(mb.Queue(needs=mb.Resources(mem="3GB")), name="vast"),
    ):
        with pytest.raises(
            BadValue, match=r"no agent is large enough for 3.*the largest has 2 cpus.*mb.Master\(agents="
        ):
            ask()
    assert queue.submit(double, 1).result(60) == 2


def test_launching_twice_what_an_offer_holds(master, once):
    def greedy(offer):
        for _ in range(2):
            offer.launch(double, 1, needs=offer.resources)

    framework = once(greedy)
    told = complaint(master, "once", "ask offer.fits(needs) first")
    assert "double needs" in told.error
    assert "in greedy" in told.traceback
    wait_for(lambda: framework.updates and framework.updates[-1].finished, 10, "the launch that fitted to finish")


def test_an_offer_that_is_gone_already(master, once):
    """Its launches end as lost, with the reason, so no work vanishes."""

    def too_late(offer):
        master.weights["*"] = 1  # rescinds every offer
        wait_for(lambda: offer.id not in master.core.offers, 10, "the offer to be rescinded")
        offer.launch(double, 1)

    framework = once(too_late)
    complaint(master, "once", "it was answered, or rescinded, before")
    wait_for(lambda: framework.updates, 10, "an update of the task")
    assert framework.updates[0].lost
    assert "rescinded" in framework.updates[0].because


def test_a_function_that_cannot_be_pickled(master, once, queue):
    lock = threading.Lock()

    def locked():
        return lock

    framework = once(lambda offer: offer.launch(locked))
    told = complaint(master, "once", "the function locked cannot be sent to an agent")
    assert "inside the function instead" in told.error
    assert "offer.launch(locked)" in told.traceback
    assert isinstance(framework.raised, CannotPickle)
    with pytest.raises(CannotPickle, match="argument 1 of double cannot be sent"):
        queue.submit(double, lock).result(60)


def test_a_result_that_cannot_be_pickled(queue):
    with pytest.raises(TaskFailed, match="its result, a lock, cannot be sent back"):
        queue.submit(threading.Lock).result(60)


def test_a_function_whose_import_fails_on_the_agent(queue):
    def uses_what_is_not_there():
        import no_such_module_anywhere

        return no_such_module_anywhere

    with pytest.raises(
        TaskFailed, match="No module named 'no_such_module_anywhere'; install no_such_module_anywhere on the agents"
    ):
        queue.submit(uses_what_is_not_there).result(60)


def test_a_function_of_a_module_that_the_agents_do_not_have(queue, tmp_path, monkeypatch):
    (tmp_path / "only_in_the_kernel.py").write_text("def f():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_in_the_kernel

    with pytest.raises(TaskFailed, match="install only_in_the_kernel on the agents"):
        queue.submit(only_in_the_kernel.f).result(60)


def test_a_callback_that_waits_for_its_own_result(master, queue):
    class Waits(mb.Queue):
        def on_update(self, task):
            super().on_update(task)
            if task.ended:
                self.submit(double, 2).result()

    waits = master.register(Waits(needs=SMALL), name="waits")
    assert waits.submit(double, 1).result(60) == 2
    complaint(master, "waits", "take it in on_update instead")
    master.unregister(waits)


def test_no_dask_cluster_at_the_address(monkeypatch):
    monkeypatch.setattr("mesonb.live.link.REACH_S", 0.5)
    with pytest.raises(
        Unreachable, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 within 0.5 s.*mb.Master\(\) for a local one"
    ):
        mb.Master("tcp://127.0.0.1:9")
    for wrong in ("127.0.0.1", 3):
        with pytest.raises(BadValue, match="tcp://"):
            mb.Master(wrong)


def test_a_second_master_on_one_cluster(master):
    from dask.distributed import Client

    with pytest.raises(
        MasterExists, match=r"process \d+ on .* leads the Dask cluster .* already; mb.connect\(.*standby=True"
    ):
        mb.Master(master.local.address)
    with Client(master.local.address, set_as_default=False) as client:
        assert len(client.scheduler_info()["workers"]) == 2
    queue = master.register(mb.Queue(needs=SMALL), name="unharmed")
    assert queue.submit(double, 4).result(60) == 8
    master.unregister(queue)


def test_other_arguments_for_the_master_that_is_here(master):
    assert mb.Master(name="tests") is master
    with pytest.raises(BadValue, match=r"made with other arguments; close it first: master.close\(\)"):
        mb.Master(agents=3, name="tests")
    for agents in (0, [], ["2 cpus"], [mb.Resources()]):
        with pytest.raises(BadValue, match="agents="):
            mb.Master(agents=agents, name="other")
    with pytest.raises(BadValue, match="declares a local cluster"):
        mb.Master("tcp://127.0.0.1:9", agents=2)
    with pytest.raises(BadValue, match="with its result; leave update_retry= out"):
        mb.Master(name="other", update_retry="5s")


def test_a_framework_that_is_not_registered():
    with pytest.raises(NotRegistered, match=r"master.register"):
        mb.Queue().submit(double, 1)
