"""The `local-once` platform: every function runs in the caller's process and thread."""

from __future__ import annotations

import os
import threading
import uuid
from concurrent.futures import Future
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lucas_storage.embedded.errors import unknown_function
from lucas_storage.embedded.runtime.local_storage import LocalStorage
from lucas_storage.embedded.runtime.runtime import Runtime, StorageMethods
from lucas_storage.embedded.serverless_function import Metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping


class LocalOnceRuntime(Runtime):
    """A runtime whose functions are the ones registered in this process.

    Args:
        metadata: The request: its input, and a router from names to handlers.
    """

    name = "local-once"
    LocalStorage = LocalStorage

    def __init__(self, metadata: Metadata) -> None:
        self._metadata: Metadata = metadata
        self._input = metadata._params
        self._namespace = metadata._namespace
        self._router = metadata._router

    @cached_property
    def _storage(self) -> StorageMethods:  # type: ignore[override]  # every call has a runtime, and few use its storage
        return LocalStorage(os.environ.get("LOCAL_STORAGE_DIR", "./local_storage"))

    @classmethod
    def serving(cls, params: Any, router: Mapping[str, Callable[[Any], Any]]) -> LocalOnceRuntime:
        """Return a runtime for one new request with the input `params`."""
        # A copy of the router: functions registered during the request do not change it.
        return cls(Metadata(str(uuid.uuid4()), params, None, dict(router), "invoke", None, None))

    def metadata(self) -> Metadata:
        """Return the request this runtime serves."""
        return self._metadata

    def input(self) -> Any:
        """Return the input of the function."""
        return self._input

    def output(self, _out: Any) -> Any:
        """Return `_out` as it is."""
        return _out

    def call(self, fnName: str, fnParams: Any) -> Any:
        """Call another function in this thread and return its result.

        Raises:
            UnknownFunctionError: Nothing is registered under that name.
            Exception: Whatever the function raises, as it is.
        """
        return self._handler(fnName)(fnParams)

    def tell(self, fnName: str, fnParams: Mapping[str, Any]) -> Told:
        """Start another function on a thread of its own and return at once.

        Args:
            fnName: The function's name.
            fnParams: `{"input": …}`, the function's input under that one key.

        Returns:
            A future of the result, which can also be awaited, or ignored.

        Raises:
            UnknownFunctionError: Nothing is registered under that name.
            ValueError: `fnParams` has no `input`.
        """
        if "input" not in fnParams:
            message = "tell takes the function's input under the key 'input', as in rt.tell('name', {'input': {…}})"
            raise ValueError(message)
        future = Told()
        arguments = (future, self._handler(fnName), fnParams["input"])
        # No daemon: the process ends only after functions that it has started, as on a platform.
        threading.Thread(target=_complete, args=arguments, name=f"tell {fnName}").start()
        return future

    def _handler(self, name: str) -> Callable[[Any], Any]:
        handler: Callable[[Any], Any] | None = self._router.get(name)
        if handler is None:
            raise unknown_function(name, self._router)
        return handler


class Told(Future[Any]):
    """The future result of a function that was started by `tell`; pickles have this name."""

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait without blocking the event loop."""
        import asyncio  # noqa: PLC0415 -- slow to import, and hardly anybody awaits

        return asyncio.wrap_future(self).__await__()


def _complete(future: Told, handler: Callable[[Any], Any], event: Any) -> None:
    try:
        future.set_result(handler(event))
    except BaseException as error:  # noqa: BLE001 -- raised again where the result is asked for
        future.set_exception(error)
