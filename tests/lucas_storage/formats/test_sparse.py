"""Sparse matrices and arrays of scipy arrive with their class, shape and dtype, without a pickle."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from lucas_storage import with_storage
from lucas_storage.errors import DecodeError
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import MemorySource

sparse = pytest.importorskip("scipy.sparse", reason="sparse arrays need scipy, which is not installed")

DENSE = np.array([[0, 1.5, 0, 0, 0, 7], [2, 0, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0], [4, 0, 0, 5, 0, 6]])
CLASSES = [
    f"{layout}_{kind}" for layout in ("csr", "csc", "bsr", "coo", "dia", "lil", "dok") for kind in ("matrix", "array")
]
DTYPES = ["f8", "f4", "i2", "u8", "c16", "?", "longdouble"]


def rows(data, indices, indptr, dtype="i4", cls="csr_array"):
    made = getattr(sparse, cls)((3, 4), dtype="f8")
    made.data = np.array(data, dtype="f8")
    made.indices, made.indptr = np.array(indices, dtype=dtype), np.array(indptr, dtype=dtype)
    return made


def cases():
    for name in CLASSES:
        cls = getattr(sparse, name)
        yield from (cls(DENSE.astype(dtype)) for dtype in DTYPES)
        yield cls((3, 4))
    yield rows([1, 0, 2, 3], [2, 1, 1, 1], [0, 2, 4, 4])  # not sorted, a zero, and one place twice
    yield rows([1, 2], [0, 3], [0, 0, 1, 2], "i8", "csr_matrix")
    yield sparse.coo_array((np.array([1.0, 0, 3]), ([1, 1, 0], [0, 0, 1])), shape=(2, 2))
    yield sparse.bsr_array(DENSE, blocksize=(2, 3))
    yield sparse.random(300, 200, 0.1, "csr", random_state=1)
    if hasattr(sparse.coo_array, "coords") or hasattr(sparse.coo_array((1, 1)), "coords"):  # other dimensions than two
        yield sparse.csr_array(DENSE[0])
        yield sparse.dok_array(DENSE[0])
        yield sparse.coo_array(DENSE.reshape(2, 2, 6))


def parts(value):
    if value.format == "lil":
        return [value.rows.tolist(), value.data.tolist()]
    if value.format == "dok":
        return [dict(value.items())]
    if value.format == "coo":
        return [value.data, *(getattr(value, "coords", None) or (value.row, value.col)), value.has_canonical_format]
    if value.format == "dia":
        return [value.data, value.offsets]
    return [value.data, value.indices, value.indptr, value.has_sorted_indices, value.has_canonical_format]


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and one == other


ALL = list(cases())


@pytest.mark.few(40)
@pytest.mark.parametrize("value", ALL, ids=lambda value: f"{type(value).__name__}-{value.dtype}-{value.nnz}")
def test_a_sparse_array_comes_back_the_same(value):
    form = format_for(value)
    found = form.decode(MemorySource(bytes(form.encode(value))), None)

    assert form.id == "sparse@1"
    assert (type(found), found.shape, found.dtype) == (type(value), value.shape, value.dtype)
    assert all(map(same, parts(found), parts(value)))


def test_it_comes_through_a_step_and_may_be_changed_there(settings, storage):
    @with_storage
    def counted():
        return sparse.random(400, 400, 0.2, "csr", random_state=1)

    @with_storage
    def doubled(counts) -> dict:
        counts.data *= 2
        return {"sum": float(counts.sum())}

    ref = counted()

    assert doubled(ref) == {"sum": 2 * storage.get(ref).sum()}
    assert storage.get(ref).sum() == sparse.random(400, 400, 0.2, "csr", random_state=1).sum()


def test_classes_of_others_are_left_to_pickle():
    class Own(sparse.csr_matrix):
        pass

    assert format_for(Own(DENSE)).id == "pickle5@1"


def damaged(**fields):
    whole = bytes(format_for(ALL[0]).encode(rows([1, 2], [0, 3], [0, 0, 1, 2])))
    length = int.from_bytes(whole[8:16], "big")
    header = json.dumps(json.loads(whole[16 : 16 + length]) | fields).encode()
    old, new = 16 + length, 16 + len(header)
    return whole[:8] + len(header).to_bytes(8, "big") + header + bytes(-new % 64) + whole[old + -old % 64 :]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "spmatrix"},
        {"kind": "_csr"},
        {"kind": "coo_array"},
        {"shape": [10**12, 4]},
        {"shape": [3, 3]},
        {"shape": [-3, 4]},
        {"shape": []},
        {"arrays": [["|O", [2]], ["<i4", [2]], ["<i4", [4]]]},
        {"arrays": [["<f8", [1 << 60]], ["<i4", [2]], ["<i4", [4]]]},
        {"arrays": [["<f8", [2]], ["<f4", [2]], ["<i4", [4]]]},
        {"arrays": []},
    ],
)
def test_a_header_that_does_not_fit_is_an_error(fields):
    with pytest.raises(DecodeError):
        format_by_id("sparse@1").decode(MemorySource(damaged(**fields)), None)


@pytest.mark.parametrize("indptr", [[0, 900, 900, 0], [0, 0, 2, 1], [1, 1, 1, 2], [0, 0, 1, 3], [0, -1, 1, 2]])
def test_beginnings_of_rows_that_lead_out_of_the_data_are_an_error(indptr):
    form = format_by_id("sparse@1")

    with pytest.raises(DecodeError):
        form.decode(MemorySource(bytes(form.encode(rows([1, 2], [0, 3], indptr)))), None)


def test_damaged_bytes_are_an_error_or_a_sparse_array_that_can_be_used(thorough):
    chance = random.Random(3)
    form = format_by_id("sparse@1")
    files = [bytes(form.encode(value)) for value in ALL if value.nnz < 100]
    for _ in range(5000 if thorough else 200):
        data = bytearray(chance.choice(files))
        for place in chance.sample(range(16, len(data)), 2):
            data[place] = chance.choice([chance.randrange(256), *b"0123456789"])
        try:
            found = form.decode(MemorySource(bytes(data)), None)
        except DecodeError:
            continue
        with np.errstate(all="ignore"):
            assert found.nnz == found.copy().nnz
