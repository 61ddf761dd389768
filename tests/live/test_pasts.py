"""The past of a master, looked at from another kernel: another process asks for moments as its board does."""

import json
import threading

import pytest

import mesonb as mb
from mesonb.core.calls import Drain, Undrain
from mesonb.errors import BadValue, LogError
from mesonb.live import pasts
from mesonb.live.pasts import BUSY, LET_GO, Pasts, answered
from mesonb.session import Session
from tests.helpers import wait_for
from tests.live.tasks import double
from tests.live.test_cluster import kernel

pytestmark = pytest.mark.live

#: What a board asks; each line that is printed is where it is, and what it shows.
BOARD = """
    import json
    import mesonb as mb
    from mesonb.panels.commands import obey
    from mesonb.session import Session
    from tests.helpers import wait_for
    remote = mb.connect(name="tests")
    open = lambda: (ack := obey(remote, {"do": "look back"}))["ok"] is False or ack["past"] and ack
    ack = wait_for(open, 30, "the recording to be read")
    past = Session.known[ack["past"]]
    def told(**command):
        ack = obey(past, command) if command else obey(remote, {"do": "look back"})
        shown = past.snapshot()
        finished = sum(row.counts.get("finished", 0) for row in shown.frameworks if row.framework == "looked-at")
        return {**ack, "agents": shown.agent_count, "finished": finished, "steps": shown.steps}
    found = {
        "end": told(do="move", by="end"), "start": told(do="move", by="start"), "first": told(do="move", by="+ cycle"),
        "back": told(do="move", by="- call"), "sought": told(do="seek", to=1e6),
        "nowhere": obey(past, {"do": "move", "by": "sideways"}), "steered": obey(past, {"do": "pause"}),
        "live": remote.snapshot().agent_count, "listed": past.past_of() is remote,
        "linked": remote.moment("0s").place["position"],
    }
    print(json.dumps(found), flush=True)
    input()
"""


@pytest.fixture
def worked(master):
    """A framework whose three tasks are over."""
    queue = master.register(mb.Queue(needs=mb.Resources(cpus=1, mem="100MB")), name="looked-at")
    assert [run.result(20) for run in queue.map(double, range(3))] == [0, 2, 4]
    yield queue
    master.unregister(queue)


def test_another_process_is_shown_moments_of_the_masters_past(master, worked):
    process, said = kernel(BOARD)
    try:
        found = json.loads(said)
    finally:
        process.communicate("\n", timeout=30)
    assert process.returncode == 0
    assert [found[name]["ok"] for name in ("end", "start", "first", "back", "sought")] == [True] * 5
    assert found["start"]["position"] == 0 == found["start"]["agents"] and found["live"] == 2
    assert found["start"]["at_s"] == 0 and found["start"]["code"] == 'remote.moment("0.000s")', (
        "though its clock is older"
    )
    assert found["end"]["finished"] == found["sought"]["finished"] == 3 > found["first"]["finished"]
    assert found["end"]["position"] == found["end"]["calls"] == found["sought"]["position"]
    assert 0 < found["first"]["position"] < found["end"]["position"]
    assert found["back"]["position"] == found["first"]["position"] - 1
    assert found["end"]["code"].startswith("remote.moment(") and found["listed"]
    assert "is no move" in found["nowhere"]["because"] and "go back to live" in found["steered"]["because"]


# -- what the master bounds ---------------------------------------------------------------------------------------------


class Loop:
    """Runs at once, on the thread of whoever calls, what its thread would run."""

    def __init__(self):
        self.later = []

    def call_soon_threadsafe(self, function, *arguments):
        function(*arguments)

    def call_later(self, _delay_s, function):
        self.later.append(function)


@pytest.fixture
def simulated():
    sim = mb.Simulation(agents=2, seed=1)
    sim.run("1s")
    return sim


@pytest.fixture
def asked(simulated):
    """A master's side of looking back, on a simulation; `ask` returns what was answered once it was."""
    looked, loop = Pasts(simulated, lambda: loop), Loop()

    def ask(how, amount=None, position=0):
        answers = []
        looked.look(how, amount, position, answers.append)
        wait_for(lambda: answers and not looked._busy, 20, "an answer")
        return answers[0]

    ask.pasts, ask.loop, ask.session = looked, loop, simulated
    return ask


def test_the_recording_is_read_once_for_all_and_let_go_when_nobody_asks(asked, monkeypatch):
    assert asked("open") is None, "it is being read"
    place, picture = asked("open")
    assert place["position"] == place["calls"] and picture.agent_count == 2
    first = asked.pasts._past
    assert asked("move", "start", place["position"])[0]["position"] == 0
    asked("open")
    assert asked.pasts._past is first, "the same for whoever comes next"
    asked.session.post([Drain("agent-1")])
    monkeypatch.setattr(pasts, "YOUNG_S", 0.0)
    assert asked("open") is None and asked.pasts._past is not first, "an old one is read anew, once something happened"
    asked.loop.later[-1]()
    assert asked.pasts._past is not None, "somebody has just asked"
    monkeypatch.setattr(pasts, "IDLE_S", 0.0)
    asked.loop.later[-1]()
    assert str(asked("seek", 0.0)) == LET_GO
    asked.session.post([Undrain("agent-1")])


def test_one_moment_at_a_time_is_looked_for(asked, monkeypatch):
    asked("open")
    asked("open")
    moving, go_on = threading.Event(), threading.Event()
    real = Session.moved

    def held(*arguments):
        moving.set()
        assert go_on.wait(20)
        return real(*arguments)

    monkeypatch.setattr(Session, "moved", staticmethod(held))
    first, second = [], []
    asked.pasts.look("move", "start", 0, first.append)
    assert moving.wait(20)
    asked.pasts.look("move", "end", 0, second.append)
    assert [str(answer) for answer in second] == [BUSY] and not first
    go_on.set()
    wait_for(lambda: first, 20, "the first answer")
    assert first[0][0]["position"] == 0


def test_what_goes_wrong_is_answered(asked, monkeypatch):
    def spoiled(_session):
        raise LogError("a step of it is not what it was")

    monkeypatch.setattr(Session, "rewound", staticmethod(spoiled))
    assert asked("open") is None
    assert str(asked("open")) == "a step of it is not what it was"
    assert answered(BadValue("so"), None) == (False, ("BadValue", "so"))
    assert answered(KeyError("x"), None) == (False, ("BadValue", "the past cannot be shown: KeyError: 'x'"))
