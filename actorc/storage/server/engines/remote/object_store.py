"""Requests to the store through obstore, one method each: plain values out, errors of this service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import obstore
from obstore import exceptions

from actorc.storage.errors import StorageError
from actorc.storage.rules import GiB, MiB

from .availability import Availability
from .errors import Conflict, is_unreachable, refusal

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = logging.getLogger(__name__)

MAX_SINGLE: Final = 5 * GiB
"""Bytes that S3 accepts in one request; only such requests can have a condition."""

_PART_SIZE: Final = 8 * MiB
_PARALLEL: Final = 4
"""Parts of one object that are sent at the same time."""
_MAX_PARTS: Final = 10_000
_READ_SIZE: Final = MiB
_QUICK_SIZE: Final = 8 * MiB
"""Bytes that may be sent within the time of a small request."""
_SLOW_RATE: Final = 4.0 * MiB
"""Bytes a second that a slow store takes; a slower one counts as unavailable."""
_PAGE: Final = 100
"""KeyLayout handed over at a time; the store sends a thousand in each answer anyway."""
_WHOLE_DAY: Final = 24 * 60 * 60.0

Attributes = Mapping[str, str]


class Found(NamedTuple):
    """An object of the store."""

    size: int
    etag: str
    """The store's own etag, as it returned it."""
    attributes: Attributes
    body: Iterator[bytes | memoryview] = iter(())
    """The requested bytes, piece by piece as they arrive; empty after `head`."""
    version: str | None = None
    """Version of the object, by which Google Cloud Storage compares; None: the store tells none."""


class Name(NamedTuple):
    """One name of a listing."""

    name: str
    size: int
    last_modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """Time limits of a request, in seconds."""

    whole: float
    """For the whole request."""
    silence: float | None = None
    """Between two pieces of the answer; None: no limit."""


