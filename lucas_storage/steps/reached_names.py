"""What the names of code are bound to: those of its module, of functions around it, and of modules that it imports."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
from abc import abstractmethod
from importlib.util import resolve_name
from types import FunctionType, ModuleType
from typing import Any, Final

from lucas_storage.containers import BUILT_IN
from lucas_storage.errors import CacheKeyError

from .canonical import Form, NotCanonicalError
from .function_code import Chain, FunctionCode, Import
from .module_origin import compiled_file, loaded_origin, named_origin
from .object_forms import ObjectForms
from .watched import MISSING

_FACTS: Final = frozenset(
    (
        "__builtins__",
        "__cached__",
        "__doc__",
        "__file__",
        "__loader__",
        "__name__",
        "__package__",
        "__path__",
        "__spec__",
    )
)
"""What a module knows of itself; the same code in another folder is the same code."""
_UNSEEN: Final = ("__import__", "eval", "exec", "globals")
"""Builtin functions that reach what no name says."""
_GROWING: Final = frozenset((*BUILT_IN, int, float, str))
"""Types of what a function may add to without reading it: a class of the user may do anything then."""


class ReachedNames(ObjectForms):
    """Makes the forms of what code names.

    Args:
        may_import: Whether modules of the user are loaded that are imported within functions only.
    """

    def __init__(self, *, may_import: bool) -> None:
        super().__init__()
        self._may_import = may_import
        self._read: dict[tuple[int, str], str] = {}
        self._assigned: set[tuple[int, str]] = set()

    @abstractmethod
    def subject(self, function: FunctionType) -> str:
        """Return how errors begin that are about a function."""

    def names(self, function: FunctionType, facts: FunctionCode) -> list[Form]:
        """Return the forms of all that a function names.

        Raises:
            CacheKeyError: A variable has no form, or is not bound.
        """
        for name in facts.assigned:
            self._assigned.add((id(function.__globals__), name))
        return [self._enclosing(function, facts), self._globals(function, facts), self._locals(function, facts)]

    def check_assigned(self) -> None:
        """Refuse global variables that are both read and assigned by what was looked at.

        Raises:
            CacheKeyError: There is one.
        """
        for place in self._read.keys() & self._assigned:
            raise CacheKeyError(
                f"no cached result can be kept, since {self._read[place]}, which is assigned while it runs, so that "
                "its value depends on earlier calls. Keep what is made once in a function with functools.cache, or "
                "give the function version="
            )

    def _enclosing(self, function: FunctionType, facts: FunctionCode) -> Form:
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        chains = [chain for chain in facts.enclosing if chain[0] in cells]
        found = []
        for chain in chains:
            value = self.watched.cell(cells[chain[0]])
            if not (chain in facts.changed and type(value) in _GROWING):
                found.append([".".join(chain), self._variable(function, chain[0], value, chain[1:])])
        # Not named by the code itself: `super()` needs the class.
        rest = sorted(cells.keys() - {chain[0] for chain in facts.enclosing})
        found += [[name, self._variable(function, name, self.watched.cell(cells[name]))] for name in rest]
        return found

    def _variable(self, function: FunctionType, name: str, value: Any, rest: Chain = ()) -> Form:
        if value is MISSING:
            return None
        what = f"{self.subject(function)} uses the variable {name!r} of the function around it"
        return self._used(value, rest, what)

    def _globals(self, function: FunctionType, facts: FunctionCode) -> Form:
        found = []
        names, built_in = function.__globals__, _builtins_of(function)
        imported = {each.variable for each in facts.imports}
        for chain in facts.read:
            name, *rest = chain
            if name in _FACTS or name in imported:
                continue
            value = self.watched.name(names, name)
            what = f"{self.subject(function)} uses the global variable {name!r}{_of_module(function)}"
            if value is MISSING:
                self._check_builtin(built_in, name, what, is_optional=name in facts.optional)
            elif not (chain in facts.changed and type(self._at(value, tuple(rest))) in _GROWING):
                self._read[id(names), name] = what
                found.append([".".join(chain), self._used(value, tuple(rest), what)])
        return found

    def _check_builtin(self, built_in: Any, name: str, what: str, *, is_optional: bool) -> None:
        if name in _UNSEEN and name in built_in:
            raise CacheKeyError(
                f"no cached result can be kept, since {what.partition(' uses ')[0]} calls {name}(), and what that "
                "reaches cannot be seen; give the function version="
            )
        if name not in built_in and not is_optional:
            raise CacheKeyError(
                f"no cached result can be kept, since {what}, which is not bound yet; define it before the first "
                "call, or give the function version="
            )

    def _at(self, value: Any, rest: Chain) -> Any:
        for name in rest:
            if not isinstance(value, ModuleType):
                return None
            value = self.watched.name(vars(value), name)
        return value

    def _locals(self, function: FunctionType, facts: FunctionCode) -> Form:
        """Return the forms of what is used of modules that are imported within the function."""
        found = []
        for chain in facts.local:
            for each in facts.imports:
                if each.variable == chain[0]:
                    what = f"{self.subject(function)} imports {each.module or '.'!r}"
                    found.append([".".join(chain), self._import(function, each, chain[1:], what)])
        return found

    def _import(self, function: FunctionType, statement: Import, rest: Chain, what: str) -> Form:
        package = function.__globals__.get("__package__") or function.__globals__.get("__name__", "")
        try:
            module = resolve_name("." * statement.level + statement.module, package)
            origin = named_origin(module)
        except ImportError:
            self.watched.incomparable()
            return "absent"  # as the function itself finds it
        if origin is not None:
            _check_import_module(module, (*statement.attributes, *rest), what)
            return ["named", *origin, module]
        try:
            loaded = self._loaded(module)
            self.watched.name(sys.modules, module)
        except NotCanonicalError as error:
            raise CacheKeyError(f"no cached result can be kept, since {what}; {error}") from error
        return self._used(loaded, (*statement.attributes, *rest), what)

    def _loaded(self, module: str) -> ModuleType:
        if module not in sys.modules and not self._may_import:
            raise NotCanonicalError(
                f"the module {module!r} is not loaded here; import it at the top, or give the function version="
            )
        try:
            return importlib.import_module(module)
        except Exception as error:
            why = type(error).__name__
            raise NotCanonicalError(
                f"the module {module!r} could not be imported here because of {why}; give the function version="
            ) from error

    def _used(self, value: Any, rest: Chain, what: str) -> Form:
        """Return the form of a value, or of what is asked of it if it is a module."""
        place = what
        while isinstance(value, ModuleType) and rest:
            if loaded_origin(vars(value)) is not None or compiled_file(value):
                _check_import_module(value.__name__, rest, what)
                return self.named(value.__name__, "")
            name, *others = rest
            place = f"{what}, of which it uses {name!r}"
            if name in _FACTS:
                return None
            value, rest = self._asked(value, name), tuple(others)
            if value is MISSING:
                return "absent"
        if value is importlib.import_module:
            _check_import_module("importlib", ("import_module",), what)
        form = self.value(value, place)
        # An attribute of a function is no part of its entry, since it may count calls.
        held = vars(value).get(rest[0], MISSING) if isinstance(value, FunctionType) and rest else MISSING
        return form if held is MISSING else [form, self.value(held, f"{what}, of which it uses {rest[0]!r}")]

    def _asked(self, module: ModuleType, name: str) -> Any:
        value = self.watched.name(vars(module), name)
        if value is not MISSING:
            return value
        self.watched.incomparable()
        try:
            return getattr(module, name)
        except AttributeError:
            full = f"{module.__name__}.{name}"
        try:
            is_module = hasattr(module, "__path__") and importlib.util.find_spec(full) is not None
        except ImportError:
            is_module = False
        return self._loaded(full) if is_module else MISSING


def _check_import_module(module: str, asked: Chain, what: str) -> None:
    if module == "importlib" and asked[:1] == ("import_module",):
        raise CacheKeyError(
            f"no cached result can be kept, since {what} to import modules by names that cannot be seen; give the "
            "function version="
        )


def _builtins_of(function: FunctionType) -> Any:
    found: Any = getattr(function, "__builtins__", builtins)
    return vars(found) if isinstance(found, ModuleType) else found


def _of_module(function: FunctionType) -> str:
    name = function.__globals__.get("__name__")
    return "" if name in (None, "__main__", "__mp_main__") else f" of {name}"
