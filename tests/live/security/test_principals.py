"""Principals on a real hub: proven on both sides, by secrets that never travel, or refused with the remedy."""

import asyncio
import json
import secrets
import stat

import pytest
from distributed import Scheduler

import mesonb as mb
from mesonb.errors import BadValue, ClusterError, NotAllowed
from mesonb.live.remote import Remote
from mesonb.live.security.principals import Principals, proof
from mesonb.live.wire import hub
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.security.conftest import SECRETS
from tests.live.security.strangers import Stranger, Wire, stranger_at
from tests.live.tasks import double

pytestmark = pytest.mark.live
NONCE = b"n" * 32


def test_who_proves_itself_works_as_ever_and_the_secret_is_not_on_the_wire(guarded):
    with Wire(guarded.address) as wire, mb.connect(wire.address, principal="anna", secret=SECRETS["anna"]) as cluster:
        lab = cluster.register(mb.Queue(needs=SMALL), name="lab", role="lab")
        assert lab.submit(double, 4).result(60) == 8
        assert guarded.guests.gate.owner("lab") == "anna"
        assert b"anna" in wire.passed
        assert SECRETS["anna"].encode() not in wire.passed


def test_a_secret_is_read_from_a_private_file(guarded, tmp_path):
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_text(SECRETS["ben"] + "\n")
    with mb.connect(guarded.address, principal="ben", secret=file) as cluster:
        assert cluster.snapshot().agent_count == 1


@pytest.mark.parametrize(
    ("principal", "secret", "words"),
    [
        ("anna", SECRETS["ben"], "'anna' is not proven: this master knows no such principal, or another secret"),
        ("eve", SECRETS["ben"], "'eve' is not proven: this master knows no such principal, or another secret"),
        ("", None, r"this master has principals: say who you are, mb.connect\(principal="),
    ],
)
def test_who_does_not_is_refused_and_it_is_said_on_both_sides(guarded, principal, secret, words):
    with pytest.raises(NotAllowed, match=words):
        mb.connect(guarded.address, principal=principal, secret=secret)
    assert any(c.callback.startswith("kernel-") for c in guarded.complaints)


def test_a_kernel_finds_a_local_master_and_is_told_why_it_may_not_join(guarded):
    with pytest.raises(NotAllowed, match="say who you are"):
        mb.connect(name="guarded")


@pytest.mark.parametrize(
    "message",
    [("post", [], {}), ("ask", 1, "snapshot", ()), ("handled", "lab", ["lab/task-1"]), ("update", "t", "finished", "", b""), ("x",)],
)  # fmt: skip
def test_nothing_is_taken_before_the_proof(guarded, message):
    async def story(stranger):
        stranger.says(message)
        await stranger.is_refused("prove who you are first")

    stranger_at(guarded.address, story)


def test_a_proof_is_good_once_and_for_one_kernel_alone(guarded):
    async def story():
        heard = await Stranger.attach(guarded.address, "kernel-a")
        about = heard.peer.known_as((await heard.is_told("leader"))[-1])
        heard.says(("greet", "anna", NONCE))
        nonce = (await heard.is_told("challenge"))[-1]
        proven = proof(SECRETS["anna"].encode(), "kernel", "anna", "kernel-a", about, NONCE, nonce)
        heard.says(("prove", proven))
        welcome = await heard.is_told("welcome")
        assert welcome[-1] == proof(SECRETS["anna"].encode(), "master", "anna", "kernel-a", about, NONCE, nonce)
        replays = await Stranger.attach(guarded.address, "kernel-b")
        replays.says(("prove", proven))
        await replays.is_refused("greet first")
        replays.heard.clear()
        replays.says(("greet", "anna", NONCE))
        assert (await replays.is_told("challenge"))[-1] != nonce
        replays.says(("prove", proven))
        await replays.is_refused("'anna' is not proven")
        replays.heard.clear()
        replays.says(("prove", proven))
        await replays.is_refused("greet first")
        for one in (heard, replays):
            await one.peer.close()

    asyncio.run(asyncio.wait_for(story(), 60))


