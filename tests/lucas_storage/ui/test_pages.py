"""The pages over a real store: what they show, for whom, and what strangers' texts do there, which is nothing."""

from __future__ import annotations

import http.client
import json
import threading
from functools import partial

import numpy as np
import pytest

from actorc.storage.errors import IntegrityError
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.server.config import KEYS_FILE
from actorc.storage.testing import local_server
from lucas_storage import last_run, run, with_storage
from lucas_storage.embedded import function, routeBuilder, workflow
from lucas_storage.gc.policy import policy_of, remove_policy, store_policy
from lucas_storage.records import record_store, run_log
from lucas_storage.ui import application, pages_by_name
from lucas_storage.ui.pages.failures import unknown_page

from .conftest import opened, served

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\x1b[31m\x00&lt;"
MENU = ["", "buckets", "runs", "names", "garbage", "access"]


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch, empty_registry):
    monkeypatch.setattr(run_log, "_last", None)


@pytest.fixture
def past(storage):
    """A run of three steps, of which one makes an array."""

    @function
    @with_storage
    def zeros(n):
        return np.zeros(n)

    @function
    @with_storage
    def plus(a, b):
        return a + b

    @workflow
    def sums(wf):
        first, second = (wf.call("zeros", {"n": wf.input()["n"]}) for _ in range(2))
        return wf.call("plus", {"a": first, "b": second})

    run(sums, {"n": 1000})
    return last_run()


def assert_harmless(answer):
    """Assert that a page has no elements and attributes but its own, and no character that changes how it is read."""
    page = answer.page
    text = answer.body.decode()
    assert page.tags.count("script") == 1
    assert {name for _, name, _ in page.attributes if name.startswith("on") or name in ("srcdoc", "style")} == set()
    addresses = [value for _, name, value in page.attributes if name in ("href", "src", "action")]
    assert [each for each in addresses if not each.startswith(("/", "#", "data:image/png;base64,", "data:,"))] == []
    assert not {"\u202e", "\x1b", "\x00"} & set(text)
    assert len(text) < 1_000_000


@pytest.mark.parametrize("page", MENU)
def test_every_page_of_the_menu_is_there_in_an_empty_store(pages, page):
    answer = pages.show(page)

    assert answer.status == 200
    assert answer.page.tags.count("h1") == answer.page.tags.count("main") == 1
    assert_harmless(answer)


@pytest.mark.parametrize("page", MENU)
def test_every_page_of_the_menu_is_there_in_chinese(pages, page):
    answer = pages.show(page, language="zh-CN")

    assert ("html", "lang", "zh") in answer.page.attributes
    assert "存储桶" in answer.page.text


def test_a_language_that_was_asked_for_comes_before_that_of_the_browser(storage):
    with served(opened, language="zh") as pages:
        assert "概览" in pages.show("", language="en").page.text


@pytest.mark.usefixtures("past")
def test_a_run_leads_to_its_steps_and_these_to_their_artifacts(pages):
    listed = pages.show("runs").page
    (address,) = {each for each in listed.links() if "/run?" in each}
    page = pages.ask(address).page
    assert "sums" in page.text
    assert (
        "3 steps (3 succeeded)" in {tag: value for tag, name, value in page.attributes if name == "aria-label"}["svg"]
    )
    steps = {each for each in page.links() if "/step?" in each}
    assert len(steps) == 3

    artifacts = set()
    for each in steps:
        shown = pages.ask(each)
        assert shown.status == 200
        artifacts |= {link for link in shown.page.links() if "/artifact?" in link}
    assert artifacts
    for each in artifacts:
        shown = pages.ask(each)
        assert shown.status == 200
        assert "npy@1" in shown.page.text
        (download,) = [link for link in shown.page.links() if "/download?" in link]
        assert pages.ask(download).status == 200


