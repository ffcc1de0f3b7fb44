"""Images of Pillow as PNG files, which every viewer shows.

A private chunk ``inFo`` holds as JSON what PNG has no place for, or changes: the mode, the entries of `info`, and a
palette with transparency.
"""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from lucas_storage.errors import DecodeError, NoFormatError
from lucas_storage.limits import EXPANSION, allowed, check_expansion

from . import image_info
from .base import Encoded, Format, Source, cannot_become, is_loaded, not_mine, package, stored

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I"})
"""Modes that PNG holds, the last one in part."""
_PALETTES: Final = ("RGB", "RGBA")
_PIXEL: Final = 4
"""Bytes of a pixel in memory, at most."""
_CHUNK: Final = b"inFo"
"""Ancillary, private and safe to copy, by the case of its letters: other programs pass over it."""
_PROFILE_MAX: Final = 1 << 20
"""Bytes of a colour profile that Pillow reads back, `PngImagePlugin.MAX_TEXT_CHUNK`."""
_WIDTH, _HEIGHT = slice(16, 20), slice(20, 24)
"""Where the header of a PNG file has them."""


class PngFormat(Format):
    """An image: mode, size, pixels, palette and `info` come back, as a plain `PIL.Image.Image`.

    A file that was opened lazily is read. The mode ``I`` is held if its values fit into 16 bits.
    """

    id = "png@1"
    content_type = "image/png"
    extension = ".png"

    def handles(self, value: object) -> bool:
        """Return whether `value` is an image that PNG holds, or one of several frames, which no format holds."""
        try:
            return _is_image(value) and (_frames(value) > 1 or _refusal(value) is None)
        except Exception:  # noqa: BLE001  # of a file that cannot be read any more, which `encode` tells
            return True

    def encode(self, value: Any) -> Encoded:
        """Return the image as a PNG file."""
        if not _is_image(value):
            raise not_mine(self.id, value, "pass a PIL.Image.Image")
        try:
            _check_frames(value)
            value.load()
            reason = _refusal(value)
            if reason is None:
                return Encoded((_written(value),))
        except NoFormatError:
            raise
        except Exception as error:  # Pillow raises many kinds for files that are closed, cut off or damaged
            raise NoFormatError(
                f"an image cannot be written as PNG, {error}; call its load() while its file is open and whole"
            ) from error
        raise NoFormatError(f"{self.id} cannot hold {reason}")

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the image, or the PNG file."""
        del proof
        as_stored = stored(source, want)
        if as_stored is not None:
            return as_stored
        if want in ("str", "ndarray", "table", "dataframe", "polars"):
            raise cannot_become(self.id, want, "PIL.Image.Image, bytes or Path")
        package("PIL.Image", "images")
        data = source.read()
        _check_size(bytes(data[:24]), len(data), source.max_expansion)
        try:
            return _read(data)
        except Exception as error:  # Pillow does not document the errors that it raises for damaged files
            raise DecodeError("an artifact of format png@1 is no PNG file that Pillow reads here") from error


def _is_image(value: object) -> bool:
    return is_loaded(value, "PIL") and "PIL.Image" in sys.modules and isinstance(value, sys.modules["PIL.Image"].Image)


def _frames(image: Any) -> int:
    return int(getattr(image, "n_frames", 1))


def _check_frames(image: Any) -> None:
    if _frames(image) > 1:
        raise NoFormatError(
            f"an image of {_frames(image)} frames would lose all but one; return its file as a Path, the copy() of a "
            "frame, or a list of them"
        )


def _refusal(image: Any) -> str | None:
    """Return what PNG cannot hold of an image, and the way out; None if it holds all of it."""
    if image.mode not in _MODES:
        return f"an image of mode {image.mode}; convert it to RGB, or return np.asarray(image)"
    if not image.width or not image.height:
        return "an image without pixels; return None in its place"
    for name, entry in image.info.items():
        try:
            image_info.written({name: entry})
        except (TypeError, RecursionError):
            return f"the entry {name!r} of an image's info, of type {type(entry).__name__}; remove it"
    if image.mode == "I":  # after all others, since it reads the pixels
        low, high = image.getextrema()
        if low < 0 or high >= 1 << 16:
            return f"an image of mode I with values from {low} to {high}; return np.asarray(image)"
    return None


def _written(image: Any) -> bytes:
    extra = package("PIL.PngImagePlugin", "images").PngInfo()
    extra.add(_CHUNK, json.dumps(_about(image), separators=(",", ":")).encode())
    options = {"pnginfo": extra}
    if len(image.info.get("icc_profile") or b"") >= _PROFILE_MAX:
        options["icc_profile"] = None
    pixels = image.convert("I;16") if image.mode == "I" else image
    written = _saved(pixels, options)
    # Readers refuse what grows out of proportion, as an even area would.
    if image.width * image.height * _PIXEL > allowed(len(written), EXPANSION):
        return _saved(pixels, options | {"compress_level": 0})
    return written


def _about(image: Any) -> dict[str, Any]:
    about = {"mode": image.mode, "info": image_info.written(dict(image.info))}
    if image.mode == "P":
        kind = image.im.getpalettemode()
        if kind not in _PALETTES:
            raise ValueError(f"its palette is one of {kind}")
        about["palette"] = [kind, image_info.written(image.im.getpalette(kind, kind))]
    return about


def _saved(image: Any, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    # No view of it: where the collector meets a file with views in a cycle, some versions of Python crash.
    return file.getvalue()


def _check_size(head: bytes, size: int, ratio: int) -> None:
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        raise DecodeError("an artifact of format png@1 does not begin as a PNG file")
    width, height = (int.from_bytes(head[place], "big") for place in (_WIDTH, _HEIGHT))
    check_expansion(width * height * _PIXEL, size, ratio)


def _read(data: bytes | memoryview) -> Any:
    # Not by `Image.open`, which has a limit of its own for all formats, and would try them one after the other.
    with package("PIL.PngImagePlugin", "images").PngImageFile(io.BytesIO(data)) as file:
        file.load()
        about = next((json.loads(text) for name, text, *_ in file.private_chunks if name == _CHUNK), None)
        image = file.copy()
    if about is None:  # a file that another program wrote
        return image
    image.info = dict(image_info.read(about["info"]))
    if image.mode != about["mode"]:
        if (image.mode, about["mode"]) not in (("I;16", "I"), ("I", "I;16")):
            raise ValueError("the mode is another one")
        image = image.convert(about["mode"])
    if image.mode == "P":
        kind, colours = about["palette"]
        if kind not in _PALETTES:
            raise ValueError("the palette is of an unknown kind")
        image.putpalette(image_info.read(colours), kind)
    return image
