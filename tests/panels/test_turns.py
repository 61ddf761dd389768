"""Who looks on has threads take shorter turns, and the panels' loop does not give the interpreter away within an answer."""

import asyncio
import json
import re
import selectors
import socket
import sys

import pytest
from tornado.websocket import websocket_connect

from mesonb.panels.turns import STEPS_UNSEEN, TURN_S, TURNS, Turns, steady_loop
from tests.helpers import wait_for
from tests.panels.test_server import board, fetch, next_of, request

DEADLINE_S = 60
USUAL_S = 0.005


@pytest.fixture(autouse=True)
def usual():
    """What Python has threads do, before and after."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(USUAL_S)
    yield
    sys.setswitchinterval(before_s)


def turn_s():
    return pytest.approx(sys.getswitchinterval())


def test_turns_are_shorter_while_somebody_looks_on():
    turns = Turns()
    turns.look("a")
    turns.look("b")
    turns.leave("a")
    assert turn_s() == TURN_S
    turns.leave("b")
    turns.leave("b")
    assert turn_s() == USUAL_S


@pytest.mark.parametrize("theirs_s", [0.02, 0.0001])
def test_what_a_person_sets_meanwhile_stays(theirs_s):
    turns = Turns()
    turns.look("a")
    sys.setswitchinterval(theirs_s)
    turns.leave("a")
    assert turn_s() == theirs_s


def test_turns_are_never_made_longer():
    sys.setswitchinterval(TURN_S / 10)
    turns = Turns()
    turns.look("a")
    assert turn_s() == TURN_S / 10
    turns.leave("a")
    assert turn_s() == TURN_S / 10


async def steps(count):
    for _ in range(count):
        await asyncio.sleep(0)


def test_the_steps_of_one_answer_are_taken_without_a_look_at_the_sockets(monkeypatch):
    really, looks = selectors.DefaultSelector.select, []
    monkeypatch.setattr(selectors.DefaultSelector, "select", lambda *args: (looks.append(args), really(*args))[1])
    with asyncio.Runner(loop_factory=steady_loop) as runner:
        runner.run(steps(1))
        looks.clear()
        runner.run(steps(4 * STEPS_UNSEEN))
    assert len(looks) <= 6


def test_a_loop_that_always_has_something_to_do_still_hears():
    async def hear():
        one, other = socket.socketpair()
        heard, loop = [], asyncio.get_running_loop()
        with one, other:
            loop.add_reader(one, lambda: heard.append(one.recv(1)))
            other.send(b"x")
            await steps(2 * STEPS_UNSEEN + 2)
            loop.remove_reader(one)
        return heard

    with asyncio.Runner(loop_factory=steady_loop) as runner:
        assert runner.run(hear()) == [b"x"]


def test_a_board_is_answered_at_once_and_shortens_turns_until_it_is_closed(panels, cluster):
    async def look():
        browser = await board(panels, cluster)
        await next_of(browser, "frame")
        stream = panels._feeds[cluster.id]._watchers[0].ws_connection.stream
        seen = turn_s(), stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        browser.close()
        return seen

    assert asyncio.run(look()) == (TURN_S, 1)
    wait_for(lambda: turn_s() == USUAL_S, DEADLINE_S, "turns are as they were")


def test_a_page_of_a_chart_is_answered_at_once_and_shortens_turns_until_it_is_closed(panels, cluster):
    page = fetch(panels, f"/steer?session={cluster.id}").body.decode()
    token = json.loads(re.search(r'"token":("[^"]+")', page).group(1))

    async def look():
        asked = request(panels, f"/steer/ws?session={cluster.id}", scheme="ws")
        browser = await websocket_connect(asked, subprotocols=["bokeh", token])
        assert json.loads(await asyncio.wait_for(browser.read_message(), DEADLINE_S))["msgtype"] == "ACK"
        (connection,) = (who for who in TURNS._looking if hasattr(who, "session"))
        stream = connection._socket.ws_connection.stream
        seen = turn_s(), stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        browser.close()
        return seen

    assert asyncio.run(look()) == (TURN_S, 1)
    wait_for(lambda: turn_s() == USUAL_S, DEADLINE_S, "turns are as they were")
