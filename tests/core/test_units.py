"""Sizes and times mean what Dask takes them to mean, and are shown so that they can be typed again."""

import dask.utils
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesonb.core.units import parse_bytes, parse_duration, show_bytes, show_duration
from mesonb.errors import BadValue

numbers = st.one_of(st.integers(0, 10**6), st.decimals(0, 10**4, places=2)).map(str)
spaces = st.sampled_from(["", " "])
byte_units = st.sampled_from([*dask.utils.byte_sizes])
time_units = st.sampled_from(
    [unit for unit in dask.utils.timedelta_sizes if unit.lower() != "ns" and "nano" not in unit.lower()]
)


@given(numbers, spaces, byte_units)
@example("1", "", "kiB")
def test_sizes_agree_with_dask(number, space, unit) -> None:
    written = f"{number}{space}{unit}"
    # Dask multiplies floats and truncates; here it is exact, then rounded.
    assert parse_bytes(written) == pytest.approx(dask.utils.parse_bytes(written), abs=1, rel=1e-12)


@given(numbers, spaces, time_units)
def test_times_agree_with_dask(number, space, unit) -> None:
    written = f"{number}{space}{unit}"
    seconds = dask.utils.parse_timedelta(written)
    assert parse_duration(written) == pytest.approx(seconds * 1_000_000, abs=1, rel=1e-12)


@pytest.mark.parametrize("number", [0, 1, 2.5, 10**9])
def test_plain_numbers_agree_with_dask(number) -> None:
    assert parse_bytes(number) == pytest.approx(dask.utils.parse_bytes(number), abs=0.5)
    assert parse_duration(number) == dask.utils.parse_timedelta(number) * 1_000_000


def test_a_unit_alone_is_one_of_it() -> None:
    assert parse_bytes("GB") == dask.utils.parse_bytes("GB")
    assert parse_duration("ms") == 1000


def test_a_time_of_day_is_a_time_since_the_start() -> None:
    assert parse_duration("00:41:10") == (41 * 60 + 10) * 1_000_000
    assert parse_duration("1:00:00.5") == 3_600_500_000


@pytest.mark.parametrize("wrong", ["", "  ", "5 parsecs", "-1s", "1..2", None, [], float("nan")])
def test_a_wrong_size_or_time_says_what_to_type(wrong) -> None:
    with pytest.raises(BadValue, match="write|zero or more"):
        parse_bytes(wrong)
    with pytest.raises(BadValue, match="write|zero or more"):
        parse_duration(wrong)


@given(st.integers(0, 10**16))
def test_a_size_is_shown_as_it_could_be_typed(size) -> None:
    assert parse_bytes(show_bytes(size)) == pytest.approx(size, rel=0.006)


@given(st.integers(0, 10**13))
def test_a_time_is_shown_as_it_could_be_typed(time_us) -> None:
    assert parse_duration(show_duration(time_us)) == pytest.approx(time_us, rel=0.001, abs=1)
