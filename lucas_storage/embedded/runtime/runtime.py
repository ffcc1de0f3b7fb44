"""`Runtime` and `StorageMethods`: the interface of a function to the platform it runs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from lucas_storage.embedded.serverless_function import Metadata

InputType = dict[str, Any]
CallResult = Any
FaasitResult = Any


class StorageMethods(ABC):
    """Values kept by name, for the functions of one application.

    Any picklable value is stored; names are relative, with `/` between their parts.
    """

    @abstractmethod
    def put(self, filename: str, data: Any) -> None:
        """Store `data` under `filename`, replacing any present value."""

    @abstractmethod
    def get(self, filename: str, timeout: int = -1) -> Any:
        """Return the value of `filename`, waiting until there is one.

        Args:
            filename: The name it was put under.
            timeout: Milliseconds to wait; negative waits for ever.

        Returns:
            The value, or None when the time is over.
        """

    @abstractmethod
    def list(self) -> list[str]:
        """Return all names, sorted."""

    @abstractmethod
    def exists(self, filename: str) -> bool:
        """Return whether there is a value under `filename`."""

    @abstractmethod
    def delete(self, filename: str) -> None:
        """Remove `filename`; a missing one is no error."""


class Runtime(ABC):
    """The argument of a function: gives it its input, other functions, and storage.

    A platform subclasses it; `storage` returns the subclass's `_storage`, and `metadata()` its `_metadata`.
    """

    # Defaults on the class, since subclasses of users do not always call `__init__`.
    _storage: StorageMethods | None = None
    _metadata: Metadata | None = None

    @abstractmethod
    def input(self) -> Any:
        """Return the input of the function."""

    @abstractmethod
    def output(self, _out: Any) -> Any:
        """Return `_out` in the form that the platform has for results."""

    @abstractmethod
    def call(self, fnName: str, fnParams: Any) -> Any:
        """Call another function and return its result."""

    @abstractmethod
    def tell(self, fnName: str, fnParams: Any) -> Any:
        """Send another function a message without waiting for it."""

    def metadata(self) -> Metadata | None:
        """Return the request that this runtime serves, or None if the platform has none."""
        return self._metadata

    @property
    def storage(self) -> StorageMethods:
        """Values kept by name.

        Raises:
            RuntimeError: This platform keeps none.
        """
        if self._storage is None:
            raise RuntimeError(f"{type(self).__name__} has no storage")
        return self._storage

    async def waitResults(self, tasks: Iterable[Awaitable[Any]]) -> list[Any]:
        """Return the results of `tasks`, in their order."""
        # Futures of `tell` run already, so waiting for one after the other takes as long as the slowest.
        return [await task for task in tasks]
