from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.storage import units

UNITS = {"": 1} | {
    f"{letter}{i}{b}": base**power
    for power, letter in enumerate("KMGTPE", 1)
    for i, base in (("", 1000), ("i", 1024))
    for b in ("", "B")
}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("0", 0), ("4096", 4096), (4096, 4096), ("5 b", 5), ("10MiB", 10 << 20), ("5GB", 5_000_000_000)),
        *(("1kib", 1024), ("64 KiB", 1 << 16), ("1K", 1000), ("1ki", 1024), ("512Mi", 512 << 20), (" 2TiB ", 2 << 40)),
        *(("1.5 G", 1_500_000_000), ("0.5KiB", 512), ("1.9", 1), ("1000000000.0", 1_000_000_000), ("1EB", 10**18)),
    ],
)
def test_sizes_are_written_with_units_of_1024_and_of_1000(text, size):
    assert units.size(text) == size


@given(st.integers(0, 10**12), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " ", "\t"]), st.booleans())
def test_a_size_is_its_number_times_its_unit_however_that_is_written(number, unit, space, lower):
    text = f"{number}{space}{unit}"

    assert units.size(text.lower() if lower else text) == number * UNITS[unit]


@given(st.integers(0, 1 << 60))
def test_a_size_that_is_shown_can_be_read_again_and_is_as_large_within_its_last_digit(number):
    shown = units.shown_size(number)
    unit = units.size(f"1 {shown.split()[1]}")

    assert abs(units.size(shown) - number) <= unit // 20 + 1
    assert shown.split()[1] in {"B", "KiB", "MiB", "GiB", "TiB", "PiB"}


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (80_128, "78.2 KiB"), (10 << 30, "10 GiB")],
)
def test_sizes_are_shown_in_units_of_1024(number, shown):
    assert units.shown_size(number) == shown


@pytest.mark.parametrize("wrong", ["", "KiB", "ten", "-1", "1 kbit", "1iB", "1.K", ".5K", "1e3", -1, True, 1.5, None])
def test_what_is_no_size_is_refused_by_the_rule(wrong):
    with pytest.raises(ValueError, match=r"^a number of bytes, such as 4096, 10MiB or 5GB$"):
        units.size(wrong)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("2 H", 7200), ("7d", 604_800), ("1.5 m", 90), ("0", 0)),
        *((60, 60), (0.5, 0.5), ("600.5", 600.5), ("1e3", 1000), (timedelta(days=1), 86_400)),
    ],
)
def test_lengths_of_time_are_numbers_of_seconds_or_have_a_unit(text, seconds):
    assert units.seconds(text) == seconds


@given(st.integers(0, 10**9), st.sampled_from("smhd"), st.booleans())
def test_a_length_of_time_is_its_number_times_its_unit(number, unit, upper):
    per = timedelta(**{{"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[unit]: 1}).total_seconds()

    assert units.seconds(f"{number}{unit.upper() if upper else unit}") == number * per


@pytest.mark.parametrize(
    "wrong", ["", "s", "soon", "30 days", "-1h", "inf", "nan", "infd", -1, True, None, float("inf")]
)
def test_what_is_no_length_of_time_is_refused_by_the_rule(wrong):
    with pytest.raises(ValueError, match=r"^a length of time, such as 90s, 15m, 48h or 30d$"):
        units.seconds(wrong)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.binary()))
def test_whatever_is_given_is_a_quantity_or_refused(anything):
    for read in (units.size, units.seconds):
        with suppress(ValueError):
            assert read(anything) >= 0
