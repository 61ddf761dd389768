"""A JupyterLab for the browser tests, and the end of every local cluster that a kernel of it started."""

import pytest

from mesonb.panels.server import PanelServer
from tests.browser.lab import ExtendedLab, Lab, page_of, running


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Start one JupyterLab, under a prefix as a hub would give it."""
    running = Lab(tmp_path_factory.mktemp("lab"), base_url="/user/x/")
    yield running
    running.close()


@pytest.fixture(scope="session")
def extended(tmp_path_factory):
    """Start one JupyterLab that has this tree's extension."""
    running = ExtendedLab(tmp_path_factory.mktemp("extended"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser(chromium_path):
    """Start one Chromium for the tests of a module; it ends with them, as no event loop can run beside it."""
    with running(chromium_path) as started:
        yield started


@pytest.fixture
def page(browser):
    """Open a page of its own for the test."""
    with page_of(browser) as opened:
        yield opened


@pytest.fixture(scope="module")
def panels(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        server = PanelServer("our-kernel", base_url="/user/x/").start()
        yield server
        server.close()


@pytest.fixture
def chart(browser, panels):
    """Open a chart of a session as the relay would: with the token. Complaints of the page fail the test."""
    heard = []
    with page_of(browser, extra_http_headers={"Authorization": f"token {panels.token}"}) as page:
        own = f"//127.0.0.1:{panels.connection.port}/"
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda asked: (
                None if own in asked.url or asked.url.startswith(("data:", "blob:")) else heard.append(asked.url)
            ),
        )

        def opened(name, session, theme="light"):
            page.goto(f"http:{own.rstrip('/')}{panels.prefix}/{name}?session={session.id}&theme={theme}")
            page.wait_for_function("window.Bokeh?.documents?.[0]?.is_idle")
            return page

        yield opened
    assert not heard
