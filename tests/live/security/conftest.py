"""A master with principals and ACLs on a real local cluster, shared by the tests of a module."""

import json
import secrets

import dask
import pytest

import mesonb as mb
from mesonb.live.security.blocking import BLOCKED
from tests.live.conftest import AGENT, led

SECRETS = {name: secrets.token_urlsafe(32) for name in ("anna", "ben", "carl")}
RULES = [
    {"who": "ben", "may_not": "see", "what": "hidden"},
    {"who": "*", "may": "see", "what": "*"},
    {"who": "anna", "may": "register", "what": "*"},
    {"who": "ben", "may": "register", "what": ["lab", "lab/*"]},
    {"who": "anna", "may": "change", "what": "lab"},
    {"who": "anna", "may": "kill", "what": "ben"},
    {"who": "anna", "may": "pause"},
]


@pytest.fixture(scope="module", autouse=True)
def _as_shipped():
    """Block what is blocked for everybody."""
    with dask.config.set({"mesonb.blocked-handlers": BLOCKED}):
        yield


@pytest.fixture(scope="module")
def master(_clusters, _as_shipped):
    """Return a master of two real agents whose cluster is as it is shipped."""
    with led(agents=[AGENT, AGENT], name="shipped") as made:
        yield made


@pytest.fixture(scope="module")
def guarded(_clusters, _as_shipped, tmp_path_factory):
    """Return a master whose principals and rules are in files."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "secrets.json").touch(0o600)
    (folder / "secrets.json").write_text(json.dumps(SECRETS))
    (folder / "acls.json").write_text(json.dumps({"rules": RULES}))
    files = {"principals": folder / "secrets.json", "acls": folder / "acls.json"}
    with led(agents=[AGENT], name="guarded", **files) as made:
        yield made


@pytest.fixture
def joined(guarded):
    """Return a way for a principal to connect; all are closed afterwards."""
    made = []

    def join(principal, **more):
        made.append(mb.connect(guarded.address, principal=principal, secret=SECRETS[principal], **more))
        return made[-1]

    yield join
    for remote in made:
        remote.close()
