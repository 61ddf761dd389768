"""A real JupyterLab on a loopback port, with its own directories, and a browser page that shows one notebook of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

from tests.helpers import PATIENT_S, ROOT, wait_for

SERVER_CONFIG = ROOT / "extensions" / "jupyter-config" / "server-config" / "mesonb.json"
QUIET = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
BROWSER = (
    "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage".split()
)
START_S = 60
READABLE_S = 30  #: some names are given once a part is drawn
#: A cell that keeps the kernel busy until the test says that it is enough, by a file beside the notebook.
BUSY = """
import pathlib, time
end = time.monotonic() + 200
while not pathlib.Path("{}").exists() and time.monotonic() < end:
    {}
"""
#: How long after a click the page of a steering panel says what came of it, in ms.
ROUND_TRIP = """button => new Promise(answered => {
  const said = window.Bokeh.documents[0].get_model_by_name("told"), began = performance.now();
  const heard = () => { said.properties.text.change.disconnect(heard); answered(performance.now() - began); };
  said.properties.text.change.connect(heard);
  button.click();
})"""
#: Names the folder of another ipykernel, which kernels then run on (test_ipykernels.py).
KERNEL_PATH = "MESONB_TEST_IPYKERNEL"


class Lab:
    """The server: where it is, and what stops it."""

    def __init__(self, home: Path, base_url: str = "/") -> None:
        self.home = home
        self.notebooks = home / "notebooks"
        self.runtime = home / "runtime"
        self._prepare()
        self._output = (home / "jupyter.log").open("w")
        self.process = subprocess.Popen(
            self._command(base_url), env=self._environment(), stdout=self._output, stderr=self._output
        )
        self.info: dict[str, Any] = wait_for(
            self._info, START_S, f"a JupyterLab that listens; see {home / 'jupyter.log'}"
        )
        self.url, self.token = self.info["url"], self.info["token"]

    def _prepare(self) -> None:
        enabled = self.home / "config" / "jupyter_server_config.d"
        for folder in (self.notebooks, self.runtime, enabled, self.home / "config" / "labconfig"):
            folder.mkdir(parents=True)
        shutil.copy(SERVER_CONFIG, enabled)
        (self.home / "config" / "labconfig" / "page_config.json").write_text(json.dumps(QUIET))

    def _environment(self) -> dict[str, str]:
        own = {
            "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }  # fmt: skip
        given = {name: value for name, value in os.environ.items() if name != "MESONB_BASE_URL"}
        path = os.pathsep.join(filter(None, (os.environ.get(KERNEL_PATH), str(ROOT))))
        return {**given, "PYTHONPATH": path, **{name: str(self.home / folder) for name, folder in own.items()}}

    def _command(self, base_url: str) -> list[str]:
        return [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0",
            f"--ServerApp.root_dir={self.notebooks}", f"--ServerApp.base_url={base_url}", "--LabApp.expose_app_in_browser=True",
        ]  # fmt: skip

    def _info(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, (self.home / "jupyter.log").read_text()
        found = self.runtime / f"jpserver-{self.process.pid}.json"
        try:
            info = json.loads(found.read_text())
            socket.create_connection(("127.0.0.1", info["port"]), timeout=1).close()
        except (OSError, ValueError):  # no file yet, half a file, or nobody listens yet
            return None
        return info

    def close(self) -> None:
        """Stop the server and the kernels it started."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._output.close()


class ExtendedLab(Lab):
    """A JupyterLab that has the extension, as built and committed."""

    def _prepare(self) -> None:
        super()._prepare()
        shutil.copytree(ROOT / "mesonb" / "labextension", self.home / "data" / "labextensions" / "mesonb")

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "JUPYTER_PREFER_ENV_PATH": "no"}  # this tree's, whichever is installed


