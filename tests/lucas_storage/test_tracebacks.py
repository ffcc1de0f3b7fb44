"""What a traceback shows: the user's file and line wherever a function runs, and the user's frames alone."""

from __future__ import annotations

import functools
import io
import json
import linecache
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import traceback
from pathlib import Path

import cloudpickle
import pytest

import lucas_storage
from lucas_storage import StorageExecutor, run, with_storage
from lucas_storage._tracebacks import shorten
from lucas_storage.embedded import function, workflow
from lucas_storage.errors import NoFormatError
from lucas_storage.shipping import function_pickler, source_lines
from lucas_storage.shipping.shim import VERSION, restore

pytestmark = pytest.mark.usefixtures("empty_registry")

ROOT = Path(lucas_storage.__file__).parents[1]
PACKING = """
    import functools, sys
    from lucas_storage import with_storage

    def logged(inner):
        @functools.wraps(inner)
        def around(*args, **kwargs):
            return inner(*args, **kwargs)
        return around

    def helper(x):
        return {"a": x}["b"]  # the helper's line

    class Model:
        def predict(self, x):
            return helper(x)  # the method's line

    @with_storage
    @logged
    def fail(x):
        def nested():
            return (lambda y: Model().predict(y))(x)  # the lambda's line
        return nested()
"""
CALLING = """
    import pickle, sys, traceback
    function = pickle.loads(sys.stdin.buffer.read())
    try:
        function(x=1)
    except Exception:
        traceback.print_exc(file=sys.stdout)
"""


@pytest.fixture
def _own_linecache(monkeypatch):
    monkeypatch.setattr(linecache, "cache", {})


def shipped_from(code, folder, dump="sys.stdout.buffer.write(pickle.dumps(fail))"):
    """Return what a script pickles, which is gone afterwards."""
    script = folder / "of_the_user.py"
    script.write_text(textwrap.dedent(code) + f"\nimport pickle\n{dump}\n")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, check=True, timeout=60, env={**os.environ, "PYTHONPATH": ROOT}
    )
    script.unlink()
    return done.stdout


def called_elsewhere(pickled):
    """Return the traceback of a call in another process."""
    command = [sys.executable, "-c", textwrap.dedent(CALLING)]
    return subprocess.run(
        command, input=pickled, capture_output=True, check=True, timeout=60, env={**os.environ, "PYTHONPATH": ROOT}
    ).stdout.decode()


def compiled(source, name, **names):
    """Return the names that source defines, as a notebook runs a cell."""
    exec(compile(source, name, "exec"), names)
    return names


def frames_of(error):
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def modules_of(error):
    return {frame.f_globals["__name__"].partition(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)}


@pytest.mark.slow
def test_a_shipped_function_shows_its_file_and_lines_where_the_file_is_not(tmp_path):
    shown = called_elsewhere(shipped_from(PACKING, tmp_path))

    for comment in ("helper's", "method's", "lambda's"):
        assert f"# the {comment} line" in shown
    assert str(tmp_path / "of_the_user.py") in shown
    assert "<dynamic-code>" not in shown
    assert "lucas_storage" not in shown


def test_only_the_lines_of_what_is_shipped_travel(tmp_path):
    pickled = shipped_from(PACKING + "\n    PASSWORD_OF_ANOTHER = 'hunter2'  # not the function's\n", tmp_path)

    assert b"hunter2" not in pickled
    assert b"# the lambda's line" in pickled


@pytest.mark.usefixtures("_own_linecache", "settings")
def test_a_function_of_a_notebooks_cell_shows_its_line(tmp_path):
    name = "<cell 7>"
    source = "def fail(x):\n    raise KeyError(x)  # typed in\n"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    pickled = pickle.dumps(with_storage(compiled(source, name, __name__="__main__")["fail"]))
    linecache.cache.clear()

    with pytest.raises(KeyError) as caught:
        pickle.loads(pickled)(x=1)

    assert f'File "{name}", line 2, in fail\n    raise KeyError(x)  # typed in' in "".join(
        traceback.format_exception(caught.value)
    )


@pytest.mark.usefixtures("_own_linecache", "settings")
def test_a_function_without_source_is_shipped_with_its_file_and_line():
    pickled = pickle.dumps(with_storage(compiled("\n\ndef fail(x):\n    raise KeyError(x)\n", "<typed>")["fail"]))

    with pytest.raises(KeyError) as caught:
        pickle.loads(pickled)(x=1)

    assert 'File "<typed>", line 4, in fail' in "".join(traceback.format_exception(caught.value))


@pytest.mark.usefixtures("_own_linecache")
def test_of_two_versions_of_a_file_the_lines_of_the_one_that_runs_are_shown(tmp_path):
    file = tmp_path / "steps.py"
    file.write_text("# shipped\n\ndef fail():\n    raise KeyError('shipped')\n")
    packed = function_pickler.dumps(compiled(file.read_text(), str(file), __name__="__main__")["fail"])
    file.write_text("# of the worker\n\ndef fail():\n    raise KeyError('of the worker')\n")
    linecache.clearcache()

    source_lines.show(packed)

    assert [linecache.getline(str(file), number) for number in (1, 4)] == [
        "# of the worker\n",
        "    raise KeyError('shipped')\n",
    ]


@pytest.mark.usefixtures("_own_linecache")
def test_a_file_that_is_the_same_on_the_worker_stays_that_file(tmp_path):
    file = tmp_path / "steps.py"
    file.write_text("def fail():\n    raise KeyError('the same')\n")
    packed = function_pickler.dumps(compiled(file.read_text(), str(file), __name__="__main__")["fail"])
    source_lines.show(packed)
    file.write_text("# edited\n")
    linecache.checkcache(str(file))

    assert linecache.getlines(str(file)) == ["# edited\n"]


