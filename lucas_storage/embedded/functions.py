"""`Function`: the object that `@function` puts in place of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class FunctionConfig(dict[str, Any]):
    """The keywords of a decorator, as a dict and as attributes: wrappers for older Lucas read attributes."""

    def __getattr__(self, name: str) -> Any:
        """Return the keyword `name`."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"This was decorated without {name!r}", name=name, obj=self) from None


class Function:
    """A function on a platform; a platform subclasses it and is given as `wrapper=`.

    Args:
        fn: The decorated function.
        config: The keywords of the decorator.
    """

    def __init__(self, fn: Callable[..., Any], config: dict[str, Any] | None = None) -> None:
        self._config: Any = config
        self._origin_fn = fn
        self._fn = self._transformfunction(fn)
        self.onFunctionInit(fn)

    def _transformfunction(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Return the handler that a step calls with its input; `fn` itself gets a dict."""
        message = f"{type(self).__name__} does not say how functions are called; define _transformfunction(fn)"
        raise NotImplementedError(message)

    def export(self) -> Callable[..., Any]:
        """Return the handler, which is called with the input."""
        return self._fn

    def onFunctionInit(self, fn: Callable[..., Any]) -> None:
        """Hook for subclasses, called at the end of the construction with the decorated function."""

    def onFunctionStart(self) -> None:
        """Hook that the contract names and no engine calls."""

    def onFunctionFinish(self) -> None:
        """Hook that the contract names and no engine calls."""

    def onFunctionError(self) -> None:
        """Hook that the contract names and no engine calls."""
