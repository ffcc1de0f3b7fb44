"""The runtime of a step that runs in a process of its own: the engine's is in the process that started it."""

from __future__ import annotations

from typing import Any, NoReturn

from lucas_storage.child_process.asking import ask


class DistantRuntime:
    """A runtime whose calls are made by the parent process. Safe to share between threads.

    Args:
        given: The input of the step.
    """

    def __init__(self, given: Any) -> None:
        self._given = given

    def input(self) -> Any:
        """Return the input; the same object each time."""
        return self._given

    def output(self, value: Any) -> Any:
        """Return `value`."""
        return value

    def call(self, function: str, parameters: Any) -> Any:
        """Call another function through the engine, and return its result."""
        return ask("call", function, parameters)

    def tell(self, function: str, parameters: Any) -> Any:
        """Start another function through the engine, and return the engine's answer, which must be plain data."""
        return ask("tell", function, parameters)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"the runtime has no {name!r} in the process of a step with timeout=; it has input, output, call, tell and "
            "storage there. Ask for the rest in a step without timeout="
        )
