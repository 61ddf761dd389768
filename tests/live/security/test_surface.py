"""The surface, read from the code itself, against the matrix: a message, a question or a route that nobody tried fails here.

``SAID`` lists what each process takes, and from whom. Whatever one kind of peer may say is tried here by every other kind;
what a kernel may say for itself is tried for another's in ``test_matrix.py``.
"""

import ast
import inspect
import textwrap

import pytest
from distributed.diagnostics.plugin import WorkerPlugin

import mesonb as mb
from mesonb.core import calls
from mesonb.live import agent, guests, hearing, remote
from mesonb.live.wire import door, hub
from tests.helpers import ROOT, wait_for
from tests.live.conftest import SMALL
from tests.live.security.strangers import stranger_at
from tests.live.security.test_matrix import as_ben
from tests.live.tasks import rest

pytestmark = pytest.mark.live

#: Who says what to whom: the function that takes it, at which place of a message its kind is, and every kind there is.
SAID = {
    "a kernel to the master": (guests.Guests.take, 0, "greet prove post ask handled|let go|keep"),
    "a kernel asks the master": (
        guests.Guests._found, 0, "now_us snapshot explain may output sandbox printed steer isolation allocator|dask soon",
    ),
    "an agent to the master": (
        hearing.Hearing._from_agent, 1, "update join cargo used no agent|leaving ends staying plain sandbox output",
    ),
    "the hub to the master": (
        hearing.Hearing._from_the_hub, 0, "handled let go|cut silent gone unclaimed ping owners agentless said expected",
    ),
    "the master to an agent": (
        agent.Agent._take, 0, "launch kill withdraw ack ping leader hand over|drop not allowed|draining let go|keep left preload",
    ),
    "the master to a kernel": (
        remote.Remote._heard, 0, "mail answer challenge welcome refused not allowed|leader ping",
    ),
    "the leader to the hub": (hub.Hub._told, 0, "owners expel"),
}  # fmt: skip
#: Kinds that are two words.
TWO_WORDS = ("let go", "dask soon", "no agent", "hand over", "not allowed")


def kinds(listed):
    """Read a list of kinds: words, of which some belong together."""
    words = listed.replace("|", " ")
    found = {two for two in TWO_WORDS if two in words}
    for two in found:
        words = words.replace(two, " ")
    return found | set(words.split())


def taken(function, place):
    """Return the kinds of message for which a function has a case."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    cases = [case.pattern for node in ast.walk(tree) if isinstance(node, ast.Match) for case in node.cases]
    at = [case.patterns[place] for case in cases if isinstance(case, ast.MatchSequence) and len(case.patterns) > place]
    return {part.value.value for one in at for part in ast.walk(one) if isinstance(part, ast.MatchValue)}


@pytest.mark.parametrize("who", SAID)
def test_every_kind_of_message_is_listed_here(who):
    function, place, listed = SAID[who]
    assert taken(function, place) == kinds(listed), f"what {who} may say has changed: list it, and try it by all others"


def all_but(who):
    """Return every kind that somebody says, but for what one may say to the master."""
    return sorted(set().union(*[kinds(listed) for _, _, listed in SAID.values()]) - kinds(SAID[who][2]))


def test_a_kernel_says_nothing_that_is_for_others_to_say(guarded):
    async def story(stranger):
        await as_ben(stranger)
        for kind in all_but("a kernel to the master"):
            for message in ((kind,), (kind, "annas/task-1"), (kind, "agent-1", ["annas/task-1"])):
                stranger.heard.clear()
                stranger.says(message)
                await stranger.is_refused(f"'{kind}' is no message that a master takes from a kernel")

    stranger_at(guarded.address, story)


def test_nothing_but_a_greeting_is_taken_before_the_proof(guarded):
    async def story(stranger):
        for kind in kinds(SAID["a kernel to the master"][2]) - {"greet", "prove"}:
            stranger.heard.clear()
            stranger.says((kind, "agent-1", ["annas/task-1"]))
            await stranger.is_refused("prove who you are first")

    stranger_at(guarded.address, story)


def test_an_agent_says_nothing_that_is_for_others_to_say(guarded):
    others = all_but("an agent to the master")
    guarded._own_complaints.clear()

    async def story(stranger):
        stranger.says(*[(kind, "annas/task-1", ["annas/task-1"]) for kind in others])
        stranger.says(("update", "x/task-1", "finished", "", b""))
        await stranger.is_told("ack")

    stranger_at(guarded.address, story, name="rogue", kind="agent")
    said = [complaint.error for complaint in guarded.complaints]
    for kind in others:
        assert any(f"'{kind}' is no message that a master takes from an agent" in error for error in said), kind


def test_whoever_is_not_the_leader_tells_the_hub_nothing(guarded, joined):
    """``owners`` would make ben the owner of what is anna's, and ``expel`` would end anybody."""
    joined("anna").register(mb.Queue(needs=SMALL), name="owned", role="lab")
    wait_for(lambda: guarded.guests.gate.owner("owned") == "anna", 10, "whose it is to be known")

    async def story(stranger):
        await as_ben(stranger)
        stranger.says(("owners", {"owned": "ben"}), ("expel", "agent-1", "no reason"), to="")
        stranger.says(("ask", 1, "now_us", ()))
        await stranger.is_told("answer")

    stranger_at(guarded.address, story)
    assert guarded.guests.gate.owner("owned") == "anna"
    assert list(guarded.core.agents) == ["agent-1"] and not guarded.core.unreachable


