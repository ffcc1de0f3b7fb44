"""Errors of commands are in the words of the command line: no parameters, no methods, no text of gRPC's own."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

import actorc.storage
from actorc.storage import StorageClient
from actorc.storage.testing import local_server
from lucas_storage.cli.output.wording import worded

METHODS = [name for name in dir(StorageClient) if "_" in name.strip("_") and not name.startswith("_")]
FOREIGN = re.compile(
    rf"\b({'|'.join(METHODS)})\b|lucas_storage\.\w+\(|\b[a-z_]{{3,}}=(?:True)?(?=[,; )]|$)|max_size and"
)
"""What a person cannot type at a prompt."""
OUT_OF_REACH = {"_async/object_file.py", "_client/arguments.py", "rules.py"}
"""Errors about arguments that no command passes on, below `actorc.storage`."""


def messages():
    """Yield the messages of errors in the package of the client and the server, and the modules that they are in."""
    package = Path(actorc.storage.__file__).parent
    for path in package.rglob("*.py"):
        name = str(path.relative_to(package))
        if name in OUT_OF_REACH or name.startswith(("testing/", "_async/_generated")):
            continue
        text = path.read_text()
        if FOREIGN.search(text) is None:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Raise | ast.Return | ast.AugAssign):
                yield from ((name, text) for text in texts(node))


def texts(node):
    parts = list(ast.walk(node))
    joined = [part for part in parts if isinstance(part, ast.JoinedStr)]
    pieces = {id(each) for part in joined for each in part.values}
    yield from (
        "".join(each.value if isinstance(each, ast.Constant) else "1" for each in part.values) for part in joined
    )
    yield from (part.value for part in parts if _is_text(part) and id(part) not in pieces)


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_no_message_that_a_command_can_show_names_parameters_or_methods():
    found = {(name, text) for name, text in messages() if " " in text and FOREIGN.search(text)}
    left = {name: worded(text) for name, text in found if FOREIGN.search(worded(text))}

    assert len(found) > 8  # the client's messages do name them
    assert left == {}


def program(*arguments, **env):
    """Run a command in a process of its own, over gRPC, and return its exit code and the lines of standard error."""
    here = {"STORAGE_LOCAL": "0", "PATH": "/usr/bin:/bin", **env}
    command = [sys.executable, "-m", "lucas_storage.cli", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=here, check=False)
    assert ran.stdout == ""
    return ran.returncode, ran.stderr.splitlines()


@pytest.mark.slow
def test_a_wrong_address_is_one_line():
    code, (line,) = program("ls", "--endpoint", "127.0.0.1:1")

    assert (code, FOREIGN.search(line)) == (5, None)
    assert line.startswith("lucas-storage: no storage server answers at 127.0.0.1:1 (from --endpoint); ")
    assert "(Connection refused)" in line


@pytest.mark.slow
def test_something_that_is_no_server_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_answer_badly, args=[other], daemon=True).start()
        code, lines = program("ls", "--endpoint", f"127.0.0.1:{other.getsockname()[1]}")
        other.shutdown(socket.SHUT_RDWR)  # wakes the thread

    assert (code in {1, 5}, len(lines)) == (True, 1)


def _answer_badly(listening):
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.slow
def test_mistakes_about_tls_are_one_line_each(tmp_path):
    authority = trustme.CA()
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    with local_server(tls_cert=tmp_path / "both.pem", tls_key=tmp_path / "both.pem") as server:
        endpoint = f"127.0.0.1:{server.endpoint.rpartition(':')[2]}"
        unknown = program("ls", "--endpoint", endpoint, STORAGE_USE_SSL="1")
    with local_server() as server:
        without = program("ls", "--endpoint", server.endpoint, STORAGE_USE_SSL="1")

    assert [len(lines) for _, lines in (unknown, without)] == [1, 1]
    assert "set STORAGE_CA_FILE" in unknown[1][0]
    assert "does not speak TLS; leave out STORAGE_USE_SSL" in without[1][0]
