"""The file system as an object: options, shared clients, pickles, threads and forks."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import threading

import pytest

from actorc.storage.testing import local_server
from lucas_storage import storage_context

fsspec = pytest.importorskip("fsspec")
LucasFileSystem = pytest.importorskip("lucas_storage.filesystem.filesystem").LucasFileSystem

SECRETS = {"access_key": "AK-planted", "secret_key": "SK-planted-secret"}


def test_fsspec_finds_the_file_system_by_its_protocol(fs):
    assert fsspec.get_filesystem_class("lucas") is LucasFileSystem
    found, path = fsspec.url_to_fs("lucas://bucket/a b#c%41?d", endpoint=fs.client.endpoint)
    assert (found, path) == (fs, "bucket/a b#c%41?d")
    assert fs.unstrip_protocol(path) == "lucas://bucket/a b#c%41?d"


@pytest.mark.parametrize(
    ("path", "stripped"),
    [
        ("lucas://bucket/key", "bucket/key"),
        ("lucas://bucket/dir/", "bucket/dir"),
        ("lucas://", ""),
        ("/", ""),
        ("/bucket/key", "bucket/key"),
        (["lucas://a/b", "c/d"], ["a/b", "c/d"]),
    ],
)
def test_a_path_is_what_follows_the_protocol(path, stripped):
    assert LucasFileSystem._strip_protocol(path) == stripped


def test_without_options_it_follows_the_settings(monkeypatch):
    with local_server() as first, local_server() as second:
        monkeypatch.setenv("STORAGE_ENDPOINT", first.endpoint)
        fs = fsspec.filesystem("lucas")
        fs.pipe_file("bucket/key", b"first")
        monkeypatch.setenv("STORAGE_ENDPOINT", second.endpoint)

        assert not fs.exists("bucket/key")
        with storage_context(endpoint=first.endpoint):
            assert fs.cat_file("bucket/key") == b"first"


def test_a_profile_names_the_server(endpoint, tmp_path, monkeypatch):
    (tmp_path / "lucas-storage.toml").write_text(f'[profiles.lab]\nendpoint = "{endpoint}"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert fsspec.filesystem("lucas", profile="lab").client.endpoint == endpoint


def test_an_option_that_is_not_known_is_refused_at_once(endpoint):
    with pytest.raises(TypeError, match="endpont"):
        fsspec.filesystem("lucas", endpont=endpoint)
    with pytest.raises(ValueError, match="not an endpoint"):
        fsspec.filesystem("lucas", endpoint="http://no")
    with pytest.raises(ValueError, match="go together"):
        fsspec.filesystem("lucas", endpoint=endpoint, access_key="alone")
    fsspec.filesystem("lucas", endpoint=endpoint, use_listings_cache=False, skip_instance_cache=True)


def test_instances_with_the_same_options_share_one_client(endpoint):
    one = fsspec.filesystem("lucas", endpoint=endpoint)
    found = []
    thread = threading.Thread(target=lambda: found.append(fsspec.filesystem("lucas", endpoint=endpoint)))
    thread.start()
    thread.join()

    assert fsspec.filesystem("lucas", endpoint=endpoint) is one
    assert fsspec.filesystem("lucas", endpoint=endpoint, skip_instance_cache=True) is not one
    assert found[0].client is one.client
    assert fsspec.filesystem("lucas", endpoint=endpoint, timeout=5.0).client is not one.client


def test_another_environment_has_another_client(endpoint, monkeypatch):
    one = fsspec.filesystem("lucas", endpoint=endpoint)
    monkeypatch.setenv("STORAGE_ACCESS_KEY", SECRETS["access_key"])
    monkeypatch.setenv("STORAGE_SECRET_KEY", SECRETS["secret_key"])

    assert fsspec.filesystem("lucas", endpoint=endpoint).client.access_key == "AK-planted"
    assert one.client.access_key is None


def test_no_secret_is_in_a_pickle_json_or_text(endpoint, monkeypatch):
    by_name = fsspec.filesystem("lucas", endpoint=endpoint, **SECRETS)
    by_position = LucasFileSystem(endpoint, *SECRETS.values())

    for fs in (by_name, by_position):
        for form in (pickle.dumps(fs), fs.to_json().encode(), repr(fs.to_dict()).encode(), repr(fs).encode()):
            assert b"planted" not in form
        monkeypatch.setenv("STORAGE_ACCESS_KEY", "AK-of-the-worker")
        monkeypatch.setenv("STORAGE_SECRET_KEY", "SK-of-the-worker")
        for again in (pickle.loads(pickle.dumps(fs)), type(fs).from_json(fs.to_json())):
            assert (again.client.endpoint, again.client.access_key) == (endpoint, "AK-of-the-worker")
    assert json.loads(by_name.to_json())["endpoint"] == endpoint


def test_a_pickle_is_the_same_file_system_again(fs):
    again = pickle.loads(pickle.dumps(fs))

    assert (again, hash(again), again.fsid) == (fs, hash(fs), fs.fsid)


def test_threads_share_it(fs):
    def write_and_read(number):
        fs.pipe_file(f"bucket/{number}", b"%d" % number)
        assert fs.cat_file(f"bucket/{number}") == b"%d" % number

    threads = [threading.Thread(target=write_and_read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(fs.find("bucket")) == 8


@pytest.mark.forks
def test_a_forked_child_uses_it_and_so_does_its_parent(fs, endpoint):
    def in_child():
        assert fs.cat_file("bucket/key") == b"parent"
        fsspec.filesystem("lucas", endpoint=endpoint).pipe_file("bucket/child", b"child")
        os._exit(7)

    fs.pipe_file("bucket/key", b"parent")
    child = multiprocessing.get_context("fork").Process(target=in_child)
    child.start()
    child.join(60)

    assert child.exitcode == 7
    assert fs.cat("bucket/*") == {"bucket/child": b"child", "bucket/key": b"parent"}


def test_a_mapping_is_made_of_it(fs):
    mapping = fs.get_mapper("bucket/map")
    mapping["a/b"] = b"1"
    mapping.setitems({"c": b"2"})

    assert (dict(mapping), "a/b" in mapping, "none" in mapping) == ({"a/b": b"1", "c": b"2"}, True, False)
    assert mapping.getitems(["a/b", "none"], on_error="omit") == {"a/b": b"1"}
    del mapping["c"]
    with pytest.raises(KeyError):
        mapping["c"]
