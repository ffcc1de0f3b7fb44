"""`lucas_storage.local`: plain programs get what ``lucas-storage run`` gives to scripts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import lucas_storage
from actorc.storage import InvalidParameterError, NetworkError, RetryPolicy, StorageClient, UnauthenticatedError
from actorc.storage.config import OriginatedEndpoint
from lucas_storage.local_service import local as module
from lucas_storage.local_service.service import LocalService

pytestmark = pytest.mark.slow

WORKFLOW = """
import lucas_storage
lucas_storage.local()
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


@pytest.fixture
def local(served, monkeypatch):
    """`local` in this process, below a directory with a server; all that it changes is afterwards as it was."""
    environment, path, finders = dict(os.environ), list(sys.path), list(sys.meta_path)
    monkeypatch.chdir(served)
    monkeypatch.setattr(module, "_uses", type(module._uses)())
    yield lucas_storage.local
    for use in module._uses._uses:
        use.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:], sys.meta_path[:] = path, finders


@pytest.fixture
def plain(tmp_path):
    """Run Python in a fresh folder, with every warning an error."""

    def start(*arguments, given="", folder=tmp_path, **variables):
        command = [sys.executable, "-W", "error", *arguments]
        options = {"cwd": folder, "env": {**os.environ, **variables}, "capture_output": True, "text": True}
        return subprocess.run(command, input=given, timeout=60, check=False, **options)

    return start


def test_a_client_without_arguments_and_commands_use_the_server(local, served):
    with local() as storage, StorageClient() as client:
        client.put_object("local-bucket", "key", b"value")
        environment = os.environ["STORAGE_ENDPOINT"], os.environ["STORAGE_ACCESS_KEY"]
        with storage.client() as other:
            value = other.get_object("local-bucket", "key")

        assert (client.endpoint, client.access_key) == environment == (storage.endpoint, client.access_key)
        assert storage.data == served / ".lucas-storage"

    assert value == b"value"


def test_closing_restores_every_variable_but_those_that_were_changed_since(local, monkeypatch):
    monkeypatch.setenv("STORAGE_SECRET_KEY", "before")
    before = dict(os.environ)
    with local():
        changed = {name for name in os.environ if os.environ[name] != before.get(name)}
    after = dict(os.environ)
    with local():
        os.environ["STORAGE_KEY_ENDPOINT"] = "chosen since"

    assert changed >= {"STORAGE_ENDPOINT", "STORAGE_SECRET_KEY"}
    assert after == before
    assert os.environ == {**before, "STORAGE_KEY_ENDPOINT": "chosen since"}


def test_the_server_stays_in_use_until_all_that_use_it_are_closed(local):
    outer = local()
    with local() as inner:
        assert inner.endpoint == outer.endpoint
    inner.close()

    assert os.environ["STORAGE_ENDPOINT"] == outer.endpoint
    outer.close()
    assert "STORAGE_ENDPOINT" not in os.environ


def test_another_directory_is_in_force_until_it_is_closed(local, tmp_path):
    first = local()
    with local(tmp_path / "other") as other:
        within = os.environ["STORAGE_ENDPOINT"], os.environ["LUCAS_STORAGE_SIGNING_KEY_FILE"]
        first_again = local(first.data)
        assert os.environ["STORAGE_ENDPOINT"] == first.endpoint
        first_again.close()
        assert (os.environ["STORAGE_ENDPOINT"], os.environ["LUCAS_STORAGE_SIGNING_KEY_FILE"]) == within

    assert within == (other.endpoint, str(tmp_path / "other" / ".signing.key"))
    assert os.environ["STORAGE_ENDPOINT"] == first.endpoint != other.endpoint
    first.close()
    assert "STORAGE_ENDPOINT" not in os.environ


def test_the_first_may_be_closed_before_the_second(local, tmp_path):
    first, second = local(), local(tmp_path / "other")
    first.close()

    assert os.environ["STORAGE_ENDPOINT"] == second.endpoint
    second.close()
    assert "STORAGE_ENDPOINT" not in os.environ


def test_threads_that_begin_at_once_share_one_server(local, tmp_path):
    barrier = threading.Barrier(4)

    def begin(_):
        barrier.wait()
        return local(tmp_path / "data")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(begin, range(4)))

    assert len({each.endpoint for each in found}) == 1
    for each in found:
        assert os.environ["STORAGE_ENDPOINT"] == each.endpoint
        each.close()
    assert "STORAGE_ENDPOINT" not in os.environ


def test_a_profile_means_its_server_while_a_local_one_is_in_use(local, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "lucas-storage.toml").write_text('[profiles.lab]\nendpoint = "lab.example:9000"')
    with local(), StorageClient(profile="lab") as client:
        assert (client.endpoint, client.access_key) == ("lab.example:9000", None)


