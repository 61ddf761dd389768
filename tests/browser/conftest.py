"""A JupyterLab for the browser tests, and the end of every local cluster that a kernel of it started."""

import pytest

from tests.browser.lab import Lab, browser_page


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Start one JupyterLab, under a prefix as a hub would give it."""
    running = Lab(tmp_path_factory.mktemp("lab"), base_url="/user/x/")
    yield running
    running.close()


@pytest.fixture
def page(chromium_path):
    """Open a page of its own for the test."""
    with browser_page(chromium_path) as opened:
        yield opened
