"""What is damaged in a data directory or in its backup is named, also where strangers have made it."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing

import pytest

from actorc.storage.errors import (
    IntegrityError,
    StorageError,
)
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.server.engines.local import back_up, check, restore, snapshots
from actorc.storage.server.engines.local.index import schema


def test_damage_in_the_data_directory_is_named_and_makes_no_snapshot(filled, data, target, put, blobs, damage):
    earlier = back_up(data, target).manifest.snapshot
    known = set(blobs(data))
    put(filled, "damaged", os.urandom(100_000))
    put(filled, "lost", os.urandom(200_000))
    first, second = sorted(set(blobs(data)) - known, key=lambda path: path.stat().st_size)
    damage(first)
    second.unlink()

    done = back_up(data, target)

    assert done.manifest is None
    assert [(each.kind, each.subject, each.detail) for each in done.findings] == [
        ("damaged", "bucket/damaged", f"the bytes of blob {first.name} do not match their checksums"),
        ("damaged", "bucket/lost", f"blob {second.name} is missing"),
    ]
    assert check(target).manifest.snapshot == earlier
    for key in ("damaged", "lost"):
        filled.delete("bucket", key)
    assert back_up(data, target).manifest.snapshot == snapshots(target)[1].snapshot != earlier


def test_what_the_data_directory_has_lost_since_is_in_the_next_snapshot(
    filled, data, target, restored, contents, blobs
):
    before = contents(filled)
    back_up(data, target)
    for path in blobs(data):
        path.unlink()

    done = back_up(data, target, keep=1)

    assert (done.copied.blobs, done.manifest.totals.objects) == (0, 5)
    assert contents(restored(target)) == before


def test_a_file_of_an_earlier_snapshot_that_was_damaged_is_mended_by_verify(filled, data, target, blobs, damage):
    back_up(data, target)
    blob = blobs(target)[0]
    damage(blob)

    assert back_up(data, target).copied.blobs == 0
    assert check(target).findings != []
    assert back_up(data, target, verify=True).copied.blobs == 1
    assert check(target).findings == []


def test_a_damaged_blob_of_a_backup_is_named_and_nothing_is_restored(filled, data, target, tmp_path, blobs, damage):
    back_up(data, target)
    for blob in blobs(target):
        damage(blob)
    place = tmp_path / "place"
    place.mkdir()

    found = restore(target, place)

    # the manifest blob of a joined object has no bytes, so the damage is that of its trailer
    assert {each.subject for each in found.findings} == {"bucket/copy", "bucket/joined"}
    assert found.findings == check(target).findings
    assert list(place.iterdir()) == []


@pytest.mark.few(3)
@pytest.mark.parametrize("name", ["meta.db", "manifest.json", "keys.json", ".signing.key", "FORMAT"])
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_backup_with_a_bad_file_is_refused_by_its_name(filled, data, target, tmp_path, name, how, damage):
    add_key(data / "keys.json", [EVERYTHING])
    (data / ".signing.key").write_text("secret\n")
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    damage(folder / name) if how == "damaged" else (folder / name).unlink()

    with pytest.raises(IntegrityError, match=f"{name} is {how}"):
        restore(target, tmp_path / "place")

    assert not (tmp_path / "place").exists()


def test_a_backup_by_a_later_version_is_refused(filled, data, target, tmp_path):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))

    with pytest.raises(StorageError, match="has format 2 and this version of lucas-storage knows 1 at most; update it"):
        restore(target, tmp_path / "place")


def rewritten(folder, *statements):
    """Change the index of a snapshot as somebody may who wants harm: its checksums, totals and digest are right."""
    with closing(schema.connect(folder / "meta.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["meta.db"] = {
        "size": (folder / "meta.db").stat().st_size,
        "sha256": hashlib.sha256((folder / "meta.db").read_bytes()).hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_blob_whose_name_leads_elsewhere_is_damage(filled, data, target, tmp_path):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    rewritten(folder, "UPDATE content SET file = '../../../../' || file WHERE file IS NOT NULL")
    before = sorted(tmp_path.iterdir())

    found = restore(target, tmp_path / "place").findings

    assert len(found) == 4
    assert all("is no name of a blob" in each.detail for each in found)
    assert sorted(tmp_path.iterdir()) == before


def test_an_index_with_too_few_checksums_is_damage(filled, data, target, tmp_path):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    rewritten(folder, "UPDATE content SET sums = substr(sums, 1, 4) WHERE file IS NOT NULL AND size > 0")

    (found,) = restore(target, tmp_path / "place").findings

    assert found.subject == "bucket/copy"
    assert found.detail.startswith("the index has 1 checksums for 1148576 bytes of blob")


def test_an_index_of_a_later_version_is_refused_and_not_called_damaged(filled, data, target, tmp_path):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    rewritten(folder, "UPDATE meta SET value = 99 WHERE name = 'schema'", "CREATE TABLE news (id INTEGER)")

    with pytest.raises(StorageError, match="has version 99 and this server knows"):
        restore(target, tmp_path / "place")


@pytest.mark.few(2)
@pytest.mark.parametrize("content", ["[]", "{}", '{"format": "1"}', "null", "[" * 10_000, " " * (2 << 20)])
def test_a_manifest_that_is_none_is_damaged(filled, data, target, tmp_path, content):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    (folder / "manifest.json").write_text(content)

    with pytest.raises(IntegrityError, match=r"manifest\.json is damaged"):
        restore(target, tmp_path / "place")


def test_an_index_that_is_none_is_damaged(filled, data, target, tmp_path):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    rewritten(folder)
    (folder / "meta.db").write_bytes(b"no database" * 1000)
    manifest = json.loads((folder / "manifest.json").read_text())
    content = (folder / "meta.db").read_bytes()
    manifest["files"]["meta.db"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(IntegrityError, match=r"meta\.db is damaged"):
        check(target)


def test_a_manifest_with_a_number_beyond_all_is_damaged(filled, data, target):
    path = target / "snapshots" / back_up(data, target).manifest.snapshot / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["totals"]["objects"] = float("inf")
    path.write_text(json.dumps(manifest))

    (listed,) = snapshots(target)
    assert listed.manifest is None
    assert "is damaged" in listed.problem


def test_fields_that_a_later_version_adds_to_a_manifest_are_ignored(filled, data, target):
    folder = target / "snapshots" / back_up(data, target).manifest.snapshot
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "colour": "green"}))

    assert check(target).findings == []
