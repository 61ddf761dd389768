"""Ports and disks: which ones, as exactly as how much; in vectors, in the books, and through everything that writes them."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesonb.core import calls, codec, events
from mesonb.core.books import Settings
from mesonb.core.checkpoint import Checkpoint
from mesonb.core.items import Itemised, assign
from mesonb.core.master import MasterCore
from mesonb.core.ranges import Names, Ranges, read
from mesonb.core.resources import NOTHING, Resources, at_most, less, shared_part
from mesonb.core.snapshot import take
from mesonb.errors import BadValue
from mesonb.testing import Checked

PORTS = Resources(cpus=4, mem="4GB", ports="31000-31009")
numbers = st.frozensets(st.integers(0, 40))
names = st.frozensets(st.sampled_from(["sda", "sdb", "sdc", "nvme0"]))


def ranges(some) -> Ranges:
    return Ranges.of((one, one) for one in some)


@given(numbers, numbers, st.integers(0, 10))
def test_ranges_are_sets_of_numbers(a, b, count) -> None:
    left, right = ranges(a), ranges(b)
    assert set(left | right) == a | b
    assert set(left - right) == a - b
    assert set(left & right) == a & b
    assert (left <= right) == (a <= b)
    assert len(left) == len(a)
    assert list(left.first(count)) == sorted(a)[:count]
    assert (left == right) == (a == b)
    assert hash(ranges(a)) == hash(left)
    assert read("ports", str(left)) == left


@given(names, names, st.integers(0, 5))
def test_names_are_sets(a, b, count) -> None:
    left, right = Names(a), Names(b)
    assert (set(left | right), set(left - right), set(left & right)) == (a | b, a - b, a & b)
    assert (left <= right, left == right, len(left)) == (a <= b, a == b, len(a))
    assert list(left.first(count)) == sorted(a)[:count]
    assert read("disks", str(left)) == left and hash(Names(a)) == hash(left)


@given(numbers, numbers, names, names, st.integers(0, 9), st.integers(0, 9))
def test_vectors_with_items_add_up_as_those_without_do(a, b, c, d, n, m) -> None:
    one = Resources(cpus=n, ports=a, named={"disks": c})
    other = Resources(cpus=m, ports=b - a, named={"disks": d - c})
    assert one + other == other + one
    assert (one + other) - other == one
    assert one <= one + other and (one + other <= one) != bool(other)
    assert (one + other).counted == one.counted + other.counted
    assert less(one + other, other) == one and shared_part(one + other, other) == other
    assert not one.missing_for(one)
    assert eval(repr(one)) == one and pickle.loads(pickle.dumps(one)) == one == copy.deepcopy(one)
    assert Resources.of_plain(one.plain()) == one
    assert codec.build(json.loads(codec.write(one))) == one


def test_what_two_machines_have_alike_is_only_counted() -> None:
    both = PORTS + PORTS
    assert both == Resources(cpus=8, mem="8GB", ports=20)
    assert not both.itemised
    assert both - PORTS == PORTS.counted
    assert PORTS + Resources(ports=2) == Resources(cpus=4, mem="4GB", ports=12)


def test_a_number_fits_where_there_are_as_many_and_takes_the_first() -> None:
    assert Resources(ports=10) <= PORTS and not Resources(ports=11) <= PORTS
    assert Resources(ports=[31009]) <= PORTS and not Resources(ports=[31010]) <= PORTS
    assert Resources(ports=3) <= PORTS and not Resources(ports=3) >= Resources(ports=[31000])
    assert not Resources(ports=[1]) <= Resources(ports=1)
    assert PORTS.pick(Resources(cpus=1, ports=2)) == Resources(cpus=1, ports="31000-31001")
    assert PORTS.pick(Resources(ports=11)) == Resources(ports=11)
    assert PORTS.pick(Resources(cpus=1)) == Resources(cpus=1)
    assert (PORTS - Resources(ports=2)).which["ports"] == ranges(range(31002, 31010))
    assert less(PORTS, Resources(ports=9)).which["ports"] == ranges([31009])
    assert shared_part(PORTS, Resources(ports=1)) == Resources(ports=[31000])
    assert at_most(PORTS, Resources(cpus=1, ports=2)) == Resources(cpus=1, mem="4GB", ports="31000-31001")
    assert PORTS.only(["ports"]) == Resources(ports="31000-31009")
    assert PORTS.measured == Resources(cpus=4, mem="4GB")
    assert Resources(cpus=2).which == {} and Resources(cpus=2).measured == Resources(cpus=2).counted == Resources(
        cpus=2
    )


def test_how_often_items_fit() -> None:
    assert PORTS // Resources(cpus=1, ports=3) == 3
    assert PORTS // Resources(ports=[31003]) == 1
    assert Resources(ports=5) // Resources(ports=[3]) == 0
    assert PORTS * 1 is PORTS and Resources(cpus=8, mem="8GB", ports=20) == PORTS * 2


def test_taking_items_that_are_not_there_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="ports"):
        PORTS - Resources(ports=[80])


def test_tasks_that_name_theirs_choose_first() -> None:
    needs = [Resources(ports=1), Resources(ports=[31000]), Resources(ports=2)]
    assert [str(part) for part in assign(PORTS, needs) or ()] == [
        "[31001] ports",
        "[31000] ports",
        "[31002-31003] ports",
    ]
    assert assign(PORTS, [Resources(ports=[31000])] * 2) is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"ports": "31009-31000"}, "smaller number first"),
        ({"ports": "[31000-x]"}, "is no range"),
        ({"ports": ["a b"]}, "cannot be a name"),
        ({"ports": [1, "a"]}, "whole numbers, or names"),
        ({"ports": "many"}, "ports=2"),
        ({"ports": b"1"}, "not a number"),
        ({"disks": "sda"}, "did you mean disk"),
        ({"named": {"disks": "{a b}"}}, "cannot be a name"),
        ({"mem": "1-2"}, "size"),
        ({"ports": "[-3-5]"}, "'-3-5' is no range"),
        ({"ports": [-1]}, "from 0 on"),
        ({"ports": [(1, 2)]}, "whole numbers, or names"),
        ({"ports": range(31009, 31000)}, "smaller number first"),
        ({"ports": [True]}, "whole numbers, or names"),
        ({"ports": {"http": 1}}, "whole numbers, or names"),
        ({"ports": "[31000-31009"}, r"has no end; write ports='\[31000-31009\]'"),
        ({"ports": "31000-31009]"}, "is not a number"),
        ({"ports": "0-999999999999999"}, None),
        ({"ports": f"0-{10**15}"}, "smaller than 1,000,000,000,000,000"),
        ({"ports": range(10**15 + 1)}, "smaller than"),
        ({"ports": "0-" + "9" * 5000}, "is no range"),
    ],
)
def test_wrong_items_say_what_to_type(wrong, says) -> None:
    if says is None:
        assert len(Resources(**wrong).which["ports"]) == 10**15
        return
    with pytest.raises(BadValue, match=says):
        Resources(**wrong)


def test_what_items_may_be_written_as() -> None:
    assert Resources(ports="31000-31001") == Resources(ports=[31000, 31001]) == Resources(ports=range(31000, 31002))
    assert Resources(ports=" [ 31000 - 31001 , 31001 ] ") == Resources(ports=Ranges.of([(31000, 31001)]))
    assert Resources(ports=range(0)) == Resources(ports=[]) == Resources(ports="[]") == NOTHING
    assert str(Resources(disks={"sdb", "sda"})) == "{sda,sdb} disks"
    assert isinstance(Resources(named={"disks": "{sda}"}), Itemised)


def test_whole_numbers_are_whole_numbers_whoever_made_them() -> None:
    assert Resources(ports=np.arange(31000, 31010)) == PORTS.only(["ports"])
    assert 31009 in PORTS.which["ports"] and 31010 not in PORTS.which["ports"] and 30999 not in PORTS.which["ports"]
    assert 10**14 in Resources(ports=range(10**15)).which["ports"]


@given(numbers, names)
def test_numbers_and_names_have_nothing_in_common(a, b) -> None:
    one, other = Resources(cpus=1, ports=a), Resources(cpus=1, ports=b)
    assert less(one, other) == one.only(["ports"]) and less(other, one) == other.only(["ports"])
    assert shared_part(one, other) == Resources(cpus=1) or not (a and b)
    assert (one <= other) == (not a) and (other <= one) == (not b)
    assert (one + other).counted == one.counted + other.counted


@pytest.mark.parametrize("wrong", [{"cpus": "abc"}, {"ports": "many"}, {"ports": "[1-"}])
def test_what_plain_never_wrote_is_not_read(wrong) -> None:
    with pytest.raises(BadValue, match="cpus|ports"):
        Resources.of_plain({"mem": 5, **wrong})


# -- in the books -----------------------------------------------------------------------------------------------------

JOIN = calls.AgentJoined("agent-1", PORTS)


def launched(followed) -> list[Resources]:
    return [event.needs for event in followed if isinstance(event, events.Launch)]


def test_a_task_gets_the_ports_that_it_names_or_as_many_as_it_asks_for() -> None:
    core = Checked()
    core.tell(JOIN, calls.Subscribe("f"))
    some = calls.TaskInfo("f/1", Resources(cpus=1, ports=2)), calls.TaskInfo("f/2", Resources(cpus=1, ports=[31000]))
    followed = core.tell(calls.Accept("f", ("offer-1",), some, 0))
    assert launched(followed) == [Resources(cpus=1, ports="31001-31002"), Resources(cpus=1, ports=[31000])]
    core.tell(calls.TaskUpdate("agent-1", "f/1", calls.TaskState.FINISHED), at_us=10)
    assert core.agents["agent-1"].total == PORTS
    assert core.offers["offer-2"].resources == Resources(cpus=3, mem="4GB", ports="31001-31009")


@pytest.mark.parametrize("concurrency", ["pessimistic", "optimistic"])
def test_two_tasks_cannot_have_one_port(concurrency) -> None:
    core = Checked(Settings(concurrency=concurrency))
    core.tell(JOIN, calls.Subscribe("f"))
    both = tuple(calls.TaskInfo(f"f/{n}", Resources(ports=[31000])) for n in range(2))
    rejected = core.tell(calls.Accept("f", ("offer-1",), both))[0]
    assert isinstance(rejected, events.Rejected) and "cannot all have" in rejected.because
    alone = core.tell(calls.Accept("f", ("offer-1",), (calls.TaskInfo("f/9", Resources(ports=[80])),)))[0]
    assert "f/9 needs [80] ports: [80] ports too much" in alone.because


def test_names_where_the_agent_has_numbers_are_refused() -> None:
    core = Checked()
    core.tell(JOIN, calls.Subscribe("f"))
    (refused, _) = core.tell(calls.Accept("f", ("offer-1",), (calls.TaskInfo("f/1", Resources(ports={"http"})),)))[:2]
    assert "{http} ports too much" in refused.because and "offer-1" in core.offers


def test_whoever_comes_late_in_the_optimistic_mode_has_lost_the_port() -> None:
    core = Checked(Settings(concurrency="optimistic"))
    core.tell(JOIN, calls.Subscribe("f"), calls.Subscribe("g"))
    mine = {offer.framework: offer.id for offer in core.offers.values()}
    core.tell(calls.Accept("f", (mine["f"],), (calls.TaskInfo("f/1", Resources(ports=[31000])),)))
    wanted = calls.TaskInfo("g/1", Resources(ports=[31000])), calls.TaskInfo("g/2", Resources(ports=1))
    followed = core.tell(calls.Accept("g", (mine["g"],), wanted))
    assert launched(followed) == [Resources(ports=[31001])]
    assert any(isinstance(event, events.Updated) and "conflict" in event.because for event in followed)


def test_ports_count_for_nobodys_share() -> None:
    core = Checked()
    core.tell(JOIN, calls.AgentJoined("agent-2", PORTS), calls.Subscribe("f"), calls.Subscribe("g"))
    core.tell(
        calls.Accept(
            "f", (next(iter(core.frameworks["f"].offers)),), (calls.TaskInfo("f/1", Resources(cpus=1, ports=10)),)
        )
    )
    picture = take(core)
    assert picture.total == Resources(cpus=8, mem="8GB", ports=20)
    assert picture.shared == Resources(cpus=8, mem="8GB")
    assert {row.framework: row.task_share for row in picture.frameworks} == {"f": 1 / 8, "g": 0}
    assert core.order.share(core.frameworks["f"].client) < 1


def test_a_filter_blocks_the_ports_refused_and_no_others() -> None:
    core = Checked()
    core.tell(JOIN, calls.Subscribe("f"), calls.Subscribe("g", min_offer=(Resources(cpus=99),)))
    first = calls.TaskInfo("f/1", Resources(cpus=1, ports=[31000]))
    core.tell(calls.Accept("f", ("offer-1",), (first,), 3600 * 10**6), at_us=1)
    assert not core.tell(at_us=2)
    made = core.tell(calls.TaskUpdate("agent-1", "f/1", calls.TaskState.FINISHED), at_us=3)
    assert made[-1].resources == PORTS  # more than it refused, by a cpu and a port


def test_ports_can_be_reserved_by_number_or_by_name() -> None:
    core = Checked()
    core.tell(
        calls.AgentJoined("agent-1", PORTS, reserved=(("lab", Resources(ports=2)), ("eng", Resources(ports=[31000]))))
    )
    assert core.agents["agent-1"].reserved == {"lab": Resources(ports="31001-31002"), "eng": Resources(ports=[31000])}
    core.tell(
        calls.Reserve("agent-1", "lab/a", Resources(ports=1), out_of="lab"),
        calls.Reserve("agent-1", "ops", Resources(ports=1)),
    )
    assert core.agents["agent-1"].reserved["lab/a"] == Resources(ports=[31001])
    assert core.agents["agent-1"].reserved["ops"] == Resources(ports=[31003])
    assert core.roles["lab"].reserved == Resources(ports=2)
    core.tell(calls.Unreserve("agent-1", "lab/a", Resources(ports=1)))
    made = core.tell(calls.Subscribe("f"), at_us=9)
    assert made[-1].resources == Resources(cpus=4, mem="4GB", ports="[31001,31004-31009]")
    clash = calls.AgentJoined("agent-2", PORTS, reserved=(("lab", Resources(ports=[1])),))
    assert "cannot be reserved" in core.step(clash, 10)[0].because


def test_a_guarantee_says_how_many_not_which() -> None:
    core = Checked()
    core.tell(JOIN)
    for say in (calls.SetGuarantee, calls.SetLimit):
        assert "how many ports" in core.step(say("lab", Resources(ports=[31000])), 1)[0].because
    core.tell(calls.SetGuarantee("lab", Resources(ports=4)), calls.SetLimit("eng", Resources(cpus=2, ports=3)))
    eng = core.tell(calls.Subscribe("e", "eng"), at_us=2)[-1]
    assert eng.resources == Resources(cpus=2, mem="4GB", ports="31000-31002")
    lab = core.tell(calls.Subscribe("l", "lab"), at_us=3)[-1]
    assert lab.resources == Resources(cpus=2, ports="31003-31009")


def test_small_offers_hold_some_of_the_ports() -> None:
    core = Checked(Settings(offer_size=Resources(cpus=1, mem="1GB", ports=2)))
    made = core.tell(JOIN, calls.Subscribe("f"), calls.Subscribe("g"))
    assert [event.resources.which["ports"] for event in made if isinstance(event, events.OfferMade)] == [
        ranges([31000, 31001]),
        ranges([31002, 31003]),
    ]


def test_an_allocator_from_elsewhere_may_grant_a_number() -> None:
    from mesonb.core.allocator import Allocator, Grant

    class Three(Allocator):
        def cycle(self, view):
            for agent in view.agents_with_room():
                for framework in view.wanting(agent):
                    yield Grant(agent, framework, Resources(cpus=1, ports=3))

    core = Checked(allocator=Three())
    made = core.tell(JOIN, calls.Subscribe("f"))
    assert made[-1].resources == Resources(cpus=1, ports="31000-31002")


def test_a_new_master_adopts_tasks_with_their_ports() -> None:
    core = Checked(Settings(epoch=2))
    running = (
        calls.RunningTask("f/1", "f", Resources(cpus=1, ports=[31005])),
        calls.RunningTask("f/2", "f", Resources(cpus=1, ports=[31005])),
        calls.RunningTask("f/3", "f", Resources(cpus=1, ports=1)),
    )
    followed = core.tell(calls.AgentJoined("agent-1", PORTS, tasks=running))
    assert [event.task for event in followed if isinstance(event, events.Kill)] == ["f/2"]
    assert core.tasks["f/3"].needs == Resources(cpus=1, ports=[31000])


def test_checkpoints_keep_items() -> None:
    core = MasterCore()
    some = (calls.TaskInfo("f/1", Resources(cpus=1, ports=2, disks=[])),)
    for call in (JOIN, calls.Subscribe("f"), calls.Tick(), calls.Accept("f", ("offer-1",), some)):
        core.step(call, 0)
    again = Checkpoint.from_text(Checkpoint.of(core).text()).restore()
    assert again.tasks["f/1"].needs == Resources(cpus=1, ports="31000-31001")
    assert again.agents["agent-1"].free.which == core.agents["agent-1"].free.which
