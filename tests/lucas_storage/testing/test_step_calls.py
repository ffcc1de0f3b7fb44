"""Steps called one by one: arguments and results are as in a workflow, errors are the step's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lucas
import pytest

from lucas_storage import ArtifactRef, Storage, run, with_storage
from lucas_storage.errors import ArtifactNotFoundError
from lucas_storage.testing import call, call_for_refs

BIG = bytes(range(256)) * 1024


@with_storage
def shout(raw: Path) -> bytes:
    return raw.read_bytes().upper()


@lucas.function
@with_storage
def described(data: bytes, storage: Storage, prefix: str = "") -> dict:
    return {"size": len(data), "bucket": storage.bucket, "prefix": prefix}


@lucas.function
@with_storage
async def later(first: int, **others: int) -> int:
    await asyncio.sleep(0)
    return first + sum(others.values())


@lucas.function
def in_rt_style(rt):
    return rt.input()["x"] * 2


@lucas.function
@with_storage
def stored_in_rt_style(rt):
    return len(rt.input()["data"])


@lucas.workflow
def whole(wf: lucas.Workflow):
    return wf.call("in_rt_style", {"x": wf.input()["x"]})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "raw.txt"
    path.write_text("text")
    return path


def test_an_argument_may_be_a_value_a_path_or_a_reference_in_each_form(storage, file):
    ref = storage.put(file)

    assert {call(shout, given) for given in (file, ref, ref.to_json())} == {b"TEXT"}
    assert call(shout, raw=file) == b"TEXT"


def test_storage_is_injected_and_defaults_hold(storage):
    assert call(described, BIG) == {"size": len(BIG), "bucket": storage.bucket, "prefix": ""}
    assert call(described, BIG, prefix="a")["prefix"] == "a"


def test_a_step_gets_values_of_its_own(storage):
    @with_storage
    def changes(items: list) -> list:
        items.append(3)
        return items

    given = [1, 2]

    assert call(changes, given) == [1, 2, 3]
    assert given == [1, 2]


def test_an_asynchronous_step_with_any_keywords_runs_within_a_running_loop_as_well():
    async def within():
        return call(later, 1, a=2, b=3)

    assert call(later, 1) == 1
    assert asyncio.run(within()) == 6


def test_the_items_of_a_generator_come_as_a_next_step_gets_them(storage):
    @with_storage
    def numbers(count: int) -> Iterator[int]:
        yield from range(count)

    @with_storage
    def total(numbers: Iterator[int]) -> int:
        return sum(numbers)

    assert list(call(numbers, 3)) == [0, 1, 2]
    assert call(total, call_for_refs(numbers, 3)) == 3
    assert call(total, numbers=iter([1, 2])) == 3


def test_a_result_can_be_had_as_its_reference(storage, file):
    @with_storage
    def several() -> dict:
        return {"large": BIG, "number": 1}

    ref = call_for_refs(several)["large"]

    assert type(ref) is ArtifactRef
    assert storage.get(ref) == BIG
    assert call(several) == {"large": BIG, "number": 1}


def test_a_step_in_rt_style_takes_its_input_or_the_items_of_it(storage):
    assert call(in_rt_style, {"x": 4}) == call(in_rt_style, x=4) == 8
    assert call(stored_in_rt_style, data=BIG) == len(BIG)


def test_a_method_is_called_on_its_object(storage, file):
    @dataclass
    class Shouter:
        mark: bytes

        @with_storage
        def shout(self, raw: Path) -> bytes:
            return raw.read_bytes() + self.mark

    assert call(Shouter(b"!").shout, file) == b"text!"


def test_small_data_needs_no_server(monkeypatch):
    monkeypatch.setenv("STORAGE_ENDPOINT", "127.0.0.1:1")

    assert call(later, 1, a=1) == 2


def test_an_error_of_the_step_comes_as_it_is():
    class OwnError(Exception):
        pass

    error = OwnError("the very same")

    @with_storage
    def fails(x: int) -> None:
        raise error

    with pytest.raises(OwnError) as caught:
        call(fails, 1)

    assert caught.value is error


def test_none_is_a_result():
    @with_storage
    def nothing() -> None:
        pass

    assert call(nothing) is None


def test_a_missing_artifact_is_named_with_the_parameter(storage, file):
    ref = storage.put(file)
    storage.delete_object(ref.bucket, ref.key)

    with pytest.raises(ArtifactNotFoundError) as caught:
        call(described, ref)

    assert (caught.value.function, caught.value.param) == ("described", "data")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda file: call(shout), "'shout' did not get 'raw'"),
        (lambda file: call(shout, row=file), "and got 'row', which it does not take"),
        (lambda file: call(shout, file, raw=file), "'shout' got the argument 'raw' twice"),
        (lambda file: call(shout, file, file), "'shout' takes 1 arguments by position, and got 2"),
        (lambda file: call(described, b"", storage=None), "got 'storage', which it does not take"),
        (lambda file: call(shout, "text"), "is annotated Path and got a str"),
        (lambda file: call(in_rt_style, 1, 2), "'in_rt_style' takes a runtime"),
        (lambda file: call(whole), "call takes one step, and lucas_storage.run takes the workflow 'whole' as a whole"),
        (lambda file: call(sorted, [1]), "call takes a step, as @function or @with_storage makes it, not 'sorted'"),
        (lambda file: call(3), "not a int"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(storage, file, wrong, message):
    with pytest.raises(TypeError) as caught:
        wrong(file)

    assert message in str(caught.value)


def test_a_step_called_alone_gives_what_it_gives_in_a_workflow(storage):
    assert run(whole, {"x": 5}) == call(in_rt_style, x=5) == 10
