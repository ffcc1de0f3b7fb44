"""Forms of data and code that may name each other in circles: what has no end is a reference to an entry of a list."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from lucas_storage.artifacts.body import FileBody
from lucas_storage.errors import CacheKeyError
from lucas_storage.formats.base import type_name

from .canonical import TOO_DEEP, Canonical, Form, NotCanonicalError
from .function_code import function_code
from .module_origin import compiled_file, loaded_origin
from .watched import Watched

_BY_REFERENCE: Final = ("cached", "code", "enum", "global", "named", "step")
"""Kinds of forms of what does not change in place, or is watched by itself."""


class ListedForms(Canonical):
    """Makes forms and entries, and notes what it looked at. For one thread."""

    def __init__(self) -> None:
        super().__init__(named=True)
        self.watched = Watched()
        self._numbers: dict[int, int] = {}
        self._listed: list[tuple[Any, str]] = []
        self.what = "the function is not plain"
        """Where the value was found that is looked at."""
        self.folder: str | None = None
        """Of the file of the code that is looked at."""

    @abstractmethod
    def entry(self, value: Any) -> Form:
        """Return the entry of a function, a class or an object."""

    def value(self, value: Any, what: str) -> Form:
        """Return the form of the value of a variable, which a later call compares.

        Args:
            value: The value.
            what: Says in errors where the value was found, such as "the function uses the variable 'x'".

        Raises:
            CacheKeyError: It has no form.
        """
        form = self.unwatched(value, what)
        if not (isinstance(form, list) and form[0] in _BY_REFERENCE):
            self.watched.content(value)
        return form

    def unwatched(self, value: Any, what: str) -> Form:
        """Return the form of a value that other values say, too, which are compared."""
        return self._blaming(what, lambda: self.form(value))

    def _blaming(self, what: str, make: Callable[[], Form]) -> Form:
        outer, self.what = self.what, what
        try:
            return make()
        except (NotCanonicalError, RecursionError) as error:
            why = str(error) if isinstance(error, NotCanonicalError) else TOO_DEEP
            raise CacheKeyError(
                f"no cached result can be kept, since {what}; {why}. Pass it as a parameter, or give the function "
                "version="
            ) from error
        finally:
            self.what = outer

    def tag(self, cls: type) -> Form:
        """Return the reference to a class."""
        return self.inner(cls)

    def unordered(self, values: Iterable[Any]) -> list[Form]:
        """Return the forms of values, sorted; code among them is listed in an order that no address decides."""
        return super().unordered(sorted(values, key=_place_in_set))

    def path(self, value: Path) -> Form:
        """Return the content of a file; of anything else the path, from the folder of the code on."""
        if value.is_file():
            return super().path(value)
        inside = self.folder is not None and value.is_absolute() and value.is_relative_to(self.folder)
        return ["path", str(value.relative_to(self.folder or "") if inside else value)]

    def listed(self, kind: str, value: Any) -> Form:
        """Return a reference to the entry of a value, which is made later."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._listed)
            self._listed.append((value, self.what))  # keeps it alive, and its id its own
        return [kind, number]

    def entries(self) -> list[Form]:
        """Return the entries of all that is referred to, each entry once."""
        made: list[Form] = []
        # In the order in which they were found, which is the same in every process; making one may find others.
        while len(made) < len(self._listed):
            value, what = self._listed[len(made)]
            made.append(self._blaming(what, partial(self.entry, value)))
        return made

    def named(self, module: str, name: str) -> Form:
        """Return the form of what a module has under a name, by the version of the module's package."""
        loaded = sys.modules.get(module)
        origin = None if loaded is None else loaded_origin(vars(loaded))
        if origin is not None:
            return ["named", *origin, module, name]
        file = compiled_file(loaded)
        return ["named", FileBody(Path(file)).digest, name] if file else ["global", name]


def _place_in_set(value: Any) -> tuple[str, str, str]:
    digest = function_code(value.__code__).digest if isinstance(value, FunctionType) else ""
    return type_name(value), str(getattr(value, "__qualname__", "")), digest
