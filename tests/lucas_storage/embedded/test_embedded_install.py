"""`install()`: the embedded engine under the name `lucas`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lucas_storage.embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(lucas_storage.embedded.__file__).parents[2]
INSTALL = "import without_lucas\nfrom lucas_storage.embedded import install\nassert install() is True\n"
FORKING = """
import json, os, sys, traceback
names = {"__name__": "__main__"}
exec(sys.argv[1], names)
for line in sys.stdin:
    code, printed = json.loads(line)
    child = os.fork()
    if not child:
        os.dup2(os.open(printed, os.O_WRONLY | os.O_CREAT), 1)
        try:
            exec(code, names)
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Return what runs code where the engine was just installed, in a fork, and gives what it prints."""
    folder = tmp_path_factory.mktemp("installed")
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", FORKING, INSTALL],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(code: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            printed = folder / str(len(list(folder.iterdir())))
            process.stdin.write(json.dumps([code, str(printed)]) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "0\n"
            return printed.read_text().strip()

        yield run


def test_nothing_is_called_lucas_before_install(fresh_python: Callable[..., str]) -> None:
    code = "import sys, lucas_storage.embedded\nprint(any(name.split('.')[0] == 'lucas' for name in sys.modules))"

    assert fresh_python(code) == "False"


def test_the_documented_imports_work_after_install(installed: Callable[[str], str]) -> None:
    imports = """
from lucas import function, workflow, Workflow, Function, Runtime, create_handler, routeBuilder
from lucas.serverless_function import Metadata
from lucas.workflow import Lambda, Workflow, Route, RouteBuilder, WorkflowContext
from lucas.workflow.dag import DAG, ControlNode, DataNode
from lucas.workflow.executor import Executor
from lucas.runtime import Runtime, StorageMethods
from lucas.runtime.local_once_runtime import LocalOnceRuntime
import lucas, lucas.workflow.dag, sys
print(type(workflow).__name__, lucas.workflow is workflow, sys.modules["lucas.workflow"].Lambda is Lambda)
"""
    assert installed(imports) == "function True True"


def test_every_module_has_both_names_and_is_one_object(installed: Callable[[str], str]) -> None:
    home = Path(lucas_storage.embedded.__file__).parent
    files = [path.relative_to(home) for path in home.rglob("*.py") if "importable" not in path.parts]
    names = {".".join(path.with_suffix("").parts) for path in files}
    names = {name.removesuffix("__init__").rstrip(".") for name in names} - {""}
    code = f"""
import importlib, lucas
for name in {sorted(names)!r}:
    module = importlib.import_module("lucas." + name)
    assert module is importlib.import_module("lucas_storage.embedded." + name), name
    assert module.__spec__.name == module.__name__ == "lucas_storage.embedded." + name, name
print(lucas.__name__)
"""
    assert installed(code) == "lucas_storage.embedded"


def test_installing_again_changes_nothing(installed: Callable[[str], str]) -> None:
    code = "import lucas\nassert install() is True\nimport lucas as again\nprint(again is lucas)"

    assert installed(code) == "True"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_that_is_started_anew_imports_the_engine_as_well(fresh_python: Callable[..., str], method: str) -> None:
    code = f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(1, multiprocessing.get_context({method!r})) as pool:
    print(pool.submit(eval, "__import__('lucas.workflow').__name__").result())
    print(pool.submit(eval, "__import__('lucas_storage.embedded').embedded.install()").result())
"""
    assert fresh_python(INSTALL + code) == "lucas_storage.embedded\nTrue"


def test_a_child_that_installs_the_engine_itself_is_not_warned(fresh_python: Callable[..., str]) -> None:
    code = """
import sys, without_lucas
from lucas_storage.embedded import aliases
sys.path.append(str(aliases.IMPORTABLE))
print(aliases.install())
"""
    assert fresh_python(code) == "True"


def test_pickles_name_the_embedded_engine(installed: Callable[[str], str]) -> None:
    code = "import pickle\nfrom lucas.serverless_function import Metadata\nprint(pickle.dumps(Metadata, 0))"
    printed = installed(code)

    assert "lucas_storage.embedded.serverless_function" in printed


def test_what_lucas_does_not_have_is_missing(installed: Callable[[str], str]) -> None:
    code = "try:\n    import lucas.unheard\nexcept ModuleNotFoundError as error:\n    print(error.name)"

    assert installed(code) == "lucas.unheard"


