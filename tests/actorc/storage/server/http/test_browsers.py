"""What browsers and libraries of other people make of the HTTP plane."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

import aiohttp
import pytest
import requests

from actorc.storage import StorageClient, UnsupportedError
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server

MANY = {f"name {number}": f"value {number}" for number in range(200)}
LONG = {"long": "x" * 5000, "more": "y" * 3000}
NOT_ASCII = {"größe": "世界" * 600, "author": "Zoë", "Author": "other"}


@pytest.fixture(scope="module")
def place():
    with local_server(http=True) as server, server.client() as client:
        client.create_bucket("bucket")
        client.base = server.http_endpoint
        yield client


@pytest.fixture
def url(place, request):
    """Store an object under a key of this test, and return a URL of it."""

    def stored(data=b"value", *, method="GET", **options):
        place.put_object("bucket", request.node.name, data, **options)
        return place.presign_url("bucket", request.node.name, method)

    return stored


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [
        ("text/plain", "text/plain; charset=utf-8"),
        ("Text/CSV", "Text/CSV; charset=utf-8"),
        ("text/markdown; variant=GFM", "text/markdown; variant=GFM; charset=utf-8"),
        ("text/plain;", "text/plain; charset=utf-8"),
        ("text/plain; charset=latin-1", "text/plain; charset=latin-1"),
        ("text/plain;CHARSET=utf-16", "text/plain;CHARSET=utf-16"),
        ("application/json", "application/json"),
        ("image/png", "image/png"),
    ],
)
def test_text_that_names_no_encoding_is_utf_8(place, url, ask, request, content_type, sent):
    assert ask(url("Grüße".encode(), content_type=content_type)).headers["Content-Type"] == sent
    assert place.head_object("bucket", request.node.name)["content_type"] == content_type


def test_libraries_decode_text_as_it_was_stored(url):
    link = url("Grüße, 世界".encode(), content_type="text/plain")

    async def fetched():
        async with aiohttp.ClientSession() as session, session.get(link) as answer:
            return await answer.text()

    assert requests.get(link, timeout=20).text == asyncio.run(fetched()) == "Grüße, 世界"


def test_a_compressed_file_is_neither_called_by_its_content_nor_unpacked_on_the_way(place):
    place.put_object("bucket", "data.csv.gz", b"\x1f\x8b no csv")
    answer = requests.get(place.presign_url("bucket", "data.csv.gz"), timeout=20)

    assert answer.headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in answer.headers
    assert answer.content == b"\x1f\x8b no csv"


@pytest.mark.parametrize("content_type", ["text/plain", "image/png", "application/json", "unknown/type"])
def test_no_object_acts_in_the_name_of_the_server(url, ask, content_type):
    assert "sandbox" in ask(url(content_type=content_type)).headers["Content-Security-Policy"]


def test_a_pdf_opens_in_the_viewer_of_the_browser(url, ask):
    headers = ask(url(content_type="application/pdf")).headers

    assert "Content-Security-Policy" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("metadata", [MANY, LONG, NOT_ASCII], ids=["many", "long", "not ascii"])
@pytest.mark.parametrize("library", ["http.client", "aiohttp", "curl"])
def test_metadata_is_read_whatever_the_library_takes_as_headers(place, url, ask, request, library, metadata):
    link = url(metadata=metadata)
    head = told_headers(library, ask, link)
    told = {unquote(name[len("x-acs-meta-") :]): unquote(text) for name, text in head.items() if "-acs-meta-" in name}
    missing = int(head.get("x-acs-missing-meta", "0"))

    assert len(told) + missing == len(metadata)
    assert missing > 0
    assert {name.lower(): text for name, text in metadata.items() if name != "author"}.items() >= told.items()

    described = json.loads(ask(link + "&metadata").body)

    assert described["metadata"] == metadata
    info = place.head_object("bucket", request.node.name)
    assert described["last_modified"] == info.pop("last_modified").isoformat()
    assert {name: described[name] for name in info} == info


def told_headers(library, ask, link):
    if library == "curl":
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        ran = subprocess.run(["curl", "-sS", "-I", link], capture_output=True, text=True, timeout=20, check=True)
        lines = [line.partition(": ") for line in ran.stdout.splitlines()[1:] if line]
        return {name.lower(): text for name, _, text in lines}
    if library == "aiohttp":

        async def fetched():
            async with aiohttp.ClientSession() as session, session.get(link) as answer:
                return [(name.lower(), text) for name, text in answer.headers.items()]

        return dict(asyncio.run(fetched()))
    return {name.lower(): text for name, text in ask(link).headers.items()}


def test_little_metadata_is_all_in_the_headers(url, ask):
    assert "x-acs-missing-meta" not in ask(url(metadata={"a": "1", "b": "ü" * 100})).headers


def test_a_description_obeys_the_conditions_of_the_object_it_is_about(url, ask):
    link = url(metadata={"a": "1"}) + "&metadata="
    answer, head = ask(link), ask(link, "HEAD")

    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(answer.body)))
    assert head.headers["Content-Type"] == "application/json; charset=utf-8"
    assert ask(link, If_None_Match=answer.headers["ETag"]).status == 304
    assert ask(link, If_Match='"other"').status == 412


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_description_cannot_be_written(place, url, ask, request, method):
    link = url(metadata={"a": "1"}, method=method) + "&metadata"
    answer = ask(link, method, b"{}" if method == "PUT" else None)

    assert (answer.status, answer.error[0]) == (400, "InvalidParameter")
    assert place.get_object("bucket", request.node.name) == b"value"


def test_the_right_to_write_shows_no_description(url, ask):
    assert ask(url(metadata={"secret": "1"}, method="PUT") + "&metadata").status == 403


@pytest.mark.parametrize("part", ["&metadata2", "&x=metadata", "&metadatax=1"])
def test_what_only_looks_like_the_parameter_gets_the_bytes(url, ask, part):
    assert ask(url() + part).body == b"value"


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.append((tag, dict(attributes)))

    def handle_startendtag(self, tag, attributes):
        assert tag == "meta"
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_root_is_a_page_that_says_what_this_is(place, ask):
    answer = ask(f"{place.base}/")
    page = answer.body.decode()
    tags = Tags(page)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    assert ET.fromstring(page.partition("\n")[2]).find("head/title").text == "lucas-storage"
    assert tags.open == []
    assert [name for name, _ in tags.seen].count("h1") == 1
    assert "object storage server" in page
    assert "lucas-storage presign BUCKET/KEY" in page
    for path in (attributes["href"] for name, attributes in tags.seen if name == "a"):
        assert ask(place.base + path).status == 200
    assert ask(f"{place.base}/?from=elsewhere").body == answer.body
    head = ask(f"{place.base}/", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(answer.body)))
    assert ask(f"{place.base}/", "POST", b"x").status == 405


def test_the_root_loads_and_runs_nothing_but_its_own_style(place, ask):
    answer = ask(f"{place.base}/")
    policy = answer.headers["Content-Security-Policy"].split("; ")
    (style,) = re.findall(rb"<style>(.*?)</style>", answer.body, re.DOTALL)

    assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style).digest()).decode()}'" in policy
    assert {"default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "sandbox"} <= set(policy)
    assert not re.search(rb"<script|<img|<link|<form|src=|http:|https:|style=| on\w+=", answer.body)


def test_the_root_tells_nothing_of_the_server(ask, tmp_path):
    pages = []
    for number in range(2):
        with local_server((tmp_path / str(number)).as_uri(), http=True) as server:
            pages.append(ask(f"{server.http_endpoint}/").body)

    assert pages[0] == pages[1]


def test_another_name_of_this_machine_gets_no_page(place, ask):
    assert ask(f"{place.base}/", Host="elsewhere.example").status == 421


def test_http_is_begun_when_the_first_url_is_asked_for(ask):
    with local_server(http="on-demand") as server, server.client() as client:
        assert server.http_endpoint is None
        client.put_object("bucket", "key", b"value")
        with ThreadPoolExecutor(8) as threads:
            links = list(threads.map(lambda _: client.presign_url("bucket", "key"), range(8)))

        assert len({link.partition("/o/")[0] for link in links}) == 1
        assert ask(links[0]).body == b"value"


def test_http_is_begun_once_though_it_has_no_name_that_others_could_use(tmp_path):
    before = set(threading.enumerate())
    key, secret = add_key(tmp_path / "keys.json", [EVERYTHING])
    with (
        local_server(listen="0.0.0.0:0", http="on-demand", keys=tmp_path / "keys.json") as server,
        StorageClient(f"127.0.0.1:{server.endpoint.rpartition(':')[2]}", key.id, secret) as client,
    ):
        for _ in range(2):
            with pytest.raises(UnsupportedError, match="--public-http-url"):
                client.presign_url("bucket", "key")
        begun = set(threading.enumerate()) - before

    assert [thread.name for thread in begun if "http" in thread.name] == ["storage-http-loop"]


def test_a_url_that_cannot_be_made_for_lack_of_a_library_says_which(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "actorc.storage.server.http.assembly", None)
    with local_server(http="on-demand") as server, server.client() as client:
        with pytest.raises(UnsupportedError, match=re.escape("pip install 'lucas-storage[http]'")):
            client.presign_url("bucket", "key")
        monkeypatch.undo()

        assert client.presign_url("bucket", "key").startswith("http://127.0.0.1:")


@pytest.mark.parametrize("port", ["0", ":0"])
def test_a_port_alone_is_served_on_the_host_of_the_other(ask, port):
    with local_server(listen="[::1]:0", http=port) as server:
        assert server.http_endpoint.startswith("http://[::1]:")
        assert ask(f"{server.http_endpoint}/healthz").body == b"running\n"


def test_names_of_metadata_keep_their_case_in_headers(url, ask):
    headers = ask(url(metadata={"Größe": "1"})).headers

    assert f"x-acs-meta-{quote('Größe')}" in headers.keys()  # noqa: SIM118  # `in` would ignore case
