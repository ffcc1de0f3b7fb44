"""Presigned URLs."""

from __future__ import annotations

import time

from actorc.storage._wire.call_signing import derived_key
from actorc.storage._wire.url_signing import check_grant, sign_url

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
        """Return a URL that lets whoever has it do one thing to one object for a while, without keys, over HTTP.

        It ends early when the access key that signed it is disabled. Where the client has keys and knows the server's
        HTTP endpoint, the URL is made here and now; else the server is asked for it. Nothing checks that the object
        exists.

        Args:
            bucket: Bucket name.
            key: Object key.
            method: GET, which includes HEAD, HEAD, PUT or DELETE.
            expires: Seconds that it is good for, at most seven days.
            max_size: With PUT, the bytes that may be sent; a body that is longer is broken off and not stored.
            content_type: With PUT, the Content-Type that must be sent.
            timeout: Seconds for the whole call.

        Raises:
            InvalidParameterError: A value is not allowed, or means nothing for this method.
            PermissionError: The access key allows not this, or not to let others do it.
            UnsupportedError: The server is not reached over HTTP.
        """
        grant = check_grant(
            method, bucket, key, expires=expires, now=time.time(), max_size=max_size, content_type=content_type
        )
        options = self._options
        if options.http_endpoint and options.access_key and options.secret_key:
            return sign_url(options.http_endpoint, derived_key(options.secret_key), options.access_key, grant)
        return self._remote.presign_url(grant, expires, timeout)
