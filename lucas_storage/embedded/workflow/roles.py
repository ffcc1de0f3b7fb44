"""Protocols of the parts of a graph that refer to each other, so that their modules need no circular imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.runtime.runtime import Runtime

Lambda_co = TypeVar("Lambda_co", covariant=True)


class Graph(Protocol):
    """The methods of `DAG` that its nodes use."""

    def add_node(self, node: Any) -> None:
        """Add `node` and everything linked to it, each once."""


class Node(Protocol):
    """The attributes of `DataNode` that its Lambda uses."""

    _done: bool
    belong_dag: Graph | None


class StepAdder(Protocol[Lambda_co]):
    """The methods of `Workflow` that the operators of a Lambda use."""

    def func(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Lambda_co:
        """Add a step that calls `fn`, and return the Lambda of its result."""


class GraphOwner(Protocol):
    """The attributes and methods of `Workflow` that its graph and its steps use."""

    name: str
    frt: Runtime | None

    def getRuntime(self) -> Runtime:
        """Return the runtime; raise if none was set."""


class Runnable(Protocol):
    """The methods of `WorkflowContext` that a route uses."""

    def run(self, data: Any = None) -> Any:
        """Run the workflow once in this process and return its value."""
