"""Bad input on the wire, against a real hub: a clear word at the right place, and everybody else unaffected.

The hub, its Dask scheduler and the peers run in the test's loop and speak over real sockets; at the end of each story an
agent and the leader still hear each other.
"""

import asyncio
import os
import pickle
import struct
import time
from types import SimpleNamespace

import numpy as np
import pytest
from distributed import Scheduler
from distributed.comm.core import CommClosedError, connect, listen
from distributed.security import Security

import mesonb as mb
from mesonb.core import calls
from mesonb.errors import ClusterError, MasterExists
from mesonb.live import guests
from mesonb.live.wire import door, frames, hub, line
from mesonb.live.wire.comms import ATTACH, LEADER, PROTOCOL
from tests.helpers import wait_for, wait_for_async
from tests.live.conftest import SMALL
from tests.live.security.strangers import Stranger, stranger_at
from tests.live.tasks import double

pytestmark = pytest.mark.live
MB = 1_000_000


class Scene:
    """A hub with a leader and an agent that are well behaved, and whatever else a story attaches."""

    def __init__(self, made, address, leader, agent):
        self.hub, self.address, self.leader, self.agent = made, address, leader, agent
        self.wilds = []

    async def wild(self, name="kernel-wild", kind="kernel", **more):
        """Attach somebody of whose comm nothing is read by itself."""
        comm = await connect(self.address)
        self.wilds.append(comm)
        introduction = {"protocol": PROTOCOL, "kind": kind, "name": name, "key": f"of {name}", **more}
        await comm.write({"op": ATTACH, "reply": False, "introduction": introduction})
        assert "refused" not in await comm.read()
        return comm

    async def is_cut_off(self, name, words):
        """Wait until the leader was told that somebody was cut off, and why."""
        await wait_for_async(lambda: name not in self.hub.lines, 10, f"{name} to be gone")
        said = await self.leader.is_told("said")
        assert name in said[-1] and words in said[-1]
        await self.leader.is_told("cut", name)

    async def goes_on(self):
        """See that leader and agent still hear each other."""
        self.agent.says(("still", "here"))
        await self.leader.is_told("still", "here")
        self.leader.says(("so", "am I"), to="a")
        await self.agent.is_told("so", "am I")


async def is_closed(comm):
    """Read what is left, until there is no more."""
    with pytest.raises(CommClosedError):
        while True:
            await asyncio.wait_for(comm.read(), 60)


def on_a_hub(story):
    async def run():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            made = hub.Hub()
            await scheduler.register_scheduler_plugin(made, name=hub.NAME, idempotent=True)
            leader = await Stranger.attach(scheduler.address, "m", "leader", key="m")
            agent = await Stranger.attach(scheduler.address, "a", "agent", key="a", address="tcp://10.0.0.1:1")
            scene = Scene(made, scheduler.address, leader, agent)
            await story(scene)
            await scene.goes_on()

    asyncio.run(asyncio.wait_for(run(), 40))


# --- garbage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("garbage", "words"),
    [
        (struct.pack("Q", 2**60), "it sent a frame of 1,152,921,504,606,846,976 bytes, and 1,000,000,000 is the most"),
        (struct.pack("QQQ", 16, 1, 2**62), "it sent a frame of 4,611,686,018,427,387,920 bytes"),
        (struct.pack("Q", 64) + os.urandom(64), "what it sent is no frame"),
        (struct.pack("QQQ", 24, 1, 8) + b"\xc1" * 8, "what it sent is no frame"),
        (struct.pack("Q", 8) + struct.pack("Q", 2**63), "what it sent is no frame"),
    ],
    ids=["vast", "vast-inside", "noise", "no-msgpack", "countless"],
)
def test_a_frame_that_is_none_ends_its_sender_alone(garbage, words):
    async def story(scene):
        comm = await scene.wild()
        await comm.stream.write(garbage)
        await scene.is_cut_off("kernel-wild", words)
        await is_closed(comm)
        with pytest.raises(ClusterError, match=r"it was cut off for what it sent; it may come back in \d+ s"):
            await Stranger.attach(scene.address, "kernel-again", key="of kernel-wild")

    on_a_hub(story)


