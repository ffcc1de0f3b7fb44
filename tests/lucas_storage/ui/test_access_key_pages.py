"""Access keys on the pages: who may change them, and that a form is sent once and by a person."""

from __future__ import annotations

import re
from functools import partial

import pytest

from actorc.storage import StorageClient, UnauthenticatedError
from actorc.storage.server.auth.access import EVERYTHING, Statement
from actorc.storage.server.auth.key_file import add_key, disable_key, read_keys
from actorc.storage.server.config import KEYS_FILE
from actorc.storage.testing import local_server

from .conftest import opened, served

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e"
SECRET = re.compile(r"STORAGE_ACCESS_KEY=(AK[A-Z2-7]{18})\nSTORAGE_SECRET_KEY=([\w-]{40})")


class Keyed:
    """The pages of a server with keys, in the hands of who may do everything there, and the file of its keys."""

    def __init__(self, pages, file, server, admin):
        self.pages, self.file, self.server, self.admin = pages, file, server, admin

    def code(self, page="access", **query):
        return self.pages.show(page, **query).page.form_code()

    def add(self, **fields):
        fields = {"once": self.code(), "action": ["read", "list"], "buckets": "bbb", **fields}
        pairs = [
            (name, each) for name, value in fields.items() for each in ([value] if isinstance(value, str) else value)
        ]
        return self.pages.send("access", pairs)

    def change(self, key_id, change, **fields):
        return self.pages.send("key", {"id": key_id, "change": change, "once": self.code("key", id=key_id), **fields})

    def is_let_in(self, key_id, secret):
        with StorageClient(self.server.endpoint, key_id, secret) as client:
            try:
                client.list_buckets()
            except UnauthenticatedError:
                return False
            return True


@pytest.fixture(params=["directory", "elsewhere"])
def keyed(request, tmp_path, monkeypatch):
    """Who may do everything, as the user of the data directory, or by the API with a key."""
    file = tmp_path / KEYS_FILE
    key, secret = add_key(file, [EVERYTHING])
    with local_server(http=True, keys=file) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
        monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
        with served(partial(opened, tmp_path if request.param == "directory" else None)) as pages:
            yield Keyed(pages, file, server, key)


def test_a_key_is_made_and_its_secret_is_shown_once(keyed, caplog):
    caplog.set_level("DEBUG")
    answer = keyed.add(comment=HOSTILE, prefix="reports/")
    ((name, secret),) = SECRET.findall("\n".join(answer.page.parts))

    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "shown this once" in answer.page.text
    assert keyed.is_let_in(name, secret)
    assert [str(each) for each in read_keys(keyed.file)[name].statements] == ["read,list:bbb/reports/"]
    for page, query in (("access", {}), ("key", {"id": name})):
        again = keyed.pages.show(page, **query)
        assert name in again.page.text
        assert secret.encode() not in again.body
        assert again.page.tags.count("script") == 1
        assert "img" not in again.page.tags
    assert secret not in caplog.text


def test_a_form_that_is_sent_again_changes_nothing(keyed):
    code = keyed.code()
    first, second = (keyed.add(once=code) for _ in range(2))

    assert (first.status, second.status) == (200, 409)
    assert not SECRET.search("\n".join(second.page.parts))
    assert "Each form is sent once" in second.page.text
    assert len(read_keys(keyed.file)) == 2


@pytest.mark.parametrize("code", ["", "made-up", "\u0661", "x" * 1000])
def test_a_form_that_no_page_showed_changes_nothing(keyed, code):
    answers = [
        keyed.add(once=code),
        keyed.pages.send("key", {"id": keyed.admin.id, "change": "rotate", "grace": "0", "once": code}),
    ]

    assert {each.status for each in answers} <= {400, 409}
    assert read_keys(keyed.file) == {keyed.admin.id: keyed.admin}


def test_a_key_gets_another_secret_and_the_page_tells_the_end_of_the_former_one(keyed):
    key, old = add_key(keyed.file, [Statement.parse("read:bbb")])
    answer = keyed.change(key.id, "rotate", grace="3600")
    ((_, new),) = SECRET.findall("\n".join(answer.page.parts))

    assert keyed.is_let_in(key.id, old)
    assert keyed.is_let_in(key.id, new)
    assert "Former secret works until 2" in keyed.pages.show("key", id=key.id).page.text
    assert "Former secret" not in keyed.change(key.id, "rotate", grace="0").page.text
    assert not keyed.is_let_in(key.id, old)
    assert not keyed.is_let_in(key.id, new)


def test_a_key_is_disabled_enabled_and_removed(keyed):
    key, secret = add_key(keyed.file, [Statement.parse("read:bbb")])
    answers = []
    for change, is_let_in in (("disable", False), ("enable", True), ("disable", False), ("remove", False)):
        answers.append(keyed.change(key.id, change).page.text)
        assert keyed.is_let_in(key.id, secret) is is_let_in

    assert "disabled" in answers[0]
    assert "enabled" in answers[1]
    assert key.id not in answers[3]
    assert list(read_keys(keyed.file)) == [keyed.admin.id]
    assert keyed.pages.show("key", id=key.id).status == 404


