"""The store as one caller may use it: every method requires its permission first.

Methods that are not listed here cannot be called at all, so a forgotten method is inaccessible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import Concatenate, Generic, ParamSpec, TypeVar

from actorc.storage.errors import BucketNotFoundError, StorageError
from actorc.storage.models import (
    ANY,
    BucketInfo,
    Condition,
    DeleteResult,
    ObjectAttributes,
    ObjectContent,
    ObjectInfo,
    ObjectPage,
    ServerInfo,
    SmallObject,
    UploadInfo,
)
from actorc.storage.server.engines.base import CopySource
from actorc.storage.server.store.multipart import MultipartUploads
from actorc.storage.server.store.store import ObjectStore

from .access import Principal, visible

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")


class _Authorized(Generic[T_co]):
    """A set of operations and their caller. One object for each call.

    Args:
        target: The operations, which know no callers.
        principal: The caller.
    """

    def __init__(self, target: T_co, principal: Principal) -> None:
        self._target = target
        self._principal = principal

    @contextmanager
    def authorized(self, action: str, bucket: str, key: str = "") -> Iterator[T_co]:
        """Yield the operations if the action is allowed.

        Raises:
            PermissionError: It is not allowed.
            BucketNotFoundError: The operation raised it; for a writer that may not create the bucket, with advice.
        """
        self._principal.demand(action, bucket, key)
        try:
            yield self._target
        except BucketNotFoundError as error:
            raise self.advised(error, action, bucket) from None

    def advised(self, error: BucketNotFoundError, action: str, bucket: str) -> BucketNotFoundError:
        """Return the error; for a writer that may not create the bucket, one that tells what to do."""
        if action != "write" or error.bucket != bucket or self._principal.may("admin", bucket):
            return error
        return self._principal.missing_bucket_error(bucket, error.key)


def _on_object(
    action: str, method: Callable[Concatenate[T, str, str, P], R]
) -> Callable[Concatenate[_Authorized[T], str, str, P], R]:
    def guarded(self: _Authorized[T], bucket: str, key: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._principal.demand(action, bucket, key)
        try:
            return method(self._target, bucket, key, *args, **kwargs)
        except BucketNotFoundError as error:
            raise self.advised(error, action, bucket) from None

    update_wrapper(guarded, method)
    return guarded


def _on_bucket(
    action: str, method: Callable[Concatenate[T, str, P], R]
) -> Callable[Concatenate[_Authorized[T], str, P], R]:
    def guarded(self: _Authorized[T], bucket: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._principal.demand(action, bucket)
        try:
            return method(self._target, bucket, *args, **kwargs)
        except BucketNotFoundError as error:
            raise self.advised(error, action, bucket) from None

    update_wrapper(guarded, method)
    return guarded


class AuthorizedUploads(_Authorized[MultipartUploads]):
    """`MultipartUploads` for one caller; the permission to write an object includes uploading it in parts."""

    create = _on_object("write", MultipartUploads.create)
    begin_part = _on_object("write", MultipartUploads.begin_part)
    complete = _on_object("write", MultipartUploads.complete)
    abort = _on_object("write", MultipartUploads.abort)
    parts = _on_object("write", MultipartUploads.parts)

    def page(
        self, bucket: str, *, prefix: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[Sequence[UploadInfo], str]:
        """Return one page of the uploads to which the caller may write."""
        ranges = _visible(self._principal, "write", bucket, prefix)
        return self._target.page(bucket, prefix=prefix, page_size=page_size, page_token=page_token, within=ranges)


class AuthorizedStore(_Authorized[ObjectStore]):
    """`ObjectStore` for one caller."""

    create_bucket = _on_bucket("admin", ObjectStore.create_bucket)
    delete_bucket = _on_bucket("admin", ObjectStore.delete_bucket)
    put = _on_object("write", ObjectStore.put)
    begin_write = _on_object("write", ObjectStore.begin_write)
    read = _on_object("read", ObjectStore.read)
    read_ranges = _on_object("read", ObjectStore.read_ranges)
    files = _on_object("read", ObjectStore.files)
    read_small = _on_object("read", ObjectStore.read_small)
    head = _on_object("read", ObjectStore.head)
    presigned_location = _on_object("read", ObjectStore.presigned_location)
    delete = _on_object("delete", ObjectStore.delete)

    @property
    def multipart(self) -> AuthorizedUploads:
        """The multipart uploads."""
        return AuthorizedUploads(self._target.multipart, self._principal)

    def server_info(self) -> ServerInfo:
        """Return limits and capabilities, to every caller."""
        return self._target.server_info()

    def head_bucket(self, bucket: str) -> BucketInfo:
        """Return the description of a bucket in which anything is allowed to the caller."""
        if not self._principal.knows(bucket):
            raise self._principal.refusal("list", bucket)
        return self._target.head_bucket(bucket)

    def bucket_page(self, *, page_size: int = 0, page_token: str = "") -> tuple[list[BucketInfo], str]:
        """Return one page of the buckets in which anything is allowed to the caller, in order of name."""
        return self._target.bucket_page(page_size=page_size, page_token=page_token, is_shown=self._principal.knows)

    def page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        page_size: int = 0,
        page_token: str = "",
        details: bool = True,
    ) -> ObjectPage:
        """Return one page of the listing of a bucket, as if it had only the keys that the caller may list.

        Raises:
            PermissionError: No key that begins with `prefix` may be listed.
        """
        return self._target.page(
            bucket,
            prefix=prefix,
            delimiter=delimiter,
            page_size=page_size,
            page_token=page_token,
            details=details,
            within=_visible(self._principal, "list", bucket, prefix),
        )

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        """Remove the objects that the caller may delete; the results of the others are errors.

        Raises:
            PermissionError: The caller may delete nothing in the bucket.
        """
        allowed = self._allowed("delete", bucket)
        wanted = [key for key in keys if key.startswith(allowed)]
        done = iter(self._target.delete_many(bucket, wanted, idempotency_key=idempotency_key))
        return [next(done) if key.startswith(allowed) else self._undeletable(bucket, key) for key in keys]

    def put_many(
        self, bucket: str, objects: Sequence[SmallObject], *, idempotency_key: str = ""
    ) -> list[ObjectInfo | StorageError]:
        """Store the objects that the caller may write; the results of the others are errors.

        Raises:
            PermissionError: The caller may write nothing in the bucket.
        """
        allowed = self._allowed("write", bucket)
        wanted = [each for each in objects if each.key.startswith(allowed)]
        try:
            done = iter(self._target.put_many(bucket, wanted, idempotency_key=idempotency_key))
        except BucketNotFoundError as error:
            raise self.advised(error, "write", bucket) from None
        return [
            next(done) if each.key.startswith(allowed) else self._principal.refusal("write", bucket, each.key)
            for each in objects
        ]

    def read_many(self, bucket: str, keys: Sequence[str]) -> Iterator[ObjectContent | StorageError]:
        """Yield the objects that the caller may read; the results of the others are errors.

        Raises:
            PermissionError: The caller may read nothing in the bucket.
        """
        return self._looked_up(bucket, keys, self._target.read_many)

    def head_many(self, bucket: str, keys: Sequence[str]) -> Iterator[ObjectInfo | StorageError]:
        """Yield the descriptions of the objects that the caller may read; the results of the others are errors.

        Raises:
            PermissionError: The caller may read nothing in the bucket.
        """
        return self._looked_up(bucket, keys, self._target.head_many)

    def copy(
        self,
        source: CopySource,
        bucket: str,
        key: str,
        *,
        attributes: ObjectAttributes | None = None,
        condition: Condition = ANY,
        ttl: int | None = None,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        """Copy an object that the caller may read."""
        self._principal.demand("read", source.bucket, source.key)
        with self.authorized("write", bucket, key) as store:
            return store.copy(
                source,
                bucket,
                key,
                attributes=attributes,
                condition=condition,
                ttl=ttl,
                idempotency_key=idempotency_key,
            )

    def _allowed(self, action: str, bucket: str) -> tuple[str, ...]:
        """Return the prefixes of the keys on which the action is allowed; raise if there are none."""
        allowed = self._principal.prefixes(action, bucket)
        if not allowed:
            raise self._principal.refusal(action, bucket)
        return allowed

    def _looked_up(
        self, bucket: str, keys: Sequence[str], ask: Callable[[str, list[str]], Iterator[T | StorageError]]
    ) -> Iterator[T | StorageError]:
        allowed = self._allowed("read", bucket)
        done = ask(bucket, [key for key in keys if key.startswith(allowed)])
        for key in keys:
            yield next(done) if key.startswith(allowed) else self._principal.refusal("read", bucket, key)

    def _undeletable(self, bucket: str, key: str) -> DeleteResult:
        return DeleteResult(key=key, deleted=False, error=self._principal.refusal("delete", bucket, key))


def _visible(principal: Principal, action: str, bucket: str, prefix: str) -> tuple[str, ...]:
    """Return the prefixes that a listing below `prefix` may show; other keys are not even looked at.

    Raises:
        PermissionError: It may show none.
    """
    ranges = visible(prefix, principal.prefixes(action, bucket))
    if not ranges:
        raise principal.refusal(action, bucket, prefix)
    return ranges
