"""The matrix: each forbidden thing tried on mesonb's own surface, each refused with a reason, and nothing harmed.

By the public verbs where they reach so far, and by a peer that says what no kernel of mesonb's would, after it has
proven that it is ben. What a holder of the Dask certificate can do beside mesonb is written in docs/SECURITY.md.
"""

import pytest

import mesonb as mb
from mesonb.core import calls
from mesonb.core.invariants import check
from mesonb.core.resources import Resources
from mesonb.errors import NotAllowed, NotThere
from mesonb.live.security.principals import proof
from mesonb.live.tasks.cargo import Cargo
from tests.helpers import wait_for, wait_for_async
from tests.live.conftest import SMALL
from tests.live.security.conftest import SECRETS
from tests.live.security.strangers import stranger_at
from tests.live.tasks import double, rest

pytestmark = pytest.mark.live
NONCE = b"n" * 32
ONE = Resources(cpus=1)


@pytest.fixture
def annas(guarded, joined):
    """Return a framework of anna's that runs one long task, in a role that ben may not see."""
    anna = joined("anna")
    queue = anna.register(mb.Queue(needs=SMALL), name="annas", role="hidden")
    run = queue.submit(rest)
    wait_for(lambda: run.task and run.task.running, 20, "anna's task to run")
    yield queue
    with guarded.lock:
        check(guarded.core)
        assert len(guarded.core.frameworks["annas"].tasks) == 1, "anna's task runs on, whatever ben did"
    assert not run.done


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (lambda ben: ben.register(mb.Queue(), name="x", role="prod"), "'ben' may not register in the role 'prod': no rule of"),
        (lambda ben: ben.register(mb.Queue(), name="annas", role="lab"), "'ben' may not end, steer or take over frameworks of 'anna'"),
        (lambda ben: ben.unregister("annas"), "'ben' may not end, steer or take over frameworks of 'anna'"),
        (lambda ben: ben.weights.__setitem__("lab", 3), "'ben' may not change the role 'lab'"),
        (lambda ben: ben.guarantees.__setitem__("lab", ONE), "'ben' may not change the role 'lab'"),
        (lambda ben: ben.limits.__setitem__("hidden", ONE), "'ben' may not change the role 'hidden'"),
        (lambda ben: ben.pause(), "'ben' may not pause or resume offers"),
        (lambda ben: ben.resume(), "'ben' may not pause or resume offers"),
        (lambda ben: setattr(ben, "allocator", "FIFO"), "'ben' may not allocate the allocator 'FIFO'"),
        (lambda ben: ben.post([calls.Drain("agent-1")]), "'ben' may not drain the agent 'agent-1'"),
        (lambda ben: ben.post([calls.Reserve("agent-1", "lab", ONE)]), "'ben' may not reserve the role 'lab'"),
        (lambda ben: ben.explain("annas"), "'ben' may not see the role 'hidden': rule 1 of .*acls.json forbids it"),
        (lambda ben: ben.explain("hidden"), "'ben' may not see the role 'hidden'"),
        (lambda ben: ben.explain("annas/task-1"), "'ben' may not see the role 'hidden'"),
    ],
)  # fmt: skip
def test_by_the_public_verbs(annas, joined, deed, words):
    with pytest.raises(NotAllowed, match=words):
        deed(joined("ben"))


