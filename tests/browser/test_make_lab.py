"""`make lab` as a new user has it: the first lesson opens, its cells run, a control in a panel acts, and all of it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.lab import Notebook
from tests.helpers import ROOT, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(400)]

LESSON = "notebooks/00-first-offer.ipynb"
ADDRESS = rf"http://localhost:(?P<port>\d+)/lab/tree/{LESSON}\?token=\w+"
UNSAVED = "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings"


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0


@pytest.fixture
def address(tmp_path):
    """Type `make lab`, in the environment that these tests have already, and return the address that it prints."""
    settings = tmp_path / ".jupyter" / "lab" / "user-settings" / UNSAVED
    settings.parent.mkdir(parents=True)
    settings.write_text('{"autosave": false}')  # the lesson is the tree's own
    ours = f'PATH="{Path(sys.executable).parent}:$$PATH"'
    arguments = "--no-browser --port 0 --LabApp.expose_app_in_browser=True"
    said = tmp_path / "said"
    with said.open("w") as output:
        lab = subprocess.Popen(
            ["make", "-o", "setup", "lab", f"IN_VENV={ours}", f"ARGS={arguments}"], cwd=ROOT, stdout=output, stderr=output,
            env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
    try:
        found = wait_for(lambda: re.search(ADDRESS, said.read_text()), 90, "the address of the first lesson")
        wait_for(lambda: listens(int(found["port"])), 30, "the server to listen: it prints its address just before")
        yield found[0]
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(30)


class Lesson(Notebook):
    """A notebook that is there already."""

    def __init__(self, page, address):
        self.page, self.path = page, LESSON
        page.goto(address)
        self.ready()

    @property
    def sources(self):
        """The code of its cells, by their number; those that are only read are left out."""
        every = self.page.evaluate(
            "window.jupyterapp.shell.currentWidget.model.sharedModel.cells.map(cell => [cell.cell_type, cell.source])"
        )
        return {number: source for number, (kind, source) in enumerate(every) if kind == "code"}

    def command(self, name):
        self.page.evaluate("(name) => { window.jupyterapp.commands.execute(name); }", name)


def test_a_new_user_opens_the_first_lesson_runs_it_and_steers_it(address, page, tmp_path):
    before = (ROOT / LESSON).read_bytes()
    lesson = Lesson(page, address)
    *cells, last = lesson.sources
    assert "master.close(" in lesson.sources[last]
    lesson.command("mesonb:show")
    page.evaluate(f"window.jupyterapp.shell.currentWidget.content.activeCellIndex = {last}")
    lesson.command("notebook:run-all-above")
    board = page.locator("#mesonb-sidebar .mesonb")
    page.locator("#mesonb-sidebar .mesonb[data-state=live][data-paused=false]").wait_for()
    board.get_by_role("button", name="Pause", exact=True).click()
    page.locator("#mesonb-sidebar .mesonb[data-paused=true]").wait_for()
    assert page.screenshot(path=tmp_path / "lesson.png")
    board.get_by_role("button", name="Resume", exact=True).click()
    page.locator("#mesonb-sidebar .mesonb[data-paused=false]").wait_for()
    lesson.until(lambda: all(lesson.counter(cell) for cell in cells), 150, "every cell has run")
    lesson.run_to_end(last)
    failed = [lesson.output(cell) for cell in (*cells, last) if '"output_type":"error"' in lesson.output(cell)]
    assert not failed
    assert "60 tasks of second" in lesson.output(cells[-1])
    page.locator("#mesonb-sidebar .mesonb-counts", has_text="closed").wait_for()
    assert (ROOT / LESSON).read_bytes() == before, "looking at a lesson does not change it"
