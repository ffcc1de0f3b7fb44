"""The pages in a real browser: every one can be reached, read and heard, and no request leaves the machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key, read_keys
from actorc.storage.server.config import KEYS_FILE
from actorc.storage.testing import local_server
from lucas_storage import run, with_storage
from lucas_storage.embedded import function, workflow
from lucas_storage.records import record_store

from . import chromium
from .conftest import opened, served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

EXAMPLES = Path(__file__).parents[3] / "examples"
RUN = "01EEEEEEEEEEEEEEEEEEEEEEEE"
HOSTILE = "<script>window.taken=1</script>\"'><img src=x onerror=window.taken=1><b>\u202e\x1b[31m"
PATIENCE = 30_000
"""Milliseconds in which a page reads itself again."""
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = chromium.found()
    assert path, "there is no browser; 'make test-browser' brings one"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def tab(browser, request):
    """A tab whose every request must stay here, and in which no script may fail and no dialog open."""
    options = getattr(request, "param", {})
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    wrong = []

    def checked(route):
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            wrong.append(route.request.url)
            route.abort()

    context.route("**/*", checked)
    page = context.new_page()
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    # Whatever the policy forbids is written there; a page about an error has its status, which is, too.
    page.on("console", lambda told: "Failed to load resource" in told.text or wrong.append(told.text))
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()
    assert wrong == []


@pytest.fixture(autouse=True)
def _nothing_registered(empty_registry):
    """Every test has functions and workflows of its own."""


@pytest.fixture
def weather(storage, tmp_path):
    """Two runs of the example."""
    command = [sys.executable, "-m", "lucas_storage.cli", "run", EXAMPLES / "weather.py", tmp_path / "chart.png"]
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True, timeout=100)
    return storage


def assert_heard(tab):
    """Assert that axe, which knows what screen readers and keyboards need, finds nothing wrong."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab, options=RULES).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == [], tab.url


def record(storage, **content):
    storage.create_bucket(storage.bucket, exist_ok=True)
    key = f"{record_store.RUNS}{RUN}/run.json"
    storage.put_object(storage.bucket, key, json.dumps({"started": 1.0, **content}).encode())


def links(tab, pattern):
    """Return the addresses of the links of a page that match a pattern, each once."""
    found = tab.eval_on_selector_all("main a", "all => all.map(each => each.getAttribute('href'))")
    return [each for each in dict.fromkeys(found) if re.search(pattern, each)]


@pytest.mark.parametrize(
    "tab", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=["light", "dark"]
)
@pytest.mark.usefixtures("weather")
def test_every_page_of_a_real_run_can_be_reached_and_heard(pages, tab):
    tab.goto(pages.url)
    seen = {}
    waiting = links(tab, "/") + tab.eval_on_selector_all("nav a", "all => all.map(each => each.getAttribute('href'))")
    while waiting:
        address = waiting.pop().partition("#")[0]
        kind = address.partition("?")[0]
        # Of a kind of page some are enough, and there are as many as objects.
        if address in seen or kind.endswith("/download") or list(seen.values()).count(kind) > 3:
            continue
        seen[address] = kind
        answer = tab.goto(f"http://{pages.host}{address}")
        assert answer.status == 200, address
        assert_heard(tab)
        waiting += links(tab, "^/")

    names = {kind.rpartition("/")[2] for kind in seen.values()}
    assert names >= {
        "",
        "buckets",
        "objects",
        "object",
        "artifact",
        "uses",
        "runs",
        "run",
        "step",
        "names",
        "garbage",
        "access",
    }


@pytest.mark.usefixtures("weather")
def test_the_graph_of_a_run_leads_to_its_steps_by_mouse_and_keyboard(pages, tab):
    tab.goto(f"{pages.url}runs")
    tab.get_by_role("link", name="report").first.click()
    graph = tab.get_by_role("group", name=re.compile("report, 5 steps"))
    assert graph.get_by_text("75.1 KiB").count() > 2

    graph.get_by_role("link", name=re.compile("^draw: ")).click()
    assert tab.get_by_role("heading", name="draw").is_visible()
    assert tab.get_by_role("img").first.is_visible()

    tab.go_back()
    box = tab.get_by_role("group", name=re.compile("report, 5 steps")).get_by_role("link", name=re.compile("^clean: "))
    box.focus()
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="clean").wait_for()


