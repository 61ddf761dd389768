"""The hub on its own: who is refused, what garbage does, how a silent or stale leader is dealt with.

Scheduler, hub and peers run in the test's loop and speak the real protocol over real comms.
"""

import asyncio
import pickle

import pytest
from distributed import Scheduler
from distributed.comm.core import connect

from mesonb.errors import MasterExists, VersionMismatch
from mesonb.live.wire import comms, door, hub
from mesonb.live.wire.comms import ATTACH, LEADER, PROTOCOL, dial
from tests.helpers import wait_for_async

pytestmark = pytest.mark.live


def with_a_hub(story):
    """Run an async story with a Dask scheduler that has a hub, and a way of attaching peers that note what they hear."""

    async def run():
        async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            made = hub.Hub()
            await scheduler.register_scheduler_plugin(made, name=hub.NAME, idempotent=True)
            await asyncio.wait_for(story(made, Attach(scheduler.address)), 60)

    asyncio.run(run())


class Attach:
    """Attaches peers; ``heard`` has what each was told, without pings."""

    def __init__(self, address):
        self.address, self.heard, self.reading = address, {}, []

    async def __call__(self, name, kind="agent", **more):
        heard = self.heard[name] = []

        def note(whom, message):
            if message != ("ping",):
                heard.append((whom, *message))
            else:
                peer.send(comms.HUB, ("pong",))

        peer = await dial(
            self.address, {}, {"kind": kind, "name": name, "id": name, "who": f"the test's {name}", **more}, note
        )
        self.reading.append(asyncio.ensure_future(peer.read()))
        return peer

    async def hears(self, name, message):
        await wait_for_async(lambda: message in self.heard[name], 5, f"{name} to hear {message}")


def test_peers_hear_of_leaders_and_of_each_others_end():
    async def story(made, attach):
        agent = await attach("a")
        leader = await attach("m", "leader")
        assert list(leader.welcome["agents"]) == ["a"]
        await attach.hears("a", ("", "leader", 1, "m"))
        agent.send(LEADER, ("hello", 1), ("hello", 2))
        leader.send("a", ("launch", "t"))
        await attach.hears("m", ("a", "hello", 2))
        await attach.hears("a", ("m", "launch", "t"))
        assert attach.heard["m"][:3] == [("", "expected", {"a": 0}), ("a", "hello", 1), ("a", "hello", 2)]
        agent._comm.abort()
        await attach.hears("m", ("", "cut", "a"))

    with_a_hub(story)


def test_one_leader_at_a_time_and_a_dead_one_is_replaced():
    async def story(made, attach):
        first = await attach("m1", "leader")
        with pytest.raises(MasterExists, match="the test's m1"):
            await attach("m2", "leader")
        first._comm.abort()
        await wait_for_async(lambda: made.leader is None, 5, "the lead to be free")
        assert (await attach("m2", "leader")).welcome["epoch"] == 2

    with_a_hub(story)


def test_a_silent_leader_is_replaced_and_what_it_says_later_is_not_forwarded(monkeypatch):
    monkeypatch.setattr(door, "SILENT_S", -1)

    async def story(made, attach):
        await attach("a")
        stale = await attach("m1", "leader")
        fresh = await attach("m2", "leader")
        line = hub.Line("m1", "leader", stale._comm, {})  # a leader's line whose comm was not closed in time
        made._switch(line, [("a", pickle.dumps([("launch", "of a stale leader")]))])
        fresh.send("a", ("after",))
        await attach.hears("a", ("m2", "after"))
        assert not [message for message in attach.heard["a"] if "of a stale leader" in message]

    with_a_hub(story)


def test_a_leader_elected_elsewhere_replaces_older_terms_and_no_newer_one():
    async def story(made, attach):
        await attach("a")
        old = await attach("m3", "leader", term=3)
        assert old.welcome["epoch"] == 3
        with pytest.raises(MasterExists, match="a master that was elected for term 3"):
            await attach("m2", "leader", term=2)
        with pytest.raises(MasterExists, match="elected for term 3"):
            await attach("other", "leader", term=3)
        old._comm.abort()
        await wait_for_async(lambda: made.leader is None, 5, "its link to be cut")
        old = await attach("m3", "leader", term=3)
        assert old.welcome["epoch"] == 4, "the same term, found again"
        new = await attach("m7", "leader", term=7)
        assert new.welcome["epoch"] == 7
        await wait_for_async(lambda: old.closed, 5, "the older one to be let go of, though it answers")
        with pytest.raises(MasterExists, match="elected for term 7"):
            await attach("m3", "leader", term=3)
        assert made.leader.name == "m7"
        await attach.hears("a", ("", "leader", 7, "m7"))

    with_a_hub(story)


def test_another_protocol_is_refused_with_the_remedy():
    async def story(made, attach):
        with pytest.raises(
            VersionMismatch, match="speaks protocol 99, this cluster .*install the same mesonb everywhere"
        ):
            await attach("a", protocol=99)
        assert not made.lines

    with_a_hub(story)


@pytest.mark.parametrize(
    "garbage", ["text", 3, [("a",)], [("a", 1, 2)], [(LEADER, b"no pickle")], [["a", None]], {"op": "x"}]
)
def test_garbage_harms_nobody(garbage):
    async def story(made, attach):
        await attach("m", "leader")
        comm = await connect(attach.address)
        await comm.write(
            {"op": ATTACH, "reply": False, "introduction": {"protocol": PROTOCOL, "kind": "agent", "name": "wild"}}
        )
        await comm.read()
        await comm.write(garbage)
        await comm.write([(LEADER, pickle.dumps([("after garbage",)]))])
        await attach.hears("m", ("wild", "after garbage"))

    with_a_hub(story)


@pytest.mark.parametrize(
    "introduction", [{}, {"protocol": PROTOCOL}, {"protocol": PROTOCOL, "name": 3, "kind": "king"}]
)
def test_a_bad_introduction_is_refused(introduction):
    async def story(made, attach):
        comm = await connect(attach.address)
        await comm.write({"op": ATTACH, "reply": False, "introduction": introduction})
        assert "refused" in await comm.read()
        assert not made.lines

    with_a_hub(story)
