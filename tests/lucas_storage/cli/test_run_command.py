from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WORKFLOW = """
from lucas import Workflow, function, workflow
from lucas_storage import run, with_storage

@function
@with_storage
def double(data: bytes) -> bytes:
    return data * 2

@workflow
def doubling(wf: Workflow):
    return wf.call("double", {"data": wf.input()["data"]})

print(len(run(doubling, {"data": bytes(100_000)})))
"""
FAILING = """
from lucas import Workflow, function, workflow
from lucas_storage import run, with_storage

def helper(data):
    return data["missing"]

@function
@with_storage
def fail(data: dict) -> bytes:
    return helper(data)

@workflow
def failing(wf: Workflow):
    return wf.call("fail", {"data": wf.input()["data"]})

run(failing, {"data": {}})
"""
WAITING = """
import os, sys
print(os.environ["STORAGE_ENDPOINT"], flush=True)
sys.stdin.read()
"""
FINDING = """
from actorc.storage import StorageClient
from lucas_storage import Storage
print(StorageClient().endpoint)
print(Storage().put(1 + 2j).load())
"""


@pytest.mark.thorough
def test_a_script_without_a_guard_runs_twice_and_then_ls_works(lucas_storage):
    lucas_storage.script(WORKFLOW)
    first, second = lucas_storage.run("run", "script.py"), lucas_storage.run("run", "script.py")
    listed = lucas_storage.run("ls")

    assert (first.stdout, second.stdout) == ("200000\n", "200000\n"), first.stderr + second.stderr
    assert "lucas-artifacts" in listed.stdout, listed.stderr


def test_two_runs_at_once_share_one_server(lucas_storage):
    lucas_storage.script(WAITING)
    runs = [lucas_storage.start("run", "script.py") for _ in range(2)]
    endpoints = {each.stdout.readline() for each in runs}
    codes = [each.communicate("")[1] for each in runs]

    assert len(endpoints) == 1
    assert codes == ["", ""]


def test_a_killed_run_leaves_neither_a_server_nor_a_mess(lucas_storage, wait_for_the_end):
    lucas_storage.script(WAITING)
    lucas_storage.script(WORKFLOW, "workflow.py")
    killed = lucas_storage.start("run", "script.py")
    killed.stdout.readline()
    killed.kill()
    wait_for_the_end(lucas_storage.folder / ".lucas-storage")
    again = lucas_storage.run("run", "workflow.py")

    assert again.stdout == "200000\n", again.stderr


def test_with_an_endpoint_in_the_environment_nothing_is_started(run_script, client, tmp_path):
    ran = run_script("import os; print(os.environ['STORAGE_ENDPOINT'])")

    assert ran.stdout.strip() == client.endpoint
    assert not (tmp_path / ".lucas-storage").exists()


@pytest.mark.thorough
def test_data_lie_where_the_command_line_says(lucas_storage):
    lucas_storage.script(WORKFLOW)
    lucas_storage.run("run", "--data", "elsewhere", "script.py")

    assert "lucas-artifacts" in lucas_storage.run("ls", "--data", "elsewhere").stdout
    assert not (lucas_storage.folder / ".lucas-storage").exists()


FULL = """
import resource, runpy, sys
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as on a full disk, nothing can be written
runpy.run_module("lucas_storage.cli", run_name="__main__")
"""


def test_an_error_of_a_disk_names_the_directory(lucas_storage):
    lucas_storage.script("print('ran')")
    ran = lucas_storage.run("run", "script.py", program=(sys.executable, "-c", FULL))

    assert ran.returncode != 0
    where = lucas_storage.folder / ".lucas-storage"
    assert ran.stderr == f"lucas-storage: {where}: File too large; name another directory with --data\n"


def test_a_script_is_the_main_module(beside_server):
    (beside_server.folder / "scripts").mkdir()
    beside_server.script("def shout(text): return text.upper()", "scripts/neighbour.py")
    beside_server.script(
        """
        import pickle, sys
        from concurrent.futures import ThreadPoolExecutor
        import cloudpickle
        from neighbour import shout

        class Point: x = 1
        def add(a, b): return a + b

        assert pickle.loads(pickle.dumps(Point)) is Point
        assert cloudpickle.loads(cloudpickle.dumps(add))(1, 2) == 3
        assert sys.modules["__main__"].Point is Point
        print(__name__, __file__, shout("yes"), sys.argv)
        """,
        "scripts/main.py",
    )
    ran = beside_server.run("run", "scripts/main.py", "--data", "x", "--help", "--", "-v")
    file = beside_server.folder / "scripts" / "main.py"

    assert ran.stdout == f"__main__ {file} YES ['scripts/main.py', '--data', 'x', '--help', '--', '-v']\n", ran.stderr


