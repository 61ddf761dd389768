"""From snapshots to frames: nothing here needs a browser, a server or a thread."""

import time

import pytest

import mesonb as mb
from mesonb.core.snapshot import AGENTS_SHOWN, AgentRow, OfferRow, TaskRow
from mesonb.panels import still, tiles, wire
from mesonb.panels.feed import picture
from mesonb.panels.frames import frame_of
from mesonb.panels.tiles import OFFERED, RUNNING, STAGING
from mesonb.panels.view import Palette, curve


def rows_of(frame):
    columns = frame.head["columns"]
    return [tuple(frame.rows[at : at + columns]) for at in range(0, len(frame.rows), columns)]


def test_each_task_is_a_row_of_its_agent(cluster):
    frame = picture(cluster)
    running = [row for row in rows_of(frame) if row[2] == RUNNING]
    assert len(running) == 6 == frame.head["counts"]["tasks"]
    assert {int(row[1]) for row in running} == {0, 1}
    assert all(row[4:] == pytest.approx((1 / 4, 2 / 16)) for row in running)


def test_what_is_taken_and_what_is_free_add_up(cluster):
    frame = picture(cluster)
    for parts, column in zip(frame.head["used"], (4, 5), strict=True):
        assert sum(parts) == pytest.approx(1, abs=1e-3)
        allocated, offered, _ = parts
        drawn = sum(row[column] for row in rows_of(frame)) / 3
        assert drawn == pytest.approx(allocated + offered, abs=1e-3)


def test_an_offer_is_told_apart_from_a_task_and_from_one_that_is_staging(cluster):
    held = Hold()
    cluster.register(held, name="hold", role="ops")
    cluster.run("1s")
    offered = [row for row in rows_of(picture(cluster)) if row[2] == OFFERED]
    assert offered and all(row[1] == 2 for row in offered)
    before = cluster.snapshot()
    task = TaskRow("t", "sweep", mb.Resources(cpus=1), "staging", 0)
    agent = AgentRow("a", mb.Resources(cpus=2), mb.Resources(cpus=1), (), (task,), 1)
    assert [piece.kind for piece in tiles._pieces(agent, {"sweep": 0}, detailed=True)] == [STAGING]
    assert cluster.snapshot() == before


class Hold(mb.Framework):
    """Holds every offer."""

    def on_offers(self, offers):
        for offer in offers:
            offer.hold("1h")


def test_many_tasks_of_one_framework_become_one_row_where_agents_are_many():
    needs = mb.Resources(cpus=1, mem="1GB")
    tasks = tuple(TaskRow(f"t{n}", "sweep", needs, "running", 0) for n in range(3))
    offer = OfferRow("o", "etl", "a", needs, 0, 1)
    agent = AgentRow("a", needs * 8, needs, (offer,), tasks, 6)
    index = {"sweep": 0, "etl": 1}
    merged = tiles._pieces(agent, index, detailed=False)
    assert [(piece.framework, piece.kind, piece.count) for piece in merged] == [
        (0, RUNNING, 3),
        (2, RUNNING, 3),
        (1, OFFERED, 1),
    ]
    assert merged[0].amounts == dict((needs * 3).amounts)
    assert merged[1].amounts == dict((needs * 3).amounts), (
        "tasks that are only counted hold what is neither free nor named"
    )


def test_a_framework_keeps_its_mark_when_others_come_and_go(cluster):
    palette = Palette()
    before = {row["name"]: row["colour"] for row in frame_of(cluster.snapshot(), palette).head["frameworks"]}
    cluster.unregister("sweep")
    cluster.register(mb.Queue(), name="late")
    cluster.run("1min")
    after = {row["name"]: row["colour"] for row in frame_of(cluster.snapshot(), palette).head["frameworks"]}
    assert set(after) == {"etl", "late"}
    assert after["etl"] == before["etl"]
    assert after["late"] not in before.values()


def test_marks_differ_for_as_many_frameworks_as_there_are_colours_and_hatches():
    palette = Palette()
    marks = [palette[f"framework-{n}"] for n in range(28)]
    assert len({(mark.colour, mark.hatch) for mark in marks}) == 28
    assert len({mark.letters for mark in marks}) == 28
    assert palette["framework-3"] is marks[3]


def test_a_frame_of_no_cluster_is_a_frame():
    frame = picture(mb.Simulation(agents=0))
    assert frame.head["counts"] == {"agents": 0, "tasks": 0, "offers": 0, "drawn": 0}
    assert frame.data == b""
    assert "<svg" in still.html("simulation", frame)


def test_a_cluster_too_large_for_tiles_is_drawn_whole_as_a_heat_map():
    sim = mb.Simulation(agents=AGENTS_SHOWN + 500)
    frame = picture(sim)
    assert frame.head["counts"] == {"agents": 1500, "tasks": 0, "offers": 0, "drawn": 1500}
    assert frame.head["layout"] == "heat" and len(frame.data) == 4 * 1500
    assert "data:image/png" in still.html("simulation", frame)
    assert len(still.html("simulation", frame)) < 30_000


def test_a_thousand_busy_agents_make_a_frame_of_bounded_size_and_time():
    sim = mb.Simulation(agents=1000, latency=0)
    sim.runs_for(sum, "1h", execute=False)
    sim.register(mb.Queue(needs=mb.Resources(cpus=1, mem="1GB")), name="fill").map(sum, [()] * 4000)
    sim.run_until(lambda: len(sim.core.tasks) == 4000, "1min")
    began_s = time.perf_counter()
    message = wire.Encoder().message(picture(sim))
    assert time.perf_counter() - began_s < 1
    assert len(message) < 150_000


def test_complaints_travel_with_the_names(cluster):
    class Faulty(mb.Framework):
        def on_offers(self, offers):
            raise ValueError("no rates left")

    cluster.register(Faulty(), name="faulty")
    cluster.run("1s")
    complaint = picture(cluster).names["complaints"]["faulty"]
    assert complaint["error"] == "ValueError: no rates left"
    assert "on_offers" in complaint["traceback"]


def test_shares_are_thinned_and_the_newest_stays():
    rows = [(now_us, {"a": now_us / 1000}) for now_us in range(1000)]
    thin = curve(rows, most=100)
    assert len(thin) <= 100
    assert thin[-1] == [999, {"a": 0.999}]
    assert curve([]) == []


def test_a_message_holds_what_was_put_in(cluster):
    frame = picture(cluster)
    head, data = wire.unpack(wire.Encoder().message(frame))
    assert data == frame.data
    assert head["names"] == frame.names
    assert len(wire.pack({"kind": "odd"})) % 4 == 0


def test_names_are_sent_once_and_again_when_they_change(cluster):
    encoder = wire.Encoder()
    assert "names" in encoder.encode(picture(cluster))[0]
    assert "names" not in encoder.encode(picture(cluster))[0]
    cluster.lose_agent("agent-2")
    changed, _ = encoder.encode(picture(cluster))
    assert [name for name, _ in changed["names"]["agents"]] == ["agent-1", "agent-3"]
    assert changed["frame"] == 3


def test_a_still_picture_says_what_the_board_would_and_runs_nothing(cluster):
    cluster.register(mb.Queue(), name="a.b-c")
    cluster.run("1s")
    picked = still.html("<script>", picture(cluster))
    assert "agent-3" in picked and "sweep" in picked and "a.b-c" in picked
    assert "<script" not in picked
    assert picked.count("<g>") == 3


def test_text_is_one_line(cluster):
    assert repr(cluster).startswith("<simulation-")
    assert "3 agents, 6 tasks, 0 offers; shares: sweep 0.25, etl 0.25>" in repr(cluster)