def test_an_interrupt_ends_a_program_as_python_ends_it_and_its_server(plain, tmp_path, wait_for_the_end):
    code = "import signal, lucas_storage\nwith lucas_storage.local():\n    signal.raise_signal(signal.SIGINT)"
    ran = plain("-c", code)
    wait_for_the_end(tmp_path / ".lucas-storage")

    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")


def test_a_server_that_the_settings_name_is_used_as_it_is(local, monkeypatch):
    monkeypatch.setenv("STORAGE_ENDPOINT", "storage.example:9000")
    with local() as storage:
        assert (storage.endpoint, storage.data) == ("storage.example:9000", None)
        assert storage.client().endpoint == "storage.example:9000"
        monkeypatch.setenv("STORAGE_ENDPOINT", "elsewhere.example:9000")
        assert local().endpoint == "elsewhere.example:9000"


def test_a_directory_that_is_named_wins_over_the_environment(local, served, monkeypatch):
    monkeypatch.setenv("STORAGE_ENDPOINT", "storage.example:9000")
    with local(served / ".lucas-storage") as storage:
        assert os.environ["STORAGE_ENDPOINT"] == storage.endpoint != "storage.example:9000"

    assert os.environ["STORAGE_ENDPOINT"] == "storage.example:9000"


@pytest.mark.parametrize("wrong", [{"data": 7}, {"data": ""}, {"port": -1}, {"port": "x"}, {"port": 70_000}])
def test_wrong_arguments_are_named_and_change_nothing(local, wrong):
    before = dict(os.environ)
    ((name, value),) = wrong.items()
    with pytest.raises(InvalidParameterError, match=f"{name} is {value!r}"):
        local(**wrong)

    assert os.environ == before


def test_a_directory_that_others_may_write_to_is_refused_and_the_environment_kept(local, tmp_path):
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    with local() as storage:
        with pytest.raises(InvalidParameterError, match="is no directory"):
            local(taken)

        assert os.environ["STORAGE_ENDPOINT"] == storage.endpoint


def test_why_no_server_can_be_had_is_shown_up_to_the_line_of_the_program(plain, tmp_path):
    (tmp_path / ".lucas-storage").symlink_to(tmp_path)

    ended = plain("-c", "import lucas_storage; lucas_storage.local()")

    assert ended.returncode == 1
    assert ended.stderr.count('File "') == 1
    assert "is a symbolic link; name the directory that it leads to" in ended.stderr


def test_a_directory_that_cannot_be_made_is_named_with_a_way_out(local):
    before = dict(os.environ)
    with pytest.raises(OSError, match="/proc/nothing") as caught:
        local("/proc/nothing")

    assert caught.value.__notes__ == ["lucas_storage.local(DIRECTORY) keeps the data elsewhere, where you may write."]
    assert os.environ == before


def test_a_killed_server_is_started_again_where_it_was(local, tmp_path, wait_for_the_end):
    data = tmp_path / "data"
    storage = local(data)
    endpoint = storage.endpoint
    pid = int((data / "endpoint.json").read_text().partition('"pid":')[2].split(",")[0].strip(" }"))
    os.kill(pid, signal.SIGKILL)
    wait_for_the_end(data)
    with local() as again, StorageClient() as client:
        client.put_object("my-bucket", "key", b"value")

        assert again.endpoint == storage.endpoint == endpoint
    storage.close()


def test_a_client_of_a_killed_server_goes_on_at_the_next_one(local, tmp_path, wait_for_the_end):
    data = tmp_path / "data"
    with local(data, port=0) as storage, StorageClient() as client:
        client.put_object("my-bucket", "key", b"value")
        for _ in range(2):  # the one after the next has the key of the first, too
            os.kill(json.loads((data / "endpoint.json").read_text())["pid"], signal.SIGKILL)
            wait_for_the_end(data)
            local().close()

            assert client.get_object("my-bucket", "key") == b"value"
        assert storage.endpoint == client.endpoint


def test_a_server_that_ended_in_order_leaves_no_key_to_the_next_one(local, tmp_path, wait_for_the_end):
    with local(tmp_path / "data") as storage:
        first = storage.client().access_key
    wait_for_the_end(tmp_path / "data")
    with local(tmp_path / "data") as storage:
        assert storage.client().access_key != first


def test_a_client_of_a_server_that_ended_in_order_is_told_to_be_made_anew(local, tmp_path, wait_for_the_end):
    data = tmp_path / "data"
    with local(data, port=0) as storage:
        client = StorageClient(retry=RetryPolicy(attempts=1))
        port = int(storage.endpoint.rpartition(":")[2])
    wait_for_the_end(data)
    with client, local(data, port=port) as again:
        assert again.endpoint == client.endpoint
        with pytest.raises(UnauthenticatedError, match=r"took its key from STORAGE_ACCESS_KEY .* make a new client"):
            client.list_buckets()


