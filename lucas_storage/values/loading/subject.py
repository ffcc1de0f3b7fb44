"""What errors call the value that is loaded: a parameter of a function, or just the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lucas_storage.errors import ArtifactError, DecodeError, NoFormatError

from .load_value import mismatch


@dataclass(frozen=True, slots=True)
class Subject:
    """A parameter of a function, or a value outside of any, as errors name it."""

    name: str | None
    function: str | None

    def __str__(self) -> str:
        return f"parameter {self.name!r} of {self.function!r}" if self.name else "the value"

    def attributed(self, job: Callable[[], Any]) -> Any:
        """Run a job; its errors name the function and the parameter."""
        try:
            return job()
        except ArtifactError as error:
            error.function = error.function or self.function
            error.param = error.param or self.name
            raise

    def fitting(self, value: Any, word: str, job: Callable[[], Any]) -> Any:
        """Run a job that converts a value to a word; its errors are type errors that name both.

        The user reads which annotation does not fit which value.
        """
        try:
            return job()
        except (TypeError, DecodeError, NoFormatError) as error:
            raise TypeError(f"{self} {mismatch(value, word)}") from error

    def told(self, job: Callable[[], Any]) -> Any:
        """Run a job; its type errors begin with the name of the parameter."""
        try:
            return job()
        except TypeError as error:
            raise TypeError(f"{self} {error}") from error
