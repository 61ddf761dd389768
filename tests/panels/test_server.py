"""The panel server: who may come in, what they see, and what their commands do. Real sockets, no browser."""

import asyncio
import gc
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

import mesonb as mb
from mesonb.panels import commands, connection, feed, listing
from mesonb.panels.wire import unpack
from tests.helpers import wait_for

DEADLINE_S = 60


def request(server, path, token=None, scheme="http", **headers):
    headers |= {"Authorization": f"token {server.token if token is None else token}"}
    return HTTPRequest(f"{scheme}://127.0.0.1:{server.connection.port}{server.prefix}{path}", headers=headers)


def fetch(*args, **kwargs):
    return asyncio.run(_fetch(*args, **kwargs))


async def _fetch(*args, **kwargs):
    return await AsyncHTTPClient().fetch(request(*args, **kwargs), raise_error=False)


async def board(server, session, **kwargs):
    return await websocket_connect(request(server, f"/session/{session.id}/ws", scheme="ws", **kwargs))


async def next_of(socket, kind):
    """Read until a message of this kind comes."""
    while True:
        message = await asyncio.wait_for(socket.read_message(), DEADLINE_S)
        assert message is not None, f"closed before a {kind} came"
        head, data = unpack(message) if isinstance(message, bytes) else (json.loads(message), b"")
        if head["kind"] == kind:
            return head, data


async def ask(socket, **command):
    await socket.write_message(json.dumps(command))
    return (await next_of(socket, "ack"))[0]


def test_a_board_gets_a_frame_at_once_and_one_for_each_change(panels, cluster):
    async def look():
        socket = await board(panels, cluster)
        first, data = await next_of(socket, "frame")
        cluster.run("1min")
        second, _ = await next_of(socket, "frame")
        return first, data, second

    first, data, second = asyncio.run(look())
    assert first["counts"]["tasks"] == 6 and len(data) == 6 * 4 * first["columns"]
    assert [name for name, _ in first["names"]["agents"]] == ["agent-1", "agent-2", "agent-3"]
    assert first["curve"], "the shares so far come with the first frame"
    assert second["steps"] > first["steps"] and "names" not in second


def test_frames_come_only_when_something_changed_and_a_beat_otherwise(panels, cluster):
    async def look():
        socket = await board(panels, cluster)
        heads = [(await next_of(socket, "frame"))[0]]
        for _ in range(3):
            message = await asyncio.wait_for(socket.read_message(), DEADLINE_S)
            heads.append(unpack(message)[0] if isinstance(message, bytes) else json.loads(message))
        return heads

    kinds = [head["kind"] for head in asyncio.run(look())]
    assert kinds.count("frame") <= 2, kinds  # the first, and what the feed had not seen yet
    assert kinds[-1] == "beat"


def test_commands_act_and_are_acknowledged(panels, cluster):
    async def steer():
        socket = await board(panels, cluster)
        acks = [
            await ask(socket, id=1, do="pause"),
            await ask(socket, id=2, do="weight", role="research", weight=2.5),
        ]
        paused = cluster.snapshot().paused
        return [*acks, await ask(socket, id=3, do="resume")], paused

    acks, paused = asyncio.run(steer())
    said = ["no more offers; tasks run on", "weight of research is 2.5", "offers are made again"]
    assert acks == [{"kind": "ack", "id": n, "ok": True, "did": did} for n, did in enumerate(said, 1)]
    assert paused and not cluster.snapshot().paused
    assert cluster.weights["research"] == 2.5
    assert {"Pause", "SetWeight", "Resume"} <= {type(call).__name__ for call in called(cluster)}, (
        "each action is in the log"
    )


def called(session):
    return [step.call for step in session.log.steps]


@pytest.mark.parametrize(
    ("command", "because"),
    [
        ({"do": "destroy"}, "a panel may ask for"),
        ({"do": "weight", "role": "research", "weight": -1}, "is not a weight"),
        ({"do": "weight", "role": "research", "weight": "heavy"}, "a panel may ask for"),
        (["pause"], "a panel may ask for"),
        (None, "a panel may ask for"),
    ],
)
def test_a_wrong_command_is_answered_and_changes_nothing(cluster, command, because):
    before = cluster.snapshot()
    ack = commands.obey(cluster, command)
    assert not ack["ok"] and because in ack["because"]
    assert cluster.snapshot() == before


