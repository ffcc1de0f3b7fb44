"""The definition of a function: its name and parameters, its resources and environment, and its pickle."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actorc.controller.errors import ControllerError, PicklingError
from actorc.controller.protocol.value_codec import dumps
from lucas_storage.steps.contract import contract_of_shim

from . import decorator_keywords
from .signature import Signature

PLACE_PARAMETER: Final = "lucas_storage_place"
"""A further parameter of a decorated function: where the record of the call belongs. For ever, as it is in pickles."""
HIDDEN_PARAMETER: Final = "_"
"""The only parameter of a function without parameters: ignis assigns a replica when the first argument arrives."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Definition:
    """A function as it is registered, with the keywords of its decorator. Immutable, so threads may share it."""

    function: Callable[..., Any]
    signature: Signature
    venv: str
    requirements: tuple[str, ...]
    cpu: int
    """Thousandths of a core, the platform's unit."""
    memory: int
    """Bytes."""
    gpu: int
    """Devices."""
    replicas: int
    timeout: float | None
    """Seconds that a call may take; None for the client's setting."""
    backend: str | None = None
    """The language runtime it asks for; only Python is supported."""

    @classmethod
    def of(cls, function: Callable[..., Any], config: Any) -> Definition:
        """Read the keywords of the decorator, which Lucas keeps as a dict or, up to November 2025, as attributes.

        Raises:
            ParameterError: A parameter of the function cannot be passed by name.
            ControllerError: A keyword of the decorator has an impossible value.
        """
        name, keywords = decorator_keywords.read(function.__name__, config)
        return cls(function=function, signature=Signature.of(function, name), **keywords)

    @property
    def name(self) -> str:
        """The name calls use."""
        return self.signature.function

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters the platform passes, at least one."""
        names = (*self.signature.names, PLACE_PARAMETER) if self.takes_place else self.signature.names
        return names or (HIDDEN_PARAMETER,)

    @property
    def takes_place(self) -> bool:
        """Whether its calls are steps that can be recorded where they run."""
        return contract_of_shim(self.function) is not None and PLACE_PARAMETER not in self.signature.names

    def pickled(self) -> bytes:
        """Pickle the function in its current state, with the functions and globals it uses.

        Raises:
            PicklingError: Something it uses cannot be pickled; the message names it.
            ControllerError: Its decorator asks for another backend than Python.
        """
        if self.backend not in (None, "python"):
            raise ControllerError(
                f"{self.name!r} asks for the backend {self.backend!r}, and only Python can be called; leave it out",
                function=self.name,
            )
        if self.takes_place:
            return self._pickled("function", _with_place(self.function))
        return self._pickled("function", self.function if self.signature.names else _with_hidden(self.function))

    def _pickled(self, what: str, value: object) -> bytes:
        try:
            return dumps(value)
        except Exception as error:
            raise PicklingError(
                f"the {what} {self.name!r} cannot be sent to a worker because {_reason(self.function, error)}; make "
                f"such things within {'its methods' if what == 'object' else 'the function'}",
                function=self.name,
            ) from error


Definition.__module__ = "actorc.controller.definition"  # where processes of any version find it


def _with_hidden(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes the hidden parameter; its pickle needs nothing of this package on the worker."""

    def call(_: Any = None) -> Any:
        return function()

    return call


def _with_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decorated function that takes the place of its record, too, where a worker knows of one.

    Its pickle needs nothing of this package on the worker, whose decorated functions may be of an earlier version.
    """

    def call(lucas_storage_place: Any = None, **given: Any) -> Any:
        called_at = getattr(function, "called_at", None)
        return function(**given) if called_at is None else called_at(lucas_storage_place, given)

    return call


def _reason(function: Callable[..., Any], error: Exception) -> str:
    """Return why a function cannot be pickled; names the globals and closure variables at fault if they are found."""
    plain = inspect.unwrap(function)
    used = inspect.getclosurevars(plain) if inspect.isfunction(plain) else None
    names = {**used.globals, **used.nonlocals} if used else {}
    culprits = [repr(name) for name, value in names.items() if not _is_picklable(value)]
    what = f"{', '.join(culprits)}, which it uses, cannot be pickled" if culprits else "it cannot be pickled"
    return f"{what} ({error})"


def _is_picklable(value: Any) -> bool:
    try:
        dumps(value)
    except Exception:  # noqa: BLE001  # a pickle fails in any way that a user's class likes
        return False
    return True
