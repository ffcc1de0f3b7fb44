"""The rules of buckets: their names, their creation and removal, and pages of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actorc.storage import rules
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import BucketInfo
from actorc.storage.server.engines.base import Engine

from .checks import check_idempotency_key, page_limit
from .page_tokens import read_token, write_token
from .paging import fitting
from .upload import name_in_errors

_BUCKETS: Final = "buckets"
"""Identifies the listing of buckets in its page tokens."""


class BucketOperations:
    """Operations on buckets, one part of `ObjectStore`."""

    _engine: Engine

    def create_bucket(self, bucket: str, *, exist_ok: bool = False, idempotency_key: str = "") -> BucketInfo:
        """Make a bucket and return it.

        Raises:
            AlreadyExistsError: It exists, and `exist_ok` is False.
        """
        rules.check_bucket(bucket)
        check_idempotency_key(idempotency_key)
        with name_in_errors(bucket):
            return self._engine.create_bucket(bucket, exist_ok=exist_ok, idempotency_key=idempotency_key)

    def delete_bucket(self, bucket: str, *, idempotency_key: str = "") -> None:
        """Remove an empty bucket and the multipart uploads under way in it.

        Raises:
            BucketNotEmptyError: It contains objects.
        """
        rules.check_bucket(bucket)
        check_idempotency_key(idempotency_key)
        with name_in_errors(bucket):
            self._engine.delete_bucket(bucket, idempotency_key=idempotency_key)

    def head_bucket(self, bucket: str) -> BucketInfo:
        """Return the description of a bucket."""
        rules.check_bucket(bucket)
        with name_in_errors(bucket):
            return self._engine.head_bucket(bucket)

    def bucket_page(
        self, *, page_size: int = 0, page_token: str = "", is_shown: Callable[[str], bool] = lambda _: True
    ) -> tuple[list[BucketInfo], str]:
        """Return one page of buckets in order of name, and the token of the next page, empty on the last one.

        Args:
            page_size: Buckets in the page, at most `MAX_PAGE`; 0: all of them, for clients that know no pages.
            page_token: Token that came with the page before; empty: the first page.
            is_shown: Returns whether the caller may see the bucket of this name.

        Raises:
            InvalidParameterError: The token is not of this listing, or all buckets are too many for one message.
        """
        after = read_token(page_token, _BUCKETS) if page_token else ""
        rest = [info for info in self._engine.buckets() if info.name > after and is_shown(info.name)]
        page = rest[: fitting(rest, page_limit(page_size) if page_size else len(rest))]
        if not page_size and len(page) < len(rest):
            raise InvalidParameterError(
                f"{len(rest)} buckets are too many for one answer; ask for them in pages, with page_size"
            )
        return page, write_token(page[-1].name, _BUCKETS) if len(page) < len(rest) else ""
