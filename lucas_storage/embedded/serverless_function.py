"""`Metadata`: one request to a handler."""

from __future__ import annotations

from typing import Any


class Metadata:
    """One request: its input, and the handlers of the functions that it may call.

    The attributes begin with an underscore because the contract has them so; runtimes read them.

    Args:
        id: Names the request.
        params: The input of the function or workflow.
        namespace: Of the function, where the platform has namespaces.
        router: From function names to handlers.
        request_type: Always `invoke` in this engine.
        redis_db: A platform's connection; not used here.
        producer: A platform's connection; not used here.
    """

    def __init__(
        self,
        id: str,  # noqa: A002
        params: Any,
        namespace: str | None,
        router: dict[str, Any],
        request_type: str,
        redis_db: Any,
        producer: Any,
    ) -> None:
        self._id = id
        self._params = params
        self._namespace = namespace
        self._router = router
        self._type = request_type
        self._redis_db = redis_db
        self._rocketmq_producer = producer

    def __repr__(self) -> str:
        """Show the request's name, never its input."""
        return f"Metadata(id={self._id!r}, type={self._type!r})"
