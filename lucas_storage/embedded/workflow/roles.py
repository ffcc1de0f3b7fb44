"""What the parts of a graph ask of each other, where one stands below the other and each holds the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.runtime.runtime import Runtime

Place_co = TypeVar("Place_co", covariant=True)


class Graph(Protocol):
    """What a node asks of the `DAG` it belongs to."""

    def add_node(self, node: Any) -> None:
        """Add `node` and everything linked to it, each once."""


class Node(Protocol):
    """What is known of the `DataNode` that carries a Lambda."""

    _done: bool
    belong_dag: Graph | None


class StepAdder(Protocol[Place_co]):
    """What a Lambda asks of the `Workflow` that its operators work in."""

    def func(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Place_co:
        """Add a step that calls `fn`, and return the place of its result."""


class GraphOwner(Protocol):
    """What a graph and its steps ask of the `Workflow` they belong to."""

    name: str
    frt: Runtime | None

    def getRuntime(self) -> Runtime:
        """Return the runtime; raise if none was set."""


class Runnable(Protocol):
    """What a route asks of a `WorkflowContext`."""

    def run(self, data: Any = None) -> Any:
        """Run the workflow once in this process and return its value."""
