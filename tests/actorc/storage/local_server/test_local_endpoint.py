"""Which server a client finds by itself, whom it gives the keys of that server, and what it takes for a trap."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from actorc.addresses import Address
from actorc.storage import StorageClient, config
from actorc.storage.config import ClientOptions
from actorc.storage.errors import InvalidParameterError, StorageError
from actorc.storage.files.file_locks import SHARED, try_open
from actorc.storage.local_server.local_endpoint import find, read, stamp
from actorc.storage.local_server.nearest_directory import UntrustedDirectoryWarning, find_directory
from actorc.storage.local_server.shared_files import (
    ENDPOINT_FILE,
    SERVER_LOCK,
    make_private,
    published,
    serving,
    signing_key,
)
from actorc.storage.server.process.ports import reserve
from lucas_storage import Storage
from lucas_storage.local_service.service import LocalService

KEYS = {"access_key": "AKMINE", "secret_key": "sesame"}
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")


def listening(*, shared=True):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


@contextmanager
def server(directory, **told):
    """Everything that a client sees of a server before it talks to it."""
    make_private(directory)
    with ExitStack() as stack:
        sock = stack.enter_context(listening())
        endpoint = f"127.0.0.1:{sock.getsockname()[1]}"
        stack.enter_context(serving(directory, 1))
        stack.enter_context(
            published(directory / ENDPOINT_FILE, {"endpoint": endpoint, "shares_port": True, **KEYS, **told})
        )
        yield endpoint


@pytest.fixture(autouse=True)
def default_port(monkeypatch):
    """A port that nobody has in the place of 9000, which somebody may."""
    with listening() as sock:
        port = sock.getsockname()[1]
    monkeypatch.setattr(config, "DEFAULT_PORT", port)
    return port


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "project"
    path.mkdir(mode=0o755)
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def data(folder):
    return folder / ".lucas-storage"


def test_endpoint_and_keys_are_found_here_and_below(folder, data, monkeypatch):
    below = folder / "src" / "deep"
    below.mkdir(parents=True)
    with server(data) as endpoint:
        monkeypatch.chdir(below)
        client = StorageClient()

        assert (client.endpoint, client.access_key, client.secret_key) == (endpoint, "AKMINE", "sesame")
        assert (
            ClientOptions.resolve().endpoint_origin == ClientOptions.resolve().key_origin == str(data / ENDPOINT_FILE)
        )


def test_a_client_that_names_the_address_of_the_server_has_its_keys_and_others_do_not(data, monkeypatch):
    with server(data) as endpoint:
        port = endpoint.rpartition(":")[2]
        others = [f"127.0.0.2:{port}", "127.0.0.1:1", f"{endpoint},127.0.0.1:1", "example.org"]
        monkeypatch.setenv("STORAGE_ENDPOINT", endpoint)

        assert StorageClient().access_key == StorageClient(endpoint).access_key == "AKMINE"
        assert [StorageClient(other).access_key for other in others] == [None] * len(others)


def test_the_name_of_this_machine_is_the_address_of_the_server_while_nobody_has_its_other_one(data):
    with server(data) as endpoint:
        port = endpoint.rpartition(":")[2]
        assert ClientOptions.resolve(f"localhost:{port}").access_key == "AKMINE"
        assert ClientOptions.resolve("localhost:1").access_key is None
        assert ClientOptions.resolve(f"example.org:{port}").access_key is None


@as_root
def test_the_name_of_this_machine_is_not_that_server_where_another_user_has_its_other_address(data):
    with server(data) as endpoint:
        port = int(endpoint.rpartition(":")[2])
        code = (
            "import os, socket, sys; os.setuid(65534); sock = socket.socket(socket.AF_INET6);"
            f"sock.bind(('::1', {port})); sock.listen(); print('there', flush=True); sys.stdin.read()"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", code], **pipes) as stranger:
            assert stranger.stdout.readline() == b"there\n"

            assert ClientOptions.resolve(f"localhost:{port}").access_key is None
            assert ClientOptions.resolve(endpoint).access_key == "AKMINE"
            stranger.communicate()


def test_keys_in_the_environment_may_be_for_one_endpoint_only(folder, monkeypatch):
    monkeypatch.setenv("STORAGE_ACCESS_KEY", "AKRUN")
    monkeypatch.setenv("STORAGE_SECRET_KEY", "run")
    monkeypatch.setenv("STORAGE_KEY_ENDPOINT", "127.0.0.1:4711")

    assert StorageClient("127.0.0.1:4711").access_key == "AKRUN"
    assert StorageClient("127.0.0.1:4712").access_key is None
    assert StorageClient("127.0.0.1:4712", "AKGIVEN", "given").access_key == "AKGIVEN"


def test_who_leaves_the_endpoint_to_be_found_leaves_the_keys_to_it(data, monkeypatch):
    monkeypatch.setenv("STORAGE_ACCESS_KEY", "AKOTHER")
    monkeypatch.setenv("STORAGE_SECRET_KEY", "other")
    with server(data) as endpoint:
        assert StorageClient().access_key == "AKMINE"
        assert StorageClient(endpoint).access_key == StorageClient("127.0.0.1:1").access_key == "AKOTHER"


def test_a_server_that_has_no_keys_is_found_without(data):
    with server(data, access_key=None, secret_key=None) as endpoint:
        client = StorageClient()

        assert not find().is_of_earlier_version

    assert (client.endpoint, client.access_key) == (endpoint, None)


def test_the_address_of_a_dead_server_is_not_used(data):
    with server(data):
        content = (data / ENDPOINT_FILE).read_bytes()
    (data / ENDPOINT_FILE).write_bytes(content)
    (data / ENDPOINT_FILE).chmod(0o600)

    assert find() is None
    assert StorageClient().endpoint == "localhost:9000"


def test_where_a_server_is_missing_the_default_is_for_servers_of_this_user_alone(data, default_port):
    data.mkdir(mode=0o700)
    options = ClientOptions.resolve()

    assert options.address(options.endpoint) == (
        f"localhost:9000 (from the built-in default, since no server runs for {data})"
    )
    for host in ("127.0.0.1", ""):
        with pytest.raises(OSError, match="in use"):
            socket.create_server((host, default_port))
    held, _ = reserve(Address("127.0.0.1", default_port), among_clients=True)
    held.close()


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


with_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", pytest.param("::1", marks=with_ipv6), pytest.param("::", marks=with_ipv6)]
)
def test_where_a_server_is_missing_a_default_that_may_be_anothers_is_an_error(data, default_port, host):
    data.mkdir(mode=0o700)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, default_port), family=family),
        pytest.raises(InvalidParameterError, match=r"no server runs for .* may be another user; .*STORAGE_ENDPOINT"),
    ):
        StorageClient()
    with socket.create_server((host, default_port), family=family), pytest.raises(InvalidParameterError):
        Storage()


def test_where_nothing_is_known_the_default_is_nobodys(folder, default_port):
    with socket.create_server(("127.0.0.1", default_port)):
        assert ClientOptions.resolve().endpoint_origin == "the built-in default"


def test_a_port_that_is_not_in_our_hands_is_not_used(data):
    with server(data), listening(shared=False) as stranger:
        told = {"endpoint": f"127.0.0.1:{stranger.getsockname()[1]}", "shares_port": True}
        with (
            published(data / ENDPOINT_FILE, told),
            pytest.raises(InvalidParameterError, match="in the hands of another"),
        ):
            find()


def test_a_server_of_an_earlier_version_is_joined(data):
    with server(data), listening(shared=False) as earlier:
        told = {"endpoint": f"127.0.0.1:{earlier.getsockname()[1]}", "pid": 1, "data": str(data)}
        with published(data / ENDPOINT_FILE, told):
            assert (find().endpoint, find().is_of_earlier_version) == (told["endpoint"], True)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"endpoint": 7}', b'{"endpoint": "127.0.0.1:http"}', b'{"endpoint": "a:1", "access_key": 1}'],
)
def test_a_damaged_file_tells_nothing(data, content):
    with server(data):
        (data / ENDPOINT_FILE).write_bytes(content)

        assert find() is None


def test_a_directory_that_others_may_write_to_is_an_error_here_and_passed_over_above(folder, data, monkeypatch):
    with server(data):
        data.chmod(0o770)
        with pytest.raises(InvalidParameterError, match=r"may write to .*mode 0770.*'chmod 700'"):
            StorageClient()
        (folder / "src").mkdir()
        monkeypatch.chdir(folder / "src")
        with pytest.warns(UntrustedDirectoryWarning, match="it is not used") as told:
            assert [StorageClient().endpoint for _ in range(2)] == ["localhost:9000"] * 2

        assert len(told) == 1


def test_a_file_that_others_may_read_is_an_error(data):
    with server(data):
        (data / ENDPOINT_FILE).chmod(0o640)
        with pytest.raises(InvalidParameterError, match="other users may use the secrets"):
            find()


@pytest.mark.parametrize("make", [lambda path, real: path.symlink_to(real), lambda path, _: os.mkfifo(path, 0o600)])
def test_what_is_no_regular_file_is_not_opened(data, tmp_path, make):
    with server(data):
        content = (data / ENDPOINT_FILE).read_bytes()
        real = tmp_path / "real.json"
        real.write_bytes(content)
        real.chmod(0o600)
        (data / ENDPOINT_FILE).unlink()
        make(data / ENDPOINT_FILE, real)
        with pytest.raises(InvalidParameterError, match="no regular file"):
            find()


def test_a_link_to_a_directory_is_an_error(folder, data, tmp_path):
    with server(tmp_path / "real"):
        data.symlink_to(tmp_path / "real")
        with pytest.raises(InvalidParameterError, match="is a symbolic link"):
            find()


def test_the_search_ends_below_a_directory_that_everybody_may_write_to(folder, data, monkeypatch):
    with server(data):
        folder.chmod(0o1777)
        here = find_directory()
        (folder / "mine").mkdir()
        monkeypatch.chdir(folder / "mine")

        assert (here, find_directory()) == (data, None)


@as_root
def test_a_trap_of_another_user_is_an_error_here_and_passed_over_above(folder, data, monkeypatch):
    with server(data, signing_key="of-somebody-else-entirely"):
        os.chown(data, NOBODY, NOBODY)
        with pytest.raises(InvalidParameterError, match="belongs to the user with id 65534, so it may be a trap"):
            StorageClient()
        (folder / "src").mkdir()
        monkeypatch.chdir(folder / "src")
        with pytest.warns(UntrustedDirectoryWarning, match="may be a trap"):
            assert find() is None


@as_root
def test_a_file_of_another_user_in_a_directory_of_ours_is_an_error(data):
    with server(data):
        os.chown(data / ENDPOINT_FILE, NOBODY, NOBODY)
        with pytest.raises(InvalidParameterError, match="may be a trap"):
            find()


@as_root
@pytest.mark.forks
def test_nobody_else_gets_the_port_of_a_server_that_died_while_a_client_lives(data):
    with server(data) as endpoint:
        find()
    place = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(NOBODY)
        for options in ([], [socket.SO_REUSEADDR], [socket.SO_REUSEPORT], [socket.SO_REUSEADDR, socket.SO_REUSEPORT]):
            for host in ("127.0.0.1", "0.0.0.0"):
                sock = socket.socket()
                for option in options:
                    sock.setsockopt(socket.SOL_SOCKET, option, 1)
                try:
                    sock.bind((host, place[1]))
                    sock.listen()
                    os.write(writer, b"taken ")
                except OSError:
                    os.write(writer, b"refused ")
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answers:
        assert answers.read().split() == ["refused"] * 8


def test_a_port_that_clients_hold_gives_every_connection_to_the_server(data):
    with server(data) as endpoint:
        host, _, port = endpoint.rpartition(":")
        find()
        for _ in range(100):
            socket.create_connection((host, int(port)), timeout=10).close()
    with pytest.raises(ConnectionRefusedError):  # what is held does not listen
        socket.create_connection((host, int(port)))


CLIENT = """
import subprocess
from actorc.storage.local_server.local_endpoint import find
assert find()
subprocess.Popen(["cat"], close_fds=False)
"""


def test_a_program_that_a_client_started_does_not_hold_the_port(data):
    reader, writer = os.pipe()
    with os.fdopen(reader) as quiet, os.fdopen(writer, "w"):  # the program ends when nobody writes any more
        with server(data) as endpoint:
            subprocess.run([sys.executable, "-c", CLIENT], stdin=quiet, check=True)

        socket.create_server(("127.0.0.1", int(endpoint.rpartition(":")[2]))).close()


def test_a_directory_is_made_for_its_user_alone_and_an_older_one_is_closed(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    old.chmod(0o775)
    make_private(tmp_path / "new")
    make_private(old)

    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new", old)] == [0o700] * 2


@as_root
def test_a_directory_with_a_file_of_another_user_is_not_taken_over(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / ".signing.key").write_text("of-somebody-else-entirely")
    old.chmod(0o777)
    os.chown(old / ".signing.key", NOBODY, NOBODY)
    with pytest.raises(InvalidParameterError, match=r"\.signing\.key belongs to the user with id 65534"):
        make_private(old)


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_directory_of_other_things_is_left_as_it_is(tmp_path, mode):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    home.chmod(mode)
    with pytest.raises(InvalidParameterError, match="no data directory and holds other things"):
        LocalService(home)

    assert stat.S_IMODE(home.stat().st_mode) == mode
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


def test_a_directory_has_one_server_at_a_time(data):
    with server(data), pytest.raises(StorageError, match="has a server already"), serving(data, 0):
        pass
    with serving(data, 0):
        assert try_open(data / SERVER_LOCK, SHARED) is None


def test_what_is_published_is_for_one_user_from_the_first_moment_on(data):
    previous = os.umask(0)
    try:
        with server(data):
            mode = stat.S_IMODE((data / ENDPOINT_FILE).stat().st_mode)
            key = stat.S_IMODE(signing_key(data).stat().st_mode)
    finally:
        os.umask(previous)

    assert (mode, key) == (0o600, 0o600)
    assert not (data / ENDPOINT_FILE).exists()


def test_a_change_of_the_file_is_noticed(data, folder):
    before = stamp()
    with server(data):
        during = stamp()
    after = stamp()

    assert before != during != after


def test_keys_are_neither_shown_nor_pickled(data):
    with server(data):
        found = read(data)

    assert "sesame" not in repr(found) + repr(ClientOptions.resolve(found.endpoint))
    with pytest.raises(TypeError, match="not pickled"):
        found.__reduce__()


def test_a_working_directory_that_was_removed_holds_nothing(folder):
    folder.rmdir()

    assert (find(), stamp()) == (None, ())


def test_the_file_is_json_for_programs_in_other_languages(data):
    with server(data) as endpoint:
        told = json.loads(Path(data, ENDPOINT_FILE).read_text())

    assert told == {"endpoint": endpoint, "shares_port": True, **KEYS}


def test_a_process_that_holds_a_port_to_its_end_ends_without_a_warning():
    code = "from actorc.storage.local_server.held_ports import hold_loopback; assert hold_loopback(0)"
    ended = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
