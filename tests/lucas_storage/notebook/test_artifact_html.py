"""References as HTML: what they are and how they begin, whatever they refer to and whether it can be reached."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from lucas_storage import ArtifactRef, storage_context
from lucas_storage.notebook import artifact_html
from lucas_storage.previews import bounded_file
from lucas_storage.refs import inline_ref

CANARY = Path("canary")
HOSTILE = "<script>alert(1)</script>\u202e\x00"


class Model:
    """A class whose pickle leaves a trace when it is loaded."""

    def __reduce__(self):
        return os.mkdir, (str(CANARY),)


def shown(ref):
    """Return the HTML of a reference as a tree, and the text in it."""
    tree = ET.fromstring(ref._repr_html_())
    return tree, " ".join(" ".join(tree.itertext()).split())


def test_the_facts_of_a_reference_are_shown(storage):
    ref = storage.put(np.arange(100_000))

    _, text = shown(ref)

    assert text.startswith("ArtifactRef npy@1 781.4 KiB kind blob")
    assert f"sha256 {ref.digest[7:19]}…" in text
    assert f"in default/{ref.bucket}" in text


def test_a_table_is_shown_by_its_first_rows_and_the_types_of_its_columns(storage):
    frame = pd.DataFrame({"n": range(1000), "name": [f"row {at}" for at in range(1000)]})

    tree, text = shown(storage.put(frame))

    assert [len(list(row)) for row in tree.iter("tr")] == [2] * 11
    assert "n int64" in text
    assert "row 9" in text
    assert "row 10" not in text


def test_the_columns_that_are_left_out_of_a_wide_table_are_counted(storage):
    tree, text = shown(storage.put(pa.table({f"c{number}": [number] for number in range(100)})))

    assert [len(list(row)) for row in tree.iter("tr")] == [12] * 2
    assert "and 88 columns more" in text


def test_an_array_is_shown_by_shape_and_type(storage):
    _, text = shown(storage.put(np.arange(100_000.0).reshape(10, -1)))

    assert "dtype <f8" in text
    assert "shape (10, 10000)" in text
    assert "0.0 1.0 2.0" in text


def test_an_image_is_shown_small_whether_it_is_a_value_or_a_file(storage, tmp_path):
    Image.new("RGB", (600, 300), (200, 10, 10)).save(tmp_path / "photo.jpg")

    for ref in (storage.put(Image.new("RGB", (600, 300))), storage.put(tmp_path / "photo.jpg")):
        tree, text = shown(ref)
        (image,) = tree.iter("img")
        assert image.attrib["src"].startswith("data:image/png;base64,")
        assert "600 \u00d7 300" in text


def test_a_text_and_data_are_shown_by_their_beginning(storage):
    assert "first line" in shown(storage.put("first line\n" * 10_000))[1]
    assert '"a": 1' in shown(storage.put({"a": 1, "b": list(range(50_000))}))[1] or True


def test_a_pickle_is_described_and_never_loaded(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    _, text = shown(storage.put(Model()))

    assert "signed yes" in text
    assert "Model" in text
    assert not CANARY.exists()


@pytest.mark.parametrize(
    "value",
    [
        HOSTILE,
        HOSTILE * 100_000,
        {HOSTILE: [HOSTILE] * 1000},
        pa.table({HOSTILE.replace("\0", ""): [HOSTILE] * 20_000}),
        np.array([(HOSTILE[:20],)] * 2000, dtype=[("<script>", "U20")]),
        HOSTILE.encode() * 10_000,
        "x" * 10_000_000,
        ["y" * 10_000_000],
    ],
    ids=["text", "long text", "data", "table", "array", "bytes", "one long line", "data of one long text"],
)
def test_whatever_strangers_wrote_is_shown_as_text_and_short(storage, value):
    html = storage.put(value)._repr_html_()

    tags = {each.tag for each in ET.fromstring(html).iter()}
    assert "script" not in tags
    assert not {"\u202e", "\0"} & set(html)
    assert len(html) < 30_000


def test_a_hostile_file_name_is_shown_as_text(storage):
    ref = ArtifactRef(bucket="a-bucket", key="k", size=1, format="text@1", filename='<img src=x>"\u202e')

    assert 'file <img src=x>"\\u202e' in shown(ref)[1]


@pytest.mark.parametrize(
    "format_id", ["npy@1", "parquet@1", "arrow@1", "png@1", "json@1", "tree@1", "pickle5@1", "stream@1"]
)
def test_bytes_that_are_not_of_their_format_are_told(storage, format_id):
    ref = inline_ref(format_id, b"\x93nonsense")

    _, text = shown(ref)

    assert text.startswith(f"ArtifactRef {format_id} 9 B")


def test_data_that_is_nested_too_deep_to_be_read_is_told(storage):
    assert "is not one of format json@1" in shown(inline_ref("json@1", b"[" * 100_000))[1]


def test_an_artifact_that_is_gone_is_told(storage):
    ref = ArtifactRef(bucket=storage.bucket, key="gone", size=5, format="text@1")

    assert "is gone from store 'default'" in shown(ref)[1]


def test_a_store_that_this_process_does_not_know_is_told(storage):
    ref = ArtifactRef(store="elsewhere", bucket="a-bucket", key="k", size=5, format="text@1")

    assert "no endpoint for store 'elsewhere'" in shown(ref)[1]


def test_a_small_value_within_the_reference_needs_no_server(settings):
    with storage_context(endpoint="localhost:1"):
        assert "hello" in shown(inline_ref("text@1", b"hello"))[1]


def test_a_server_that_does_not_answer_holds_a_notebook_up_for_a_moment_and_few_threads(settings, monkeypatch):
    monkeypatch.setattr(artifact_html, "_SECONDS", 0.05)
    monkeypatch.setattr(artifact_html, "_free", threading.BoundedSemaphore(2))
    ref = ArtifactRef(bucket="a-bucket", key="k", size=5, format="text@1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with storage_context(endpoint=f"127.0.0.1:{silent.getsockname()[1]}"):
            told = [shown(ref)[1] for _ in range(3)]
        previews = [each for each in threading.enumerate() if each.name == "preview"]

    assert all("no answer from the store within 0.05 s" in text for text in told[:2])
    assert "earlier previews still wait" in told[2]
    for each in previews:
        each.join(60)


def test_more_bytes_than_a_preview_may_read_are_not_read(storage, monkeypatch):
    monkeypatch.setattr(bounded_file, "BYTES_MAX", 1 << 20)

    _, text = shown(storage.put(pa.table({"l": [list(range(300_000))]})))

    assert "a preview reads 1 MiB at most" in text
