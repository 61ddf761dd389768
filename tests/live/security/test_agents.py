"""Agents prove no more than that they hold the certificate; what one says of another's tasks is not believed all the same."""

import asyncio
import pickle

import pytest
from distributed import Client, get_worker

import mesonb as mb
from mesonb.core import calls
from mesonb.core.resources import Resources
from mesonb.errors import BadValue
from mesonb.live import agent, cluster, guests, hearing
from mesonb.live.tasks.cargo import digest_of
from mesonb.live.tasks.running import said_of_failure
from mesonb.live.tasks.sandbox import Sandboxes
from mesonb.live.wire.comms import LEADER
from mesonb.live.wire.versions import ours
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.security.strangers import stranger_at
from tests.live.security.test_anyway import Touches
from tests.live.security.test_matrix import as_ben
from tests.live.security.test_wire import on_a_hub
from tests.live.tasks import wait_and_return

pytestmark = pytest.mark.live
ONE = Resources(cpus=1)


def waits_for(path):
    """Print a word, and return it once a file is there."""
    print("mine", flush=True)
    return wait_and_return("mine", path)


def introduced(master, **more):
    """Say of an agent what its leader wants to know."""
    return {
        "id": "rogue", "joins": calls.AgentJoined("", ONE), "host": "elsewhere", "pid": 1, "group": 1, "isolation": [],
        "versions": ours(), "leaving": None, "holds": [], "plain": 0, **more,
    }  # fmt: skip


def complained(master, words):
    return wait_for(lambda: [c for c in master.complaints if words in c.error], 10, f"a complaint with {words!r}")


def test_a_rogue_agent_ends_no_task_of_another_and_says_nothing_of_it(guarded, tmp_path):
    queue = guarded.register(mb.Queue(needs=SMALL), name="watched")
    run = queue.submit(waits_for, tmp_path / "go")
    wait_for(lambda: run.task and run.task.running, 20, "the task to run")
    task = run.task.id
    wait_for(lambda: guarded.output(task).lines == ["mine"], 10, "what it printed")

    async def story(stranger):
        stranger.says(
            ("update", task, "finished", "", pickle.dumps("forged")),
            ("output", [(task, 5, b"forged\n")]), ("sandbox", task, "/forged", {}),
            ("cargo", {}, [(task, b"", b"")]), ("update", "watched/task-77", "finished", "", b""),
        )  # fmt: skip
        acknowledged = await stranger.is_told("ack")
        assert acknowledged[-1] == ["watched/task-77"], "what nobody knows of, it may forget"

    stranger_at(guarded.address, story, name="rogue", kind="agent")
    complained(guarded, f"it says of {task} that it is finished, and another agent runs that")
    assert not run.done and task not in guarded.inheritance._cargo
    assert guarded.output(task).lines == ["mine"] and task not in guarded._sandboxes
    (tmp_path / "go").touch()
    assert run.result(60) == "mine"
    guarded.unregister(queue)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (("join", introduced(None, joins=calls.Pause()), []), "TypeError"),
        (("join", introduced(None, joins=calls.AgentBack("")), []), "what rogue says of itself as it joins is not well formed"),
        (("join", introduced(None, joins=calls.AgentJoined("", Resources.of({"cpus": -9}))), []), "is not well formed"),
        (("leaving", "soon"), "'leaving' is no message that a master takes from an agent"),
        (("greet", "anna", b""), "'greet' is no message that a master takes from an agent"),
        (("gone", "agent-1"), "'gone' is no message that a master takes from an agent"),
    ],
)  # fmt: skip
def test_what_an_agent_says_is_well_formed_or_it_is_no_agent(guarded, message, words):
    guarded._own_complaints.clear()

    async def story(stranger):
        stranger.says(message)
        await asyncio.get_running_loop().run_in_executor(None, complained, guarded, words)

    stranger_at(guarded.address, story, name="rogue", kind="agent")
    assert list(guarded.core.agents) == ["agent-1"]


def test_a_function_is_the_one_of_its_digest_or_none(guarded):
    guarded.inheritance.bring({b"0" * 16: b"other code", digest_of(b"code"): b"code"}, [])
    assert guarded.inheritance._functions == {digest_of(b"code"): b"code"}
    guarded.inheritance._functions.clear()


def of_the_agent():
    """Return whatever the agent of this worker keeps to itself."""
    return vars(get_worker().plugins[agent.NAME])["id"]


