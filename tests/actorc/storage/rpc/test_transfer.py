from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc.storage._rpc.byte_source import SourceFailedError
from actorc.storage._rpc.payload import Download, Upload, _frames, whole_object
from actorc.storage._wire.checksum import crc32c
from actorc.storage.errors import IntegrityError, InvalidParameterError
from actorc.storage.models import ByteRange, Chunk, ObjectInfo


def info(data: bytes, generation: int = 7) -> ObjectInfo:
    return ObjectInfo(
        bucket="bucket",
        key="key",
        size=len(data),
        etag="e",
        generation=generation,
        crc32c=crc32c(data),
        content_type="text/plain",
        metadata={},
        last_modified=datetime(2024, 1, 1, tzinfo=UTC),
    )


def chunk(data: bytes, offset: int) -> Chunk:
    return Chunk(offset, data, crc32c(data))


@given(st.lists(st.binary(max_size=30), max_size=10), st.integers(1, 12))
def test_framing_keeps_every_byte_and_fills_all_frames_but_the_last(pieces, size):
    frames = [bytes(frame) for frame in _frames(pieces, size)]

    assert b"".join(frames) == b"".join(pieces)
    assert all(len(frame) == size for frame in frames[:-1])
    assert all(1 <= len(frame) <= size for frame in frames[-1:])


def test_a_whole_frame_is_passed_on_without_a_copy():
    piece = b"x" * 8

    assert next(_frames([piece], 8)) is piece


@pytest.mark.parametrize(
    "source",
    [b"hello", bytearray(b"hello"), memoryview(b"hello"), io.BytesIO(b"hello"), [b"he", b"", b"llo"], iter([b"hello"])],
)
def test_every_kind_of_source_is_read_to_its_end(source):
    upload = Upload(source)

    assert b"".join(bytes(chunk.data) for chunk in upload.chunks()) == b"hello"
    assert (upload.sent, upload.checksum()) == (5, crc32c(b"hello"))


def test_a_file_is_read_from_where_it_stands_and_again_for_a_second_attempt():
    file = io.BytesIO(b"skip-keep")
    file.seek(5)
    upload = Upload(file)

    assert upload.size == 4
    for _ in range(2):
        assert [bytes(chunk.data) for chunk in upload.chunks()] == [b"keep"]
    assert upload.replayable


def test_an_iterator_is_not_sent_twice():
    upload = Upload(iter([b"once"]))

    assert upload.replayable
    next(upload.chunks())
    assert not upload.replayable


@pytest.mark.parametrize("wrong", ["text", 7, None, io.StringIO("text"), [1, 2], ["text"]])
def test_what_gives_no_bytes_is_refused_with_a_hint(wrong):
    with pytest.raises((InvalidParameterError, SourceFailedError)) as caught:
        list(Upload(wrong).chunks())

    original = getattr(caught.value, "original", caught.value)
    assert isinstance(original, InvalidParameterError)


def test_a_source_that_shrank_is_noticed_before_anything_is_committed():
    file = io.BytesIO(b"12345")
    upload = Upload(file)
    file.truncate(3)

    with pytest.raises(IntegrityError, match="changed while it was uploaded"):
        list(upload.chunks())


def test_progress_only_grows_also_over_a_second_attempt():
    seen: list[tuple[int, int | None]] = []
    upload = Upload(io.BytesIO(b"x" * 100), 40, lambda done, total: seen.append((done, total)))
    next(upload.chunks())
    list(upload.chunks())

    assert seen == sorted(set(seen))
    assert seen[-1] == (100, 100)


def test_a_broken_download_asks_for_the_rest_of_the_same_generation():
    download = Download(ByteRange(2, 6))
    download.describe(info(b"0123456789"))
    download.feed(chunk(b"234", 2))

    assert download.remaining() == ByteRange(5, 3)
    assert download.generation == 7


def test_a_download_is_complete_only_when_every_byte_came():
    download = Download()
    download.describe(info(b"abcdef"))
    download.feed(chunk(b"abc", 0))
    with pytest.raises(IntegrityError) as early:
        download.finish()
    download.feed(chunk(b"def", 3))
    download.finish()

    assert early.value.retryable


@pytest.mark.parametrize("wrong", [Chunk(0, b"abc", 1), chunk(b"abc", 1)])
def test_damaged_or_misplaced_bytes_are_refused_and_may_be_asked_for_again(wrong):
    download = Download()
    download.describe(info(b"abcdef"))

    with pytest.raises(IntegrityError) as caught:
        download.feed(wrong)

    assert caught.value.retryable
    assert download.received == 0


def test_wrong_bytes_that_pass_piece_by_piece_fail_as_a_whole():
    download = Download()
    download.describe(info(b"abcdef"))
    download.feed(chunk(b"ABCDEF", 0))

    with pytest.raises(IntegrityError, match="does not match its checksum"):
        download.finish()


def test_another_generation_is_never_mixed_in():
    download = Download()
    download.describe(info(b"abcdef", generation=7))

    with pytest.raises(IntegrityError, match="another generation"):
        download.describe(info(b"abcdef", generation=8))


@pytest.mark.parametrize(
    ("came", "retryable"),
    [
        (chunk(b"hell", 0), True),
        (chunk(b"hello!", 0), True),
        (chunk(b"hello", 1), True),
        (Chunk(0, b"hellO", crc32c(b"hello")), True),
        (chunk(b"hellO", 0), False),
    ],
    ids=["too short", "too long", "not from the beginning", "unlike its checksum", "unlike that of the object"],
)
def test_one_chunk_is_a_whole_object_only_if_a_download_of_it_would_be_complete(came, retryable):
    def downloaded():
        download = Download()
        download.describe(info(b"hello"))
        download.feed(came)
        download.finish()

    assert whole_object(chunk(b"hello", 0), info(b"hello")) == b"hello"
    for receive in (downloaded, lambda: whole_object(came, info(b"hello"))):
        with pytest.raises(IntegrityError) as raised:
            receive()
        assert raised.value.retryable is retryable
