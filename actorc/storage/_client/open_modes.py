"""Modes in which objects are opened as files, and text over the bytes of one."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import IO, Any, Final, Self, cast

from actorc.storage.errors import InvalidParameterError

from .object_reader import ObjectReader
from .object_writer import ObjectWriter, TextWriter

MODES: Final = ("r", "rt", "rb", "w", "wt", "wb", "x", "xt", "xb", "w+b", "x+b")
"""Modes as they are written usually; their letters may stand in any order."""

_ENCODING: Final = "utf-8"
_NEWLINES: Final = (None, "", "\n", "\r", "\r\n")
_LETTERS: Final = {frozenset(mode): mode for mode in MODES}


@dataclass(frozen=True, slots=True)
class OpenMode:
    """How an object is opened.

    Args:
        text: The mode, one of `MODES`.
        encoding: Encoding of text; None: UTF-8.
        errors: What is done about what cannot be encoded or decoded, as in `open`.
        newline: Line ends of text, as in `open`.
    """

    text: str
    encoding: str | None = None
    errors: str | None = None
    newline: str | None = None

    @classmethod
    def checked(cls, mode: object, encoding: str | None, errors: str | None, newline: str | None) -> Self:
        """Return a mode that makes sense.

        Raises:
            InvalidParameterError: It does not.
        """
        known = _LETTERS.get(frozenset(mode)) if isinstance(mode, str) else None
        if known is None or len(known) != len(str(mode)):
            raise InvalidParameterError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
        if "b" in known and (encoding, errors, newline) != (None, None, None):
            raise InvalidParameterError("encoding, errors and newline are for text; open with mode 'r' or 'w'")
        if newline not in _NEWLINES:
            raise InvalidParameterError(f"newline is one of {', '.join(map(repr, _NEWLINES))}, not {newline!r}")
        try:
            codecs.lookup(encoding or _ENCODING)
            codecs.lookup_error(errors or "strict")
        except (LookupError, TypeError) as error:
            raise InvalidParameterError(f"encoding or errors is not known to Python; {error}") from error
        return cls(known, encoding, errors, newline)

    @property
    def reads(self) -> bool:
        """Whether an object is read, not written."""
        return "r" in self.text

    @property
    def is_new(self) -> bool:
        """Whether there must be no object yet."""
        return "x" in self.text

    def wrapped(self, file: ObjectReader | ObjectWriter) -> IO[Any]:
        """Return `file`, as text if that is the mode."""
        if "b" in self.text:
            return cast("IO[Any]", file)
        kind = io.TextIOWrapper if self.reads else TextWriter
        wrapped = kind(cast("Any", file), self.encoding or _ENCODING, self.errors, self.newline)
        wrapped.mode = self.text  # type: ignore[misc] # as `open` does
        return wrapped
