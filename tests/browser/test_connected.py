"""A board of a master that another kernel holds: it looks back over the link, at one moment and at two."""

import pytest

from tests.browser.lab import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(300)]

LEADER = """
import mesonb as mb
master = mb.Master(agents=[mb.Resources(cpus=2, mem="1GB")] * 2, name="leader")
queue = master.register(mb.Queue(needs=mb.Resources(cpus=1, mem="100MB")), name="sweep", role="research")
assert [run.result(30) for run in queue.map(max, range(6), range(6))] == list(range(6))
"""
CONNECTED = """
import mesonb as mb
remote = mb.connect(name="leader")
remote
"""


def test_the_board_of_a_connected_kernel_looks_back(extended, page, tmp_path):
    leader = Notebook(page, extended, "leader", [LEADER, "master.close(cluster=True)"])
    leader.run_to_end(0, 90)
    try:
        looked_back(extended, page, tmp_path)
    finally:
        page.goto(f"{extended.url}lab/workspaces/again/tree/{leader.path}?token={extended.token}")
        leader.ready()
        leader.run_to_end(1)


def looked_back(extended, page, tmp_path):
    notebook = Notebook(page, extended, "connected", [CONNECTED])
    notebook.run_to_end(0)
    notebook.until(lambda: notebook.board().get("transport") == "ws", 30, "the board is live")
    board = page.locator(".mesonb").first
    said = board.locator("header")
    notebook.until(lambda: "2 agents" in said.inner_text(), 20, "both agents are shown")
    board.get_by_role("button", name="to the start").click()
    notebook.until(lambda: "0 agents" in said.inner_text(), 30, "nobody had joined then")
    assert notebook.board()["state"] == "past"
    assert "after call 0 of" in board.locator(".when").inner_text() and board.locator(".told").inner_text() == ""
    board.get_by_role("button", name="to the end").click()
    notebook.until(lambda: "2 agents" in said.inner_text(), 20, "both agents, at the end")
    board.get_by_role("button", name="show another moment beside this one").click()
    second = page.locator(".mesonb").nth(1)
    second.get_by_role("button", name="to the start").click()
    notebook.until(lambda: "0 agents" in second.locator("header").inner_text(), 30, "the start beside it")
    assert "2 agents" in said.inner_text()
    assert page.screenshot(path=tmp_path / "connected-two-moments.png")
    board.get_by_role("button", name="back to what is so now").click()
    notebook.until(lambda: notebook.board()["state"] == "live", 20, "the board is live again")
    second.get_by_role("button", name="put a link to this moment").click()
    linked = "window.jupyterapp.shell.currentWidget.model.sharedModel.cells.map(cell => cell.source).join()"
    notebook.until(lambda: "remote.moment(" in page.evaluate(linked), 10, "a link in a cell")
