"""The store as one caller may use it: every method demands its permission first.

A method that is not named here cannot be called by anybody, so a forgotten one is a closed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import Concatenate, Generic, ParamSpec, TypeVar

from actorc.storage.errors import BucketNotFoundError
from actorc.storage.models import (
    ANY,
    BucketInfo,
    Condition,
    DeleteResult,
    ObjectAttributes,
    ObjectInfo,
    ObjectPage,
    ServerInfo,
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
    """Something with rules, and who calls it.

    Args:
        principal: Who calls.
        full: What is called.
    """

    def __init__(self, principal: Principal, full: T_co) -> None:
        self._principal = principal
        self._full = full

    @contextmanager
    def demanded(self, action: str, bucket: str, key: str = "") -> Iterator[T_co]:
        """Yield what to call once the action is known to be allowed.

        Raises:
            PermissionError: It is not.
            BucketNotFoundError: What is called raised it; a writer who may not make the bucket is told who may.
        """
        self._principal.demand(action, bucket, key)
        try:
            yield self._full
        except BucketNotFoundError as error:
            if action != "write" or error.bucket != bucket or self._principal.may("admin", bucket):
                raise
            raise self._principal.unmade(bucket, error.key) from None


def _on_object(
    action: str, method: Callable[Concatenate[T, str, str, P], R]
) -> Callable[Concatenate[_Authorized[T], str, str, P], R]:
    def guarded(self: _Authorized[T], bucket: str, key: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.demanded(action, bucket, key) as it:
            return method(it, bucket, key, *args, **kwargs)

    update_wrapper(guarded, method)
    return guarded


def _on_bucket(
    action: str, method: Callable[Concatenate[T, str, P], R]
) -> Callable[Concatenate[_Authorized[T], str, P], R]:
    def guarded(self: _Authorized[T], bucket: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.demanded(action, bucket) as it:
            return method(it, bucket, *args, **kwargs)

    update_wrapper(guarded, method)
    return guarded


class AuthorizedUploads(_Authorized[MultipartUploads]):
    """`MultipartUploads` for one caller: whoever may write an object may send it in parts."""

    create = _on_object("write", MultipartUploads.create)
    begin_part = _on_object("write", MultipartUploads.begin_part)
    complete = _on_object("write", MultipartUploads.complete)
    abort = _on_object("write", MultipartUploads.abort)
    parts = _on_object("write", MultipartUploads.parts)

    def page(
        self, bucket: str, *, prefix: str = "", page_size: int = 0, page_token: str = ""
    ) -> tuple[Sequence[UploadInfo], str]:
        """Return one page of those uploads that the caller may write to."""
        ranges = _visible(self._principal, "write", bucket, prefix)
        return self._full.page(bucket, prefix=prefix, page_size=page_size, page_token=page_token, within=ranges)


class AuthorizedStore(_Authorized[ObjectStore]):
    """`ObjectStore` for one caller.

    Args:
        store: The rules, which know nothing of callers.
        principal: Who calls.
    """

    def __init__(self, store: ObjectStore, principal: Principal) -> None:
        super().__init__(principal, store)

    create_bucket = _on_bucket("admin", ObjectStore.create_bucket)
    delete_bucket = _on_bucket("admin", ObjectStore.delete_bucket)
    put = _on_object("write", ObjectStore.put)
    begin_write = _on_object("write", ObjectStore.begin_write)
    read = _on_object("read", ObjectStore.read)
    head = _on_object("read", ObjectStore.head)
    presigned_location = _on_object("read", ObjectStore.presigned_location)
    delete = _on_object("delete", ObjectStore.delete)

    @property
    def multipart(self) -> AuthorizedUploads:
        """Objects that come in parts."""
        return AuthorizedUploads(self._principal, self._full.multipart)

    def server_info(self) -> ServerInfo:
        """Describe limits and capabilities, to everybody."""
        return self._full.server_info()

    def head_bucket(self, bucket: str) -> BucketInfo:
        """Describe a bucket in which the caller may do anything."""
        if not self._principal.knows(bucket):
            raise self._principal.refusal("list", bucket)
        return self._full.head_bucket(bucket)

    def bucket_page(self, *, page_size: int = 0, page_token: str = "") -> tuple[list[BucketInfo], str]:
        """Return one page of the buckets in which the caller may do anything, in order of name."""
        return self._full.bucket_page(page_size=page_size, page_token=page_token, is_shown=self._principal.knows)

    def page(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", page_size: int = 0, page_token: str = ""
    ) -> ObjectPage:
        """Return one page of what a bucket would list that held only the keys which the caller may list.

        Raises:
            PermissionError: Nothing that begins with `prefix` can be listed.
        """
        return self._full.page(
            bucket,
            prefix=prefix,
            delimiter=delimiter,
            page_size=page_size,
            page_token=page_token,
            within=_visible(self._principal, "list", bucket, prefix),
        )

    def delete_many(self, bucket: str, keys: Sequence[str], *, idempotency_key: str = "") -> list[DeleteResult]:
        """Remove the objects that the caller may delete; each of the others is an error of its own in the results.

        Raises:
            PermissionError: The caller may delete nothing in the bucket.
        """
        allowed = self._principal.prefixes("delete", bucket)
        if not allowed:
            raise self._principal.refusal("delete", bucket)
        wanted = [key for key in keys if key.startswith(allowed)]
        done = iter(self._full.delete_many(bucket, wanted, idempotency_key=idempotency_key))
        return [next(done) if key.startswith(allowed) else self._undeletable(bucket, key) for key in keys]

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
        """Make a new object of the bytes of one that the caller may read."""
        self._principal.demand("read", source.bucket, source.key)
        with self.demanded("write", bucket, key) as store:
            return store.copy(
                source,
                bucket,
                key,
                attributes=attributes,
                condition=condition,
                ttl=ttl,
                idempotency_key=idempotency_key,
            )

    def _undeletable(self, bucket: str, key: str) -> DeleteResult:
        return DeleteResult(key=key, deleted=False, error=self._principal.refusal("delete", bucket, key))


def _visible(principal: Principal, action: str, bucket: str, prefix: str) -> tuple[str, ...]:
    """Return what the keys begin with that a listing below `prefix` may show; others are not even looked at.

    Raises:
        PermissionError: There can be none.
    """
    ranges = visible(prefix, principal.prefixes(action, bucket))
    if not ranges:
        raise principal.refusal(action, bucket, prefix)
    return ranges