def test_the_key_in_use_can_be_rotated_and_not_ended(keyed):
    page = keyed.pages.show("key", id=keyed.admin.id).page

    assert "This is the key that this page uses" in page.text
    changes = [value for tag, name, value in page.attributes if (tag, name) == ("input", "value")]
    assert "rotate" in changes
    assert "disable" not in changes


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"action": []}, 400),
        ({"action": ["fly"]}, 400),
        ({"buckets": ""}, 400),
        ({"action": ["admin"], "prefix": "x"}, 400),
        ({"comment": "x" * 70_000}, 400),
    ],
)
def test_a_key_for_nothing_or_for_nonsense_is_not_made(keyed, fields, status):
    assert keyed.add(**fields).status == status
    assert len(read_keys(keyed.file)) == 1


@pytest.mark.parametrize(
    ("page", "headers", "status"),
    [
        ("access", {"Origin": "https://attacker.example"}, 403),
        ("access", {"Origin": "null"}, 403),
        ("access", {"Content-Type": "text/plain"}, 400),
        ("access", {"Content-Type": "multipart/form-data; boundary=x"}, 400),
        ("runs", {}, 404),
        ("style.css", {}, 404),
        ("download", {}, 404),
        ("", {}, 404),
    ],
)
def test_a_form_of_another_site_or_for_another_page_changes_nothing(keyed, page, headers, status):
    fields = {"once": keyed.code(), "action": "read", "buckets": "*"}

    assert keyed.pages.send(page, fields, **headers).status == status
    assert len(read_keys(keyed.file)) == 1


def test_an_address_alone_changes_nothing(keyed):
    code = keyed.code()
    keyed.pages.show("access", once=code, action="read", buckets="*")
    keyed.pages.show("key", once=code, id=keyed.admin.id, change="rotate")

    assert read_keys(keyed.file) == {keyed.admin.id: keyed.admin}


def test_a_change_that_cannot_be_made_tells_why_and_leads_back(keyed):
    key, _ = add_key(keyed.file, [Statement.parse("read:bbb")])
    rotated = [keyed.change(key.id, "rotate", grace="3600") for _ in range(3)]
    enabled, gone = keyed.change(key.id, "remove"), keyed.change(keyed.admin.id, "enable", id="AKNOBODY")

    assert [each.status for each in (*rotated, enabled, gone)] == [200, 200, 409, 409, 404]
    assert "still valid" in rotated[2].page.text
    assert "disable it before" in enabled.page.text
    assert any(each.endswith("/access") for each in rotated[2].page.links())


def test_an_unknown_change_is_none(keyed):
    key, _ = add_key(keyed.file, [Statement.parse("read:bbb")])

    assert keyed.change(key.id, "__class__").status == 400


def test_the_pages_of_a_key_are_there_in_chinese(keyed):
    page = keyed.pages.show("key", "zh", id=keyed.admin.id).page

    assert "更换秘密密钥" in page.text
    assert "允许" in keyed.pages.show("access", "zh").page.text


@pytest.mark.parametrize("allowed", ["read,list:*", None])
def test_who_may_not_do_everything_is_shown_no_keys(tmp_path, monkeypatch, allowed):
    file = tmp_path / KEYS_FILE
    admin, _ = add_key(file, [EVERYTHING])
    key, secret = add_key(file, [Statement.parse(allowed or "read,list,write,delete,presign:*")])
    with local_server(http=True, keys=file) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
        monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
        with served(opened) as pages:
            shown = pages.show("access")
            one = pages.show("key", id=admin.id)

    assert shown.status == 200
    assert "shown to who may do everything" in shown.page.text
    assert admin.id.encode() not in shown.body
    assert one.status == 404
    assert "form" not in shown.page.tags


def test_a_server_that_is_not_reached_over_http_says_who_may_see_its_keys(tmp_path, monkeypatch):
    file = tmp_path / KEYS_FILE
    key, secret = add_key(file, [EVERYTHING])
    with local_server(keys=file) as server:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("STORAGE_ACCESS_KEY", key.id)
        monkeypatch.setenv("STORAGE_SECRET_KEY", secret)
        with served(opened) as pages:
            assert "at a server with HTTP" in pages.show("access").page.text


def test_a_page_whose_own_key_was_disabled_says_so(keyed):
    code = keyed.code()
    add_key(keyed.file, [EVERYTHING])
    disable_key(keyed.file, keyed.admin.id)
    answer = keyed.pages.send("access", {"once": code, "action": "read", "buckets": "*"})

    assert answer.status == 403
    assert len(read_keys(keyed.file)) == 2
