"""Principals across masters: a kernel proves itself to the next one, which knows from the hub whose a framework is."""

import json

import pytest

import mesonb as mb
from mesonb.errors import NotAllowed
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.security.conftest import SECRETS
from tests.live.tasks import double
from tests.live.test_cluster import _lead_if_free, kernel

pytestmark = pytest.mark.live


def test_the_next_master_is_proven_to_and_knows_whose_is_what(tmp_path):
    file = tmp_path / "secrets.json"
    file.touch(0o600)
    file.write_text(json.dumps(SECRETS))
    first, address = kernel(f"""
        import mesonb as mb
        from pathlib import Path
        master = mb.Master(agents=1, name="heirs", principals=Path({str(file)!r}))
        print(master.address, flush=True)
        input()
    """)
    try:
        anna = mb.connect(address, principal="anna", secret=SECRETS["anna"])
        lab = anna.register(mb.Queue(needs=SMALL), name="lab")
        assert lab.submit(double, 2).result(60) == 4
    finally:
        first.kill()
        first.wait()
    second = wait_for(lambda: _lead_if_free(agents=1, name="heirs", principals=file), 10, "the next master")
    try:
        wait_for(lambda: second.guests.gate.owner("lab") == "anna", 10, "the hub to have said whose it is")
        with (
            mb.connect(address, principal="ben", secret=SECRETS["ben"]) as ben,
            pytest.raises(NotAllowed, match="take over frameworks of 'anna'"),
        ):
            ben.register(mb.Queue(needs=SMALL), name="lab")
        wait_for(lambda: "lab" in second.core.frameworks, 10, "anna's kernel to have registered it again")
        assert lab.submit(double, 4).result(60) == 8
        anna.close()
        wait_for(lambda: "lab" not in second.core.frameworks, 10, "it to have left with anna")
    finally:
        second.close(cluster=True)