def test_a_run_is_compared_with_the_one_before(pages, past, storage):
    record = record_store.read(storage, f"{record_store.RUNS}{past.id}/run.json").content
    record["steps"] = [{**step, "seconds": step["seconds"] + 10} for step in record["steps"]]
    record_store.write(storage, f"{record_store.RUNS}01AAAAAAAAAAAAAAAAAAAAAAAA/run.json", record)

    page = pages.show("run", id=past.id).page

    assert "01AAAAAAAAAAAAAAAAAAAAAAAA" in page.text
    assert "(\u221210.00 s)" in page.text
    assert [each for each in page.links() if "/diff?a=01AAAAAAAAAAAAAAAAAAAAAAAA" in each]


def test_two_runs_are_compared_beginning_with_the_step_that_explains_the_difference(pages, storage, monkeypatch):
    ids = []
    for value in (1, 2):
        monkeypatch.setattr(routeBuilder, "funcs", [])
        monkeypatch.setattr(routeBuilder, "works", [])

        @function(name="source")
        @with_storage(version=str(value))
        def source(n, value=value):
            return np.full(n, value)

        @workflow
        def flow(wf):
            return wf.call("source", {"n": wf.input()["n"]})

        run(flow, {"n": 1000})
        ids.append(last_run().id)

    answer = pages.show("diff", a=ids[0], b=ids[1])

    assert answer.status == 200
    assert "its inputs are equal, and its result is not" in answer.page.text
    assert "Steps that differ: 1; that are the same in both: 0." in answer.page.text
    assert_harmless(answer)
    assert "Both runs did the same" in pages.show("diff", a=ids[0], b=ids[0]).page.text


def test_a_running_run_is_read_again_and_one_that_ended_is_not(pages, storage):
    def live(status):
        content = {"workflow": "w", "status": status, "started": 1.0}
        record_store.write(storage, f"{record_store.RUNS}01BBBBBBBBBBBBBBBBBBBBBBBB/run.json", content)
        return ("main", "data-live", None) in pages.show("run", id="01BBBBBBBBBBBBBBBBBBBBBBBB").page.attributes

    assert [live("running"), live("succeeded")] == [True, False]


def test_runs_are_chosen_by_workflow_and_state(pages, storage):
    for number, (name, status) in enumerate([("train", "failed"), ("train", "succeeded"), ("test", "failed")]):
        content = {"workflow": name, "status": status, "started": 1.0}
        record_store.write(storage, f"{record_store.RUNS}01CCCCCCCCCCCCCCCCCCCCCCC{number}/run.json", content)

    def shown(**query):
        return sorted(each[-1] for each in pages.show("runs", **query).page.links() if "/run?" in each)

    assert shown(workflow="train") == ["0", "1"]
    assert shown(status="failed") == ["0", "2"]
    assert shown(workflow="tr", status="failed") == ["0"]


def test_five_hundred_steps_are_a_drawing_of_few_boxes_and_a_list_in_pages(pages, storage):
    steps = [{"function": "part", "key": f"k{n}", "started": n, "seconds": 1, "out": []} for n in range(500)]
    content = {"workflow": "wide", "status": "succeeded", "started": 1.0, "steps": steps}
    record_store.write(storage, f"{record_store.RUNS}01DDDDDDDDDDDDDDDDDDDDDDDD/run.json", content)
    here = {"id": "01DDDDDDDDDDDDDDDDDDDDDDDD"}

    page = pages.show("run", **here).page
    assert page.tags.count("rect") < 10
    assert "1 to 200 of 500" in page.text
    assert "401 to 500 of 500" in pages.show("run", **here, first=400).page.text
    whole = pages.show("run", **here, all=1).page
    assert whole.tags.count("rect") == 500
    assert len({each for each in whole.links() if "/step?" in each}) == 500


def test_keys_are_shown_in_pages_to_the_last_one(pages, storage):
    storage.create_bucket(storage.bucket, exist_ok=True)
    storage.put_objects(storage.bucket, {f"many/{n:05}": b"" for n in range(450)})
    found, address = [], f"/{pages.token}/objects?bucket={storage.bucket}&prefix=many/"
    while address:
        page = pages.ask(address).page
        found += [each for each in page.links() if "/object?" in each]
        address = next((each for each in page.links() if "token=" in each), None)

    assert len(found) == len(set(found)) == 450
    assert [each for each in pages.show("objects", bucket=storage.bucket).page.links() if "prefix=many%2F" in each]


