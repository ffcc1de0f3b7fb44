"""What presigned URLs do to objects: as a program, curl and a browser see it."""

from __future__ import annotations

import os
import shutil
import subprocess
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from actorc.storage import NotFoundError
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server

MiB = 1 << 20
KEYS = [
    "a b/ü%.txt",
    "..",
    ".",
    "a/../b",
    "a/./b",
    "a//b",
    "a/",
    "%2e%2e/x",
    "%2F",
    "a?b#c&d=e",
    "a+b",
    "a\\b",
    "a\nb",
    "\x7f",
    "😀" * 1024,
]


@pytest.fixture(scope="module")
def plane():
    with local_server(http=True) as server, server.client() as client:
        client.create_bucket("bucket")
        yield client


@pytest.fixture
def put(plane, request):
    """Store an object under a key of this test alone; return the key."""

    def stored(data=b"0123456789", **options):
        key = request.node.name
        plane.put_object("bucket", key, data, **options)
        return key

    return stored


@pytest.fixture
def signed(plane, request):
    """Return a URL for the key of this test."""

    def url(method="GET", key=None, **options):
        return plane.presign_url("bucket", key or request.node.name, method, **options)

    return url


def test_an_object_is_got_with_what_is_known_of_it(plane, put, signed, ask):
    put(b"value", content_type="text/plain", metadata={"Autor": "Zoë", "a b": "100 %"})
    answer = ask(signed())
    info = plane.head_object("bucket", "test_an_object_is_got_with_what_is_known_of_it")

    assert (answer.status, answer.body) == (200, b"value")
    told = {name.lower(): value for name, value in answer.headers.items()}
    assert told.pop("date")
    assert len(told.pop("x-acs-request-id")) == 32
    assert told == {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-length": "5",
        "content-security-policy": "sandbox",
        "content-type": "text/plain; charset=utf-8",
        "etag": f'"{info["etag"]}"',
        "last-modified": format_datetime(info["last_modified"], usegmt=True),
        "referrer-policy": "no-referrer",
        "server": "lucas-storage",
        "x-acs-crc32c": info["crc32c"],
        "x-acs-generation": str(info["generation"]),
        "x-acs-meta-a%20b": "100%20%25",
        "x-acs-meta-autor": "Zo%C3%AB",
        "x-content-type-options": "nosniff",
    }


@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key)[:20])
def test_any_key_is_reached_exactly(plane, ask, key):
    written = ask(plane.presign_url("bucket", key, "PUT"), "PUT", b"over HTTP")
    read = ask(plane.presign_url("bucket", key))

    assert (written.status, read.body) == (201, b"over HTTP")
    assert plane.get_object("bucket", key) == b"over HTTP"


@pytest.mark.parametrize("authority", ["elsewhere.example", "elsewhere.example:{port}", "user@127.0.0.1:{port}", ""])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_whole_url_of_another_server_is_refused(tmp_path, line, authority, keyed):
    file = tmp_path / "keys.json"
    key, secret = add_key(file, [EVERYTHING])
    keys = {"access_key": key.id, "secret_key": secret} if keyed else {}
    with local_server(http=True, keys=file if keyed else None) as server, server.client(**keys) as client:
        client.put_object("bucket", "key", b"value")
        url = client.presign_url("bucket", "key")
        own = urlsplit(url).netloc
        foreign = url.replace(own, authority.format(port=own.rpartition(":")[2]))
        refused = line(url.replace("/o/", "/x/"), f"GET {foreign} HTTP/1.1\r\nConnection: close\r\nX-Ignored:").rest()

    assert refused.split()[1] in {b"400", b"421"}
    assert b"value" not in refused


def test_a_proxy_may_send_the_whole_url(put, signed, line):
    put(b"value")
    url = signed()
    connection = line(url)
    connection.close()
    absolute = line(url.replace("/o/", "/x/"), f"GET {url} HTTP/1.1\r\nConnection: close\r\nX-Ignored:")

    assert absolute.rest().endswith(b"\r\n\r\nvalue")


def test_head_is_get_without_the_bytes(put, signed, ask):
    put(b"value", content_type="text/plain")
    got, headed = ask(signed()), ask(signed(), "HEAD")
    alone = ask(signed("HEAD"), "HEAD")

    varying = {"Date", "x-acs-request-id"}
    assert (headed.status, headed.body) == (200, b"")
    assert [
        {name: value for name, value in each.headers.items() if name not in varying} for each in (headed, alone)
    ] == [{name: value for name, value in got.headers.items() if name not in varying}] * 2


