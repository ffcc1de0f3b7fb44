"""What arrives on a worker: little, without secrets, and never fatal."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import lucas_storage
from lucas_storage import storage_context, with_storage
from lucas_storage.errors import FunctionLoadError
from lucas_storage.shipping.shim import VERSION, restore
from lucas_storage.values.annotations.annotation import ANY
from lucas_storage.values.storing.outgoing import offload
from lucas_storage.values.storing.policy import Fixed, Policy

ROOT = Path(lucas_storage.__file__).parents[1]
SECRET = "planted-secret-1f2e3d4c"


def in_a_fresh_interpreter(code, payload, **environment):
    """Run `code` with the bytes `payload` in a new process and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=payload,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(ROOT), "HOME": "/nonexistent", **environment},
    )

    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


@with_storage
def double(x: np.ndarray) -> float:
    return float(np.asarray(x).sum() * 2)


def test_a_shipped_function_gets_values_in_a_fresh_interpreter():
    ref = offload(np.arange(5), ANY, Fixed(Policy(inline_max=4096)))["$artifact"]
    code = """
        import os, pickle, sys
        f = pickle.loads(sys.stdin.buffer.read())
        print(f(x={"$artifact": os.environ["REF"]}))
    """

    assert in_a_fresh_interpreter(code, cloudpickle.dumps(double), REF=ref) == "20.0"


def test_unpickling_imports_neither_grpc_nor_numpy_nor_pyarrow():
    code = """
        import pickle, sys
        f = pickle.loads(sys.stdin.buffer.read())
        print(sorted({"grpc", "numpy", "pyarrow", "pandas", "google.protobuf", "cloudpickle"} & set(sys.modules)))
    """

    assert in_a_fresh_interpreter(code, cloudpickle.dumps(double)) == "[]"


def test_the_public_names_need_neither_grpc_nor_numpy():
    code = """
        import sys
        from lucas_storage import *
        print(run.__name__, sorted({"grpc", "numpy", "pyarrow", "google.protobuf"} & set(sys.modules)))
    """

    assert in_a_fresh_interpreter(code, b"") == "run []"


def test_the_call_after_unpickling_works():
    def total(numbers: list, scale: int = 2) -> int:
        return sum(numbers) * scale

    code = """
        import pickle, sys
        f = pickle.loads(sys.stdin.buffer.read())
        print(f({"numbers": [1, 2]}), f(numbers=[1], scale=3), "grpc" in sys.modules)
    """

    assert in_a_fresh_interpreter(code, cloudpickle.dumps(with_storage(total))) == "6 3 False"


@pytest.mark.slow
def test_a_function_of_main_ships_by_value():
    script = """
        import pickle, sys
        from lucas_storage import with_storage

        OFFSET = 40

        def helper(x):
            return x + OFFSET

        @with_storage
        def shifted(x: int) -> int:
            return helper(x)

        sys.stdout.buffer.write(pickle.dumps(shifted))
    """
    shipped = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=True, timeout=60
    )

    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read())(x=2))"

    assert in_a_fresh_interpreter(code, shipped.stdout) == "42"


def test_the_pickle_holds_no_secret(settings, monkeypatch):
    monkeypatch.setenv("STORAGE_SECRET_KEY", SECRET)
    monkeypatch.setenv("STORAGE_ACCESS_KEY", SECRET)
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY", SECRET)
    monkeypatch.setenv("STORAGE_ENDPOINT", f"{SECRET}:1")
    with storage_context(access_key=SECRET, secret_key=SECRET, signing_key=SECRET):
        shipped = cloudpickle.dumps(double)

    assert SECRET.encode() not in shipped
    assert settings["signing_key"].encode() not in shipped


def test_a_function_that_cannot_be_loaded_is_an_error_of_its_call():
    script = """
        import pickle, sys, types
        from lucas_storage import with_storage

        module = types.ModuleType("only_on_the_driver")
        sys.modules[module.__name__] = module
        exec("def helper(x): return x", module.__dict__)
        helper = module.helper

        @with_storage
        def needs_it(x):
            return helper(x)

        sys.stdout.buffer.write(pickle.dumps(needs_it))
    """
    shipped = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=True, timeout=60
    )
    function = pickle.loads(shipped.stdout)

    with pytest.raises(FunctionLoadError, match="only_on_the_driver") as caught:
        function(x=1)

    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert caught.value.function == "needs_it"


def test_a_module_that_exits_on_import_does_not_end_the_worker():
    function = restore(VERSION, {**double._contract}, "token", b"csys\nexit\n(I3\ntR.")

    with pytest.raises(FunctionLoadError, match="SystemExit"):
        function(x=1)


def test_a_failed_load_is_tried_again_at_the_next_call():
    function = restore(VERSION, {**double._contract}, "token", b"no pickle")

    for _ in range(2):
        with pytest.raises(FunctionLoadError):
            function(x=1)


def test_a_shim_of_a_newer_version_loads_and_refuses_to_be_called():
    function = restore(VERSION + 1, {"qualname": "train"}, "token", b"")

    with pytest.raises(
        FunctionLoadError, match=f"shipped in format {VERSION + 1} and this worker reads format {VERSION}"
    ):
        function(x=1)


def test_a_function_that_calls_itself_ships():
    @with_storage
    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n=n - 1)

    assert pickle.loads(cloudpickle.dumps(factorial))(n=5) == 120


def test_functions_that_call_each_other_ship_and_ship_on():
    @with_storage
    def even(n: int) -> bool:
        return True if n == 0 else odd(n=n - 1)

    @with_storage
    def odd(n: int) -> bool:
        return False if n == 0 else even(n=n - 1)

    once = pickle.loads(cloudpickle.dumps(even))
    twice = pickle.loads(pickle.dumps(once))

    assert (once(n=10), twice(n=7)) == (True, False)


def test_a_shipped_function_keeps_its_names_and_parameters():
    import inspect

    @with_storage
    def fit(x, y, storage):
        """Fit a line."""

    arrived = pickle.loads(cloudpickle.dumps(fit))

    assert (arrived.__name__, arrived.__doc__, arrived.__module__) == ("fit", "Fit a line.", __name__)
    assert list(inspect.signature(arrived).parameters) == ["x", "y"]
    assert arrived.__wrapped__.__name__ == "fit"


def test_the_policy_of_the_driver_travels():
    @with_storage(inline_max=0)
    def words() -> str:
        return "x"

    with storage_context(inline_max=7, store="archive"):
        by_option = pickle.loads(cloudpickle.dumps(words))
        by_context = pickle.loads(cloudpickle.dumps(double))

    assert by_option._contract["options"] == {"store": "archive", "inline_max": 0, "pickle": None}
    assert by_context._contract["options"] == {"store": "archive", "inline_max": 7, "pickle": None}


def test_closures_with_locks_are_refused_when_shipping():
    lock = threading.Lock()

    @with_storage
    def locked():
        return lock

    with pytest.raises(TypeError, match="cannot pickle"):
        cloudpickle.dumps(locked)


def test_the_shipped_shim_is_small():
    @with_storage
    def nothing(x):
        return x

    assert len(cloudpickle.dumps(nothing)) < 4096


def test_the_storage_handle_travels_as_the_name_of_its_store(storage, settings):
    stream = io.BytesIO()
    pickle.dump(storage, stream)

    assert settings["endpoint"].encode() not in stream.getvalue()
    assert pickle.loads(stream.getvalue()).store_name == "default"