def test_nobody_takes_over_a_kernels_name_or_what_it_has_proven(guarded, joined):
    cluster = joined("anna")
    name = cluster._name

    async def story():
        with pytest.raises(ClusterError, match="is the name of a peer that is here"):
            await Stranger.attach(guarded.address, name)
        cluster._thread.call(cluster._peer._comm.abort)
        after = None
        while after is None:  # whoever is quicker has the name; the kernel is quick
            try:
                after = await Stranger.attach(guarded.address, name)
            except ClusterError:
                return
        after.says(("ask", 1, "snapshot", ()))
        await after.is_refused("prove who you are first")
        await after.peer.close()

    asyncio.run(asyncio.wait_for(story(), 60))
    wait_for(lambda: cluster._welcomed, 15, "the kernel to be back")
    assert cluster.snapshot().agent_count == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [(("welcome", 0, b"guessed"), "knows no principals"), (("challenge", NONCE), "does not know the secret of 'anna'")],
)
def test_a_kernel_does_not_obey_whoever_merely_took_the_lead(answer, words):
    """An impostor leads a real hub; it cannot prove that it shares a secret, so nothing is said to it."""

    async def run():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            await scheduler.register_scheduler_plugin(hub.Hub(), name=hub.NAME, idempotent=True)
            impostor = await Stranger.attach(scheduler.address, "impostor", "leader")

            async def deceive():
                while True:
                    greeted = await impostor.is_told("greet")
                    impostor.says(answer, to=greeted[0])
                    if answer[0] == "challenge":
                        await impostor.is_told("prove")
                        impostor.says(("welcome", 0, b"guessed"), to=greeted[0])
                    return

            deceiving = asyncio.ensure_future(deceive())
            with pytest.raises(NotAllowed, match=words):
                await asyncio.to_thread(Remote, scheduler.address, None, "anna", SECRETS["anna"])
            await deceiving
            assert not [m for m in impostor.heard if m[1] in ("post", "ask")]

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_proof_that_is_passed_on_to_the_master_of_another_cluster_is_good_for_nothing(guarded):
    """Who leads one hub hands everything on to the true master at another, under the same names, and back."""

    async def run():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            await scheduler.register_scheduler_plugin(hub.Hub(), name=hub.NAME, idempotent=True)
            between = await Stranger.attach(scheduler.address, "between", "leader", id=guarded._link.leader_id)

            async def pass_on():
                kernel, _, *greeting = await between.is_told("greet")
                as_it = await Stranger.attach(guarded.address, kernel)
                as_it.says(("greet", *greeting))
                between.says(("challenge", (await as_it.is_told("challenge"))[-1]), to=kernel)
                as_it.says(("prove", (await between.is_told("prove"))[-1]))
                refused = (await as_it.is_told("refused"))[-1]
                between.says(("leader", 1, "somebody else"), ("refused", refused), to=kernel)
                await as_it.peer.close()

            passing = asyncio.ensure_future(pass_on())
            with pytest.raises(NotAllowed, match="'anna' is not proven"):
                await asyncio.to_thread(Remote, scheduler.address, None, "anna", SECRETS["anna"])
            await passing

    asyncio.run(asyncio.wait_for(run(), 60))


def test_whose_a_framework_is_outlives_the_link_and_the_master(guarded, joined):
    """Owners are kept at the hub, which tells whoever leads; here the same master, after its link was cut."""
    anna = joined("anna")
    anna.register(mb.Queue(needs=SMALL), name="annas", role="lab")
    wait_for(lambda: guarded.guests.gate.owner("annas") == "anna", 10, "the name to be anna's")
    anna.explain("annas")  # the answer came behind what the master told the hub
    guarded.guests.gate.owners.clear()
    guarded._thread.call(guarded._link.peer._comm.abort)
    wait_for(lambda: guarded.guests.gate.owner("annas") == "anna", 10, "the hub to have said so")
    with pytest.raises(NotAllowed, match="may not end, steer or take over frameworks of 'anna'"):
        joined("ben").register(mb.Queue(needs=SMALL), name="annas", role="lab")
    wait_for(lambda: anna._welcomed, 10, "anna to have proven herself again")
    assert anna.register(mb.Queue(needs=SMALL), name="annas", role="lab").submit(double, 3).result(60) == 6


# --- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_can_read_or_change_is_not_read(tmp_path, mode):
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"anna": secrets.token_urlsafe(32)}))
    file.chmod(mode)
    with pytest.raises(
        BadValue, match=rf"secrets.json can be read or changed by others \(its mode is {mode:04o}\): chmod 600"
    ):
        Principals.of(file)
    file.chmod(0o600)
    assert list(Principals.of(file)) == ["anna"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON"), ("[]", "holds names and secrets"), ('{"anna": 3}', "holds names and secrets"), ("{}", "names nobody"),
        ('{"anna": "short"}', "the secret of 'anna' has to be a text of at least 16 characters; make one with: python -c"),
        ('{"an na": "0123456789abcdef"}', "'an na' cannot be a principal"),
        ('{"master": "0123456789abcdef"}', "'master' cannot be a principal"),
    ],
)  # fmt: skip
def test_a_bad_file_of_secrets_is_refused_before_a_cluster_is_touched(tmp_path, text, words):
    file = tmp_path / "secrets.json"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(BadValue, match=words):
        mb.Master("tcp://127.0.0.1:9", principals=file)


def test_toml_holds_secrets_too_and_they_are_never_shown(tmp_path):
    file = tmp_path / "secrets.toml"
    file.touch(0o600)
    file.write_text('anna = "0123456789abcdef"\n')
    assert "0123" not in repr(Principals.of(file))


@pytest.mark.parametrize(
    ("principal", "secret", "words"),
    [
        ("anna", None, "proves itself by a secret"), ("", "0123456789abcdef", "a secret is somebody's"),
        ("anna", "short", "at least 16 characters"), ("an na", "0123456789abcdef", "cannot be a principal"),
    ],
)  # fmt: skip
def test_half_an_identity_is_a_mistake(principal, secret, words):
    with pytest.raises(BadValue, match=words):
        mb.connect("tcp://127.0.0.1:9", principal=principal, secret=secret)