@pytest.mark.parametrize("text", [HOSTILE, "汇总 天气", "x" * 1_000_000, "{0.__class__}{", "%s%n"])
def test_a_record_of_a_stranger_does_nothing(pages, storage, text):
    ref = storage.put(np.arange(3)).to_json()
    step = {
        "function": text, "key": text[:1000], "started": 1, "seconds": 1, "error": text, "message": text,
        "traceback": text, "version": text, "machine": text, "state": "failed", "in": {text[:5000]: [ref]},
        "given": {text[:5000]: text}, "attempts": [{"seconds": 1, "error": text, "message": text}] * 2,
    }  # fmt: skip
    content = {
        "workflow": text, "status": text, "started": 1.0, "error": text, "message": text, "machine": text,
        "python": text, "packages": {text[:5000]: text}, "parameters": {text[:5000]: [text]}, "steps": [step],
    }  # fmt: skip
    key = f"{record_store.RUNS}01EEEEEEEEEEEEEEEEEEEEEEEE/run.json"
    storage.create_bucket(storage.bucket, exist_ok=True)
    storage.put_object(storage.bucket, key, json.dumps(content).encode())

    for page, query in [
        ("", {}),
        ("runs", {}),
        ("run", {"id": "last"}),
        ("step", {"run": "last", "step": text[:1000]}),
    ]:
        answer = pages.show(page, **query)
        assert answer.status == 200, page
        assert_harmless(answer)


def test_the_command_that_runs_a_step_again_can_be_copied_whatever_its_key_is(pages, storage):
    step = {"function": "f", "key": "x; touch taken", "started": 1, "seconds": 1, "given": {"n": 1}}
    record_store.write(storage, f"{record_store.RUNS}{'0' * 26}/run.json", {"status": "succeeded", "steps": [step]})

    assert f"replay {'0' * 26} 'x; touch taken'" in pages.show("step", run="last", step="x; touch taken").page.text


def test_a_key_metadata_and_content_of_a_stranger_do_nothing(pages, storage):
    storage.create_bucket(storage.bucket, exist_ok=True)
    key = HOSTILE.replace("\x00", "").replace("\x1b", "")
    storage.put_object(
        storage.bucket, key, HOSTILE.encode() * 100, content_type="text/html", metadata={"a": "<b>\u202e"}
    )

    for page, query in [("objects", {}), ("objects", {"prefix": key[:9]}), ("object", {"key": key})]:
        answer = pages.show(page, bucket=storage.bucket, **query)
        assert answer.status == 200
        assert_harmless(answer)


@pytest.mark.parametrize(
    "content_type", ["text/html", "image/svg+xml", "application/json", "image/png", "application/x-npy"]
)
def test_an_object_is_never_a_page_of_the_program(pages, storage, content_type):
    storage.create_bucket(storage.bucket, exist_ok=True)
    body = b"<script>alert(1)</script>"
    storage.put_object(storage.bucket, 'a/"\r\n<b>ü.html', body, content_type=content_type)

    answer = pages.show("download", bucket=storage.bucket, key='a/"\r\n<b>ü.html')

    assert answer.body == body
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert_harmless(pages.show("object", bucket=storage.bucket, key='a/"\r\n<b>ü.html'))


def test_a_pickle_is_described_and_never_opened(pages, storage):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("the pickle was opened",)

    ref = storage.put(Bomb(), format="pickle5")

    answer = pages.show("artifact", ref=ref.uri)
    plain = pages.show("object", bucket=ref.bucket, key=ref.key)

    assert "signed" in answer.page.text
    assert (answer.status, plain.status) == (200, 200)


def test_names_are_listed_with_aliases_and_versions(pages, storage):
    first, second = storage.put("one" * 100), storage.put("two" * 100)
    storage.publish(first, "model", version="1.0", alias="prod")
    storage.publish(second, "model")

    page = pages.show("names").page

    assert "model" in page.text
    assert "prod: " in page.text
    assert "1.0: " in page.text
    assert len({each for each in page.links() if "/artifact?" in each}) == 2


