"""Forms of what code works with: functions, classes, descriptors, and objects by their class and their state."""

from __future__ import annotations

import copyreg
import functools
import io
import random
import sys
import types
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from actorc.storage.client import StorageClient
from lucas_storage.artifacts.body import FileBody
from lucas_storage.engine import adapter
from lucas_storage.errors import CacheKeyError
from lucas_storage.formats.base import type_name

from .canonical import TOO_DEEP, Canonical, Form, NotCanonicalError, UnknownKindError, artifact
from .class_forms import class_entry
from .function_code import function_code
from .module_origin import compiled_file, loaded_origin
from .watched import MISSING, Watched

_BY_REFERENCE: Final = ("cached", "code", "enum", "global", "named", "step")
"""Kinds of forms of what does not change in place, or is watched by itself."""
_RANDOM: Final = ("numpy.random",)


class ObjectForms(Canonical):
    """Makes the forms of data and of code, and notes what it looked at. For one thread.

    Functions and classes of the user, and objects, may name each other in circles: their forms are references to
    entries of a list.
    """

    def __init__(self) -> None:
        super().__init__(named=True)
        self.watched = Watched()
        self._numbers: dict[int, int] = {}
        self._listed: list[tuple[Any, str]] = []
        self._what = "the function is not plain"
        """Where the value was found that is looked at."""
        self._folder: str | None = None
        """Of the file of the code that is looked at."""

    @abstractmethod
    def function(self, function: FunctionType) -> Form:
        """Return the entry of a function."""

    def value(self, value: Any, what: str) -> Form:
        """Return the form of the value of a variable, which a later call compares.

        Args:
            value: The value.
            what: Says in errors where the value was found, such as "the function uses the variable 'x'".

        Raises:
            CacheKeyError: It has no form.
        """
        form = self._blaming(what, lambda: self.form(value))
        if not (isinstance(form, list) and form[0] in _BY_REFERENCE):
            self.watched.content(value)
        return form

    def _blaming(self, what: str, make: Callable[[], Form]) -> Form:
        outer, self._what = self._what, what
        try:
            return make()
        except (NotCanonicalError, RecursionError) as error:
            why = str(error) if isinstance(error, NotCanonicalError) else TOO_DEEP
            raise CacheKeyError(
                f"no cached result can be kept, since {what}; {why}. Pass it as a parameter, or give the function "
                "version="
            ) from error
        finally:
            self._what = outer

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
        inside = self._folder is not None and value.is_absolute() and value.is_relative_to(self._folder)
        return ["path", str(value.relative_to(self._folder or "") if inside else value)]

    def other(self, value: Any) -> Form:
        """Return the form of anything that is no plain data."""
        for kinds, make in _KINDS:
            if isinstance(value, kinds):
                return make(self, value)
        origin = adapter.function_within(value)
        return self._object(value) if origin is None else self.inner(origin)

    def listed(self, kind: str, value: Any) -> Form:
        """Return a reference to the entry of a value, which is made later."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._listed)
            self._listed.append((value, self._what))  # keeps it alive, and its id its own
        return [kind, number]

    def entries(self) -> list[Form]:
        """Return the entries of all that is referred to, each entry once."""
        made: list[Form] = []
        # In the order in which they were found, which is the same in every process; making one may find others.
        while len(made) < len(self._listed):
            value, what = self._listed[len(made)]
            made.append(self._blaming(what, partial(self._entry, value)))
        return made

    def _entry(self, value: Any) -> Form:
        if isinstance(value, FunctionType):
            return self.function(value)
        return class_entry(self, value) if isinstance(value, type) else self._state(value)

    def named(self, module: str, name: str) -> Form:
        """Return the form of what a module has under a name, by the version of the module's package."""
        loaded = sys.modules.get(module)
        origin = None if loaded is None else loaded_origin(vars(loaded))
        if origin is not None:
            return ["named", *origin, module, name]
        file = compiled_file(loaded)
        return ["named", FileBody(Path(file)).digest, name] if file else ["global", name]

    def named_in_its_module(self, value: Any, cls: type) -> Form | None:
        """Return the form by name of an object of an installed module, such as `os.environ` or `random.choice`."""
        if not _is_installed(cls.__module__):
            return None
        names = [name for name, held in vars(sys.modules[cls.__module__]).items() if _is_it(held, value)]
        return self.named(cls.__module__, min(names)) if names else None

    def _object(self, value: Any) -> Form:
        """Return the form of an object: by name, by the bytes it is stored as, or by what a pickle would rebuild."""
        cls = type(value)
        known = self.named_in_its_module(value, cls)
        if known is not None:
            return known
        if isinstance(value, (Iterator, io.IOBase)) or adapter.is_lambda(value):
            raise NotCanonicalError(f"a {type_name(value)} can be read only once")
        if isinstance(value, random.Random) or cls.__module__.startswith(_RANDOM):
            raise NotCanonicalError(f"a {type_name(value)} is another one after each use")
        if adapter.is_workflow(value):
            raise NotCanonicalError("it is a workflow, which names its functions only when it runs")
        if _is_installed(cls.__module__):
            try:
                return artifact(value)
            except UnknownKindError:
                pass
        return self.listed("object", value)

    def _state(self, value: Any) -> Form:
        """Return the entry of an object: the class and the state that a pickle would rebuild it from."""
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            made = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:  # of any class, and any code in it
            raise NotCanonicalError(f"the state of a {type_name(value)} cannot be known") from error
        if isinstance(made, str):
            return self.named(type(value).__module__, made)
        make, given, state, items, pairs = (*made, None, None, None)[:5]
        rest = [self.items(items or ()), self.pairs(dict(pairs or ()))]
        return ["object", *self.items((make, given, state)), *rest]


