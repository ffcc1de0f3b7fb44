"""Tensors of torch arrive with dtype, shape and values, without a pickle; run where torch is installed."""

from __future__ import annotations

import json
from collections import OrderedDict

import pytest

from lucas_storage import with_storage
from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import MemorySource

pytest.importorskip("safetensors", reason="tensors need safetensors, which is not installed")
torch = pytest.importorskip("torch", reason="tensors need torch, which is not installed")

GRID = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 7
DTYPES = (
    *("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"),
    *("float8_e4m3fn", "float8_e5m2", "complex64"),
)
VALUES = {
    **{dtype: GRID.to(getattr(torch, dtype)) for dtype in DTYPES},
    "no dimension": torch.tensor(1.5),
    "nothing": torch.empty(0, 3),
    "transposed": GRID.t(),
    "with gaps": GRID[:, ::2],
    "conjugate": torch.tensor([1 + 2j]).conj(),
    "requires a gradient": torch.ones(2, requires_grad=True),
    "dict": {"b": GRID, "a": GRID[0], "of another dtype": torch.tensor([1], dtype=torch.bfloat16)},
    "weights": torch.nn.Linear(3, 2).state_dict(),
    "one memory twice": {"x": GRID, "y": GRID},
}
REFUSED = {
    "result of a computation": torch.ones(2, requires_grad=True) * 2,
    "sparse": GRID.to_sparse(),
    "without data": torch.empty(2, device="meta"),
    "complex128": torch.zeros(1, dtype=torch.complex128),
    "dict with another value": {"a": GRID, "b": 1},
    "dict with another key": {1: GRID},
    "reserved name": {"__metadata__": GRID},
}


def round_trip(value):
    form = format_for(value)
    assert form.id == "safetensors@1"
    return form.decode(MemorySource(bytes(form.encode(value))), None)


def same(one, other):
    if isinstance(one, dict):
        return type(one) is type(other) and list(one) == list(other) and all(map(same, one.values(), other.values()))
    equal = torch.equal(one.detach().to(torch.complex64), other.detach().to(torch.complex64))
    return equal and (one.dtype, one.shape, one.requires_grad) == (other.dtype, other.shape, other.requires_grad)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_tensors_come_back_the_same(value):
    assert same(value, round_trip(value))


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_what_files_of_tensors_lack_is_refused_where_they_are_asked_for(storage, value):
    assert format_for(value).id != "safetensors@1"
    with pytest.raises(NoFormatError):
        storage.put(value, format="safetensors")


def test_a_parameter_is_left_to_pickle_for_its_class():
    assert format_for(torch.nn.Parameter(GRID)).id == "pickle5@1"


def test_a_tensor_comes_through_a_step(settings, storage):
    @with_storage
    def made():
        return torch.arange(10_000)

    assert torch.equal(storage.get(made()), torch.arange(10_000))


def test_a_dict_of_tensors_is_one_artifact_wherever_it_stands(settings, storage):
    model = torch.nn.Sequential(torch.nn.Linear(300, 20), torch.nn.BatchNorm1d(20))

    @with_storage
    def trained() -> dict:
        return {"epoch": 3, "weights": model.state_dict(), "plain": {"a": GRID, "b": GRID}}

    result = trained()
    found = storage.get(result["weights"])

    assert storage.stat(result["weights"]).format == "safetensors@1"
    assert same(found, model.state_dict())
    assert found._metadata == model.state_dict()._metadata
    model.load_state_dict(found)
    assert same(storage.get(result["plain"]), {"a": GRID, "b": GRID})


def test_a_dict_with_attributes_of_its_own_is_left_to_pickle():
    weights = OrderedDict(a=GRID)
    weights.mine = object()

    assert format_for(weights).id == "pickle5@1"


def test_files_are_those_of_the_library_in_both_directions():
    from safetensors.torch import load, save

    ours = bytes(format_for(GRID).encode({"x": GRID}))

    assert torch.equal(load(ours)["x"], GRID)
    assert same({"x": GRID}, format_by_id("safetensors@1").decode(MemorySource(save({"x": GRID})), None))


@pytest.mark.parametrize(
    "about",
    ["{", "[]", {"class": "Module"}, {"names": ["y"]}, {"requires_grad": ["y"]}, {"class": "tensor", "names": []}],
)
def test_metadata_that_do_not_fit_are_an_error(about):
    from safetensors.torch import save

    if isinstance(about, dict):
        about = json.dumps({"class": "dict", "names": ["x"], "requires_grad": []} | about)
    data = save({"x": GRID}, {"lucas": about})
    with pytest.raises(DecodeError):
        format_by_id("safetensors@1").decode(MemorySource(data), None)


def test_damaged_files_are_an_error():
    whole = bytes(format_for(GRID).encode(OrderedDict(x=GRID)))
    for damaged in (b"", whole[:20], whole[:-1], whole + b"x", b"\xff" * 8 + whole[8:]):
        with pytest.raises(DecodeError):
            format_by_id("safetensors@1").decode(MemorySource(damaged), None)
