"""The harness of the benchmarks at tiny sizes: who is called when, what is made of the samples, how rows are judged."""

from __future__ import annotations

import mmap
import os
import threading

import pytest

from benchmarks import measuring
from benchmarks.cases import Arm, Case, Cpu, Memory, Missing, Sample, Speed, Time, Within, duration, size_text


def recorder(calls, name):
    return Arm(name, lambda number: calls.append((name, number)))


def reporting(name, seconds, **options):
    """Return an arm that takes so many seconds by its own report, one after another."""
    given = iter(seconds)
    return Arm(name, lambda _: next(given), reports=True, **options)


def judged(target, *others, own=(2.0, 2.0, 2.0)):
    arms = [reporting("ours", own, target=target), *others]
    row, *_ = measuring.rows(Case("case", arms, rounds=3, warm=False))
    return row.ratio, row.met


def test_arms_take_turns_and_every_second_round_goes_backwards():
    calls = []

    measuring.samples(Case("case", [recorder(calls, "a"), recorder(calls, "b")], rounds=3, warm=False))

    assert [name for name, _ in calls] == ["a", "b", "b", "a", "a", "b"]


def test_a_call_before_the_first_round_is_no_sample():
    calls = []

    taken, _ = measuring.samples(Case("case", [recorder(calls, "a")], calls=5, rounds=2))

    assert len(calls) == 1 + 2 * 5
    assert len(taken["a"]) == 2


def test_no_two_calls_of_an_arm_have_the_same_number():
    calls = []
    arms = [recorder(calls, "a"), Arm("b", lambda number: calls.append(("b", number)), threads=3)]

    measuring.samples(Case("case", arms, calls=7, rounds=2))

    assert len(set(calls)) == len(calls) == 2 * (1 + 2 * 7)


def test_what_comes_before_a_sample_comes_before_each():
    calls = []
    arms = [recorder(calls, "a"), recorder(calls, "b")]

    measuring.samples(Case("case", arms, calls=2, rounds=2, warm=False, before=lambda: calls.append("before")))

    assert calls[::3] == ["before"] * 4


def test_calls_from_several_threads_run_at_the_same_time():
    meeting = threading.Barrier(3)

    rows = measuring.rows(
        Case("case", [Arm("a", lambda _: meeting.wait(10), threads=3)], calls=3, rounds=1, warm=False)
    )

    assert rows[0].measured.endswith("/s")


def test_the_median_and_the_quartiles_are_of_the_rounds():
    (row,) = measuring.rows(Case("case", [reporting("a", [0.001, 0.002, 0.003, 0.004, 0.1])], rounds=5, warm=False))

    assert (row.measured, row.quartiles) == ("3 ms", "2 - 4 ms")


def test_a_sample_of_several_calls_is_their_median():
    (row,) = measuring.rows(Case("case", [reporting("a", [1, 2, 30])], calls=3, rounds=1, warm=False))

    assert row.seconds == (2,)


def test_throughput_is_shown_in_mebibytes_a_second():
    (row,) = measuring.rows(Case("case", [reporting("a", [2])], size=512 << 20, rounds=1, warm=False))

    assert row.measured == "256 MiB/s"


@pytest.mark.parametrize(("least", "met"), [(0.5, True), (0.6, False)])
def test_a_speed_is_judged_beside_the_slowest_of_the_others(least, met):
    others = reporting("fast", [0.1] * 3), reporting("slow", [1.0] * 3)

    assert judged(Speed(least, ("fast", "slow")), *others) == ("0.50", met)


@pytest.mark.parametrize(("most", "met"), [(2, True), (1.9, False)])
def test_a_time_is_judged_by_the_median_of_the_ratios_within_each_round(most, met):
    # by the ratio of the medians it would be 1
    assert judged(Time(most, ("other",)), reporting("other", [1.0, 2.0, 9.0]), own=(2.0, 4.0, 3.0)) == ("2.00", met)


@pytest.mark.parametrize(("seconds", "met"), [(2, True), (1, False)])
def test_an_absolute_limit_is_for_the_median(seconds, met):
    assert judged(Within(seconds), own=(1.0, 2.0, 900.0)) == ("", met)


def test_processor_time_is_judged_by_that_of_the_client():
    busy, idle = [Sample(1, client_cpu=2)] * 2, [Sample(1, client_cpu=1, server_cpu=9)] * 2

    assert Cpu(1.5, ("idle",)).verdict(busy, {"idle": idle}) == ("2.00", False)


def test_memory_is_judged_by_the_larger_side():
    assert not Memory(10).verdict([Sample(1, client_peak=5, server_peak=11)], {})[1]
    assert Memory(11).verdict([Sample(1, client_peak=5, server_peak=11)], {})[1]


def test_without_the_arm_beside_it_there_is_no_verdict():
    assert judged(Speed(1, ("peer",)), Missing("peer", "not measured: it is not installed")) == ("", None)


def test_an_arm_that_fails_says_so_in_its_row_and_leaves_the_others_alone():
    def refuse(_):
        raise OSError("no such bucket")

    failed, other = measuring.rows(Case("case", [Arm("a", refuse, target=Within(1)), recorder([], "b")], rounds=2))

    assert (failed.measured, failed.met) == ("failed: OSError: no such bucket", False)
    assert len(other.seconds) == 2


def test_a_missing_arm_of_ours_misses_its_target():
    (row,) = measuring.rows(
        Case("case", [Missing("ours", "not measured: no such transport", "Unix socket", Within(1))])
    )

    assert (row.measured, row.transport, row.met) == ("not measured: no such transport", "Unix socket", False)


def test_the_processor_time_of_a_call_is_that_of_this_process_and_of_the_servers():
    def work(_):
        sum(range(300_000))

    taken, _ = measuring.samples(Case("case", [Arm("a", work, (os.getpid(),))], rounds=2, warm=False))

    assert all(one.client_cpu > 0 for one in taken["a"])


def test_memory_that_was_given_back_counts_at_its_peak():
    def use_and_give_back(_):
        # no bytearray: the allocator may make it of memory that the process has had before
        with mmap.mmap(-1, 64 << 20) as memory:
            memory.write(bytes(1 << 20) * 64)

    taken, _ = measuring.samples(Case("case", [Arm("a", use_and_give_back)], rounds=1, warm=False))

    assert taken["a"][0].client_peak > 48 << 20


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (2.5e-8, "25 ns"),
        (3e-6, "3 µs"),
        (9.999e-4, "1 ms"),
        (0.00127, "1.27 ms"),
        (1.5, "1.5 s"),
        (1234, "1234 s"),
    ],
)
def test_a_duration_has_three_digits_in_a_fitting_unit(seconds, text):
    assert duration(seconds) == text


def test_a_size_is_in_binary_units():
    assert [size_text(count) for count in (1, 4 << 10, 256 << 20, 5 << 30)] == ["1 B", "4 KiB", "256 MiB", "5 GiB"]
