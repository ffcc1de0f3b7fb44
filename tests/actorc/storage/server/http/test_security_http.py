"""Strangers over HTTP, on a server with keys: what each of them makes of a URL, and that nothing comes of it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from actorc.storage import PermissionError
from actorc.storage._wire.call_signing import derived_key
from actorc.storage._wire.url_signing import Grant, sign_url
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.key_file import add_key, disable_key
from actorc.storage.testing import local_server

METHODS = ["GET", "HEAD", "PUT", "DELETE"]
MINE = "mine/"
DAY = 24 * 3600


class Holder:
    """Somebody with a key, who signs what no client of ours would."""

    def __init__(self, file, *allowed):
        key, self.secret = add_key(file, [Statement.parse(text) for text in allowed] or [EVERYTHING])
        self.id = key.id

    def url(self, endpoint, method, key="theirs", *, bucket="bucket", left=60.0, **options):
        grant = Grant(method=method, bucket=bucket, key=key, expires_at=int(time.time() + left), **options)
        return sign_url(endpoint, derived_key(self.secret), self.id, grant)


class Place:
    """A server with keys and an object that is nobody's business, and who may try to get at it."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "keys.json"
        self.admin, self.disabled = Holder(self.file), Holder(self.file)
        self.neighbour = Holder(self.file, f"read,list,write,delete,presign:bucket/{MINE}")
        self.reader = Holder(self.file, "read,presign:bucket")
        self.silent = Holder(self.file, "read,write,delete:bucket")
        self.elsewhere = Holder(folder / "of-another-server.json")
        disable_key(self.file, self.disabled.id)

    @property
    def endpoint(self):
        return self.server.http_endpoint

    def client(self, holder):
        return self.server.client(access_key=holder.id, secret_key=holder.secret)

    def all_there_is(self):
        with self.client(self.admin) as client:
            return {each["key"]: (each["generation"], each["etag"]) for each in client.iter_objects("bucket")}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("place"))
    (made.folder / "secret").write_bytes(b"of this machine")
    with local_server((made.folder / "data").as_uri(), keys=made.file, http=True) as made.server:
        with made.client(made.admin) as client:
            client.put_object("bucket", "theirs", b"theirs")
            client.put_object("bucket", MINE + "key", b"mine")
        yield made


def changed(url, **parameters):
    """Return the URL with other parameters; those that are None are left out."""
    path, _, query = url.partition("?")
    known = dict(parse_qsl(query)) | {f"acs-{name}": value for name, value in parameters.items()}
    return f"{path}?{urlencode({name: value for name, value in known.items() if value is not None})}"


def other(method):
    return "GET" if method in {"PUT", "DELETE"} else "PUT"


