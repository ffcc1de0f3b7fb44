"""A function of an application, as it was registered."""

from __future__ import annotations

from dataclasses import dataclass

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

_LANGUAGES = (pb.LANGUAGE_JSON, pb.LANGUAGE_PYTHON)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function:
    """One registration; another one under the same name is another function."""

    name: str
    params: tuple[str, ...]
    venv: str
    handler: bytes
    """Its pickle, which is opened by workers only."""
    language: pb.Language.ValueType
    """What its results are encoded in."""
    replicas: int

    @classmethod
    def of(cls, command: pb.AppendPyFunc) -> Function:
        """Read what a client registers."""
        return cls(
            name=command.name,
            params=tuple(command.params),
            venv=command.venv,
            handler=command.pickled_object,
            language=command.language,
            replicas=max(1, command.replicas),
        )

    @property
    def refusal(self) -> str:
        """Why it cannot be called here, or nothing."""
        if self.language in _LANGUAGES:
            return ""
        return f"{self.name!r} returns values in a language that is not written here; register it for Python"