def test_a_secret_of_an_agents_own_would_be_anybodys(guarded):
    """As decision 091 says: whoever may talk to Dask reads what is in a worker."""
    with Client(guarded.address, set_as_default=False) as client:
        assert client.submit(of_the_agent).result(timeout=60) == guarded._roster._ids["agent-1"]


# --- a kernel, and how much it may say ---------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["", "*leader", "kernel-other"])
def test_a_kernel_has_agents_let_go_and_nobody_else(guarded, to):
    async def story(stranger):
        await as_ben(stranger)
        stranger.says(("let go", to, ["lab/task-1@0123"]))
        await stranger.is_refused("'let go' is no message that a master takes from a kernel")

    stranger_at(guarded.address, story)


def test_what_is_kept_of_a_complaint_is_bounded(guarded):
    vast = "x" * 5_000_000

    async def story(stranger):
        await as_ben(stranger)
        stranger.says(("post", [calls.SetWeight(vast, 1), vast, calls.Drain(vast)], {}), (vast,))
        await stranger.is_refused("a SetWeight such as this is no call that a master takes")
        await stranger.is_refused("is no message that a master takes from a kernel")

    stranger_at(guarded.address, story)
    assert sum(len(c.error) for c in guarded.complaints) < 100 * hearing.COMPLAINT_MOST
    guarded._own_complaints.clear()


def test_one_call_with_many_parts_costs_as_much_as_many_calls():
    task = calls.TaskInfo("lab/task-1", ONE)
    one = calls.Accept("lab", ("o",), (task,) * 100_000)
    for call in (one, calls.AcceptAll("lab", (one,)), calls.By("kernel-1", one)):
        assert guests._cost(("post", [call], {})) > 100_000
    assert guests._cost(("post", [calls.Reconcile("lab", ("lab/task-1",) * 100_000)], {})) > 10_000
    assert guests._cost(("post", [one], {"lab/task-1": None})) < 100_010, "its cargo is not counted twice"


def nested(calls_deep):
    """Pickle a call within a call, so deep that Python itself would not write it."""
    within = b"cmesonb.core.calls\nBy\n(X\x0f\x00\x00\x00kernel-stranger"
    deep = within * calls_deep + b"cmesonb.core.calls\nPause\n)R" + b"tR" * calls_deep
    return b"\x80\x02]((X\x04\x00\x00\x00post](" + deep + b"e}te."


def test_a_call_in_a_call_in_a_call_is_refused_and_the_next_is_taken(guarded):
    async def story(stranger):
        await as_ben(stranger)
        for deep in (3, 50_000):
            stranger.heard.clear()
            await stranger.peer._comm.write([(LEADER, nested(deep))])
            await stranger.is_refused("a By such as this is no call that a master takes")
        stranger.says(("ask", 7, "now_us", ()))
        assert (await stranger.is_told("answer", 7))[3] is True

    stranger_at(guarded.address, story)
    assert not guarded.core.paused
    guarded._own_complaints.clear()


# --- the other ends ----------------------------------------------------------------------------------------------------


def test_a_batch_of_the_hub_that_is_none_ends_nothing():
    """An agent, or a kernel, reads on."""

    async def story(scene):
        for batch in (7, [3], [("", 5)], [("a", b"x", "more")]):
            scene.agent.peer._open_all(batch)
        scene.agent.peer._open_all([("", pickle.dumps([("after", "garbage")]))])
        assert ("", "after", "garbage") in scene.agent.heard

    on_a_hub(story)


def test_an_agent_reads_what_its_children_say_without_running_it(tmp_path):
    assert said_of_failure(pickle.dumps(("a line", "trace", b"error"))) == "a line"
    for content in (pickle.dumps((Touches(tmp_path / "ran"), "", b"")), b"noise", pickle.dumps(7)):
        assert said_of_failure(content) == "it failed, and its process says of that what cannot be read"
    assert not list(tmp_path.iterdir())


def test_tasks_that_are_spelt_alike_have_sandboxes_of_their_own(tmp_path):
    async def story():
        made = Sandboxes(tmp_path, "agent-1", lambda _: None)
        return {made.make("lab/task-1"), made.make("lab-task/1"), made.make("lab-task-1")}

    assert len(asyncio.run(story())) == 3


def test_files_of_another_users_are_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    assert cluster.folder() == tmp_path
    monkeypatch.setattr("os.getuid", lambda: 12_345)
    with pytest.raises(BadValue, match="belongs to another user, who could read and change what is kept there"):
        cluster.folder()