def test_half_a_frame_and_an_end(monkeypatch):
    async def story(scene):
        comm = await scene.wild()
        await comm.stream.write(struct.pack("Q", 1000) + b"half")
        comm.abort()
        await scene.leader.is_told("cut", "kernel-wild")

    on_a_hub(story)


@pytest.mark.parametrize(
    "noise",
    [b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\0" * 64, struct.pack("Q", 2**50)],
    ids=["http", "noise", "nothing", "vast"],
)
def test_noise_at_the_port_of_the_dask_scheduler(noise):
    async def story(scene):
        host, port = scene.address.removeprefix("tcp://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(noise)
        await writer.drain()
        writer.close()

    on_a_hub(story)


def test_a_batch_that_is_none_is_dropped_and_its_sender_told():
    async def story(scene):
        wild = await Stranger.attach(scene.address, "kernel-wild")
        for batch in ("text", 7, [("a",)], [(LEADER, "no bytes")], [(3, b"")], {"op": "x"}):
            wild.heard.clear()
            await wild.peer._comm.write(batch)
            await wild.is_refused("what you sent is no batch, and was dropped")
        wild.says(("after", "garbage"))
        await scene.leader.is_told("after", "garbage")

    on_a_hub(story)


GOOD = {"protocol": PROTOCOL, "kind": "agent", "name": "x"}


@pytest.mark.parametrize(
    ("introduction", "words"),
    [
        ("text", "is a mapping"), ([], "is a mapping"), (GOOD | {"protocol": "2"}, "speaks protocol '2'"),
        (GOOD | {"kind": "king"}, "names its kind"), (GOOD | {"kind": ["agent"]}, "names its kind"),
        (GOOD | {"name": None}, "names its kind"), (GOOD | {"name": ""}, "it is empty"),
        (GOOD | {"name": "x" * 201}, "at most 200 printable"), (GOOD | {"name": "a\nb"}, "at most 200 printable"),
        (GOOD | {"name": "*leader"}, "begins with"), (GOOD | {"name": "kernel-1"}, "cannot be the name of a peer of the kind agent"),
        (GOOD | {"kind": "kernel"}, "cannot be the name of a peer of the kind kernel"),
        (GOOD | {"address": ["x"]}, "the address in an introduction"), (GOOD | {"key": 5}, "the key in an introduction"),
        (GOOD | {"term": "9"}, "a term is a number"), (GOOD | {"term": True}, "a term is a number"),
        (GOOD | {"term": -1}, "a term is a number"), (GOOD | {"term": 2**63}, "a term is a number"),
        (GOOD | {"name": "a"}, "is the name of a peer that is here"),
        (GOOD | {"address": "tcp://10.0.0.1:1"}, "is the agent 'a', and that is here"),
        (GOOD | {"kind": "leader", "id": "m", "who": "an impostor"}, "a stranger"),
    ],
)  # fmt: skip
def test_a_bad_introduction_is_refused_in_words(introduction, words):
    async def story(scene):
        comm = await connect(scene.address)
        await comm.write({"op": ATTACH, "reply": False, "introduction": introduction})
        assert words in (await comm.read())["because"]
        assert set(scene.hub.lines) == {"m", "a"}

    on_a_hub(story)


# --- too much ----------------------------------------------------------------------------------------------------------


def test_an_oversized_frame_is_not_taken(monkeypatch):
    monkeypatch.setattr(line, "FRAME_BYTES", MB)

    async def story(scene):
        comm = await scene.wild()
        await comm.write([(LEADER, pickle.dumps([("large", b"x" * 30 * MB)]))])
        await is_closed(comm)
        await scene.is_cut_off("kernel-wild", "1,000,000 is the most that is taken")
        assert not [message for message in scene.leader.heard if message[1] == "large"]

    on_a_hub(story)


def test_a_flood_of_frames_is_cut_off(monkeypatch):
    monkeypatch.setattr(line, "FRAMES_S", 1)
    monkeypatch.setattr(line, "FRAMES_BURST", 100)

    async def story(scene):
        comm = await scene.wild()
        with pytest.raises(CommClosedError):
            while True:
                await frames.write(comm, [("", b"")])
                await asyncio.sleep(0)  # the hub is on this loop too
        await scene.is_cut_off("kernel-wild", "more than 1 frames a second")
        with pytest.raises(ClusterError, match="it may come back in"):
            await Stranger.attach(scene.address, "kernel-wilder", key="of kernel-wild")
        monkeypatch.setattr(door, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + door.OUT_S))
        await Stranger.attach(scene.address, "kernel-wilder", key="of kernel-wild")

    on_a_hub(story)


def test_whoever_is_ahead_of_the_leader_is_read_no_further_and_nothing_is_lost(monkeypatch):
    """The leader does not read; what waits for it stays bounded, and arrives in order once it does."""
    monkeypatch.setattr(line, "AHEAD_BYTES", MB)

    async def story(scene):
        leads = await scene.wild("m", "leader", id="m", who="m", key="m")
        eager = await scene.wild("eager", "agent")
        sending = asyncio.ensure_future(send_all(eager))
        await wait_for_async(lambda: scene.hub.lines["eager"].paused, 10, "the hub to read no further")
        for _ in range(20):
            await asyncio.sleep(0)
            assert scene.hub.lines["eager"].ahead_bytes <= 3 * MB
        scene.leader = Stranger.over(leads)
        await wait_for_async(lambda: sum(m[1] == "part" for m in scene.leader.heard) == 60, 20, "all of it to arrive")
        assert [m[2] for m in scene.leader.heard if m[1] == "part"] == list(range(60))
        await sending
        assert scene.hub.lines["eager"].ahead_bytes == 0

    async def send_all(comm):
        for number in range(60):
            await frames.write(comm, [(LEADER, pickle.dumps([("part", number, b"x" * MB)]))])

    on_a_hub(story)


def test_a_slow_reader_is_cut_off_when_too_much_waits_for_it(monkeypatch):
    monkeypatch.setattr(line, "BEHIND_BYTES", 5 * MB)

    async def story(scene):
        await scene.wild("sleepy", "agent")
        for _ in range(60):
            scene.leader.says(("launch", b"x" * MB), to="sleepy")
            await asyncio.sleep(0)
        await scene.is_cut_off("sleepy", "bytes wait for it, and it does not read them")

    on_a_hub(story)


def test_there_is_an_end_to_how_many_peers_there_may_be(monkeypatch):
    monkeypatch.setattr(door, "PEERS_MOST", 3)

    async def story(scene):
        await scene.wild()
        with pytest.raises(ClusterError, match="this hub has 3 peers, and takes no more"):
            await Stranger.attach(scene.address, "kernel-more")

    on_a_hub(story)


@pytest.mark.parametrize(
    "flood",
    [("post", [calls.Suppress("x")] * 500, {}), ("ask", 1, "snapshot", ()), ("greet", "", b""), ("nonsense",)],
    ids=["calls", "questions", "greetings", "nonsense"],
)
def test_a_kernel_that_floods_the_master_is_cut_off_and_the_others_are_served(master, monkeypatch, flood):
    monkeypatch.setattr(guests, "SAID_S", 10)
    monkeypatch.setattr(guests, "SAID_BURST", 2_000)

    async def story(stranger):
        for _ in range(1_000):
            if stranger.peer.closed:
                break
            stranger.says(flood)
            await asyncio.sleep(0)
        await wait_for_async(lambda: stranger.peer.closed, 10, "the stranger to be cut off")

    stranger_at(master.address, story, key=f"floods {flood[0]}")
    wait_for(
        lambda: [c for c in master.complaints if "more than the master can bear: 10 things a second" in c.error],
        10, "it to be said",
    )  # fmt: skip
    queue = master.register(mb.Queue(needs=SMALL), name="others")
    assert queue.submit(double, 4).result(60) == 8
    assert len(master.complaints) <= 110, "what is said of it is bounded"
    master._own_complaints.clear()


# --- epochs and clocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", [1, 2**61])
def test_a_forged_term_does_not_take_the_lead(term):
    """Whom the hub let lead is outranked by nobody who says that it was elected; a term is for elected leaders."""

    async def story(scene):
        with pytest.raises(MasterExists, match="a stranger"):
            await Stranger.attach(scene.address, "forger", "leader", term=term)
        assert scene.hub.leader.name == "m" and scene.hub.epoch == 1

    on_a_hub(story)


def test_the_leaders_name_and_id_are_not_enough_to_be_the_leader():
    async def story(scene):
        with pytest.raises(MasterExists):
            await Stranger.attach(scene.address, "m", "leader", key="another process")
        again = await Stranger.attach(scene.address, "m", "leader", key="m")
        assert again.peer.welcome["epoch"] == 2
        scene.leader.says(("launch", "of a stale leader"), to="a")  # its comm was ended by the hub
        scene.leader = again
        await scene.goes_on()
        assert not [message for message in scene.agent.heard if "of a stale leader" in message]

    on_a_hub(story)


@pytest.mark.parametrize("by_s", [3600, -3600])
def test_a_clock_that_jumps_deposes_nobody(monkeypatch, by_s):
    monkeypatch.setattr(hub, "PING", "20ms")

    async def story(scene):
        standby = await Stranger.attach(scene.address, "s", "standby", key="s")
        for module in (door, frames):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + by_s))
        before = scene.hub.rounds
        await wait_for_async(lambda: scene.hub.rounds > before + 10, 10, "ten more rounds of pings")
        assert scene.hub.leader.name == "m" and scene.hub.epoch == 1
        assert not [m for m in standby.heard if m[1] == "lead"]

    on_a_hub(story)


