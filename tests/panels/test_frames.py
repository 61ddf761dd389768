"""What travels: whole frames, what changed since, and that whoever puts it together has what a whole frame shows."""

import json
from array import array
from random import Random

import numpy as np
import pytest

import mesonb as mb
from mesonb.core.snapshot import AGENTS_SHOWN
from mesonb.panels.asked import respond
from mesonb.panels.board import AHEAD, CommLine
from mesonb.panels.feed import Feed, picture
from mesonb.panels.heat import NOBODY
from mesonb.panels.tiles import EMPTY
from mesonb.panels.wire import Encoder, unpack


class Receiver:
    """Puts frames together as the board's JavaScript does."""

    def __init__(self) -> None:
        self.head, self.names, self.parts, self.cells, self.frame, self.built_on = {}, {}, {}, None, 0, 0

    def take(self, message: bytes) -> None:
        said, data = unpack(message)
        since, self.names = said.pop("since", None), said.pop("names", self.names)
        assert since in (None, self.frame)
        self.frame, self.built_on = said.pop("frame"), self.built_on + (since is not None)
        self.head = said if since is None else merged(self.head, said)
        (self._tiles if self.head["layout"] == "tiles" else self._heat)(data, whole=since is None)

    def _tiles(self, data: bytes, *, whole: bool) -> None:
        rows, wide = array("f", data), self.head["columns"]
        self.parts = {} if whole else self.parts
        fresh: dict[int, list] = {}
        for at in range(0, len(rows), wide):
            row = rows[at : at + wide]
            fresh.setdefault(int(row[0]), []).extend([list(row)] if row[2] != EMPTY else [])
        self.parts = {agent: rows for agent, rows in (self.parts | fresh).items() if rows}

    def _heat(self, data: bytes, *, whole: bool) -> None:
        numbers = np.frombuffer(data, "<u4")
        if whole:
            self.cells = numbers.copy()
        else:
            self.cells[numbers[::2]] = numbers[1::2]


def merged(old, patch):
    made = list(old) if isinstance(old, list) else dict(old)
    for name, value in patch.items():
        at = int(name) if isinstance(old, list) else name
        if value is None:
            del made[at]
        elif isinstance(value, dict) and isinstance(made, list | dict) and (isinstance(made, list) or at in made):
            made[at] = merged(made[at], value)
        else:
            made[at] = value
    return made


def shown(frame):
    """What a receiver has that was sent one whole frame."""
    fresh = Receiver()
    fresh.take(Encoder().message(frame))
    return fresh


def busy_cluster(agents: int) -> mb.Simulation:
    sim = mb.Simulation(agents=agents, seed=3)
    sim.runs_for(sum, lambda seconds: 1 + seconds % 7, execute=False)
    for name in ("sweep", "etl", "nightly"):
        sim.register(mb.Queue(needs=mb.Resources(cpus=1, mem="2GB")), name=name, role=name[:1]).map(sum, range(200))
    return sim


@pytest.mark.parametrize("agents", [3, 90, AGENTS_SHOWN + 200], ids=["detailed tiles", "merged tiles", "heat map"])
def test_changes_put_together_are_the_whole_picture(agents, random_seed):
    sim, dice, frame = busy_cluster(agents), Random(random_seed), None
    encoder, receiver = Encoder(), Receiver()
    for _ in range(25):
        sim.run(dice.choice(["100ms", "700ms", "3s"]))
        if dice.random() < 0.1:
            dice.choice([sim.pause, sim.resume, lambda: sim.add_agent(mb.Resources(cpus=2))])()
        frame = picture(sim, frame)
        receiver.take(encoder.message(frame))
        whole = shown(picture(sim))
        assert (receiver.head, receiver.names, receiver.parts) == (whole.head, whole.names, whole.parts)
        assert agents <= AGENTS_SHOWN or np.array_equal(receiver.cells, whole.cells)
    assert receiver.built_on, "some frames were changes, not whole"


def test_a_frame_after_little_has_changed_is_a_tenth_of_a_whole_one():
    sim = busy_cluster(90)
    sim.run("3s")
    first, encoder = picture(sim), Encoder()
    whole = encoder.message(first)
    sim.pause()
    changes = encoder.message(picture(sim, first))
    assert 10 * len(changes) < len(whole)
    assert "frameworks" not in unpack(changes)[0] and unpack(changes)[0]["paused"]


