"""What a session looks like as the last line of a cell: outside a kernel, inside one, and in a saved notebook."""

import subprocess
import sys

import pytest

import mesonb as mb
from mesonb import notebook
from mesonb.errors import BadValue
from mesonb.panels import board, feed
from tests.helpers import ROOT, wait_for


def test_outside_a_kernel_a_session_is_a_still_picture_and_a_line(cluster):
    bundle = cluster._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == repr(cluster)
    assert "<svg" in bundle["text/html"] and "<script" not in bundle["text/html"]


def test_watch_names_its_panels(cluster):
    assert cluster.watch() is cluster is cluster.watch("board")
    assert "<svg" in cluster.watch("shares")._repr_html_()
    assert repr(cluster.watch("shares")).startswith("<shares of simulation-")
    with pytest.raises(BadValue, match="board, shares"):
        cluster.watch("chart")


def test_in_a_kernel_it_is_a_live_board_with_the_still_picture_beside_it(cluster, panels, monkeypatch):
    monkeypatch.setattr(notebook, "attended", lambda: True)
    monkeypatch.setattr(notebook, "kernel_id", lambda: "our-kernel")
    monkeypatch.setattr("mesonb.panels.server.panel_server", lambda _kernel: panels)
    bundle = cluster._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert bundle["text/plain"] == repr(cluster) and "<svg" in bundle["text/html"]
    again = cluster._repr_mimebundle_()
    key = "application/vnd.jupyter.widget-view+json"
    assert again[key] == bundle[key], "one model a session, however often it is shown"


class Shell:
    """What IPython has in a kernel: whether the request that runs says that somebody may type."""

    def __init__(self, may_type):
        self.kernel = type("Kernel", (), {"_allow_stdin": may_type})


def test_where_nobody_looks_while_the_kernel_runs_there_is_the_picture_alone(cluster, monkeypatch):
    monkeypatch.setenv("MESONB_BASE_URL", "/")
    monkeypatch.setattr("IPython.get_ipython", lambda: Shell(may_type=False))
    assert not notebook.attended()
    assert set(cluster._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert "<svg" in cluster.watch("shares")._repr_html_() and "<iframe" not in cluster.watch("shares")._repr_html_()
    with pytest.raises(NotImplementedError):
        cluster._ipython_display_()


def test_somebody_looks_in_a_notebook_and_in_voila(cluster, monkeypatch):
    monkeypatch.setattr("IPython.get_ipython", lambda: Shell(may_type=True))
    assert notebook.attended()
    monkeypatch.setattr("IPython.get_ipython", lambda: Shell(may_type=False))
    monkeypatch.setenv("VOILA_BASE_URL", "/voila/")
    assert notebook.attended()


def test_under_a_jupyter_server_the_picture_is_an_output_of_its_own_before_the_board(cluster, panels, monkeypatch):
    shown = []
    monkeypatch.setenv("MESONB_BASE_URL", "/")
    monkeypatch.setattr(notebook, "attended", lambda: True)
    monkeypatch.setattr(notebook, "kernel_id", lambda: "our-kernel")
    monkeypatch.setattr("mesonb.panels.server.panel_server", lambda _kernel: panels)
    monkeypatch.setattr("IPython.display.publish_display_data", shown.append)
    cluster._ipython_display_()
    still, live = shown
    assert "<svg" in still["text/html"] and set(live) == {"text/plain", "application/vnd.jupyter.widget-view+json"}


def test_the_shares_are_a_frame_of_the_relay(cluster, panels, monkeypatch):
    monkeypatch.setattr(notebook, "attended", lambda: True)
    monkeypatch.setattr(notebook, "kernel_id", lambda: "our-kernel")
    monkeypatch.setattr("mesonb.panels.server.panel_server", lambda _kernel: panels)
    monkeypatch.setenv("MESONB_BASE_URL", "/user/x/")
    html = cluster.watch("shares")._repr_html_()
    assert f'src="/user/x/mesonb/{panels.id}/shares?session={cluster.id}"' in html
    assert panels.token not in html and str(panels.connection.port) not in html


def test_importing_mesonb_imports_nothing_that_shows_anything():
    heavy = "bokeh IPython ipywidgets anywidget tornado jupyter_core dask distributed numpy".split()
    script = f"import sys, mesonb; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


# -- the comm ---------------------------------------------------------------------------------------------------------


class Heard(board.Board):
    """A board whose messages to the browser are kept."""

    def __init__(self, *args):
        self.sent = []
        super().__init__(*args)

    def send(self, content, buffers=None):
        self.sent.append((content, buffers))

    def of(self, kind):
        return [content for content, _ in self.sent if content["kind"] == kind]


def test_by_comm_frames_come_after_a_hello_and_stop_without_one(cluster, panels, monkeypatch):
    shown = Heard(cluster, panels)
    assert shown.first_head["counts"]["tasks"] == 6 and shown.first_rows
    assert not shown.sent, "nothing is sent to who has not said hello"
    shown._heard(None, {"kind": "hello"}, [])
    wait_for(lambda: shown.of("frame"), 10, "a frame by comm")
    assert shown.sent[0][1][0] == feed.picture(cluster).data
    monkeypatch.setattr(board, "HELLO_WITHIN_S", 0.0)
    watchers = panels.feed(cluster)._watchers
    wait_for(lambda: not watchers, 10, "the silent line is let go")
    sent = len(shown.sent)
    cluster.pause()
    assert len(shown.sent) == sent


def test_by_comm_commands_are_acknowledged(cluster, panels):
    shown = Heard(cluster, panels)
    shown._heard(None, {"id": 3, "do": "weight", "role": "ops", "weight": 4}, [])
    wait_for(lambda: shown.of("ack"), 10, "an acknowledgement by comm")
    assert shown.of("ack") == [{"kind": "ack", "id": 3, "ok": True, "did": "weight of ops is 4"}]
    assert cluster.weights["ops"] == 4


def test_a_board_of_a_session_that_is_gone_says_so(panels):
    sim = mb.Simulation(agents=1)
    shown = Heard(sim, panels)
    mb.Simulation.known.pop(sim.id)
    shown._heard(None, {"kind": "hello"}, [])
    wait_for(lambda: shown.of("gone"), 10, "the word that it is gone")
