"""What an application registers: functions, and objects whose methods are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function:
    """One registration; another one under the same name is another function.

    An object is one, too: its methods share its state, so they share a process, and one of them runs at a time.
    """

    name: str
    params: tuple[str, ...] = ()
    venv: str
    handler: bytes
    """Its pickle, which is opened by workers only."""
    language: pb.Language.ValueType
    """What its results are encoded in."""
    replicas: int
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of an object: the parameters of each method, by its name with that of the class before it."""
    keeps_state: bool = False
    """Whether it is an object."""
    timeout: float | None = None
    """Seconds that a call may take; None for the controller's own."""
    refusal: str = ""
    """Why it cannot be called here."""

    @classmethod
    def of(cls, command: pb.AppendPyFunc, refusal: str = "") -> Function:
        """Read what a client registers."""
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
        """Read an object that a client registers; it is one, however many replicas are asked for."""
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
        """Its name in messages, which of an object is that of its class."""
        return class_of(self.methods) or self.name

    def callee(self, name: str) -> Callee | None:
        """Return what a call of `name` calls; None: it has no such method."""
        if not self.keeps_state:
            return Callee(self, self.params)
        params = self.methods.get(name)
        return None if params is None else Callee(self, params, name.rpartition(".")[2])


@dataclass(frozen=True, slots=True)
class Callee:
    """What a call calls: a function, or a method of an object."""

    function: Function
    params: tuple[str, ...]
    method: str = ""


def foreign(name: str, what: str) -> Function:
    """Return a function that is not in Python, so that its calls say so."""
    refusal = f"{name!r} is {what}, and this controller runs functions in Python only; use ignis for it"
    return Function(name=name, venv="", handler=b"", language=pb.LANGUAGE_UNKNOWN, replicas=1, refusal=refusal)


def class_of(methods: Iterable[str]) -> str:
    """Return the name of the class whose methods these are; nothing if there are none."""
    return next(iter(methods), "").rpartition(".")[0]
