"""What every test may rely on: one printed seed, hypothesis profiles, the path of a Chromium.

Rule: nothing here starts a cluster, a server or a browser; those fixtures live beside the tests that use them.
"""

import os
import random

import pytest
from hypothesis import HealthCheck, settings

SEED = int(os.environ.get("MESONB_SEED") or random.SystemRandom().randrange(2**32))

# A property's time depends on the machine, so no example has a deadline; the test's own timeout holds instead.
settings.register_profile("mesonb", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("storm", parent=settings.get_profile("mesonb"), max_examples=2_000)
settings.load_profile(os.environ.get("MESONB_HYPOTHESIS", "mesonb"))


def pytest_report_header() -> str:
    """Print the one random seed of this run, with what to type to have it again."""
    return f"mesonb: random seed {SEED}; MESONB_SEED={SEED} runs the same again"


@pytest.fixture(scope="session")
def random_seed() -> int:
    """Return the seed printed at the top of the run; every other seed in the tests is fixed."""
    return SEED


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return the Chromium that tools/chromium.sh found, or fail with what to do."""
    from tests.helpers import find_chromium

    return find_chromium()
