"""Forms of what code works with: functions, classes, descriptors, and objects by their class and their state."""

from __future__ import annotations

import copyreg
import functools
import io
import random
import sys
import types
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from actorc.storage.client import StorageClient
from lucas_storage.engine import adapter
from lucas_storage.formats.base import type_name

from .canonical import Form, NotCanonicalError, UnknownKindError, artifact
from .class_forms import class_entry
from .listed_forms import ListedForms
from .module_origin import compiled_file, loaded_origin
from .watched import MISSING

_RANDOM: Final = ("numpy.random",)


class ObjectForms(ListedForms):
    """Makes the forms of data and of code, and notes what it looked at. For one thread."""

    @abstractmethod
    def function(self, function: FunctionType) -> Form:
        """Return the entry of a function."""

    def other(self, value: Any) -> Form:
        """Return the form of anything that is no plain data."""
        for kinds, make in _KINDS:
            if isinstance(value, kinds):
                return make(self, value)
        origin = adapter.function_within(value)
        return self._object(value) if origin is None else self.inner(origin)

    def entry(self, value: Any) -> Form:
        """Return the entry of a function, a class or an object."""
        if isinstance(value, FunctionType):
            return self.function(value)
        return class_entry(self, value) if isinstance(value, type) else self._state(value)

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
    is_written_here = module is None or (loaded_origin(vars(module)) is None and compiled_file(module) is None)
    # A class that a package made at run time, such as one of `make_dataclass`, is not what its module has.
    is_made_here = bool(value.__flags__ & _HEAP_TYPE) and (
        is_written_here or _found(value.__module__, value.__qualname__) is not value
    )
    return forms.listed("code", value) if is_made_here else forms.named(value.__module__, value.__qualname__)


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


def _is_installed(module: Any) -> bool:
    loaded = sys.modules.get(module) if isinstance(module, str) else None
    return loaded is not None and loaded_origin(vars(loaded)) is not None


def _found(module: str, qualname: str) -> Any:
    found: Any = sys.modules[module]
    for name in qualname.split("."):
        found = getattr(found, name, MISSING)
    return found


_HEAP_TYPE: Final = 1 << 9
"""Flag of classes that are not static data of a C module; fixed by the stable ABI."""
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
    (type(functools.lru_cache(id)), lambda forms, value: ["cached", forms.value(value.__wrapped__, forms.what)]),
    (ModuleType, _module),
    (StorageClient, lambda *_: ["named", "storage"]),
)
