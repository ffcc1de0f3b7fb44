"""The function as its file defines it today: a script is read, and its workflow does not run."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest

from lucas_storage import ArtifactRef
from lucas_storage.errors import FunctionLoadError
from lucas_storage.records.past_run import Mention, PastRun, PastStep
from lucas_storage.replay.replay import replay
from lucas_storage.replay.today import as_today


def step(function="double", **fields):
    """Return a step as a record of it would be."""
    usual = {"key": "", "after": (), "started": 0.0, "seconds": 0.0, "reused": False, "error": None}
    return PastStep(
        function=function, inputs={}, **{**usual, "outputs": (), "given": {"x": 2}, "returned": 4, **fields}
    )


RUN = PastRun(
    key="01ARZ3NDEKTSV4RRFFQ69G5FAV",
    workflow="study",
    status="succeeded",
    started=0.0,
    seconds=0.0,
    error=None,
    parallel=1,
    inputs={},
    outputs=(),
    after=(),
    steps=(),
)


@pytest.fixture
def script(tmp_path):
    def write(text, name="study.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def replayed(storage):
    def run_today(place, past=None):
        with as_today(storage, past or step(), str(place)) as found:
            return replay(RUN, past or step(), found)

    return run_today


DEFINITIONS = """
    import sys
    from pathlib import Path

    import lucas_storage
    from lucas import function, workflow
    from lucas_storage import with_storage

    @function
    @with_storage
    def double(x):
        return 2 * x

    @workflow
    def study(wf):
        return wf.call("double", {"x": 1})
"""


def test_a_script_is_not_run_as_the_main_one(script, replayed, tmp_path):
    path = script(
        DEFINITIONS
        + f"""
    if __name__ == "__main__" and sys.argv:
        Path({str(tmp_path / "trace")!r}).touch()
    """
    )

    assert replayed(path).is_identical
    assert not (tmp_path / "trace").exists()


def test_a_script_without_that_block_stops_where_it_runs_its_workflow(script, replayed, tmp_path):
    path = script(
        DEFINITIONS
        + f"""
    lucas_storage.run(study, {{}})
    Path({str(tmp_path / "trace")!r}).touch()
    """
    )

    assert replayed(path).is_identical
    assert not (tmp_path / "trace").exists()


def test_a_script_that_ends_itself_is_used_as_far_as_it_came(script, replayed):
    assert replayed(script(DEFINITIONS + "\n    sys.exit('no arguments')")).is_identical


def test_neighbours_of_a_script_are_found_and_nothing_is_changed_for_others(script, replayed):
    script("FACTOR = 2", "neighbour_of_study.py")
    path = script(
        DEFINITIONS.replace("return 2 * x", "return neighbour_of_study.FACTOR * x") + "\n    import neighbour_of_study"
    )
    before = list(sys.path), sys.modules["__main__"], list(sys.argv), dict(os.environ)

    assert replayed(path).is_identical
    assert (list(sys.path), sys.modules["__main__"], list(sys.argv), dict(os.environ)) == before


def test_a_function_that_changed_is_told(script, replayed):
    outcome = replayed(script(DEFINITIONS.replace("2 * x", "3 * x")), step(version="an older one"))

    assert outcome.verdict == "different"
    assert "the function, or code that it reaches, is another one than it was" in outcome.causes


def test_a_module_is_imported_by_its_name(script, replayed, monkeypatch, tmp_path):
    script(DEFINITIONS, "study_of_modules.py")
    monkeypatch.syspath_prepend(tmp_path)

    assert replayed("study_of_modules:double").is_identical


def test_a_record_that_nobody_signed_does_not_choose_a_file_to_be_run(script, storage, tmp_path):
    path = script(f"open({str(tmp_path / 'trace')!r}, 'w')")
    source = storage.put(f"# {path}, line 9\n@function\n")

    with (
        pytest.raises(FunctionLoadError, match=r"no signed record.*study\.py.*--from"),
        as_today(storage, step(source=source)),
    ):
        pass
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("other = 1", "defines no 'double'"),
        ("double = 1", "is no function with @with_storage"),
        ("import lucas_storage\nlucas_storage.run(None)", "defines no 'double' before it runs"),
    ],
)
def test_a_file_without_the_function_is_an_error_that_says_what_to_do(script, replayed, text, match):
    with pytest.raises(FunctionLoadError, match=f"{match}.*--from"):
        replayed(script(text))


def test_a_place_that_is_not_there_is_an_error_that_says_what_to_do(storage, tmp_path):
    for place, match in ((tmp_path / "no.py", "cannot be read"), ("no_such_module", "no module no_such_module")):
        with pytest.raises(FunctionLoadError, match=f"{match}.*--from"), as_today(storage, step(), str(place)):
            pass
    with pytest.raises(FunctionLoadError, match=r"no signed record.*--from"), as_today(storage, step()):
        pass


def test_errors_of_the_script_itself_are_its_own(script, replayed):
    with pytest.raises(SyntaxError):
        replayed(script("def"))
    with pytest.raises(ZeroDivisionError):
        replayed(script("1 / 0"))


@pytest.mark.parametrize(("then", "verdict"), [("x", "identical"), ("x + 1", "different")])
def test_an_object_of_a_class_of_a_script_is_the_same_while_the_script_is(script, replayed, storage, then, verdict):
    text = """
        from lucas_storage import with_storage

        class Model:
            def __init__(self, x):
                self.x = {value}

        @with_storage
        def make(x):
            return Model(x)
    """
    with as_today(storage, step("make"), str(script(text.format(value="x")))) as found:
        ref = ArtifactRef.parse(found(x=2))
    past = step("make", outputs=(Mention(ref.format, ref.size, ref),), returned=ref.to_json())

    assert replayed(script(text.format(value=then)), past).verdict == verdict
