"""What `mesonb status` and `top` draw: it fits 80 columns, numbers are whole, and there is no head above nothing."""

import io

import pytest

pytest.importorskip("rich")
from pathlib import Path

from rich.console import Console

from mesonb.core import calls, snapshot
from mesonb.core.master import MasterCore
from mesonb.core.resources import Resources
from mesonb.live import terminal
from mesonb.live.masters import Known
from mesonb.live.status import Cluster

NOTE = Known(Path("x"), "tls://10.0.0.1:36847", "lasting", "mesonb up", 0.0, "here", 123456, "", "", {})
NEEDS = Resources(cpus=2, mem="3.5GB")


def busy(*, frameworks=True, over=False):
    """Take a picture of three large agents with long names, and two frameworks that hold half of two of them."""
    core = MasterCore()
    for number in range(3):
        core.step(calls.AgentJoined(f"tls-10.0.0.{number}-41234-rack-7", Resources(cpus=16, mem="64GB", gpus=2)), 0)
    if frameworks:
        core.step(calls.Subscribe("hyperparameter-sweep-of-anna", "research/vision/anna"), 0)
        core.step(calls.Subscribe("lab", "lab"), 0)
        core.step(calls.Tick(), 0)
        for offer in list(core.offers.values()):
            tasks = tuple(calls.TaskInfo(f"{offer.framework}/task-{offer.id}.{n}", NEEDS) for n in range(4))
            core.step(calls.Accept(offer.framework, (offer.id,), tasks), 0)
    for task in list(core.tasks) if over else []:
        core.step(calls.TaskUpdate(core.tasks[task].agent, task, terminal.TaskState.FAILED), 1)
    return snapshot.take(core)


def lines(picture, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal.drawn(Cluster(NOTE.address, (NOTE,), picture), narrow=width < 100))
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("width", [80, 100, 200])
def test_it_fits_and_every_number_is_whole(width, over):
    drawn = lines(busy(over=over), width)
    assert max(map(len, drawn)) <= width
    assert drawn[1].startswith("3 agents, 2 frameworks, ")
    assert drawn[2].startswith("free: 48 of 48 cpus, 192 of 192 GB mem" if over else "free: ")
    agents = [line for line in drawn if line.startswith("tls-")]
    assert len(agents) == 3
    for line in agents:
        assert ("0" if over else "8") + " of 16 cpus, " in line and "of 64 GB mem, 0 of 2 gpus" in line
    sweep = next(line for line in drawn if line.startswith("hyper"))
    assert "%" in sweep and ("failed" in " ".join(drawn)) is over
    assert (len(drawn) == 3 + 3 + 4) or over, "a line each"


def test_no_head_above_nothing():
    drawn = lines(busy(frameworks=False), 80)
    assert not [line for line in drawn if line.startswith("framework")]
    assert len(drawn) == 3 + 4