FORGED = {
    "unsigned": lambda place, method: place.admin.url(place.endpoint, method).partition("?")[0],
    "no signature": lambda place, method: changed(place.admin.url(place.endpoint, method), sig=None),
    "empty signature": lambda place, method: (
        place.admin.url(place.endpoint, method).partition("acs-sig=")[0] + "acs-sig="
    ),
    "wrong signature": lambda place, method: changed(place.admin.url(place.endpoint, method), sig="0" * 64),
    "part of a signature": lambda place, method: place.admin.url(place.endpoint, method)[:-1],
    "signature in capitals": lambda place, method: changed(
        url := place.admin.url(place.endpoint, method), sig=dict(parse_qsl(url))["acs-sig"].upper()
    ),
    "signature that is no text": lambda place, method: place.admin.url(place.endpoint, method) + "%FF",
    "signature in other letters": lambda place, method: place.admin.url(place.endpoint, method) + "%C3%A9",
    "longer": lambda place, method: changed(place.admin.url(place.endpoint, method), exp=str(int(time.time()) + 3600)),
    "no end": lambda place, method: changed(place.admin.url(place.endpoint, method), exp=None),
    "negative end": lambda place, method: changed(place.admin.url(place.endpoint, method), exp="-1"),
    "end in other digits": lambda place, method: changed(place.admin.url(place.endpoint, method), exp="٩" * 10),
    "method swapped": lambda place, method: changed(place.admin.url(place.endpoint, other(method)), m=method),
    "method in small letters": lambda place, method: changed(place.admin.url(place.endpoint, method), m=method.lower()),
    "key swapped": lambda place, method: place.admin.url(place.endpoint, method, MINE + "key").replace(
        MINE + "key", "theirs"
    ),
    "bucket swapped": lambda place, method: place.admin.url(place.endpoint, method, bucket="other").replace(
        "/other/", "/bucket/"
    ),
    "access key swapped": lambda place, method: changed(
        place.neighbour.url(place.endpoint, method), key=place.admin.id
    ),
    "of another version": lambda place, method: changed(place.admin.url(place.endpoint, method), v="2"),
    "with something unknown": lambda place, method: place.admin.url(place.endpoint, method) + "&acs-new=1",
    "twice": lambda place, method: place.admin.url(place.endpoint, method) + "&acs-m=" + method,
    "disabled key": lambda place, method: place.disabled.url(place.endpoint, method),
    "key of another server": lambda place, method: place.elsewhere.url(place.endpoint, method),
    "key of an open server": lambda place, method: changed(place.admin.url(place.endpoint, method), key="anybody"),
}
REFUSED = {
    "expired": (lambda place, method: place.admin.url(place.endpoint, method, left=-1), "Unauthenticated"),
    "for too long": (lambda place, method: place.admin.url(place.endpoint, method, left=8 * DAY), "Unauthenticated"),
    "another method": (lambda place, method: place.admin.url(place.endpoint, other(method)), "PermissionDenied"),
    "foreign prefix": (lambda place, method: place.neighbour.url(place.endpoint, method), "PermissionDenied"),
    "who may not let others": (lambda place, method: place.silent.url(place.endpoint, method), "PermissionDenied"),
}


def asked(ask, url, method):
    return ask(url, method, b"changed" if method == "PUT" else None)


@pytest.mark.few(8)
@pytest.mark.parametrize("forgery", FORGED)
def test_what_is_forged_is_refused_alike_and_nothing_changes(place, ask, forgery):
    before = place.all_there_is()
    answers = [asked(ask, FORGED[forgery](place, method), method) for method in METHODS]

    assert {answer.status for answer in answers} == {403}
    assert {answer.error for answer in answers if answer.body} == {asked(ask, f"{place.endpoint}/o/", "GET").error}
    assert place.all_there_is() == before


@pytest.mark.parametrize("attempt", REFUSED)
def test_what_is_signed_and_not_allowed_is_refused_and_nothing_changes(place, ask, attempt):
    made, code = REFUSED[attempt]
    before = place.all_there_is()
    answers = [asked(ask, made(place, method), method) for method in METHODS]

    assert {answer.status for answer in answers} == {403}
    assert {answer.error[0] for answer in answers if answer.body} == {code}
    assert place.all_there_is() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_whoever_may_only_read_lets_nobody_change_anything(place, ask, method):
    answer = asked(ask, place.reader.url(place.endpoint, method), method)

    assert (answer.status, answer.error[0]) == (403, "PermissionDenied")


@pytest.mark.parametrize("change", [{"max": "1000000"}, {"max": None}, {"ct": "text/html"}, {"ct": None}])
def test_what_a_url_allows_is_not_stretched(place, ask, change):
    url = place.admin.url(place.endpoint, "PUT", "new", max_size=5, content_type="text/plain")
    answer = ask(changed(url, **change), "PUT", b"too long for it", Content_Type=change.get("ct") or "text/plain")

    assert (answer.status, answer.error[0]) == (403, "Unauthenticated")
    assert "new" not in place.all_there_is()