@pytest.mark.parametrize(
    ("asked", "body", "range_"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("Bytes = 9-9", b"9", "bytes 9-9/10"),
    ],
)
def test_a_range_is_answered_with_its_bytes(put, signed, ask, asked, body, range_):
    put()
    answer = ask(signed(), Range=asked)

    assert (206, body, range_) == (answer.status, answer.body, answer.headers["Content-Range"])
    assert str(len(body)) == answer.headers["Content-Length"]


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_without_a_byte_of_the_object_is_refused(put, signed, ask, asked):
    put()
    answer = ask(signed(), Range=asked)

    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */10")
    assert answer.error[0] == "InvalidRange"


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-2", "lines=0-1", "bytes=x", "bytes=-", "0-1"])
def test_several_ranges_and_what_is_none_get_the_whole_object(put, signed, ask, asked):
    put()
    answer = ask(signed(), Range=asked)

    assert (answer.status, answer.body) == (200, b"0123456789")


def test_a_range_across_blocks_of_a_large_object(put, signed, ask):
    data = os.urandom(3 * MiB + 17)
    put(data)
    first, last = MiB - 5, 3 * MiB + 2

    assert data[first : last + 1] == ask(signed(), Range=f"bytes={first}-{last}").body
    assert data == ask(signed()).body


def test_an_empty_object_has_no_range(put, signed, ask):
    put(b"")

    assert (ask(signed()).status, ask(signed()).body) == (200, b"")
    assert ask(signed(), Range="bytes=0-").status == 416


