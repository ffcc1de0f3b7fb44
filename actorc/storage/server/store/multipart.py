"""The rules of multipart uploads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from actorc.storage import rules
from actorc.storage.errors import InvalidParameterError
from actorc.storage.models import ANY, Condition, ObjectAttributes, ObjectInfo, PartInfo, UploadInfo
from actorc.storage.server.engines.base import Engine, PartChoice

from .auto_create import BucketCreation
from .checks import (
    GUESSED_TYPE,
    check_condition,
    check_expiry,
    check_idempotency_key,
    check_name,
    check_new_object,
    page_limit,
)
from .page_tokens import read_token, write_token
from .paging import joined_uploads
from .upload import Upload, check_size, name_in_errors


class MultipartUploads:
    """Multipart uploads: begun, filled in any order and in parallel, completed or aborted. Any thread may call it.

    Args:
        engine: The engine.
        buckets: Creates missing buckets, if that is allowed.
    """

    def __init__(self, engine: Engine, buckets: BucketCreation) -> None:
        self._engine = engine
        self._buckets = buckets

    def create(
        self,
        bucket: str,
        key: str,
        *,
        attributes: ObjectAttributes = GUESSED_TYPE,
        condition: Condition = ANY,
        idempotency_key: str = "",
    ) -> str:
        """Begin a multipart upload and return its id.

        Args:
            bucket: An existing bucket, unless missing ones are created.
            key: Key of the object.
            attributes: An empty content type is guessed from the key; the ttl counts from completion.
            condition: Condition on the current object, checked now and again at completion.
            idempotency_key: Unique per logical call; a repeated call gets the first answer.

        Raises:
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the current object.
        """
        attributes = check_new_object(bucket, key, attributes, condition, idempotency_key)
        create = partial(
            self._engine.create_upload, bucket, key, attributes, condition, idempotency_key=idempotency_key
        )
        with name_in_errors(bucket, key):
            check_expiry(attributes.ttl, self._engine)
            return self._buckets.write(bucket, create)

    def begin_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        *,
        idempotency_key: str = "",
        declared_size: int | None = None,
    ) -> Upload[PartInfo]:
        """Begin a part of any size; nothing is stored before `Upload.commit`, which replaces a part of the same number.

        Raises:
            UploadNotFoundError: There is no such upload for this key.
            ResourceExhaustedError: The disk is full.
        """
        check_name(bucket, key)
        rules.check_part_number(number)
        check_idempotency_key(idempotency_key)
        check_size(declared_size)
        with name_in_errors(bucket, key):
            writer = self._engine.part_writer(bucket, key, upload_id, number, declared_size=declared_size)
        return Upload(writer, bucket, key, partial(writer.commit, idempotency_key=idempotency_key))

    def complete(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[PartChoice],
        *,
        condition: Condition = ANY,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        """Make the object of the chosen parts, all or nothing; other parts are dropped.

        Args:
            bucket: Bucket of the upload.
            key: Key of the upload.
            upload_id: The result of `create`.
            parts: In ascending order of number, at least one.
            condition: Checked in addition to that of `create`.
            idempotency_key: Unique per logical call; a repeated call gets the first answer.

        Raises:
            InvalidParameterError: No part is named, they are out of order, or one was never uploaded.
            PreconditionFailedError: A part was replaced since, or a condition is not met.
            UploadNotFoundError: There is no such upload for this key, perhaps because it was completed.
            AlreadyExistsError: A condition says `if_absent` and the key is taken.
        """
        check_name(bucket, key)
        check_condition(condition)
        check_idempotency_key(idempotency_key)
        with name_in_errors(bucket, key):
            _check_order([part.number for part in parts])
            return self._engine.complete_upload(
                bucket, key, upload_id, parts, condition, idempotency_key=idempotency_key
            )

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; a missing one is no error."""
        check_name(bucket, key)
        with name_in_errors(bucket, key):
            self._engine.abort_upload(bucket, key, upload_id)

    def parts(
        self, bucket: str, key: str, upload_id: str, *, page_size: int = 0, after_number: int = 0
    ) -> tuple[list[PartInfo], bool]:
        """Return one page of parts in order of number, and whether there are more.

        Raises:
            UploadNotFoundError: There is no such upload for this key.
        """
        check_name(bucket, key)
        limit = page_limit(page_size)
        if after_number:
            rules.check_part_number(after_number)
        with name_in_errors(bucket, key):
            # one more than asked for tells whether there are others
            parts = self._engine.list_parts(bucket, key, upload_id, after_number=after_number, limit=limit + 1)
        return parts[:limit], len(parts) > limit

    def page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        page_size: int = 0,
        page_token: str = "",
        within: Sequence[str] = (),
    ) -> tuple[Sequence[UploadInfo], str]:
        """Return one page of uploads under way, and the token of the next page, empty on the last one.

        Args:
            bucket: Bucket of the uploads.
            prefix: Prefix of their keys.
            page_size: Uploads in the page, at most `MAX_PAGE`; 0: that many.
            page_token: Token that came with the page before, of the same listing; empty: the first page.
            within: Prefixes of the keys whose uploads are listed, as in `ObjectStore.page`.

        Raises:
            InvalidParameterError: The token belongs to another listing.
        """
        rules.check_bucket(bucket)
        rules.check_prefix(prefix)
        listed = ("uploads", bucket, prefix)
        key, _, upload_id = read_token(page_token, *listed).rpartition("\0") if page_token else ("", "", "")
        with name_in_errors(bucket):
            page = joined_uploads(
                partial(self._engine.list_uploads, bucket),
                within or (prefix,),
                after=(key, upload_id) if page_token else None,
                limit=page_limit(page_size),
            )
        return page.uploads, write_token("\0".join(page.next_after), *listed) if page.next_after else ""


def _check_order(numbers: Sequence[int]) -> None:
    if not numbers:
        raise InvalidParameterError("an upload is completed with one part or more; name them, or abort the upload")
    for number in numbers:
        rules.check_part_number(number)
    for before, number in pairwise(numbers):
        if number <= before:
            raise InvalidParameterError(f"part {number} is named behind part {before}; sort the parts, each once")