def test_text_that_is_no_command_closes_nothing(panels, cluster):
    async def mumble():
        socket = await board(panels, cluster)
        await socket.write_message("{")
        refused, _ = await next_of(socket, "ack")
        return refused, await ask(socket, id=5, do="pause")

    refused, ack = asyncio.run(mumble())
    assert not refused["ok"] and ack["ok"]


def test_a_session_that_is_not_there_is_said_to_be_gone(panels):
    async def look():
        socket = await board(panels, SimpleNamespace(id="master-404"))
        return await next_of(socket, "gone"), await asyncio.wait_for(socket.read_message(), DEADLINE_S)

    (gone, _), after = asyncio.run(look())
    assert gone["kind"] == "gone" and after is None


def test_a_panel_keeps_no_session_alive_and_says_when_it_is_gone(panels):
    async def look():
        sim = mb.Simulation(agents=2)
        socket = await board(panels, sim)
        await next_of(socket, "frame")
        del sim
        gone = asyncio.ensure_future(next_of(socket, "gone"))
        while not gone.done():
            gc.collect()  # more than once: the feed may have been looking at it
            await asyncio.wait([gone], timeout=0.2)
        return await gone

    assert asyncio.run(look())[0] == {"kind": "gone"}


def test_a_board_says_why_nothing_can_be_steered_and_commands_are_refused_with_the_same_words(panels, cluster):
    replay = mb.replay(cluster.log)

    async def look(times):
        for _ in range(times):  # whoever comes later is told as well
            socket = await board(panels, replay)
            said, _ = await next_of(socket, "steering")
            acks = await ask(socket, id=1, do="pause"), await ask(socket, id=2, do="move", by="start")
        return said, *acks

    said, refused, moved = asyncio.run(look(times=2))
    assert said["because"] == refused["because"] == replay.unsteerable
    assert not refused["ok"] and moved["ok"], "looking back is no steering"


def test_a_picture_that_fails_is_said_in_the_panel_and_the_next_one_comes(panels, cluster, monkeypatch):
    async def look():
        socket = await board(panels, cluster)
        await next_of(socket, "frame")
        monkeypatch.setattr(feed, "picture", lambda *_: 1 / 0)
        cluster.run("1min")
        trouble, _ = await next_of(socket, "trouble")
        monkeypatch.undo()
        cluster.pause()
        return trouble, await next_of(socket, "frame")

    trouble, (head, _) = asyncio.run(look())
    assert "ZeroDivisionError" in trouble["because"] and head["paused"]


# -- who may come in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/sessions", "/shares?session=x", "/static/js/bokeh.min.js", "/session/x/ws", "/nothing"]
)
@pytest.mark.parametrize("token", ["", "forged", "Ünicode"])
def test_nothing_is_shown_without_the_token(panels, path, token):
    assert fetch(panels, path, token=token).code == 403


def test_a_socket_with_a_forged_token_is_refused(panels, cluster):
    with pytest.raises(HTTPClientError) as refused:
        asyncio.run(board(panels, cluster, token="forged"))
    assert refused.value.code == 403


@pytest.mark.parametrize("path", ["/session/{}/ws", "/shares/ws"])
def test_a_socket_from_another_origin_is_refused_even_with_the_token(panels, cluster, path):
    async def open_it():
        asked = request(panels, path.format(cluster.id), scheme="ws", Origin="http://evil.example")
        return await websocket_connect(asked, subprotocols=["bokeh", "x"])

    with pytest.raises(HTTPClientError) as refused:
        asyncio.run(open_it())
    assert refused.value.code == 403


def test_sessions_are_listed(panels, cluster):
    listed = json.loads(fetch(panels, "/sessions").body)["sessions"]
    assert {
        "id": cluster.id, "kind": "simulation", "closed": False, "agents": 3, "tasks": 6, "mine": ["sweep", "etl"],
        "share": 0.5, "of": "cpus",
    } in listed  # fmt: skip
    past = commands.obey(cluster, {"do": "look back"})["past"]
    listed = json.loads(fetch(panels, "/sessions").body)["sessions"]
    assert past and past not in [session["id"] for session in listed], "a past is its panel's own affair"


