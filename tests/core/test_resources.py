"""Resources are exact vectors: their sums, differences and order, and what they say about a wrong amount."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesonb.core.resources import NOTHING, Resources
from mesonb.errors import BadValue

amounts = st.dictionaries(st.sampled_from(["cpus", "mem", "disk", "gpus", "licences"]), st.integers(0, 10**15))
resources = amounts.map(Resources.of)


@given(resources, resources, resources)
def test_sums_do_not_depend_on_order(a, b, c) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + NOTHING == a


@given(resources, resources)
def test_what_was_added_can_be_taken_away_and_leaves_no_trace(a, b) -> None:
    assert (a + b) - b == a
    assert hash((a + b) - b) == hash(a)
    assert a - a == NOTHING
    assert not a - a


@given(resources, resources)
def test_fitting_means_fitting_in_every_resource(a, b) -> None:
    names = a.amounts.keys() | b.amounts.keys()
    assert (a <= b) == all(a.amounts.get(n, 0) <= b.amounts.get(n, 0) for n in names)
    assert (a >= b) == (b <= a)
    assert (a <= b) == (not b.missing_for(a))


@given(resources, resources)
def test_how_often_it_fits(a, needs) -> None:
    if needs:
        times = a // needs
        assert needs * times <= a
        assert not needs * (times + 1) <= a


@given(resources)
def test_copies_are_equal(a) -> None:
    assert pickle.loads(pickle.dumps(a)) == a == copy.deepcopy(a)
    assert "nothing" in str(a) or a


@given(amounts)
def test_zero_amounts_are_not_kept(given_amounts) -> None:
    assert 0 not in Resources.of(given_amounts).amounts.values()
    assert list(Resources.of(given_amounts)) == [name for name, n in given_amounts.items() if n]


def test_amounts_as_people_count_them() -> None:
    machine = Resources(cpus=1.5, mem="2GB", disk="1MiB", gpus=1, named={"licences": 3})
    assert (machine.cpus, machine.mem, machine.disk, machine.gpus) == (1.5, 2 * 10**9, 2**20, 1)
    assert machine.amounts["licences"] == 3000
    assert "licences" in repr(machine)
    assert eval(repr(machine)) == machine


def test_thousandths_are_exact_where_floats_are_not() -> None:
    assert sum([Resources(cpus=0.1)] * 10, start=NOTHING) == Resources(cpus=1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"cpus": -1}, "negative"),
        ({"mem": "-1GB"}, "negative"),
        ({"cpus": "many"}, "not a number"),
        ({"cpus": float("nan")}, "not a number"),
        ({"cpus": float("inf")}, "not a number"),
        ({"mem": "2 GX"}, "512MiB"),
        ({"mem": None}, "512MiB"),
        ({"cpu": 1}, "did you mean cpus"),
        ({"memory": 1}, "did you mean mem"),
        ({"gpsu": 1}, "did you mean gpus"),
        ({"licences": 1}, "named={'licences': 1}"),
    ],
)
def test_a_wrong_amount_says_what_to_type(wrong, says) -> None:
    with pytest.raises(BadValue, match=says.replace("{", r"\{")):
        Resources(**wrong)


def test_taking_more_than_there_is_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="negative"):
        Resources(cpus=1) - Resources(cpus=2)


def test_nothing_fits_without_end() -> None:
    with pytest.raises(BadValue, match="needs of nothing"):
        Resources(cpus=1) // NOTHING


@pytest.mark.parametrize("name", ["mem", "disk"])
def test_a_number_that_is_no_number_of_bytes_is_asked_for_its_unit(name):
    with pytest.raises(BadValue, match=f"{name}=4 is so many bytes; write {name}='4GB', or bytes: {name}='4B'"):
        Resources(**{name: 4})
    assert Resources(**{name: "4B"}) == eval(repr(Resources(**{name: "4B"})))
    assert not Resources(**{name: 0})
