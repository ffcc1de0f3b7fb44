"""The store, through obstore: one method per request, plain values out, errors in the words of this service."""

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

from .availability import Reach
from .errors import Conflict, is_unreachable, refusal

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = logging.getLogger(__name__)

MAX_SINGLE: Final = 5 * GiB
"""Bytes that S3 takes in one request, the only kind that it takes with a condition."""

_PART_SIZE: Final = 8 * MiB
_PARALLEL: Final = 4
"""Parts of one object that are on their way at the same time."""
_MAX_PARTS: Final = 10_000
_READ_SIZE: Final = MiB
_QUICK_SIZE: Final = 8 * MiB
"""Bytes that may be sent within the time of a small request."""
_SLOW: Final = 4.0 * MiB
"""Bytes a second of a store that is slow, and not out of reach."""
_PAGE: Final = 100
"""Names handed over at a time; the store sends a thousand whatever is asked for."""
_WHOLE_DAY: Final = 24 * 60 * 60.0

Attributes = Mapping[str, str]


class Found(NamedTuple):
    """An object of the store."""

    size: int
    etag: str
    """The store's own, as it tells it."""
    attributes: Attributes
    body: Iterator[bytes | memoryview] = iter(())
    """The bytes asked for, each piece as it comes; nothing after a mere look at the object."""


class Name(NamedTuple):
    """One name of a listing."""

    name: str
    size: int
    last_modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request may take, in seconds."""

    whole: float
    """All of it."""
    silence: float | None = None
    """Without a byte of the answer."""


class _Source:
    """An iterator whose own error comes out on the other side of obstore, which hides it.

    Args:
        pieces: What it yields.

    Attributes:
        failed: What it raised, if it did.
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
            self.failed = error
            raise


class Backend:
    """A bucket of a store.

    Args:
        connect: Returns the bucket as obstore has it, with this patience.
        timeout: Seconds that a request of few bytes, or the next bytes of a large one, may take.
        probed: A folder, of which it is asked whether the store answers.
    """

    def __init__(self, connect: Callable[[Patience], ObjectStore], timeout: float, *, probed: str) -> None:
        self._connect = connect
        self._probed = probed
        self._timeout = timeout
        self._quick = connect(Patience(whole=timeout))
        self._streams = connect(Patience(whole=_WHOLE_DAY, silence=timeout))
        self._patient: dict[int, ObjectStore] = {}
        self.reach = Reach(self.probe)

    def probe(self) -> None:
        """Return if the store answers.

        Raises:
            StorageError: It does not, or refuses.
        """
        with self._translated():
            next(iter(obstore.list(self._quick, prefix=self._probed)), None)

    def head(self, name: str) -> Found | None:
        """Return what is at `name`, without its bytes."""
        return self._get(self._quick, name, {"head": True})

    def get(self, name: str, first: int = 0, stop: int | None = None, *, etag: str | None = None) -> Found | None:
        """Return what is at `name`, with the bytes from `first` on up to, not including, `stop`.

        Args:
            name: Of the object.
            first: A byte that the object has, or 0.
            stop: Greater than `first`; None: to the end.
            etag: That of the object there must be; else there is none.
        """
        options: dict[str, Any] = {} if etag is None else {"if_match": etag}
        if stop is not None:
            options["range"] = (first, stop)
        elif first:
            options["range"] = {"offset": first}
        return self._get(self._streams, name, options)

    def put(self, name: str, body: bytes | memoryview, attributes: Attributes) -> None:
        """Store `body` in one request, whatever is there."""
        self._put(name, body, attributes, "overwrite")

    def create(self, name: str, body: bytes | memoryview, attributes: Attributes) -> None:
        """Store `body` where nothing is.

        Raises:
            Conflict: Something is there.
        """
        self._put(name, body, attributes, "create")

    def replace(self, name: str, body: bytes | memoryview, attributes: Attributes, etag: str) -> None:
        """Store `body` in the place of the object with `etag`.

        Args:
            name: Of the object.
            body: Its new bytes.
            attributes: Its new attributes.
            etag: In the form in which this store compares it.

        Raises:
            Conflict: Another object is there, or none.
        """
        self._put(name, body, attributes, {"e_tag": etag})

    def put_in_parts(self, name: str, body: Iterable[bytes], size: int, attributes: Attributes) -> None:
        """Store `size` bytes in many requests, visible when all are there; an iterator that raises stores nothing."""
        part_size = max(_PART_SIZE, -(-size // _MAX_PARTS))
        source = _Source(body)
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
            raise source.failed or error from error.__cause__

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; one that is not there is no error."""
        with self._translated():
            try:
                obstore.delete(self._quick, list(names))
            except FileNotFoundError:
                for name in names:
                    self._delete(name)

    def names(self, folder: str, behind: str | None = None) -> Iterator[Name]:
        """Yield what is below a folder in byte order, lazily; only names greater than `behind`."""
        with self._translated():
            for page in obstore.list(self._quick, prefix=folder, offset=behind, chunk_size=_PAGE):
                for each in page:
                    yield Name(each["path"], each["size"], each["last_modified"])

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders right below one."""
        with self._translated():
            return list(obstore.list_with_delimiter(self._quick, prefix=folder)["common_prefixes"])

    def sign(self, method: Any, name: str, expires: float) -> str:
        """Return a URL of the store's own that is good for `expires` seconds."""
        store: Any = self._quick
        with self._translated():
            return obstore.sign(store, method, name, timedelta(seconds=int(expires)))

    def close(self) -> None:
        """End what is under way in the background."""
        self.reach.close()

    def _get(self, store: ObjectStore, name: str, options: Any) -> Found | None:
        with self._translated():
            try:
                found = obstore.get(store, name, options=options)
            except (FileNotFoundError, exceptions.PreconditionError) as error:
                if isinstance(error, FileNotFoundError) and "NoSuchBucket" in str(error):
                    raise
                return None
        body = iter(()) if "head" in options else self._pieces(found)
        return Found(found.meta["size"], found.meta["e_tag"] or "", dict(found.attributes), body)

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
                if "NoSuchBucket" in str(error):
                    raise
                raise Conflict from error

    def _delete(self, name: str) -> None:
        try:
            obstore.delete(self._quick, name)
        except FileNotFoundError:
            return

    def _with_time_for(self, size: int) -> ObjectStore:
        """Return a connection with time for `size` bytes in one request, or somewhat more."""
        if size <= _QUICK_SIZE:
            return self._quick
        most = 1 << (size - 1).bit_length()
        if most not in self._patient:
            self._patient[most] = self._connect(Patience(whole=self._timeout + most / _SLOW))
        return self._patient[most]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except (exceptions.BaseError, OSError, ValueError) as error:
            told = refusal(error)
            if is_unreachable(told):
                self.reach.lost()
            log.info("the store failed, %s", str(error).partition("\n")[0])
            raise told from error
        else:
            self.reach.found()
