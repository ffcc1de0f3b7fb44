"""The rules of changes to objects: uploads, copies and deletions, and the conditions on them."""

from __future__ import annotations

from functools import partial

from actorc.storage import rules
from actorc.storage.errors import InvalidParameterError, NotFoundError
from actorc.storage.models import ANY, Condition, ObjectAttributes, ObjectInfo, SmallObject
from actorc.storage.server.engines.base import CopySource, Engine
from actorc.storage.server.engines.preconditions import check_precondition

from .auto_create import BucketCreation
from .checks import (
    GUESSED_TYPE,
    check_attributes,
    check_condition,
    check_expiry,
    check_idempotency_key,
    check_name,
    check_new_object,
)
from .upload import Upload, check_bytes, check_size, name_in_errors


class WriteOperations:
    """Changes to objects, one part of `ObjectStore`."""

    _engine: Engine
    _buckets: BucketCreation

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        crc32c: int,
        *,
        attributes: ObjectAttributes = GUESSED_TYPE,
        condition: Condition = ANY,
        idempotency_key: str = "",
    ) -> ObjectInfo:
        """Store an object of at most `MAX_INLINE_SIZE` bytes, all or nothing.

        Raises:
            IntegrityError: `data` does not match `crc32c`.
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the current object.
        """
        if len(data) > rules.MAX_INLINE_SIZE:
            raise InvalidParameterError(
                f"{len(data)} bytes are too many for one put; write more than {rules.MAX_INLINE_SIZE} as a stream",
                bucket,
                key,
            )
        attributes = check_new_object(bucket, key, attributes, condition, idempotency_key)
        with name_in_errors(bucket, key):
            check_expiry(attributes.ttl, self._engine)
            check_bytes(data, crc32c)
            small = SmallObject(key, data, crc32c, attributes, condition)
            return self._buckets.write(
                bucket, lambda: self._engine.put_small(bucket, small, idempotency_key=idempotency_key)
            )

    def begin_write(
        self,
        bucket: str,
        key: str,
        *,
        attributes: ObjectAttributes = GUESSED_TYPE,
        condition: Condition = ANY,
        idempotency_key: str = "",
        declared_size: int | None = None,
        check_early: bool = True,
    ) -> Upload[ObjectInfo]:
        """Begin an object of any size; nothing is stored before `Upload.commit`.

        Args:
            bucket: An existing bucket, unless missing ones are created.
            key: Key of the object.
            attributes: An empty content type is guessed from the key.
            condition: Condition on the current object when the upload is committed.
            idempotency_key: Unique per logical write; a repeated write gets the first answer.
            declared_size: Bytes expected, if known, so that a full disk is noticed now.
            check_early: Check the condition now as well, which saves sending bytes in vain. Not for a write that may
                be a repetition: the object that the first attempt made may not meet the condition.

        Raises:
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: `condition.if_match` is not the etag of the current object.
            ResourceExhaustedError: The disk is full.
        """
        attributes = check_new_object(bucket, key, attributes, condition, idempotency_key)
        check_size(declared_size)
        with name_in_errors(bucket, key):
            check_expiry(attributes.ttl, self._engine)
            if check_early and condition != ANY:
                self._check_now(bucket, key, condition)
            writer = self._buckets.write(bucket, lambda: self._engine.writer(bucket, key, declared_size=declared_size))
        publish = partial(writer.commit, attributes, condition, idempotency_key=idempotency_key)
        return Upload(writer, bucket, key, publish)

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
        """Make an object of the bytes of another, or of the same with other attributes; all or nothing.

        Args:
            source: Object and generation to copy.
            bucket: Bucket of the copy, an existing one, unless missing ones are created.
            key: Key of the copy.
            attributes: Content type and metadata of the copy; an empty content type is guessed from the key. None:
                those of the source.
            condition: Condition on the object that the copy replaces.
            ttl: Seconds that the copy lives; None: for ever, whatever the ttl of the source.
            idempotency_key: Unique per logical copy; a repeated copy gets the first answer.

        Raises:
            ObjectNotFoundError: There is no such source.
            AlreadyExistsError: `condition.if_absent` and the key is taken.
            PreconditionFailedError: An etag is not the one demanded.
        """
        _check_source(source)
        check_name(bucket, key)
        attributes = attributes and check_attributes(attributes, key)
        check_condition(condition)
        rules.check_ttl(ttl)
        check_idempotency_key(idempotency_key)
        copy = partial(
            self._engine.copy, source, bucket, key, attributes, condition, ttl=ttl, idempotency_key=idempotency_key
        )
        with name_in_errors(bucket, key):
            check_expiry(ttl, self._engine)
            return copy() if source.bucket == bucket else self._buckets.write(bucket, copy)

    def delete(self, bucket: str, key: str, *, condition: Condition = ANY, idempotency_key: str = "") -> bool:
        """Remove the object; return whether there was one.

        Raises:
            PreconditionFailedError: `condition.if_match` is not the etag of the current object, or there is none.
        """
        check_name(bucket, key)
        rules.check_condition(if_absent=False, if_match=condition.if_match)
        check_idempotency_key(idempotency_key)
        with name_in_errors(bucket, key):
            return self._engine.delete(bucket, key, condition, idempotency_key=idempotency_key)

    def _check_now(self, bucket: str, key: str, condition: Condition) -> None:
        try:
            present = self._engine.head(bucket, key).etag
        except NotFoundError:
            present = None
        check_precondition(condition, present, bucket, key)


def _check_source(source: CopySource) -> None:
    check_name(source.bucket, source.key)
    rules.check_condition(if_absent=False, if_match=source.if_match)
    if source.generation is not None:
        rules.check_positive(source.generation, "source_generation")
