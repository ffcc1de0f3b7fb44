"""Small pictures of stored images: never of a file that is too large, or would be in memory."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, Final

from lucas_storage.errors import MissingDependencyError
from lucas_storage.formats.base import package

_SIDE: Final = 256
"""Pixels of the longer side."""
_BYTES_MAX: Final = 16 << 20
"""Bytes of a file that are read."""
_PIXELS_MAX: Final = 40_000_000
"""Pixels of an image that are decoded, at up to four bytes each; cameras make such."""
_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
"""Decoders of Pillow that may see the file: those of formats that it knows by their first bytes, written in C, or
simple."""
_MAGIC: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")


def is_image(head: bytes) -> bool:
    """Return whether a file begins as one of an image that browsers and cameras make."""
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def of_image(file: BinaryIO, size: int) -> tuple[dict[str, str], bytes | None]:
    """Return facts about an image, and a small PNG file of it; None instead if it is too large.

    Args:
        file: Its bytes, at the beginning.
        size: Their number.

    Raises:
        ValueError: It is no image that Pillow reads.
    """
    try:
        images = package("PIL.Image", "images")
    except MissingDependencyError as error:
        return {"not shown": error.message}, None
    if size > _BYTES_MAX:
        return {"not shown": "an image of so many bytes"}, None
    try:
        return _small(images, file.read())
    except (images.DecompressionBombError, images.DecompressionBombWarning):
        # Of Pillow's own limit, which may be lower than the one here; the warning, where warnings are errors.
        return _too_many_pixels({})
    except Exception as error:  # Pillow does not document the errors that it raises for damaged files
        raise ValueError("not an image that Pillow reads") from error


def apart(before: bytes, after: bytes) -> float | None:
    """Return the part of the pixels that differ, from 0 to 1; None if the pictures have not the same size.

    Args:
        before: A small PNG file that `of_image` made.
        after: Another one.
    """
    images, operations = package("PIL.Image", "images"), package("PIL.ImageChops", "images")
    with images.open(io.BytesIO(before)) as former, images.open(io.BytesIO(after)) as latter:
        if former.size != latter.size:
            return None
        differ = operations.difference(former.convert("RGBA"), latter.convert("RGBA"))
        # The brightest channel of each pixel, so that none counts twice.
        most = differ.getchannel(0)
        for channel in (1, 2, 3):
            most = operations.lighter(most, differ.getchannel(channel))
        return float(1 - most.histogram()[0] / (most.width * most.height))


def _too_many_pixels(facts: dict[str, str]) -> tuple[dict[str, str], None]:
    return {**facts, "not shown": "an image of so many pixels"}, None


def _small(images: Any, data: bytes) -> tuple[dict[str, str], bytes | None]:
    with images.open(io.BytesIO(data), formats=_FORMATS) as image:
        facts = {"image": f"{image.format} {image.width} \u00d7 {image.height}, {image.mode}"}
        if image.width * image.height > _PIXELS_MAX:
            return _too_many_pixels(facts)
        image.draft("RGB", (_SIDE, _SIDE))
        shown = image.convert("RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB")
        shown.thumbnail((_SIDE, _SIDE))
        out = io.BytesIO()
        shown.save(out, "PNG")
        return facts, out.getvalue()
