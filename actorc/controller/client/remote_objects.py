"""Objects on the platform: made here, sent once, and called there, where they keep their state."""

from __future__ import annotations

import inspect
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from actorc.controller.errors import ControllerUnavailableError, ParameterError

from .definition import Definition
from .signature import Signature


class Home:
    """The session in which an object lives; none before its first call, and never another one after that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: weakref.ref[object] | None = None

    def enter(self, session: object, name: str) -> None:
        """Let an object live in a session.

        Raises:
            ControllerUnavailableError: It lived in another one, which has ended, and its state with it.
        """
        with self._lock:
            if self._session is None:
                self._session = weakref.ref(session)
            elif self._session() is not session:
                raise ControllerUnavailableError(
                    f"the object of {name!r} is gone, with its state, as the connection it was sent over has ended; "
                    "make another one with export()",
                    function=name,
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectDefinition(Definition):
    """An object as it is registered, and the wishes of its class's decorator; `function` is the object."""

    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    """The name it has on the platform."""
    methods: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The names of its methods, with that of the class before them, and their parameters."""
    home: Home = field(default_factory=Home)
    packed: bytes | None = None
    """Its pickle, if somebody else has made it."""

    @classmethod
    def of_object(cls, instance: Any, config: Any, key: str) -> ObjectDefinition:
        """Read what was given to the decorator; raises as `Definition.of` does."""
        name, wishes = cls.wishes(type(instance).__name__, config)
        return cls(
            function=instance,
            signature=Signature(function=name, names=(), defaults={}),
            key=key,
            methods=tuple((each.function, each.names) for each in _signatures(instance, name)),
            **{**wishes, "replicas": 1},  # more than one would each have a state of its own
        )

    def method(self, name: str) -> Method:
        """Return a method, by its own name.

        Raises:
            ParameterError: A parameter of the method cannot be passed by name.
        """
        shown = f"{self.name}.{name}"
        if self.packed is None:
            return Method(of=self, signature=Signature.of(getattr(self.function, name), shown))
        return Method(of=self, signature=Signature(function=shown, names=dict(self.methods)[shown], defaults={}))

    def pickled(self) -> bytes:
        """Pickle the object as it is now, unless somebody else has; raises as that of a function does."""
        return self.packed if self.packed is not None else self._pickled("object", self.function)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of an object, to be called there."""

    of: ObjectDefinition
    signature: Signature

    @property
    def name(self) -> str:
        """Its name, with that of the class before it."""
        return self.signature.function


def adopted(
    name: str, key: str, methods: Mapping[str, tuple[str, ...]], packed: bytes, wishes: Any
) -> ObjectDefinition:
    """Return an object of Lucas's own client, which has pickled it already."""
    _, read = Definition.wishes(name, wishes)
    return ObjectDefinition(
        function=_elsewhere,
        signature=Signature(function=name, names=(), defaults={}),
        key=key,
        methods=tuple(methods.items()),
        packed=packed,
        **{**read, "replicas": 1},
    )


def _elsewhere() -> None:
    """Stand for an object that is only there as its pickle."""


def _signatures(instance: Any, class_name: str) -> Iterator[Signature]:
    """Yield what each method takes; those that cannot be called by name are refused when they are called."""
    for name, method in _methods(instance):
        try:
            yield Signature.of(method, f"{class_name}.{name}")
        except (ParameterError, ValueError, TypeError):
            continue


def _methods(instance: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    kind = type(instance)
    for name in dir(kind):
        # Properties run code of the user's when they are looked at, so the class is asked first.
        if name != "__init__" and inspect.isroutine(getattr(kind, name)) and not hasattr(object, name):
            yield name, getattr(instance, name)
