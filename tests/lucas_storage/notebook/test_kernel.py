"""A notebook with a real kernel: what cells show, and that they can be run again and again."""

from __future__ import annotations

import pytest

# libraries of Jupyter warn of their own next versions, each in its way
pytestmark = [pytest.mark.ecosystem, pytest.mark.filterwarnings("ignore")]

STUDY = """
    %load_ext lucas_storage
    from dataclasses import dataclass
    from lucas import Workflow, function, workflow
    from lucas_storage import Storage, last_run, run, runs, with_storage

    FACTOR = 3

    @dataclass
    class Point:
        x: int

    @function
    @with_storage
    def make(n: int) -> Point:
        return Point(n * FACTOR)

    @function
    @with_storage(cache=True)
    def use(point: Point) -> dict:
        return {"x": point.x}

    @workflow
    def study(wf: Workflow):
        return wf.call("use", {"point": wf.call("make", {"n": wf.input()["n"]})})
"""


def test_a_workflow_is_written_in_a_cell_and_run_in_another(notebook):
    notebook(STUDY)

    assert notebook('run(study, {"n": 2})').text.endswith("{'x': 6}")
    shown = notebook("last_run()")
    assert "of 'study': succeeded, 2 steps" in shown.text
    assert "<svg" in shown.html


def test_cells_that_are_edited_and_run_again_count(notebook):
    notebook(STUDY)
    notebook('run(study, {"n": 2})')

    notebook("FACTOR = 5")
    assert notebook('run(study, {"n": 2})').text.endswith("{'x': 10}")
    notebook("""
        @dataclass
        class Point:
            x: int
            label: str = "a"

        @function
        @with_storage
        def make(n: int) -> Point:
            return Point(n + 1, "b")

        @function
        @with_storage(cache=True)
        def use(point: Point) -> dict:
            return {"x": point.x, "label": point.label}
    """)
    assert notebook('run(study, {"n": 2})').text.endswith("{'x': 3, 'label': 'b'}")
    notebook("""
        @workflow
        def study(wf: Workflow):
            return wf.call("make", {"n": wf.input()["n"]})
    """)
    assert notebook('run(study, {"n": 2})').text.endswith("Point(x=3, label='b')")


def test_only_what_a_cell_changed_runs_again(notebook):
    notebook(STUDY)
    notebook("""
        calls = []

        @function
        @with_storage(cache=True)
        def use(point: dict) -> int:
            calls.append(point)
            return point["x"] + OFFSET

        @workflow
        def cached(wf: Workflow):
            return wf.call("use", {"point": {"x": wf.input()["n"]}})

        OFFSET = 1
    """)

    assert notebook('run(cached, {"n": 2}), run(cached, {"n": 2}), len(calls)').text.endswith("(3, 3, 1)")
    assert notebook('OFFSET = 10; run(cached, {"n": 2}), len(calls)').text.endswith("(12, 2)")
    assert notebook('OFFSET = 1; run(cached, {"n": 2}), len(calls)').text.endswith("(3, 2)")


def test_the_loop_of_the_kernel_runs_and_storage_works_within_it(notebook):
    notebook(STUDY)

    blocking = notebook("""
        import asyncio
        from actorc.storage import AsyncStorageClient, StorageClient
        assert asyncio.get_running_loop().is_running()
        with StorageClient() as client:
            client.put_object("a-bucket", "key", b"blocking")
        run(study, {"n": 1})
    """)
    awaited = notebook("""
        async with AsyncStorageClient() as client:
            data = await client.get_object("a-bucket", "key")
        data
    """)
    step = notebook("""
        @function
        @with_storage
        async def later(n: int) -> int:
            await asyncio.sleep(0)
            return n + 1

        @workflow
        def awaiting(wf: Workflow):
            return wf.call("later", {"n": 1})

        run(awaiting)
    """)

    assert blocking.text.endswith("{'x': 3}")
    assert awaited.text == "b'blocking'"
    assert step.text == "2"