def test_a_recorded_put_can_be_made_to_work_once(place, ask):
    url = place.admin.url(place.endpoint, "PUT", "once")
    first, second = (ask(url, "PUT", data, If_None_Match="*") for data in (b"first", b"second"))
    with place.client(place.admin) as client:
        stored = client.get_object("bucket", "once")
        client.delete_object("bucket", "once")

    assert (first.status, second.status, stored) == (201, 412, b"first")


PATHS = [
    "/o/bucket/mine/../theirs",
    "/o/bucket/mine/%2e%2e/theirs",
    "/o/bucket/mine%2F..%2Ftheirs",
    "/o/bucket/mine/..%5ctheirs",
    "/o/bucket/mine/%252e%252e/theirs",
    "/o/bucket/mine/key/../../theirs",
    "/o/bucket/./theirs",
    "/o/bucket//theirs",
    "/o/bucket///theirs",
    "/o/bucket/theirs%00",
    "/o/bucket/theirs/",
    "/o/bucket/theirs%20",
    "/o//bucket/theirs",
    "/o/../o/bucket/theirs",
    "//o/bucket/theirs",
    "/O/bucket/theirs",
    "/o/BUCKET/theirs",
    "/o/bucket/%ff",
    "/o/bucket/%c0%ae%c0%ae/theirs",
    "/o/bucket%2Ftheirs",
    "/o/%2e%2e/theirs",
    "/o/bucket/../../../../etc/passwd",
    "/o/bucket/" + "%2e%2e%2f" * 8 + "etc/passwd",
    "/o/bucket/" + "a" * 2000,
    "/healthz/../o/bucket/theirs",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_another_spelling_of_a_path_leads_to_nothing_that_was_not_signed(place, line, path):
    url = place.neighbour.url(place.endpoint, "GET", MINE + "key")
    query = urlsplit(url).query
    answer = line(url.replace(urlsplit(url).path, path), "GET", "Connection: close").rest()

    assert answer.split()[1] in {b"403", b"400"}, answer
    assert query.partition("acs-sig=")[2].encode() not in answer


@pytest.mark.parametrize(
    "key", [MINE + "../theirs", MINE + "..", MINE + "a//b", MINE + "%2e%2e/theirs", MINE + "\\..\\theirs"]
)
def test_a_key_that_looks_like_a_path_is_a_name_in_its_prefix(place, ask, key):
    put, got, gone = (
        asked(ask, place.neighbour.url(place.endpoint, method, key), method) for method in ("PUT", "GET", "DELETE")
    )
    others = {path for path in place.folder.rglob("*") if "data" not in path.parts and path.is_file()}

    assert (put.status, got.body, gone.status) == (201, b"changed", 204)
    assert {path.name for path in others} == {
        "keys.json",
        ".keys.json.lock",
        "secret",
        "of-another-server.json",
        ".of-another-server.json.lock",
    }
    with place.client(place.admin) as client:
        assert client.get_object("bucket", "theirs") == b"theirs"


@pytest.mark.parametrize("key", ["..", "../theirs", "", "\0", "a" * 1025])
def test_nobody_is_given_a_url_for_what_is_not_theirs_or_no_key(place, key):
    with place.client(place.neighbour) as client, pytest.raises((PermissionError, ValueError)):
        client.presign_url("bucket", key)


SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HEADERS = {
    "length and chunks": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "chunks and length": ["Transfer-Encoding: chunked", "Content-Length: 5"],
    "two lengths": ["Content-Length: 5", "Content-Length: 6"],
    "list of lengths": ["Content-Length: 5, 6"],
    "signed length": ["Content-Length: +5"],
    "negative length": ["Content-Length: -5"],
    "length with letters": ["Content-Length: 5x"],
    "chunks that are none": ["Transfer-Encoding: xchunked"],
    "chunks twice": ["Transfer-Encoding: chunked, identity"],
    "space before the colon": ["Transfer-Encoding : chunked"],
    "folded": ["Transfer-Encoding:", " chunked"],
    "nul in a name": ["Transfer\0-Encoding: chunked"],
    "nul in a value": ["X-Other: a\0b"],
    "return in a value": ["X-Other: a\rTransfer-Encoding: chunked"],
    "two hosts": ["Host: elsewhere.example"],
    "no name": [": value"],
    "far too long": ["X-Other: " + "a" * 100_000],
    "far too many": [f"X-{number}: a" for number in range(2000)],
}


@pytest.mark.parametrize("trick", HEADERS)
def test_a_head_that_can_be_read_in_two_ways_is_read_in_none(place, line, trick):
    before = place.all_there_is()
    connection = line(place.admin.url(place.endpoint, "PUT", "new"), "PUT", *HEADERS[trick])
    # it may be refused before all was sent
    with suppress(OSError):
        connection.send(b"0\r\n\r\n" + SMUGGLED)
    answers = connection.rest()

    assert answers[5:12] in {b"1.0 400", b"1.1 411", b"1.1 421", b""}, answers
    assert answers.count(b"HTTP/1.") <= 1
    assert b"running" not in answers
    assert b"aiohttp" not in answers
    assert place.all_there_is() == before


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "", "127.0.0.1", "localhost:1", "127.0.0.1:9001@elsewhere.example"]
)
def test_an_open_server_does_nothing_under_another_name(ask, host):
    with local_server(http=True) as running, running.client() as client:
        client.put_object("bucket", "theirs", b"theirs")
        answers = [
            asked(_hosted(ask, host), client.presign_url("bucket", "theirs", method), method) for method in METHODS
        ]
        pages = ask(running.http_endpoint + "/metrics", Host=host)
        stored = client.get_object("bucket", "theirs")

    assert {answer.status for answer in (*answers, pages)} == {421}
    assert stored == b"theirs"


