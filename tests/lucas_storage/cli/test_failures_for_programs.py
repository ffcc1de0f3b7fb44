"""``--json`` when something fails, and terminals that take nothing but ASCII: said in words, never a traceback."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from actorc.storage.testing import local_server

C_LOCALE = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UNREACHABLE = ("--endpoint", "127.0.0.1:1")


def objects(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.few(8)
@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("ls", "no-bucket"), "NotFound", 3),
        (("rm", "my-bucket/nothing"), "NotFound", 3),
        (("cat", "my-bucket/nothing"), "NotFound", 3),
        (("show", "my-bucket/nothing"), "InvalidRef", 2),
        (("show", "no name"), "InvalidParameter", 2),
        (("gc", "a\x1b[2J"), "Usage", 2),
        (("cp", "nothing", "lucas://default/my-bucket/"), "FileNotFoundError", 3),
        (("cp", "lucas://default/my-bucket/nothing", "here"), "NotFound", 3),
        (("sync", "nothing", "lucas://default/my-bucket/"), "FileNotFoundError", 3),
        (("mb", "my-bucket"), "AlreadyExists", 6),
        (("rb", "no-bucket"), "NotFound", 3),
        (("du", "no-bucket"), "NotFound", 3),
        (("runs", "no-such-run"), None, None),
        (("fsck", "."), "InvalidParameter", 2),
        (("keys", "disable", "nobody"), None, None),
        (("keys", "add"), "Usage", 2),
        (("ls", "--no-such-option"), "Usage", 2),
        (("ls", "UPPER"), "Usage", 2),
        (("rm",), "Usage", 2),
        (("ls", "--endpoint", "x:1", "--data", "."), "Usage", 2),
        (("ls", "--endpoint", "no endpoint"), "InvalidParameter", 2),
        (("no-such-command",), "Usage", 2),
        *(
            ((name, *rest, *UNREACHABLE), "NetworkError", 5)
            for name, *rest in (["ls"], ["mb", "abc"], ["gc"], ["runs"])
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_that_fails_prints_one_object(invoke, arguments, code, exit_code):
    result = invoke(*arguments, "--json")
    plain = invoke(*arguments)
    (told,) = objects(result)

    assert told.keys() >= {"error", "code", "message", "bucket", "key"}
    assert code in (None, told["code"])
    assert result.exit_code == plain.exit_code == (exit_code or plain.exit_code) != 0
    assert plain.stdout == ""
    assert "\x1b" not in plain.stderr
    assert result.stderr


def test_an_option_before_the_command_that_does_not_exist_is_told_too(invoke):
    (told,) = objects(invoke("--no-such-option", "ls", "--json"))

    assert told["code"] == "Usage"


def test_what_a_store_says_of_its_names_is_told_by_name(invoke):
    (told,) = objects(invoke("rm", "my-bucket/a/b", "--json"))

    assert (told["bucket"], told["key"]) == ("my-bucket", "a/b")
    assert told["message"] in told["error"]


def test_of_several_each_failure_is_an_object_and_nothing_follows(invoke, client):
    client.put_object("my-bucket", "there", b"x")
    result = invoke("rm", "my-bucket/there", "my-bucket/one", "my-bucket/two", "--json")
    failed = [each for each in objects(result) if "error" in each]

    assert (len(objects(result)), sorted(each["key"] for each in failed)) == (3, ["one", "two"])
    assert {each["code"] for each in failed} == {"NotFound"}
    assert result.exit_code == 1


def test_an_argument_that_is_a_scripts_own_changes_nothing(run_script):
    ran = run_script("raise SystemExit(3)", "--json")

    assert (ran.exit_code, ran.stdout) == (3, "")


@pytest.mark.thorough
@pytest.mark.slow
def test_an_interrupted_command_says_so(lucas_storage):
    reading, writing = os.pipe()
    with local_server() as server:
        running = lucas_storage.start(
            "cp", "-", "lucas://default/my-bucket/key", "--json", "--endpoint", server.endpoint, stdin=reading
        )
        os.write(writing, b"x" * (1 << 16))
        while running.poll() is None and _unread(reading):
            pass  # until the command has read what was written
        running.send_signal(signal.SIGINT)
        stdout, _ = running.communicate(timeout=30)
    os.close(reading)
    os.close(writing)

    assert running.returncode == 130
    assert json.loads(stdout)["code"] == "Interrupted"


def _unread(descriptor):
    import fcntl
    import struct
    import termios

    return struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]


@pytest.mark.thorough
@pytest.mark.slow
def test_names_beyond_ascii_work_in_the_c_locale(lucas_storage, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "ключ").write_text("x")
    with local_server() as server:
        env = {**C_LOCALE, "STORAGE_ENDPOINT": server.endpoint}
        there = lucas_storage.run("cp", "-r", "folder", "lucas://default/my-bucket/é", env=env)
        listed = lucas_storage.run("ls", "my-bucket/é/", "--json", env=env)
        plain = lucas_storage.run("ls", "my-bucket/é/", env=env)
        back = lucas_storage.run("cp", "-r", "lucas://default/my-bucket/é", "copied", env=env)
        with server.client() as client:
            keys = [each["key"] for each in client.list_objects("my-bucket")["objects"]]

    assert [each.returncode for each in (there, listed, plain, back)] == [0] * 4, there.stderr + plain.stderr
    assert keys == ["é/ключ"]
    assert json.loads(listed.stdout)["key"] == "é/ключ"
    assert [each.name for each in (tmp_path / "copied").rglob("*") if each.is_file()] == ["ключ"]


@pytest.mark.thorough
@pytest.mark.parametrize("locale", [{}, C_LOCALE], ids=["of the machine", "C"])
def test_a_file_name_that_is_no_text_is_refused_in_words(lucas_storage, tmp_path, locale):
    (tmp_path / "folder").mkdir()
    for name in (b"bad\xff", b"good"):
        os.close(os.open(os.fsencode(tmp_path) + b"/folder/" + name, os.O_CREAT))
    with local_server() as server:
        env = {**locale, "STORAGE_ENDPOINT": server.endpoint}
        ran = lucas_storage.run("cp", "-r", "folder/", "lucas://default/my-bucket/", "--json", env=env)
        alone = lucas_storage.run("cp", b"folder/bad\xff", "lucas://default/my-bucket/key", env=env)

    failed, done = sorted(objects(ran), key=lambda each: "error" not in each)
    assert (ran.returncode, done["result"]) == (1, "done")
    assert "is not UTF-8, and keys are" in failed["message"]
    assert "Traceback" not in ran.stderr + alone.stderr


def test_a_directory_that_nobody_named_and_that_cannot_be_made_is_told_with_the_option_for_another(lucas_storage):
    (lucas_storage.folder / ".lucas-storage").symlink_to("nowhere/at/all")
    ran = lucas_storage.run("serve", "--listen", "127.0.0.1:0")

    assert ran.returncode != 0
    assert re.match(r"lucas-storage: .*\.lucas-storage: .*; name another directory with --data\n$", ran.stderr)
