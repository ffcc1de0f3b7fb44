"""Text and bytes."""

from __future__ import annotations

from mmap import mmap
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, Final

from actorc.storage.buffers import flat_view
from actorc.storage.errors import InvalidParameterError
from lucas_storage.errors import DecodeError, NoFormatError

from .base import Encoded, Format, Source, cannot_become, is_loaded, not_mine, package, stored

if TYPE_CHECKING:
    from lucas_storage.signing import Verified

_BUFFERS: Final = (bytes, memoryview, PickleBuffer, mmap)
_OBJECTS: Final = ("ndarray", "table", "dataframe", "polars")


class TextFormat(Format):
    """A str, as UTF-8; a lone surrogate is three bytes, as if UTF-8 allowed it, so that any str comes back."""

    id = "text@1"
    content_type = "text/plain; charset=utf-8"
    extension = ".txt"

    def handles(self, value: object) -> bool:
        """Return whether `value` is exactly a str."""
        return type(value) is str

    def encode(self, value: Any) -> Encoded:
        """Return the text in UTF-8."""
        if not isinstance(value, str):
            raise not_mine(self.id, value, "convert it with str()")
        return Encoded((value.encode("utf-8", "surrogatepass"),))

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return the text, or the stored bytes."""
        del proof
        if want in _OBJECTS:
            raise cannot_become(self.id, want, "str, bytes or Path")
        as_stored = stored(source, want)
        return _to_text(source, self.id) if as_stored is None else as_stored


class BytesFormat(Format):
    """Bytes as they are; any buffer is decoded as bytes."""

    id = "bytes@1"

    def handles(self, value: object) -> bool:
        """Return whether `value` is bytes, or a buffer without a type of its items, such as a map of a file."""
        return type(value) in _BUFFERS or (
            is_loaded(value, "pyarrow") and isinstance(value, package("pyarrow", "arrow").Buffer)
        )

    def encode(self, value: Any) -> Encoded:
        """Return the bytes of a buffer; only a memoryview with gaps is copied."""
        if type(value) is bytes:
            return Encoded((value,))
        if isinstance(value, memoryview) and not value.c_contiguous:
            value = value.tobytes()
        try:
            return Encoded((flat_view(value),))
        except TypeError as error:
            raise not_mine(self.id, value, "convert it to bytes") from error
        except InvalidParameterError as error:
            raise NoFormatError(f"{self.id} cannot hold this value, {error.message}") from error

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return bytes, text if they are UTF-8, or their file."""
        del proof
        if want in _OBJECTS:
            raise cannot_become(self.id, want, "bytes, Path or BinaryIO, and parse it")
        if want == "str":
            return _to_text(source, self.id)
        return stored(source, want if want == "path" else "bytes")


class BytearrayFormat(BytesFormat):
    """A bytearray, as its bytes."""

    id = "bytearray@1"

    def handles(self, value: object) -> bool:
        """Return whether `value` is exactly a bytearray."""
        return type(value) is bytearray

    def decode(self, source: Source, want: str | None, *, proof: Verified | None = None) -> Any:
        """Return a bytearray, or what `BytesFormat` makes of the bytes."""
        found = super().decode(source, want, proof=proof)
        return bytearray(found) if want in (None, "any") else found


def _to_text(source: Source, format_id: str) -> str:
    data = source.read()
    try:
        return str(data, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise DecodeError(f"an artifact of format {format_id} is not UTF-8 text; annotate bytes") from error