def test_the_keyboard_reaches_the_content_first_and_shows_where_it_is(pages, tab):
    tab.goto(f"{pages.url}runs")
    tab.keyboard.press("Tab")
    skip = tab.get_by_role("link", name="Skip to the content")
    assert skip.evaluate("each => each === document.activeElement && each.getBoundingClientRect().left >= 0")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"

    tab.goto(f"{pages.url}runs")
    reached = []
    for _ in range(11):
        tab.keyboard.press("Tab")
        active = tab.evaluate_handle("document.activeElement")
        reached.append(active.evaluate("each => each.innerText || each.name"))
        assert active.evaluate("each => getComputedStyle(each).outlineStyle") != "none", reached
    assert reached[1:7] == ["Overview", "Buckets", "Runs", "Names", "Garbage", "Access keys"]
    assert {"workflow", "Show"} <= set(reached)


@pytest.mark.usefixtures("settings")
def test_a_failed_run_says_which_step_failed_and_why(pages, tab):
    @function
    @with_storage
    def broken(n):
        raise KeyError(n)

    @workflow
    def fails(wf):
        return wf.call("broken", {"n": wf.input()["n"]})

    with pytest.raises(KeyError):
        run(fails, {"n": "missing column"})
    tab.goto(f"{pages.url}runs?status=failed")
    tab.get_by_role("link", name="fails").click()
    assert "KeyError" in tab.get_by_role("alert").inner_text()
    assert_heard(tab)
    tab.get_by_role("alert").get_by_role("link", name="broken").click()
    tab.get_by_role("heading", name="broken").wait_for()
    assert "KeyError" in tab.get_by_role("alert").inner_text()
    assert_heard(tab)


def test_a_running_run_is_seen_to_end_without_being_loaded_again(pages, storage, tab):
    step = {"function": "first", "key": "k1", "started": 1, "seconds": 1}
    record(storage, workflow="slow", status="running", steps=[])
    tab.goto(f"{pages.url}run?id={RUN}")
    tab.get_by_text("running", exact=True).first.wait_for()
    tab.evaluate("window.stayed = true")

    record(storage, workflow="slow", status="succeeded", seconds=2, steps=[step])

    tab.get_by_role("link", name=re.compile("^first: ")).wait_for()
    assert tab.evaluate("window.stayed")
    assert tab.get_by_role("button", name="Pause updates").is_hidden()


def test_updates_stop_where_the_reader_stops_them(pages, storage, tab):
    record(storage, workflow="slow", status="running", steps=[])
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{pages.url}run?id={RUN}")
    with tab.expect_response(re.compile("/run")):
        pass
    pause = tab.get_by_role("button", name="Pause updates")
    pause.press("Enter")
    assert pause.get_attribute("aria-pressed") == "true"
    before = len(asked)
    tab.wait_for_function("() => new Promise(done => setTimeout(() => done(true), 5000))")
    assert len(asked) <= before + 1


def test_five_hundred_steps_are_drawn_and_listed(pages, storage, tab):
    steps = [
        {
            "function": f"part_{n % 7}",
            "key": f"k{n}",
            "started": n,
            "seconds": 1,
            "after": [f"k{n - 7}"] if n > 6 else [],
        }
        for n in range(500)
    ]
    record(storage, workflow="wide", status="succeeded", steps=steps)
    tab.goto(f"{pages.url}run?id={RUN}")
    assert_heard(tab)
    tab.get_by_role("link", name="Show every step as a box of its own").click()
    tab.wait_for_function("document.querySelectorAll('.graph a').length === 500")
    tab.get_by_role("link", name="Next").click()
    tab.get_by_text("201 to 400 of 500").wait_for()


def test_a_hundred_thousand_keys_are_shown_in_pages(pages, storage, tab):
    storage.create_bucket(storage.bucket, exist_ok=True)
    for first in range(0, 100_000, 1000):
        storage.put_objects(storage.bucket, {f"many/{n:06}": b"" for n in range(first, first + 1000)})
    tab.goto(f"{pages.url}objects?bucket={storage.bucket}")
    tab.get_by_role("link", name="many/").click()
    tab.get_by_role("link", name="many/000199").wait_for()
    tab.get_by_role("link", name="Next keys").click()
    tab.get_by_role("link", name="many/000200").wait_for()
    tab.get_by_label("Keys that begin with").fill("many/0999")
    tab.keyboard.press("Enter")
    tab.get_by_role("link", name="many/099999").wait_for()
    assert_heard(tab)


