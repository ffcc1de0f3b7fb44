"""The registry of functions, workflows, actors and groups by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from lucas_storage.embedded.errors import unknown_function

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lucas_storage.embedded.functions import Function
    from lucas_storage.embedded.workflow.roles import Runnable


class RouteFunc:
    """A registered function."""

    def __init__(self, name: str, handler: Callable[..., Any] | None = None) -> None:
        self.name = name
        self.handler = handler
        self.function: Function | None = None

    def set_handler(self, handler: Callable[..., Any]) -> RouteFunc:
        """Set the handler, which is called with the input."""
        self.handler = handler
        return self

    def set_function(self, function: Function) -> RouteFunc:
        """Set the object that the decorator made."""
        self.function = function
        return self


class RouteWorkflow:
    """A registered workflow."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.workflow: Runnable | None = None

    def set_workflow(self, workflow: Runnable) -> RouteWorkflow:
        """Set the object that the decorator made."""
        self.workflow = workflow
        return self

    @property
    def handler(self) -> Callable[..., Any] | None:
        """The handler, which is called with the input, so that a workflow can be a step of another."""
        return self.workflow.run if self.workflow is not None else None


class RouteClass:
    """The latest object of a decorated class."""

    def __init__(self, name: str, cls: Any = None) -> None:
        self.name = name
        self._cls = cls

    def set_actor(self, cls: Any) -> RouteClass:
        """Set the object; the contract calls it a class."""
        self._cls = cls
        return self


class RouteGroupFunc:
    """A name for several functions, of which each call in a workflow gets one."""

    def __init__(self, name: str, group_func: Callable[[], Function] | None = None) -> None:
        self.name = name
        self.group_func = group_func

    def set_group_func(self, group_func: Callable[[], Function]) -> RouteGroupFunc:
        """Set the function that chooses one."""
        self.group_func = group_func
        return self


Entry: TypeAlias = RouteFunc | RouteWorkflow | RouteClass | RouteGroupFunc


class Route:
    """A view of the registry, which includes later registrations."""

    def __init__(
        self,
        functions: list[RouteFunc],
        workflows: list[RouteWorkflow],
        actors: list[RouteClass] | None = None,
        groups: list[RouteGroupFunc] | None = None,
    ) -> None:
        self.functions = functions
        self.workflows = workflows
        self.actors: list[RouteClass] = [] if actors is None else actors
        self.groups: list[RouteGroupFunc] = [] if groups is None else groups

    def find(self, name: str) -> Entry | None:
        """Return the entry for `name`, or None.

        Functions come before workflows, these before actors and these before groups; later entries before earlier ones.
        """
        kinds: tuple[Sequence[Entry], ...] = (self.functions, self.workflows, self.actors, self.groups)
        return next((entry for kind in kinds for entry in reversed(kind) if entry.name == name), None)

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """Return a router: from each name to the handler of the entry that `find` returns."""
        # Functions last, so that they replace workflows of the same name.
        entries: list[RouteFunc | RouteWorkflow] = [*self.workflows, *self.functions]
        return {entry.name: entry.handler for entry in entries if entry.handler is not None}


class RouteBuilder:
    """The registry in which decorators register functions, workflows, actors and groups."""

    def __init__(self) -> None:
        self.funcs: list[RouteFunc] = []
        self.works: list[RouteWorkflow] = []
        self.actors: list[RouteClass] = []
        self.groups: list[RouteGroupFunc] = []

    def func(self, funcName: str) -> RouteFunc:
        """Register a function; it hides an earlier one of the same name."""
        self.funcs.append(RouteFunc(funcName))
        return self.funcs[-1]

    def workflow(self, workflowName: str) -> RouteWorkflow:
        """Register a workflow; it hides an earlier one of the same name."""
        self.works.append(RouteWorkflow(workflowName))
        return self.works[-1]

    def actor(self, actorName: str) -> RouteClass:
        """Register the objects of a class, of which the latest is kept."""
        # One entry for a class, since each object made replaces the last one.
        known = next((entry for entry in self.actors if entry.name == actorName), None)
        if known is None:
            self.actors.append(known := RouteClass(actorName))
        return known

    def group(self, groupName: str) -> RouteGroupFunc:
        """Register a name for several functions; it hides an earlier one of the same name."""
        self.groups.append(RouteGroupFunc(groupName))
        return self.groups[-1]

    def get_funcs(self) -> list[RouteFunc]:
        """Return all functions."""
        return self.funcs

    def get_works(self) -> list[RouteWorkflow]:
        """Return all workflows."""
        return self.works

    def build(self) -> Route:
        """Return a view of the registry."""
        # The lists themselves and no copies: a workflow may call functions that are registered after it.
        return Route(self.funcs, self.works, self.actors, self.groups)


class RouteRunner:
    """Finds the handlers of registered functions and workflows.

    Args:
        route: The registry.
    """

    def __init__(self, route: Route) -> None:
        self._route = route

    def route(self, name: str) -> Callable[..., Any]:
        """Return the handler of a function or a workflow.

        Raises:
            UnknownFunctionError: There is none of that name.
        """
        handlers = self._route.handlers()
        if name not in handlers:
            raise unknown_function(name, handlers)
        return handlers[name]


routeBuilder = RouteBuilder()  # noqa: N816 -- the contract's name
"""The registry of this process."""
