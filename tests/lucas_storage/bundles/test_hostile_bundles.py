"""Bundles of strangers: refused by name, and nothing of them is stored."""

from __future__ import annotations

import hashlib
import json
import random
import stat
import zipfile
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from actorc.storage.errors import InvalidParameterError
from lucas_storage.bundles.import_run import import_bundle
from lucas_storage.errors import BundleError


@pytest.fixture
def there(elsewhere):
    return elsewhere()


@pytest.fixture
def stored(there):
    """What is in the bucket; none if there is no bucket."""

    def keys():
        if not there.bucket_exists(there.bucket):
            return []
        return [head["key"] for head in there.iter_objects(there.bucket, "")]

    return keys


@pytest.fixture
def forged(arrived, tmp_path):
    """A bundle written anew, with its entries and its description changed."""

    def write(change=lambda contents: None, add=(), drop=(), entries=lambda found: found):
        path = tmp_path / "forged.zip"
        with ZipFile(arrived.path) as archive:
            found = {info.filename: archive.read(info) for info in archive.infolist() if info.filename not in drop}
        contents = json.loads(found.pop("bundle.json"))
        change(contents)
        with ZipFile(path, "w", ZIP_STORED) as archive:
            archive.writestr("bundle.json", json.dumps(contents))
            for name, data in entries(found).items():
                archive.writestr(name, data)
            for info, data in add:
                archive.writestr(info, data)
        return path

    return write


NOT_THERE = f"lucas://default/bucket/a/sha256/00/{'0' * 64}?d=sha256:{'0' * 64}&n=1&f=text@1"


def with_record(content):
    """Return arguments of `forged` that put another record of the run into the bundle."""
    text = json.dumps(content).encode()

    def change(contents):
        (own,) = [each for each in contents["records"] if each["name"] == "records/run.json"]
        own.update(sha256=hashlib.sha256(text).hexdigest(), size=len(text))

    return {"change": change, "entries": lambda found: {**found, "records/run.json": text}}


def refused(there, path, match):
    with pytest.raises(BundleError, match=match) as caught:
        import_bundle(there, path)
    return caught.value


def link(name):
    info = ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


def deflated(name):
    info = ZipInfo(name)
    info.compress_type = ZIP_DEFLATED
    return info


@pytest.mark.few(5)
@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../evil", "leads elsewhere"),
        ("/etc/passwd", "leads elsewhere"),
        ("artifacts/../../evil", "leads elsewhere"),
        ("artifacts//evil", "leads elsewhere"),
        ("artifacts/", "leads elsewhere"),
        ("C:evil", "characters"),
        ("a\\..\\evil", "characters"),
        ("\x1b[2Jevil", "characters"),
        ("\u202eevil", "characters"),
        ("surplus", "no part of the bundle"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(forged, there, stored, name, match):
    refused(there, forged(add=[(ZipInfo(name), b"evil")]), match)
    assert stored() == []


def test_links_are_refused(forged, there, stored):
    refused(there, forged(add=[(link("artifacts/link"), b"/etc/passwd")]), "is a link")
    assert stored() == []


def test_compressed_entries_are_refused_unread(forged, there, stored):
    refused(there, forged(add=[(deflated("bomb"), bytes(10 << 20))]), "is compressed")
    assert stored() == []


@pytest.mark.parametrize("is_large", [False, True])
def test_more_entries_than_a_bundle_lists_are_refused_unread(forged, there, stored, monkeypatch, is_large):
    monkeypatch.setattr("lucas_storage.bundles.archive._DIRECTORY_MAX", 20_000)
    monkeypatch.setattr("zipfile.ZIP_FILECOUNT_LIMIT", 100 if is_large else 1000)

    refused(there, forged(add=[(ZipInfo(f"{number:060}"), b"") for number in range(300)]), "more entries than a bundle")
    assert stored() == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_refused(forged, there, stored):
    refused(there, forged(add=[(ZipInfo("records/run.json"), b"{}")]), "is there twice")
    assert stored() == []


def test_an_entry_that_is_missing_is_named(forged, there, stored):
    refused(there, forged(drop=["records/run.json"]), "records/run.json.*is listed and missing")
    assert stored() == []


def test_a_changed_artifact_is_named(arrived, forged, there, stored):
    with ZipFile(arrived.path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".pkl5"))

    def changed(found):
        return {**found, name: bytes(len(found[name]))}

    assert name in refused(there, forged(entries=changed), "is damaged or was changed").message
    assert stored() == []