def test_errors_end_in_the_cell_of_the_user(notebook):
    notebook(STUDY)
    notebook("""
        from actorc.storage import StorageClient

        @function
        @with_storage
        def fail(n: int) -> int:
            return {}[n]

        @workflow
        def failing(wf: Workflow):
            return wf.call("fail", {"n": 1})
    """)

    step = notebook("run(failing)").error
    argument = notebook('run(study, {"m": 1})').error
    missing = notebook('StorageClient().get_object("no-bucket", "key")').error
    notebook("%unload_ext lucas_storage")
    whole = notebook('StorageClient().get_object("no-bucket", "key")').error

    assert step.count("Cell In") == 2
    assert "Raised in the step 'fail'" in step
    for short in (step, argument, missing):
        assert "File " not in short
    assert "the workflow needs the input 'n'" in argument
    assert "File " in whole


def test_why_no_server_can_be_had_is_shown_without_frames_of_ours(notebook, tmp_path):
    notebook("import os, pathlib; pathlib.Path('.lucas-storage').symlink_to(os.getcwd())")

    failed = notebook("%load_ext lucas_storage").error

    assert "File " not in failed
    assert "is a symbolic link; name the directory that it leads to" in failed


def test_a_debugger_has_the_frames_that_are_not_shown(notebook):
    notebook(STUDY)
    notebook('Storage().get_object("no-bucket", "key")')

    assert int(notebook("import sys, traceback; len(traceback.extract_tb(sys.last_traceback))").text) > 3


def test_a_setting_shows_all_frames(notebook):
    notebook(STUDY)
    notebook('import os; os.environ["LUCAS_STORAGE_TRACEBACKS"] = "full"')

    assert "File " in notebook('Storage().get_object("no-bucket", "key")').error


def test_a_listing_is_a_table_and_stays_a_dict(notebook):
    notebook(STUDY)
    notebook('run(study, {"n": 2})')

    listing = notebook("""
        storage = Storage()
        found = storage.list_objects(storage.bucket)
        assert type(found) is dict
        found
    """)
    other = notebook('{"bucket": "b"}')
    own = notebook("""
        class Report(dict):
            def _repr_html_(self):
                return "<b>a report</b>"
        Report(found)
    """)

    assert "<table>" in listing.html
    assert "application/json" in listing.html
    assert other.html == ""
    assert own.html == "<b>a report</b>"


def test_what_a_program_shows_dicts_by_comes_back_when_the_extension_goes(notebook):
    notebook("get_ipython().display_formatter.formatters['text/html'].for_type(dict, lambda value: 'mine')")
    notebook("%load_ext lucas_storage")
    notebook("%reload_ext lucas_storage")
    loaded = notebook("{}")
    notebook("%unload_ext lucas_storage")

    assert loaded.html == notebook("{}").html == "mine"
    assert "_Listings" not in notebook("get_ipython().display_formatter.formatters['text/html'].for_type(dict)").text


def test_an_interrupted_run_ends_and_the_next_cell_works(notebook, tmp_path):
    notebook(STUDY)
    notebook("""
        import threading
        from pathlib import Path

        @function
        @with_storage
        def wait(n: int) -> int:
            Path(f"waiting-{n}").touch()
            threading.Event().wait()
            return n

        @workflow
        def waiting(wf: Workflow):
            return [wf.call("wait", {"n": 1}), wf.call("wait", {"n": 2})]
    """)

    def both_wait():
        return all((tmp_path / f"waiting-{number}").exists() for number in (1, 2))

    interrupted = notebook.interrupted("run(waiting)", both_wait)

    assert interrupted.error.splitlines()[-1].startswith("KeyboardInterrupt")
    assert "File " not in interrupted.error
    assert "'waiting': failed" in notebook("last_run()").text
    assert notebook('run(study, {"n": 2})').text.endswith("{'x': 6}")


def test_a_kernel_that_is_started_again_finds_its_server_and_its_runs(notebook):
    notebook(STUDY)
    notebook('run(study, {"n": 2})')
    first = notebook("last_run().id").text

    notebook.restart()

    notebook("%load_ext lucas_storage\nfrom lucas_storage import last_run, runs")
    assert notebook("last_run().id").text == first
    assert "'study': succeeded" in notebook("runs()").text


