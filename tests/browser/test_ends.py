"""The end of what is shown, in a real browser: the last picture stays, says why it is the last, and takes no clicks."""

import pytest

from tests.browser.lab import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SHOWN = """
import mesonb as mb
sim = mb.Simulation(agents=3, seed=1)
sim.register(mb.Queue(), name="etl", role="ops")
sim.run("1s")
sim
"""


def test_a_restarted_kernel_is_said_in_board_and_chart_and_their_controls_are_off(extended, page, tmp_path):
    notebook = Notebook(page, extended, "ends", [SHOWN, "sim.watch('steer')"])
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    notebook.until(lambda: notebook.board().get("state") == "live", 20, "the board is live")
    chart = page.frame_locator("iframe[title^='Steer of']")
    chart.get_by_role("button", name="Pause offers").wait_for()
    assert page.locator(".mesonb .pause").is_enabled()
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }")
    page.locator(".mesonb .note", has_text="No kernel answers").wait_for()
    chart.get_by_role("alert").filter(has_text="No kernel answers").wait_for()
    assert page.locator(".mesonb .pause").is_disabled()
    assert page.get_by_label("Weight of role ops", exact=True).is_disabled()
    assert chart.locator("[inert]").count() == 1
    assert "3 agents" in page.locator(".mesonb header").inner_text(), "the last picture is there"
    assert page.screenshot(path=tmp_path / "ends.png")