@pytest.mark.parametrize("name", ["cluster", "cluster.client", "worker", "storage"])
def test_a_module_that_only_genuine_lucas_has_says_so_and_where_that_is(
    installed: Callable[[str], str], name: str
) -> None:
    code = f"try:\n    import lucas.{name}\nexcept ModuleNotFoundError as error:\n    print(error.name, error)"
    said = installed(code)

    assert said.startswith(f"lucas.{name.partition('.')[0]} The module lucas.")
    assert "needs genuine Lucas" in said
    assert "clone https://github.com/Xdydy/Lucas and 'pip install -e' the clone" in said


def test_a_class_that_only_genuine_lucas_has_says_so(installed: Callable[[str], str]) -> None:
    code = "try:\n    from lucas.train.trainer import ParameterServer\nexcept ImportError as error:\n    print(error)"

    assert installed(code).startswith("lucas.train.trainer.ParameterServer needs genuine Lucas")


def test_modules_that_are_named_later_are_the_engines_own_as_well(installed: Callable[[str], str]) -> None:
    code = """
import sys, importlib.util
assert not any(name.endswith("train.trainer") for name in sys.modules)
from lucas.train.trainer import TrainerConfig
import lucas.train.trainer, lucas_storage.embedded.train.trainer as ours
print(lucas.train.trainer is ours, TrainerConfig.__module__, importlib.util.find_spec("lucas.nothing"))
"""
    assert installed(code) == "True lucas_storage.embedded.train.trainer None"


def test_the_engine_does_not_import_the_actor_platform_before_it_is_named(installed: Callable[[str], str]) -> None:
    code = """
import sys, lucas.actorc.actor
before = "actorc.controller" in sys.modules
from lucas.actorc.actor import ActorContext
import actorc.controller
print(before, ActorContext is actorc.controller.ActorContext)
"""
    assert installed(code) == "False True"


def test_a_platform_that_no_package_brings_is_named(fresh_python: Callable[..., str]) -> None:
    code = """
from lucas_storage.embedded.platforms import platform
try:
    platform("elsewhere")
except ImportError as error:
    print(error)
"""
    assert fresh_python(code).startswith("no package that is installed here brings the platform 'elsewhere'")


def test_genuine_lucas_is_left_alone(fresh_python: Callable[..., str], tmp_path: Path) -> None:
    genuine = tmp_path / "path" / "lucas" / "workflow"
    genuine.mkdir(parents=True)
    (genuine.parent / "__init__.py").write_text("genuine = True\n")
    (genuine / "__init__.py").touch()
    code = "from lucas_storage.embedded import install\nprint(install())\nimport lucas\nprint(lucas.genuine)"

    assert fresh_python(code, tmp_path / "path") == "False\nTrue"


def test_the_placeholder_is_recognised_and_never_run(fresh_python: Callable[..., str], tmp_path: Path) -> None:
    stranger = tmp_path / "site-packages" / "lucas"
    stranger.mkdir(parents=True)
    (stranger / "__init__.py").write_text("raise SystemExit('the stranger ran')\n")
    code = """
import warnings, without_lucas
from lucas_storage.embedded import install
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert install() is True
from lucas import workflow
print(*[warning.message for warning in caught])
"""
    printed = fresh_python(code, tmp_path / "site-packages")

    assert str(stranger) in printed
    assert "Remove it with 'pip uninstall lucas'" in printed
    assert "The embedded engine is used instead." in printed


def test_a_placeholder_already_imported_is_not_replaced(fresh_python: Callable[..., str], tmp_path: Path) -> None:
    stranger = tmp_path / "path" / "lucas.py"
    stranger.parent.mkdir()
    stranger.touch()
    code = """
import without_lucas, lucas
from lucas_storage.embedded import install
try:
    install()
except ImportError as error:
    print(error)
"""
    assert "It has been imported already" in fresh_python(code, stranger.parent)


def test_a_folder_of_that_name_does_not_matter(fresh_python: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "lucas" / "data").mkdir(parents=True)

    assert fresh_python(INSTALL + "from lucas import function\nprint(function.__name__)", tmp_path) == "function"


def test_the_engine_needs_only_the_standard_library(fresh_python: Callable[..., str]) -> None:
    code = """
import sys
import lucas_storage.embedded
heavy = {"grpc", "google", "numpy", "pydantic", "cloudpickle", "asyncio"} & {name.split(".")[0] for name in sys.modules}
own = {name for name in sys.modules if name.startswith("lucas_storage.")}
print(sorted(heavy), sorted(name for name in own if not name.startswith("lucas_storage.embedded")))
"""
    assert fresh_python(code).startswith("[]")
