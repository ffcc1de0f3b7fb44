"""Methods about presigned URLs."""

from __future__ import annotations

import time

from actorc.storage._wire.call_signing import derived_key

from .session import Session


class PresigningMethods(Session):
    """The methods of `StorageClient` about URLs."""

    def presign_url(
        self,
        bucket: str,
        key: str,
        method: str = "GET",
        expires: int = 3600,
        *,
        max_size: int | None = None,
        content_type: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Return a URL that allows its holder one method on one object for a time, over HTTP and without keys.

        The URL ends early if the access key that signed it is disabled or its secret replaced. A client with keys that
        knows the server's HTTP endpoint makes the URL itself; otherwise the server makes it. Nobody checks that the
        object exists.

        Args:
            bucket: Bucket name.
            key: Object key.
            method: GET, which includes HEAD, HEAD, PUT or DELETE.
            expires: Validity in seconds, at most seven days.
            max_size: With PUT, greatest number of bytes; a longer body is broken off and not stored.
            content_type: With PUT, the Content-Type that the request must have.
            timeout: Seconds for the whole call.

        Raises:
            InvalidParameterError: A value is not allowed, or means nothing for this method.
            PermissionError: The access key does not allow this method, or does not allow presigning it.
            UnsupportedError: The server is not reached over HTTP.
        """
        from actorc.storage._wire.url_signing import check_grant, sign_url  # noqa: PLC0415  # most programs make no URLs

        grant = check_grant(
            method, bucket, key, expires=expires, now=time.time(), max_size=max_size, content_type=content_type
        )
        options = self._options
        # locally if possible, since it saves a call and works without the server
        if options.http_endpoint and options.access_key and options.secret_key:
            return sign_url(options.http_endpoint, derived_key(options.secret_key), options.access_key, grant)
        return self._remote.presign_url(grant, expires, timeout)