def test_the_clock_on_the_wall_is_nobodys_business(master, monkeypatch):
    queue = master.register(mb.Queue(needs=SMALL), name="timeless")
    for years in (10, -10):
        monkeypatch.setattr(time, "time", lambda years=years: 1.7e9 + years * 3e7)
        assert queue.submit(double, 4).result(60) == 8
        assert master.snapshot().agent_count == 2
    monkeypatch.undo()
    master.unregister(queue)


# --- what frames.py uses of distributed --------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["tcp", "tls", "inproc"])
def test_frames_are_read_and_written_as_distributed_does(protocol):
    """``TCP.stream``, ``read_bytes_rw``, ``unpack_frames``, ``from_frames``: both ways, each end by either."""
    if protocol == "tls":
        pytest.importorskip("cryptography")
    security = Security.temporary() if protocol == "tls" else Security()
    messages = [
        {"op": "x", "list": [1, "two", b"three", None]},
        [("to", b"x" * (66 if protocol == "tcp" else 3) * MB)],
        [],
        [("a", bytes(np.arange(9)))],
    ]

    async def run():
        async def echo(comm):
            for index in range(2 * len(messages)):
                message = await (comm.read() if index % 2 else frames.read(comm, 100 * MB))
                await (frames.write(comm, message) if index % 2 else comm.write(message))

        where = "inproc://" if protocol == "inproc" else f"{protocol}://127.0.0.1:0"
        listener = await listen(where, echo, **security.get_listen_args("scheduler"))
        comm = await connect(listener.contact_address, **security.get_connection_args("client"))
        for message in messages:
            await frames.write(comm, message)
            assert plain(await comm.read()) == plain(message)
            await comm.write(message)
            assert plain(await frames.read(comm, 100 * MB)) == plain(message)
        await comm.close()
        listener.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def plain(message):
    """A tuple is a list on the wire, in distributed's msgpack."""
    return (
        [list(part) for part in message]
        if isinstance(message, list | tuple)
        else dict(message, list=list(message["list"]))
    )
