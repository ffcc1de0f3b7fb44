"""Measure a case: its arms in turns, so that drift of the machine hits all alike, and the rows of the table."""

from __future__ import annotations

import itertools
import os
import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from . import processes
from .cases import Arm, Memory, MiB, Row, Sample, duration


def rows(case):
    """Return a row for each arm, with its median, quartiles and costs, judged by its target if it has one."""
    taken, failures = samples(case)
    return [
        _row(case, arm, taken) if taken.get(arm.name) else _missing(case, arm, failures.get(arm.name))
        for arm in case.arms
    ]


def samples(case):
    """Return the samples of each arm, and the reasons of those that failed.

    Every second round goes backwards, so that no arm always follows the same other one.
    """
    arms = [arm for arm in case.arms if isinstance(arm, Arm)]
    taken, failures = {arm.name: [] for arm in arms}, {}
    numbers = {arm.name: itertools.count() for arm in arms}
    for turn in range(-1 if case.warm else 0, case.rounds):
        for arm in arms if turn % 2 == 0 else reversed(arms):
            if arm.name in failures:
                continue
            case.before()
            try:
                one = _sample(arm, 1 if turn < 0 else case.calls, numbers[arm.name])
            except Exception as error:  # noqa: BLE001 -- said in its row; the others are measured all the same
                failures[arm.name] = f"failed: {type(error).__name__}: {str(error)[:160]}"
                taken[arm.name].clear()
            else:
                if turn >= 0:
                    taken[arm.name].append(one)
    return taken, failures


def _sample(arm, calls, numbers):
    own = (os.getpid(),)
    resident = processes.resident(own), processes.resident(arm.pids)
    before = processes.own_cpu(), processes.cpu(arm.pids)
    if arm.threads == 1:
        seconds = statistics.median([_seconds(arm, next(numbers)) for _ in range(calls)])
    else:
        seconds = _together(arm, calls, numbers) / calls
    after = processes.own_cpu(), processes.cpu(arm.pids)
    peaks = processes.peak(own), processes.peak(arm.pids)
    return Sample(
        seconds,
        *((late - early) / calls for late, early in zip(after, before, strict=True)),
        *(most - least for most, least in zip(peaks, resident, strict=True)),
    )


def _seconds(arm, number):
    began = time.perf_counter()
    reported = arm.call(number)
    return reported if arm.reports else time.perf_counter() - began


def _together(arm, calls, numbers):
    with ThreadPoolExecutor(arm.threads) as threads:
        list(threads.map(lambda _: None, range(arm.threads)))
        began = time.perf_counter()
        list(threads.map(arm.call, itertools.islice(numbers, calls)))
        return time.perf_counter() - began


def _row(case, arm, taken):
    own = taken[arm.name]
    median, *quartiles = median_and_quartiles([one.seconds for one in own])
    verdict = arm.target.verdict(own, taken) if arm.target else None
    ratio, met = verdict or ("", None)
    # The clock of the kernel counts whole ticks; over all rounds that is exact enough, of a single sample not.
    cpu = [statistics.mean(getattr(one, side) for one in own) for side in ("client_cpu", "server_cpu")]
    peaks = [max(getattr(one, side) for one in own) for side in ("client_peak", "server_peak")]
    worth_telling = case.size or isinstance(arm.target, Memory)
    return Row(
        case.name,
        _how(arm),
        arm.transport,
        shown(case, arm, median),
        _range([shown(case, arm, one) for one in sorted(quartiles, reverse=_is_rate(case, arm))]),
        ratio,
        arm.target.text if arm.target else "",
        met,
        " + ".join(map(duration, cpu)) if arm.pids else duration(cpu[0]),
        " + ".join(f"{one / MiB:.0f}" for one in (peaks if arm.pids else peaks[:1])) + " MiB" if worth_telling else "",
        tuple(one.seconds for one in own),
        case.x,
    )


def _how(arm):
    """Return the name of an arm without its transport, which has a column of its own."""
    return arm.name.removesuffix(f", {arm.transport}")


def _range(ends):
    """Return two figures with their unit once, if both have the same: ``291 - 321 MiB/s``."""
    (low, unit), (high, other) = (re.match(r"([\d.e+-]+)(.*)", end).groups() for end in ends)
    return f"{low} - {high}{unit}" if unit == other else " - ".join(ends)


def shown(case, arm, seconds):
    """Return what takes so many seconds a call as the table has it: a throughput, a rate, or a time."""
    if case.size:
        return f"{case.size / MiB / seconds:.0f} MiB/s"
    return f"{1 / seconds:.0f}/s" if arm.threads > 1 else duration(seconds)


def _is_rate(case, arm):
    return bool(case.size) or arm.threads > 1


def median_and_quartiles(values):
    if len(values) == 1:
        return values * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


def _missing(case, arm, failure):
    reason = failure or arm.reason
    return Row(
        case.name,
        _how(arm),
        arm.transport,
        reason,
        target=arm.target.text if arm.target else "",
        met=False if arm.target else None,
        x=case.x,
    )
