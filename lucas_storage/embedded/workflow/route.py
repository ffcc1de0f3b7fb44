"""Which functions and workflows there are, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.functions import Function
    from lucas_storage.embedded.workflow.context import WorkflowContext


class RouteFunc:
    """A registered function."""

    def __init__(self, name: str, handler: Callable[..., Any] | None = None) -> None:
        self.name = name
        self.handler = handler
        self.function: Function | None = None

    def set_handler(self, handler: Callable[..., Any]) -> RouteFunc:
        """Set what is called with the input."""
        self.handler = handler
        return self

    def set_function(self, function: Function) -> RouteFunc:
        """Set what the decorator made."""
        self.function = function
        return self


class RouteWorkflow:
    """A registered workflow."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.workflow: WorkflowContext | None = None

    def set_workflow(self, workflow: WorkflowContext) -> RouteWorkflow:
        """Set what the decorator made."""
        self.workflow = workflow
        return self

    @property
    def handler(self) -> Callable[..., Any] | None:
        """What is called with the input, so that a workflow can be a step of another."""
        return self.workflow.run if self.workflow is not None else None


class Route:
    """A view of what is registered, which sees later registrations too."""

    def __init__(self, functions: list[RouteFunc], workflows: list[RouteWorkflow]) -> None:
        self.functions = functions
        self.workflows = workflows
        self.actors: list[Any] = []
        self.groups: list[Any] = []

    def find(self, name: str) -> RouteFunc | RouteWorkflow | None:
        """Return what is registered under `name`, functions before workflows and the latest first, or None."""
        entries: list[RouteFunc | RouteWorkflow] = [*reversed(self.functions), *reversed(self.workflows)]
        return next((entry for entry in entries if entry.name == name), None)

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """Return a router: from each name to the handler of what `find` gives."""
        entries: list[RouteFunc | RouteWorkflow] = [*self.workflows, *self.functions]
        return {entry.name: entry.handler for entry in entries if entry.handler is not None}


class RouteBuilder:
    """Where decorators register what they make."""

    def __init__(self) -> None:
        self.funcs: list[RouteFunc] = []
        self.works: list[RouteWorkflow] = []

    def func(self, funcName: str) -> RouteFunc:
        """Register a function; one of the same name from before is hidden."""
        self.funcs.append(RouteFunc(funcName))
        return self.funcs[-1]

    def workflow(self, workflowName: str) -> RouteWorkflow:
        """Register a workflow; one of the same name from before is hidden."""
        self.works.append(RouteWorkflow(workflowName))
        return self.works[-1]

    def get_funcs(self) -> list[RouteFunc]:
        """Return all functions."""
        return self.funcs

    def get_works(self) -> list[RouteWorkflow]:
        """Return all workflows."""
        return self.works

    def build(self) -> Route:
        """Return a view of what is registered."""
        return Route(self.funcs, self.works)


routeBuilder = RouteBuilder()  # noqa: N816 -- the contract's name
"""What the decorators of this process register in."""
