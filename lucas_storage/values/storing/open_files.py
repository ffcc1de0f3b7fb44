"""The content of open files, binary or text, that are results: from the beginning, wherever they stand."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from actorc.storage.rules import MiB
from lucas_storage.errors import NoFormatError
from lucas_storage.formats.base import type_name

_ASKED: Final = ("readable", "seekable")
"""Methods of every file of `io`, of wrappers such as `tempfile.NamedTemporaryFile`, and of files of other packages."""


def is_open_file(value: object) -> bool:
    """Return whether `value` is a file object, open or closed, binary or text.

    An exception is none, even one that is the answer of a server as well, such as `urllib.error.HTTPError`: the step
    that takes it is to see that something failed, and not the page that says so.
    """
    if isinstance(value, io.IOBase):
        return True
    if isinstance(value, BaseException):
        return False
    # `closed` is looked at, and not only for: a placeholder of a workflow has every attribute.
    return type(getattr(value, "closed", None)) is bool and all(hasattr(value, name) for name in _ASKED)


@contextmanager
def content_of(file: Any) -> Iterator[tuple[Iterator[bytes], bool]]:
    """Yield the pieces of a file, text as UTF-8, and whether it is text; a seekable file is left where it stood.

    A seekable file gives its whole content: one that was just written stands at its end, and one that was looked into
    anywhere. Any other file gives what is left of it.

    Raises:
        NoFormatError: It is closed, or open for writing only.
    """
    _check_readable(file)
    with _from_beginning(file):
        is_text = isinstance(file.read(0), str)
        yield _pieces(file), is_text


def _check_readable(file: Any) -> None:
    if file.closed:
        raise NoFormatError(
            f"a {type_name(file)} is closed and cannot be read; return it open, or return its Path or its bytes"
        )
    if not file.readable():
        raise NoFormatError(
            f"a {type_name(file)} is open for writing only and cannot be read; close it and return its Path, or return "
            "the buffer that it writes to"
        )


@contextmanager
def _from_beginning(file: Any) -> Iterator[None]:
    if not file.seekable():
        yield
        return
    position = _position(file)
    file.seek(0)
    try:
        yield
    finally:
        if position is not None:
            file.seek(position)


def _position(file: Any) -> Any:
    try:
        return file.tell()
    except OSError:  # a text file within a loop over its lines does not tell
        return None


def _pieces(file: Any) -> Iterator[bytes]:
    while (piece := file.read(MiB)) is not None and len(piece):
        # Surrogates as `text@1` writes them, which a file can hold by its error handler.
        yield piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)
    if piece is None:
        raise NoFormatError(f"a {type_name(file)} is non-blocking and had nothing to read; return a blocking file")