ENDINGS = [("sys.exit()", 0, ""), ("sys.exit(7)", 7, ""), ("sys.stdout.write('done')", 0, "")]


@pytest.mark.parametrize(("ending", "code", "said"), ENDINGS)
def test_the_exit_code_of_a_script_is_that_of_the_command(run_script, ending, code, said):
    ran = run_script(f"import sys\n{ending}")

    assert (ran.exit_code, ran.stderr) == (code, said)


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("sys.exit('enough')", 1, "enough\n"),
        *(pytest.param(*case, marks=pytest.mark.thorough) for case in ENDINGS),
    ],
)
def test_a_script_ends_with_its_own_exit_code(beside_server, ending, code, said):
    beside_server.script(f"import sys\n{ending}")
    ran = beside_server.run("run", "script.py")

    assert (ran.returncode, ran.stderr) == (code, said)


@pytest.mark.parametrize("mistake", ["raise FileNotFoundError('mine')", "1 +"])
def test_an_error_of_a_script_is_shown_as_python_shows_it(run_script, tmp_path, mistake):
    path = tmp_path / "script.py"
    ran = run_script(f"import sys\n{mistake}")
    heading, *frames = [line for line in ran.stderr.splitlines() if not line.startswith("    ")]

    assert ran.exit_code == 1
    assert f'  File "{path}", line 2' in (heading + "\n" + "\n".join(frames))
    assert not any("commands" in line for line in frames)


def test_an_error_of_a_step_shows_the_frames_of_the_script_alone(beside_server):
    path = beside_server.script(FAILING)
    ran = beside_server.run("run", "script.py")
    frames = [line.rpartition(" in ")[2] for line in ran.stderr.splitlines() if line.startswith(f'  File "{path}", ')]

    assert frames == ["<module>", "fail", "helper"]
    assert ran.stderr.count('  File "') == len(frames)
    assert ran.stderr.splitlines()[-2:] == [
        "KeyError: 'missing'",
        "Raised in the step 'fail' of the workflow 'failing'.",
    ]


def test_an_interrupted_script_ends_quietly(beside_server):
    beside_server.script(WAITING)
    running = beside_server.start("run", "script.py")
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate()

    assert (running.returncode, said) == (130, "")


@pytest.mark.thorough
def test_pickles_of_one_run_are_read_by_the_next(lucas_storage):
    lucas_storage.script(
        """
        import sys
        from pathlib import Path
        from lucas_storage import ArtifactRef, Storage
        kept = Path("ref.txt")
        if kept.exists():
            print(ArtifactRef.parse(kept.read_text()).load())
        else:
            kept.write_text(Storage().put(1 + 2j).uri)
        """
    )
    first, second = lucas_storage.run("run", "script.py"), lucas_storage.run("run", "script.py")

    assert first.returncode == 0, first.stderr
    assert second.stdout == "(1+2j)\n", second.stderr


def test_a_signing_key_of_the_user_is_left_alone(beside_server):
    beside_server.script("import os; print(os.environ.get('LUCAS_STORAGE_SIGNING_KEY_FILE'))")
    ran = beside_server.run("run", "script.py", env={"LUCAS_STORAGE_SIGNING_KEY": "of-the-user-and-of-nobody-else"})

    assert ran.stdout == "None\n", ran.stderr


@pytest.mark.thorough
def test_a_stranger_called_lucas_is_passed_over_and_named(lucas_storage):
    stranger = lucas_storage.folder / "site-packages"
    (stranger / "lucas").mkdir(parents=True)
    (stranger / "lucas" / "__init__.py").write_text("raise SystemExit('the stranger was imported')")
    lucas_storage.script(WORKFLOW)
    ran = lucas_storage.run("run", "script.py", env={"PYTHONPATH": str(stranger)})

    assert ran.stdout == "200000\n", ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert "pip uninstall lucas" in ran.stderr


