"""Runs through the API: what their records hold, to those who may read them."""

from __future__ import annotations

import json
from urllib.parse import quote

import numpy as np
import pytest

from lucas_storage import Storage, run, storage_context, with_storage
from lucas_storage.gc.policy import KEY, policy_of, store_policy
from lucas_storage.records.ulid import ulid

from .conftest import BUCKET

MB = 1_000_000


def test_a_run_is_described_with_its_steps(served, finished):
    assert (finished["workflow"], finished["status"], finished["error"]) == ("adds", "succeeded", None)
    assert [each["function"] for each in finished["steps"]] == ["make", "total"]
    assert finished["step_counts"] == {"succeeded": 2}
    (made,) = finished["steps"][0]["outputs"]
    assert finished["steps"][1]["inputs"]["values"] == [made]
    assert finished["output_size"] == made["size"] > 800_000
    assert served.get(f"/runs/{finished['id']}")[1] == finished


def test_a_step_is_described_alone(served, finished):
    first = finished["steps"][0]

    assert served.get(f"/runs/{finished['id']}/steps/{quote(first['key'], safe='')}")[1] == first
    assert served.get(f"/runs/{finished['id']}/steps/none")[0] == 404


def test_the_graph_has_nodes_and_edges(served, finished):
    graph = served.get(f"/runs/{finished['id']}/graph?folded=true")[1]
    keys = {each["name"]: each["key"] for each in graph["nodes"]}

    assert {"make", "total", "result"} == keys.keys()
    assert {(each["source"], each["target"]) for each in graph["edges"]} == {
        (keys["make"], keys["total"]),
        (keys["total"], keys["result"]),
    }


def test_an_artifact_is_described_shown_and_sent(served, finished):
    (made,) = finished["steps"][0]["outputs"]
    ref = f"?ref={quote(made['uri'], safe='')}"
    described = served.get(f"/artifact{ref}")[1]
    look = served.get(f"/artifact/preview{ref}&lines=3")[1]

    assert (described["digest"], described["size"], described["format"]) == (made["digest"], made["size"], "npy@1")
    assert (look["kind"], look["lines"], look["complete"]) == ("array", ["0", "1", "2"], False)
    assert served.ask(f"/artifact/content{ref}")[1][:6] == b"\x93NUMPY"


def test_an_artifact_is_traced_to_the_steps_that_made_and_took_it(served, finished):
    (made,) = finished["steps"][0]["outputs"]
    ref = f"?ref={quote(made['uri'], safe='')}"
    why = served.get(f"/artifact/why{ref}")[1]
    uses = served.get(f"/artifact/uses?ref={made['digest'][:20]}")[1]

    assert (why["artifact"], why["is_complete"]) == (made, True)
    (maker,) = [each for each in why["steps"] if each["id"] in why["nearest"]]
    assert (maker["step"]["function"], maker["workflow"]) == ("make", "adds")
    assert finished["id"] in [each["run"] for each in why["made"]["latest"]]
    assert why["kept"]["records"][0]["kind"] == "run"
    assert {each["step"]["function"] for each in uses["steps"]} == {"total"}
    assert finished["id"] in [each["run"] for each in uses["runs"]["latest"]]


def test_two_runs_are_compared(here):
    from lucas import function, workflow

    def made(factor):
        @function
        @with_storage
        def scaled(count: int):
            return np.arange(count) * factor

        @workflow
        def scales(wf):
            return wf.call("scaled", {"count": 100_000})

        run(scales, {})
        return here.get("/runs/last")[1]["id"]

    before, after = made(2), made(3)
    told = here.get(f"/runs/{after}/diff?before={before}")[1]

    assert not told["equal_runs"]
    assert (told["before"], told["after"], told["first"]["function"]) == (before, after, "scaled")
    assert here.get(f"/runs/{after}/diff?before={after}")[1]["equal_runs"]
    assert here.get(f"/runs/{after}/diff")[0] == 400


def test_who_may_only_read_is_told_the_provenance_as_well(served, finished):
    (made,) = finished["steps"][0]["outputs"]
    token = served.token(f"read,list:{BUCKET}")

    assert served.get(f"/artifact/why?ref={made['digest']}", token)[0] == 200
    assert served.get(f"/artifact/why?ref={made['digest']}", served.token("read,list:other-*"))[0] == 403