# --- questions ---------------------------------------------------------------------------------------------------------

#: Each question, about what is anna's and hidden from ben, and what he is told.
ASKED = {
    "now_us": ((), int),
    "snapshot": ((), "annas"),
    "explain": (("annas", ""), "may not see the role 'hidden'"),
    "may": ((calls.SetWeight("lab", 2),), "may not change the role 'lab'"),
    "output": (("annas/task-1",), "may not see the role 'hidden'"),
    "sandbox": (("annas/task-1",), "may not see the role 'hidden'"),
    "printed": ((), "annas"),
    "isolation": ((), "annas"),
    "allocator": ((), "annas"),
    "dask soon": ((), "annas"),
    "steer": ((calls.Suppress("annas"),), "may not end, steer or take over frameworks of 'anna'"),
}


def test_every_question_is_asked_of_what_is_hidden(guarded, joined):
    assert set(ASKED) == kinds(SAID["a kernel asks the master"][2])
    anna = joined("anna")
    run = anna.register(mb.Queue(needs=SMALL), name="annas", role="hidden").submit(rest)
    wait_for(lambda: run.task and run.task.running, 20, "anna's task to run")

    async def story(stranger):
        await as_ben(stranger)
        for number, (verb, (arguments, told)) in enumerate(ASKED.items()):
            stranger.says(("ask", number, verb, arguments))
            _, _, _, well, answer = await stranger.is_told("answer", number)
            if isinstance(told, str) and " " in told:
                assert not well and answer[0] == "NotAllowed" and told in answer[1], verb
            else:
                assert well and (told not in repr(answer) if isinstance(told, str) else isinstance(answer, told)), verb

    stranger_at(guarded.address, story)


# --- everything else that listens --------------------------------------------------------------------------------------


def test_every_kind_of_peer_is_looked_at_by_the_door():
    assert set(door.KINDS) == {"agent", "leader", "standby", "kernel"}


def test_what_mesonb_adds_to_dasks_own_servers_is_listed():
    """Each is for whoever holds the certificate, and does no more than plain Dask lets that one do."""
    added = set()
    for file in sorted((ROOT / "mesonb").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if (
                    isinstance(target, ast.Subscript)
                    and isinstance(target.value, ast.Attribute)
                    and target.value.attr == "handlers"
                ):
                    added.add(ast.unparse(target.slice).strip("'"))
    assert added == {"ATTACH", "mesonb_here", "retire_workers", "mesonb_leave", "mesonb_stay"}


def test_an_agent_is_no_more_than_a_plugin():
    """Dask calls what a plugin has under names of its own: a new one is looked at here."""
    known = {"setup", "teardown", "transition"}
    hooks = {name for name in vars(WorkerPlugin) if not name.startswith("_") and name != "idempotent"}
    assert known <= hooks
    assert {name for name in hooks if name in vars(agent.Agent)} == known
