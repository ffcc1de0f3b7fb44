"""Digest of the code that a function reaches: its own, and the functions, classes and constants it names, and theirs.

Code of the user's own counts with all that it does. What belongs to an installed package counts by the package's
version, and is not entered.
"""

from __future__ import annotations

import hashlib
import sys
from types import FunctionType
from typing import Any, Final

from lucas_storage.values.loading.record_fields import classes_of

from .canonical import Canonical, Form, NotCanonicalError, UnknownKindError, dumps
from .class_forms import annotations_of
from .contract import Contract, ShippedContract, contract_of_shim
from .function_code import function_code
from .module_origin import loaded_origin
from .reached_names import ReachedNames
from .watched import Watched

_PYTHON: Final = [sys.implementation.name, *sys.version_info[:2]]
_NO_CONVERSIONS: Final = ("name", "qualname", "module", "doc", "options", "identity", "cache", "attempts")


def reached_code(function: FunctionType, contract: Contract, *, may_import: bool) -> tuple[str, Watched]:
    """Return a digest over all code and constants that decide what a function does, and what was looked at for it.

    Args:
        function: The function.
        contract: Its contract; how arguments and result are converted decides, too.
        may_import: Whether modules of the user are loaded that are imported within functions only.

    Raises:
        CacheKeyError: A variable cannot be known; names it.
    """
    forms = _ReachedCode(function, contract, may_import=may_import)
    text = dumps([*_PYTHON, forms.entries()])
    return hashlib.sha256(text.encode()).hexdigest(), forms.watched


class _ReachedCode(ReachedNames):
    def __init__(self, root: FunctionType, contract: Contract, *, may_import: bool) -> None:
        super().__init__(may_import=may_import)
        self._root = root
        self._contract = contract
        self.listed("code", root)

    def entries(self) -> list[Form]:
        made = super().entries()
        # Only at the end: the function that assigns a name may be found after the one that reads it.
        self.check_assigned()
        return made

    def other(self, value: Any) -> Form:
        shipped = contract_of_shim(value)
        if shipped is None:
            return super().other(value)
        name, version = shipped["identity"]
        if version:
            return ["step", name, version]
        return ["step", _conversions(shipped), self.inner(value.__wrapped__)]

    def function(self, function: FunctionType) -> Form:
        self.watched.function(function)
        origin = loaded_origin(function.__globals__)
        if origin is not None:
            return self._installed(function, origin)
        file = function.__globals__.get("__file__")
        self.folder = file.rpartition("/")[0] or None if isinstance(file, str) else None
        facts = function_code(function.__code__)
        return [
            "function",
            facts.digest,
            annotations_of(function),
            self._root_facts() if function is self._root else self._defaults(function),
            *self.names(function, facts),
        ]

    def _installed(self, function: FunctionType, origin: tuple[str, ...]) -> Form:
        """Return the entry of a function that an installed package made here, such as a wrapper of a decorator."""
        dispatched = getattr(function, "registry", None)
        if function.__module__ and function.__globals__.get("__name__") == "functools" and dispatched is not None:
            return ["singledispatch", self.value(dispatched, f"{self.subject(function)} dispatches by type")]
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        return [
            "installed",
            *origin,
            function.__globals__["__name__"],
            function.__code__.co_qualname,
            self._defaults(function, self.what),
            [[name, self.value(self.watched.cell(cell), self.what)] for name, cell in cells],
        ]

    def _root_facts(self) -> Form:
        root = self._root
        classes = [[name, self.inner(cls)] for name, cls in sorted(classes_of(root).items())]
        return [_conversions(self._contract.shipped()), classes, self._defaults(root, has_own=False)]

    def _defaults(self, function: FunctionType, what: str | None = None, *, has_own: bool = True) -> Form:
        """Return the forms of the defaults of a function.

        Args:
            function: The function.
            what: Names them in errors; None for a function of the user, which has names of its own.
            has_own: Whether defaults that are data count; those of a step are arguments of the call.
        """
        code = function.__code__
        defaults = function.__defaults__ or ()
        names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
        given = {**dict(zip(names, defaults, strict=True)), **(function.__kwdefaults__ or {})}
        return [
            [name, self.value(value, what or f"{self.subject(function)} has the default of {name!r}")]
            for name, value in sorted(given.items())
            if has_own or is_code(value)
        ]

    def subject(self, function: FunctionType) -> str:
        """Return how errors begin that are about a function."""
        return "the function" if function is self._root else f"{function.__qualname__!r}, which the function reaches,"


def _conversions(contract: ShippedContract) -> str:
    """Return what a contract says of how arguments and result are converted."""
    return repr(sorted((name, said) for name, said in contract.items() if name not in _NO_CONVERSIONS))


def is_code(value: Any) -> bool:
    """Return whether a default is no data, and so no argument that a key could have."""
    try:
        Canonical(named=True).form(value)
    except UnknownKindError:
        return True
    except NotCanonicalError:
        return False
    return False
