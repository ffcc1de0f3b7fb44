"""Errors as they are shown: they end in the user's line, and are whole again afterwards."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import traceback

import pytest

from actorc.storage import StorageClient
from actorc.storage.errors import InvalidParameterError, NetworkError
from lucas_storage import run, storage_context, with_storage
from lucas_storage.display import tracebacks
from lucas_storage.display.tracebacks import shown_short
from lucas_storage.embedded import function, workflow

pytestmark = pytest.mark.usefixtures("empty_registry")


def caught(call):
    with pytest.raises(BaseException) as info:  # noqa: PT011  # any
        call()
    return info.value


def frames(error):
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def shown(error):
    with shown_short(error):
        return "".join(traceback.format_exception(error))


def test_an_error_about_an_argument_ends_in_the_line_that_gave_it():
    def mine():
        StorageClient("localhost:1").get_object("Not A Bucket", "key")

    error = caught(mine)
    whole = frames(error)

    with shown_short(error):
        assert frames(error)[-1] == "mine"

    assert frames(error) == whole
    assert whole[-1] == "check_bucket"


def test_a_wrong_type_is_shown_so_as_well():
    def mine():
        run("no workflow")

    error = caught(mine)

    with shown_short(error):
        assert frames(error)[-1] == "mine"


@pytest.mark.usefixtures("settings")
def test_an_error_of_the_client_in_a_step_ends_in_the_steps_line():
    @function
    @with_storage
    def reading(storage):
        return storage.get_object(storage.bucket, "gone")

    @workflow
    def flow(wf):
        return wf.call("reading", {})

    def mine():
        run(flow)

    error = caught(mine)

    with shown_short(error):
        assert frames(error)[-2:] == ["mine", "reading"]


def test_what_these_packages_met_on_the_way_is_not_shown_and_not_lost():
    def mine():
        StorageClient("localhost:1", timeout=0.01).get_object("a-bucket", "key")

    error = caught(mine)
    assert isinstance(error, NetworkError)
    chain = error.__cause__, error.__context__, error.__suppress_context__

    text = shown(error)

    assert text.count("Traceback") == 1
    assert "actorc/storage" not in text
    assert (error.__cause__, error.__context__, error.__suppress_context__) == chain


def test_an_error_of_the_users_on_the_way_is_shown():
    def mine():
        try:
            {}["mine"]
        except KeyError:
            StorageClient("localhost:1").get_object("Not A Bucket", "key")

    text = shown(caught(mine))

    assert "KeyError: 'mine'" in text
    assert "During handling of the above exception" in text


def test_a_defect_of_these_packages_keeps_its_frames():
    def mine():
        StorageClient.get_object(None, "a-bucket", "key")

    error = caught(mine)
    assert isinstance(error, AttributeError)

    with shown_short(error):
        assert frames(error)[-1] == "get_object"


def test_an_error_that_only_these_packages_have_frames_of_keeps_them():
    names = {"__name__": "lucas_storage.made_for_a_test", "error": InvalidParameterError("x")}
    exec("def ours():\n    raise error", names)
    error = caught(names["ours"])
    error.__traceback__ = error.__traceback__.tb_next

    with shown_short(error):
        assert frames(error) == ["ours"]


def test_ctrl_c_ends_in_the_users_line():
    names = {"__name__": "lucas_storage.made_for_a_test"}
    exec("def wait():\n    raise KeyboardInterrupt", names)

    def mine():
        names["wait"]()

    error = caught(mine)

    with shown_short(error):
        assert frames(error)[-1] == "mine"


@pytest.mark.usefixtures("settings")
def test_with_the_setting_full_nothing_is_left_out():
    @function
    @with_storage
    def fail(n):
        raise KeyError(n)

    @workflow
    def flow(wf):
        return wf.call("fail", {"n": 1})

    with storage_context(tracebacks="full"):
        error = caught(lambda: run(flow))
        text = shown(error)

    assert "lucas_storage/engine/scheduler.py" in text


def test_errors_that_nothing_catches_are_shown_short_by_the_hook_and_by_hooks_before_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)

    def mine():
        run("no workflow")

    error = caught(mine)
    tracebacks.install()
    hook = sys.excepthook
    tracebacks.install()
    assert sys.excepthook is hook
    sys.excepthook(type(error), error, error.__traceback__)

    told = capsys.readouterr().err
    assert "in mine" in told
    assert "_run.py" not in told


@pytest.mark.slow
@pytest.mark.parametrize(("length", "count"), [("short", 1), ("full", 4)])
def test_a_plain_script_ends_in_its_own_line(tmp_path, length, count):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import lucas_storage
        lucas_storage.local("data", port=0)
        from actorc.storage import StorageClient
        StorageClient().get_object("a-bucket", "gone")
        """)
    )
    environment = {"PATH": "", "HOME": str(tmp_path), "LUCAS_STORAGE_TRACEBACKS": length}

    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert (done.stderr.count("  File ") == 1) == (length == "short")
    assert done.stderr.count("  File ") >= count
    assert "the bucket does not exist" in done.stderr.splitlines()[-1]
