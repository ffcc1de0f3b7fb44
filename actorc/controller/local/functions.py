"""Functions that an application registers, and objects whose methods are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function:
    """One registration; another one under the same name is another function. Immutable.

    An object is one, too: its methods share its state, so they share a process, and only one of them runs at a time.
    """

    name: str
    params: tuple[str, ...] = ()
    venv: str
    handler: bytes
    """Its pickle; only workers open it."""
    language: pb.Language.ValueType
    """The encoding of its results."""
    replicas: int
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parameters of each method of an object, by its name after that of the class and a dot."""
    keeps_state: bool = False
    """Whether it is an object."""
    timeout: float | None = None
    """Seconds that a call may take; None for the controller's default."""
    refusal: str = ""
    """Why it cannot be called here; empty if it can."""

    @classmethod
    def of(cls, command: pb.AppendPyFunc, refusal: str = "") -> Function:
        """Read a registration."""
        return cls(
            name=command.name,
            params=tuple(command.params),
            venv=command.venv,
            handler=command.pickled_object,
            language=command.language,
            replicas=max(1, command.replicas),
            timeout=command.timeout or None,
            refusal=refusal,
        )

    @classmethod
    def of_object(cls, command: pb.AppendPyClass, refusal: str = "") -> Function:
        """Read the registration of an object, of which there is one, however many replicas are requested."""
        return cls(
            name=command.name,
            venv=command.venv,
            handler=command.pickled_object,
            language=command.language,
            replicas=1,
            methods={method.name: tuple(method.params) for method in command.methods},
            keeps_state=True,
            timeout=command.timeout or None,
            refusal=refusal,
        )

    @property
    def shown(self) -> str:
        """Its name in messages; of an object, the name of its class."""
        return class_of(self.methods) or self.name

    def callee(self, name: str) -> Callee | None:
        """Return the target of a call of `name`; None if it has no such method."""
        if not self.keeps_state:
            return Callee(self, self.params)
        params = self.methods.get(name)
        return None if params is None else Callee(self, params, name.rpartition(".")[2])


@dataclass(frozen=True, slots=True)
class Callee:
    """The target of a call: a function, or a method of an object."""

    function: Function
    params: tuple[str, ...]
    method: str = ""


def foreign(name: str, what: str) -> Function:
    """Return a function that is not in Python, so that its calls fail with that reason."""
    refusal = f"{name!r} is {what}, and this controller runs functions in Python only; use ignis for it"
    return Function(name=name, venv="", handler=b"", language=pb.LANGUAGE_UNKNOWN, replicas=1, refusal=refusal)


def class_of(methods: Iterable[str]) -> str:
    """Return the name of the class that has these methods; empty without methods."""
    return next(iter(methods), "").rpartition(".")[0]
