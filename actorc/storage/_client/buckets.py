"""Methods about buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorc.storage import rules
from actorc.storage._rpc import result_dicts
from actorc.storage.errors import NotFoundError
from actorc.storage.models import BucketResult

from . import arguments
from .session import Session

if TYPE_CHECKING:
    from actorc.storage._rpc.payload import Progress


class BucketMethods(Session):
    """The methods of `StorageClient` about buckets."""

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, timeout: float | None = None) -> BucketResult:
        """Make a bucket.

        Args:
            bucket: 3-63 lower-case letters, digits and hyphens, with a letter or digit at both ends.
            exist_ok: Whether an existing bucket is no error.
            timeout: Seconds for the whole call.

        Raises:
            AlreadyExistsError: It exists and `exist_ok` is false.
        """
        return result_dicts.bucket_result(
            self._remote.create_bucket(rules.check_bucket(bucket), exist_ok=exist_ok, timeout=timeout)
        )

    def delete_bucket(
        self, bucket: str, *, force: bool = False, progress: Progress | None = None, timeout: float | None = None
    ) -> None:
        """Remove a bucket; it must be empty, unless `force` is given.

        Args:
            bucket: Bucket name.
            force: Remove all of its objects first, in batches. Objects written meanwhile may make the last step fail;
                removed objects stay removed. Uploads under way always go with the bucket.
            progress: Called with the objects removed so far, and None.
            timeout: Seconds for each call that is made.

        Raises:
            NotFoundError: It does not exist.
            PreconditionFailedError: It contains objects.
            StorageError: With `force`, the first object that could not be removed.
        """
        rules.check_bucket(bucket)
        if force:
            self._clear(bucket, progress, timeout)
        self._remote.delete_bucket(bucket, timeout)

    def list_buckets(self, *, timeout: float | None = None) -> list[BucketResult]:
        """Return all buckets in order of name."""
        return [result_dicts.bucket_result(info) for info in self._remote.buckets(timeout)]

    def bucket_exists(self, bucket: str, *, timeout: float | None = None) -> bool:
        """Return whether there is such a bucket; raises if that cannot be found out."""
        try:
            self._remote.head_bucket(rules.check_bucket(bucket), timeout)
        except NotFoundError:
            return False
        return True

    def _clear(self, bucket: str, progress: Progress | None, timeout: float | None) -> None:
        from actorc.storage._transfer import object_batches  # noqa: PLC0415  # loads the checksum library

        done = 0
        for page in self._remote.pages(arguments.list_query(bucket, "", details=False), timeout=timeout):
            results = object_batches.delete(self._remote, bucket, [info.key for info in page.objects], timeout)
            failed = next((result.error for result in results if result.error is not None), None)
            if failed is not None:
                raise failed
            done += len(results)
            if progress is not None and results:
                progress(done, None)