@pytest.mark.usefixtures("_own_linecache")
def test_functions_of_one_file_that_are_opened_at_once_lose_no_line_of_each_other():
    name, count = "<many>", 40
    source = "".join(f"def f{number}():\n    raise KeyError({number})\n" for number in range(count))
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    functions = compiled(source, name, __name__="__main__")
    packed = [function_pickler.dumps(functions[f"f{number}"]) for number in range(count)]
    linecache.cache.clear()
    threads = [threading.Thread(target=source_lines.show, args=(each,)) for each in packed]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert "".join(linecache.getlines(name)) == source


@pytest.mark.usefixtures("settings")
def test_a_reader_that_knows_nothing_of_the_source_opens_the_pickle():
    def double(x):
        return 2 * x

    packed = function_pickler.dumps(double)

    assert b"return 2 * x" in packed
    assert pickle.loads(packed)(21) == pickle.Unpickler(io.BytesIO(packed)).load()(21) == 42


@pytest.mark.usefixtures("settings")
def test_a_function_that_was_shipped_without_source_is_opened():
    shim = with_storage(lambda x: x)
    _, contract, token, _ = shim.__reduce__()[1]

    assert restore(VERSION, contract, token, cloudpickle.dumps(lambda x: 2 * x))(x=21) == 42


@pytest.mark.parametrize(
    "source",
    [b"", b"[", b"{}", b"[1]", b'[["a","b","c"]]', json.dumps([["", 0, 1]]).encode(), b"\xff", b'[["a",0,"b"]]'],
)
def test_a_damaged_source_is_none(source):
    foot = len(source).to_bytes(8, "big") + source_lines.with_source(b"", [("", 1, "x")])[-8:]

    for damaged in (source + foot, foot, foot[-9:], foot[-8:], foot[1:]):
        source_lines.show(pickle.dumps(1) + damaged)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("executor", [None, StorageExecutor], ids=["stock executor", "storage executor"])
@pytest.mark.parametrize("decorator", [with_storage, lambda body: body], ids=["with storage", "plain"])
def test_an_error_of_a_step_shows_the_callers_frame_and_the_steps(executor, decorator):
    @function
    @decorator
    def fail(rt):
        return deeper(rt.input())

    def deeper(given):
        raise KeyError(given["x"])

    @workflow(executor=executor)
    def flow(wf):
        return wf.call("fail", {"x": wf.input()["x"]})

    for call in (lambda: run(flow, {"x": 1}), lambda: flow.export()({"x": 1})):
        with pytest.raises(KeyError) as caught:
            call()

        assert frames_of(caught.value)[-3:] == ["<lambda>", "fail", "deeper"]
        assert "lucas_storage" not in modules_of(caught.value)


@pytest.mark.usefixtures("settings")
def test_an_error_of_plain_code_in_a_workflow_shows_no_frames_around_it():
    @workflow(executor=StorageExecutor)
    def flow(wf):
        return wf.func(lambda value: value["missing"], wf.func(dict))

    with pytest.raises(KeyError) as caught:
        run(flow)

    assert frames_of(caught.value)[-1] == "<lambda>"
    assert "lucas_storage" not in modules_of(caught.value)


@pytest.mark.usefixtures("settings")
def test_an_error_of_a_function_without_frames_shows_where_it_was_called():
    @workflow
    def flow(wf):
        return wf.func(dict)["missing"]

    with pytest.raises(KeyError) as caught:
        run(flow)

    assert frames_of(caught.value)[-1] == "_call"
    assert frames_of(caught.value)[-2].startswith("test_")


@pytest.mark.usefixtures("settings")
def test_steps_within_steps_show_the_steps_alone():
    @function
    @with_storage
    def inner(x):
        raise KeyError(x)

    @function
    @with_storage
    def outer(rt):
        try:
            return rt.call("inner", {"x": 1})
        except KeyError as error:
            raise ValueError("wrapped") from error

    @workflow
    def flow(wf):
        return wf.call("outer", {})

    with pytest.raises(ValueError, match="wrapped") as caught:
        run(flow)

    assert frames_of(caught.value)[-1] == "outer"
    assert frames_of(caught.value.__cause__) == ["outer", "inner"]
    assert "lucas_storage" not in modules_of(caught.value) | modules_of(caught.value.__cause__)


@pytest.mark.usefixtures("settings")
def test_an_error_of_a_generator_shows_the_generator():
    @function
    @with_storage
    def numbers(x):
        yield x
        raise KeyError(x)

    @workflow
    def flow(wf):
        return wf.call("numbers", {"x": 1})

    with pytest.raises(KeyError) as caught:
        run(flow)

    assert frames_of(caught.value)[-1] == "numbers"
    assert "lucas_storage" not in modules_of(caught.value)


@pytest.mark.usefixtures("settings")
def test_an_error_of_ours_keeps_its_frames():
    @function
    @with_storage
    def unstorable(x):
        return threading.Lock()

    @workflow
    def flow(wf):
        return wf.call("unstorable", {"x": 1})

    with pytest.raises(NoFormatError) as caught:
        run(flow)

    assert {"_run", "execute", "result"} <= set(frames_of(caught.value))


def test_an_error_of_a_library_that_ours_called_keeps_its_frames():
    ours = compiled("def outer(inner): inner()", "ours.py", __name__="lucas_storage.outer")["outer"]

    with pytest.raises(ValueError, match="Expecting") as caught:
        ours(lambda: ours(functools.partial(json.loads, "[")))
    shorten(caught.value)

    assert frames_of(caught.value)[1:5] == ["<lambda>", "outer", "loads", "decode"]
