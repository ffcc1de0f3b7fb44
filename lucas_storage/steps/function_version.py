"""Identity and version of a function, under which cached results and checkpoints are recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Final, TypeAlias

from lucas_storage.errors import CacheKeyError

from .contract import Contract
from .reached_code import reached_code
from .watched import Watched

Identity: TypeAlias = tuple[str, str]
"""The function and its version."""

PENDING: Final = ""
"""The version before it is computed: where a function is decorated, what it names need not be bound yet."""
_GIVEN: Final = "version:"
_REACHED: Final = "reached:"
_UNKNOWN: Final = "unknown:"
"""What a version begins with; kept for ever, since contracts in pickles have it. Older ones have ``source:`` and
``code:``, and say less."""
_MAIN: Final = ("__main__", "__mp_main__")


def function_id(function: Callable[..., Any]) -> str:
    """Return ``module:qualname``; a script is known by its file's name, as every one of them is ``__main__``."""
    module = function.__module__
    if module in _MAIN:
        names = getattr(function, "__globals__", {})
        spec, file = names.get("__spec__"), names.get("__file__")
        module = spec.name if spec is not None else PurePath(file).name if file else module
    return f"{module}:{function.__qualname__}"


def declared_identity(function: Callable[..., Any], version: str | None) -> Identity:
    """Return the identity of a function as it is known where it is decorated."""
    return function_id(function), PENDING if version is None else f"{_GIVEN}{version}"


class FunctionVersion:
    """The version of a function as of now. Safe to share between threads.

    Args:
        function: The function.
        contract: Its contract. If it was shipped, its version was computed before, where the source was; what the
            function reaches is not looked at here.
    """

    def __init__(self, function: Callable[..., Any], contract: Contract) -> None:
        self._function = function
        self._contract = contract
        # Without a lock: threads that come at the same time compute the same twice.
        self._known: tuple[Identity, Watched] | None = None

    def identity(self, *, may_import: bool = True) -> Identity:
        """Return the function and its version; quick while nothing that the function reaches has changed.

        Raises:
            CacheKeyError: Something that the function reaches cannot be known; names it.
        """
        name, version = self._contract.identity
        if version.startswith((_GIVEN, _REACHED)):
            return self._contract.identity
        if version.startswith(_UNKNOWN):
            raise CacheKeyError(version.split(":", 2)[2], function=self._contract.name)
        known = self._known
        if known is None or not known[1].holds():
            digest, watched = self._reached(may_import=may_import)
            known = self._known = (name, f"{_REACHED}{digest}"), watched
        return known[0]

    def known(self) -> str | None:
        """Return the version alone, None if it cannot be known."""
        try:
            return self.identity()[1]
        except CacheKeyError:
            return None

    def _reached(self, *, may_import: bool) -> tuple[str, Watched]:
        try:
            return reached_code(self._function, self._contract, may_import=may_import)  # type: ignore[arg-type]
        except CacheKeyError as error:
            error.function = self._contract.name
            raise
        except Exception as error:
            # Looking at objects runs code of their classes; what goes wrong there is no reason to fail a step.
            raise CacheKeyError(
                "no cached result can be kept, since something that the function uses cannot be looked at because of "
                f"{type(error).__name__}; give the function version=",
                function=self._contract.name,
            ) from error


def shipped_identity(function: Callable[..., Any], contract: Contract, token: str) -> Identity:
    """Return the identity that a contract is shipped with.

    Args:
        function: The function.
        contract: Its contract in this process.
        token: Unique to the function in this process. An older worker takes it for a version, which no other has.
    """
    # Modules that only the worker may be able to load are loaded here only where the version is asked for anyway.
    may_import = bool(contract.cache or contract.options.get("resume"))
    try:
        return FunctionVersion(function, contract).identity(may_import=may_import)
    except CacheKeyError as error:
        return contract.identity[0], f"{_UNKNOWN}{token}:{error.message}"
