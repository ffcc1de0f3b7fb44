"""Objects on the platform: created here, sent once, and called there, where they keep their state."""

from __future__ import annotations

import inspect
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from actorc.controller.errors import ControllerUnavailableError, ParameterError

from . import decorator_keywords
from .definition import Definition
from .signature import Signature


class ObjectSession:
    """The session of an object: none before its first call, and never another one after that. Thread-safe."""

    def __init__(self) -> None:
        # the first calls of an object may come from several threads, and only one session may take it
        self._lock = threading.Lock()
        self._session: weakref.ref[object] | None = None

    def bind(self, session: object, name: str) -> None:
        """Place an object into a session.

        Raises:
            ControllerUnavailableError: It lived in another session, which has ended, and its state with it.
        """
        with self._lock:
            # weak, so that an object does not keep an ended session alive
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
    """An object as it is registered, with the keywords of its class's decorator; `function` is the object."""

    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Its name on the platform."""
    methods: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names of its methods, each after that of the class and a dot, with their parameters."""
    session: ObjectSession = field(default_factory=ObjectSession)
    packed: bytes | None = None
    """Its pickle, if another client has made it."""

    @classmethod
    def of_object(cls, instance: Any, config: Any, key: str) -> ObjectDefinition:
        """Read the keywords of the decorator; raises as `Definition.of` does."""
        name, keywords = decorator_keywords.read(type(instance).__name__, config)
        return cls(
            function=instance,
            signature=Signature(function=name, names=(), defaults={}),
            key=key,
            methods=tuple((each.function, each.names) for each in _signatures(instance, name)),
            **{**keywords, "replicas": 1},  # more than one would each have a state of its own
        )

    def method(self, name: str) -> Method:
        """Return a method, by its own name.

        Raises:
            ParameterError: A parameter of the method cannot be passed by name.
        """
        shown = f"{self.name}.{name}"
        if self.packed is None:
            return Method(definition=self, signature=Signature.of(getattr(self.function, name), shown))
        return Method(
            definition=self, signature=Signature(function=shown, names=dict(self.methods)[shown], defaults={})
        )

    def pickled(self) -> bytes:
        """Return the pickle made elsewhere, else pickle the object as it is now; raises as that of a function does."""
        return self.packed if self.packed is not None else self._pickled("object", self.function)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of an object on the platform."""

    definition: ObjectDefinition
    signature: Signature

    @property
    def name(self) -> str:
        """Its name, after that of the class and a dot."""
        return self.signature.function


def already_pickled(
    name: str, key: str, methods: Mapping[str, tuple[str, ...]], packed: bytes, config: Any
) -> ObjectDefinition:
    """Return an object of Lucas's own client, which has pickled it already."""
    _, keywords = decorator_keywords.read(name, config)
    return ObjectDefinition(
        function=_pickled_elsewhere,
        signature=Signature(function=name, names=(), defaults={}),
        key=key,
        methods=tuple(methods.items()),
        packed=packed,
        **{**keywords, "replicas": 1},
    )


def _pickled_elsewhere() -> None:
    """Stand in for an object of which only the pickle is known."""


def _signatures(instance: Any, class_name: str) -> Iterator[Signature]:
    """Yield the signature of each method; one that cannot be called by name is left out, and refused when called."""
    for name, method in _methods(instance):
        try:
            yield Signature.of(method, f"{class_name}.{name}")
        except (ParameterError, ValueError, TypeError):
            # objects often have methods that no workflow calls; only calling one is an error
            continue


def _methods(instance: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    kind = type(instance)
    for name in dir(kind):
        # Reading a property of the instance runs the user's code, so the class is read first.
        if name != "__init__" and inspect.isroutine(getattr(kind, name)) and not hasattr(object, name):
            yield name, getattr(instance, name)
