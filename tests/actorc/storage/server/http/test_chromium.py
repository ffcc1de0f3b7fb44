"""What a real browser makes of the HTTP plane; needs Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread

import pytest

from actorc.storage.testing import local_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [pytest.mark.ecosystem, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

SCRIPT = "<script>parent.postMessage('ran', '*')</script>"
DOCUMENTS = {
    "text/html": f"<!DOCTYPE html><title>quiet</title>{SCRIPT}",
    "image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'>{SCRIPT}</svg>",
    "application/xhtml+xml": f"<html xmlns='http://www.w3.org/1999/xhtml'><body>{SCRIPT}</body></html>",
    "text/plain": f"<!DOCTYPE html><title>quiet</title>{SCRIPT}",
    "unknown/type": f"<!DOCTYPE html><title>quiet</title>{SCRIPT}",
}
FRAMES = """<!DOCTYPE html>
<script>
const heard = [];
onmessage = event => heard.push(event.source === frames[0] ? "object" : "control");
onload = () => setTimeout(() => fetch("/heard", {method: "POST", body: heard.join(" ")}), 300);
</script>
<iframe src="%s"></iframe>
<iframe srcdoc="%s"></iframe>
"""
"""An object in a frame, which may be downloaded instead of shown, beside a document that nothing keeps from running."""


@pytest.fixture(scope="module")
def place():
    with local_server(http=True) as server, server.client() as client:
        client.base = server.http_endpoint
        yield client


@pytest.fixture
def browser(tmp_path):
    """Start the browser with further arguments; it is gone after the test."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    started = []

    def start(*arguments):
        started.append(subprocess.Popen([CHROMIUM, *options, "--enable-logging=stderr", *arguments], **pipes))
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):  # all of its processes
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def heard(browser):
    """Return who ran a script: show an object in a frame of a page of another origin, which is told by those who do."""
    told = SimpleQueue()

    def ran(url):
        page = (FRAMES % (escape(url), escape(SCRIPT))).encode()

        class Page(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(page)

            def do_POST(self):
                told.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            browser(f"http://localhost:{server.server_port}/")
            try:
                return told.get(timeout=90).split()
            finally:
                server.shutdown()

    return ran


def test_the_root_is_shown_without_a_violation_of_its_policy(place, browser):
    page, said = browser("--dump-dom", f"{place.base}/").communicate(timeout=90)

    assert "<h1>lucas-storage</h1>" in page
    assert "Content Security Policy" not in said


def test_text_is_shown_in_its_encoding(place, browser):
    place.put_object("bucket", "text.txt", "Grüße, 世界".encode())
    page, _ = browser("--dump-dom", place.presign_url("bucket", "text.txt")).communicate(timeout=90)

    assert "Grüße, 世界" in page


@pytest.mark.parametrize("content_type", DOCUMENTS)
def test_no_script_of_an_object_runs(place, heard, content_type):
    place.put_object("bucket", "document", DOCUMENTS[content_type].encode(), content_type=content_type)

    assert heard(place.presign_url("bucket", "document")) == ["control"]
