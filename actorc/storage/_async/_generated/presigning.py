"""Generated from ``actorc.storage._client.presigning`` by ``make async-client``; do not edit."""

from __future__ import annotations

from actorc.storage._async.session import AsyncSession


class AsyncPresigningMethods(AsyncSession):
    """The methods of ``_client.presigning``, awaited."""

    async def presign_url(
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
        return await self._run(
            self._client.presign_url,
            bucket,
            key,
            method,
            expires,
            max_size=max_size,
            content_type=content_type,
            timeout=timeout,
        )
