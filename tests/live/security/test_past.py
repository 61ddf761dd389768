"""What may not be seen of the present is not seen of the past."""

import pytest

import mesonb as mb
from tests.helpers import wait_for
from tests.live.conftest import SMALL
from tests.live.tasks import double

pytestmark = pytest.mark.live


def test_a_moment_names_nothing_that_may_not_be_seen(guarded, joined):
    anna, ben = joined("anna"), joined("ben")
    queue = anna.register(mb.Queue(needs=SMALL), name="annas", role="hidden")
    assert queue.submit(double, 2).result(20) == 4
    annas, bens = (wait_for(kernel.look_back, 30, "the recording to be read") for kernel in (anna, ben))
    for kernel in (annas, bens):
        kernel.go("move", "end")
    assert "annas" in repr(annas.snapshot()) and "hidden" in repr(annas.snapshot())
    assert "annas" not in repr(bens.snapshot()) and "hidden" not in repr(bens.snapshot())
    anna.unregister(queue)
    anna.wait_until(lambda: "annas" not in {row.framework for row in guarded.snapshot().frameworks})
    later = ben.moment("0s")
    assert "annas" not in repr(later.snapshot())
    assert "annas" not in repr([later.go("move", "+ cycle"), later.snapshot()])
    bens.go("move", "end")
    assert "annas" not in repr(bens.snapshot()), "nor when it has left, and is of the past alone"
