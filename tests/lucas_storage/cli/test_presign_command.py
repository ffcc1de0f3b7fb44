from __future__ import annotations

import json
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest

from actorc.storage.testing import local_server


@pytest.fixture(scope="module")
def server():
    with local_server(auto_create_buckets=False, http=True) as running:
        yield running


def fetched(url, method="GET", data=None, **headers):
    request = urllib.request.Request(url, data, {name.replace("_", "-"): text for name, text in headers.items()})
    request.method = method
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read()


@pytest.mark.parametrize("target", ["my-bucket/a b", "lucas://default/my-bucket/a%20b"])
def test_the_url_that_is_printed_is_good(invoke, client, target):
    client.put_object("my-bucket", "a b", b"value")
    result = invoke("presign", target)

    assert (result.exit_code, result.stderr) == (0, "")
    assert fetched(result.stdout.strip()) == b"value"


def test_a_url_to_send_something_with_its_limits(invoke, client):
    limits = ("--max-size", "1KiB", "--content-type", "text/plain")
    url = invoke("presign", "my-bucket/inbox", "--method", "put", *limits).stdout.strip()
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetched(url, "PUT", bytes(1025), Content_Type="text/plain")
    refused.value.close()
    fetched(url, "PUT", bytes(1024), Content_Type="text/plain")
    info = client.head_object("my-bucket", "inbox")

    assert (refused.value.code, info["size"], info["content_type"]) == (413, 1024, "text/plain")


def test_a_program_gets_a_record(invoke):
    result = invoke("presign", "my-bucket/key", "--expires", "7d", "--json")
    record = json.loads(result.stdout)

    assert record.pop("url").startswith("http://127.0.0.1:")
    assert record == {"bucket": "my-bucket", "key": "key", "method": "GET", "expires": 7 * 24 * 3600}


def test_with_keys_and_the_endpoint_no_server_is_asked(invoke, monkeypatch):
    monkeypatch.setenv("STORAGE_ENDPOINT", "127.0.0.1:1")
    monkeypatch.setenv("STORAGE_HTTP_ENDPOINT", "https://storage.example.org")
    monkeypatch.setenv("STORAGE_ACCESS_KEY", "AK")
    monkeypatch.setenv("STORAGE_SECRET_KEY", "secret")
    url = invoke("presign", "my-bucket/key", "--max-size", "5", "--method", "PUT").stdout.strip()
    parameters = {name: texts[0] for name, texts in parse_qs(urlsplit(url).query).items()}

    assert url.startswith("https://storage.example.org/o/my-bucket/key?")
    assert (parameters["acs-key"], parameters["acs-m"], parameters["acs-max"]) == ("AK", "PUT", "5")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["my-bucket"], 2, "names no object"),
        (["my-bucket/key", "--expires", "8d"], 2, "at most 7d"),
        (["my-bucket/key", "--expires", "soon"], 2, "is not a length of time, such as 90s, 15m, 48h or 30d"),
        (["my-bucket/key", "--max-size", "ten"], 2, "is not a number of bytes, such as 4096, 10MiB or 5GB"),
        (["my-bucket/key", "--max-size", "10"], 2, "leave them out"),
        (["my-bucket/key", "--method", "POST"], 2, "POST"),
    ],
)
def test_what_makes_no_sense_is_refused(invoke, arguments, code, said):
    result = invoke("presign", *arguments)

    assert result.exit_code == code
    assert said in result.stderr


def test_a_server_that_is_not_reached_over_http_is_no_help(invoke, monkeypatch):
    with local_server() as without:
        monkeypatch.setenv("STORAGE_ENDPOINT", without.endpoint)
        result = invoke("presign", "my-bucket/key")

    assert (result.exit_code, "--http" in result.stderr) == (1, True)