@pytest.fixture
def known(put, signed, ask):
    """Store an object; return its etag and time, and those of another one."""
    put()
    headers = ask(signed(), "HEAD").headers
    modified = parsedate_to_datetime(headers["Last-Modified"])
    return {
        "etag": headers["ETag"],
        "then": headers["Last-Modified"],
        "before": format_datetime(modified.replace(year=modified.year - 1), usegmt=True),
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": "{etag}"}, 200),
        ({"If_Match": '"other", {etag}'}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_Match": "W/{etag}"}, 412),
        ({"If_None_Match": "{etag}"}, 304),
        ({"If_None_Match": 'W/{etag},"other"'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"other"'}, 200),
        ({"If_Modified_Since": "{then}"}, 304),
        ({"If_Modified_Since": "{before}"}, 200),
        ({"If_Modified_Since": "no date"}, 200),
        ({"If_Modified_Since": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 200),
        ({"If_Unmodified_Since": "Mon, 01 Jan 2026 00:00:00 +99999999999999999999"}, 200),
        ({"If_Unmodified_Since": "{then}"}, 200),
        ({"If_Unmodified_Since": "{before}"}, 412),
        ({"If_None_Match": '"other"', "If_Modified_Since": "{then}"}, 200),
        ({"If_Match": "{etag}", "If_Unmodified_Since": "{before}"}, 200),
        ({"Range": "bytes=0-1", "If_Range": "{etag}"}, 206),
        ({"Range": "bytes=0-1", "If_Range": '"other"'}, 200),
        ({"Range": "bytes=0-1", "If_Range": "{then}"}, 206),
        ({"Range": "bytes=0-1", "If_Range": "{before}"}, 200),
        ({"Range": "bytes=0-1", "If_Range": "Mon, 01 Jan 2026 99999999999999999999:00:00 GMT"}, 200),
        ({"Range": "bytes=99-", "If_None_Match": "{etag}"}, 304),
    ],
    ids=str,
)
def test_a_condition_is_judged_before_bytes_are_sent(known, signed, ask, headers, status):
    filled = {name: value.format(**known) for name, value in headers.items()}
    answer = ask(signed(), **filled)

    assert status == answer.status
    assert status != 304 or (answer.body, answer.headers["ETag"]) == (b"", known["etag"])


def test_what_is_not_there_is_not_found(signed, ask):
    answer = ask(signed())

    assert (answer.status, answer.error[0]) == (404, "NotFound")
    assert answer.headers["x-acs-request-id"] in answer.body.decode()


def test_what_is_put_is_there(plane, signed, ask, request):
    data = os.urandom(2 * MiB + 1)
    created = ask(signed("PUT"), "PUT", data, Content_Type="image/png")
    replaced = ask(signed("PUT"), "PUT", b"other", Content_Type="image/png")
    info = plane.head_object("bucket", request.node.name)

    assert (created.status, replaced.status) == (201, 200)
    assert (f'"{info["etag"]}"', str(info["generation"])) == (
        replaced.headers["ETag"],
        replaced.headers["x-acs-generation"],
    )
    assert (info["size"], info["content_type"], info["metadata"]) == (5, "image/png", {})


def test_a_body_in_chunks_is_put_whole(plane, signed, ask, request):
    pieces = [os.urandom(700_000) for _ in range(4)]

    assert ask(signed("PUT"), "PUT", iter(pieces)).status == 201
    assert b"".join(pieces) == plane.get_object("bucket", request.node.name)


def test_an_empty_body_makes_an_empty_object(plane, signed, ask, request):
    assert ask(signed("PUT"), "PUT", b"", Content_Length="0").status == 201
    assert plane.head_object("bucket", request.node.name)["size"] == 0


def test_a_content_type_that_is_not_sent_is_guessed(plane, ask):
    ask(plane.presign_url("bucket", "page.html", "PUT"), "PUT", b"<p>")

    assert plane.head_object("bucket", "page.html")["content_type"] == "text/html"


def test_as_many_bytes_as_allowed_are_stored(signed, ask):
    assert ask(signed("PUT", max_size=5), "PUT", b"12345").status == 201


@pytest.mark.parametrize("body", [b"123456", iter([b"123", b"456"])], ids=["declared", "in chunks"])
def test_a_byte_more_than_allowed_is_refused_and_nothing_is_stored(plane, signed, ask, request, body):
    answer = ask(signed("PUT", max_size=5), "PUT", body)

    assert (answer.status, answer.error[0]) == (413, "TooLarge")
    assert not plane.object_exists("bucket", request.node.name)


def test_a_body_without_end_is_refused_while_it_is_sent(plane, signed, line, request):
    connection = line(signed("PUT", max_size=5), "PUT", "Transfer-Encoding: chunked")
    connection.send(b"6\r\n123456\r\n100000\r\n")
    head = connection.heard()

    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in head
    assert not plane.object_exists("bucket", request.node.name)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Content-Length: 6", "Content-Type: text/plain"], b"413"),
        (["Content-Length: 5", "Content-Type: text/html"], b"415"),
        (["Content-Length: 5", "Content-Type: text/plain", "If-None-Match: *"], b"412"),
        (["Content-Length: 5", "Content-Type: text/plain"], b"100"),
    ],
    ids=["too large", "wrong type", "taken", "right"],
)
def test_whoever_asks_first_is_answered_before_sending(put, signed, line, headers, status):
    put()
    url = signed("PUT", max_size=5, content_type="text/plain")

    assert line(url, "PUT", "Expect: 100-continue", *headers).heard().split()[1] == status


@pytest.mark.parametrize("sent", [{}, {"Content_Type": "text/html"}, {"Content_Type": "text/plain; charset=utf-8"}])
def test_another_content_type_than_the_signed_one_is_refused(plane, signed, ask, request, sent):
    answer = ask(signed("PUT", content_type="text/plain"), "PUT", b"x", **sent)

    assert (answer.status, answer.error[0]) == (415, "UnsupportedMediaType")
    assert not plane.object_exists("bucket", request.node.name)


def test_the_signed_content_type_is_stored(plane, signed, ask, request):
    ask(signed("PUT", content_type="text/plain"), "PUT", b"x", Content_Type="text/plain")

    assert plane.head_object("bucket", request.node.name)["content_type"] == "text/plain"


def test_encoded_content_is_refused_for_nobody_could_decode_it_later(signed, ask):
    assert ask(signed("PUT"), "PUT", b"x", Content_Encoding="gzip").status == 415


def test_a_body_of_unknown_length_is_refused(signed, line):
    assert line(signed("PUT"), "PUT").heard().startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(
    ("header", "sent"),
    [
        ("Content-Length: 10", b"12345"),
        ("Transfer-Encoding: chunked", b"5\r\n12345\r\n"),
        ("Transfer-Encoding: chunked", b"5\r\n12345\r\nnonsense\r\n"),
    ],
    ids=["declared", "chunked", "malformed"],
)
def test_a_connection_that_breaks_publishes_nothing(plane, signed, line, told, request, header, sent):
    connection = line(signed("PUT"), "PUT", header, "Expect: 100-continue")
    connection.heard()
    connection.send(sent)
    connection.close()
    (line_of_log,) = told("PUT")

    assert line_of_log.startswith(("PUT 499 ", "PUT 400 "))
    assert not plane.object_exists("bucket", request.node.name)


def test_a_put_may_demand_that_the_key_is_free(signed, ask):
    first = ask(signed("PUT"), "PUT", b"first", If_None_Match="*")
    second = ask(signed("PUT"), "PUT", b"second", If_None_Match="*")

    assert (first.status, second.status) == (201, 412)
    assert (ask(signed()).body, second.error[0]) == (b"first", "AlreadyExists")


def test_a_put_may_demand_the_object_it_replaces(put, signed, ask):
    put()
    etag = ask(signed(), "HEAD").headers["ETag"]
    first = ask(signed("PUT"), "PUT", b"first", If_Match=etag)
    second = ask(signed("PUT"), "PUT", b"second", If_Match=etag)

    assert (first.status, second.status) == (200, 412)
    assert (ask(signed()).body, second.error[0]) == (b"first", "PreconditionFailed")


@pytest.mark.parametrize(
    "headers",
    [
        {"If_Match": "*"},
        {"If_Match": '"a", "b"'},
        {"If_Match": 'W/"a"'},
        {"If_None_Match": '"a"'},
        {"If_Match": '"a"', "If_None_Match": "*"},
        {"If_Unmodified_Since": "Mon, 23 Nov 2026 00:00:00 GMT"},
        {"Content_Range": "bytes 0-1/2"},
    ],
    ids=str,
)
def test_a_condition_that_cannot_be_kept_is_refused_and_not_ignored(signed, ask, headers):
    answer = ask(signed("PUT"), "PUT", b"x", **headers)

    assert (answer.status, ask(signed()).status) == (400, 404)


def test_what_is_deleted_is_gone(put, signed, ask):
    put()
    first, second = ask(signed("DELETE"), "DELETE"), ask(signed("DELETE"), "DELETE")

    assert [(each.status, each.body) for each in (first, second)] == [(204, b""), (204, b"")]
    assert ask(signed()).status == 404


def test_a_delete_may_demand_the_object_it_removes(put, signed, ask):
    put()
    etag = ask(signed(), "HEAD").headers["ETag"]

    assert ask(signed("DELETE"), "DELETE", If_Match='"other"').status == 412
    assert ask(signed("DELETE"), "DELETE", If_Match=etag).status == 204


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "text/xsl",
        "multipart/x-mixed-replace; boundary=x",
        "multipart/related",
        "message/rfc822",
        " text/html",
        "text/html,text/plain",
    ],
)
def test_what_could_run_scripts_is_neither_shown_nor_allowed_to(put, signed, ask, content_type):
    put(b"<script>alert(1)</script>", content_type=content_type)
    headers = ask(signed()).headers

    assert headers["Content-Disposition"] == "attachment"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_pictures_are_shown(put, signed, ask):
    put(b"png", content_type="image/png")

    headers = ask(signed()).headers

    assert "Content-Disposition" not in headers
    # no `default-src`: the picture is a document that loads itself
    assert headers["Content-Security-Policy"] == "sandbox"


