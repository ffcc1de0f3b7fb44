"""One decorated function at work: however an engine calls it, it gets values and gives back what travels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import boundary, scratch
from ._shim import Contract
from .calling import Calling
from .outlet import Policy, policy_of
from .plan import Plan
from .runtime import StorageRuntime
from .storage import storage_for


class Step:
    """A function and what is known of it, ready to be called in this process.

    Args:
        function: The user's function.
        contract: What `lucas_storage.decorator.contract_of` found out about it.
    """

    def __init__(self, function: Callable[..., Any], contract: Contract) -> None:
        self._function = function
        self._name: str = contract["name"]
        self._calling = Calling(contract)
        self._inject: tuple[str, ...] = contract["inject"]
        self._result: Plan = contract["result"]
        self._options: dict[str, Any] = contract["options"]

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function and return its result as it travels.

        Raises:
            TypeError: Parameters are missing or surplus, or cannot become what their annotations ask for.
            ArtifactError: A reference cannot be resolved, or a result not stored; names function and parameter.
            Exception: Whatever the function raises, as it is.
        """
        with scratch.step():
            value = self._called(args, kwargs)
            return boundary.result(value, self._result, self._policy, self._name)

    def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        injected = {name: storage_for(self._policy().store) for name in self._inject}
        runtime = self._calling.runtime(args, kwargs)
        if runtime is not None:
            return self._function(StorageRuntime(runtime, self._name, self._policy), **injected)
        given = self._calling.by_name(args, kwargs)
        values = boundary.resolve(given, self._calling.plans, self._name, self._policy)
        return self._function(**values, **injected)

    def _policy(self) -> Policy:
        return policy_of(self._options)