def _hosted(ask, host):
    return lambda url, method, body: ask(url, method, body, Host=host)


@pytest.mark.parametrize(
    "authority", ["elsewhere.example", "elsewhere.example:80", "user:word@127.0.0.1", "127.0.0.1:1", "[::1]"]
)
def test_a_whole_url_of_another_server_does_nothing_here(place, line, authority):
    url = place.admin.url(place.endpoint, "DELETE")
    own = urlsplit(url)
    foreign = f"http://{authority}{own.path}?{own.query}"
    answer = line(f"{place.endpoint}/x", f"DELETE {foreign} HTTP/1.1\r\nConnection: close\r\nX-Ignored:").rest()

    assert answer.split()[1] in {b"400", b"421"}
    assert "theirs" in place.all_there_is()


def test_no_secret_of_a_url_is_logged_told_or_counted(place, ask, line, caplog):
    caplog.set_level(logging.DEBUG)
    urls = [made(place, method) for made in FORGED.values() for method in METHODS]
    urls += [made(place, method) for made, _ in REFUSED.values() for method in METHODS]
    urls += [place.admin.url(place.endpoint, "GET"), place.admin.url(place.endpoint, "GET", "none")]
    signatures = {dict(parse_qsl(urlsplit(url).query)).get("acs-sig", "") for url in urls} - {"", "0" * 64}
    said = []
    for url in urls:
        answer = ask(url)
        said += [str(answer.headers), answer.body.decode()]
    # what cannot be read as HTTP is refused by others than what can
    said.append(line(urls[-1], "GET", "a\0b: c").rest().decode())
    metrics = ask(place.endpoint + "/metrics")
    said += [str(metrics.headers), metrics.body.decode(), repr(place.server), repr(vars(place.server)), caplog.text]
    everything = "\n".join(said)

    holders = (place.admin, place.disabled, place.neighbour, place.elsewhere)
    planted = [*signatures, *(each.secret for each in holders), *(derived_key(each.secret).hex() for each in holders)]
    assert len(signatures) > 50
    assert [each for each in planted if each in everything or quote(each) in everything] == []
    assert "storage_calls_total" in everything
    assert "GET 200" in everything