def _function_reference(forms: ObjectForms, value: FunctionType) -> Form:
    places: tuple[tuple[Any, str], ...] = (
        (value.__module__, value.__qualname__),
        # What `functools.wraps` copied tells of another function.
        (value.__globals__.get("__name__"), value.__code__.co_qualname),
    )
    for module, name in places:
        if _is_installed(module) and _found(module, name) is value:
            return forms.named(module, name)
    return forms.listed("code", value)


def _class_reference(forms: ObjectForms, value: type) -> Form:
    module = sys.modules.get(value.__module__)
    if module is None or (loaded_origin(vars(module)) is None and compiled_file(module) is None):
        return forms.listed("code", value)
    return forms.named(value.__module__, value.__qualname__)


def _module(forms: ObjectForms, value: ModuleType) -> Form:
    if loaded_origin(vars(value)) is not None or compiled_file(value):
        return forms.named(value.__name__, "")
    raise NotCanonicalError(
        f"it is the module {value.__name__!r} as a whole, and what is used of it cannot be seen; name what is used, "
        "with a dot after the module"
    )


def _builtin(forms: ObjectForms, value: Any) -> Form:
    owner = value.__self__
    if owner is None or isinstance(owner, ModuleType):
        return forms.named(value.__module__ or "builtins", value.__qualname__)
    return forms.named_in_its_module(value, type(owner)) or ["method", value.__name__, forms.inner(owner)]


def _method(forms: ObjectForms, value: MethodType) -> Form:
    found = forms.named_in_its_module(value, type(value.__self__))
    return found or ["method", forms.inner(value.__func__), forms.inner(value.__self__)]


def _partial(forms: ObjectForms, value: Any) -> Form:
    return ["partial", type(value).__name__, *forms.items((value.func, value.args, value.keywords))]


def _is_it(held: Any, value: Any) -> bool:
    # Methods are made anew each time they are asked for.
    return held is value or (type(held) is type(value) and isinstance(value, _METHODS) and held == value)


def _place_in_set(value: Any) -> tuple[str, str, str]:
    digest = function_code(value.__code__).digest if isinstance(value, FunctionType) else ""
    return type_name(value), str(getattr(value, "__qualname__", "")), digest


def _is_installed(module: Any) -> bool:
    loaded = sys.modules.get(module) if isinstance(module, str) else None
    return loaded is not None and loaded_origin(vars(loaded)) is not None


def _found(module: str, qualname: str) -> Any:
    found: Any = sys.modules[module]
    for name in qualname.split("."):
        found = getattr(found, name, MISSING)
    return found


_METHODS: Final = (types.BuiltinMethodType, MethodType, types.MethodWrapperType)
_KINDS: Final[tuple[tuple[Any, Callable[[Any, Any], Form]], ...]] = (
    (FunctionType, _function_reference),
    (type, _class_reference),
    (Path, lambda forms, value: forms.path(value)),
    (MethodType, _method),
    ((types.BuiltinFunctionType, types.MethodWrapperType), _builtin),
    (
        (
            types.WrapperDescriptorType,
            types.MethodDescriptorType,
            types.ClassMethodDescriptorType,
            types.GetSetDescriptorType,
            types.MemberDescriptorType,
        ),
        lambda forms, value: ["descriptor", forms.inner(value.__objclass__), value.__name__],
    ),
    ((staticmethod, classmethod), lambda forms, value: [type(value).__name__, forms.inner(value.__func__)]),
    (property, lambda forms, value: ["property", *forms.items((value.fget, value.fset, value.fdel))]),
    ((functools.partial, functools.partialmethod), _partial),
    (functools.cached_property, lambda forms, value: ["cached_property", forms.inner(value.func)]),
    (functools.singledispatchmethod, lambda forms, value: ["singledispatch", forms.inner(value.dispatcher.registry)]),
    # What it keeps are results of its function.
    (type(functools.lru_cache(id)), lambda forms, value: ["cached", forms.inner(value.__wrapped__)]),
    (ModuleType, _module),
    (StorageClient, lambda *_: ["named", "storage"]),
)
