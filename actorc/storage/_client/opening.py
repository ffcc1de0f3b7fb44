"""Objects opened as files."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import IO, TYPE_CHECKING, Any, Final

from actorc.storage import rules
from actorc.storage.errors import AlreadyExistsError, NotFoundError
from actorc.storage.files.seekable_reader import BlobFile
from actorc.storage.models import NOTHING, ByteRange, Destination, ObjectInfo

from . import arguments, object_reader
from .open_modes import OpenMode
from .session import Session

if TYPE_CHECKING:
    from .object_reader import ObjectReader
    from .object_writer import ObjectWriter

_ENDS: Final = rules.KiB
"""Bytes at both ends of an object that come when it is opened: most formats begin or end with what is read first."""


class OpeningMethods(Session):
    """The methods of `StorageClient` that open objects."""

    def open_object(
        self,
        bucket: str,
        key: str,
        mode: str = "rb",
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        generation: int | None = None,
        chunk_size: int | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open an object as a file, for libraries that take one: `csv`, `zipfile`, numpy, pandas.

        A file that is read is seekable; all of it is of one generation, and its bytes are verified. It fetches what is
        asked for, and more only while reading goes on; what it fetched last, up to 16 MiB, it keeps. A file that is
        written is published when it is closed, all or nothing; a ``with`` body that raises, and a file that is never
        closed, publish nothing.

        What is written is sent meanwhile. A program that goes back to change it, as those for HDF5 and TIFF do, writes
        into a temporary file, from its first `seek` on or, with ``"w+b"``, from the beginning; that is sent by `close`.

        Args:
            bucket: Bucket name.
            key: Object key.
            mode: ``"rb"`` reads, ``"wb"`` writes, ``"xb"`` writes a new object only, ``"w+b"`` and ``"x+b"`` let the
                program read and change what it has written; ``"r"``, ``"w"`` and ``"x"`` are for text, also written
                ``"rt"``, ``"wt"`` and ``"xt"``.
            content_type: Writing: MIME type; guessed from the key if not given.
            metadata: Writing: names and values kept with the object.
            if_absent: Writing: refuse to replace, as ``"x"`` does, but when the first bytes are stored.
            if_match: Read or replace only the object with this etag.
            ttl: Writing: seconds after which the object is gone.
            generation: Reading: read this generation or fail.
            chunk_size: Reading: bytes to fetch at once, at most, beyond those that are asked for, 8 MiB if it is None
                or 0; from a server on the same machine this says nothing. Writing: bytes of a part,
                `DEFAULT_CHUNK_SIZE` if it is.
            encoding: Encoding of text; UTF-8 if not given.
            errors: What becomes of text that cannot be encoded or decoded, as in `open`.
            newline: Line ends of text, as in `open`.

        Raises:
            NotFoundError: The bucket, the object or the generation does not exist; raised at the first bytes stored
                when writing.
            AlreadyExistsError: The key is taken, and the mode has an ``"x"``.
            InvalidParameterError: `mode` is none of these, or a name breaks a rule.
        """
        opened_as = OpenMode.checked(mode, encoding, errors, newline)
        if opened_as.reads:
            return opened_as.wrapped(self._reader(bucket, key, if_match, generation, chunk_size))
        absent = if_absent or opened_as.is_new
        destination = arguments.destination(
            bucket, key, content_type, metadata, if_absent=absent, if_match=if_match, ttl=ttl
        )
        return opened_as.wrapped(self._writer(destination, chunk_size, opened_as))

    def open_blob(
        self,
        bucket: str,
        key: str,
        *,
        generation: int | None = None,
        if_match: str | None = None,
        timeout: float | None = None,
    ) -> BlobFile | None:
        """Open the very file in which a server on this machine keeps an object, for a caller that verifies it.

        Nothing is copied or read. `get_object` with `as_view`, and `open_object`, verify what they give.

        Args:
            bucket: Bucket name.
            key: Object key.
            generation: Open this generation or fail.
            if_match: Open only the object with this etag.
            timeout: Seconds for the whole call.

        Returns:
            The file; None if the server is elsewhere, or the object is not in one file of its own.

        Raises:
            NotFoundError: The bucket, the object or the generation does not exist; told by a server on this machine.
            PreconditionFailedError: The object is not the one of `if_match`.
        """
        arguments.etag_condition(if_match)
        arguments.object_name(bucket, key)
        generation = arguments.checked_generation(generation)
        files = self._remote.open_files(bucket, key, generation, if_match=if_match, timeout=timeout)
        if files is None:
            return None
        with files:
            found = files.take_only_file()
        return None if found is None else BlobFile(*found)

    def _reader(
        self, bucket: str, key: str, if_match: str | None, generation: int | None, chunk_size: int | None
    ) -> ObjectReader:
        most = arguments.chunk_size(chunk_size, rules.MAX_OBJECT_SIZE) if chunk_size else None
        arguments.etag_condition(if_match)
        arguments.object_name(bucket, key)
        generation = arguments.checked_generation(generation)
        files = self._remote.open_files(bucket, key, generation, if_match=if_match, timeout=self._options.timeout)
        if files is not None:
            return object_reader.file_reader(files, key)
        info, known = self._ends(bucket, key, generation, if_match, min(most or _ENDS, _ENDS))

        def fetch(offset: int, length: int) -> Generator[bytes, None, None]:
            return self._range(bucket, key, ByteRange(offset, length), info.generation)

        return object_reader.reader(fetch, info.size, most, key, known, info.generation)

    def _ends(
        self, bucket: str, key: str, generation: int | None, if_match: str | None, size: int
    ) -> tuple[ObjectInfo, dict[int, bytes]]:
        """Return the object, whose generation all later reads are pinned to, and its first and last bytes."""
        parts, timeout = [ByteRange(0, size), ByteRange(-size, size)], self._options.timeout
        found = self._remote.get_ranges(bucket, key, parts, generation, if_match=if_match, timeout=timeout)
        if found is not None:
            info, (first, last) = found
            return info, {0: first, info.size - len(last): last}
        info, _ = self._remote.content(bucket, key, NOTHING, generation, if_match=if_match, timeout=timeout)
        return info, {}

    def _range(self, bucket: str, key: str, part: ByteRange, generation: int) -> Generator[bytes, None, None]:
        if (part.length or 0) <= rules.MAX_ANSWER_SIZE:
            yield self._remote.get(bucket, key, part, generation)
        else:
            yield from self._pieces(self._stream(bucket, key, part, generation))

    def _writer(self, destination: Destination, chunk_size: int | None, mode: OpenMode) -> ObjectWriter:
        from actorc.storage._transfer.stream_upload import StreamUpload  # noqa: PLC0415  # loads the checksum library

        from .object_writer import ObjectWriter  # noqa: PLC0415

        bucket, key = destination.bucket, destination.key
        if mode.is_new and self._is_there(bucket, key):
            # at once, as `open` does; another one may still come first
            raise AlreadyExistsError("the key is taken; choose another, or mode 'w' to replace the object", bucket, key)
        upload = StreamUpload(self._remote, destination, arguments.chunk_size(chunk_size, self.DEFAULT_CHUNK_SIZE))
        return ObjectWriter(upload, lambda file: self._put(destination, file), key, mode.text)

    def _is_there(self, bucket: str, key: str) -> bool:
        try:
            self._remote.head(bucket, key)
        except NotFoundError:
            return False
        return True
