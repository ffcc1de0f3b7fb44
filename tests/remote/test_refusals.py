"""What the store refuses is told as what it is, with what to do next, and never with a secret."""

from __future__ import annotations

import os
import uuid

import pytest

from actorc.storage import PermissionError as StoragePermissionError
from actorc.storage import ResourceExhaustedError

pytestmark = pytest.mark.slow


def test_a_gateway_without_its_bucket_does_not_start(start_gateway, real_store):
    missing = real_store._replace(netloc=f"missing-{uuid.uuid4().hex[:12]}")
    code, message = start_gateway(engine=missing.geturl()).wait()

    assert code == 2
    assert "the bucket of the store is not there; make it" in message


def test_a_gateway_with_wrong_credentials_does_not_start(start_gateway, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-and-wrong")
    gateway = start_gateway()
    code, message = gateway.wait()

    assert code == 2
    assert "the store refused this server; look at the server's credentials" in message
    assert "planted-and-wrong" not in "".join(gateway.lines)


def test_a_gateway_whose_store_is_nowhere_does_not_start(start_gateway, real_store, free_port):
    nowhere = real_store._replace(query=f"endpoint=http://127.0.0.1:{free_port}&region=us-east-1")
    code, message = start_gateway(engine=nowhere.geturl()).wait()

    assert code == 2
    assert "the store cannot be reached" in message


def test_credentials_in_the_url_are_refused_and_not_repeated(start_gateway, real_store):
    told = real_store._replace(query=f"{real_store.query}&secret_access_key=planted-and-wrong")
    gateway = start_gateway(engine=told.geturl())
    code, message = gateway.wait()

    assert code == 2
    assert "endpoint, region" in message
    assert "planted-and-wrong" not in "".join(gateway.lines)


def test_a_gateway_whose_user_may_not_touch_the_bucket_does_not_start(ceph, start_gateway, monkeypatch):
    access, secret = f"K{uuid.uuid4().hex[:19].upper()}", uuid.uuid4().hex
    ceph.admin("user", "create", f"--uid={access}", "--display-name=o", f"--access-key={access}", f"--secret={secret}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    gateway = start_gateway()
    code, message = gateway.wait()

    assert code == 2
    assert "the store refused this server" in message
    assert secret not in "".join(gateway.lines)


@pytest.fixture
def suspended(ceph):
    ceph.admin("user", "suspend", "--uid=test")
    yield
    ceph.admin("user", "enable", "--uid=test")


def test_a_suspended_user_gets_a_refusal_from_every_call(client, suspended):
    for call in (
        lambda: client.put_object("bucket", "key", b"data"),
        lambda: client.get_object("bucket", "key"),
        lambda: client.list_objects("bucket"),
    ):
        with pytest.raises(StoragePermissionError):
            call()


@pytest.fixture
def quota(ceph, real_store):
    """The store's bucket holds as many objects as it may."""
    scope = ("--quota-scope=bucket", f"--bucket={real_store.netloc}", "--uid=test")
    ceph.admin("quota", "set", "--max-objects=1", *scope)
    ceph.admin("quota", "enable", *scope)
    yield
    ceph.admin("quota", "disable", *scope)


def test_an_exhausted_quota_is_told_as_such_and_not_tried_again(client, quota):
    with pytest.raises(ResourceExhaustedError) as caught:
        client.put_object("bucket", "key", b"data")

    assert "quota" in caught.value.message.lower()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
