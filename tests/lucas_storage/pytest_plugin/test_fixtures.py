"""The fixtures: what each test gets, and what is left of it; by pytest within this process."""

from __future__ import annotations

import os

import pytest


def settings_in(environment):
    return {name: value for name, value in environment.items() if name.startswith(("STORAGE_", "LUCAS_", "XDG_"))}


def test_each_test_has_an_empty_bucket_and_the_server_is_the_same(passed):
    passed(
        """
        seen = []

        def check(storage, storage_server):
            assert storage.list_objects(storage.bucket)["objects"] == []
            assert storage.endpoint == storage_server.endpoint
            storage.put_object(storage.bucket, "key", b"value")
            seen.append((storage.bucket, storage.endpoint))

        def test_one(storage, storage_server):
            check(storage, storage_server)

        def test_two(storage, storage_server):
            check(storage, storage_server)

        def test_end(storage_server):
            (one, first), (two, second) = seen
            assert one != two
            assert first == second
            with storage_server.client() as client:
                assert client.list_buckets() == []
        """,
        3,
    )


def test_no_bucket_outlives_the_test_that_made_it_but_those_of_wider_fixtures(passed):
    passed(
        """
        import pytest

        @pytest.fixture(scope="module")
        def shared(storage_server):
            with storage_server.client() as client:
                client.put_object("shared", "key", b"value")
                yield client

        def test_one(shared, storage):
            storage.put_object("my-bucket", "key", b"value")

        def test_two(shared, storage):
            assert not storage.bucket_exists("my-bucket")
            assert storage.get_object("shared", "key") == b"value"
        """,
        2,
    )


@pytest.mark.parametrize("code", ["storage.close()", "storage.delete_bucket(storage.bucket)"])
def test_a_test_may_close_its_storage_and_delete_its_bucket(passed, code):
    passed(
        f"""
        def test_one(storage):
            {code}

        def test_two(storage_server):
            with storage_server.client() as client:
                assert client.list_buckets() == []
        """,
        2,
    )


def test_what_the_developer_has_set_does_not_reach_the_code_under_test(passed, monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    (config / "lucas-storage.toml").write_text('pickle = "deny"\nstore = "another"\n')
    for name, value in {
        "XDG_CONFIG_HOME": str(config),
        "STORAGE_ENDPOINT": "storage.example.org:9000",
        "STORAGE_ACCESS_KEY": "AK",
        "STORAGE_SECRET_KEY": "secret",
        "STORAGE_USE_SSL": "1",
        "LUCAS_STORAGE_ENDPOINTS": "default=storage.example.org:9000",
        "LUCAS_STORAGE_INLINE_MAX": "nonsense",
    }.items():
        monkeypatch.setenv(name, value)
    before = settings_in(os.environ)
    passed(
        """
        class Thing:
            pass

        def test_it(storage):
            assert type(storage.get(storage.put(Thing()))) is Thing
        """,
        1,
    )

    assert settings_in(os.environ) == before


@pytest.mark.slow
def test_a_process_that_a_test_starts_finds_the_bucket(passed):
    passed(
        """
        import subprocess, sys

        def test_it(storage):
            ref = storage.put(b"value" * 2000)
            code = f"from lucas_storage import Storage; print(len(Storage().get({ref.uri!r})))"
            assert subprocess.check_output([sys.executable, "-c", code], text=True) == "10000\\n"
        """,
        1,
    )


def test_a_test_may_undo_its_own_changes_of_the_environment(passed):
    passed(
        """
        from actorc.storage import StorageClient

        def test_it(monkeypatch, storage):
            monkeypatch.undo()
            with StorageClient() as client:
                assert client.bucket_exists(storage.bucket)
        """,
        1,
    )


def test_faults_reach_the_code_under_test_and_no_other_test(passed):
    passed(
        """
        import pytest
        from actorc.storage import IntegrityError, StorageClient
        from lucas_storage import with_storage
        from lucas_storage.errors import ArtifactError
        from lucas_storage.testing import call

        @with_storage
        def measure(data: bytes) -> int:
            return len(data)

        def test_faults(storage_faults, storage):
            with StorageClient() as client, storage_faults.cut(after=1000) as fault:
                client.put_object(storage.bucket, "key", bytes(2_000_000))
                assert client.server_info()["transport"] == "grpc"
                assert client.get_object(storage.bucket, "key") == bytes(2_000_000)
            assert fault.struck == 1
            ref = storage.put(b"value" * 5000)
            storage_faults.flip_stored_bit(ref.bucket, ref.key)
            with pytest.raises(IntegrityError):
                call(measure, ref)
            storage_faults.full_disk()
            storage_faults.stop()

        def test_too_late(storage, request):
            with pytest.raises(pytest.fail.Exception, match="make it a parameter of the test"):
                request.getfixturevalue("storage_faults")

        def test_other(storage):
            storage.put_object(storage.bucket, "key", b"value")

        def test_alone(storage_faults):
            storage_faults.restart()
            with StorageClient() as client:
                assert client.list_buckets() == []
        """,
        4,
    )