def test_a_step_that_failed_tells_its_error_and_where_it_was_raised(here):
    from lucas import function, workflow

    @function
    @with_storage
    def fails(count: int):
        raise ValueError("<script>no</script>" + "x" * 100_000)

    @workflow
    def failing(wf):
        return wf.call("fails", {"count": 1})

    with pytest.raises(ValueError, match="script"):
        run(failing, {})
    told = here.get("/runs/last")[1]
    (failed,) = told["steps"]
    whole = here.get(f"/runs/{told['id']}/steps/{failed['key']}")[1]

    assert (told["status"], failed["state"], failed["error"]) == ("failed", "failed", "ValueError")
    assert whole["error"] == "ValueError"
    assert len(json.dumps(whole)) < 100_000


def test_who_may_read_runs_need_not_be_able_to_read_artifacts(served, finished):
    (made,) = finished["steps"][0]["outputs"]
    ref = f"?ref={quote(made['uri'], safe='')}"
    token = served.token(f"read,list:{BUCKET}/runs/")
    # somebody else has read it before, from whom this caller must not inherit it
    assert served.get(f"/artifact/preview{ref}")[0] == 200

    assert served.get(f"/runs/{finished['id']}", token)[0] == 200
    for path in ("/artifact", "/artifact/preview", "/artifact/content"):
        assert served.get(f"{path}{ref}", token)[0] == 403, path


def test_who_may_not_read_the_bucket_sees_no_run(served, finished):
    token = served.token("read,list:other-*")

    for target in ("/runs", f"/runs/{finished['id']}", "/runs/last/graph", "/names", "/gc"):
        status, problem = served.get(target, token)
        assert (status, problem["code"]) == (403, "PermissionDenied"), target


def test_a_pickle_is_described_and_never_loaded(here):
    with Storage() as storage:
        ref = storage.put({1, 2, 3}, format="pickle5")
    look = here.get(f"/artifact/preview?ref={quote(ref.uri, safe='')}")[1]

    assert look["kind"] == "pickle"
    assert look["facts"]["signed"] == "yes"


def test_the_signature_that_lets_a_pickle_be_loaded_is_told_to_nobody(here):
    with Storage() as storage:
        ref = storage.put({1, 2, 3}, format="pickle5")
        storage.publish(ref, "signed-pickle")
    told = here.ask("/names/signed-pickle")[1] + here.ask(f"/artifact?ref={quote(ref.uri, safe='')}")[1]

    assert ref.signature
    assert ref.digest.encode() in told
    assert ref.signature.encode() not in told


def test_a_published_name_is_told_with_versions_and_aliases(here):
    with Storage() as storage:
        refs = [storage.put(np.arange(number + 5000)) for number in range(2)]
        storage.publish(refs[0], "model", version="1", alias="best")
        storage.publish(refs[1], "model", version="2")
    told = here.get("/names/model")[1]

    assert "model" in here.get("/names")[1]["names"]
    assert [each["version"] for each in told["versions"]] == ["1", "2"]
    assert [(each["alias"], each["digest"]) for each in told["aliases"]] == [("best", refs[0].digest)]
    assert [each["digest"] for each in told["publications"]] == [refs[1].digest, refs[0].digest]
    assert here.get("/names/nothing")[0] == 404


def test_the_plan_of_a_collection_says_why_each_object_stays(served, finished):
    (made,) = finished["steps"][0]["outputs"]
    plan = served.get("/gc?page_size=1000")[1]
    (kept,) = [each for each in plan["objects"] if made["digest"][7:] in each["key"]]

    assert kept["state"] == "kept"
    assert kept["reason"].startswith("kept by ")
    assert kept["reason"].endswith(" of adds")
    assert plan["totals"]["kept"]["objects"] >= 1
    assert served.get("/gc?state=due")[1]["objects"] == []


@pytest.mark.usefixtures("here")
def test_the_plan_of_a_collection_obeys_the_policy_of_the_bucket(served):
    bucket = "with-policy"
    served.client.create_bucket(bucket)
    with storage_context(bucket=bucket), Storage() as storage:
        for number in range(3):
            storage.publish(storage.put(b"model %d" % number), "model")
        store_policy(storage, policy_of(7, ["model=1"]))
        plan = served.get(f"/gc?bucket={bucket}&grace=0")[1]
        others = served.get(f"/gc?bucket={bucket}&grace=0&ttl=60")[1]
        why = served.get(f"/artifact/why?bucket={bucket}&ref=model")[1]
        storage.put_object(bucket, KEY, b"{")
        damaged = served.get(f"/gc?bucket={bucket}")

    assert plan["policy"] == {"seconds": 7 * 86_400, "keep_last": [{"names": "model", "last": 1}]}
    assert (plan["expired"]["name"]["objects"], plan["kept_by"]["name"]["objects"]) == (2, 1)
    assert (others["policy"]["seconds"], others["expired_records"]) == (60, 2)
    assert [each["kind"] for each in why["kept"]["records"]] == ["name"]
    assert (damaged[0], "gc policy set" in str(damaged[1])) == (500, True)


