"""How objects are taken apart for a pickle, where Python's own way is one that cannot be read."""

from __future__ import annotations

import copyreg
import sysconfig
from collections.abc import Callable, Mapping
from functools import partial
from operator import methodcaller
from types import FunctionType
from typing import Any, Final

_UNCHANGING: Final[tuple[Any, ...]] = (tuple, str, bytes, int, float)
"""Built-in classes whose values are made whole by `__new__`."""
_HOOKS: Final = (
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__getnewargs__",
    "__getnewargs_ex__",
    "__new__",
)
"""Methods that pickling or reading a pickle calls."""
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_MADE: Final = ("<string>", "<frozen", "<attrs generated")
"""Names of files of methods that decorators and base classes have made."""
_reduced: Final = methodcaller("__reduce_ex__", 5)


class Reducers(dict[type, Callable[[Any], Any]]):
    """What takes objects apart, by their classes; of one pickle.

    Args:
        known: Reducers of some classes.
    """

    def __init__(self, known: Mapping[type, Callable[[Any], Any]]) -> None:
        super().__init__(known)
        self.own: dict[type, Any] = {}
        """One object of each class that has code of the user's for this, which may be wrong."""
        self.foreign: set[type] = set()
        """Classes whose objects are made again by functions of other modules, which may do anything at all."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        if issubclass(kind, type):
            raise KeyError(kind)  # pickle has a way of its own
        self[kind] = found = self._way(kind)
        return found

    def _way(self, kind: type) -> Callable[[Any], Any]:
        if _is_made_by_the_user(kind):
            return partial(self._noted, _without_init)
        base = next((base for base in _UNCHANGING if issubclass(kind, base)), None)
        if base is not None and _is_new_by_the_user(kind):
            return partial(_without_new, base)
        return partial(self._noted, _reduced) if _has_own_code(kind) else _reduced

    def _noted(self, way: Callable[[Any], Any], value: Any) -> Any:
        kind, reduced = type(value), way(value)
        if type(reduced) is tuple and not _is_of(kind, reduced[0]):
            self.foreign.add(kind)
        else:
            self.own.setdefault(kind, value)
        return reduced


def _is_of(kind: type, maker: Any) -> bool:
    """Return whether what makes objects again is a class, or a function of pickle, or of the module of their class."""
    return isinstance(maker, type) or getattr(maker, "__module__", None) in ("copyreg", kind.__module__)


def _has_own_code(kind: type) -> bool:
    """Return whether a pickle of an object calls methods that neither Python nor an installed package has.

    Of exceptions those of packages count, too: many take other arguments than they pass on, and none is large.
    """
    if issubclass(kind, BaseException):
        return any(isinstance(getattr(kind, name, None), FunctionType) for name in (*_HOOKS, "__init__"))
    return any(_is_own(getattr(kind, name, None)) for name in _HOOKS)


def _is_own(method: object) -> bool:
    return isinstance(method, FunctionType) and not method.__code__.co_filename.startswith((*_INSTALLED, *_MADE))


def _is_made_by_the_user(kind: type) -> bool:
    """Return whether Python would make an exception of this class again by calling a constructor of the user's.

    It would pass the arguments of `BaseException`, which most such constructors do not take.
    """
    return (
        issubclass(kind, BaseException)
        and isinstance(kind.__init__, FunctionType)
        and not isinstance(kind.__new__, FunctionType)
        and kind.__reduce__ in (BaseException.__reduce__, OSError.__reduce__)
        and kind.__reduce_ex__ is object.__reduce_ex__
    )


def _is_new_by_the_user(kind: Any) -> bool:
    """Return whether Python would make a value of this class again by calling a `__new__` of the user's.

    It would pass the value of the built-in class, where most such functions take its parts.
    """
    return (
        isinstance(kind.__new__, FunctionType)
        and not isinstance(getattr(kind, "__getnewargs__", None), FunctionType)
        and not hasattr(kind, "__getnewargs_ex__")
        and kind.__reduce__ is object.__reduce__
        and kind.__reduce_ex__ is object.__reduce_ex__
    )


def _without_new(base: Any, value: Any) -> tuple[Any, ...]:
    """Return what the pickle of a value consists of, in a form that every version reads: that of protocol 1."""
    (content,) = base.__getnewargs__(value)
    return copyreg._reconstructor, (type(value), base, content), value.__getstate__()  # type: ignore[attr-defined]  # noqa: SLF001


def _without_init(error: BaseException) -> tuple[Any, ...]:
    """Return what the pickle of an exception consists of, in the form that every version reads."""
    state = vars(error)
    if isinstance(error, OSError):
        # Its constructor alone sets them, and one that is set to None is shown as None.
        told = {name: getattr(error, name) for name in ("errno", "strerror", "filename", "filename2")}
        state = state | {"args": error.args} | {name: part for name, part in told.items() if part is not None}
    return copyreg.__newobj__, (type(error), *error.args), state or None  # type: ignore[attr-defined]  # of the protocol