def test_a_key_that_another_user_could_have_left_is_not_taken_over(local, tmp_path, wait_for_the_end):
    data = tmp_path / "data"
    storage = local(data)
    left = json.loads((data / "endpoint.json").read_text())
    os.kill(left["pid"], signal.SIGKILL)
    wait_for_the_end(data)
    (data / "endpoint.json").rename(data / ".endpoint.former.json").chmod(0o644)
    with local(), StorageClient() as client:
        assert client.access_key != left["access_key"]
        assert not (data / ".endpoint.former.json").exists()
    storage.close()


def test_a_plain_script_runs_a_workflow_and_ends_without_a_word(plain, tmp_path):
    (tmp_path / "script.py").write_text(WORKFLOW)
    first, second = plain("script.py"), plain("script.py")

    assert [(ran.stdout, ran.stderr) for ran in (first, second)] == [("200000\n", "")] * 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_multiprocessing_have_storage_and_workflows(plain, served, tmp_path, method):
    (tmp_path / "child.py").write_text(
        "def work(number):\n"
        "    from lucas import Workflow\n"
        "    from actorc.storage import StorageClient\n"
        "    with StorageClient() as client:\n"
        "        client.put_object('my-bucket', f'key-{number}', b'value')\n"
        "        return client.endpoint, Workflow.__module__\n"
    )
    (tmp_path / "script.py").write_text(
        "import multiprocessing, os, lucas_storage\n"
        "from child import work\n"
        f"storage = lucas_storage.local({str(served / '.lucas-storage')!r})\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        print({where for where, _ in pool.map(work, range(4))} == {storage.endpoint})\n"
        "        pool.close(); pool.join()\n"
    )
    ran = plain("script.py")

    assert (ran.stdout, ran.stderr) == ("True\n", "")


def test_an_interactive_session_works_cell_by_cell(plain, served):
    given = "import lucas_storage\nlucas_storage.local()\nfrom lucas import Workflow\nprint(Workflow.__name__)\n"
    ran = plain("-i", "-q", given=given, folder=served)

    assert ran.stdout == f"<local storage at {endpoint_of(served)}, data in {served / '.lucas-storage'}>\nWorkflow\n"


def endpoint_of(served):
    with LocalService(served / ".lucas-storage") as service:
        return service.endpoint


def test_another_program_called_lucas_that_was_imported_first_is_named(plain, served, tmp_path):
    (tmp_path / "lucas.py").write_text("")
    ran = plain("-c", "import lucas, lucas_storage; lucas_storage.local()", PYTHONPATH=str(tmp_path))

    assert "ImportError: The module lucas" in ran.stderr
    assert f"{tmp_path / 'lucas.py'} is not the workflow engine Lucas, and hides it; give it another name" in ran.stderr


def test_a_missing_lucas_is_explained_to_who_imports_it_and_not_to_who_looks_for_it(plain):
    ran = plain("-c", "import importlib.util; print(importlib.util.find_spec('lucas')); from lucas import Workflow")

    assert ran.stdout == "None\n"
    assert ran.stderr.splitlines()[-1].startswith(
        "ModuleNotFoundError: No module named 'lucas'; call lucas_storage.local"
    )
    assert "'lucas-storage run'" in ran.stderr


LATE = """
import sys, importlib.machinery
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, None, is_package=True) if name == "lucas" else None
sys.meta_path.append(Finder)
import lucas
print(lucas.__name__)
"""


def test_a_lucas_of_a_finder_that_was_installed_later_is_found(plain):
    assert plain("-c", LATE).stdout == "lucas\n"


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (
            "the built-in default",
            "call lucas_storage.local() first, or start the program with 'lucas-storage run', or a",
        ),
        (
            "/data/endpoint.json",
            "call lucas_storage.local() first, or start the program with 'lucas-storage run', or a",
        ),
        ("STORAGE_ENDPOINT", "if lucas_storage.local() started that server, call it again, else start"),
    ],
)
def test_an_address_of_this_machine_without_a_server_is_explained(free_port, origin, said):
    told = OriginatedEndpoint(f"localhost:{free_port}", origin)
    with StorageClient(told, retry=RetryPolicy(attempts=1)) as client, pytest.raises(NetworkError) as caught:
        client.list_buckets()

    assert said in caught.value.message


def test_an_address_that_an_argument_gives_is_not_told_of_local(free_port):
    client = StorageClient(f"localhost:{free_port}", retry=RetryPolicy(attempts=1))
    with client, pytest.raises(NetworkError, match="start 'lucas-storage serve' there") as caught:
        client.list_buckets()

    assert "local()" not in caught.value.message