POSTED = [
    (calls.Subscribe("x", "prod"), "may not register in the role 'prod'"),
    (calls.Subscribe("annas", "lab"), "frameworks of 'anna'"),
    (calls.SetWeight("lab", 9000), "change the role 'lab'"),
    (calls.SetGuarantee("lab", ONE), "change the role 'lab'"),
    (calls.SetLimit("lab", ONE), "change the role 'lab'"),
    (calls.SetPriority("lab", 9), "change the role 'lab'"),
    (calls.Reserve("agent-1", "lab", ONE), "reserve the role 'lab'"),
    (calls.Unreserve("agent-1", "lab", ONE), "reserve the role 'lab'"),
    (calls.SetAllocator("FIFO"), "allocate the allocator 'FIFO'"),
    (calls.Drain("agent-1"), "drain the agent 'agent-1'"),
    (calls.Undrain("agent-1"), "drain the agent 'agent-1'"),
    (calls.Pause(), "pause or resume offers"),
    (calls.Resume(), "pause or resume offers"),
    (calls.KillTask("annas", "annas/task-1"), "may not speak for the framework 'annas', which is anna's"),
    (calls.Unregister("annas"), "may not speak for the framework 'annas'"),
    (calls.Accept("annas", ("offer-1",)), "may not speak for the framework 'annas'"),
    (calls.AcceptAll("annas", ()), "may not speak for the framework 'annas'"),
    (calls.LaunchNext("annas", "annas/task-1", "annas/task-2"), "may not speak for the framework 'annas'"),
    (calls.Decline("annas", ()), "may not speak for the framework 'annas'"),
    (calls.Suppress("annas"), "may not speak for the framework 'annas'"),
    (calls.Revive("annas"), "may not speak for the framework 'annas'"),
    (calls.By("kernel-anna", calls.Unregister("annas")), "no kernel may tell the master of By"),
    (calls.By("kernel-stranger", calls.Unregister("annas")), "may not speak for the framework 'annas'"),
    (calls.Acknowledge("annas", ("annas/task-1",)), "may not speak for the framework 'annas'"),
    (calls.AcceptInverse("annas", ()), "may not speak for the framework 'annas'"),
    (calls.DeclineInverse("annas", ()), "may not speak for the framework 'annas'"),
    (calls.PlanMaintenance("agent-1"), "drain the agent 'agent-1'"),
    (calls.EndMaintenance("agent-1"), "drain the agent 'agent-1'"),
    (calls.Reconcile("annas"), "may not speak for the framework 'annas'"),
    (calls.AgentJoined("mine", ONE), "no kernel may tell the master of AgentJoined"),
    (calls.AgentLost("agent-1"), "no kernel may tell the master of AgentLost"),
    (calls.AgentUnreachable("agent-1"), "no kernel may tell the master of AgentUnreachable"),
    (calls.AgentBack("agent-1"), "no kernel may tell the master of AgentBack"),
    (calls.TaskUpdate("agent-1", "annas/task-1", "finished"), "is no call that a master takes"),
    (calls.Disconnect("annas"), "no kernel may tell the master of Disconnect"),
    (calls.Tick(), "pause or resume offers"),
    (calls.Revoke("annas/task-1"), "frameworks of 'anna'"),
    (calls.SetWeight("lab", "heavy"), "is no call that a master takes"),
    ("no call at all", "is no call that a master takes"),
    (Cargo(b"", b"", b""), "is no call that a master takes"),
]


def test_every_call_is_in_the_matrix():
    from typing import get_args

    assert {type(call) for call, _ in POSTED} >= set(get_args(calls.Call))


async def as_ben(stranger):
    """Prove to the master that a stranger is ben."""
    leader = stranger.peer.known_as((await stranger.is_told("leader"))[-1])
    stranger.says(("greet", "ben", NONCE))
    nonce = (await stranger.is_told("challenge"))[-1]
    about = "ben", "kernel-stranger", leader, NONCE, nonce
    stranger.says(("prove", proof(SECRETS["ben"].encode(), "kernel", *about)))
    await stranger.is_told("welcome")


def test_by_calls_that_no_kernel_of_ours_would_post(guarded, annas):
    async def story(stranger):
        await as_ben(stranger)
        for call, words in POSTED:
            stranger.heard.clear()
            stranger.says(("post", [call], {}))
            await stranger.is_refused(words)

    stranger_at(guarded.address, story)
    with guarded.lock:
        assert list(guarded.core.agents) == ["agent-1"] and not guarded.core.paused
        assert guarded.core.roles["hidden"].weight_milli == 1000


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (("update", "annas/task-1", "finished", "", b""), "'update' is no message that a master takes from a kernel"),
        (("join", {"id": "x"}, []), "'join' is no message"),
        (("cargo", {b"": b"code"}, []), "'cargo' is no message"),
        (("used", {}, {}), "'used' is no message"),
        (("cut", "agent-1"), "'cut' is no message"),
        (("gone", "agent-1"), "'gone' is no message"),
        (("owners", {"annas": "ben"}), "'owners' is no message"),
        (("post", "calls", {}), "'post' is no message"),
    ],
)
def test_by_messages_of_agents_and_of_the_hub(guarded, annas, message, words):
    async def story(stranger):
        await as_ben(stranger)
        stranger.says(message)
        await stranger.is_refused(words)

    stranger_at(guarded.address, story)
    assert guarded.guests.gate.owner("annas") == "anna"


@pytest.mark.parametrize("to", ["agent-1", "the leader"])
def test_by_speaking_to_agents_past_the_master(guarded, annas, to):
    async def story(stranger):
        await as_ben(stranger)
        leader = guarded._link.leader_id
        stranger.says(("kill", "annas/task-1"), ("drop", ["annas/task-1"]), to=leader if to == "the leader" else to)
        await stranger.is_refused("may speak to the leader, and to nobody else")

    stranger_at(guarded.address, story)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("post", (calls.Pause(),)), ("close", ()), ("__class__", ()), ("log", ()), ("explain", ("annas",)), ("snapshot", (1,)), ("may", (3,))],
)  # fmt: skip
def test_by_questions_that_are_none(guarded, annas, verb, arguments):
    async def story(stranger):
        await as_ben(stranger)
        stranger.says(("ask", 7, verb, arguments))
        answer = await stranger.is_told("answer")
        assert answer[2:4] == (7, False) and "a kernel cannot ask a master for" in answer[-1][1]

    stranger_at(guarded.address, story)


