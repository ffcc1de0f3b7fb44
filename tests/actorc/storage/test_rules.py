from __future__ import annotations

import numpy as np
import pytest

from actorc.storage import rules
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import ByteRange


@pytest.mark.parametrize("name", ["abc", "my-bucket", "0-9", "a" * 63])
def test_bucket_names_of_the_specification_pass(name):
    assert rules.check_bucket(name) == name


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 64, "-abc", "abc-", "Abc", "a_b", "a.b", "ab/c", "äbc", "abc\n", None, 7, b"abc"]
)
def test_other_bucket_names_are_refused(name):
    with pytest.raises(InvalidParameterError, match="not a bucket name"):
        rules.check_bucket(name)


@pytest.mark.parametrize(
    "key", ["a", "a/b", "a//b", "../up", ".", "日本語", "a" * 1024, "é" * 1024, "with space\n", "a/"]
)
def test_any_text_is_a_key(key):
    assert rules.check_key(key) == key


@pytest.mark.parametrize("key", ["", "a" * 1025, "/a", "a\x00b", "\ud800", None, 7, b"a"])
def test_other_keys_are_refused(key):
    with pytest.raises(InvalidParameterError, match="an object key"):
        rules.check_key(key)


@pytest.mark.parametrize(
    "metadata", [{"": "x"}, {"a": 1}, {1: "a"}, {"a": "x" * 8200}, {"a": "\ud800"}, [("a", "b")], "ab"]
)
def test_metadata_that_cannot_travel_is_refused(metadata):
    with pytest.raises(InvalidParameterError, match="metadata"):
        rules.check_metadata(metadata)


def test_metadata_is_copied():
    given = {"author": "ignis"}

    checked = rules.check_metadata(given)
    given["author"] = "else"

    assert checked == {"author": "ignis"}


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1), (1.0, None), (True, None), ("0", 1), (0, "1")])
def test_ranges_that_make_no_sense_are_refused(offset, length):
    with pytest.raises(InvalidParameterError, match="offset and length"):
        rules.check_range(offset, length)


def test_ints_of_numpy_are_ints_and_its_floats_and_bools_are_none():
    taken = rules.check_range(np.int64(2), np.uint8(3)), rules.check_near_range(np.int32(-1), np.intp(1))

    assert taken == (ByteRange(2, 3), ByteRange(-1, 1))
    assert {type(number) for part in taken for number in (part.offset, part.length)} == {int}
    assert type(rules.check_positive(np.int64(4096), "chunk_size")) is int
    for wrong in (np.float64(2), np.True_):
        with pytest.raises(InvalidParameterError):
            rules.check_range(wrong, 1)


@pytest.mark.parametrize(
    ("part", "size", "expected"),
    [
        (ByteRange(), 5, (0, 5)),
        (ByteRange(2), 5, (2, 5)),
        (ByteRange(2, 2), 5, (2, 4)),
        (ByteRange(2, 9), 5, (2, 5)),
        (ByteRange(5), 5, (5, 5)),
        (ByteRange(0, 0), 5, (0, 0)),
        (ByteRange(), 0, (0, 0)),
    ],
)
def test_a_range_is_clamped_to_the_object(part, size, expected):
    assert part.clamp(size) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "text/csv"),
        ("dir/photo.PNG", "image/png"),
        ("archive.tar.gz", "application/gzip"),
        ("data.csv.bz2", "application/x-bzip2"),
        ("backup.tar.xz", "application/x-xz"),
        ("app.json.br", "application/x-brotli"),
        ("x.tar.Z", "application/x-compress"),
        ("DATA.CSV.GZ", "application/gzip"),
        ("logs.jsonl.zst", "application/zstd"),
        ("photos.tgz", "application/gzip"),
        ("drawing.svgz", "application/gzip"),
        ("data:text/html,x", "application/octet-stream"),
        ("folder.html/file", "application/octet-stream"),
        (".csv", "application/octet-stream"),
        ("noextension", "application/octet-stream"),
    ],
)
def test_content_types_follow_the_name(name, expected):
    assert rules.guess_content_type(name) == expected


@pytest.mark.parametrize(("if_absent", "if_match"), [(True, "e"), (False, ""), (False, 7), (False, "\ud800")])
def test_conditions_that_contradict_themselves_are_refused(if_absent, if_match):
    with pytest.raises(InvalidParameterError):
        rules.check_condition(if_absent=if_absent, if_match=if_match)