def test_texts_of_strangers_do_nothing(pages, storage, tab):
    long = HOSTILE * 80_000
    step = {
        "function": HOSTILE,
        "key": "k",
        "started": 1,
        "seconds": 1,
        "state": "failed",
        **dict.fromkeys(("error", "machine", "version"), HOSTILE),
        **dict.fromkeys(("message", "traceback"), long),
        "in": {HOSTILE: [storage.put(np.array([HOSTILE])).to_json()]},
        "given": {HOSTILE: [long]},
    }
    record(
        storage, workflow=HOSTILE, status="failed", error=HOSTILE, message=long, parameters={"p": long}, steps=[step]
    )
    key = f"strange/{HOSTILE}".replace("\x1b", "")
    storage.put_object(storage.bucket, key, HOSTILE.encode() * 1000, content_type="text/html")
    keys = f"objects?bucket={storage.bucket}&prefix=strange/&flat=1"
    for page in ("", "runs", f"run?id={RUN}", f"step?run={RUN}&step=k", keys):
        assert tab.goto(pages.url + page).status == 200
        assert tab.evaluate("window.taken") is None
        assert tab.locator("main script, main iframe, main object, main [onerror]").count() == 0
        assert_heard(tab)
    (address,) = links(tab, r"/object\?")
    tab.goto(f"http://{pages.host}{address}")
    assert tab.evaluate("window.taken") is None

    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == HOSTILE.encode() * 1000


@pytest.mark.parametrize("tab", [{"locale": "zh-CN"}], indirect=True)
def test_a_chinese_browser_is_shown_chinese(pages, tab):
    tab.goto(pages.url)

    assert tab.get_by_role("heading", name="概览").is_visible()
    assert_heard(tab)


def test_a_server_that_goes_away_and_comes_back_is_told(tab, monkeypatch, tmp_path):
    with local_server(tmp_path.as_uri()) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        pages_of_it = served(opened)
        pages = pages_of_it.__enter__()
        tab.goto(pages.url)
        tab.get_by_text("The server answers").wait_for()
    tab.get_by_role("heading", name=f"No answer from {server.endpoint}").wait_for()
    assert_heard(tab)
    with local_server(tmp_path.as_uri(), listen=server.endpoint):
        tab.get_by_text("The server answers").wait_for()
        pages_of_it.__exit__(None, None, None)
    tab.get_by_role("status").get_by_text("does not answer any more").wait_for()


def test_the_address_without_its_token_shows_nothing(pages, tab):
    assert tab.goto(f"http://{pages.host}/runs").status == 403
    assert tab.goto(f"http://{pages.host}/").status == 403


def test_an_access_key_is_made_changed_and_its_secret_shown_once(tab, tmp_path, monkeypatch):
    key, secret = add_key(tmp_path / KEYS_FILE, [EVERYTHING])
    with local_server(http=True, keys=tmp_path / KEYS_FILE) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
        monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
        with served(opened) as pages:
            tab.goto(pages.url + "access")
            assert_heard(tab)
            tab.get_by_label("read objects").check()
            tab.get_by_label("Comment").fill(HOSTILE)
            tab.get_by_role("button", name="Make the key").click()
            shown = tab.get_by_role("group", name="Variables for programs").inner_text()
            assert_heard(tab)
            # the page that showed it is not made again, whichever way it is come back to
            tab.reload()
            assert "Each form is sent once" in tab.inner_text("main")
            tab.get_by_role("link", name="All keys").click()
            made = shown.split("\n")[0].partition("=")[2]
            tab.get_by_role("link", name=made).click()
            assert_heard(tab)
            tab.get_by_role("button", name="Disable").click()
            tab.get_by_role("button", name="Enable").wait_for()
            assert_heard(tab)
            tab.get_by_role("button", name="Remove").click()
            tab.get_by_role("button", name="Make the key").wait_for()
            left = tab.inner_text("main")
            tab.go_back()
            assert shown.split("\n")[1].partition("=")[2] not in tab.content()

    assert made in {line.partition("=")[2] for line in shown.split("\n")}
    assert made not in left
    assert list(read_keys(tmp_path / KEYS_FILE)) == [key.id]
    assert not tab.evaluate("window.taken")