class Notebook:
    """One notebook in one page."""

    def __init__(self, page: Page, lab: Lab, name: str, cells: list[str]) -> None:
        self.page, self.lab = page, lab
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, lab.notebooks / f"{name}.ipynb")
        self.path = f"{name}.ipynb"
        page.goto(
            f"{lab.url}lab/workspaces/{name}/tree/{self.path}?token={lab.token}"
        )  # a workspace of its own: no old tabs
        self.ready()

    def ready(self) -> None:
        """Wait until the notebook is there and its kernel is idle."""
        shown = """(path) => { const w = window.jupyterapp?.shell?.currentWidget;
                               return w?.context?.path === path && w.sessionContext?.session?.kernel }"""
        self.page.wait_for_function(shown, arg=self.path)
        self.until_status("idle", 60)

    @property
    def status(self) -> str:
        """What the kernel does, as the browser knows it: idle, busy ..."""
        return self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status")

    def enough(self, name: str) -> None:
        """Let a `BUSY` cell come to its end."""
        (self.lab.notebooks / name).touch()

    def until_status(self, status: str, deadline_s: float) -> None:
        """Wait until the kernel is idle, or busy."""
        self.until(lambda: self.status == status, deadline_s, f"the kernel is {status}")

    def until(self, condition: Any, deadline_s: float, what: str) -> Any:
        """Wait for a condition while the page goes on."""
        return wait_for(lambda: (self.page.wait_for_timeout(10), condition())[1], deadline_s, what)

    def run(self, cell: int) -> None:
        """Run one cell, and do not wait for it."""
        self.page.evaluate(
            """(cell) => { const {content} = window.jupyterapp.shell.currentWidget; content.activeCellIndex = cell;
               window.jupyterapp.commands.execute('notebook:run-cell'); }""",
            cell,
        )

    def run_to_end(self, cell: int, deadline_s: float = 60) -> None:
        """Run one cell, wait for its end, and fail with what it printed if it raised."""
        self.run(cell)
        self.until(lambda: self.counter(cell) is not None, deadline_s, f"cell {cell} has run")
        self.until_status("idle", deadline_s)
        assert "Traceback" not in self.output(cell), self.output(cell)

    def counter(self, cell: int) -> int | None:
        """The number in the cell's brackets; None before it has run."""
        return self.page.evaluate(
            f"window.jupyterapp.shell.currentWidget.model.cells.get({cell}).sharedModel.execution_count"
        )

    def output(self, cell: int) -> str:
        """What a cell has put out, as text."""
        return self.page.evaluate(
            f"JSON.stringify(window.jupyterapp.shell.currentWidget.model.cells.get({cell}).outputs.toJSON())"
        )

    def board(self) -> dict[str, str]:
        """What the board says of itself: frames, transport, state, acks, paused."""
        return self.page.evaluate("({...document.querySelector('.mesonb')?.dataset})")

    def frames(self) -> int:
        """How many frames have come."""
        return int(self.board().get("frames", 0))


def unreadable(page: Page, part: str = "body") -> list[str]:
    """Say what of a part of the page has too little contrast to be read, or no name that a screen reader could say."""
    script, deadline_s = (Path(__file__).parent / "readable.js").read_text(), time.monotonic() + READABLE_S
    while (found := page.evaluate(script, part)) and time.monotonic() < deadline_s:
        page.wait_for_timeout(100)
    return list(found)


@contextmanager
def running(chromium: str) -> Iterator[Browser]:
    """Run a headless Chromium; one at a time, as Playwright's synchronous side has it."""
    arguments = [*BROWSER, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a page that shares nothing with the other pages of a Chromium: neither cookies nor what is cached."""
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
    try:
        page.set_default_timeout(PATIENT_S * 1000)
        yield page
    finally:
        page.close()


@contextmanager
def browser_page(chromium: str, **options: Any) -> Iterator[Page]:
    """Open a page in a headless Chromium of its own."""
    with running(chromium) as browser, page_of(browser, **options) as page:
        yield page
