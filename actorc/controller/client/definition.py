"""What the platform is told of a function: its name and parameters, where it runs, and its pickle."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actorc.controller.errors import ControllerError, PicklingError
from actorc.controller.protocol.value_codec import dumps
from actorc.storage import units

from .signature import Signature
from .timeouts import positive

HIDDEN_PARAMETER: Final = "_"
"""What a function without parameters has on the platform: ignis takes a replica for a call with its first argument."""

_DEFAULT_VENV: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Definition:
    """A function as it is registered, and the wishes of its decorator."""

    function: Callable[..., Any]
    signature: Signature
    venv: str
    requirements: tuple[str, ...]
    cpu: int
    """Thousandths of a core, which is what the platform counts in."""
    memory: int
    """Bytes."""
    gpu: int
    """Devices."""
    replicas: int
    timeout: float | None
    """Seconds that a call may take; None for the setting."""
    backend: str | None = None
    """What is to run it, if not Python."""

    @classmethod
    def of(cls, function: Callable[..., Any], config: Any) -> Definition:
        """Read what was given to the decorator, which Lucas keeps as a dict or, up to November 2025, as attributes.

        Raises:
            ParameterError: A parameter of the function cannot be passed by name.
            ControllerError: A keyword of the decorator has an impossible value.
        """
        name, wishes = cls.wishes(function.__name__, config)
        return cls(function=function, signature=Signature.of(function, name), **wishes)

    @staticmethod
    def wishes(name: str, config: Any) -> tuple[str, dict[str, Any]]:
        """Return the name a decorator gives, else `name`, and its other keywords as fields; raises as `of` does."""
        given = dict(config) if isinstance(config, Mapping) else vars(config)
        name = str(given.get("name") or name)
        resources = {"cpu": given.get("cpu"), "memory": given.get("memory"), "gpu": given.get("gpu")}
        resources |= given.get("resources") or {}
        dependency = given.get("dependency") or ()
        return name, {
            "venv": _venv(name, str(given.get("venv") or _DEFAULT_VENV)),
            "requirements": (dependency,) if isinstance(dependency, str) else tuple(map(str, dependency)),
            "cpu": _count(name, "cpu", resources["cpu"], 1, each=1000),
            "memory": memory_bytes(name, resources["memory"]),
            "gpu": _count(name, "gpu", resources["gpu"], 0),
            "replicas": max(1, _count(name, "replicas", given.get("replicas"), 1)),
            "timeout": _timeout(name, given.get("timeout")),
            "backend": given.get("backend"),
        }

    @property
    def name(self) -> str:
        """The name calls use."""
        return self.signature.function

    @property
    def parameters(self) -> tuple[str, ...]:
        """What the platform passes to it, at least one."""
        return self.signature.names or (HIDDEN_PARAMETER,)

    def pickled(self) -> bytes:
        """Pickle the function as it is now, with the helpers it uses.

        Raises:
            PicklingError: Something it uses cannot be pickled; the message names it.
            ControllerError: Its decorator asks for another backend than Python.
        """
        if self.backend not in (None, "python"):
            raise ControllerError(
                f"{self.name!r} asks for the backend {self.backend!r}, and only Python can be called; leave it out",
                function=self.name,
            )
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


def memory_bytes(function: str, given: object) -> int:
    """Return how many bytes `given` is: a number of them, or a text such as ``128MB``, ``512Mi`` or ``1.5G``."""
    if given is None:
        return 0
    try:
        return units.size(str(given))
    except ValueError:
        raise ControllerError(
            f"{given!r} is no memory for {function!r}; give bytes, or a text such as '512Mi'", function=function
        ) from None


def _with_hidden(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes the hidden parameter; its pickle needs nothing of this package on the worker."""

    def call(_: Any = None) -> Any:
        return function()

    return call


def _venv(function: str, given: str) -> str:
    if given in (".", "..") or not given.isprintable() or set(given) & set("/\\"):
        raise ControllerError(
            f"{given!r} is no venv for {function!r}, because ignis makes a folder of that name; give a plain name",
            function=function,
        )
    return given


def _timeout(function: str, given: object) -> float | None:
    found = positive(given)
    if found is None and given is not None:
        raise ControllerError(
            f"{given!r} is no timeout for {function!r}; give seconds above 0, or leave it out", function=function
        )
    return found


def _count(function: str, keyword: str, given: Any, default: int, each: int = 1) -> int:
    """Return a whole number from 0 up, `each` for one of what is given; a part of one counts as one."""
    if given is None:
        return default * each
    if isinstance(given, (int, float)) and 0 <= given < math.inf:
        return math.ceil(given * each)
    raise ControllerError(f"{given!r} is no {keyword} for {function!r}; give a number from 0 up", function=function)


def _reason(function: Callable[..., Any], error: Exception) -> str:
    """Name what the function uses and cannot be pickled, as far as that can be told."""
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