class _PartSource:
    """An iterator that keeps its own error, since obstore does not pass it on.

    Args:
        pieces: The pieces to yield.

    Attributes:
        failed: The error that the pieces raised, or None.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.failed: StorageError | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StorageError as error:
            # recorded, since obstore wraps it and the caller is to raise the original
            self.failed = error
            raise


class Backend:
    """A bucket of a store. Any thread may call it.

    Args:
        connect: Returns the bucket as an object of obstore with these time limits.
        timeout: Seconds for a request of few bytes, or between two pieces of a large answer.
        probed: Folder that `probe` lists.
    """

    def __init__(self, connect: Callable[[TimeLimits], ObjectStore], timeout: float, *, probed: str) -> None:
        self._connect = connect
        self._probed = probed
        self._timeout = timeout
        self._quick = connect(TimeLimits(whole=timeout))
        self._streams = connect(TimeLimits(whole=_WHOLE_DAY, silence=timeout))
        # without a lock: two threads may make the same connection, and one of them is dropped
        self._patient: dict[int, ObjectStore] = {}
        self.availability = Availability(self.probe)

    def probe(self) -> None:
        """Check that the store answers.

        Raises:
            StorageError: It does not, or refuses.
        """
        with self._translated():
            next(iter(obstore.list(self._quick, prefix=self._probed)), None)

    def head(self, name: str) -> Found | None:
        """Return the object of this name without its bytes, or None."""
        return self._get(self._quick, name, {"head": True})

    def get(self, name: str, first: int = 0, stop: int | None = None, *, etag: str | None = None) -> Found | None:
        """Return the object of this name, with the bytes from `first` to before `stop`, or None.

        Args:
            name: Name of the object.
            first: Position of a byte that the object has, or 0.
            stop: Greater than `first`; None: the end.
            etag: Etag that the object must have; otherwise None is returned.
        """
        options: dict[str, Any] = {} if etag is None else {"if_match": etag}
        if stop is not None:
            options["range"] = (first, stop)
        elif first:
            options["range"] = {"offset": first}
        return self._get(self._streams, name, options)

    def put(self, name: str, body: bytes | memoryview, attributes: Attributes) -> None:
        """Store `body` in one request, unconditionally."""
        self._put(name, body, attributes, "overwrite")

    def create(self, name: str, body: bytes | memoryview, attributes: Attributes) -> None:
        """Store `body` where there is no object.

        Raises:
            Conflict: There is one.
        """
        self._put(name, body, attributes, "create")

    def replace(
        self, name: str, body: bytes | memoryview, attributes: Attributes, etag: str, version: str | None = None
    ) -> None:
        """Replace the object that has `etag`, or `version` where the store compares versions.

        Args:
            name: Name of the object.
            body: Its new bytes.
            attributes: Its new attributes.
            etag: In the form in which this store compares etags.
            version: From `Found`; None: it told none.

        Raises:
            Conflict: There is another object, or none.
        """
        self._put(name, body, attributes, {"e_tag": etag} | ({} if version is None else {"version": version}))

    def put_in_parts(self, name: str, body: Iterable[bytes], size: int, attributes: Attributes) -> None:
        """Store `size` bytes in many requests; the object appears with the last. If `body` raises, there is none."""
        part_size = max(_PART_SIZE, -(-size // _MAX_PARTS))
        source = _PartSource(body)
        try:
            with self._translated():
                obstore.put(
                    self._with_time_for(_PARALLEL * part_size),
                    name,
                    source,
                    attributes=dict(attributes),
                    use_multipart=True,
                    chunk_size=part_size,
                    max_concurrency=max(1, _PARALLEL * _PART_SIZE // part_size),
                )
        except StorageError as error:
            # the error of the source tells more than that of obstore, which only knows that the iterator failed
            raise source.failed or error from error.__cause__

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; missing ones are no error."""
        with self._translated():
            try:
                obstore.delete(self._quick, list(names))
            except FileNotFoundError:
                # a batch with a missing object may have removed only some, so each is removed by itself
                for name in names:
                    self._delete(name)

    def names(self, folder: str, behind: str | None = None) -> Iterator[Name]:
        """Yield the names below a folder in byte order, lazily; only names greater than `behind`."""
        with self._translated():
            for page in obstore.list(self._quick, prefix=folder, offset=behind, chunk_size=_PAGE):
                for each in page:
                    yield Name(each["path"], each["size"], each["last_modified"])

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders directly below one."""
        with self._translated():
            return list(obstore.list_with_delimiter(self._quick, prefix=folder)["common_prefixes"])

    def sign(self, method: Any, name: str, expires: float) -> str:
        """Return a presigned URL of the store that is valid for `expires` seconds."""
        store: Any = self._quick
        with self._translated():
            return obstore.sign(store, method, name, timedelta(seconds=int(expires)))

    def close(self) -> None:
        """Stop probing in the background."""
        self.availability.close()

    def _get(self, store: ObjectStore, name: str, options: Any) -> Found | None:
        with self._translated():
            try:
                found = obstore.get(store, name, options=options)
            except (FileNotFoundError, exceptions.PreconditionError) as error:
                # a missing object is a result, a missing bucket of the store is not
                if isinstance(error, FileNotFoundError) and "NoSuchBucket" in str(error):
                    raise
                return None
        body = iter(()) if "head" in options else self._pieces(found)
        return Found(found.meta["size"], found.meta["e_tag"] or "", dict(found.attributes), body, found.meta["version"])

    def _pieces(self, found: obstore.GetResult) -> Iterator[memoryview]:
        with self._translated():
            for piece in found.stream(min_chunk_size=_READ_SIZE):
                yield memoryview(piece)

    def _put(self, name: str, body: bytes | memoryview, attributes: Attributes, mode: Any) -> None:
        with self._translated():
            try:
                obstore.put(
                    self._with_time_for(len(body)),
                    name,
                    body,
                    attributes=dict(attributes),
                    mode=mode,
                    use_multipart=False,
                )
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileNotFoundError) as error:
                # stores answer by any of these to a condition that is not met
                if "NoSuchBucket" in str(error):
                    raise
                raise Conflict from error

    def _delete(self, name: str) -> None:
        try:
            obstore.delete(self._quick, name)
        except FileNotFoundError:
            # deleting a missing object is no error, as with the stores that do not report it
            return

    def _with_time_for(self, size: int) -> ObjectStore:
        """Return a connection with time for `size` bytes in one request, or somewhat more."""
        if size <= _QUICK_SIZE:
            return self._quick
        # powers of two, so that few connections are kept
        most = 1 << (size - 1).bit_length()
        if most not in self._patient:
            self._patient[most] = self._connect(TimeLimits(whole=self._timeout + most / _SLOW_RATE))
        return self._patient[most]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            # raised by the caller's own code within the block
            raise
        except (exceptions.BaseError, OSError, ValueError) as error:
            translated = refusal(error)
            if is_unreachable(translated):
                self.availability.failed()
            log.info("the store failed, %s", str(error).partition("\n")[0])
            raise translated from error
        else:
            self.availability.answered()