def test_garbage_tells_what_would_go_and_removes_nothing(pages, storage):
    ref = storage.put("unused" * 100)

    assert "less than 2 d ago" in pages.show("garbage").page.text
    assert storage.get(ref) == "unused" * 100


def test_garbage_tells_the_policy_of_the_store_and_what_it_lets_go(pages, storage):
    refs = [storage.publish(storage.put(b"model %d" % number), "model") for number in range(3)]
    store_policy(storage, policy_of(7, ["model=2"]))
    garbage, why = pages.show("garbage").page.text, pages.show("artifact", ref=refs[-1].uri).page.text
    remove_policy(storage)

    assert "The policy of the store: --keep-days 7 --keep-last 'model=2'" in garbage
    assert "those of runs for 7 d: 0" in garbage
    assert "the name model, whose last 2 publications stay" in why
    assert "The policy" not in pages.show("garbage").page.text


@pytest.mark.parametrize(
    ("page", "query", "status"),
    [
        ("nothing", {}, 404),
        ("run", {}, 400),
        ("run", {"id": "01ZZZ"}, 404),
        ("object", {"bucket": "no-such-bucket", "key": "k"}, 404),
        ("object", {"bucket": "<b>", "key": "k"}, 400),
        ("artifact", {"ref": "javascript:alert(1)"}, 400),
        ("artifact", {"ref": "lucas://elsewhere/bucket/key?n=1&f=text%401"}, 400),
        ("objects", {"bucket": "no-such-bucket", "token": "x"}, 400),
        ("download", {"bucket": "no-such-bucket", "key": "k"}, 404),
        ("run", {"id": HOSTILE}, 404),
        ("runs", {"until": HOSTILE}, 200),
        ("run", {"id": "last", "first": "9" * 5000}, 404),
        ("../../etc/passwd", {}, 404),
    ],
)
def test_an_address_that_shows_nothing_says_so(pages, page, query, status):
    answer = pages.show(page, **query)

    assert answer.status == status
    assert_harmless(answer)


def test_every_answer_keeps_scripts_frames_and_other_sites_out(pages):
    for answer in (pages.show(""), pages.show("nothing"), pages.show("style.css"), pages.ask("/")):
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/runs", "/favicon.ico", "/style.css", "/x/runs"])
def test_nothing_is_answered_without_the_token(pages, path):
    answer = pages.ask(path)

    assert answer.status == 403
    assert pages.token.encode() not in answer.body


def test_the_overview_tells_traffic_and_disk_of_a_server_with_metrics(tmp_path, monkeypatch):
    with local_server(tmp_path.as_uri(), http=True) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        with server.client() as client:
            client.put_object("some-bucket", "key", bytes(5 << 20))
        with served(lambda: opened(tmp_path)) as pages:
            first, second = (pages.show("").page.text for _ in range(2))

    assert "Damage found none" in first
    assert "Received 5 MiB" in first
    assert "Objects 1 Their bytes 5 MiB" in first
    assert "Failed calls 0" in first
    assert "free" in first
    assert "Calls now" not in first
    assert "Calls now" in second


def test_access_keys_are_told_in_words_and_without_what_proves_them(storage, tmp_path):
    statement = Statement.parse("read,list:team-*/reports/")
    key, secret = add_key(tmp_path / KEYS_FILE, [statement], comment=HOSTILE)
    add_key(tmp_path / KEYS_FILE, [EVERYTHING])
    with served(lambda: opened(tmp_path)) as pages:
        answer = pages.show("access")

    assert "To read objects, list keys in buckets named team-*, where keys begin with reports/" in answer.page.text
    assert "make and remove buckets in all buckets" in answer.page.text
    assert key.id in answer.page.text
    assert secret not in answer.body.decode()
    assert key.key.hex() not in answer.body.decode()
    assert_harmless(answer)


