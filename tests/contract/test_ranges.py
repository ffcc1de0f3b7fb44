from __future__ import annotations

import pytest

from actorc.storage import InvalidParameterError, InvalidRangeError

MiB = 1 << 20
ANSWER = MiB // 8


@pytest.fixture(params=[10, 2 * MiB + 77])
def whole(request, storage):
    data = bytes(i * 31 % 251 for i in range(1000)) * (request.param // 1000 + 1)
    data = data[: request.param]
    storage.upload_from_stream("bucket", "key", [data])
    return data


@pytest.mark.rule
@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, None), (3, None), (0, 4), (3, 4), (9, 1), (0, 0), (10, None), (10, 5), (3, 1 << 40), (7, 3)],
)
def test_a_range_is_cut_as_a_slice_would(storage, whole, offset, length):
    expected = whole[offset : None if length is None else offset + length]

    assert storage.get_object("bucket", "key", offset=offset, length=length) == expected


@pytest.mark.parametrize(
    ("offset", "length"), [(MiB - 1, 2), (MiB, 1), (1, 2 * MiB), (MiB - 5, MiB + 10), (2 * MiB + 70, 7)]
)
def test_ranges_across_blocks_are_exact(storage, offset, length):
    data = bytes(range(256)) * (9 * MiB // 1024)
    storage.upload_from_stream("bucket", "key", [data])

    assert storage.get_object("bucket", "key", offset=offset, length=length) == data[offset : offset + length]


@pytest.mark.parametrize("size", [ANSWER - 1, ANSWER, ANSWER + 1, MiB + 1])
def test_what_just_fits_into_one_answer_and_what_just_does_not_are_read_alike(storage, size):
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    info = storage.put_object("bucket", "key", data)
    pinned = {"generation": info["generation"], "if_match": info["etag"]}

    assert storage.get_object("bucket", "key", **pinned) == data
    assert storage.get_object("bucket", "key", offset=1, **pinned) == data[1:]
    assert storage.get_object("bucket", "key", offset=size, **pinned) == b""


def test_a_range_that_begins_behind_the_end_is_an_error(storage, whole):
    with pytest.raises(InvalidRangeError) as caught:
        storage.get_object("bucket", "key", offset=len(whole) + 1)

    assert str(len(whole)) in caught.value.message


@pytest.mark.rule
@pytest.mark.parametrize("wrong", [{"offset": -1}, {"length": -1}, {"offset": "0"}])
def test_negative_ranges_are_refused(storage, wrong):
    storage.put_object("bucket", "key", b"abc")

    with pytest.raises(InvalidParameterError):
        storage.get_object("bucket", "key", **wrong)


def test_an_empty_object_can_be_read_from_its_beginning_only(storage):
    storage.put_object("bucket", "empty", b"")

    assert storage.get_object("bucket", "empty", offset=0, length=5) == b""
    with pytest.raises(InvalidRangeError):
        storage.get_object("bucket", "empty", offset=1)