def test_an_agent_that_was_emptied_is_told_of():
    sim = busy_cluster(90)
    sim.run("3s")
    first, encoder, receiver = picture(sim), Encoder(), Receiver()
    receiver.take(encoder.message(first))
    for name in ("sweep", "etl", "nightly"):
        sim.unregister(name)
    receiver.take(encoder.message(picture(sim, first)))
    sim.run("10s")
    receiver.take(encoder.message(picture(sim)))
    assert receiver.parts == {} and receiver.head["counts"]["tasks"] == 0


def test_a_heat_map_names_fifty_thousand_agents_in_few_words():
    frame = picture(mb.Simulation(agents=50_000))
    assert frame.names["agents"] == {
        "runs": [["agent-", 1, 50_000]],
        "sizes": ["4 cpus, 16 GB mem"],
        "sized": [[0, 50_000]],
    }
    assert set(frame.cells) == {NOBODY}
    assert len(json.dumps(frame.head)) < 1000


@pytest.mark.parametrize("agents", [3, AGENTS_SHOWN + 200], ids=["tiles", "heat map"])
def test_a_recording_that_goes_back_and_forth_is_drawn_as_it_was(agents, tmp_path, random_seed):
    sim, dice = busy_cluster(agents), Random(random_seed)
    sim.run("4s")
    sim.log.save(tmp_path / "run.log")
    replay = mb.replay(str(tmp_path / "run.log"))
    feed = Feed(replay)
    for _ in range(12):
        replay.step_to(dice.randrange(len(replay.log.steps)))
        assert feed._pictured(replay).data == picture(replay).data


# -- the comm ---------------------------------------------------------------------------------------------------------


class Sent:
    """A board that keeps what is sent."""

    def __init__(self) -> None:
        self.heads: list[dict] = []

    def send(self, head, _buffers=None) -> None:
        self.heads.append(head)


def test_by_comm_frames_that_nobody_has_seen_are_not_queued(cluster):
    board = Sent()
    line, frame = CommLine(board), None
    for _ in range(3 * AHEAD):
        cluster.pause()
        frame = picture(cluster, frame)
        line.show(frame)
    assert len(board.heads) == AHEAD, "the rest were dropped"
    line.hear({"kind": "hello", "seen": AHEAD})
    line.show(frame)
    assert board.heads[-1]["frame"] == AHEAD + 1 and board.heads[-1]["since"] == AHEAD


def test_by_comm_a_view_that_came_late_is_sent_a_whole_frame(cluster):
    board, frame = Sent(), picture(cluster)
    line = CommLine(board)
    for _ in range(2):
        line.show(frame)
    line.forget()
    line.show(frame)
    assert ["since" in head for head in board.heads] == [False, True, False]


# -- questions --------------------------------------------------------------------------------------------------------


def test_an_agent_tells_its_story(cluster):
    ack = respond(cluster, {"id": 4, "ask": "story", "name": "agent-1"})
    assert ack["ok"] and ack["id"] == 4
    assert "agent-1 runs 3 tasks" in ack["story"]["sentence"]
    there = cluster.core.agents["agent-1"].tasks.values()
    told = [(task["task"], task["framework"]) for task in ack["story"]["tasks"]]
    assert told == [(task.id, task.framework) for task in there] and len(told) == 3
    json.dumps(ack)


@pytest.mark.parametrize(
    ("question", "because"),
    [
        ({"ask": "story", "name": "agent-404"}, "nothing here is called 'agent-404'"),
        ({"ask": "story"}, "a panel may ask for the story of a name"),
        ({"ask": "gossip", "name": "agent-1"}, "a panel may ask for the story of a name"),
    ],
)
def test_a_wrong_question_is_answered_and_changes_nothing(cluster, question, because):
    before = cluster.snapshot()
    ack = respond(cluster, question)
    assert not ack["ok"] and because in ack["because"]
    assert cluster.snapshot() == before
    assert not respond(None, question)["ok"]
