"""Still pictures in a real browser: of notebooks that were converted, opened again without their kernel, or shown by Voila."""

import os
import socket
import subprocess
import sys

import nbformat
import pytest
from nbconvert import HTMLExporter

from tests.browser.lab import SERVER_CONFIG, Notebook
from tests.helpers import ROOT, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SIMULATION = """
import mesonb as mb
sim = mb.Simulation(agents=3, seed=1)
sim.runs_for(max, "30s")
sim.register(mb.Queue(needs=mb.Resources(cpus=1, mem="1GB")), name="etl", role="ops").map(max, range(6))
sim.run("5s")
sim
"""
MASTER = """
import time
master = mb.Master(agents=[mb.Resources(cpus=2, mem="1GB")] * 2, name="stills")
queue = master.register(mb.Queue(needs=mb.Resources(cpus=1, mem="100MB")), name="sweep", role="research")
runs = queue.map(max, [0], [1])
assert runs[0].result(60) == 1
master
"""
CELLS = [SIMULATION, "sim.watch('shares')", MASTER, "master.watch('timeline')", "master.close(cluster=True)"]
PICTURES = 4
PICTURE = "svg[role=img][aria-label*='agents with their tasks']"


@pytest.fixture
def book(tmp_path):
    """A notebook with the panels of a simulation and of a master, not yet executed."""
    path = tmp_path / "panels.ipynb"
    write(path, CELLS)
    return path


def write(path, cells):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, path)


def environment(home, **more):
    """What a Jupyter program of this tree needs: directories of its own."""
    own = {
        name: str(home / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    return {**os.environ, **own, "PYTHONPATH": str(ROOT), **more}


def unreached(page, asked):
    """Refuse all that is not on this machine, and note what was asked for."""

    def refuse(route):
        asked.add(route.request.url)
        route.abort()

    page.route(lambda url: not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")), refuse)


def converted(book):
    """Execute and convert as people do; a Jupyter server's terminal would have set the address of the relay."""
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", str(book)]
    ran = subprocess.run(
        command, env=environment(book.parent, MESONB_BASE_URL="/"), capture_output=True, text=True, timeout=150
    )
    assert ran.returncode == 0, ran.stderr
    return book.with_suffix(".html")


@pytest.mark.live
def test_a_converted_notebook_shows_pictures_with_no_kernel_and_no_network(book, page, tmp_path):
    empty = tmp_path / "empty.html"
    empty.write_text(HTMLExporter().from_notebook_node(nbformat.v4.new_notebook())[0])
    asked, asked_anyway = set(), set()
    unreached(page, asked_anyway)
    page.goto(empty.as_uri())
    page.unroute_all()
    unreached(page, asked)
    page.goto(converted(book).as_uri())
    pictures = page.locator(PICTURE)
    assert pictures.count() == PICTURES and all(picture.is_visible() for picture in pictures.all())
    names = [page.locator("td", has_text=name).count() for name in ("etl", "sweep")]
    assert names == [2, 2], "and a table below each"
    assert asked <= asked_anyway, "nothing of ours is fetched from elsewhere"
    assert page.screenshot(path=tmp_path / "converted.png", full_page=True)


def test_a_notebook_opened_again_without_its_kernel_shows_its_pictures(extended, page, tmp_path):
    notebook = Notebook(page, extended, "again", [SIMULATION, "sim.watch('shares')"])
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    notebook.until(lambda: notebook.board().get("state") == "live", 20, "the board is live")
    still = page.locator(PICTURE)
    assert [picture.is_visible() for picture in still.all()] == [False, False], "what is live is seen alone"
    page.evaluate("window.jupyterapp.shell.currentWidget.context.save()")
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.goto(f"{extended.url}lab/workspaces/another/tree/{notebook.path}?token={extended.token}")
    notebook.ready()
    notebook.until(
        lambda: [picture.is_visible() for picture in still.all()] == [True, True], 20, "both pictures are seen"
    )
    lost = page.get_by_text("model not found")
    notebook.until(lambda: lost.count() == 1, 20, "the widget says that it has lost its model")
    assert not lost.is_visible()
    assert page.locator(".mesonb-chart iframe").is_hidden()
    assert page.screenshot(path=tmp_path / "again.png")


# -- Voila -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def voila(tmp_path_factory):
    """A Voila beside, by version and hash: in the environment itself it would join every JupyterLab that is started there."""
    beside = tmp_path_factory.mktemp("voila")
    lock = str(ROOT / "tests" / "data" / "voila.txt")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--target", str(beside), "-r", lock], check=True)
    return beside


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def started(command, home, voila, port):
    """Start a server that knows Voila, and wait until it listens."""
    env = environment(home, JUPYTER_PATH=str(voila / "share" / "jupyter"))
    env["PYTHONPATH"] = os.pathsep.join((str(voila), str(ROOT)))
    env.pop("MESONB_BASE_URL", None)
    with (home / "voila.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", *command], env=env, stdout=log, stderr=log)

    def listens():
        assert server.poll() is None, (home / "voila.log").read_text()
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, 60, f"a Voila that listens; see {home / 'voila.log'}")
    return server


def ended(server):
    server.terminate()
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.kill()


def shown_live(page, url, transport):
    """Open the page, see the board live, and pause the simulation with its button."""
    unreached(page, set())
    page.goto(url, wait_until="domcontentloaded")
    page.locator(f".mesonb[data-transport={transport}][data-state=live]").wait_for()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.locator(".mesonb[data-paused=true]").wait_for()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_voila_alone_shows_a_live_board_and_still_charts_with_words(voila, page, tmp_path):
    write(tmp_path / "panels.ipynb", CELLS[:2])
    port = free_port()
    server = started(["voila", str(tmp_path / "panels.ipynb"), "--no-browser", f"--port={port}"], tmp_path, voila, port)
    try:
        shown_live(page, f"http://127.0.0.1:{port}/", "comm")
        assert page.get_by_text("shares is live where a Jupyter server with mesonb runs the kernel").is_visible()
        assert page.locator(PICTURE).last.is_visible()
        assert page.screenshot(path=tmp_path / "voila-alone.png", full_page=True)
    finally:
        ended(server)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_voila_of_a_jupyter_server_shows_everything_live(voila, page, tmp_path):
    write(tmp_path / "panels.ipynb", CELLS[:2])
    enabled = tmp_path / "JUPYTER_CONFIG_DIR" / "jupyter_server_config.d"
    enabled.mkdir(parents=True)
    (enabled / SERVER_CONFIG.name).write_text(SERVER_CONFIG.read_text())
    (enabled / "voila.json").write_text('{"ServerApp": {"jpserver_extensions": {"voila.server_extension": true}}}')
    port = free_port()
    command = [
        "jupyter_server",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={tmp_path}",
    ]
    server = started([*command, "--IdentityProvider.token=here"], tmp_path, voila, port)
    try:
        shown_live(page, f"http://127.0.0.1:{port}/voila/render/panels.ipynb?token=here", "ws")
        page.frame_locator("iframe[title^='Shares of']").get_by_role("button", name="Two moments").wait_for()
        assert [picture.is_visible() for picture in page.locator(PICTURE).all()] == [False, False]
        assert page.screenshot(path=tmp_path / "voila-server.png", full_page=True)
    finally:
        ended(server)
