from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._wire.chunk_codec import READ_CHUNK_FIELD, WRITE_CHUNK_FIELD, decode_chunk, encode_chunk
from actorc.storage.models import Chunk

chunks = st.builds(
    Chunk,
    offset=st.integers(0, (1 << 63) - 1),
    data=st.binary(max_size=600),
    crc32c=st.integers(0, (1 << 32) - 1),
)
MESSAGES = {WRITE_CHUNK_FIELD: pb.WriteObjectRequest, READ_CHUNK_FIELD: pb.ReadObjectResponse}


@given(chunks, st.sampled_from(sorted(MESSAGES)))
def test_generated_code_reads_what_is_framed_by_hand(chunk, field):
    message = MESSAGES[field].FromString(encode_chunk(field, chunk))

    assert Chunk(message.chunk.offset, message.chunk.data, message.chunk.crc32c) == chunk


@given(chunks, st.sampled_from(sorted(MESSAGES)))
def test_what_is_framed_by_hand_is_read_by_hand(chunk, field):
    assert decode_chunk(field, encode_chunk(field, chunk)) == chunk


@given(chunks)
def test_what_generated_code_writes_is_read_or_left_to_generated_code(chunk):
    fields = pb.Chunk(offset=chunk.offset, data=chunk.data, crc32c=chunk.crc32c)
    message = pb.WriteObjectRequest(chunk=fields).SerializeToString()

    assert decode_chunk(WRITE_CHUNK_FIELD, message) in {None, chunk}


@given(st.binary(max_size=200), st.sampled_from(sorted(MESSAGES)))
def test_any_bytes_are_either_understood_alike_or_not_at_all(noise, field):
    chunk = decode_chunk(field, noise)

    if chunk is not None:
        parsed = MESSAGES[field].FromString(noise).chunk
        assert Chunk(parsed.offset, parsed.data, parsed.crc32c) == chunk


@given(chunks, st.integers(0, 40))
def test_a_truncated_frame_is_never_taken_for_a_chunk(chunk, cut):
    whole = encode_chunk(READ_CHUNK_FIELD, chunk)

    assert decode_chunk(READ_CHUNK_FIELD, whole[: max(0, len(whole) - 1 - cut)]) is None


@pytest.mark.parametrize("field", sorted(MESSAGES))
def test_the_payload_is_a_view_of_the_message_and_no_copy(field):
    message = encode_chunk(field, Chunk(0, memoryview(b"abc"), 1))
    chunk = decode_chunk(field, message)

    assert chunk is not None
    assert (chunk.data.obj is message, bytes(chunk.data)) == (True, b"abc")