def test_by_acknowledging_for_another(guarded, annas):
    async def story(stranger):
        await as_ben(stranger)
        guarded._unacknowledged["annas/task-9"] = "agent-1"
        stranger.says(
            ("handled", "annas", ["annas/task-9"]), ("handled", "bens", ["annas/task-9"]), ("ask", 1, "now_us", ())
        )
        await stranger.is_told("answer")
        assert guarded._unacknowledged.pop("annas/task-9") == "agent-1"

    stranger_at(guarded.address, story)


def test_by_naming_a_task_as_anothers_or_running_anothers_code(guarded, annas):
    async def story(stranger):
        await as_ben(stranger)
        stranger.says(("post", [calls.Subscribe("bens", "lab")], {}))
        await wait_for_async(lambda: "bens" in guarded.core.frameworks, 10, "ben's framework")
        task = calls.TaskInfo("annas/task-2", ONE)
        guarded.cargo["annas/task-2"] = Cargo(b"annas", b"", b"")
        stranger.says(("post", [calls.Accept("bens", (), (task,))], {"annas/task-2": Cargo(b"bens", b"", b"")}))
        await stranger.is_refused("a task of 'bens' is named as another framework's")
        assert guarded.cargo.pop("annas/task-2").digest == b"annas"
        stranger.says(("post", [calls.Accept("bens", (), (calls.TaskInfo("bens/task-1", ONE),))], {}))
        await stranger.is_refused("'bens' launches a task and does not say what it runs")
        part = calls.Accept("annas", ("offer-1",))
        stranger.says(("post", [calls.AcceptAll("bens", (part,))], {}))
        await stranger.is_refused("a part of what 'bens' accepts is for another framework")
        stranger.says(("post", [calls.Unregister("bens")], {}))
        await wait_for_async(lambda: "bens" not in guarded.core.frameworks, 10, "ben's framework to leave")

    stranger_at(guarded.address, story)


def test_what_may_not_be_seen_is_not_shown(guarded, annas, joined):
    anna, ben = joined("anna"), joined("ben")
    bens = ben.register(mb.Queue(needs=SMALL), name="bens", role="lab")
    assert bens.submit(double, 2).result(60) == 4
    wait_for(lambda: len(ben.snapshot().frameworks) == 1, 5, "a picture that is not older")
    everything, some = anna.snapshot(), ben.snapshot()
    assert {row.framework for row in everything.frameworks} == {"annas", "bens"}
    assert {row.framework for row in some.frameworks} == {"bens"}
    assert "hidden" not in {row.role for row in some.roles}
    assert some.total == everything.total and some.free <= everything.total
    assert "annas" not in repr(some) and "hidden" not in repr(some)
    assert "annas" not in repr(ben.explain("bens")) and "annas" not in repr(ben.explain("bens", "agent-1"))
    assert "annas" not in repr(ben.explain("agent-1"))
    for asked in (("nonsense",), ("bens", "nonsense")):
        with pytest.raises(NotThere, match="nothing that you may see is called 'nonsense'; there are: bens, ") as told:
            ben.explain(*asked)
        assert "annas" not in str(told.value) and "hidden" not in str(told.value)


def test_what_the_rules_allow_is_done(guarded, joined):
    anna, ben = joined("anna"), joined("ben")
    ben.register(mb.Queue(needs=SMALL), name="bens", role="lab/deep")
    anna.weights["lab"] = 3
    wait_for(lambda: guarded.weights["lab"] == 3, 5, "the weight")
    anna.pause()
    wait_for(lambda: guarded.core.paused, 5, "the pause")
    anna.resume()
    wait_for(lambda: not guarded.core.paused, 5, "offers again")
    anna.unregister("bens")
    wait_for(lambda: "bens" not in guarded.core.frameworks, 10, "ben's framework to be ended by anna")


def test_what_a_framework_left_unhandled_is_kept_nowhere(guarded, joined, monkeypatch):
    ben = joined("ben")
    queue = ben.register(mb.Queue(needs=SMALL), name="bens", role="lab")
    run = queue.submit(rest)
    wait_for(lambda: run.task and run.task.running, 20, "ben's task to run")
    monkeypatch.setattr(ben, "handled", lambda *_: None)  # its kernel never says that it knows how the task ended
    ben.unregister(queue)
    wait_for(
        lambda: "bens" not in guarded.core.frameworks and not guarded._unacknowledged, 20, "nothing to be left of it"
    )
    assert run.task.id not in guarded.inheritance._known
