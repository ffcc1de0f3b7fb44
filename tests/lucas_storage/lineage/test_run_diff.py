"""The difference of two runs: which step explains it, and what is told of it."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lucas_storage import last_run, run, with_storage
from lucas_storage.embedded import function, routeBuilder, workflow
from lucas_storage.lineage.run_diff import run_diff
from lucas_storage.lineage.runs import RunDifference
from lucas_storage.lineage.source_diff import source_diff
from lucas_storage.records.past_run import Mention
from lucas_storage.refs import inline_ref

from .test_step_matching import run as past
from .test_step_matching import step

pytestmark = pytest.mark.usefixtures("empty_registry")

HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J"


def first_of(storage, before, after):
    found = run_diff(storage, before, after)
    return found.first and (found.first.function, found.first.how)


def test_the_first_step_with_equal_inputs_and_another_result_explains_the_difference(storage):
    before = past(
        step("a", "load", outputs=["1"]),
        step("b", "clean", ["a"], ["1"], ["2"]),
        step("c", "plot", ["b"], ["2"], ["3"]),
    )
    after = past(
        step("a", "load", outputs=["1"]),
        step("b", "clean", ["a"], ["1"], ["x"]),
        step("c", "plot", ["b"], ["x"], ["y"]),
    )

    found = run_diff(storage, before, after)

    assert (found.first.function, found.first.how) == ("clean", "result")
    assert [(each.function, each.how) for each in found.steps] == [("clean", "result"), ("plot", "inputs")]
    assert (found.equal, found.differing) == (1, 2)


def test_code_that_changed_explains_results_that_no_record_has(storage):
    before = past(step("a", "double", version="v1"), step("b", "add", ["a"], version="w"))
    after = past(step("a", "double", version="v2"), step("b", "add", ["a"], version="w"))

    assert first_of(storage, before, after) == ("double", "version")


def test_a_result_that_differs_explains_more_than_code_that_does(storage):
    before = past(step("a", "load", version="v1", outputs=["1"]), step("b", "draw", ["a"], ["1"], ["2"]))
    after = past(step("a", "load", version="v2", outputs=["1"]), step("b", "draw", ["a"], ["1"], ["3"]))

    assert first_of(storage, before, after) == ("draw", "result")


def test_a_small_result_that_differs_is_known_by_the_step_that_took_it(storage):
    before = past(step("a", "guess", given={}), step("b", "use", ["a"], given={"n": 1}))
    after = past(step("a", "guess", given={}), step("b", "use", ["a"], given={"n": 2}))

    found = run_diff(storage, before, after)

    assert (found.first.function, found.first.how) == ("guess", "result")
    assert [(each.place, each.before, each.after) for each in found.steps[1].inputs] == [("n", "1", "2")]


def test_small_results_that_differ_are_told_place_by_place(storage):
    before = past(step("a", "guess", given={}, returned={"sum": 1, "n": 2}))
    after = past(step("a", "guess", given={}, returned={"sum": 3, "n": 2}))

    found = run_diff(storage, before, after)

    assert (found.first.function, found.first.how) == ("guess", "result")
    assert [(each.place, each.before, each.after) for each in found.first.results[0].changes] == [("$.sum", "1", "3")]


def test_small_results_that_travel_as_references_are_compared_by_their_contents(storage):
    before, after = (
        past(step("a", "f", given={}, returned=inline_ref("json@2", text))) for text in (b"[1,2]", b"[1,3]")
    )

    found = run_diff(storage, before, after)

    assert [(each.place, each.before, each.after) for each in found.first.results[0].changes] == [("$[1]", "2", "3")]


def test_a_longer_result_is_known_by_its_fingerprint(storage):
    before, after = (past(step("a", "f", given={}, fingerprint=text)) for text in "ab")

    assert first_of(storage, before, after) == ("f", "result")
    assert run_diff(storage, before, past(step("a", "f"))).is_equal


def test_a_step_that_failed_once_is_told(storage):
    before = past(step("a", "load", outputs=["1"]))
    failed = replace(step("a", "load"), error="ValueError", state="failed", message="no such file")

    found = run_diff(storage, before, past(failed, status="failed", error="ValueError"))

    assert (found.first.function, found.first.how) == ("load", "state")
    assert [each.place for each in found.first.facts] == ["state", "error", "message"]


def test_of_mapped_steps_the_one_that_failed_is_told_though_others_were_interrupted(storage):
    def mapped(letter, order):
        return [step(f"{letter}{at}", "score", given={"x": at}, returned={"v": at}, started=at) for at in order]

    failed = replace(step("b7", "score", given={"x": 7}, started=7.0), error="ValueError", state="failed")
    interrupted = replace(step("b99", "score", started=99.0), state="lost")
    after = past(*mapped("b", [9, 3, 5]), failed, interrupted, status="failed")

    found = run_diff(storage, past(*mapped("a", range(20))), after)

    assert (found.first.how, found.first.before, found.first.after) == ("state", "a7", "b7")
    assert found.equal == 3


def test_a_result_that_was_reused_is_the_same(storage):
    reused = replace(step("a", "load", outputs=["1"]), reused=True, state="reused")

    assert run_diff(storage, past(step("a", "load", outputs=["1"])), past(reused)).is_equal


def test_parameters_and_surroundings_are_told(storage):
    before = past(
        parameters={"n": 1, "deep": {"a": [1, 2]}},
        machine="here",
        python="3.11.7",
        packages={"numpy": "1", "gone": "1"},
    )
    after = past(
        parameters={"n": 2, "deep": {"a": [1, 3]}},
        machine="there",
        python="3.11.7",
        packages={"numpy": "2", "new": "1"},
    )

    found = run_diff(storage, before, after)

    assert [(each.place, each.before, each.after) for each in found.parameters] == [
        ("n", "1", "2"),
        ("deep.a[1]", "2", "3"),
    ]
    assert [each.place for each in found.surroundings] == ["machine", "package gone", "package new", "package numpy"]


def test_machine_and_packages_alone_are_no_difference_of_what_runs_did(storage):
    before, after = past(step("a", "f"), packages={"numpy": "1"}), past(step("a", "f"), packages={"numpy": "2"})

    found = run_diff(storage, before, after)

    assert found.is_equal
    assert len(found.surroundings) == 1


def test_records_of_early_versions_and_of_this_one_are_compared(storage):
    early = past(step("", "load", outputs=["1"]))
    ours = past(step("a", "load", outputs=["1"], version="v", given={"n": 1}), python="3.11.7", packages={"numpy": "1"})

    assert run_diff(storage, early, ours).is_equal


def test_the_source_of_the_step_is_compared_line_by_line(storage):
    texts = [f"# /home/{by}/study.py, line {by}0\ndef double(x):\n    return x * {by}\n" for by in (2, 3)]
    sources = [storage.put(text, format="text") for text in texts]
    before, after = (past(step("a", "double", version=f"v{at}", source=ref)) for at, ref in enumerate(sources))

    found = run_diff(storage, before, after)

    assert found.first.source == (
        "--- /home/2/study.py",
        "+++ /home/3/study.py",
        "@@ -20,2 +30,2 @@",
        " def double(x):",
        "-    return x * 2",
        "+    return x * 3",
    )


def test_of_a_source_the_functions_that_differ_are_told_wherever_they_stand():
    before = (
        "# a.py, line 1\ndef f():\n    g()\n# a.py, line 9\ndef g():\n    return 1\n# a.py, line 20\ndef old(): ...\n"
    )
    after = "# a.py, line 3\ndef f():\n    g()\n# b.py, line 9\ndef g():\n    return 2\n"

    lines = source_diff(before, after)

    assert [line for line in lines if line[0] in "-+"] == [
        *("--- a.py", "+++ b.py", "-    return 1", "+    return 2"),
        *("--- a.py", "+++ /dev/null", "-def old(): ..."),
    ]
    assert source_diff(before, before.replace("a.py", "c.py").replace("line 9", "line 10")) == ()


def test_a_source_that_is_gone_is_told(storage):
    ref = storage.put("def f(): ..." * 10, format="text")
    gone = replace(ref, key="gone", digest="sha256:" + "0" * 64)
    before, after = past(step("a", "f", version="1", source=ref)), past(step("a", "f", version="2", source=gone))

    (line,) = run_diff(storage, before, after).first.source

    assert "is gone" in line


def two_runs(step_of):
    """Run a workflow of one mapped and one other step twice; `step_of` returns the function that differs."""
    for attempt in (0, 1):
        middle = step_of(attempt)

        @function
        @with_storage
        def load(n):
            return np.arange(n * 10_000.0)

        @function
        @with_storage
        def finish(x):
            return {"x": x}

        middle.__name__ = "middle"
        changed = function(with_storage(middle))

        @workflow
        def study(wf):
            return wf.call("finish", {"x": wf.call("middle", {"x": wf.call("load", {"n": wf.input()["n"]})})})

        run(study, {"n": 1})
        del load, finish, changed
        yield last_run()
        routeBuilder.funcs.clear()
        routeBuilder.works.clear()


def test_a_run_tells_its_difference_to_a_later_one(storage):
    del storage

    def step_of(attempt):
        def middle(x: np.ndarray) -> pd.DataFrame:
            return pd.DataFrame({"n": x, "square": x**2 + (attempt or 0) * (x == 7)})

        return middle

    before, after = two_runs(step_of)

    found = before.diff(after)

    assert not found.is_equal
    assert found.step == "middle"
    assert "column square: 1 of 10000 values differ, by at most 1" in repr(found)
    assert "row 7, column square: 49.0 → 50.0" in repr(found)
    assert "finish: it was given other inputs" in repr(found)
    assert before.diff(before.id).is_equal


def test_images_are_shown_side_by_side_in_a_notebook(storage):
    del storage

    def step_of(attempt):
        def middle(x: np.ndarray) -> Image.Image:
            noise = np.random.default_rng(attempt + len(x)).integers(0, 255, (64, 64, 3), dtype="u1")
            return Image.fromarray(noise)

        return middle

    before, after = two_runs(step_of)

    images = [each.attrib["alt"] for each in ET.fromstring(before.diff(after)._repr_html_()).iter("img")]

    assert images[:2] == ["before", "after"]


def hostile(storage):
    text = HOSTILE * 100
    ref = storage.put(text, format="text")
    facts = {"message": text, "error": text, "state": "failed", "given": {text: text}, "version": text, "machine": text}
    strange = replace(step("a", text, source=ref), **facts, outputs=(Mention(text, 5, None),))
    other = replace(strange, message="x" * 10_000_000, version="y", given={text: "z" * 10_000_000})
    about = {"workflow": text, "parameters": {text: text}, "packages": {text: text}, "machine": text, "python": text}
    return past(strange, **about), past(other, **{**about, "parameters": {text: 1}, "packages": {"x": text}})


def test_records_of_strangers_do_nothing_in_a_notebook_and_a_terminal(storage):
    found = RunDifference(run_diff(storage, *hostile(storage)))

    for shown in (found._repr_html_(), repr(found)):
        assert not {"\u202e", "\x1b"} & set(shown)
        assert len(shown) < 100_000
    assert "<script" not in found._repr_html_()
    ET.fromstring(found._repr_html_())
    assert len(json.dumps(found.data.to_json(), allow_nan=False)) < 100_000


def test_of_very_many_steps_some_are_told_and_all_counted(storage):
    before = past(*(step(f"a{at}", "f", inputs=[at], outputs=[at], started=at) for at in range(1500)))
    after = past(*(step(f"a{at}", "f", inputs=[at], outputs=[-at - 1], started=at) for at in range(1500)))

    found = run_diff(storage, before, after)

    assert (found.differing, len(found.steps)) == (1500, 1000)
    assert "1499 other steps differ" in repr(RunDifference(found))
