"""What comes over a comm builds nothing but messages, and a call that is not well formed is told apart."""

import os
import pickle
from datetime import date

import pytest

from mesonb.core import calls, snapshot
from mesonb.core.master import MasterCore
from mesonb.core.ranges import Names, Ranges
from mesonb.core.records import TaskState
from mesonb.core.resources import Resources
from mesonb.errors import BadValue, MesonbError, NotThere, named
from mesonb.live.tasks.cargo import Cargo
from mesonb.live.wire.plain import read, well_formed


class Runs:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch unpickled",)


class Reaches:
    """Goes from a record to whatever its module holds."""

    def __reduce__(self):
        return getattr, (calls.Tick, "__init__")


def forged(kind, part, value):
    """Make amounts of ports that say one thing in numbers and another by name."""
    items = kind.__new__(kind)
    setattr(items, part, value)
    held = Resources(ports="1-2")
    held._which = {"ports": items}
    return held


def test_messages_are_read_as_they_were_written():
    core = MasterCore()
    core.step(calls.AgentJoined("a", Resources(cpus=2)), 0)
    messages = [
        ("post", [calls.Subscribe("lab", "role", (Resources(cpus=1),))], {"t": Cargo(b"1", b"2", b"3")}),
        ("join", {"id": "x"}, [("t", "running", "lab", "*", {"cpus": 1000}, 1)]),
        ("ports", Resources(cpus=1, ports="31000-31009", named={"disks": {"sda", "sdb"}})),
        ("update", "t", TaskState.RUNNING, "", b""),
        ("answer", snapshot.take(core), {1, 2}, frozenset("a")),
    ]
    assert read(pickle.dumps(messages, protocol=5)) == messages


@pytest.mark.parametrize(
    ("held", "named"),
    [
        (Runs(), "posix.system"), (os.system, "posix.system"), (print, "builtins.print"), (eval, "builtins.eval"),
        (Reaches(), "'__init__'"), (date(2026, 1, 1), "datetime.date"), (MasterCore, "mesonb.core.master.MasterCore"),
        (snapshot.take, "mesonb.core.snapshot.take"), (NotThere("x"), "no part of any message"),
    ],
)  # fmt: skip
def test_nothing_else_is_built(held, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadValue, match=named):
        read(pickle.dumps([("post", held)], protocol=5))
    assert not list(tmp_path.iterdir())


def test_a_name_with_dots_reaches_nothing():
    content = b"\x80\x05\x8c\x0bmesonb.core\x94\x8c\x04os.x\x94\x93."
    with pytest.raises(BadValue):
        read(content)
    with pytest.raises(BadValue, match=r"calls.SetWeight.__init__|no part"):
        read(b"cmesonb.core.calls\nSetWeight.__init__\n.")


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", pickle.dumps("text"), pickle.dumps([3]), pickle.dumps([()]), b"\x80\x05["]
)
def test_what_is_no_batch_is_said_to_be_none(content):
    with pytest.raises(BadValue, match="batch"):
        read(content)


@pytest.mark.parametrize(
    ("call", "well"),
    [
        (calls.SetWeight("lab", 2000), True), (calls.SetWeight("lab", "heavy"), False), (calls.SetWeight("lab", True), False),
        (calls.SetLimit("lab", Resources(cpus=1)), True), (calls.SetLimit("lab", {"cpus": 1}), False),
        (calls.SetLimit("lab", Resources.of({"cpus": -1})), False), (calls.SetLimit("lab", Resources.of({"cpus": "1"})), False),
        (calls.Subscribe("lab", "r", (Resources(cpus=1),), ("a",), (("gpu", "is", "x"),)), True),
        (calls.Subscribe("lab", "r", [Resources(cpus=1)]), False), (calls.Subscribe("lab", None), False),
        (calls.Subscribe("lab", constraints=(("gpu", "is"),)), False),
        (calls.Accept("lab", ("o",), (calls.TaskInfo("t", Resources(cpus=1)),)), True),
        (calls.Accept("lab", ("o",), (calls.TaskInfo(3, Resources(cpus=1)),)), False),
        (calls.Accept("lab", ("o",), ("t",)), False),
        (calls.Accept("lab", ("o",), (calls.TaskInfo("t", Resources(ports=[31000], disks={"sda"}), short=True),)), True),
        (calls.AgentJoined("a", Resources(cpus=1), short=Resources(cpus=1), max_task_us=1), True),
        (calls.SetLimit("lab", Resources(ports="31000-31009", named={"disks": {"sda"}})), True),
        (calls.SetLimit("lab", forged(Ranges, "bounds", (5, 1))), False),
        (calls.SetLimit("lab", forged(Ranges, "bounds", "ab")), False),
        (calls.SetLimit("lab", forged(Names, "names", frozenset({3}))), False),
        (calls.SetLimit("lab", forged(Ranges, "bounds", (1, 9))), False),
        (calls.AgentJoined("a", Resources(cpus=1), tasks=(calls.RunningTask("t", "lab", Resources()),)), True),
    ],
)  # fmt: skip
def test_a_call_holds_what_its_fields_say(call, well):
    assert well_formed(call) is well


def test_every_call_there_is_can_be_looked_at():
    from typing import get_args

    for kind in get_args(calls.Call):
        assert isinstance(well_formed(kind(*[None] * len(kind.__dataclass_fields__))), bool)


@pytest.mark.parametrize("kind", ["NotThere", "__loader__", "named", "object", "KeyError", None, 7, ["NotThere"]])
def test_an_error_that_is_named_over_there_is_one_of_ours(kind):
    assert issubclass(named(kind), MesonbError)
    assert (named(kind) is NotThere) is (kind == "NotThere")
