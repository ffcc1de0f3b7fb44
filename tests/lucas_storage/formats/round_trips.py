"""Values through a format and back, out of memory or of a file, proved where the format demands it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from lucas_storage.formats import format_for
from lucas_storage.formats.base import Source
from lucas_storage.refs import ArtifactRef
from lucas_storage.signing import SigningKeys, sign, verify

KEYS = SigningKeys((b"a secret of the writer and reader",))


class FileSource(Source):
    """Bytes in a read-only file, as the cache holds them; says whether they were ever read as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reads = 0

    def read(self):
        self.reads += 1
        return self._path.read_bytes()

    def path(self):
        return self._path


class Point:
    def __init__(self, x, data=None):
        self.x = x
        self.data = data

    def __eq__(self, other):
        return type(other) is Point and self.x == other.x and np.array_equal(self.data, other.data)

    __hash__ = None


def proof_for(form, encoded):
    ref = ArtifactRef(bucket="bucket", key="k", digest=encoded.digest(), size=encoded.size, format=form.id)
    return verify(sign(ref, KEYS), KEYS)


def in_file(tmp_path, data):
    path = tmp_path / hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    path.chmod(0o444)
    return FileSource(path)


def round_trip(value, source, form=None, want="any"):
    form = form or format_for(value)
    encoded = form.encode(value)
    proof = None if form.safe else proof_for(form, encoded)
    return form.decode(source(bytes(encoded)), want, proof=proof)