def test_loading_the_extension_again_changes_nothing(notebook):
    notebook(STUDY)

    assert notebook("%load_ext lucas_storage").error == ""
    assert notebook("%reload_ext lucas_storage").error == ""
    assert notebook('run(study, {"n": 2})').text.endswith("{'x': 6}")


SLOW = """
    import lucas_storage.display.live as live
    live._FIRST = live._PAUSE = 0.01

    @function
    @with_storage
    def slow(n: int) -> int:
        threading.Event().wait(0.2)
        if n == FAILING:
            raise KeyError(n)
        return n

    @workflow
    def slowly(wf: Workflow):
        return [wf.call("slow", {"n": n}) for n in range(4)]

    import threading
    FAILING = None
"""


def test_a_run_shows_its_steps_in_a_bar_that_is_replaced_in_place(notebook):
    notebook(STUDY)
    notebook(SLOW)

    shown = notebook("run(slowly)")

    (bars, result) = shown.outputs
    assert "<progress" in bars["data"]["text/html"]
    assert 'value="4" max="4"' in bars["data"]["text/html"]
    assert bars["data"]["text/plain"].startswith("slow  4/4  ")
    assert result["data"]["text/plain"] == "[0, 1, 2, 3]"


def test_the_bar_of_a_run_that_fails_says_so(notebook):
    notebook(STUDY)
    notebook(SLOW)

    shown = notebook("FAILING = 3; run(slowly)")

    assert "1 failed" in shown.outputs[0]["data"]["text/plain"]
    assert "KeyError" in shown.error


def test_a_run_that_ends_at_once_and_one_that_wants_no_progress_show_no_bar(notebook):
    notebook(STUDY)
    notebook("import lucas_storage.display.live as live; live._FIRST = 60")
    assert "<progress" not in notebook('run(study, {"n": 1})').html

    notebook(SLOW)
    notebook('import os; os.environ["LUCAS_STORAGE_PROGRESS"] = "0"')
    assert "<progress" not in notebook("run(slowly)").html


def test_transfers_show_a_bar_in_bytes(notebook, tmp_path):
    (tmp_path / "large.bin").write_bytes(bytes(9_000_000))
    notebook(STUDY)
    notebook("""
        import asyncio
        import lucas_storage.display.live as live
        from actorc.storage import AsyncStorageClient, StorageClient
        live._FIRST = live._PAUSE = 0
        client = StorageClient()
    """)

    up = notebook('client.upload_file("a-bucket", "large <b>", "large.bin")["size"]')
    down = notebook("""
        async with AsyncStorageClient() as other:
            await other.download_file("a-bucket", "large <b>", "copy.bin")
    """)
    own = notebook(
        'client.download_file("a-bucket", "large <b>", "own.bin", progress=lambda done, total: None)["size"]'
    )

    for bar in (up.outputs[0], down.outputs[0]):
        assert 'value="9000000" max="9000000"' in bar["data"]["text/html"]
        assert "large &lt;b&gt;" in bar["data"]["text/html"]
        assert bar["data"]["text/plain"].startswith("a-bucket/large <b>  8.6 MiB/8.6 MiB  ")
    assert "<progress" not in own.html


def test_an_interrupted_upload_ends_and_the_next_cell_works(notebook, tmp_path):
    notebook(STUDY)
    notebook("""
        import threading
        from pathlib import Path
        from actorc.storage import StorageClient
        client = StorageClient()

        def endless():
            while True:
                yield bytes(1 << 20)
                Path("begun").touch()
                threading.Event().wait(0.01)
    """)

    shown = notebook.interrupted(
        'client.upload_from_stream("a-bucket", "endless", endless())', (tmp_path / "begun").exists
    )

    assert shown.error.splitlines()[-1].startswith("KeyboardInterrupt")
    assert notebook('client.object_exists("a-bucket", "endless")').text == "False"
    assert notebook('client.put_object("a-bucket", "key", b"1")["size"]').text == "1"