def test_runs_are_listed_page_by_page_and_by_workflow(served):
    bucket = "many-runs"
    served.client.create_bucket(bucket)
    ids = sorted(ulid() for _ in range(7))
    for number, run_id in enumerate(ids):
        status = "failed" if number % 2 else "succeeded"
        record = {"workflow": f"flow-{number % 2}", "status": status, "started": 1.0, "seconds": 2.0, "steps": []}
        served.client.put_object(bucket, f"runs/{run_id}/run.json", json.dumps(record).encode())

    def listed(query):
        found, token = [], ""
        while True:
            page = served.get(f"/runs?bucket={bucket}&page_size=2&page_token={token}{query}")[1]
            found += [each["id"] for each in page["runs"]]
            token = page["next_page_token"]
            if not token:
                return found

    assert listed("") == ids[::-1]
    assert listed("&workflow=flow-1") == ids[1::2][::-1]
    assert listed("&status=failed&workflow=flow-0") == []


@pytest.mark.parametrize(
    "content",
    [
        b"no record",
        b"[]",
        b'{"workflow": "\\ud800", "status": "\\udfff", "error": "\\u0000"}',
        {"workflow": "<script>alert(1)</script>", "status": "</script>", "error": "\u202e"},
        {"workflow": "x" * MB, "error": "y" * MB, "message": "z" * MB, "steps": [{"function": "f" * MB}]},
        {"workflow": 1, "status": [], "started": 1e999, "seconds": "a", "steps": {"a": 1}, "in": [], "out": {}},
        {"workflow": "w", "started": -1e300, "steps": [{"started": 1e300, "in": {"a": [{"inline": 1}]}}, 1, None]},
        {"workflow": "w", "parameters": {"deep": json.loads("[" * 200 + "]" * 200), "large": 2**100}},
    ],
)
def test_a_hostile_record_is_told_as_data(served, content):
    run_id = ulid()
    served.record(f"runs/{run_id}/run.json", content)
    served.record(f"runs/{run_id}/steps/{ulid()}.json", content)

    for target in (f"/runs/{run_id}", f"/runs/{run_id}/graph", "/runs"):
        status, body = served.ask(target)
        assert status == 200, target
        json.loads(body)
        assert len(body) < 2 * MB
    for page in served.client.iter_objects(BUCKET, f"runs/{run_id}/"):
        served.client.delete_object(BUCKET, page["key"])


@pytest.mark.parametrize(
    ("target", "status", "named"),
    [
        ("/runs?page_size=0", 400, "page_size"),
        ("/runs?status=done", 400, "status"),
        ("/runs?page_token=x", 400, "page_token"),
        ("/runs/1", 400, "run"),
        (f"/runs/{'0' * 26}", 404, "no run"),
        ("/runs/last?bucket=nothing-there", 404, "no run"),
        ("/artifact", 400, "ref"),
        ("/artifact?ref=lucas:inline", 400, "reference"),
        ("/artifact?ref=http://evil.example/", 400, "ref"),
        ("/artifact/preview?ref=lucas:&lines=1001", 400, "lines"),
        ("/names/..%2f..", 400, "name"),
        ("/artifact/why?ref=nothing", 404, "nothing"),
        ("/artifact/uses?ref=lucas:inline?f=json@1%26v=MQ", 400, "bytes"),
    ],
)
def test_a_wrong_request_about_runs_is_refused_by_name(served, target, status, named):
    found, problem = served.get(target)

    assert found == status
    assert named in problem["message"]


def test_a_reference_to_another_store_leads_nowhere_else(served, monkeypatch):
    monkeypatch.setenv("LUCAS_STORAGE_ENDPOINTS", '{"elsewhere": "127.0.0.1:1"}')
    uri = f"lucas://elsewhere/{BUCKET}/a/sha256/00/{'0' * 64}?d=sha256:{'0' * 64}&n=5&f=npy%401"

    for path in ("/artifact", "/artifact/preview", "/artifact/content"):
        assert served.get(f"{path}?ref={quote(uri, safe='')}")[0] == 404, path
