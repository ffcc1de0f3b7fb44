"""Tests that are written of steps: they open the pickles that they name, each of which was signed, and no other one."""

from __future__ import annotations

import re

import pytest

from lucas_storage import storage_context, with_storage
from lucas_storage.errors import UnsafeFormatError, UnsupportedError
from lucas_storage.replay import pytest_file
from lucas_storage.replay.selection import step_of
from lucas_storage.testing import replayed


class Total:
    """What only a pickle holds."""

    def __init__(self, value):
        self.value = value


@with_storage
def total(n):
    return Total(n)


@with_storage(inline_max=0)
def totals(n):
    return {"totals": [Total(n)]}


@with_storage
def half(x):
    return (x["totals"][0] if isinstance(x, dict) else x).value / 2


@pytest.fixture
def written(storage, ran, tmp_path):
    """Write a test of the step that takes an object; return the bundle, and the digests that the test names."""

    def write(maker=total, **settings):
        run = ran(maker, half, n=6)
        path = tmp_path / "test_half.py"
        with storage_context(**settings):
            bundle, outcome = pytest_file.write(storage, run, step_of(run, "half"), path, place=f"{__file__}:half")
        assert outcome.is_identical
        return bundle, set(re.findall(r"sha256:[0-9a-f]{64}", path.read_text()))

    return write


@pytest.fixture
def elsewhere():
    """The settings of a process that has another key."""
    with storage_context(bucket="test-elsewhere", signing_key="another key than before"):
        yield


def test_the_pickle_that_a_step_takes_is_named_and_opened_without_the_key_of_the_run(written, request):
    bundle, pickles = written()
    request.getfixturevalue("elsewhere")

    assert len(pickles) == 1
    assert replayed(bundle, half, pickles=pickles).is_identical


def test_a_pickle_that_the_test_does_not_name_stays_unread(written, request):
    bundle, _ = written()
    request.getfixturevalue("elsewhere")

    for named in ((), {"sha256:" + "0" * 64}):
        with pytest.raises(UnsafeFormatError, match="not signed"):
            replayed(bundle, half, pickles=named)


def test_no_test_is_written_of_a_pickle_that_no_key_of_this_process_signed(written, tmp_path):
    with pytest.raises(UnsupportedError, match="nobody vouches for here"):
        written(signing_key="another key than before")
    assert not list(tmp_path.glob("test_*"))


def test_no_test_is_written_of_a_pickle_to_which_an_artifact_refers(written, tmp_path):
    with pytest.raises(UnsupportedError, match="refer to a pickle"):
        written(totals)
    assert not list(tmp_path.glob("test_*"))
