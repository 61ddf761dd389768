"""Sizes and times as people write them, read into exact integers: bytes and microseconds.

The spellings are those of ``dask.utils.parse_bytes`` and ``parse_timedelta``; a test holds the two together. The core
may not import Dask, so the tables stand here.
"""

import re
from fractions import Fraction

from mesonb.errors import BadValue

SECOND_US = 1_000_000

_BYTES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _BYTES[_letter] = _BYTES[f"{_letter}b"] = 1000**_power
    _BYTES[f"{_letter}i"] = _BYTES[f"{_letter}ib"] = 1024**_power

_SECONDS = {
    "us": Fraction(1, 1_000_000),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
    "w": Fraction(7 * 86400),
}
for _names, _unit in {
    ("microsecond", "microseconds", "microsec", "microsecs"): "us",
    ("millisecond", "milliseconds"): "ms",
    ("second", "seconds", "sec", "secs"): "s",
    ("minute", "minutes", "min", "mins"): "m",
    ("hour", "hours", "hr", "hrs"): "h",
    ("day", "days"): "d",
    ("week", "weeks"): "w",
}.items():
    for _name in _names:
        _SECONDS[_name] = _SECONDS[_unit]

_WRITTEN = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)?\s*([a-z]*)\s*", re.IGNORECASE)


def parse_bytes(size: float | str) -> int:
    """Return a number of bytes; a plain number is bytes already.

    >>> parse_bytes("2GB"), parse_bytes("512 MiB"), parse_bytes(10)
    (2000000000, 536870912, 10)
    """
    return _parse(
        size, {unit: Fraction(n) for unit, n in _BYTES.items()}, "size", '"512MiB", "2GB" or a number of bytes'
    )


def parse_duration(time: float | str) -> int:
    """Return whole microseconds; a plain number is seconds.

    >>> parse_duration("30s"), parse_duration("1.5 min"), parse_duration(0.25)
    (30000000, 90000000, 250000)
    """
    if isinstance(time, str) and (clock := re.fullmatch(r"(\d+):(\d{2}):(\d{2}(?:\.\d+)?)", time.strip())):
        hours, minutes, seconds = clock.groups()
        return round((int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)) * SECOND_US)
    units = {unit: n * SECOND_US for unit, n in _SECONDS.items()} | {"": Fraction(SECOND_US)}
    return _parse(time, units, "time", '"30s", "5min", "00:41:10" or a number of seconds')


def _parse(written: float | str, units: dict[str, Fraction], kind: str, examples: str) -> int:
    if isinstance(written, str):
        match = _WRITTEN.fullmatch(written)
        number, unit = match.groups() if match else (None, "?")
        if unit.lower() not in units or not (number or unit):
            raise BadValue(f"{written!r} is not a {kind}; write {examples}")
        amount = Fraction(number or 1) * units[unit.lower()]
    else:
        try:
            amount = Fraction(written) * units[""]
        except (TypeError, ValueError, OverflowError):
            raise BadValue(f"{written!r} is not a {kind}; write {examples}") from None
    if amount < 0:
        raise BadValue(f"{written!r} is negative; a {kind} is zero or more")
    return round(amount)


def show_bytes(size: int) -> str:
    """Write bytes the way they were most likely typed.

    >>> show_bytes(2_000_000_000), show_bytes(512 * 2**20), show_bytes(0)
    ('2 GB', '512 MiB', '0 B')
    """
    for base, suffix in ((1000, "B"), (1024, "iB")):
        for power in range(5, 0, -1):
            if size >= base**power and size % base**power == 0:
                return f"{size // base**power} {'kMGTP'[power - 1] if base == 1000 else 'KMGTP'[power - 1]}{suffix}"
    for power in range(5, 0, -1):
        if size >= 1000**power:
            return f"{size / 1000**power:.3g} {'kMGTP'[power - 1]}B"
    return f"{size} B"


def show_duration(time_us: int) -> str:
    """Write a time in the largest unit that keeps it short.

    >>> show_duration(90_000_000), show_duration(5_000_000), show_duration(1500)
    ('1.5 min', '5 s', '1.5 ms')
    """
    for unit, name in (
        (86_400 * SECOND_US, "d"),
        (3600 * SECOND_US, "h"),
        (60 * SECOND_US, "min"),
        (SECOND_US, "s"),
        (1000, "ms"),
    ):
        if time_us >= unit:
            return f"{time_us / unit:.4g} {name}"
    return f"{time_us} us"


def counted(number: int, noun: str) -> str:
    """Write how many of something there are.

    >>> counted(1, "task"), counted(2000, "task")
    ('1 task', '2,000 tasks')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"
