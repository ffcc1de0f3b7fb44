"""Formats that programs and installed packages register."""

from __future__ import annotations

import sys
from datetime import date
from fractions import Fraction

import pytest

from lucas_storage import with_storage
from lucas_storage.errors import (
    DecodeError,
    NoFormatError,
    UnknownFormatError,
    UnsafeFormatError,
)
from lucas_storage.formats import format_by_id, format_for, register_format
from lucas_storage.formats import registry as known_formats
from lucas_storage.formats.base import MemorySource
from lucas_storage.refs import ArtifactRef
from tests.lucas_storage.formats.round_trips import Point, proof_for, round_trip


@pytest.fixture
def registry(monkeypatch):
    """The tables of formats, as they were before once the test is over."""
    monkeypatch.setattr(known_formats, "_FORMATS", dict(known_formats._FORMATS))
    monkeypatch.setattr(known_formats, "_BY_TYPE", dict(known_formats._BY_TYPE))
    known_formats._load_all.cache_clear()
    yield
    known_formats._load_all.cache_clear()


class PointFormat:
    extension = ".point"

    def encode(self, point):
        return [b"x=", str(point.x).encode()]

    def decode(self, source, want):
        assert want == "any"
        return Point(int(bytes(source.read()).partition(b"=")[2]))


class DayFormat:
    def encode(self, value):
        return value.isoformat().encode()

    def decode(self, source, want):
        return date.fromisoformat(str(source.read(), "ascii"))


@pytest.mark.usefixtures("registry", "settings")
def test_a_format_that_was_registered_for_a_type_holds_it_in_a_dict_as_alone():
    days = {"a": date(2026, 1, 1), "b": date(2026, 1, 2)}
    register_format("acme/day@1", date, safe=True)(DayFormat)

    @with_storage
    def give():
        return days

    sent = give()
    assert {ArtifactRef.parse(ref).format for ref in sent.values()} == {"acme/day@1"}
    assert {name: ArtifactRef.parse(ref).load() for name, ref in sent.items()} == days


@pytest.mark.usefixtures("registry")
def test_a_registered_format_takes_its_types_and_comes_back():
    register_format("acme/point@1", Point, safe=True)(PointFormat)
    register_format("acme/point@10", Point, safe=True)(PointFormat)
    form = format_for(Point(7))

    assert (form.id, form.extension, form.safe) == ("acme/point@10", ".point", True)
    assert Point(7) == round_trip(Point(7), MemorySource)
    assert format_for(Point(7), "acme/point").id == "acme/point@10"
    assert format_by_id("acme/point@1").id == "acme/point@1"
    with pytest.raises(NoFormatError):
        form.encode("no point")


@pytest.mark.usefixtures("registry")
def test_a_registered_format_that_is_not_safe_demands_proof():
    register_format("acme/point@1", Point, safe=False)(PointFormat)
    form = format_by_id("acme/point@1")
    encoded = form.encode(Point(7))

    with pytest.raises(UnsafeFormatError):
        form.decode(MemorySource(bytes(encoded)), "any")
    assert Point(7) == form.decode(MemorySource(bytes(encoded)), "any", proof=proof_for(form, encoded))


@pytest.mark.usefixtures("registry")
def test_what_a_registered_format_raises_is_a_decode_error():
    register_format("acme/point@1", Point, safe=True)(PointFormat)

    with pytest.raises(DecodeError, match="acme/point@1 could not be decoded, ValueError"):
        format_by_id("acme/point@1").decode(MemorySource(b"x=nothing"), "any")


@pytest.mark.usefixtures("registry")
def test_ids_of_formats_have_an_owner_and_are_not_taken_twice():
    for bad in ("point", "point@1", "acme/point", "acme/point@0", "Acme/point@1"):
        with pytest.raises(ValueError, match="acme/graph@2"):
            register_format(bad, Point, safe=True)

    register_format("acme/point@1", Point, safe=True)(PointFormat)
    register_format("acme/point@1", Point, safe=True)(PointFormat)
    with pytest.raises(ValueError, match="is taken by"):
        register_format("acme/point@1", Point, safe=True)(DayFormat)


@pytest.mark.usefixtures("registry")
def test_formats_of_installed_packages_are_found_when_they_are_needed(tmp_path, monkeypatch, caplog):
    (tmp_path / "acme_formats.py").write_text(
        "import fractions\n"
        "from lucas_storage.formats import register_format\n"
        "@register_format('acme/fraction@1', fractions.Fraction, safe=True)\n"
        "class FractionFormat:\n"
        "    def encode(self, value):\n"
        "        return str(value).encode()\n"
        "    def decode(self, source, want):\n"
        "        return fractions.Fraction(str(source.read(), 'ascii'))\n"
    )
    info = tmp_path / "acme-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[lucas_storage.formats]\nacme/fraction@1 = acme_formats\nacme/broken@1 = acme_not_there\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    value = Fraction(1, 3)

    assert "acme_formats" not in sys.modules
    assert format_for(value).id == "acme/fraction@1"
    assert value == round_trip(value, MemorySource)
    assert format_by_id("acme/fraction@1").id == "acme/fraction@1"
    with pytest.raises(UnknownFormatError):
        format_by_id("acme/broken@1")
    assert any("acme/broken@1" in record.getMessage() for record in caplog.records)
    sys.modules.pop("acme_formats")