def test_modules_in_the_users_folder_do_not_reach_the_server(lucas_storage):
    lucas_storage.script("raise SystemExit('the server imported a stranger')", "logging.py")
    (lucas_storage.folder / "scripts").mkdir()
    lucas_storage.script("import os; print(bool(os.environ['STORAGE_ENDPOINT']))", "scripts/main.py")
    console = Path(sys.executable).with_name("lucas-storage")
    if not console.exists():
        pytest.skip("the program is not installed")
    ran = lucas_storage.run("run", "scripts/main.py", program=[str(console)])

    assert ran.stdout == "True\n", ran.stderr


MODULE = """
import sys
print(__name__, __package__, __spec__.name, sys.argv[1:], sys.path[0])
class Point: x = 1
if __name__ == "__main__":
    import multiprocessing, pickle
    assert pickle.loads(pickle.dumps(Point)) is Point
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(Point).x)
        pool.close(); pool.join()
"""


def test_a_module_runs_as_with_python_itself(beside_server):
    (beside_server.folder / "package").mkdir()
    beside_server.script("", "package/__init__.py")
    beside_server.script("from .work import main", "package/__main__.py")
    beside_server.script("import sys; main = print(__name__, sys.argv[0][-19:], sys.argv[1:])", "package/work.py")
    beside_server.script(MODULE, "package/module.py")
    package = beside_server.run("run", "-m", "package", "--data", "x", "--help", "--", "-m")
    module = beside_server.run("run", "-mpackage.module", "-v")

    assert package.stdout == "package.work package/__main__.py ['--data', 'x', '--help', '--', '-m']\n", package.stderr
    first, *children = module.stdout.splitlines()
    assert first == f"__main__ package package.module ['-v'] {beside_server.folder}", module.stderr
    assert children[-1] == "1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-m", "nothing.here"], "No module named 'nothing'"),
        (["-m", "sys"], "'sys' has no code"),
        (["-m"], "requires an argument"),
        ([], "Missing argument 'SCRIPT'"),
    ],
)
def test_what_cannot_be_run_is_named(beside_server, arguments, said):
    ran = beside_server.run("run", *arguments)

    assert ran.returncode != 0
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_error_of_a_module_is_shown_with_its_own_frames_alone(beside_server):
    path = beside_server.script("raise ValueError('mine')", "module.py")
    ran = beside_server.run("run", "-m", "module")

    assert ran.stderr.count('  File "') == 1, ran.stderr
    assert f'  File "{path}", line 1' in ran.stderr
    assert ran.returncode == 1


def test_a_script_that_does_not_exist_is_told_as_any_missing_file(invoke):
    ran = invoke("run", "nothing.py")

    assert ran.exit_code == 3
    assert "'nothing.py' does not exist" in ran.stderr


@pytest.mark.thorough
def test_a_script_and_what_it_starts_have_the_keys_for_this_server_and_for_no_other(lucas_storage):
    lucas_storage.script(
        """
        import os, subprocess, sys
        from actorc.storage import StorageClient
        from lucas_storage import Storage

        def known(client):
            return client.access_key == os.environ["STORAGE_ACCESS_KEY"]

        if len(sys.argv) == 1:
            os.chdir("/")
            subprocess.run([sys.executable, __file__, "child"], check=True)
        endpoint = os.environ["STORAGE_ENDPOINT"]
        print(known(StorageClient()), known(StorageClient(endpoint=endpoint)), known(Storage()), flush=True)
        print(StorageClient("127.0.0.1:1").access_key, flush=True)
        StorageClient().put_object("my-bucket", "key", b"")
        """
    )
    ran = lucas_storage.run("run", "script.py")

    assert ran.stdout == "True True True\nNone\n" * 2, ran.stderr


@pytest.mark.thorough
def test_a_plain_script_below_the_directory_finds_the_server_of_a_run(lucas_storage):
    lucas_storage.script(WAITING)
    running = lucas_storage.start("run", "script.py")
    endpoint = running.stdout.readline()
    (lucas_storage.folder / "below").mkdir()
    plain = subprocess.run(
        [sys.executable, "-c", FINDING], cwd=lucas_storage.folder / "below", capture_output=True, text=True, check=False
    )
    running.communicate("")

    assert plain.stdout == endpoint + "(1+2j)\n", plain.stderr