def test_a_long_step_delays_no_list_and_a_recording_lists_what_all_hold(panels, cluster):
    known = listing.line(cluster)
    with ThreadPoolExecutor(1) as other, cluster.lock:
        while_held = other.submit(listing.line, cluster).result(DEADLINE_S)
    assert while_held == known, "the share as it was read last"
    replay = mb.replay(cluster.log)
    assert {name: listing.line(replay)[name] for name in ("share", "mine")} == {"share": known["share"], "mine": []}


def test_the_shares_app_is_served_with_resources_of_its_own(panels, cluster):
    page = fetch(panels, f"/shares?session={cluster.id}").body.decode()
    assert f"{panels.prefix.lstrip('/')}/static/js/bokeh" in page or "static/js/bokeh" in page
    assert "cdn.bokeh.org" not in page
    assert fetch(panels, "/static/js/bokeh.min.js").code == 200


# -- the connection file ----------------------------------------------------------------------------------------------


def test_the_connection_file_is_private_and_goes_away(panels):
    path = panels.connection.path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert connection.find(panels.id) == panels.connection
    assert list(connection.everyone()) == [panels.connection]
    panels.close()
    assert not path.exists() and connection.find(panels.id) is None


def test_a_file_of_a_dead_process_is_removed_and_one_that_others_can_read_is_not_believed(panels):
    dead = connection.Connection("0" * 16, 2**22 + 1, 1.0, 1234, "t", "k", "/")
    reused = connection.Connection("1" * 16, os.getpid(), 1.0, 1234, "t", "k", "/")
    for each in (dead, reused):
        each.write()
        assert connection.find(each.id) is None
    assert list(connection.everyone()) == [panels.connection]
    assert not dead.path.exists() and not reused.path.exists()
    panels.connection.path.chmod(0o644)
    assert connection.find(panels.id) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": "../../etc"}', "null"])
def test_a_file_that_says_nonsense_is_passed_over(panels, text):
    path = panels.connection.path.with_name(f"mesonb-{'2' * 16}.json")
    path.write_text(text)
    path.chmod(0o600)
    assert connection.find("2" * 16) is None
    assert list(connection.everyone()) == [panels.connection]


@pytest.mark.parametrize("name", ["../etc", "", "ABCDEF0123456789", "0" * 15, "0" * 17, "%2e%2e"])
def test_a_name_that_is_no_id_is_not_looked_up(panels, name):
    assert connection.find(name) is None


def test_a_closed_server_leaves_no_thread(panels):
    panels.close()
    wait_for(lambda: not panels._thread.is_alive(), DEADLINE_S, "the thread has ended")


def test_what_is_too_much_for_one_frame_is_in_the_next_ones_though_nothing_happens_any_more(panels, monkeypatch):
    monkeypatch.setattr(feed, "AT_ONCE", 400)
    sim = mb.Simulation(agents=1_100, seed=1)
    sim.runs_for(sum, "1h", execute=False)

    async def look():
        browser = await board(panels, sim)
        await next_of(browser, "frame")
        sim.register(mb.Queue(needs=mb.Resources(cpus=1)), name="fill").map(sum, [()] * 5_000)
        sim.run("10s")
        while (await next_of(browser, "frame"))[0]["steps"] < sim.core.steps:
            pass

    asyncio.run(asyncio.wait_for(look(), DEADLINE_S))
    wait_for(lambda: not panels._feeds[sim.id]._frame.behind, DEADLINE_S, "all is drawn")
    assert panels._feeds[sim.id]._frame.snapshot.spots == sim.snapshot(spots=True).spots


def test_after_a_frame_that_took_long_the_next_is_not_put_off_for_ever(panels, cluster, monkeypatch):
    """Garbage that is collected meanwhile may take a second and more, and happens once in a while."""
    monkeypatch.setattr(feed, "COST", 10**9)
    monkeypatch.setattr(feed, "REST_S", 0.01)

    async def look():
        browser = await board(panels, cluster)
        for _ in range(3):
            await next_of(browser, "frame")
            (cluster.resume if cluster.core.paused else cluster.pause)()

    asyncio.run(asyncio.wait_for(look(), DEADLINE_S))
