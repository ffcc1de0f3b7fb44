"""Images of Pillow arrive with their mode, pixels, palette and info, and are PNG files for other programs."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageSequence

from lucas_storage import with_storage
from lucas_storage.errors import DecodeError, LimitError, NoFormatError
from lucas_storage.formats import format_by_id, format_for
from lucas_storage.formats.base import MemorySource

GENERATOR = np.random.default_rng(5)


def colours(mode="RGB"):
    return Image.fromarray(GENERATOR.integers(0, 256, (7, 5, 3), dtype="u1")).convert(mode)


def grey16():
    return Image.fromarray(GENERATOR.integers(0, 1 << 16, (7, 5), dtype="u2"))


def palette(kind, size):
    image = Image.new("P", (4, 4))
    image.putpalette(bytes(range(size)), kind)
    image.putdata([0, 1, 2, 3] * 4)
    return image


def with_info(image, **info):
    image.info.update(info)
    return image


def reopened(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


IMAGES = {
    **{mode: colours(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
    "I;16": grey16(),
    "I": grey16().convert("I"),
    "palette": palette("RGB", 12),
    "palette with transparency": palette("RGBA", 16),
    "few colours": colours("RGBA").quantize(8),
    "transparent colour of a palette": with_info(colours("P"), transparency=3),
    "transparent colours of a palette": with_info(colours("P"), transparency=bytes([0, 5, 255])),
    "transparent colour": with_info(colours(), transparency=(1, 2, 3)),
    "transparent grey": with_info(colours("L"), transparency=7),
    "info": with_info(
        colours(),
        dpi=(72, 72.5),
        gamma=0.45455,
        exif=b"Exif\0\0MM",
        icc_profile=b"profile" * 9,
        comment="ä",
        nested={"a": [1, (None, b"x")], 3: {1, 2}, "ratio": Fraction(1, 3)},
    ),
    "large profile": with_info(colours(), icc_profile=bytes(1 << 20)),
    "even": Image.new("RGBA", (64, 64), (1, 2, 3, 4)),
    "JPEG": reopened(colours(), "JPEG", dpi=(300, 300)),
    "TIFF": reopened(colours(), "TIFF", dpi=(300, 300)),
    "GIF": reopened(colours("P"), "GIF"),
    "PNG": reopened(colours(), "PNG", dpi=(72, 72)),
}


def decoded(data):
    return format_by_id("png@1").decode(MemorySource(data), None)


@pytest.mark.few(8)
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_an_image_arrives_as_it_was_and_is_a_png_file_for_other_programs(storage, image):
    ref = storage.put(image)
    arrived = storage.get(ref)

    assert ref.format == "png@1"
    assert type(arrived) is Image.Image
    assert arrived == image.copy()  # of plain images: mode, size, info, palette and pixels
    assert image.mode != "P" or arrived.im.getpalettemode() == image.im.getpalettemode()
    with Image.open(storage.path(ref)) as elsewhere:
        elsewhere.load()
        assert (elsewhere.format, elsewhere.size) == ("PNG", image.size)


def test_a_step_returns_an_image_that_another_takes(settings, storage):
    @with_storage
    def drawn() -> Image.Image:
        return colours()

    @with_storage
    def turned(image: Image.Image) -> Image.Image:
        return image.rotate(90, expand=True)

    assert storage.get(turned(drawn())).size == (7, 5)


@pytest.mark.parametrize("mode", ["CMYK", "F", "HSV", "YCbCr"])
def test_a_mode_that_png_lacks_is_refused_by_name_where_png_is_asked_for(storage, mode):
    with pytest.raises(NoFormatError, match=mode):
        storage.put(colours(mode), format="png")
    assert format_for(colours(mode)).id == "pickle5@1"


def test_values_an_entry_and_a_size_that_png_lacks_are_refused_by_name(storage):
    wide = Image.new("I", (2, 2), 70_000)

    for image, named in (
        (wide, "70000"),
        (with_info(colours(), mine=object()), "mine"),
        (Image.new("L", (0, 3)), "pixels"),
    ):
        with pytest.raises(NoFormatError, match=named):
            storage.put(image, format="png")


def test_frames_are_not_lost_silently(storage):
    frames = [colours("P"), colours("P")]
    animation = reopened(frames[0], "GIF", save_all=True, append_images=frames[1:])

    with pytest.raises(NoFormatError, match="2 frames"):
        storage.put(animation)
    assert len(storage.get(storage.put([frame.copy() for frame in ImageSequence.Iterator(animation)]))) == 2


def test_a_file_that_was_closed_or_cut_off_before_it_was_read_is_refused(storage, tmp_path):
    colours().resize((100, 100)).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with Image.open(tmp_path / "cut.png") as cut, pytest.raises(NoFormatError, match="load"):
        storage.put(cut)
    with pytest.raises(NoFormatError, match="load"):
        storage.put(cut)


def test_png_files_of_other_programs_are_read():
    file = io.BytesIO()
    image = colours("RGBA")
    image.save(file, "PNG")

    assert decoded(file.getvalue()) == image


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def claimed(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_size_is_compared_with_the_limit_before_memory_is_taken():
    with pytest.raises(LimitError):
        decoded(claimed(100_000, 100_000))
    with pytest.raises(DecodeError):
        decoded(claimed(10, 10))


def test_an_even_image_stays_within_the_limit_of_its_readers(monkeypatch, storage):
    monkeypatch.setattr("lucas_storage.limits.UNASKED", 1000)
    image = Image.new("RGB", (500, 500))

    assert storage.get(storage.put(image)) == image


def test_a_damaged_file_is_an_error():
    whole = bytes(format_for(IMAGES["info"]).encode(IMAGES["info"]))
    place = whole.index(b"inFo") + 4
    for about in (
        b"[]",
        b'{"mode":"F","info":["d"]}',
        b'{"mode":"RGB","info":["x"]}',
        b"{",
        b'{"mode":"RGB","info":{}}',
    ):
        end = whole.index(b"IDAT") - 4
        other = whole[: place - 8] + chunk(b"inFo", about) + whole[end:]
        with pytest.raises(DecodeError):
            decoded(other)
    for damaged in (b"", whole[:20], whole[: len(whole) // 2], b"GIF89a" + whole[6:]):
        with pytest.raises(DecodeError):
            decoded(damaged)
