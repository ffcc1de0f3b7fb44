"""Functions ship in the lowest version that honours their annotations, so that older workers go on where they can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, NamedTuple, TypedDict

import attrs
import cloudpickle
import numpy as np
import pydantic
import pytest

from lucas_storage import Out, with_storage

FRESH = """
import cloudpickle, json, sys
function = cloudpickle.loads(open(sys.argv[1], "rb").read())
print(json.dumps(function(json.loads(sys.argv[2]))))
"""


@dataclass
class Settings:
    file: Path
    weights: np.ndarray | None = None


class Colour(Enum):
    RED = "red"


def shipped(function):
    _, (version, contract, _, _) = with_storage(function).__reduce__()
    return version, contract


def test_what_needs_nothing_new_ships_as_it_always_did():
    def step(
        a: Path, b: list[np.ndarray], c: Settings, d: dict[str, bytes] | None = None, **more
    ) -> Annotated[dict, Out("json", name="x")]: ...

    version, contract = shipped(step)

    assert version == 1
    assert set(contract) == {
        *("name", "qualname", "module", "doc", "parameters", "inject", "runtime", "keywords"),
        *("result", "options", "identity", "cache"),
    }
    assert contract["parameters"] == (
        ("a", "path", True),
        ("b", ("list", "ndarray"), True),
        (
            "c",
            ("dataclass", f"{__name__}:Settings", (("file", "path"), ("weights", ("optional", "ndarray")))),
            True,
        ),
        ("d", ("optional", ("dict", "bytes")), False),
    )
    assert contract["keywords"] is True
    assert contract["result"] == ("out", "json", "x", "any")


def one_of_several(a: Path | str): ...


def member(a: list[Colour]): ...


def keyed(a: dict[int, bytes]): ...


def surplus(**more: Path): ...


@pytest.mark.parametrize("function", [one_of_several, member, keyed, surplus])
def test_what_older_workers_would_ignore_ships_in_a_version_that_they_refuse(function):
    version, _ = shipped(function)

    assert version == 2


def test_the_annotation_of_a_result_keeps_no_older_worker_away():
    def step() -> dict[str, Path | Settings]: ...

    version, contract = shipped(step)

    assert (version, contract["result"]) == (1, "any")
    assert contract["checked"][:2] == ("dict", ("either", "path", contract["checked"][1][2]))


def test_a_function_keeps_its_version_on_the_way_through_a_worker():
    once = cloudpickle.loads(cloudpickle.dumps(with_storage(surplus)))

    assert once.__reduce__()[1][0] == 2


def test_surplus_parameters_arrive_by_their_annotation_in_a_fresh_process(tmp_path, settings):
    def kinds(one: str, **more: bytes):
        return [type(one).__name__, *(type(value).__name__ for value in more.values())]

    packed = tmp_path / "function"
    packed.write_bytes(cloudpickle.dumps(with_storage(kinds)))
    told = subprocess.run(
        [sys.executable, "-c", FRESH, packed, '{"one": "text", "other": "more"}'],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "STORAGE_ENDPOINT": settings["endpoint"]},
    )

    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == ["str", "bytes"]


@pytest.mark.slow
@pytest.mark.skipif(pydantic.VERSION < "2", reason="a class of pydantic 1 is not pickled by value")
def test_classes_of_every_kind_travel_with_the_function_that_names_them(tmp_path, settings, storage):
    class Mode(Enum):
        FAST = "fast"

    class Pair(NamedTuple):
        file: Path
        mode: Mode = Mode.FAST

    class Options(TypedDict, total=False):
        pair: Pair

    class Model(pydantic.BaseModel):
        mode: Mode

    @attrs.define
    class Job:
        file: Path

    async def names(options: Options, model: Model, jobs: list[Job], sizes: dict[Mode, int]) -> list:
        pair = options["pair"]
        return [type(x).__name__ for x in (pair, pair.file, pair.mode, model, model.mode, jobs[0].file, *sizes)]

    ref = storage.put(b"content").to_json()
    given = {
        "options": {"pair": [ref]},
        "model": {"mode": "fast"},
        "jobs": [{"file": ref}],
        "sizes": {"fast": 1},
    }
    packed = tmp_path / "function"
    packed.write_bytes(cloudpickle.dumps(with_storage(names)))
    told = subprocess.run(
        [sys.executable, "-c", FRESH, packed, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "STORAGE_ENDPOINT": settings["endpoint"]},
    )

    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == ["Pair", "PosixPath", "Mode", "Model", "Mode", "PosixPath", "Mode"]
