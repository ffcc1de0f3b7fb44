"""A client that knows nothing but the .proto: it imports what plain protoc made of it, and nothing of ours.

Usage: foreign_client.py FOLDER ADDRESS [ACCESS_KEY SECRET_KEY HASHED], where FOLDER holds the generated modules. With
keys, calls are signed as the .proto says, and with a HASHED of 1 they carry the hash that it makes optional.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import sys
import time
from typing import NamedTuple

import grpc

FOLDER, ADDRESS, *KEYS = sys.argv[1:]
sys.path.insert(0, FOLDER)

from ignis.storage.v1 import storage_pb2 as pb  # noqa: E402
from ignis.storage.v1 import storage_pb2_grpc as rpc  # noqa: E402

POLYNOMIAL = 0x82F63B78
TABLE = []
for value in range(256):
    for _ in range(8):
        value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)  # noqa: PLW2901
    TABLE.append(value)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: list
    credentials: None = None
    wait_for_ready: None = None
    compression: None = None


class Signing(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Signs every call."""

    def __init__(self, access_key, secret_key, hashed):
        self.access_key = access_key
        self.key = hmac.digest(secret_key.encode(), b"actorc-storage-v1", "sha256")
        self.hashed = hashed == "1"

    def signed(self, details, message):
        date, digest = str(int(time.time() * 1000)), hashlib.sha256(message.SerializeToString()).hexdigest()
        text = f"acs1-call\n{details.method}\n{date}\n{digest}"
        signature = hmac.digest(self.key, text.encode(), "sha256").hex()
        metadata = [("x-acs-key", self.access_key), ("x-acs-date", date), ("x-acs-sig", signature)]
        metadata += [("x-acs-hash", digest)] if self.hashed else []
        return Details(details.method, details.timeout, metadata)

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self.signed(details, request), request)

    intercept_unary_stream = intercept_unary_unary

    def intercept_stream_stream(self, continuation, details, requests):
        first = next(requests)
        return continuation(self.signed(details, first), itertools.chain((first,), requests))


def write(storage, data, chunk_size, **opening):
    def frames():
        yield pb.WriteObjectRequest(open=pb.WriteOpen(bucket="bucket", **opening))
        for at in range(0, len(data), chunk_size):
            piece = data[at : at + chunk_size]
            yield pb.WriteObjectRequest(chunk=pb.Chunk(offset=at, crc32c=crc32c(piece), data=piece))
        yield pb.WriteObjectRequest(commit=pb.WriteCommit(size=len(data), crc32c=crc32c(data)))

    accepted, done = storage.WriteObject(frames())
    assert accepted.WhichOneof("frame") == "accepted"
    return done


def read(storage, key, *ranges):
    described, *chunks = storage.ReadObject(pb.ReadObjectRequest(bucket="bucket", key=key, ranges=ranges))
    assert described.object.key == key
    for message in chunks:
        assert crc32c(message.chunk.data) == message.chunk.crc32c
    return b"".join(message.chunk.data for message in chunks)


def main():
    small, large = b"small", bytes(range(256)) * 1500
    with grpc.insecure_channel(ADDRESS) as channel:
        storage = rpc.StorageServiceStub(grpc.intercept_channel(channel, Signing(*KEYS)) if KEYS else channel)
        storage.CreateBucket(pb.CreateBucketRequest(bucket="bucket", idempotency_key="make"))

        put = storage.PutObject(pb.PutObjectRequest(bucket="bucket", key="a", data=small, crc32c=crc32c(small)))
        assert put.object.size == len(small)
        got = storage.GetObject(pb.GetObjectRequest(bucket="bucket", key="a"))
        assert (b"".join(chunk.data for chunk in got.chunks), got.too_large) == (small, False)

        streamed = write(storage, large, 100_000, key="b", content_type="text/plain", metadata={"by": "a stranger"})
        assert (streamed.done.crc32c, dict(streamed.done.metadata)) == (crc32c(large), {"by": "a stranger"})
        parts = read(storage, "b", pb.ByteRange(offset=99_999, length=2), pb.ByteRange(offset=len(large) - 3))
        assert parts == large[99_999:100_001] + large[-3:]

        begin = pb.CreateMultipartUploadRequest(bucket="bucket", key="c", idempotency_key="begin")
        upload_id = storage.CreateMultipartUpload(begin).upload_id
        pieces = {2: large, 1: small}
        for number, data in pieces.items():
            sent = write(storage, data, 50_000, key="c", part=pb.Part(upload_id=upload_id, number=number))
            assert (sent.part_done.number, sent.part_done.crc32c) == (number, crc32c(data))
        listed = storage.ListParts(pb.ListPartsRequest(bucket="bucket", key="c", upload_id=upload_id))
        request = pb.CompleteMultipartUploadRequest(
            bucket="bucket",
            key="c",
            upload_id=upload_id,
            parts=[pb.CompletedPart(number=part.number, etag=part.etag) for part in listed.parts],
            idempotency_key="complete",
        )
        done = storage.CompleteMultipartUpload(request)
        assert done.object.crc32c == crc32c(small + large)
        assert storage.CompleteMultipartUpload(request) == done
        assert read(storage, "c") == small + large

        page = storage.ListObjects(pb.ListObjectsRequest(bucket="bucket"))
        assert [info.key for info in page.objects] == ["a", "b", "c"]
        try:
            storage.HeadObject(pb.HeadObjectRequest(bucket="bucket", key="missing"))
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND  # noqa: PT017
    print("done")


main()