def test_a_content_type_that_no_header_can_carry_is_not_told(put, signed, ask):
    put(b"x", content_type="text/ü")

    assert ask(signed()).headers["Content-Type"] == "application/octet-stream"


def test_a_connection_serves_one_request_after_the_other(put, signed, line):
    put(b"value")
    connection = line(signed())
    first = connection.heard(b"value")
    parts = signed().partition("/o/")
    connection.send(f"GET /o/{parts[2]} HTTP/1.1\r\nHost: {parts[0].removeprefix('http://')}\r\n\r\n".encode())

    assert [first[:12], connection.heard(b"value")[:12]] == [b"HTTP/1.1 200"] * 2


@pytest.mark.slow
def test_damage_on_the_disk_is_never_taken_for_the_object(ask, line, tmp_path):
    data = os.urandom(3 * MiB)
    with local_server((tmp_path / "data").as_uri(), http=True) as server, server.client() as client:
        for key in ("first", "last"):
            client.put_object("bucket", key, data)
        for blob in (path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()):
            flip(blob, data, 2 * MiB + 5)
        broken_off = line(client.presign_url("bucket", "first"), "GET", "Connection: close").rest()
        at_once = ask(client.presign_url("bucket", "last"), Range=f"bytes={2 * MiB}-")

    head, _, body = broken_off.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(data)}".encode() in head
    assert body == data[: 2 * MiB]
    assert (at_once.status, at_once.error[0]) == (500, "Integrity")


def flip(path: Path, data: bytes, at: int) -> None:
    changed = bytearray(data)
    changed[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(changed)


@pytest.fixture
def curl(tmp_path):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")

    def run(*arguments):
        command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "20", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, cwd=tmp_path, check=False)

    return run


@pytest.mark.few(6)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key)[:20])
def test_curl_gets_and_puts_any_key(plane, curl, tmp_path, key):
    (tmp_path / "file").write_bytes(data := os.urandom(2 * MiB))
    put = curl("--upload-file", "file", plane.presign_url("bucket", key, "PUT"))
    got = curl(plane.presign_url("bucket", key))

    assert (put.returncode, put.stderr) == (0, b"")
    assert (data, data) == (got.stdout, plane.get_object("bucket", key))


def test_curl_resumes_a_download_and_understands_a_refusal(plane, put, signed, curl, tmp_path, request):
    put(b"0123456789")
    (tmp_path / "part").write_bytes(b"0123")
    resumed = curl("--continue-at", "-", "--output", "part", signed())
    curl("--request", "DELETE", signed("DELETE"))
    missing = curl(signed())

    assert (resumed.returncode, (tmp_path / "part").read_bytes()) == (0, b"0123456789")
    assert (missing.returncode, b'"code": "NotFound"' in missing.stdout) == (22, True)
    with pytest.raises(NotFoundError):
        plane.head_object("bucket", request.node.name)