def test_overlapping_entries_are_refused(arrived, there, stored):
    data = bytearray(arrived.path.read_bytes())
    # Two entries of the directory at the end that begin at one place in the file.
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 4)
    third = data.find(b"PK\x01\x02", second + 4)
    data[third + 42 : third + 46] = data[second + 42 : second + 46]
    arrived.path.write_bytes(data)

    refused(there, arrived.path, "within another entry|is no bundle|is incomplete")
    assert stored() == []


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"bundle": 2}, "upgrade lucas-storage"),
        ({"bundle": "x" * 1000}, "upgrade lucas-storage"),
        ({"run": "../../names"}, "is not the id of a run"),
        ({"records": []}, "no part of the bundle"),
        ({"objects": None}, "a list is expected"),
        ({"objects": [{"name": 1}]}, "breaks a rule"),
    ],
)
def test_a_description_that_breaks_a_rule_is_refused(forged, there, stored, change, match):
    refused(there, forged(lambda contents: contents.update(change)), match)
    assert stored() == []


@pytest.mark.parametrize(
    "place",
    [["default", "production", "config.json"], ["default", "..", "x"], ["https://evil", "b", "k"], ["default", "b"], 1],
)
def test_no_bundle_chooses_where_its_bytes_go(forged, there, stored, place):
    def change(contents):
        contents["objects"][0]["places"] = [place]

    refused(there, forged(change), "breaks a rule")
    assert stored() == []


def test_records_under_other_names_are_refused(forged, there, stored):
    def change(contents):
        contents["records"][0]["name"] = "records/steps/../../../names/x.json"

    def renamed(found):
        name = next(name for name in found if name.startswith("records/steps/"))
        return {("records/names.json" if key == name else key): data for key, data in found.items()}

    refused(
        there,
        forged(lambda contents: contents["records"][0].update(name="records/names.json"), entries=renamed),
        "is not the name of a record",
    )
    refused(there, forged(change), "is listed and missing")
    assert stored() == []


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([], "is no record"),
        ("text", "is no record"),
        ({"out": [{"$artifact": NOT_THERE}]}, "does not hold"),
        ({"out": [{"$artifact": "lucas://default/bucket/secret?n=1&f=text@1"}]}, "does not hold"),
        ({"out": [{"$artifact": "lucas://"}]}, "is no record"),
    ],
)
def test_a_record_that_names_what_the_bundle_does_not_hold_is_refused(forged, there, stored, content, match):
    refused(there, forged(**with_record(content)), match)
    assert stored() == []


def test_a_record_that_is_nested_without_end_is_refused(arrived, forged, there, stored):
    text = b'{"x":' * 50_000 + b"1" + b"}" * 50_000

    def change(contents):
        (own,) = [each for each in contents["records"] if each["name"] == "records/run.json"]
        own.update(sha256=hashlib.sha256(text).hexdigest(), size=len(text))

    path = forged(change, entries=lambda found: {**found, "records/run.json": text})
    refused(there, path, "is no record|nested too deeply")
    assert stored() == []


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_bundle_is_refused(arrived, there, stored, share):
    data = arrived.path.read_bytes()
    arrived.path.write_bytes(data[: int(len(data) * share)])

    refused(there, arrived.path, "is no bundle, or is incomplete or damaged")
    assert stored() == []


@pytest.mark.few(4)
@pytest.mark.parametrize("seed", range(60))
def test_flipped_bits_are_found_or_change_nothing(arrived, there, stored, seed):
    data = bytearray(arrived.path.read_bytes())
    chance = random.Random(seed)
    start = data.find(b"PK\x01\x02") if seed % 2 else 0
    data[chance.randrange(start, len(data))] ^= 1 << chance.randrange(8)
    arrived.path.write_bytes(data)

    try:
        import_bundle(there, arrived.path)
    except BundleError:
        assert stored() == []
    else:
        assert f"runs/{arrived.run}/run.json" in stored()


def test_another_zip_file_is_no_bundle(there, tmp_path):
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "text")

    refused(there, tmp_path / "a.zip", "no bundle.json")


def test_what_is_no_file_is_refused(there, tmp_path):
    with pytest.raises(InvalidParameterError, match="is a directory"):
        import_bundle(there, tmp_path)
    with pytest.raises(FileNotFoundError):
        import_bundle(there, tmp_path / "missing.zip")
    assert not zipfile.is_zipfile(tmp_path / "missing.zip")