def test_a_page_has_the_rights_of_its_user_and_no_others(tmp_path, monkeypatch):
    key, secret = add_key(tmp_path / "keys.json", [Statement.parse("read:other-bucket")])
    with local_server(keys=tmp_path / "keys.json") as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
        monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
        with served(opened) as pages:
            overview, runs, listing = pages.show(""), pages.show("runs"), pages.show("objects", bucket="some-bucket")

    assert "rights of the access key" in overview.page.text
    assert (overview.status, runs.status, listing.status) == (200, 403, 403)


def test_a_store_that_comes_back_at_another_address_is_found_again(monkeypatch):
    with local_server() as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        pages_of_it = served(opened)
        pages = pages_of_it.__enter__()
        assert server.endpoint in pages.show("").page.text
    assert pages.show("").status == 503
    with local_server() as other:
        monkeypatch.setenv("STORAGE_ENDPOINT", other.endpoint)
        assert other.endpoint in pages.show("").page.text
        pages_of_it.__exit__(None, None, None)


def test_a_download_that_breaks_off_is_no_whole_file(pages, storage, monkeypatch):
    storage.create_bucket(storage.bucket, exist_ok=True)
    storage.put_object(storage.bucket, "large", bytes(3 << 20))

    def broken(self, *arguments, **options):
        yield bytes(1 << 20)
        raise IntegrityError("a block is damaged")

    monkeypatch.setattr("lucas_storage.storage.Storage.stream_object", broken)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        pages.show("download", bucket=storage.bucket, key="large")


def test_a_page_that_takes_long_says_so_and_is_read_once(pages, monkeypatch):
    asked, may_end = [], threading.Event()

    def slow(request):
        asked.append(request)
        may_end.wait(60)
        return unknown_page(request.reader)

    monkeypatch.setitem(pages_by_name.ROUTES, "names", slow)
    monkeypatch.setattr(application, "_PATIENCE", 0.05)
    for _ in range(3):
        answer = pages.show("names")
        assert answer.status == 503
        assert "Still reading" in answer.page.text
        assert ("main", "data-live", None) in answer.page.attributes
    assert len(asked) == 1

    monkeypatch.setattr(application, "_PATIENCE", 60)
    may_end.set()
    assert "There is no page of this name" in pages.show("names").page.text


def test_a_page_that_fails_by_a_defect_says_so(pages, monkeypatch):
    def defective(request):
        raise ZeroDivisionError(HOSTILE)

    monkeypatch.setitem(pages_by_name.ROUTES, "names", defective)
    answer = pages.show("names")

    assert answer.status == 500
    assert "A defect of this program (ZeroDivisionError)" in answer.page.text
    assert_harmless(answer)


def test_runs_are_shown_in_pages_to_the_first_one(pages, storage):
    text = json.dumps({"workflow": "w", "status": "succeeded", "started": 1.0, "steps": []}).encode()
    storage.create_bucket(storage.bucket, exist_ok=True)
    ids = [f"01AAAAAAAAAAAAAAAAAAAAA{number:03}" for number in range(230)]
    storage.put_objects(storage.bucket, {f"{record_store.RUNS}{each}/run.json": text for each in ids})
    shown, address, live = [], f"/{pages.token}/runs", []
    while address:
        page = pages.ask(address).page
        shown += [each.rpartition("=")[2] for each in page.links() if "/run?" in each]
        live.append(("main", "data-live", None) in page.attributes)
        address = next((each for each in page.links() if "until=" in each), None)

    assert shown == ids[::-1]
    assert live == [True, False, False]
    assert "Latest runs" in page.text


@pytest.mark.parametrize("is_here", [True, False])
def test_only_a_server_of_this_machine_that_has_no_http_yet_opens_it_for_its_numbers(tmp_path, monkeypatch, is_here):
    data = tmp_path / "data"
    with local_server(f"file://{data}", http="on-demand") as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        with served(partial(opened, data if is_here else None)) as pages:
            text = pages.show("").page.text

    assert ("Damage found none" in text) == is_here
